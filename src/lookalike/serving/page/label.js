// One label: its images, which can be moved or taken out, and its name.

import { get } from "./api.js";
import { enrol, forgetImages, forgetLabel, merge, move, removeImages, removeLabel, rename } from "./changes.js";
import { askLabel, confirm } from "./dialogs.js";
import { button, make, byId } from "./elements.js";
import { state } from "./state.js";
import { enrolled } from "./pictures.js";
import { go, view } from "./router.js";
import { Selection } from "./selection.js";
import { tell } from "./texts.js";

const AT_ONCE = 48;
let shown = { label: "", total: 0, images: [] };
let wanted = "";
let selection;
let heir = null; // what the label is called next, while it is renamed

export function startLabel() {
  selection = new Selection(byId("image-bar"), [
    ["label.move", moveChosen, "primary"],
    ["label.remove", removeImages],
    ["label.forget", forgetChosen, "danger"],
  ]);
  const files = make("input", { type: "file", accept: "image/*", multiple: true, id: "add-images" });
  files.addEventListener("change", () => {
    enrol([...files.files], shown.label);
    files.value = "";
  });
  byId("label-actions").replaceChildren(
    make("label", { class: "button" }, files, make("span", { text: "label.add" })),
    button("label.rename", renameShown),
    button("label.removeAll", () => removeLabel(shown.label)),
    button("label.forgetAll", forgetShown, "danger"),
  );
  byId("more-images").addEventListener("click", more);
  view("label", show);
}

async function show(label) {
  if (!state.labels.some((there) => there.label === label)) return heir ? go("label", heir) : go("gallery");
  const most = label === shown.label ? Math.max(AT_ONCE, shown.images.length) : AT_ONCE;
  wanted = label;
  byId("label-actions").inert = label !== shown.label; // they are of the label that is shown
  const answer = await get("/v1/gallery/images", { label, most });
  if (label !== wanted) return; // a later one is shown already, or will be
  if (label !== shown.label) selection.clear();
  shown = { label, total: answer.total, images: answer.items };
  selection.keep(answer.items.map(({ number }) => number));
  byId("label-title").textContent = label;
  byId("image-list").replaceChildren(...answer.items.map(row));
  byId("label-actions").inert = false;
  count();
}

async function more() {
  const { label } = shown;
  const first = shown.images.length;
  byId("more-images").disabled = true;
  const { total, items: images } = await get("/v1/gallery/images", { label, first, most: AT_ONCE }).finally(() => {
    byId("more-images").disabled = false;
  });
  if (label !== wanted || label !== shown.label || first !== shown.images.length) return; // it is not shown any more
  shown = { ...shown, total, images: [...shown.images, ...images] };
  const rows = images.map(row);
  byId("image-list").append(...rows);
  count();
  rows[0]?.querySelector("input")?.focus();
}

function count() {
  tell(byId("label-count"), "images", { count: shown.total });
  byId("more-images").hidden = shown.images.length >= shown.total;
}

function row({ number, source, camera, time }) {
  const name = source.split(/[\\/]/).at(-1);
  const words = make("span", { class: "name small", data: name, title: source });
  const facts = make("span", { class: "soft small", text: ["label.day", { time: time.slice(0, 10) }] });
  const from = camera == null ? null : make("span", { class: "soft small", text: ["answer.camera", { camera }] });
  return make("li", {}, make("label", {}, selection.box(number, "label.choose", { name }), enrolled(number, name), words, facts, from));
}

async function moveChosen(images) {
  const to = await askLabel(["label.move.title", { count: images.length }], "label.move");
  if (to && (await move(images, to)) !== undefined) selection.clear();
}

async function forgetChosen(images) {
  if (await confirm(["forget.title", { count: images.length }], "forget.text", "forget.do")) await forgetImages(images);
}

async function forgetShown() {
  const count = shown.total;
  if (await confirm(["forget.title", { count }], "forget.text", "forget.do")) await forgetLabel(shown.label);
}

/** Another name; where a label has that name already, both are made one if that is meant. */
async function renameShown() {
  const { label } = shown;
  const to = await askLabel(["label.rename.title", { label }], "label.rename", label, label);
  if (!to || to === label) return;
  const there = state.labels.some((other) => other.label === to);
  if (there && !(await confirm(["label.same.title", { label, to }], ["label.same.text", { to }], "gallery.merge"))) return;
  heir = to;
  await (there ? merge([label], to) : rename(label, to));
  heir = null;
}
