// A card: a photograph, what it is called and why, and the two buttons that teach the gallery.

import { Refusal } from "./api.js";
import { enrol, move } from "./changes.js";
import { fault, icon, make } from "./elements.js";
import { neighbourList } from "./neighbours.js";
import { chosen } from "./pictures.js";
import { labelAddress } from "./router.js";
import { state } from "./state.js";
import { moving, teaching, unknown } from "./teaching.js";
import { tell, text } from "./texts.js";

const SAME = 0.9999; // similarity of a photograph with itself, but for rounding
const narrow = () => matchMedia("(max-width: 719px)").matches;
let count = 0;

/** The card of a file; `closed` is called when it is taken away. */
export function answerCard(file, closed) {
  const picture = chosen(file);
  const parts = made(file, picture.image);
  const card = { file, element: parts.element, item: null, change: null };
  const close = () => {
    parts.element.remove();
    picture.gone();
    closed();
  };
  parts.close.addEventListener("click", close);

  const teach = (label) => learn(label, () => enrol([file], label, (error) => elsewhere(error, label)));
  /** It is enrolled already, under another label: offers to move it. */
  const elsewhere = (error, label) => {
    const known = error.code === "other_label" ? itself(card.item, label) : undefined;
    if (!known) return false;
    parts.asked.replaceChildren(...moving(known.label, label, () => learn(label, () => move([known.number], label))));
    return true;
  };
  const learn = async (label, work) => {
    const inside = parts.actions.contains(document.activeElement);
    parts.asked.replaceChildren();
    parts.actions.inert = true;
    const change = await work();
    parts.actions.inert = false;
    if (change === undefined) return parts.asked.querySelector("button")?.focus();
    card.change = change;
    parts.actions.hidden = true;
    parts.taught.replaceChildren(
      icon("check"), make("span", { text: ["answer.enrolled", { label }] }),
      make("a", { href: labelAddress(label), text: "answer.open" }),
    );
    parts.taught.hidden = false;
    if (inside) parts.taught.focus();
  };
  const offer = (item) => parts.actions.replaceChildren(...teaching(item, teach), parts.asked);

  return Object.assign(card, {
    close,
    /** Its photograph and what it is called come into view, once the photograph has its size. */
    async seen() {
      await picture.image.decode().catch(() => {});
      if (narrow()) parts.element.scrollIntoView({ block: "start" });
      parts.element.querySelector("h2").scrollIntoView({ block: "nearest" });
    },
    said: () => (unknown(card.item) ? text("answer.unknown") : card.item.label),
    answered(answer) {
      card.item = answer.items[0];
      verdict(parts, answer, card.item);
      offer(card.item);
    },
    nothingKnown() {
      parts.waiting.remove();
      tell(parts.label, "answer.new");
      offer(null);
    },
    failed(error) {
      if (!(error instanceof Refusal)) throw error;
      parts.waiting.remove();
      tell(parts.label, "answer.failed");
      fault(parts.fault, error.line);
      if (error.code !== "image") offer(null);
    },
    takenBack(change) {
      if (!change || change !== card.change) return;
      card.change = null;
      parts.taught.hidden = true;
      parts.actions.hidden = false;
    },
  });
}

/** The neighbour that is this very photograph, under another label than it was called now. */
function itself(item, label) {
  return item?.neighbours.find((near) => near.similarity >= SAME && near.number && near.label !== label);
}

function made(file, image) {
  const id = `answer-${++count}`;
  const close = make("button", { type: "button", class: "plain close", label: ["answer.close", { name: file.name }] }, icon("close"));
  const label = make("h2", { id, class: "verdict", text: "answer.looking" });
  const waiting = make("div", { class: "waiting", "aria-hidden": "true" });
  const reasons = make("div", { class: "reasons" });
  const actions = make("div", { class: "teach write" });
  const asked = make("div", { class: "stack", role: "status" });
  const taught = make("p", { class: "taught", hidden: true, tabindex: -1 });
  const wrong = make("p", { class: "error", role: "alert", hidden: true });
  const name = make("p", { class: "file soft small", data: file.name });
  const near = make("div", { class: "near" });
  const element = make(
    "article", { class: "card answer", "aria-labelledby": id },
    make("div", { class: "photograph" }, image),
    make("div", { class: "words" }, name, label, waiting, wrong, reasons, actions, taught),
    near, close,
  );
  return { element, close, label, waiting, reasons, actions, asked, taught, near, file, fault: wrong };
}

function verdict(parts, answer, item) {
  parts.waiting.remove();
  const called = unknown(item)
    ? make("h2", { id: parts.label.id, class: "verdict unknown", text: "answer.unknown" })
    : make("h2", { id: parts.label.id, class: "verdict", data: item.label });
  parts.label.replaceWith(called);
  const nearest = item.neighbours[0]?.similarity;
  const facts = [
    ["answer.score", item.score == null ? null : ["value.percent", { value: item.score }]],
    ["answer.nearest", nearest == null ? null : ["value.similarity", { value: nearest }]],
    ["answer.threshold", answer.threshold == null ? ["answer.off"] : ["value.similarity", { value: answer.threshold }]],
  ];
  parts.reasons.replaceChildren(make("dl", { class: "facts" }, ...facts.filter(([, value]) => value).map(fact)));
  if (answer.threshold != null && nearest != null) parts.reasons.append(scale(nearest, answer.threshold));
  if (state.about.labels === 1) parts.reasons.append(make("p", { class: "small", text: "answer.single" }));
  if (answer.not_kept) parts.reasons.append(make("p", { class: "small", text: "answer.notKept" }));
  if (answer.kept?.length) parts.reasons.append(make("p", { class: "small" }, make("a", { href: "#/unknown", text: "answer.kept" })));
  parts.near.replaceChildren(...neighbourList(item, parts.file));
}

function fact([key, value]) {
  return make("div", {}, make("dt", { text: key }), make("dd", { text: value }));
}

/** How near the nearest is, and where the limit lies, as a line; the numbers stand beside it. */
function scale(nearest, threshold) {
  const share = (value) => `${100 * Math.min(1, Math.max(0, value))}%`;
  const bar = make("span", { class: nearest > threshold ? "enough" : "few" });
  const mark = make("i", {});
  bar.style.width = share(nearest);
  mark.style.left = share(threshold);
  return make("div", { class: "scale", "aria-hidden": "true" }, bar, mark);
}
