// An answer: its text with citations, the sources below it, and who gave it.
import { markdown } from "../lib/markdown.js";
import { dialable } from "../lib/phones.js";
import { html, useMemo } from "../vendor/preact-htm.js";
import { Alarm } from "./icons.js";

/** @import { Answer as AnswerFields, Citation, Page } from "../lib/types.js" */
/** @import { Say } from "../lib/words.js" */

/** @typedef {(citation: Citation) => void} Open */

/**
 * @param {{ text: string, answer: Partial<AnswerFields>, onOpen: Open, say: Say }} props
 */
export function Answer({ text, answer, onOpen, say }) {
  const citations = answer.citations ?? [];
  const cite = (/** @type {number} */ n) => {
    const citation = citations[n - 1];
    if (!citation) return null;
    const label = say("openSource", { n, title: citation.title });
    return html`<button type="button" class="cite" onClick=${() => onOpen(citation)} aria-label=${label} title=${citation.title}>${n}</button>`;
  };
  const content = useMemo(() => markdown(text, cite), [text, answer]);
  if (isEmergency(answer)) {
    return html`
      <div class="emergency" role="alert">
        <p class="emergency-title"><${Alarm} />${say("emergency")}</p>
        <div class="text">${dialable(content)}</div>
      </div>
    `;
  }
  return html`
    <div class="text">${content}</div>
    ${citations.length > 0 && html`<${Sources} citations=${citations} onOpen=${onOpen} say=${say} />`}
  `;
}

/**
 * The answer as far as it is written. Its citations come with its last event; until then their numbers lead nowhere.
 * @param {{ text: string }} props
 */
export function AnswerSoFar({ text }) {
  const content = useMemo(() => markdown(tidied(text), (n) => html`<span class="cite">${n}</span>`), [text]);
  return html`<div class="text writing">${content}</div>`;
}

/**
 * Without the marks of what has only begun: an item without words, bold without its end.
 * @param {string} text
 */
function tidied(text) {
  const begun = text.replace(/\n[ \t]{0,20}(?:[-*+#>]{1,6}|\d{1,9}[.)])?[ \t]{0,20}$/, "").replace(/(?:\*{1,2}|\[\d{0,3})$/, "");
  const isOpen = begun.slice(begun.lastIndexOf("\n") + 1).split("**").length % 2 === 0;
  return isOpen ? `${begun.trimEnd()}**` : begun;
}

/** @param {Partial<AnswerFields>} answer */
export function isEmergency(answer) {
  return answer.emergency === true && (answer.routing?.stage ?? "emergency") === "emergency";
}

/**
 * Agents as people read them.
 * @param {{ names: string[], page: Page }} props
 */
export function Agents({ names, page }) {
  return names.map((name) => html`<span class="agent" key=${name}>${titleOf(name, page)}</span>`);
}

/**
 * @param {string} name
 * @param {Page} page
 */
function titleOf(name, page) {
  const words = page.agents?.[name] ?? name.replaceAll(/[_-]+/g, " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** @param {{ citations: Citation[], onOpen: Open, say: Say }} props */
function Sources({ citations, onOpen, say }) {
  return html`
    <ol class="sources" aria-label=${say("sources")}>
      ${citations.map(
        (citation, index) => html`
          <li key=${citation.passage_id + index}>
            <button type="button" onClick=${() => onOpen(citation)} aria-label=${say("openSource", { n: index + 1, title: citation.title })}>
              <span class="number" aria-hidden="true">${index + 1}</span><span dir="auto">${citation.title}</span>
            </button>
          </li>
        `,
      )}
    </ol>
  `;
}

/**
 * Who gave the answer, honestly.
 * @param {{ answer: Partial<AnswerFields>, name: string, say: Say }} props
 */
export function Origin({ answer, name, say }) {
  if (!answer.source || isEmergency(answer)) return null;
  const isFromDocuments = (answer.citations ?? []).length > 0;
  const local = isFromDocuments ? say("byLocalFrom", { name }) : say("byLocal");
  const by = answer.source.startsWith("local") ? local : say("by", { source: answer.source });
  return html`<p class="fine origin">${answer.degraded ? `${by} (${say("degraded")})` : by}</p>`;
}
