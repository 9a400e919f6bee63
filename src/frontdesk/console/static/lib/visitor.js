// A visitor's token: who this page is to an organisation that asks everybody, and the one conversation it is for.

/** @import { Visit } from "./types.js" */

// Renewed so long before its end: a sleeping tab's timers come late.
const BEFORE_MS = 15 * 60_000;
const AGAIN_MS = 60_000;

export class Visitor {
  /** @type {Visit | null} */
  #visit = null;
  /** @type {Promise<Visit> | null} */
  #asking = null;
  #timer = 0;

  /**
   * @param {string} tenant
   * @param {(token: string | null) => Promise<Visit>} ask for a token, or for that one's renewal
   */
  constructor(tenant, ask) {
    this.key = `frontdesk.${tenant}.visit`;
    this.ask = ask;
    this.#visit = this.#kept();
    if (this.#visit) this.#schedule(this.#visit);
  }

  /** @returns {Visit | null} whether it is still good the server knows best: clocks differ */
  get visit() {
    return this.#visit;
  }

  /**
   * The visit, begun where there is none.
   * @returns {Promise<Visit>}
   */
  async arrive() {
    return this.visit ?? this.#renewed(null);
  }

  /** The conversation is over, or its token: the next message begins another visit. */
  leave() {
    clearTimeout(this.#timer);
    this.#visit = null;
    try {
      sessionStorage.removeItem(this.key);
    } catch {
      // forbidden: nothing was kept
    }
  }

  /** @param {Visit | null} before */
  #renewed(before) {
    this.#asking ??= this.ask(before?.token ?? null)
      .then((visit) => {
        if (before !== this.#visit) return this.#visit ?? visit; // left meanwhile
        this.#visit = visit;
        this.#schedule(visit);
        try {
          sessionStorage.setItem(this.key, JSON.stringify(visit));
        } catch {
          // forbidden or full: it lasts as long as the page
        }
        return visit;
      })
      .finally(() => {
        this.#asking = null;
      });
    return this.#asking;
  }

  /** @param {Visit} visit */
  #schedule(visit) {
    clearTimeout(this.#timer);
    const left = Date.parse(visit.expires_at) - Date.now();
    this.#timer = setTimeout(
      () => {
        this.#renewed(visit).catch(() => this.#visit === visit && this.#schedule(visit)); // tried again
      },
      Math.max(left - BEFORE_MS, AGAIN_MS),
    );
  }

  /** @returns {Visit | null} of before the page was loaded again */
  #kept() {
    try {
      const value = JSON.parse(sessionStorage.getItem(this.key) ?? "null");
      const isVisit = ["token", "user_id", "session_id", "expires_at"].every((name) => typeof value?.[name] === "string");
      return isVisit ? value : null;
    } catch {
      return null; // forbidden, or not ours
    }
  }
}
