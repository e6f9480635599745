// Which part of the page is shown: the address after # says it, so that the browser's own Back works.

import { fault, one } from "./elements.js";
import { Refusal } from "./api.js";

const views = new Map(); // name -> what shows it
const OVER = { label: "gallery", log: "gallery" }; // parts inside another
let current = null;

export function view(name, show = () => {}) {
  views.set(name, show);
}

/** Goes elsewhere, as what the address names is not there any more. */
export function go(name, argument = "") {
  location.replace(argument ? `#/${name}/${encodeURIComponent(argument)}` : `#/${name}`);
}

export const labelAddress = (label) => `#/label/${encodeURIComponent(label)}`;

/** Shows what the address says; a heading gets the focus where a person came by a link. */
export async function route({ focus = true } = {}) {
  const [name, argument] = place();
  for (const section of document.querySelectorAll(".view")) section.hidden = section.id !== `view-${name}`;
  for (const link of one("nav").children)
    if (link.dataset.view === (OVER[name] || name)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  const moved = current !== location.hash;
  current = location.hash;
  await again();
  if (moved && focus) {
    document.querySelector(`#view-${name} h1`).focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  return argument;
}

/** Shows the same part anew, as something changed. */
export async function again() {
  const [name, argument] = place();
  fault(one("failed"), "");
  try {
    await views.get(name)(argument);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.status === 401) return;
    fault(one("failed"), error.line);
  }
}

function place() {
  const [, name = "", argument = ""] = /^#\/(\w+)(?:\/(.*))?$/.exec(location.hash) || [];
  let decoded = "";
  try {
    decoded = decodeURIComponent(argument);
  } catch {
    return ["ask", ""];
  }
  return views.has(name) ? [name, decoded] : ["ask", ""];
}
