// Whether the right agent answered: thumbs below an answer, and whose matter it was where it did not.
import { html, useRef, useState } from "../vendor/preact-htm.js";
import { ThumbDown, ThumbUp } from "./icons.js";

/** @import { Child } from "../vendor/preact-htm.js" */
/** @import { Verdict } from "../lib/types.js" */
/** @import { Say } from "../lib/words.js" */

/**
 * @typedef {object} JudgeProps
 * @property {Verdict | null} verdict the visitor's, as it is known at first
 * @property {Record<string, string>} titles of the agents, by name
 * @property {string[]} answered names of those who did
 * @property {(verdict: Verdict | null) => Promise<void>} onJudge null takes it back; a rejection says that it was not kept
 * @property {Say} say
 * @property {Child} [children]
 */

/** @param {JudgeProps} props */
export function Judge({ verdict: first, titles, answered, onJudge, say, children }) {
  const [verdict, setVerdict] = useState(first);
  const [note, setNote] = useState("");
  const [isAsking, setIsAsking] = useState(false);
  const sent = useRef(Promise.resolve()); // one after the other: the last one said must be the last one kept
  const judge = async (/** @type {Verdict | null} */ next) => {
    const before = verdict;
    setVerdict(next);
    setNote("");
    const own = sent.current.then(() => onJudge(next));
    sent.current = own.catch(() => {});
    try {
      await own;
      setNote(next ? say("judged") : "");
    } catch {
      setVerdict(before);
      setNote(say("notJudged"));
    }
  };
  const press = (/** @type {Verdict["verdict"]} */ pressed) => {
    const isTakenBack = verdict?.verdict === pressed;
    setIsAsking(pressed === "wrong" && !isTakenBack);
    judge(isTakenBack ? null : { verdict: pressed });
  };
  const choose = (/** @type {string | null} */ agent) => {
    setIsAsking(false);
    if (agent) judge({ verdict: "wrong", agent });
  };
  const others = Object.entries(titles).filter(([name]) => !answered.includes(name));
  return html`
    <div class="judge">
      <button type="button" class="thumb" aria-pressed=${verdict?.verdict === "right"} onClick=${() => press("right")}
        aria-label=${say("understood")} title=${say("understood")}><${ThumbUp} /></button>
      <button type="button" class="thumb" aria-pressed=${verdict?.verdict === "wrong"} onClick=${() => press("wrong")}
        aria-label=${say("notUnderstood")} title=${say("notUnderstood")}><${ThumbDown} /></button>
      ${children}
      <span class="fine" role="status">${isAsking ? "" : note}</span>
    </div>
    ${isAsking && others.length > 0 && html`
      <fieldset class="whose">
        <legend class="fine">${say("whoseMatter")}</legend>
        ${others.map(([name, title]) => html`<button type="button" class="quiet" key=${name} onClick=${() => choose(name)}>${title}</button>`)}
        <button type="button" class="quiet" onClick=${() => choose(null)}>${say("anotherMatter")}</button>
      </fieldset>
    `}
  `;
}
