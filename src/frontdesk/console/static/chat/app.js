// The visitor's page as a whole: whose page it is, their conversation, what is open beside it.
import { ApiError } from "../lib/api.js";
import { backoffMs, untilHopeful } from "../lib/live.js";
import { Memory } from "../lib/memory.js";
import { html, useEffect, useErrorBoundary, useMemo, useState } from "../vendor/preact-htm.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { Header } from "./header.js";
import { PassagePanel } from "./passage.js";
import { Full, Loading, OutOfReach } from "./states.js";
import { Thread } from "./thread.js";

/** @import { Api } from "../lib/api.js" */
/** @import { Citation, Page, Problem, Verdict } from "../lib/types.js" */
/** @import { Say } from "../lib/words.js" */

/** @typedef {{ retryAt: number, problem: Problem | null, retry: () => void }} Wait */

/** @param {{ api: Api, slug: string, language: string, say: Say }} props */
export function App({ api, slug, language, say }) {
  const [page, setPage] = useState(/** @type {Page | "unknown" | null} */ (null));
  const [wait, setWait] = useState(/** @type {Wait | null} */ (null));
  const [isBroken] = useErrorBoundary();
  useEffect(() => {
    findPage(api, setWait).then(setPage);
  }, [api]);
  if (isBroken) {
    return html`<${Full} title=${say("broken")} text=${say("unreachableMore")} action=${say("reload")} onAction=${() => location.reload()} />`;
  }
  if (page === "unknown") return html`<${Full} title=${say("unknown")} text=${say("unknownMore", { name: slug })} />`;
  if (page) return html`<${Desk} api=${api} page=${page} language=${language} say=${say} />`;
  if (wait) return html`<${OutOfReach} problem=${wait.problem} retryAt=${wait.retryAt} onRetry=${wait.retry} say=${say} />`;
  return html`<${Loading} say=${say} />`;
}

/**
 * Whose page this is; asks until it is known.
 * @param {Api} api
 * @param {(wait: Wait) => void} onWait
 * @returns {Promise<Page | "unknown">}
 */
async function findPage(api, onWait) {
  for (let attempt = 0; ; attempt++) {
    try {
      return await api.page();
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return "unknown";
      const refusal = error instanceof ApiError ? error : null;
      const ms = refusal?.retryAfter ? refusal.retryAfter * 1000 : backoffMs(attempt);
      const problem = refusal && { code: refusal.code, detail: refusal.detail, correlationId: refusal.correlationId };
      const now = new AbortController();
      onWait({ retryAt: Date.now() + ms, problem, retry: () => now.abort() });
      await untilHopeful(ms, now.signal);
    }
  }
}

/** @param {{ api: Api, page: Page, language: string, say: Say }} props */
function Desk({ api, page, language, say }) {
  const memory = useMemo(() => new Memory(page.slug, api.visitor), [api, page.slug]);
  const conversation = useMemo(() => new Conversation(api, memory), [api, memory]);
  const [view, setView] = useState(conversation.view);
  const [cited, setCited] = useState(/** @type {Citation | null} */ (null));
  const [given, setGiven] = useState(/** @type {{ text: string } | null} */ (null));

  useEffect(() => {
    const stop = conversation.watch(setView);
    conversation.start();
    const forget = [
      on(window, "online", () => conversation.linkBack()),
      on(window, "offline", () => conversation.linkLost()),
      on(document, "visibilitychange", () => document.hidden || conversation.look()),
      on(window, "storage", (event) => memory.isOfSession(/** @type {StorageEvent} */ (event)) && conversation.moved()),
      on(document, "keydown", toComposer),
    ];
    return () => [stop, ...forget].forEach((end) => end());
  }, [conversation]);
  useTitle(page.name, view.entries.at(-1)?.role === "user" ? "" : (view.entries.at(-1)?.key ?? ""), say);

  const give = (/** @type {string} */ text) => text && setGiven({ text });
  const actions = useMemo(
    () => ({
      open: setCited,
      send: (/** @type {string} */ text) => {
        conversation.send(text);
        document.getElementById("message")?.focus(); // the button that was pressed goes away
      },
      retry: () => conversation.retry(),
      edit: (/** @type {string} */ key) => give(conversation.takeBack(key)),
      askAgain: (/** @type {string} */ key) => conversation.askAgain(key),
      verdictOf: (/** @type {string} */ key) => memory.verdictOf(key),
      judge: async (/** @type {string} */ key, /** @type {Verdict | null} */ verdict) => {
        await api.judge(key, memory.userId, verdict);
        memory.judged(key, verdict);
      },
    }),
    [conversation],
  );
  const startNew = () => {
    give(conversation.startNew());
    document.getElementById("message")?.focus();
  };
  const isOutOfReach = view.phase === "unreachable" && view.entries.length === 0;
  return html`
    <a class="skip" href="#message">${say("skip")}</a>
    <${Header} name=${page.name} link=${view.link} canStartNew=${view.entries.length > 0} onNew=${startNew} say=${say} />
    ${isOutOfReach && html`<${OutOfReach} problem=${view.problem} retryAt=${view.retryAt} onRetry=${actions.retry} say=${say} />`}
    ${!isOutOfReach && html`
      <main class="desk-main">
        ${view.phase === "loading"
          ? html`<${Loading} say=${say} />`
          : html`<${Thread} view=${view} page=${page} language=${language} actions=${actions} say=${say} />`}
        <${Composer} memory=${memory} given=${given} note=${say(page.local ? "localOnly" : "aiOnly")} onSend=${actions.send} say=${say} />
      </main>
    `}
    ${cited && html`<${PassagePanel} key=${cited.passage_id} api=${api} citation=${cited} onClose=${() => setCited(null)} say=${say} />`}
  `;
}

/**
 * The page's title, marked when an answer came while the visitor looked elsewhere.
 * @param {string} name
 * @param {string} answerKey of the latest answer
 * @param {Say} say
 */
function useTitle(name, answerKey, say) {
  useEffect(() => {
    document.title = document.hidden && answerKey ? say("answerHere", { name }) : name;
    return on(document, "visibilitychange", () => {
      if (!document.hidden) document.title = name;
    });
  }, [name, answerKey]);
}

/**
 * `/` leads to the composer from anywhere but where people write.
 * @param {Event} event
 */
function toComposer(event) {
  const { key, ctrlKey, metaKey, altKey, target } = /** @type {KeyboardEvent} */ (event);
  const isWriting = target instanceof HTMLTextAreaElement || target instanceof HTMLInputElement;
  if (key !== "/" || ctrlKey || metaKey || altKey || isWriting || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  document.getElementById("message")?.focus();
}

/**
 * @param {EventTarget} target
 * @param {string} type
 * @param {(event: Event) => void} listener
 * @returns {() => void} stops listening
 */
function on(target, type, listener) {
  target.addEventListener(type, listener);
  return () => target.removeEventListener(type, listener);
}
