// Starts the visitor's page.
import { Api } from "../lib/api.js";
import { wordsFor } from "../lib/words.js";
import { html, render } from "../vendor/preact-htm.js";
import { App } from "./app.js";

const tenant = /^\/t\/([^/]+)/.exec(location.pathname)?.[1];
const { language, say } = await wordsFor(navigator.languages);
document.documentElement.lang = language;

const root = /** @type {Element} */ (document.querySelector("#page"));
root.replaceChildren();
const slug = tenant === undefined ? null : decoded(tenant);
render(html`<${App} api=${new Api(slug)} slug=${slug ?? ""} language=${language} say=${say} />`, root);

/** @param {string} segment */
function decoded(segment) {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment; // a stray %: nobody's name, which the page then says
  }
}
