// Elements from names and values. Labels, names of files and notes are data: they become text, never markup.

import { tell, text } from "./texts.js";

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

/**
 * An element.
 * `text` is the key of a text, or [key, values]; `data` is text as it is; `label` names it for a screen reader;
 * `on` holds what listens; all else are attributes, those that are false or null aside.
 */
export function make(tag, { text: words, data, label, on = {}, ...attributes } = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  if (words) tell(element, ...[words].flat());
  if (data != null) element.textContent = data;
  if (label) named(element, ...[label].flat());
  for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener);
  element.append(...children.filter((child) => child != null && child !== false));
  return element;
}

/** Names an element for a screen reader, in the language that is shown. */
export function named(element, key, values = {}) {
  element.dataset.label = key;
  element.dataset.labelValues = JSON.stringify(values);
  element.setAttribute("aria-label", text(key, values));
}

export function button(key, listener, kind = "") {
  return make("button", { type: "button", class: kind || null, text: key, on: { click: listener } });
}

export function icon(name) {
  const drawing = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  drawing.setAttribute("aria-hidden", "true");
  drawing.append(use);
  return drawing;
}

/** A field in which a label is written: those that there are, are offered. */
export function labelField(key, value = "") {
  const input = make("input", { list: "labels", autocomplete: "off", autocapitalize: "sentences", maxlength: 1000, required: true });
  input.value = value;
  return { input, field: make("label", { class: "field" }, make("span", { text: key }), input) };
}

/** Shows a line of what went wrong, or takes it away. */
export function fault(element, message) {
  element.hidden = !message;
  element.textContent = message || "";
}
