// What stands below an answer to teach the gallery: it is right, it is something else, it is known as that already.

import { meant } from "./dialogs.js";
import { button, icon, labelField, make } from "./elements.js";

const OFFERED = 3; // labels of neighbours, each a button

export const unknown = (item) => item.score == null;

/** Elements that ask what a photograph is; `teach` takes the label. `item` is null where nothing was answered. */
export function teaching(item, teach) {
  const { input, field } = labelField(item && !unknown(item) ? "answer.other" : "answer.what");
  const labels = [...new Set((item?.neighbours || []).map(({ label }) => label))].filter((label) => label !== item.label);
  const chips = labels.slice(0, OFFERED).map((label) => make("button", { type: "button", class: "chip", data: label, on: { click: () => teach(label) } }));
  const form = make(
    "form", { class: "stack", hidden: item != null && !unknown(item) },
    chips.length ? make("p", { class: "soft small", text: "answer.perhaps" }) : null,
    chips.length ? make("div", { class: "chips", role: "group", label: "answer.perhaps" }, ...chips) : null,
    make("div", { class: "joined" }, field, make("button", { type: "submit", class: "primary", text: "answer.enrol" })),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const label = input.value.trim() && (await meant(input.value.trim()));
    if (label) teach(label);
  });
  if (!item || unknown(item)) return [form];
  const right = button("answer.right", () => teach(item.label), "primary");
  right.prepend(icon("check"));
  const other = button("answer.not", () => {
    form.hidden = !form.hidden;
    other.setAttribute("aria-expanded", String(!form.hidden));
    if (form.hidden) return;
    input.focus();
    input.scrollIntoView({ block: "nearest" });
  });
  other.setAttribute("aria-expanded", "false");
  return [make("div", { class: "row" }, right, other), form];
}

/** Elements that offer to move a photograph, enrolled already, to what it was called now. */
export function moving(label, to, act) {
  return [
    make("p", { text: ["answer.known", { label, to }] }),
    make("div", { class: "row" }, make("button", { type: "button", class: "primary", text: ["health.move", { label: to }], on: { click: act } })),
  ];
}
