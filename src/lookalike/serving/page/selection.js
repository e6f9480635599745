// Chosen things of a list, and the bar of what can be done with them.

import { button, icon, make, named } from "./elements.js";
import { tell } from "./texts.js";

export class Selection {
  /**
   * @param {HTMLElement} bar Shown while something is chosen.
   * @param {Array<[string, (chosen: Array) => void, string?]>} verbs Key of a text, what it does, kind of button.
   */
  constructor(bar, verbs) {
    this.chosen = new Set();
    this.bar = bar;
    this.count = make("b", {});
    const leave = make("button", { type: "button", class: "plain close", label: "selection.leave", on: { click: () => this.clear() } }, icon("close"));
    const buttons = verbs.map(([key, act, kind]) => button(key, () => act([...this.chosen]), kind));
    bar.replaceChildren(leave, this.count, make("span", { class: "row" }, ...buttons));
  }

  /** A box that chooses a thing; `name` and `values` say what it is. */
  box(thing, key, values) {
    const box = make("input", { type: "checkbox", class: "write" });
    box.thing = thing;
    named(box, key, values);
    box.checked = this.chosen.has(thing);
    box.addEventListener("change", () => {
      if (box.checked) this.chosen.add(thing);
      else this.chosen.delete(thing);
      this.show();
    });
    return box;
  }

  /** Only these are there still. */
  keep(things) {
    const there = new Set(things);
    for (const thing of this.chosen) if (!there.has(thing)) this.chosen.delete(thing);
    this.show();
  }

  clear() {
    this.chosen.clear();
    for (const box of this.bar.parentElement.querySelectorAll("input.write:checked")) box.checked = false;
    this.show();
  }

  show() {
    this.bar.hidden = !this.chosen.size;
    tell(this.count, "selection.count", { count: this.chosen.size });
  }
}
