// The nearest known images of a photograph: the first few, the others on demand.

import { button, make } from "./elements.js";
import { enrolled } from "./pictures.js";
import { tell } from "./texts.js";

const FIRST = 6;

/** Elements that show the neighbours of an item. */
export function neighbourList(item) {
  if (!item.neighbours.length) return [];
  const rows = item.neighbours.map((neighbour) => row(neighbour, neighbour.label === item.label));
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

function row({ label, similarity, number, camera }, same) {
  const said = make("i", { class: "hidden", text: "answer.similarity" });
  const facts = [make("span", { class: "soft" }, said, " ", make("i", { text: ["value.similarity", { value: similarity }] }))];
  if (camera != null) facts.push(make("span", { class: "soft", text: ["answer.camera", { camera }] }));
  return make("li", { class: same ? "same" : null }, number ? enrolled(number) : null, make("b", { data: label }), ...facts);
}
