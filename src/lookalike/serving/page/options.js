// How photographs are asked: the limit below which a thing is unknown, whether unknown ones are kept, which labels.

import { icon, make, byId } from "./elements.js";
import { state } from "./state.js";

const REMEMBERED = "lookalike-asking";
const USUAL = { limit: true, percent: 5, keep: false };
let chosen = USUAL;
const only = new Set();

/** What is sent beside a photograph. */
export function asking() {
  const { labels, right, keeps_unknown: keeps } = state.about;
  const limited = chosen.limit && labels > 1; // a limit is chosen from how two labels or more differ
  return {
    ...(limited ? { false_accept_rate: chosen.percent / 100 } : {}),
    ...(limited && chosen.keep && keeps && right === "write" ? { keep_unknown: true } : {}),
    ...(only.size ? { where: { label: [...only] } } : {}),
  };
}

export function startOptions() {
  try {
    chosen = { ...USUAL, ...JSON.parse(localStorage.getItem(REMEMBERED)) };
  } catch {
    chosen = USUAL;
  }
  show();
  byId("keep").addEventListener("change", ({ target }) => keep({ keep: target.checked }));
  byId("limit-on").addEventListener("change", ({ target }) => keep({ limit: target.checked }));
  byId("rate").addEventListener("change", ({ target }) => {
    const percent = target.valueAsNumber;
    keep({ percent: target.validity.valid && percent ? percent : USUAL.percent });
  });
  byId("only-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const label = byId("only").value.trim();
    if (!state.labels.some((there) => there.label === label)) return byId("only").focus();
    only.add(label);
    byId("only").value = "";
    showOnly();
  });
}

/** Labels may be gone, and a service may keep no unknown images. */
export function renewOptions() {
  const there = new Set(state.labels.map(({ label }) => label));
  for (const label of only) if (!there.has(label)) only.delete(label);
  byId("keep-field").hidden = !state.about.keeps_unknown;
  showOnly();
}

function keep(values) {
  chosen = { ...chosen, ...values };
  localStorage.setItem(REMEMBERED, JSON.stringify(chosen));
  show();
}

function show() {
  byId("keep").checked = chosen.keep && chosen.limit;
  byId("keep").disabled = byId("rate").disabled = !chosen.limit;
  byId("limit-on").checked = chosen.limit;
  byId("rate").value = chosen.percent;
}

function showOnly() {
  const chips = [...only].map((label) => {
    const leave = () => {
      only.delete(label);
      showOnly();
      byId("only").focus();
    };
    const close = make("button", { type: "button", class: "plain close", label: ["ask.only.leave", { label }], on: { click: leave } });
    close.append(icon("close"));
    return make("li", { class: "chip" }, make("span", { data: label }), close);
  });
  byId("only-list").replaceChildren(...chips);
}
