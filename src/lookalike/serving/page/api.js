// Asks the service. The token, where one is needed, stays in this tab and is sent as a header, never in an address.

import { hasText, needed, text } from "./texts.js";
import { announce } from "./news.js";

const KEPT = "lookalike-token";
const TRIES = 4;
const SAID = ["token", "read_only", "busy", "empty"]; // of which the service's own words tell a person no more

/** Why the service did not do it, in words for a person. */
export class Refusal extends Error {
  constructor(status, code, message, fields = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.fields = fields;
  }

  /** One line in the reader's language; the service's own words, which are English, stand behind it where they say more. */
  get line() {
    const key = `error.${this.code}`;
    const names = hasText(key) && needed(key).every((name) => name in this.fields);
    const own = text(names ? key : "error.other", { ...this.fields, megabytes: (this.fields.bytes || 0) / 1e6 });
    const said = names && (SAID.includes(this.code) || needed(key).length);
    return this.message && !said ? `${own} (${this.message})` : own;
  }
}

export const token = () => sessionStorage.getItem(KEPT);

export function keepToken(value) {
  if (value) sessionStorage.setItem(KEPT, value);
  else sessionStorage.removeItem(KEPT);
}

export async function get(address, query = {}) {
  const asked = new URLSearchParams(query).toString();
  return (await request(asked ? `${address}?${asked}` : address)).json();
}

export async function post(address, values) {
  const headers = { "Content-Type": "application/json" };
  return (await request(address, { method: "POST", headers, body: JSON.stringify(values) })).json();
}

/** Sends pictures as they are, with what else is said of them. */
export async function send(address, files, fields = {}) {
  const form = new FormData();
  for (const file of files) form.append("image", file, file.name || "photograph.jpg");
  for (const [name, value] of Object.entries(fields))
    form.append(name, typeof value === "object" ? JSON.stringify(value) : String(value));
  return (await request(address, { method: "POST", body: form })).json();
}

/** A picture that the browser cannot show itself, such as HEIC, as the service reads it. */
export async function preview(file) {
  const form = new FormData();
  form.append("image", file, file.name || "photograph");
  return (await request("/v1/preview", { method: "POST", body: form })).blob();
}

export async function blob(address) {
  return (await request(address)).blob();
}

async function request(address, options = {}) {
  const headers = { ...options.headers, ...(token() ? { Authorization: `Bearer ${token()}` } : {}) };
  for (let trial = 1; ; trial++) {
    let answer;
    try {
      answer = await fetch(address, { ...options, headers });
    } catch {
      throw new Refusal(0, "network", "");
    }
    if (answer.ok) return answer;
    const refusal = await refused(answer);
    if (refusal.code === "busy" && trial < TRIES) {
      await new Promise((later) => setTimeout(later, 1000 * trial));
      continue;
    }
    if (answer.status === 401) announce("signed-out");
    throw refusal;
  }
}

async function refused(answer) {
  try {
    const { error } = await answer.json();
    return new Refusal(answer.status, error.code, error.message, error.fields);
  } catch {
    return new Refusal(answer.status, "other", String(answer.status));
  }
}
