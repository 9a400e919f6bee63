// Starts the page of one decision. It speaks English alone: what it shows are the server's own reasons, written in it.
import { Api } from "../lib/api.js";
import { wordsFor } from "../lib/words.js";
import { html, render } from "../vendor/preact-htm.js";
import { Explained } from "./explanation.js";

const [, tenant = "", messageId = ""] = /^\/t\/([^/]+)\/messages\/([^/]+)/.exec(location.pathname) ?? [];
const { say } = await wordsFor(["en"]);

const root = /** @type {Element} */ (document.querySelector("#page"));
root.replaceChildren();
render(html`<${Explained} api=${new Api(decoded(tenant))} messageId=${decoded(messageId)} say=${say} />`, root);

/** @param {string} segment */
function decoded(segment) {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
