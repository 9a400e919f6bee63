// Why a message was answered as it was: what was said, every stage in order, the steps, and what people say of it.
import { Judge } from "../chat/judge.js";
import { Full, Loading } from "../chat/states.js";
import { ApiError } from "../lib/api.js";
import { Memory } from "../lib/memory.js";
import { html, useEffect, useMemo, useState } from "../vendor/preact-htm.js";

/** @import { Api } from "../lib/api.js" */
/** @import { Explanation, Page, StageSeen, Step, Verdict } from "../lib/types.js" */
/** @import { Say } from "../lib/words.js" */

/** @typedef {{ page: Page, found: Explanation }} Known */

const OUTCOMES = { decided: "decided", undecided: "was not sure", passed: "found nothing", not_reached: "not reached" };

/** @param {{ api: Api, messageId: string, say: Say }} props */
export function Explained({ api, messageId, say }) {
  const [known, setKnown] = useState(/** @type {Known | null} */ (null));
  const [problem, setProblem] = useState("");
  const load = async () => {
    setProblem("");
    try {
      const page = await api.page();
      setKnown({ page, found: await api.explanation(messageId) });
      document.title = `Why this answer? ${page.name}`;
    } catch (error) {
      setProblem(error instanceof ApiError ? error.detail : say("unreachable"));
    }
  };
  useEffect(() => {
    load();
  }, [api, messageId]);
  if (problem) return html`<${Full} title="No explanation" text=${problem} action=${say("retry")} onAction=${load} />`;
  if (!known) return html`<${Loading} say=${say} />`;
  return html`<${Shown} ...${known} api=${api} messageId=${messageId} onJudged=${load} say=${say} />`;
}

/** @param {Known & { api: Api, messageId: string, onJudged: () => void, say: Say }} props */
function Shown({ page, found, api, messageId, onJudged, say }) {
  const memory = useMemo(() => new Memory(page.slug), [page.slug]);
  const titles = page.agents ?? {};
  const judge = async (/** @type {Verdict | null} */ verdict) => {
    await api.judge(messageId, memory.userId, verdict);
    memory.judged(messageId, verdict);
    onJudged();
  };
  return html`
    <main class="explanation">
      <p><a href=${`/t/${page.slug}`}>${page.name}</a></p>
      <h1>Why this answer?</h1>
      <section aria-label="What was said">
        ${found.messages.map((message) => html`
          <blockquote key=${message.seq} dir="auto" data-role=${message.role}>
            <p class="fine">${message.role === "user" ? "Contact" : "Answer"}</p>${message.content}
          </blockquote>
        `)}
        <p>
          Answered by <b>${found.agents.map((name) => titles[name] ?? name).join(", ") || "nobody in particular"}</b>
          ${found.decision?.language ? `, language ${found.decision.language}` : ""}, ${found.state}
          ${found.error_code ? ` (${found.error_code})` : ""},${" "}
          <time datetime=${found.created_at}>${new Date(found.created_at).toLocaleString()}</time>.
        </p>
      </section>
      <section aria-labelledby="stages">
        <h2 id="stages">How it was decided</h2>
        ${found.stages.length === 0 && html`<p>No decision is kept: it failed before one, or was erased.</p>`}
        <ol class="stages">${found.stages.map((stage, index) => html`<${Stage} key=${index} stage=${stage} titles=${titles} />`)}</ol>
      </section>
      ${found.steps.length > 0 && html`<${Steps} steps=${found.steps} titles=${titles} />`}
      <section aria-labelledby="verdicts">
        <h2 id="verdicts">Was this the right agent?</h2>
        ${found.stages.length > 0 && html`
          <${Judge} verdict=${memory.verdictOf(messageId)} titles=${titles} answered=${found.agents} onJudge=${judge} say=${say} />
        `}
        <ul>
          ${found.feedback.map((given) => html`
            <li key=${given.user_id}>
              <b>${given.verdict}</b>${given.agent ? `, it should have been ${titles[given.agent] ?? given.agent}` : ""}, says ${given.user_id}
            </li>
          `)}
        </ul>
      </section>
    </main>
  `;
}

/** @param {{ stage: StageSeen, titles: Record<string, string> }} props */
function Stage({ stage, titles }) {
  const isQuiet = stage.outcome === "passed" || stage.outcome === "not_reached";
  return html`
    <li data-outcome=${stage.outcome}>
      <p>
        <b>${stage.stage}</b> <span class="outcome">${OUTCOMES[stage.outcome] ?? stage.outcome}</span>
        ${stage.outcome !== "not_reached" && stage.reason ? `: ${stage.reason}` : ""}
        ${stage.duration_ms === null ? "" : html` <span class="fine">${stage.duration_ms.toFixed(1)} ms</span>`}
      </p>
      ${!isQuiet && html`<p class="fine">It looked at ${stage.looked_at}.</p>`}
      ${Object.keys(stage.scores).length > 0 && html`<${Scores} stage=${stage} titles=${titles} />`}
      ${stage.nearest.length > 0 && html`
        <table>
          <caption class="fine">Examples most like the message</caption>
          <thead><tr><th scope="col">likeness</th><th scope="col">agent</th><th scope="col">example</th></tr></thead>
          <tbody>
            ${stage.nearest.map((like) => html`
              <tr key=${like.example}>
                <td>${like.cosine.toFixed(2)}</td><td>${titles[like.agent] ?? like.agent}</td><td dir="auto">${like.example}</td>
              </tr>
            `)}
          </tbody>
        </table>
      `}
    </li>
  `;
}

/** @param {{ stage: StageSeen, titles: Record<string, string> }} props */
function Scores({ stage, titles }) {
  const rows = Object.entries(stage.scores).map(([name, score]) => [titles[name] ?? name, score, stage.least]);
  if (stage.in_scope !== null) rows.push(["anybody’s matter at all", stage.in_scope, 0.5]);
  return html`
    <table class="scores">
      <caption class="fine">${stage.least === null ? "How likely each is" : `How likely each is; sure from ${stage.least.toFixed(2)}`}</caption>
      <tbody>
        ${rows.map(([name, score, least]) => html`
          <tr key=${name}>
            <th scope="row">${name}</th>
            <td><meter min="0" max="1" low="0" high=${least} optimum="1" value=${score}>${Number(score).toFixed(2)}</meter></td>
            <td>${Number(score).toFixed(2)}</td>
          </tr>
        `)}
      </tbody>
    </table>
  `;
}

/** @param {{ steps: Step[], titles: Record<string, string> }} props */
function Steps({ steps, titles }) {
  return html`
    <section aria-labelledby="steps">
      <h2 id="steps">What was done</h2>
      <ol class="steps">
        ${steps.map((step) => html`
          <li key=${`${step.agent} ${step.number}`}>
            <details>
              <summary>${titles[step.agent] ?? step.agent}: ${step.kind} <b>${step.name}</b>, ${step.status}, ${step.duration_ms} ms</summary>
              <pre tabindex="0">${JSON.stringify({ input: step.input, output: step.output }, null, 2)}</pre>
            </details>
          </li>
        `)}
      </ol>
    </section>
  `;
}
