// Which part of the page is shown: the address after # says it, so that the browser's own Back works.

import { Refusal } from "./api.js";
import { fault, byId } from "./elements.js";
import { refresh } from "./state.js";

const views = new Map(); // name -> what shows it
const OVER = { label: "gallery", log: "gallery" }; // parts inside another

export function view(name, show = () => {}) {
  views.set(name, show);
}

/** Goes elsewhere, as what the address names is not there any more. */
export function go(name, argument = "") {
  location.replace(argument ? `#/${name}/${encodeURIComponent(argument)}` : `#/${name}`);
}

export const labelAddress = (label) => `#/label/${encodeURIComponent(label)}`;

/** Shows what the address says; where a person came by a link, its heading gets the focus. */
export async function route({ arrived = true } = {}) {
  const [name] = place();
  for (const section of document.querySelectorAll(".view")) section.hidden = section.id !== `view-${name}`;
  for (const link of byId("nav").children)
    if (link.dataset.view === (OVER[name] || name)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  await tried(async () => {
    if (arrived) await refresh(); // others change the gallery, too
    await shown();
  });
  if (!arrived) return;
  heading().focus({ preventScroll: true });
  scrollTo(0, 0);
}

/** Shows the same part anew, as something changed; what had the focus may be gone. */
export async function again() {
  await tried(shown);
  if (document.activeElement === document.body) heading().focus({ preventScroll: true });
}

const heading = () => document.querySelector(`#view-${place()[0]} h1`);

async function shown() {
  const [name, argument] = place();
  await views.get(name)(argument);
}

async function tried(work) {
  fault(byId("failed"), "");
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.status !== 401) fault(byId("failed"), error.line);
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
