// The labels of the gallery: matching, opened, made byId, taken out.

import { forgetLabel, merge, removeLabel } from "./changes.js";
import { askLabel, confirm } from "./dialogs.js";
import { make, byId } from "./elements.js";
import { state } from "./state.js";
import { enrolled } from "./pictures.js";
import { labelAddress, view } from "./router.js";
import { Selection } from "./selection.js";
import { tell } from "./texts.js";

const AT_ONCE = 120; // labels that are drawn
let most = AT_ONCE;
let selection;

export function startGallery() {
  selection = new Selection(byId("label-bar"), [
    ["gallery.merge", mergeChosen, "primary"],
    ["gallery.remove", removeLabel],
    ["gallery.forget", forgetChosen, "danger"],
  ]);
  byId("search").addEventListener("input", () => {
    most = AT_ONCE;
    show();
  });
  byId("more-labels").addEventListener("click", () => {
    const next = byId("label-list").children.length;
    most += AT_ONCE;
    show();
    byId("label-list").children[next]?.querySelector("a").focus();
  });
  view("gallery", show);
}

function show() {
  const wanted = folded(byId("search").value.trim());
  const matching = state.labels.filter(({ label }) => folded(label).includes(wanted));
  selection.keep(state.labels.map(({ label }) => label));
  byId("label-list").replaceChildren(...matching.slice(0, most).map(row));
  byId("more-labels").hidden = matching.length <= most;
  if (!state.labels.length) tell(byId("gallery-shown"), "gallery.empty");
  else tell(byId("gallery-shown"), wanted ? "gallery.found" : "gallery.count", { count: matching.length });
}

const folded = (label) => label.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

function row({ label, images, number }) {
  const link = make(
    "a", { href: labelAddress(label) }, enrolled(number),
    make("span", {}, make("b", { data: label }), make("small", { class: "soft", text: ["images", { count: images }] })),
  );
  return make("li", {}, link, make("span", { class: "box write" }, selection.box(label, "gallery.choose", { label })));
}

async function mergeChosen(labels) {
  const to = await askLabel(["gallery.merge.title", { count: labels.length }], "gallery.merge", labels.length > 1 ? labels[0] : "");
  if (to && (await merge(labels, to)) !== undefined) selection.clear();
}

async function forgetChosen(labels) {
  const count = state.labels.reduce((sum, { label, images }) => sum + (labels.includes(label) ? images : 0), 0);
  if (!(await confirm(["forget.title", { count }], "forget.text", "forget.do"))) return;
  await forgetLabel(labels);
}
