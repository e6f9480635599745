// The nearest known images of a photograph: the first few, the others on demand.

import { send } from "./api.js";
import { show } from "./dialogs.js";
import { button, make, named } from "./elements.js";
import { enrolled } from "./pictures.js";
import { tell } from "./texts.js";
import { failed } from "./toasts.js";

const FIRST = 6;

/** Elements that show the neighbours of an item; `file` is its photograph. */
export function neighbourList(item, file) {
  if (!item.neighbours.length) return [];
  const rows = item.neighbours.map((neighbour) => row(neighbour, neighbour.label === item.label, file));
  const list = make("ol", { class: "neighbours" }, ...rows.slice(0, FIRST));
  const title = make("h3", { text: "answer.neighbours" });
  if (rows.length <= FIRST) return [title, list];
  const more = button("answer.more", () => {
    list.append(...rows.slice(FIRST));
    more.remove();
  }, "plain");
  tell(more, "answer.more", { count: rows.length - FIRST });
  return [title, list, more];
}

function row({ label, similarity, number, camera }, same, file) {
  const said = make("i", { class: "hidden", text: "answer.similarity" });
  const facts = [make("span", { class: "soft" }, said, " ", make("i", { text: ["value.similarity", { value: similarity }] }))];
  if (camera != null) facts.push(make("span", { class: "soft", text: ["answer.camera", { camera }] }));
  return make("li", { class: same ? "same" : null }, number ? enrolled(number) : null, make("b", { data: label }), ...facts, number ? why(file, number, label) : null);
}

/** A button that shows which regions of a photograph and of an enrolled one make them similar. */
function why(file, number, label) {
  const ask = button("why", async () => {
    ask.disabled = true;
    try {
      await shown(await send("/v1/explain", [file], { number }), label);
    } catch (error) {
      failed(error);
    } finally {
      ask.disabled = false;
      ask.focus();
    }
  }, "plain why");
  named(ask, "why.label", { label });
  return ask;
}

async function shown(answer, label) {
  const addresses = answer.pictures.map((jpeg) => URL.createObjectURL(picture(jpeg)));
  const names = [["why.image"], ["why.other", { label }]];
  const pair = addresses.map((address, place) =>
    make("figure", {}, make("img", { src: address, alt: "" }), make("figcaption", { class: "small", text: names[place] })));
  const how = answer.method === "exact" ? "why.exact" : "why.occlusion";
  const words = [
    make("p", { text: ["why.similarity", { value: answer.similarity }] }),
    make("div", { class: "pair" }, ...pair),
    make("p", { class: "soft small", text: how }),
  ];
  if (answer.note) words.push(make("p", { class: "soft small", text: ["why.note", { value: answer.explained }] }));
  await show("why.title", words);
  addresses.forEach((address) => URL.revokeObjectURL(address));
}

function picture(jpeg) {
  return new Blob([Uint8Array.from(atob(jpeg), (letter) => letter.charCodeAt(0))], { type: "image/jpeg" });
}
