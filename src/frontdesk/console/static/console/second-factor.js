// The second factor: set up with the password, an app and a QR code; removed with the password.
import { asked } from "../lib/api.js";
import { html, useState } from "../vendor/preact-htm.js";
import { Field, Form } from "./forms.js";
import { QR } from "./qr.js";

/** @import { Me } from "../lib/types.js" */
/** @typedef {{ secret: string, uri: string }} Proposed */

/** @param {{ me: Me }} props */
export function SecondFactor({ me }) {
  const [isOn, setOn] = useState(me.second_factor);
  const [left, setLeft] = useState(me.recovery_codes);
  const [proposed, setProposed] = useState(/** @type {Proposed | null} */ (null));
  const [codes, setCodes] = useState(/** @type {string[]} */ ([]));
  const confirmed = (/** @type {string[]} */ fresh) => {
    setCodes(fresh);
    setLeft(fresh.length);
    setProposed(null);
    setOn(true);
  };
  const removed = () => {
    setCodes([]);
    setOn(false);
  };
  return html`
    <section aria-labelledby="factor">
      <h2 id="factor">Second factor</h2>
      ${codes.length > 0 && html`<${Codes} codes=${codes} />`}
      ${isOn
        ? html`<p>It is on; ${left} recovery codes are left.</p><${Remove} onRemoved=${removed} />`
        : proposed
          ? html`<${Confirm} proposed=${proposed} onConfirmed=${confirmed} />`
          : me.password
            ? html`<${Begin} onProposed=${setProposed} />`
            : html`<p>You sign in with a provider: it asks for your second factor.</p>`}
    </section>
  `;
}

/** @param {{ onProposed: (proposed: Proposed) => void }} props */
function Begin({ onProposed }) {
  const [password, setPassword] = useState("");
  const send = async () => onProposed(await asked("POST", "/api/auth/second-factor", { password }));
  return html`
    <p>With an app that shows codes (TOTP), a stolen password alone is not enough.</p>
    <${Form} action="Add a second factor" onSend=${send}>
      <${Field} label="Password" name="password" type="password" autocomplete="current-password" required value=${password} onInput=${setPassword} />
    </${Form}>
  `;
}

/** @param {{ proposed: Proposed, onConfirmed: (codes: string[]) => void }} props */
function Confirm({ proposed, onConfirmed }) {
  const [code, setCode] = useState("");
  const send = async () => onConfirmed((await asked("PUT", "/api/auth/second-factor", { code })).recovery_codes);
  return html`
    <p>Scan this with your app, or type in: <code class="secret">${proposed.secret.replace(/(.{4})/g, "$1 ")}</code></p>
    <${QR} text=${proposed.uri} label="QR code for your authenticator app" />
    <${Form} action="Turn it on" onSend=${send}>
      <${Field} label="Code that the app shows now" name="code" autocomplete="one-time-code" inputmode="numeric" autofocus required
        value=${code} onInput=${setCode} />
    </${Form}>
  `;
}

/** @param {{ codes: string[] }} props */
function Codes({ codes }) {
  return html`
    <div class="notice" role="status">
      <p><b>Keep these recovery codes.</b> Each is good once when your app is lost; they are not shown again.</p>
      <ul class="codes">${codes.map((code) => html`<li key=${code}><code>${code}</code></li>`)}</ul>
    </div>
  `;
}

/** @param {{ onRemoved: () => void }} props */
function Remove({ onRemoved }) {
  const [password, setPassword] = useState("");
  const send = async () => {
    await asked("POST", "/api/auth/second-factor/remove", { password });
    onRemoved();
  };
  return html`
    <details>
      <summary>Remove it</summary>
      <${Form} action="Remove the second factor" onSend=${send} quiet>
        <${Field} label="Password" name="password" type="password" autocomplete="current-password" required value=${password} onInput=${setPassword} />
      </${Form}>
    </details>
  `;
}
