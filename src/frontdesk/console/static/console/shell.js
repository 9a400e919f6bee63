// What surrounds every page of the console: who is signed in, where one can go, and the way out.
import { ApiError, asked } from "../lib/api.js";
import { useTheme } from "../lib/theme.js";
import { html, useEffect, useState } from "../vendor/preact-htm.js";
import { sentence } from "./forms.js";

/** @import { Me } from "../lib/types.js" */

/** Links, and the permission without which each leads nowhere. */
const LINKS = [
  { href: "/console", text: "Console", needs: "account" },
  { href: "/console/staff", text: "Staff", needs: "staff:read" },
  { href: "/console/account", text: "Your account", needs: "account" },
];

/** @param {{ title: string, page: (props: { me: Me }) => unknown }} props */
export function Shell({ title, page }) {
  const [me, setMe] = useState(/** @type {Me | null} */ (null));
  const [problem, setProblem] = useState("");
  const load = async () => {
    setProblem("");
    try {
      setMe(await asked("GET", "/api/auth/me"));
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) location.replace(`/sign-in?next=${encodeURIComponent(location.pathname)}`);
      else setProblem(sentence(error));
    }
  };
  useEffect(() => {
    document.title = title;
    load();
  }, []);
  if (problem) {
    return html`
      <main class="full"><h1>This did not work</h1><p role="alert">${problem}</p><button type="button" class="strong" onClick=${load}>Try again</button></main>
    `;
  }
  if (!me) return html`<div class="loading" role="status" aria-label="Loading"><span></span><span></span><span></span></div>`;
  return html`
    <a class="skip" href="#content">To the content</a>
    <${Header} me=${me} />
    <main id="content" class="content" tabindex="-1"><h1>${title}</h1><${page} me=${me} /></main>
  `;
}

/** @param {{ me: Me }} props */
function Header({ me }) {
  const [theme, nextTheme] = useTheme();
  const signOut = async () => {
    await asked("POST", "/api/auth/sign-out", {});
    location.assign(`/sign-in?tenant=${encodeURIComponent(me.tenant)}`);
  };
  return html`
    <header class="header">
      <p class="whose"><b>${me.tenant_name}</b> <span class="fine">${me.name ?? me.kind}${me.role ? `, ${me.role}` : ""}</span></p>
      <nav aria-label="Console">
        ${LINKS.filter((link) => me.permissions.includes(link.needs)).map((link) => html`
          <a key=${link.href} href=${link.href} aria-current=${location.pathname === link.href ? "page" : null}>${link.text}</a>
        `)}
      </nav>
      <button type="button" class="quiet" onClick=${nextTheme}>Theme: ${theme}</button>
      ${me.kind === "staff" && html`<button type="button" class="quiet" onClick=${signOut}>Sign out</button>`}
    </header>
  `;
}
