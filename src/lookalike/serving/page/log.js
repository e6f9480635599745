// What was changed when, the latest first; each change can be taken back.

import { get } from "./api.js";
import { button, make, byId } from "./elements.js";
import { view } from "./router.js";
import { undo } from "./toasts.js";

const AT_ONCE = 50;
const SHOWN = 4; // moves of a change
const FOR_GOOD = ["forget", "reembed"];
const MOST = 10_000; // that a service tells at once
let last = 0; // the number of the earliest change that is shown

export function startLog() {
  view("log", show);
  byId("more-log").addEventListener("click", more);
}

async function show() {
  const most = Math.min(MOST, Math.max(AT_ONCE, byId("log-list").children.length));
  const { changes } = await get("/v1/gallery/log", { most });
  byId("log-list").replaceChildren(...changes.map(row));
  shownUntil(changes, most);
}

async function more() {
  const before = last;
  byId("more-log").disabled = true;
  const { changes } = await get("/v1/gallery/log", { most: AT_ONCE, before }).finally(() => {
    byId("more-log").disabled = false;
  });
  if (before !== last) return; // all is shown anew
  const rows = changes.map(row);
  byId("log-list").append(...rows);
  shownUntil(changes, AT_ONCE);
  rows[0]?.querySelector("button")?.focus();
}

function shownUntil(changes, most) {
  last = changes.at(-1)?.number ?? last;
  byId("more-log").hidden = changes.length < most || last <= 1;
}

function row({ number, time, action, note, moves, described }) {
  const lines = moves.slice(0, SHOWN).map((move) => make("li", { text: line(move) }));
  const rest = moves.slice(SHOWN).reduce((sum, { images }) => sum + images, 0);
  if (rest) lines.push(make("li", { text: ["log.rest", { count: rest }] }));
  if (described) lines.push(make("li", { text: [action === "confirm" ? "log.confirmed" : "log.described", { count: described }] }));
  const back = button("undo", () => undo(number), "write");
  back.setAttribute("aria-describedby", `change-${number}`);
  return make(
    "li", { class: "card" },
    make(
      "div", { class: "what" },
      make("h2", { id: `change-${number}`, text: `action.${action}` }),
      make("p", { class: "soft small", text: ["log.when", { number, time }] }),
      lines.length ? make("ul", {}, ...lines) : null,
      note ? make("p", { class: "note", data: note }) : null,
    ),
    lines.length && !FOR_GOOD.includes(action) ? back : null,
  );
}

function line({ before, after, images: count }) {
  if (before == null) return ["log.added", { count, after }];
  if (after == null) return ["log.removed", { count, before }];
  return ["log.moved", { count, before, after }];
}
