// The first part: photographs are asked, each answer is a card.

import { answerCard } from "./answer.js";
import { send } from "./api.js";
import { takeFiles } from "./choosing.js";
import { byId } from "./elements.js";
import { arrived, state, refresh } from "./state.js";
import { when } from "./news.js";
import { asking, renewOptions, startOptions } from "./options.js";
import { view } from "./router.js";
import { text } from "./texts.js";

const SIDE_BY_SIDE = 2; // photographs on their way
const cards = new Set();
const queue = [];
let running = 0;
let awaited = null; // the first of the last photographs: its answer is shown when it comes

export function startAsk() {
  view("ask", renewed);
  startOptions();
  takeFiles(take, () => !byId("view-ask").hidden && !byId("dialog").open);
  byId("clear").addEventListener("click", () => {
    for (const card of [...cards]) card.close();
    byId("choose").focus();
  });
  when("refreshed", renewed);
  when("undone", (change) => cards.forEach((card) => card.takenBack(change)));
}

function renewed() {
  if (!state.about) return;
  renewOptions();
  byId("ask-empty").hidden = state.about.images > 0;
}

function take(files) {
  const made = files.map((file) => {
    const card = answerCard(file, () => {
      cards.delete(card);
      arranged();
    });
    cards.add(card);
    return card;
  });
  byId("answers").prepend(...made.map((card) => card.element));
  arranged();
  awaited = made[0];
  awaited.seen();
  queue.push(...made);
  next();
}

/** Answers have the room, once there are any. */
function arranged() {
  byId("drop").classList.toggle("compact", cards.size > 0);
  byId("clear").hidden = cards.size < 2;
}

function next() {
  while (running < SIDE_BY_SIDE && queue.length) {
    running++;
    const card = queue.shift();
    ask(card).finally(() => {
      running--;
      if (card === awaited && !byId("answers").contains(document.activeElement)) card.seen();
      if (card === awaited) awaited = null;
      next();
    });
  }
}

async function ask(card) {
  await arrived;
  if (!cards.has(card)) return;
  if (!state.about.images) return card.nothingKnown();
  try {
    const answer = await send("/v1/predict", [card.file], asking());
    card.answered(answer);
    byId("status").textContent = text("ask.said", { name: card.file.name, label: card.said() });
    if (answer.kept?.length) await refresh();
  } catch (error) {
    card.failed(error);
  }
}
