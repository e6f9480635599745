// Starts the page: its texts, then what the service says of the gallery, then the part that the address names.

import { Refusal } from "./api.js";
import { startAsk } from "./ask.js";
import { fault, byId } from "./elements.js";
import { startGallery } from "./gallery.js";
import { startHealth } from "./health.js";
import { refresh } from "./state.js";
import { startLabel } from "./label.js";
import { startLog } from "./log.js";
import { when } from "./news.js";
import { again, route } from "./router.js";
import { startSignIn } from "./signin.js";
import { language, speak } from "./texts.js";
import { startUnknown } from "./unknown.js";

async function enter() {
  try {
    await refresh();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.status !== 401) fault(byId("failed"), error.line);
    return;
  }
  document.body.dataset.state = "ready";
  await route({ arrived: false });
}

const ready = () => document.body.dataset.state === "ready";

await speak();
byId("language").value = language();
byId("language").addEventListener("change", ({ target }) => speak(target.value));
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the part of the address behind # is the router's
  byId("main").focus();
});
for (const start of [startAsk, startGallery, startLabel, startLog, startUnknown, startHealth]) start();
startSignIn(enter);
addEventListener("hashchange", () => ready() && route());
when("changed", again);
await enter();
