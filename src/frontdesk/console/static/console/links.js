// What single-use links lead to: the first owner's start, an invitation, a new password.
import { asked } from "../lib/api.js";
import { html, useEffect, useState } from "../vendor/preact-htm.js";
import { Field, Form, NewPassword, sentence } from "./forms.js";

/** @import { LinkShown } from "../lib/types.js" */

/** @param {{ token: string }} props */
export function Welcome({ token }) {
  const [link, problem] = useLink(token);
  const [email, setEmail] = useState("");
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  useEffect(() => setName(link?.name ?? ""), [link]);
  if (problem) return html`<${Over} text=${problem} />`;
  if (!link) return html`<${Waiting} />`;
  const isOwner = link.purpose === "owner";
  const send = async () => {
    await asked("POST", "/api/auth/accept", { token, name, password, cookies: true, ...(isOwner && { email }) });
    location.assign("/console");
  };
  return html`
    <main class="door">
      <h1>Welcome to ${link.tenant_name}</h1>
      <p>${isOwner ? "You become its owner: you invite the others, and decide who may do what." : `You were invited as ${link.email}.`}</p>
      <${Form} action=${isOwner ? "Begin" : "Accept"} onSend=${send}>
        <${Field} label="Name" name="name" autocomplete="name" autofocus required maxlength=${100} value=${name} onInput=${setName} />
        <${Field} label="E-mail" name="email" type="email" autocomplete="username" required readonly=${!isOwner}
          value=${isOwner ? email : (link.email ?? "")} onInput=${setEmail} />
        <${NewPassword} label="Password" value=${password} onInput=${setPassword} />
      </${Form}>
    </main>
  `;
}

/** @param {{ token: string }} props */
export function Reset({ token }) {
  const [link, problem] = useLink(token);
  const [password, setPassword] = useState("");
  const [isDone, setDone] = useState(false);
  if (problem) return html`<${Over} text=${problem} />`;
  if (!link) return html`<${Waiting} />`;
  const send = async () => {
    await asked("POST", "/api/auth/reset", { token, password });
    setDone(true);
  };
  return html`
    <main class="door">
      <h1>${link.tenant_name}</h1>
      ${isDone
        ? html`
          <p role="status">Your new password is good. Everywhere else you were signed out.</p>
          <p><a href=${`/sign-in?tenant=${encodeURIComponent(link.tenant)}`}>Sign in</a></p>
        `
        : html`
          <${Form} action="Set the password" onSend=${send}>
            <${Field} label="E-mail" name="email" type="email" autocomplete="username" readonly value=${link.email ?? ""} onInput=${() => {}} />
            <${NewPassword} label="New password" value=${password} onInput=${setPassword} />
          </${Form}>
        `}
    </main>
  `;
}

/**
 * What a token is for, and why it is not good.
 * @param {string} token
 * @returns {[LinkShown | null, string]}
 */
function useLink(token) {
  const [link, setLink] = useState(/** @type {LinkShown | null} */ (null));
  const [problem, setProblem] = useState(token ? "" : "This address is not complete: open the whole link.");
  useEffect(() => {
    document.title = "Welcome";
    if (token) asked("POST", "/api/auth/link", { token }).then(setLink, (error) => setProblem(sentence(error)));
  }, [token]);
  return [link, problem];
}

function Waiting() {
  return html`<main class="door" aria-busy="true"><div class="loading" role="status" aria-label="Loading"><span></span><span></span><span></span></div></main>`;
}

/** @param {{ text: string }} props */
function Over({ text }) {
  return html`
    <main class="door">
      <h1>This link does not work</h1>
      <p role="alert">${text}</p>
      <p class="fine">Who runs the server makes new ones: <code>frontdesk staff link</code> for the first owner, <code>frontdesk staff reset-link</code> for everybody else.</p>
      <p><a href="/sign-in">Sign in</a></p>
    </main>
  `;
}
