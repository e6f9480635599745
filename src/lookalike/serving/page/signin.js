// Asks for a token where the service wants one; it is kept in this tab alone and forgotten with it.

import { get, keepToken, Refusal, token } from "./api.js";
import { fault, byId } from "./elements.js";
import { when } from "./news.js";

/** `enter` is called when a token was accepted. */
export function startSignIn(enter) {
  when("signed-out", signedOut);
  byId("sign-out").addEventListener("click", () => {
    keepToken(null);
    location.reload(); // nothing of the gallery stays on the page
  });
  byId("signin-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    keepToken(byId("signin-token").value.trim());
    try {
      await get("/v1/gallery");
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      keepToken(null);
      fault(byId("signin-error"), error.line);
      return byId("signin-token").focus();
    }
    byId("signin-token").value = "";
    fault(byId("signin-error"), "");
    byId("sign-out").hidden = false;
    await enter();
  });
  byId("sign-out").hidden = !token();
}

function signedOut() {
  keepToken(null);
  byId("sign-out").hidden = true;
  document.body.dataset.state = "signed-out";
  for (const section of document.querySelectorAll(".view")) section.hidden = section.id !== "view-signin";
  byId("signin-token").focus();
}
