// Questions that wait for an answer: a name, or yes.

import { button, labelField, make, byId } from "./elements.js";
import { state } from "./state.js";

/** Asks for a label; gives it, or null. `own` is the one that is changed, if any. */
export async function askLabel(title, action, value = "", own = null) {
  const { input, field } = labelField("dialog.label", value);
  const label = await asked(title, [field], make("button", { type: "submit", class: "primary", text: action }), () => input.value.trim() || null);
  return label && meant(label, own);
}

const plain = (label) => label.normalize("NFKC").toLowerCase().replace(/\s+/g, "");

/** The label that is meant: one that is there but for case or blanks is offered first; null where a person leaves. */
export async function meant(label, own = null) {
  const alike = state.labels.filter((there) => plain(there.label) === plain(label));
  if (alike.some((there) => [label, own].includes(there.label)) || !alike.length) return label;
  const { label: there } = alike.reduce((most, other) => (other.images > most.images ? other : most));
  let given = there;
  const other = button("alike.new", () => {
    given = label;
    byId("dialog").querySelector("form").requestSubmit();
  });
  const use = make("button", { type: "submit", class: "primary", text: ["alike.use", { label: there }] });
  return asked(["alike.title", { label }], [], make("span", { class: "row end" }, other, use), () => given);
}

/** Asks whether something shall be done; gives true or null. */
export function confirm(title, text, action) {
  const words = make("p", { text });
  return asked(title, [words], make("button", { type: "submit", class: "danger", text: action }), () => true);
}

/** Shows something until it is closed. */
export function show(title, parts) {
  return asked(title, parts, null, () => true);
}

function asked(title, parts, action, value) {
  const dialog = byId("dialog");
  const cancel = button(action ? "cancel" : "close", () => dialog.close());
  const form = make(
    "form", { class: "stack" }, make("h2", { id: "dialog-title", text: title }), ...parts,
    make("div", { class: "row end" }, cancel, action),
  );
  dialog.replaceChildren(form);
  return new Promise((answer) => {
    let given = null;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      given = value();
      if (given != null) dialog.close();
    });
    dialog.addEventListener("close", () => answer(given), { once: true });
    dialog.showModal();
    const first = form.querySelector("input, .primary") || cancel;
    first.focus();
    first.select?.();
  });
}
