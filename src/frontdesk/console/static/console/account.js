// One's own account: password, second factor, and where one is signed in.
import { asked } from "../lib/api.js";
import { html, useEffect, useState } from "../vendor/preact-htm.js";
import { Field, Form, NewPassword, sentence, Trouble, When } from "./forms.js";
import { SecondFactor } from "./second-factor.js";

/** @import { Me, SignInShown } from "../lib/types.js" */

/** @param {{ me: Me }} props */
export function Account({ me }) {
  if (me.kind !== "staff") return html`<p>Nobody is signed in: there is no account to change.</p>`;
  return html`
    <p>${me.name}, ${me.email}</p>
    ${me.password && html`<${Password} />`}
    <${SecondFactor} me=${me} />
    <${SignIns} />
  `;
}

function Password() {
  const [current, setCurrent] = useState("");
  const [fresh, setFresh] = useState("");
  const [isDone, setDone] = useState(false);
  const send = async () => {
    setDone(false);
    await asked("PUT", "/api/auth/password", { current, new: fresh });
    setCurrent("");
    setFresh("");
    setDone(true);
  };
  return html`
    <section aria-labelledby="password">
      <h2 id="password">Password</h2>
      ${isDone && html`<p class="notice" role="status">It is changed. Everywhere else you were signed out.</p>`}
      <${Form} action="Change the password" onSend=${send}>
        <${Field} label="Current password" name="password" type="password" autocomplete="current-password" required value=${current} onInput=${setCurrent} />
        <${NewPassword} label="New password" value=${fresh} onInput=${setFresh} />
      </${Form}>
    </section>
  `;
}

function SignIns() {
  const [items, setItems] = useState(/** @type {SignInShown[] | null} */ (null));
  const [problem, setProblem] = useState("");
  const load = () => asked("GET", "/api/auth/sessions?limit=200").then((page) => setItems(page.items), (error) => setProblem(sentence(error)));
  const end = async (/** @type {string} */ path) => {
    setProblem("");
    try {
      await asked("DELETE", path);
    } catch (error) {
      setProblem(sentence(error));
    }
    await load();
  };
  useEffect(() => {
    load();
  }, []);
  return html`
    <section aria-labelledby="sign-ins">
      <h2 id="sign-ins">Where you are signed in</h2>
      ${problem && html`<${Trouble} text=${problem} />`}
      ${!items && !problem && html`<p role="status">Loading …</p>`}
      <ul class="rows">
        ${items?.map((item) => html`
          <li key=${item.id}>
            <p>
              <b>${item.current ? "This browser" : item.device || "An unnamed program"}</b>
              <span class="fine">${item.address}, last seen <${When} moment=${item.last_seen} />, until <${When} moment=${item.expires_at} /></span>
            </p>
            ${!item.current && html`
              <button type="button" class="quiet" onClick=${() => end(`/api/auth/sessions/${item.id}`)}>Sign out there</button>
            `}
          </li>
        `)}
      </ul>
      ${items && items.length > 1 && html`
        <button type="button" class="quiet" onClick=${() => end("/api/auth/sessions")}>Sign out everywhere else</button>
      `}
    </section>
  `;
}
