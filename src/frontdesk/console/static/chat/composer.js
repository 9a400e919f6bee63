// Where the visitor writes. What is written is remembered until it is sent.
import { html, useEffect, useLayoutEffect, useRef, useState } from "../vendor/preact-htm.js";
import { Send } from "./icons.js";

/** @import { Memory } from "../lib/memory.js" */
/** @import { Say } from "../lib/words.js" */

const LONGEST = 2000; // characters of a message, as the API counts them
const COUNT_FROM = 1800;

/** @typedef {{ text: string }} Given a text that goes back into the composer: a new object each time */

/**
 * @param {{ memory: Memory, given: Given | null, note: string, onSend: (text: string) => void, say: Say }} props
 */
export function Composer({ memory, given, note, onSend, say }) {
  const [text, put] = useState(() => memory.draft);
  const box = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const length = [...text.trim()].length;
  const isTooLong = length > LONGEST;
  const canSend = length > 0 && !isTooLong;

  const setText = (/** @type {string} */ written) => {
    memory.draft = written; // at once: the page may be closed with the next key
    put(written);
  };
  useEffect(() => {
    if (!given) return;
    setText(text.trim() ? `${given.text}\n${text}` : given.text);
    box.current?.focus();
  }, [given]);
  useLayoutEffect(() => {
    // As high as its text, up to the limit that the style sheet sets.
    if (!box.current) return;
    box.current.style.height = "auto";
    box.current.style.height = `${box.current.scrollHeight}px`;
  }, [text]);
  useEffect(() => {
    // Not on touch screens: there the keyboard would cover half the page at once.
    if (matchMedia("(pointer: fine)").matches) box.current?.focus();
  }, []);

  const send = () => {
    if (!canSend) return;
    onSend(text.trim().replaceAll("\0", "").toWellFormed());
    setText("");
    box.current?.focus();
  };
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    send();
  };
  const key = (/** @type {KeyboardEvent} */ event) => {
    // Enter also ends the choice of a character in many scripts' input methods: that one does not send.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  };
  const input = (/** @type {Event} */ event) => setText(/** @type {HTMLTextAreaElement} */ (event.target).value);
  const count = isTooLong ? say("tooLong", { n: length - LONGEST }) : say("left", { n: LONGEST - length });

  return html`
    <form class="composer" onSubmit=${submit}>
      <div class="box" data-wrong=${isTooLong}>
        <textarea ref=${box} id="message" rows="1" dir="auto" enterkeyhint="send" value=${text} onInput=${input}
          onKeyDown=${key} placeholder=${say("write")} aria-label=${say("write")} aria-describedby="composer-note"
          aria-invalid=${isTooLong} autocomplete="off"></textarea>
        <button class="send" type="submit" disabled=${!canSend} aria-label=${say("send")} title=${say("send")}><${Send} /></button>
      </div>
      <p class="fine under" id="composer-note">
        <span class="note">${note}</span>
        ${length > COUNT_FROM
          ? html`<span class="count" data-wrong=${isTooLong} role="status">${count}</span>`
          : html`<span class="keys">${say("keys")}</span>`}
      </p>
    </form>
  `;
}
