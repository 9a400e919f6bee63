// Starts the pages of staff: each address has its component. They speak English alone, as the documents for staff do.
import { html, render } from "../vendor/preact-htm.js";
import { Account } from "./account.js";
import { Home } from "./home.js";
import { Reset, Welcome } from "./links.js";
import { Shell } from "./shell.js";
import { SignIn } from "./sign-in.js";
import { StaffList } from "./staff.js";

/** Behind `#`: no server and no log sees it. */
const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
const problem = new URLSearchParams(location.hash.slice(1)).get("problem") ?? "";
const query = new URLSearchParams(location.search);
// A link that is good once stays in no history either.
if (token) history.replaceState(null, "", location.pathname);

const root = /** @type {Element} */ (document.querySelector("#page"));
root.replaceChildren();
render(page(), root);

function page() {
  switch (location.pathname) {
    case "/sign-in":
      return html`<${SignIn} tenant=${query.get("tenant") ?? ""} next=${query.get("next") ?? ""} problem=${problem} />`;
    case "/welcome":
      return html`<${Welcome} token=${token} />`;
    case "/reset":
      return html`<${Reset} token=${token} />`;
    case "/console/account":
      return html`<${Shell} title="Your account" page=${Account} />`;
    case "/console/staff":
      return html`<${Shell} title="Staff" page=${StaffList} />`;
    default:
      return html`<${Shell} title="Console" page=${Home} />`;
  }
}
