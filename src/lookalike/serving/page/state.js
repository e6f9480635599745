// What the page knows of the gallery: its name, what this person may do, and its labels.

import { get } from "./api.js";
import { make, byId } from "./elements.js";
import { announce } from "./news.js";

const MOST_OFFERED = 2000; // labels in the lists of fields: browsers grow slow with more

export const state = { about: null, labels: [] };

let arrive;

/** What the service says of the gallery is there: photographs may be chosen before. */
export const arrived = new Promise((resolve) => (arrive = resolve));

/** Asks again; the other parts of the page hear of it. */
export async function refresh() {
  const [about, { labels }] = await Promise.all([get("/v1/gallery"), get("/v1/labels")]);
  Object.assign(state, { about, labels });
  arrive();
  document.body.dataset.right = about.right;
  byId("name").textContent = about.name;
  byId("counts").replaceChildren(
    make("i", { text: ["images", { count: about.images }] }), " · ", make("i", { text: ["gallery.count", { count: about.labels }] }),
  );
  byId("unknown-count").textContent = about.unknown;
  byId("unknown-count").hidden = !about.unknown;
  byId("labels").replaceChildren(...labels.slice(0, MOST_OFFERED).map(({ label }) => make("option", { value: label })));
  announce("refreshed");
}

/** To be called when the gallery was changed: everything that is shown becomes what it is now. */
export async function changed() {
  await refresh();
  announce("changed");
}
