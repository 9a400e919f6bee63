// Signing in: password, second factor when it is asked for, the organisation's own provider, a forgotten password.
import { ApiError, asked } from "../lib/api.js";
import { html, useEffect, useState } from "../vendor/preact-htm.js";
import { Field, Form, Trouble, sentence } from "./forms.js";

/** @import { SignInOptions } from "../lib/types.js" */

const PROBLEMS = new Map([
  ["SIGN_IN_FAILED", "This account may not sign in here, or it took too long."],
  ["OPENID_FAILED", "The sign-in provider can’t be reached, or its answer can’t be believed."],
]);

/** @param {{ tenant: string, next: string, problem: string }} props */
export function SignIn({ tenant, next, problem }) {
  const [options, setOptions] = useState(/** @type {SignInOptions | null} */ (null));
  const [trouble, setTrouble] = useState(problem ? (PROBLEMS.get(problem) ?? "Signing in did not work.") : "");
  const [isForgotten, setForgotten] = useState(false);
  const [isUnknown, setUnknown] = useState(false);
  useEffect(() => {
    document.title = "Sign in";
    asked("GET", `/api/auth/options?tenant=${encodeURIComponent(tenant)}`).then(setOptions, (error) => {
      const isMissing = error instanceof ApiError && error.code === "TENANT_NOT_FOUND";
      setUnknown(isMissing);
      if (!isMissing) setTrouble(sentence(error));
      else if (tenant) setTrouble("There is no organisation of this name here.");
    });
  }, [tenant]);
  return html`
    <main class="door">
      <h1>${options ? options.name : "Sign in"}</h1>
      ${trouble && html`<${Trouble} text=${trouble} />`}
      ${isUnknown
        ? html`<${Organisation} next=${next} />`
        : isForgotten
        ? html`<${Forgotten} tenant=${tenant} onBack=${() => setForgotten(false)} />`
        : html`<${Password} tenant=${tenant} next=${next} onForgotten=${() => setForgotten(true)} />`}
      ${options?.openid && html`
        <a class="provider" href=${`/api/auth/openid/start?tenant=${encodeURIComponent(options.tenant)}`}>
          Sign in with ${options.openid}
        </a>
      `}
    </main>
  `;
}

/**
 * Where the server has no default organisation, or not the one that was named.
 * @param {{ next: string }} props
 */
function Organisation({ next }) {
  const [name, setName] = useState("");
  const send = async () => {
    location.assign(`/sign-in?${new URLSearchParams({ tenant: name.trim().toLowerCase(), next })}`);
  };
  return html`
    <${Form} action="Go on" onSend=${send}>
      <${Field} label="Organisation" name="organization" autocomplete="organization" autofocus required value=${name}
        onInput=${setName} hint="Its short name, as in the address of its page." />
    </${Form}>
  `;
}

/** @param {{ tenant: string, next: string, onForgotten: () => void }} props */
function Password({ tenant, next, onForgotten }) {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState(/** @type {string | null} */ (null));
  const send = async () => {
    const body = { email, password, cookies: true, ...(tenant && { tenant }), ...(code !== null && { code }) };
    try {
      await asked("POST", "/api/auth/sign-in", body);
      location.assign(ownPath(next));
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== "SECOND_FACTOR_NEEDED") throw error;
      setCode("");
    }
  };
  if (code !== null) {
    return html`
      <${Form} key="code" action="Sign in" onSend=${send}>
        <${Field} label="Code" name="code" autocomplete="one-time-code" autofocus required value=${code} onInput=${setCode}
          hint="Six digits that your app shows now, or one of your recovery codes." />
      </${Form}>
    `;
  }
  return html`
    <${Form} key="password" action="Sign in" onSend=${send}>
      <${Field} label="E-mail" name="email" type="email" autocomplete="username" autofocus required value=${email} onInput=${setEmail} />
      <${Field} label="Password" name="password" type="password" autocomplete="current-password" required value=${password}
        onInput=${setPassword} />
      <button type="button" class="word" onClick=${onForgotten}>I forgot my password</button>
    </${Form}>
  `;
}

/** @param {{ tenant: string, onBack: () => void }} props */
function Forgotten({ tenant, onBack }) {
  const [email, setEmail] = useState("");
  const [answer, setAnswer] = useState("");
  const send = async () => {
    setAnswer((await asked("POST", "/api/auth/forgot", { email, ...(tenant && { tenant }) })).detail);
  };
  return html`
    ${answer
      ? html`<p role="status">${answer}</p>`
      : html`
        <${Form} action="Send me a link" onSend=${send}>
          <${Field} label="E-mail" name="email" type="email" autocomplete="username" autofocus required value=${email} onInput=${setEmail} />
        </${Form}>
      `}
    <button type="button" class="word" onClick=${onBack}>Back</button>
  `;
}

/**
 * Only addresses of this server are gone to.
 * @param {string} next
 */
function ownPath(next) {
  const url = new URL(next || "/console", location.origin);
  return url.origin === location.origin ? url.pathname : "/console";
}
