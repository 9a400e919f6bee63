// Who may sign in, and as what: invite, change the role, disable, remove.
import { asked, ApiError } from "../lib/api.js";
import { html, useEffect, useId, useState } from "../vendor/preact-htm.js";
import { Field, Form, sentence, Trouble, When } from "./forms.js";

/** @import { Me, Person } from "../lib/types.js" */

const ROLES = ["viewer", "supporter", "admin", "owner"];

/** @param {{ me: Me }} props */
export function StaffList({ me }) {
  const [people, setPeople] = useState(/** @type {Person[] | null} */ (null));
  const [cursor, setCursor] = useState(/** @type {string | null} */ (null));
  const [problem, setProblem] = useState("");
  const [link, setLink] = useState("");
  const load = async (/** @type {string | null} */ from) => {
    try {
      const page = await asked("GET", `/api/admin/staff${from ? `?cursor=${encodeURIComponent(from)}` : ""}`);
      setPeople((before) => (from && before ? [...before, ...page.items] : page.items));
      setCursor(page.next_cursor);
    } catch (error) {
      setProblem(sentence(error));
    }
  };
  useEffect(() => {
    load(null);
  }, []);
  const act = async (/** @type {() => Promise<any>} */ action) => {
    setProblem("");
    setLink("");
    try {
      const answer = await action();
      if (answer?.link) setLink(answer.link);
    } catch (error) {
      const isOld = error instanceof ApiError && error.status === 412;
      setProblem(isOld ? "Somebody else has changed this person meanwhile; this is how it is now." : sentence(error));
    }
    await load(null);
  };
  const mayWrite = me.permissions.includes("staff:write");
  return html`
    ${mayWrite && html`<${Invite} me=${me} onInvite=${act} />`}
    ${link && html`
      <div class="notice" role="status">
        <p>This server sends no mail: pass this link on yourself. It is good once, for seven days, and not shown again.</p>
        <p><code>${link}</code></p>
      </div>
    `}
    ${problem && html`<${Trouble} text=${problem} />`}
    <section aria-labelledby="people">
      <h2 id="people">People</h2>
      ${!people && !problem && html`<p role="status">Loading …</p>`}
      ${people?.length === 0 && html`<p>Nobody yet. Invite the first.</p>`}
      <ul class="rows">
        ${people?.map((person) => html`<${Row} key=${person.id} person=${person} me=${me} mayWrite=${mayWrite} onAct=${act} />`)}
      </ul>
      ${cursor && html`<button type="button" class="quiet" onClick=${() => load(cursor)}>More</button>`}
    </section>
  `;
}

/** @param {{ me: Me, onInvite: (action: () => Promise<any>) => Promise<void> }} props */
function Invite({ me, onInvite }) {
  const [email, setEmail] = useState("");
  const [role, setRole] = useState("supporter");
  const send = async () => {
    await onInvite(() => asked("POST", "/api/admin/staff", { email, role }));
    setEmail("");
  };
  return html`
    <section aria-labelledby="invite">
      <h2 id="invite">Invite somebody</h2>
      <${Form} action="Invite" onSend=${send}>
        <${Field} label="E-mail" name="email" type="email" autocomplete="off" required value=${email} onInput=${setEmail} />
        <${RoleChoice} label="Role" me=${me} value=${role} onChange=${setRole} />
      </${Form}>
    </section>
  `;
}

/** @param {{ person: Person, me: Me, mayWrite: boolean, onAct: (action: () => Promise<any>) => Promise<void> }} props */
function Row({ person, me, mayWrite, onAct }) {
  const isOwners = person.role === "owner" && me.role === "admin";
  const path = `/api/admin/staff/${person.id}`;
  const change = (/** @type {object} */ changes) => onAct(() => asked("PATCH", path, changes, { "If-Match": `"${person.version}"` }));
  const remove = () => {
    if (confirm(`Remove ${person.email} from the staff?`)) onAct(() => asked("DELETE", path, undefined, { "If-Match": `"${person.version}"` }));
  };
  return html`
    <li>
      <p>
        <b>${person.name}</b> ${person.id === me.id ? "(you)" : ""} <span data-state=${person.state} class="state">${person.state}</span>
        <span class="fine">${person.email}; second factor ${person.second_factor ? "on" : "off"}; last sign-in <${When} moment=${person.last_sign_in} /></span>
      </p>
      ${mayWrite && !isOwners
        ? html`
          <${RoleChoice} label=${`Role of ${person.name}`} hidden me=${me} value=${person.role} onChange=${(/** @type {string} */ role) => change({ role })} />
          ${person.state === "invited" && html`
            <button type="button" class="quiet" onClick=${() => onAct(() => asked("POST", `${path}/invitation`))}>Invite again</button>
          `}
          ${person.state === "disabled"
            ? html`<button type="button" class="quiet" onClick=${() => change({ state: "active" })}>Enable</button>`
            : html`<button type="button" class="quiet" onClick=${() => change({ state: "disabled" })}>Disable</button>`}
          <button type="button" class="quiet" onClick=${remove}>Remove</button>
        `
        : html`<p>${person.role}</p>`}
    </li>
  `;
}

/** @param {{ label: string, hidden?: boolean, me: Me, value: string, onChange: (role: string) => void }} props */
function RoleChoice({ label, hidden = false, me, value, onChange }) {
  const roles = me.role === "admin" ? ROLES.filter((role) => role !== "owner") : ROLES;
  const id = useId();
  return html`
    <div class="choice">
      <label for=${id} class=${hidden ? "unseen" : ""}>${label}</label>
      <select id=${id} value=${value} onChange=${(/** @type {{ currentTarget: HTMLSelectElement }} */ event) => onChange(event.currentTarget.value)}>
        ${roles.map((role) => html`<option key=${role} value=${role} selected=${role === value}>${role}</option>`)}
      </select>
    </div>
  `;
}
