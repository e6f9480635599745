// What was done, with one button that takes it back; and what went wrong.

import { post, Refusal } from "./api.js";
import { button, icon, make, byId } from "./elements.js";
import { changed } from "./state.js";
import { announce } from "./news.js";

const SECONDS = 15;

/** Says that something was done; `change` takes it back, null where there is nothing to take back. */
export function done(key, values, change = null) {
  const toast = made([key, values]);
  if (change) toast.prepend(toast.firstChild, button("undo", () => undo(change, toast)));
  shown(byId("toasts"), toast);
}

/** Tells what went wrong; other errors than the service's are faults of ours, and go on. */
export function failed(error) {
  if (!(error instanceof Refusal)) throw error;
  if (error.status === 401) return;
  const toast = made(null, error.line);
  toast.classList.add("wrong");
  shown(byId("alerts"), toast);
}

export async function undo(change, toast = null) {
  try {
    const { images } = await post("/v1/gallery/undo", { change });
    toast?.remove();
    done("undone", { count: images });
    announce("undone", change);
    await changed();
  } catch (error) {
    failed(error);
  }
}

function made(words, data) {
  const close = make("button", { type: "button", class: "plain close", label: "close" }, icon("close"));
  const toast = make("div", { class: "toast" }, make("span", { text: words, data }), close);
  close.addEventListener("click", () => toast.remove());
  return toast;
}

function shown(place, toast) {
  place.replaceChildren(toast);
  let left = setTimeout(() => toast.remove(), 1000 * SECONDS);
  const stay = () => clearTimeout(left);
  const leave = () => (left = setTimeout(() => toast.remove(), 1000 * SECONDS));
  toast.addEventListener("pointerenter", stay);
  toast.addEventListener("focusin", stay);
  toast.addEventListener("pointerleave", leave);
  toast.addEventListener("focusout", leave);
}
