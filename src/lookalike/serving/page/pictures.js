// Small pictures, loaded when they come into view. With a token they are fetched, as an <img> sends no header.

import { blob, preview, token } from "./api.js";
import { icon, make } from "./elements.js";

const waiting = new WeakMap();
const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries)
    if (isIntersecting) {
      seen.unobserve(target);
      fetched(target, waiting.get(target));
    }
}, { rootMargin: "300px" });

/** The picture of an enrolled image. */
export function enrolled(number, words = "") {
  return small(`/v1/images/${number}/thumbnail`, words);
}

/** The picture of a kept unknown image. */
export function kept(name, words = "") {
  return small(`/v1/unknown/${encodeURIComponent(name)}/thumbnail`, words);
}

/** A photograph that was chosen, before and after it is sent; `gone` gives its memory back. */
export function chosen(file) {
  let address = URL.createObjectURL(file);
  const image = make("img", { src: address, alt: file.name, decoding: "async" });
  image.addEventListener("error", async () => {
    image.addEventListener("error", () => missing(image, "picture.none"), { once: true });
    try {
      const jpeg = await preview(file);
      URL.revokeObjectURL(address);
      image.src = address = URL.createObjectURL(jpeg);
    } catch {
      missing(image, "picture.none");
    }
  }, { once: true });
  return { image, gone: () => URL.revokeObjectURL(address) };
}

function small(address, words) {
  const image = make("img", { alt: words, width: 160, height: 160, decoding: "async" });
  image.addEventListener("error", () => missing(image), { once: true });
  if (token()) {
    waiting.set(image, address);
    seen.observe(image);
  } else {
    image.loading = "lazy";
    image.src = address;
  }
  return image;
}

async function fetched(image, address) {
  try {
    const here = URL.createObjectURL(await blob(address));
    image.addEventListener("load", () => URL.revokeObjectURL(here), { once: true });
    image.src = here;
  } catch {
    missing(image);
  }
}

function missing(image, words) {
  const field = make("span", { class: "none" }, icon("none"), words ? make("small", { text: words }) : null);
  if (image.alt) {
    field.setAttribute("role", "img");
    field.setAttribute("aria-label", image.alt);
  }
  image.replaceWith(field);
}
