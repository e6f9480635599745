// Asks for a token where the service wants one; it is kept in this tab alone and forgotten with it.

import { get, keepToken, Refusal, token } from "./api.js";
import { fault, one } from "./elements.js";
import { when } from "./news.js";

/** `enter` is called when a token was accepted. */
export function startSignIn(enter) {
  when("signed-out", signedOut);
  one("sign-out").addEventListener("click", () => {
    keepToken(null);
    location.reload(); // nothing of the gallery stays on the page
  });
  one("signin-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    keepToken(one("signin-token").value.trim());
    try {
      await get("/v1/gallery");
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      keepToken(null);
      fault(one("signin-error"), error.line);
      return one("signin-token").focus();
    }
    one("signin-token").value = "";
    fault(one("signin-error"), "");
    one("sign-out").hidden = false;
    await enter();
  });
  one("sign-out").hidden = !token();
}

function signedOut() {
  keepToken(null);
  one("sign-out").hidden = true;
  document.body.dataset.state = "signed-out";
  for (const section of document.querySelectorAll(".view")) section.hidden = section.id !== "view-signin";
  one("signin-token").focus();
}
