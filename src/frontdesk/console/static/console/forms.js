// What the forms of all pages are made of: fields with labels, one sentence of trouble, a button that waits.
import { ApiError } from "../lib/api.js";
import { html, useEffect, useId, useRef, useState } from "../vendor/preact-htm.js";

/** @import { Child } from "../vendor/preact-htm.js" */

/**
 * @typedef {{ label: string, name: string, type?: string, value: string, onInput: (value: string) => void, hint?: string,
 *   autocomplete?: string, required?: boolean, minlength?: number, maxlength?: number, inputmode?: string,
 *   autofocus?: boolean, readonly?: boolean }} FieldProps
 */

/** @param {FieldProps} props */
export function Field({ label, hint, value, onInput, autofocus, ...more }) {
  const id = useId();
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => {
    if (autofocus) input.current?.focus();
  }, []);
  return html`
    <div class="field">
      <label for=${id}>${label}</label>
      <input id=${id} ref=${input} value=${value} aria-describedby=${hint ? `${id}-hint` : null} ...${more}
        onInput=${(/** @type {{ currentTarget: HTMLInputElement }} */ event) => onInput(event.currentTarget.value)} />
      ${hint && html`<p id=${`${id}-hint`} class="fine">${hint}</p>`}
    </div>
  `;
}

/**
 * A password to be chosen: the browser offers one.
 * @param {{ label: string, value: string, onInput: (value: string) => void }} props
 */
export function NewPassword({ label, value, onInput }) {
  return html`
    <${Field} label=${label} name="new-password" type="password" autocomplete="new-password" required minlength=${12}
      maxlength=${128} hint="At least 12 characters; nothing else is asked of it." value=${value} onInput=${onInput} />
  `;
}

/** @param {{ text: string }} props */
export function Trouble({ text }) {
  return html`<p class="trouble" role="alert">${text}</p>`;
}

/**
 * A form that sends once at a time and tells what went wrong.
 * @param {{ action: string, onSend: () => Promise<void>, children?: Child, quiet?: boolean }} props
 */
export function Form({ action, onSend, children, quiet = false }) {
  const [problem, setProblem] = useState("");
  const [isSending, setSending] = useState(false);
  const send = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (isSending) return;
    setSending(true);
    setProblem("");
    try {
      await onSend();
    } catch (error) {
      setProblem(sentence(error));
    }
    setSending(false);
  };
  return html`
    <form class="form" onSubmit=${send}>
      ${children}
      ${problem && html`<${Trouble} text=${problem} />`}
      <button type="submit" class=${quiet ? "quiet" : "strong"} disabled=${isSending} aria-busy=${isSending}>${action}</button>
    </form>
  `;
}

/**
 * @param {unknown} error
 * @returns {string}
 */
export function sentence(error) {
  if (!(error instanceof ApiError)) return "The server can’t be reached. Try again in a moment.";
  return error.retryAfter ? `${error.detail} (${waitOf(error.retryAfter)})` : error.detail;
}

/** @param {number} seconds */
function waitOf(seconds) {
  return seconds < 60 ? `wait ${Math.ceil(seconds)} s` : `wait ${Math.ceil(seconds / 60)} min`;
}

/** @param {{ moment: string | null }} props */
export function When({ moment }) {
  return moment ? html`<time datetime=${moment}>${new Date(moment).toLocaleString()}</time>` : "never";
}
