// The share of unknown photographs per day: bars to look at, and the same as a table to read.

import { make } from "./elements.js";

const LINES = [1, 0.5, 0]; // shares with a line of their own

/** A figure of days, each with how many images were asked and how many of them were unknown. */
export function dayChart(days) {
  const bars = make("div", { class: "bars", "aria-hidden": "true" }, ...days.map(bar));
  const lines = make("div", { class: "lines", "aria-hidden": "true" }, ...LINES.map((value) => make("span", {}, make("b", { text: ["value.percent", { value }] }))));
  const ends = days.length > 1 ? [days[0], days.at(-1)] : days;
  const dates = make("div", { class: "ends soft small", "aria-hidden": "true" }, ...ends.map(({ day }) => make("span", { text: ["value.day", { value: day }] })));
  return make("figure", { class: "days" }, make("div", { class: "plot" }, lines, bars), dates, table(days));
}

const share = ({ images, unknown }) => (images ? unknown / images : 0);

function bar(day) {
  const made = make("i", {});
  made.style.height = `${100 * share(day)}%`;
  return make("span", {}, made);
}

function table(days) {
  const heads = ["health.day", "health.asked", "health.unknown", "health.share"].map((text) => make("th", { scope: "col", text }));
  const rows = days.map((day) =>
    make("tr", {},
      make("th", { scope: "row", text: ["value.day", { value: day.day }] }),
      make("td", { data: String(day.images) }), make("td", { data: String(day.unknown) }),
      make("td", { text: ["value.percent", { value: share(day) }] })));
  return make("details", {}, make("summary", { text: "health.table" }),
    make("div", { class: "scroll" }, make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows.reverse()))));
}
