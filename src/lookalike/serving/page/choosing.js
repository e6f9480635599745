// How photographs come in: chosen, taken with the camera, dropped anywhere on the page, or pasted.

import { byId } from "./elements.js";

/** Calls `take` with the files, whichever way they come; dropped and pasted ones only while `open` says so. */
export function takeFiles(take, open) {
  for (const id of ["photograph", "choose"])
    byId(id).addEventListener("change", ({ target }) => {
      const files = [...target.files];
      target.value = ""; // the same photograph may be chosen again
      if (files.length) take(files);
    });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files || [])];
    if (!files.length || !open()) return;
    event.preventDefault();
    take(files);
  });
  takeDropped(take, open);
}

function takeDropped(take, open) {
  let inside = 0; // entered elements: each child tells of its own
  const over = (change) => byId("drop").classList.toggle("over", (inside += change) > 0);
  const files = (event) => open() && event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragenter", (event) => files(event) && over(1));
  document.addEventListener("dragleave", (event) => files(event) && over(-1));
  document.addEventListener("dragover", (event) => files(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault(); // a browser would leave the page and show the file
    if (!open()) return;
    over(-inside);
    const dropped = [...event.dataTransfer.items]
      .filter((item) => item.kind === "file" && !item.webkitGetAsEntry?.()?.isDirectory)
      .map((item) => item.getAsFile());
    if (dropped.length) take(dropped);
  });
}
