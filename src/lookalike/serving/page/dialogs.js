// Questions that wait for an answer: a name, or yes.

import { button, labelField, make, byId } from "./elements.js";

/** Asks for a label; gives it, or null. */
export function askLabel(title, action, value = "") {
  const { input, field } = labelField("dialog.label", value);
  return asked(title, [field], make("button", { type: "submit", class: "primary", text: action }), () => input.value.trim() || null);
}

/** Asks whether something shall be done; gives true or null. */
export function confirm(title, text, action) {
  const words = make("p", { text });
  return asked(title, [words], make("button", { type: "submit", class: "danger", text: action }), () => true);
}

function asked(title, parts, action, value) {
  const dialog = byId("dialog");
  const cancel = button("cancel", () => dialog.close());
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
    const first = form.querySelector("input") || cancel;
    first.focus();
    first.select?.();
  });
}
