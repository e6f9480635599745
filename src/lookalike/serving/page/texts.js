// Every text that a person reads, in the language that they read: from texts.<language>.json, nowhere else.

const LANGUAGES = ["en", "ru"];
const REMEMBERED = "lookalike-language";
const FORMS = {
  percent: (value, language) => new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 }).format(value),
  whole: (value, language) => new Intl.NumberFormat(language, { maximumFractionDigits: 0 }).format(value),
  similarity: (value, language) =>
    new Intl.NumberFormat(language, { minimumFractionDigits: 2, maximumFractionDigits: 2 }).format(value),
  moment: (value, language) =>
    new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(new Date(value)),
  day: (value, language) =>
    new Intl.DateTimeFormat(language, { day: "numeric", month: "short" }).format(new Date(`${value}T12:00:00`)),
};
let texts = {};
let plurals = new Intl.PluralRules("en");

/** The language that is shown: the one that was chosen, else the first of the browser's that there is. */
export function language() {
  const wanted = [localStorage.getItem(REMEMBERED), ...(navigator.languages || [navigator.language])];
  return wanted.map((name) => (name || "").slice(0, 2)).find((name) => LANGUAGES.includes(name)) || LANGUAGES[0];
}

/** Reads the texts, and puts them into the page; `chosen` is remembered. */
export async function speak(chosen) {
  if (chosen) localStorage.setItem(REMEMBERED, chosen);
  const name = language();
  texts = await (await fetch(`/static/texts.${name}.json`)).json();
  plurals = new Intl.PluralRules(name);
  document.documentElement.lang = name;
  translate(document);
}

/** A text. `{count}` stands for a value, `{share:percent}` for one in that form; `count` chooses the plural. */
export function text(key, values = {}) {
  const entry = texts[key] ?? key;
  const pattern = typeof entry === "string" ? entry : entry[plurals.select(values.count)];
  return pattern.replace(/\{(\w+)(?::(\w+))?\}/g, (_, name, form) => shown(values[name], form));
}

/** The names of the values that stand in a text, those aside that are made of others. */
export function needed(key) {
  const patterns = typeof texts[key] === "string" ? [texts[key]] : Object.values(texts[key]);
  const names = patterns.flatMap((pattern) => [...pattern.matchAll(/\{(\w+)/g)].map(([, name]) => name));
  return [...new Set(names.map((name) => (name === "megabytes" ? "bytes" : name)))];
}

export function hasText(key) {
  return key in texts;
}

/** Gives an element a text that follows the language. */
export function tell(element, key, values = {}) {
  element.dataset.text = key;
  element.dataset.values = JSON.stringify(values);
  element.textContent = text(key, values);
}

function translate(root) {
  for (const element of root.querySelectorAll("[data-text]"))
    element.textContent = text(element.dataset.text, JSON.parse(element.dataset.values || "{}"));
  for (const element of root.querySelectorAll("[data-label]"))
    element.setAttribute("aria-label", text(element.dataset.label, JSON.parse(element.dataset.labelValues || "{}")));
  for (const element of root.querySelectorAll("[data-placeholder]"))
    element.placeholder = text(element.dataset.placeholder);
}

function shown(value, form) {
  const name = document.documentElement.lang;
  if (form) return FORMS[form](value, name);
  return typeof value === "number" ? new Intl.NumberFormat(name).format(value) : String(value);
}
