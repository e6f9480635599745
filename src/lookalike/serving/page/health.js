// What should be looked at: images that are probably wrong, labels with few images, the share of unknown ones.

import { get } from "./api.js";
import { confirmImages, move, removeImages } from "./changes.js";
import { dayChart } from "./days.js";
import { button, make, byId } from "./elements.js";
import { state } from "./state.js";
import { enrolled } from "./pictures.js";
import { labelAddress, view } from "./router.js";
import { tell } from "./texts.js";

export function startHealth() {
  view("health", show);
}

async function show() {
  if (!state.about.images) {
    tell(byId("health-text"), "gallery.empty");
    return byId("health-parts").replaceChildren();
  }
  if (!byId("health-parts").children.length) tell(byId("health-text"), "health.looking");
  const health = await get("/v1/gallery/health");
  tell(byId("health-text"), "health.count", { count: health.asked, all: health.images });
  byId("health-parts").replaceChildren(wrong(health.doubts), few(health.few), days(health.days), kept(health.kept));
}

function part(title, text, empty, ...children) {
  const shown = children.filter(Boolean);
  return make("section", {}, make("h2", { text: title }), make("p", { class: "soft", text: shown.length ? text : empty }), ...shown);
}

function wrong(doubts) {
  const list = doubts.length && make("ul", { class: "doubts" }, ...doubts.map(doubt));
  return part(["health.wrong", { count: doubts.length }], "health.wrong.text", "health.wrong.none", list);
}

function doubt({ number, label, suggestion, similarity }) {
  const shift = button("health.move", () => move([number], suggestion), "primary");
  tell(shift, "health.move", { label: suggestion });
  return make(
    "li", { class: "card" }, enrolled(number, label),
    make(
      "div", { class: "what" },
      make("p", {}, make("span", { class: "soft", text: "health.is" }), " ", make("a", { href: labelAddress(label), data: label })),
      make("p", {}, make("span", { class: "soft", text: "health.perhaps" }), " ", make("b", { data: suggestion }), " ",
        make("span", { class: "soft", text: ["health.similarity", { similarity }] })),
      make("div", { class: "row write" }, shift, button("health.right", () => confirmImages([number])), button("label.remove", () => removeImages([number]))),
    ),
  );
}

function few(labels) {
  const rows = labels.map(({ label, images, number }) =>
    make("li", {}, make(
      "a", { href: labelAddress(label) }, enrolled(number),
      make("span", {}, make("b", { data: label }), make("small", { class: "soft", text: ["images", { count: images }] })),
    )));
  return part(["health.few", { count: labels.length }], "health.few.text", "health.few.none", rows.length && make("ul", { class: "labels" }, ...rows));
}

/** How many unknown photographs are kept; where there is no room, it is said that more are not. */
function kept({ images, bytes, most_images, most_bytes, not_kept }) {
  if (!state.about.keeps_unknown) return "";
  const full = images >= most_images || bytes >= most_bytes || not_kept;
  const lost = full ? make("p", { class: "error", text: ["health.kept.lost", { count: not_kept }] }) : null;
  return make(
    "section", {}, make("h2", { text: "health.kept" }),
    make("p", { class: "soft", text: ["health.kept.text", { count: images, most: most_images, megabytes: bytes / 1e6, mostMegabytes: most_bytes / 1e6 }] }), lost,
  );
}

function days(counts) {
  return part("health.days", "health.days.text", "health.days.none", counts.length && dayChart(counts));
}
