// Everything that was said, the latest last, and what is being written.
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/preact-htm.js";
import { Agents, Answer, AnswerSoFar, Origin, isEmergency } from "./answer.js";
import { useCountdown } from "./countdown.js";
import { Down, Person, Warning } from "./icons.js";
import { Judge } from "./judge.js";
import { Welcome } from "./welcome.js";

/** @import { Child } from "../vendor/preact-htm.js" */
/** @import { Entry, Live, Page, Verdict, View } from "../lib/types.js" */
/** @import { Say } from "../lib/words.js" */
/** @import { Open } from "./answer.js" */

const NEAR_PX = 80; // so near the end counts as being there
const ALARM_GAP_PX = 20; // below the header, where lines fade

/**
 * @typedef {object} Actions
 * @property {Open} open a citation
 * @property {(text: string) => void} send
 * @property {() => void} retry what was not sent
 * @property {(key: string) => void} edit what was not sent
 * @property {(key: string) => void} askAgain what got no answer
 * @property {(key: string) => Verdict | null} verdictOf
 * @property {(key: string, verdict: Verdict | null) => Promise<void>} judge who answered
 */

/** @param {{ view: View, page: Page, language: string, actions: Actions, say: Say }} props */
export function Thread({ view, page, language, actions, say }) {
  const { entries, live } = view;
  const { frame, list, isAtEnd, toEnd } = useEnd(entries);
  const latest = entries.at(-1);
  const isWriting = live !== null && live.text !== "";
  return html`
    <div class="frame" ref=${frame} tabindex="0" role="log" aria-live="off" aria-label=${say("conversation")}>
      <div class="list" ref=${list}>
        ${entries.length === 0 && html`<${Welcome} page=${page} language=${language} onAsk=${actions.send} say=${say} />`}
        ${entries.map((entry, index) => {
          const isNewDay = entry.at.slice(0, 10) && dayOf(entry.at) !== dayOf(entries[index - 1]?.at ?? "");
          return html`
            ${isNewDay && html`<p class="day" key=${`day ${entry.key}`}><span>${dayName(entry.at, language, say)}</span></p>`}
            <${Line} key=${entry.key} entry=${entry} page=${page} language=${language} actions=${actions} say=${say}
              isLatest=${entry === latest && !isWriting} />
          `;
        })}
        ${live && html`<${Writing} live=${live} page=${page} link=${view.link} say=${say} />`}
        ${view.owner !== "agent" || view.escalated ? html`<${Handed} owner=${view.owner} say=${say} />` : null}
      </div>
      ${!isAtEnd &&
      html`
        <button type="button" class="pill" onClick=${toEnd} aria-label=${say("toBottom")}>
          <${Down} />${isAtEnd === null ? say("newMessages") : ""}
        </button>
      `}
    </div>
    <p class="unseen" aria-live="polite">${useAnnouncement(entries)}</p>
  `;
}

/**
 * Follows the end of the thread while the visitor is there; `isAtEnd` is null when something new came while they read above.
 * @param {Entry[]} entries
 */
function useEnd(entries) {
  const frame = useRef(/** @type {HTMLElement | null} */ (null));
  const list = useRef(/** @type {HTMLElement | null} */ (null));
  const follows = useRef(true);
  const [isAtEnd, setIsAtEnd] = useState(/** @type {boolean | null} */ (true));
  const toEnd = () => {
    follows.current = true;
    if (frame.current) frame.current.scrollTop = frame.current.scrollHeight;
  };
  const follow = () => {
    toEnd();
    // What to do in an emergency stands in the answer's first lines: those are shown, however high the answer is.
    const alarm = list.current?.querySelector("article:last-of-type[data-alarm]");
    if (!alarm || !frame.current) return;
    const above = frame.current.getBoundingClientRect().top + ALARM_GAP_PX - alarm.getBoundingClientRect().top;
    if (above > 0) frame.current.scrollTop -= above;
  };
  useEffect(() => {
    const box = frame.current;
    if (!box || !list.current) return;
    const scrolled = () => {
      const isNear = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_PX;
      follows.current = isNear;
      setIsAtEnd((before) => (isNear ? true : before === null ? null : false));
    };
    // Sizes change for many reasons (words, fonts, keyboards, windows): one observer sees them all.
    const sizes = new ResizeObserver(() => (follows.current ? follow() : scrolled()));
    sizes.observe(list.current);
    sizes.observe(box);
    box.addEventListener("scroll", scrolled, { passive: true });
    return () => {
      sizes.disconnect();
      box.removeEventListener("scroll", scrolled);
    };
  }, []);
  const latest = entries.at(-1);
  useLayoutEffect(() => {
    if (latest?.delivery === "sending" || follows.current) follow();
    else setIsAtEnd(null);
  }, [latest?.key]);
  return { frame, list, isAtEnd, toEnd };
}

/**
 * What a screen reader says: each answer once, when it is whole. What was there at the start is not news.
 * @param {Entry[]} entries
 */
function useAnnouncement(entries) {
  const [start] = useState(() => Date.now());
  const latest = entries.at(-1);
  if (!latest || latest.role === "user" || !latest.text || Date.parse(latest.at) < start) return "";
  return latest.answer && isEmergency(latest.answer) ? "" : latest.text; // an alert speaks for itself
}

/** @typedef {{ entry: Entry, page: Page, language: string, actions: Actions, say: Say, isLatest: boolean }} LineProps */

/** @param {LineProps} props */
function Line(props) {
  // Entries are never changed in place: a line is drawn again only when its own entry is another one.
  return useMemo(() => drawn(props), [props.entry, props.isLatest]);
}

/** @param {LineProps} props */
function drawn(props) {
  const { entry, say } = props;
  if (entry.kind === "ended") return html`<p class="ended" role="status"><span>${say("ended")}</span></p>`;
  if (entry.role === "user") return html`<${FromVisitor} ...${props} />`;
  return html`<${FromDesk} ...${props} />`;
}

/** @param {LineProps} props */
function FromVisitor({ entry, language, actions, say }) {
  return html`
    <article class="line visitor" data-delivery=${entry.delivery ?? "sent"} aria-label=${say("you")}>
      <div class="bubble" dir="auto">${entry.text}</div>
      <${Delivery} entry=${entry} language=${language} actions=${actions} say=${say} />
    </article>
  `;
}

/** @param {{ entry: Entry, language: string, actions: Actions, say: Say }} props */
function Delivery({ entry, language, actions, say }) {
  const seconds = useCountdown(entry.retryAt);
  const { delivery, problem } = entry;
  if (delivery === "sending") return html`<p class="meta">${say("sending")}</p>`;
  if (delivery === "waiting") {
    const text = entry.retryAt === null ? say("waiting") : say("sendingIn", { n: seconds });
    return html`
      <p class="meta wait" role="status">
        <span>${text}</span>
        <button type="button" class="word" onClick=${actions.retry}>${say("sendNow")}</button>
        <button type="button" class="word" onClick=${() => actions.edit(entry.key)}>${say("edit")}</button>
      </p>
    `;
  }
  if (delivery === "failed" && problem) {
    return html`
      <${Trouble} title=${say("notSent")} problem=${problem} say=${say}>
        <button type="button" class="word" onClick=${actions.retry}>${say("retry")}</button>
        <button type="button" class="word" onClick=${() => actions.edit(entry.key)}>${say("edit")}</button>
      <//>
    `;
  }
  return html`
    <p class="meta"><${Time} at=${entry.at} language=${language} /></p>
    ${problem && html`
      <${Trouble} title=${say("noAnswer")} problem=${problem} say=${say}>
        <button type="button" class="word" onClick=${() => actions.askAgain(entry.key)}>${say("askAgain")}</button>
      <//>
    `}
  `;
}

/** @param {{ title: string, problem: NonNullable<Entry["problem"]>, children?: Child, say: Say }} props */
function Trouble({ title, problem, children, say }) {
  return html`
    <div class="trouble" role="alert">
      <${Warning} />
      <div>
        <p dir="auto"><b>${title}.</b> ${problem.detail}</p>
        <p class="actions">${children}</p>
        ${problem.correlationId && html`<p class="fine">${say("reference", { id: problem.correlationId })}</p>`}
      </div>
    </div>
  `;
}

/** @param {LineProps} props */
function FromDesk({ entry, page, language, actions, say, isLatest }) {
  const answer = entry.answer ?? {};
  const isPerson = entry.role === "human";
  const who = isPerson ? say("person", { name: page.name }) : page.name;
  const options = isLatest ? optionsOf(entry) : [];
  return html`
    <article class="line desk" data-role=${entry.role} data-alarm=${isEmergency(answer) || undefined} aria-label=${who}>
      <p class="meta">
        ${isPerson ? html`<span class="agent person"><${Person} />${who}</span>` : html`<${Agents} names=${answer.agents ?? []} page=${page} />`}
        <${Time} at=${entry.at} language=${language} />
      </p>
      <${Answer} text=${entry.text} answer=${answer} onOpen=${actions.open} say=${say} />
      <${Origin} answer=${answer} name=${page.name} say=${say} />
      ${entry.role === "assistant" && !isEmergency(answer) && html`
        <${Judge} verdict=${actions.verdictOf(entry.key)} titles=${page.agents ?? {}} answered=${answer.agents ?? []} say=${say}
          onJudge=${(/** @type {Verdict | null} */ verdict) => actions.judge(entry.key, verdict)}>
          ${page.explains && html`<a href=${`/t/${page.slug}/messages/${entry.key}/explanation`}>${say("why")}</a>`}
        <//>
      `}
      ${options.length > 0 && html`
        <ul class="options">
          ${options.map((text) => html`<li key=${text}><button type="button" dir="auto" onClick=${() => actions.send(text)}>${text}</button></li>`)}
        </ul>
      `}
    </article>
  `;
}

/**
 * Replies that the answer offers: values of what it asks for, or what it might have meant.
 * @param {Entry} entry
 */
function optionsOf(entry) {
  const needs = entry.answer?.needs ?? [];
  return [...new Set([...(entry.answer?.options ?? []), ...needs.flatMap((need) => need.options ?? [])])];
}

/** @param {{ live: Live, page: Page, link: View["link"], say: Say }} props */
function Writing({ live, page, link, say }) {
  const isBroken = link !== "online";
  const status = isBroken ? say("catchingUp") : live.status || (live.text ? "" : say("thinking"));
  return html`
    <article class="line desk" aria-label=${page.name} aria-busy="true">
      ${live.agent && html`<p class="meta"><${Agents} names=${[live.agent]} page=${page} /></p>`}
      ${live.text && html`<${AnswerSoFar} text=${live.text} />`}
      ${status && html`
        <p class="status" role="status">
          <span class="dots" aria-hidden="true"><i></i><i></i><i></i></span><span dir="auto">${status}</span>
        </p>
      `}
    </article>
  `;
}

/** @param {{ owner: View["owner"], say: Say }} props */
function Handed({ owner, say }) {
  return html`
    <div class="handed" role="status">
      <${Person} />
      <p><b>${say(owner === "human" ? "humanHere" : "humanAsked")}.</b> ${owner !== "human" && say("humanAskedMore")}</p>
    </div>
  `;
}

/** @param {{ at: string, language: string }} props */
function Time({ at, language }) {
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return null;
  const full = time.toLocaleString(language, { dateStyle: "full", timeStyle: "short" });
  const short = time.toLocaleTimeString(navigator.language, { hour: "numeric", minute: "2-digit" });
  return html`<time datetime=${at} title=${full}>${short}</time>`;
}

/** @param {string} at */
function dayOf(at) {
  return at && new Date(at).toDateString();
}

/**
 * @param {string} at
 * @param {string} language
 * @param {Say} say
 */
function dayName(at, language, say) {
  const day = new Date(at);
  const today = new Date();
  const yesterday = new Date(today.getFullYear(), today.getMonth(), today.getDate() - 1);
  if (day.toDateString() === today.toDateString()) return say("today");
  if (day.toDateString() === yesterday.toDateString()) return say("yesterday");
  const isThisYear = day.getFullYear() === today.getFullYear();
  return day.toLocaleDateString(language, { weekday: "long", day: "numeric", month: "long", ...(isThisYear ? {} : { year: "numeric" }) });
}
