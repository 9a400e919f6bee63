// What the page shows when there is no conversation to show: loading, out of reach, nobody here, broken.
import { html, useEffect, useRef } from "../vendor/preact-htm.js";
import { useCountdown } from "./countdown.js";

/** @import { Problem } from "../lib/types.js" */
/** @import { Say } from "../lib/words.js" */

/** @param {{ say: Say }} props */
export function Loading({ say }) {
  return html`
    <div class="loading" role="status" aria-label=${say("loading")}>
      <span></span><span></span><span></span>
    </div>
  `;
}

/** @param {{ title: string, text: string, action?: string, onAction?: () => void, reference?: string }} props */
export function Full({ title, text, action, onAction, reference }) {
  const heading = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => heading.current?.focus(), []);
  return html`
    <main class="full">
      <h1 tabindex="-1" ref=${heading}>${title}</h1>
      <p dir="auto">${text}</p>
      ${action && html`<button type="button" class="strong" onClick=${onAction}>${action}</button>`}
      ${reference && html`<p class="fine">${reference}</p>`}
    </main>
  `;
}

/** @param {{ problem: Problem | null, retryAt: number | null, onRetry: () => void, say: Say }} props */
export function OutOfReach({ problem, retryAt, onRetry, say }) {
  const seconds = useCountdown(retryAt);
  const action = seconds > 0 ? `${say("retry")} (${seconds})` : say("retry");
  const reference = problem?.correlationId && say("reference", { id: problem.correlationId });
  const text = problem?.detail ? `${problem.detail} ${say("unreachableMore")}` : say("unreachableMore");
  return html`<${Full} title=${say("unreachable")} text=${text} action=${action} onAction=${onRetry} reference=${reference} />`;
}
