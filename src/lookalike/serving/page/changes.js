// The verbs that change a gallery: each is report with a way back, and the other parts of the page hear of it.

import { post, send } from "./api.js";
import { changed } from "./state.js";
import { done, failed } from "./toasts.js";

const MOST_BYTES = 40e6; // of one request; a service takes 64 MB unless it was started otherwise
const MOST_FILES = 32;
const MOST_NAMES = 500; // of kept images in one request, which may take only so long

export const rename = (label, to) => verb("rename", { label, to }, "done.rename", { to });
export const merge = (labels, to) => verb("merge", { labels, to }, "done.merge", { to });
export const move = (image, to) => verb("move", { image, to }, "done.move", { to });
export const confirmImages = (image) => verb("confirm", { image }, "done.confirm");
export const removeImages = (image) => verb("remove", { image }, "done.remove");
/** Of one label, or of several in one change, so that one Undo brings them back. */
export const removeLabel = (label) => verb("remove", { label }, "done.remove");
export const forgetImages = (image) => verb("forget", { image }, "done.forget", {}, false);
export const forgetLabel = (label) => verb("forget", { label }, "done.forget", {}, false);

/**
 * Enrols photographs under a label; gives the number of the change, or undefined where it failed.
 * `otherwise` is asked what to do with a refusal first: true where that is all.
 */
export async function enrol(files, label, otherwise) {
  let change;
  for (const batch of batches([...files])) {
    const answer = await tried(() => send("/v1/gallery/add", batch, { label }), otherwise);
    if (!answer) return undefined;
    change = await report(answer, answer.images ? "done.add" : "done.there", { to: label });
  }
  return change;
}

export const enrolUnknown = (names, label) =>
  partByPart("enrol", names, { label }, ({ change }) => (change ? "done.add" : "done.there"), { to: label });

export const discardUnknown = (names) => partByPart("discard", names, {}, () => "done.discard", {});

async function partByPart(name, names, values, key, words) {
  for (let first = 0; first < names.length; first += MOST_NAMES) {
    const part = names.slice(first, first + MOST_NAMES);
    const answer = await tried(() => post(`/v1/unknown/${name}`, { names: part, ...values }));
    if (!answer) return;
    await report(answer, key(answer), words);
  }
}

async function verb(name, values, key, words = {}, back = true) {
  const answer = await tried(() => post(`/v1/gallery/${name}`, values));
  return answer && report(answer, answer.images ? key : "done.nothing", words, back);
}

async function tried(work, otherwise = () => false) {
  try {
    return await work();
  } catch (error) {
    if (!otherwise(error)) failed(error);
    return undefined;
  }
}

async function report({ change, images }, key, words, back = true) {
  done(key, { ...words, count: images }, back ? change : null);
  await tried(changed);
  return change;
}

function batches(files) {
  const made = [[]];
  let bytes = 0;
  for (const file of files) {
    if (made.at(-1).length && (bytes + file.size > MOST_BYTES || made.at(-1).length >= MOST_FILES)) {
      made.push([]);
      bytes = 0;
    }
    made.at(-1).push(file);
    bytes += file.size;
  }
  return made;
}
