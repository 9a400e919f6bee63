// The first page after signing in: who I am, and what there is.
import { html } from "../vendor/preact-htm.js";

/** @import { Me } from "../lib/types.js" */

/** @param {{ me: Me }} props */
export function Home({ me }) {
  return html`
    <section aria-labelledby="who">
      <h2 id="who">Who you are</h2>
      <dl>
        <dt>Organisation</dt><dd>${me.tenant_name} (${me.tenant})</dd>
        <dt>Signed in as</dt><dd>${me.email ?? me.kind}</dd>
        <dt>Role</dt><dd>${me.role ?? "everything"}${me.is_operator ? ", operator of this server" : ""}</dd>
      </dl>
      ${me.password && !me.second_factor && html`
        <p class="notice">Your account has no second factor. <a href="/console/account">Add one</a>: it takes a minute.</p>
      `}
      ${me.kind === "developer" && html`<p class="notice">FRONTDESK_DEVELOPER is set: nobody on this machine is asked who he is.</p>`}
    </section>
    <section aria-labelledby="places">
      <h2 id="places">Where to go</h2>
      <ul>
        <li><a href=${`/t/${encodeURIComponent(me.tenant)}`}>The visitors’ page</a>, where below each answer you can ask why</li>
        ${me.permissions.includes("staff:read") && html`<li><a href="/console/staff">Staff</a>: who may sign in, and as what</li>`}
        <li><a href="/docs">The API</a></li>
      </ul>
    </section>
  `;
}
