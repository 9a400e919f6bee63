// What the page shows before anything was said: the organisation's greeting and first questions to press.
import { html } from "../vendor/preact-htm.js";
import { Mark } from "./header.js";

/** @import { Page } from "../lib/types.js" */
/** @import { Say } from "../lib/words.js" */

const HEADING_LONGEST = 80; // characters: a longer first sentence would shout

/** @param {{ page: Page, language: string, onAsk: (text: string) => void, say: Say }} props */
export function Welcome({ page, language, onAsk, say }) {
  const [heading, rest] = parted(page, language);
  return html`
    <section class="welcome">
      <${Mark} name=${page.name} />
      <h2 dir="auto">${heading}</h2>
      ${rest && html`<p class="greeting" dir="auto">${rest}</p>`}
      ${page.suggestions.length > 0 && html`
        <p class="fine" id="suggestions">${say("try")}</p>
        <ul class="suggestions" aria-labelledby="suggestions">
          ${page.suggestions.map(
            (text) => html`<li key=${text}><button type="button" dir="auto" onClick=${() => onAsk(text)}>${text}</button></li>`,
          )}
        </ul>
      `}
    </section>
  `;
}

/**
 * The greeting's first sentence as the heading, and the rest of it.
 * @param {Page} page
 * @param {string} language
 * @returns {[string, string]}
 */
function parted({ greeting, name }, language) {
  const text = greeting.replace(/\s+/g, " ").trim();
  const [first] = new Intl.Segmenter(language, { granularity: "sentence" }).segment(text);
  const heading = first?.segment.trim() ?? "";
  return heading && heading.length <= HEADING_LONGEST ? [heading, text.slice(heading.length).trim()] : [name, text];
}
