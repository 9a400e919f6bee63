// The passage that an answer rests on, in its document, with the quoted words marked.
import { html, useEffect, useRef, useState } from "../vendor/preact-htm.js";
import { closeOnBackdrop } from "./header.js";
import { Close, Page } from "./icons.js";
import { Loading } from "./states.js";

/** @import { Api } from "../lib/api.js" */
/** @import { Citation, Passage } from "../lib/types.js" */
/** @import { Say } from "../lib/words.js" */

/** @param {{ api: Api, citation: Citation, onClose: () => void, say: Say }} props */
export function PassagePanel({ api, citation, onClose, say }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const [passage, setPassage] = useState(/** @type {Passage | "failed" | null} */ (null));
  const [attempt, setAttempt] = useState(0);
  useEffect(() => dialog.current?.showModal(), []);
  useEffect(() => {
    const gone = new AbortController();
    setPassage(null);
    api.passage(citation.passage_id, gone.signal).then(setPassage, () => gone.signal.aborted || setPassage("failed"));
    return () => gone.abort();
  }, [api, citation.passage_id, attempt]);
  const close = () => dialog.current?.close(); // the browser gives the focus back to what opened it
  const isHere = passage !== null && passage !== "failed";
  const heading = isHere ? passage.heading.replace(`${citation.title} › `, "") : "";
  return html`
    <dialog class="panel" ref=${dialog} aria-labelledby="passage-title" onClose=${onClose} onClick=${closeOnBackdrop}>
      <div class="panel-body">
        <header>
          <div>
            <h2 id="passage-title" dir="auto">${citation.title}</h2>
            ${heading && heading !== citation.title && html`<p class="fine" dir="auto">${heading}</p>`}
          </div>
          <button type="button" class="tool" onClick=${close} aria-label=${say("close")} title=${say("close")}><${Close} /></button>
        </header>
        <div class="passage" tabindex="0">
          ${passage === null && html`<${Loading} say=${say} />`}
          ${passage === "failed" && html`
            <p>${say("passageGone")}</p>
            ${citation.quote && html`<p class="fine">${say("quoteThen")}</p><blockquote dir="auto">${citation.quote}</blockquote>`}
            <button type="button" class="quiet" onClick=${() => setAttempt(attempt + 1)}>${say("retry")}</button>
          `}
          ${isHere && html`<${Marked} passage=${passage} quote=${citation.quote} />`}
        </div>
        <footer class="fine"><${Page} /><span dir="auto">${say("fromDocument", { name: citation.document })}</span></footer>
      </div>
    </dialog>
  `;
}

/**
 * The answer's own quote is marked where it is found in the passage, else the passage as a whole.
 * @param {{ passage: Passage, quote: string }} props
 */
function Marked({ passage, quote }) {
  const mark = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => mark.current?.scrollIntoView({ block: "center" }), []);
  const inner = quote ? passage.quote.indexOf(quote) : -1;
  const from = inner < 0 ? 0 : inner;
  const to = inner < 0 ? passage.quote.length : inner + quote.length;
  return html`
    <p class="document" dir="auto">
      ${passage.before}${passage.quote.slice(0, from)}<mark ref=${mark}>${passage.quote.slice(from, to)}</mark>${passage.quote.slice(to)}${passage.after}
    </p>
  `;
}
