// The organisation's name, the state of the connection, a new conversation, the theme.
import { useTheme } from "../lib/theme.js";
import { html, useRef } from "../vendor/preact-htm.js";
import { Compose, Half, Moon, Sun } from "./icons.js";

/** @import { View } from "../lib/types.js" */
/** @import { Say } from "../lib/words.js" */

/** @param {{ name: string, link: View["link"], canStartNew: boolean, onNew: () => void, say: Say }} props */
export function Header({ name, link, canStartNew, onNew, say }) {
  const [theme, nextTheme] = useTheme();
  const sure = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const Icon = { auto: Half, light: Sun, dark: Moon }[theme];
  const themeName = { auto: say("themeAuto"), light: say("themeLight"), dark: say("themeDark") }[theme];
  const label = say("theme", { name: themeName });
  const start = () => {
    sure.current?.close();
    onNew();
  };
  return html`
    <header class="header">
      <${Mark} name=${name} />
      <div class="who">
        <h1 dir="auto">${name}</h1>
        <p class="link" data-link=${link} role="status">${say(link)}</p>
      </div>
      <button class="tool wide" type="button" disabled=${!canStartNew} onClick=${() => sure.current?.showModal()}
        aria-label=${say("newConversation")} title=${say("newConversation")}>
        <${Compose} /><span>${say("newConversation")}</span>
      </button>
      <button class="tool" type="button" onClick=${nextTheme} aria-label=${label} title=${label}><${Icon} /></button>
      <dialog class="sure" ref=${sure} aria-labelledby="sure-text" onClick=${closeOnBackdrop}>
        <p id="sure-text">${say("newConversationSure")}</p>
        <div class="actions">
          <button type="button" class="quiet" onClick=${() => sure.current?.close()}>${say("cancel")}</button>
          <button type="button" class="strong" onClick=${start}>${say("startNew")}</button>
        </div>
      </dialog>
    </header>
  `;
}

/**
 * The organisation's initials in its place.
 * @param {{ name: string }} props
 */
export function Mark({ name }) {
  const words = name.split(/\s+/).filter(Boolean);
  const initials = words.slice(0, 2).map((word) => [...word][0]?.toUpperCase());
  return html`<div class="mark" aria-hidden="true">${initials.join("")}</div>`;
}

/** @param {MouseEvent} event */
export function closeOnBackdrop(event) {
  // A dialog's backdrop is part of the dialog itself; everything visible in it is a child.
  if (event.target === event.currentTarget) /** @type {HTMLDialogElement} */ (event.currentTarget).close();
}
