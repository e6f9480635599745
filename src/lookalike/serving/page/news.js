// What one part of the page tells the others: "changed" (the gallery is another), "undone", "signed-out", "refreshed".

const news = new EventTarget();

export function announce(name, detail = null) {
  news.dispatchEvent(new CustomEvent(name, { detail }));
}

export function when(name, listener) {
  news.addEventListener(name, (event) => listener(event.detail));
}
