// Photographs that were called unknown and kept, in groups that probably show the same: named, or thrown away.

import { get } from "./api.js";
import { discardUnknown, enrolUnknown } from "./changes.js";
import { confirm, meant } from "./dialogs.js";
import { button, labelField, make, named, byId } from "./elements.js";
import { kept } from "./pictures.js";
import { view } from "./router.js";
import { tell } from "./texts.js";

let drawn = ""; // what is on the page: a change elsewhere leaves half-made choices alone

const choices = new Map(); // name -> whether a person chose it; kept when the groups are drawn anew

export function startUnknown() {
  view("unknown", show);
}

async function show() {
  if (!byId("unknown-groups").children.length) tell(byId("unknown-text"), "unknown.looking");
  const answer = await get("/v1/unknown/groups");
  tell(byId("unknown-text"), answer.total ? "unknown.count" : "unknown.empty", { count: answer.total });
  const now = JSON.stringify(answer);
  if (now === drawn) return;
  drawn = now;
  const groups = answer.groups.map((group, place) => card(["unknown.group", { number: place + 1 }], group.names, true, group));
  if (answer.alone.length) groups.push(card(["unknown.alone"], answer.alone, false));
  byId("unknown-groups").replaceChildren(...groups);
}

function card(title, images, all, group = {}) {
  const boxes = images.map((name) => box(name, all));
  const chosen = () => boxes.filter(({ checked }) => checked).map(({ value }) => value);
  const { input, field } = labelField("answer.what");
  const enrol = make("button", { type: "submit", class: "primary", text: "unknown.enrol" });
  const discard = button("unknown.discard", async () => {
    const names = chosen();
    if (await confirm(["unknown.discard.title", { count: names.length }], "unknown.discard.text", "unknown.discard")) await discardUnknown(names);
  }, "danger");
  const count = make("p", { class: "soft small", role: "status" });
  const show = () => {
    const number = chosen().length;
    tell(count, "unknown.chosen", { count: number, all: images.length });
    enrol.disabled = discard.disabled = !number;
  };
  show();
  const form = make("form", { class: "naming write" }, field, make("div", { class: "row" }, enrol, discard));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const label = input.value.trim() && (await meant(input.value.trim()));
    if (label) enrolUnknown(chosen(), label);
  });
  const near = group.nearest ? make("p", { class: "soft", text: ["unknown.near", { nearest: group.nearest, similarity: group.similarity }] }) : null;
  const list = make("ul", { class: "images" }, ...boxes.map(picture));
  list.addEventListener("change", show);
  return make("article", { class: "card group" }, make("h2", { text: title }), near, count, list, form);
}

function box(name, checked) {
  const made = make("input", { type: "checkbox", class: "write", value: name });
  made.checked = choices.get(name) ?? checked;
  made.addEventListener("change", () => choices.set(name, made.checked));
  named(made, "label.choose", { name });
  return made;
}

function picture(box) {
  return make("li", {}, make("label", {}, box, kept(box.value, box.value)));
}
