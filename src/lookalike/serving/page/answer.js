// A card: a photograph, what it is called and why, and the two buttons that teach the gallery.

import { Refusal } from "./api.js";
import { enrol } from "./changes.js";
import { button, fault, icon, labelField, make } from "./elements.js";
import { neighbourList } from "./neighbours.js";
import { chosen } from "./pictures.js";
import { labelAddress } from "./router.js";
import { tell, text } from "./texts.js";

const OFFERED = 3; // labels of neighbours, each a button
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

  const teach = async (label) => {
    const inside = parts.actions.contains(document.activeElement);
    parts.actions.inert = true;
    const change = await enrol([file], label);
    parts.actions.inert = false;
    if (change === undefined) return;
    card.change = change;
    parts.actions.hidden = true;
    parts.taught.replaceChildren(
      icon("check"), make("span", { text: ["answer.enrolled", { label }] }),
      make("a", { href: labelAddress(label), text: "answer.open" }),
    );
    parts.taught.hidden = false;
    if (inside) parts.taught.focus();
  };
  const offer = (item) => parts.actions.replaceChildren(...teaching(item, teach));

  return Object.assign(card, {
    close,
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
      if (error.kind !== "image") offer(null);
    },
    takenBack(change) {
      if (!change || change !== card.change) return;
      card.change = null;
      parts.taught.hidden = true;
      parts.actions.hidden = false;
    },
  });
}

const unknown = (item) => item.score == null;

function made(file, image) {
  const id = `answer-${++count}`;
  const close = make("button", { type: "button", class: "plain close", label: ["answer.close", { name: file.name }] }, icon("close"));
  const label = make("h2", { id, class: "verdict", text: "answer.looking" });
  const waiting = make("div", { class: "waiting", "aria-hidden": "true" });
  const reasons = make("div", { class: "reasons" });
  const actions = make("div", { class: "teach write" });
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
  return { element, close, label, waiting, reasons, actions, taught, near, fault: wrong };
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
  if (answer.kept?.length) parts.reasons.append(make("p", { class: "small" }, make("a", { href: "#/unknown", text: "answer.kept" })));
  parts.near.replaceChildren(...neighbourList(item));
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

function teaching(item, teach) {
  const { input, field } = labelField(item && !unknown(item) ? "answer.other" : "answer.what");
  const labels = [...new Set((item?.neighbours || []).map(({ label }) => label))].filter((label) => label !== item.label);
  const chips = labels.slice(0, OFFERED).map((label) => make("button", { type: "button", class: "chip", data: label, on: { click: () => teach(label) } }));
  const form = make(
    "form", { class: "stack", hidden: item != null && !unknown(item) },
    chips.length ? make("p", { class: "soft small", text: "answer.perhaps" }) : null,
    chips.length ? make("div", { class: "chips", role: "group", label: "answer.perhaps" }, ...chips) : null,
    make("div", { class: "joined" }, field, make("button", { type: "submit", class: "primary", text: "answer.enrol" })),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (input.value.trim()) teach(input.value.trim());
  });
  if (!item || unknown(item)) return [form];
  const right = button("answer.right", () => teach(item.label), "primary");
  right.prepend(icon("check"));
  const other = button("answer.not", () => {
    form.hidden = !form.hidden;
    other.setAttribute("aria-expanded", String(!form.hidden));
    if (!form.hidden) input.focus();
  });
  other.setAttribute("aria-expanded", "false");
  return [make("div", { class: "row" }, right, other), form];
}
