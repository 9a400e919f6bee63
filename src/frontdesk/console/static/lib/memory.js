// What the browser remembers for a tenant. A browser that forbids storage still works, until the page is closed.

/** @import { Unsent, Verdict } from "./types.js" */
/** @import { Visitor } from "./visitor.js" */

const VERDICTS = 200; // that are remembered: older answers are scrolled away

/** A UUID that also works where crypto.randomUUID does not: on http without TLS. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export class Memory {
  /** @type {Map<string, string>} */
  #here = new Map();

  /**
   * @param {string} tenant
   * @param {Visitor | null} [visitor] who says whose the conversation is, in place of ids made here
   */
  constructor(tenant, visitor = null) {
    this.prefix = `frontdesk.${tenant}.`;
    this.visitor = visitor;
  }

  /** The visitor, to this tenant; the same over all their conversations. */
  get userId() {
    return this.visitor ? (this.visitor.visit?.user_id ?? "") : this.#id("user");
  }

  /** The conversation. It gets its id when the first message is sent. */
  get sessionId() {
    return this.visitor ? (this.visitor.visit?.session_id ?? "") : this.#id("session");
  }

  /** Whether there is one. Before, the server has nothing to tell. */
  get hasSession() {
    return this.visitor ? this.visitor.visit !== null : UUID.test(this.#get("session") ?? "");
  }

  /** Leave the conversation: the next message opens a new one. */
  leaveSession() {
    if (this.visitor) this.visitor.leave();
    else this.#put("session", "");
  }

  /**
   * Whether another page of the visitor's has just begun or left the conversation.
   * @param {StorageEvent} event
   */
  isOfSession(event) {
    return event.key === `${this.prefix}session`;
  }

  /** What stands in the composer. */
  get draft() {
    return this.#get("draft") ?? "";
  }

  set draft(text) {
    this.#put("draft", text);
  }

  /**
   * Messages that the server has not acknowledged, oldest first.
   * @returns {Unsent[]}
   */
  get unsent() {
    try {
      const value = JSON.parse(this.#get("unsent") ?? "[]");
      return Array.isArray(value) ? value.filter(isUnsent) : [];
    } catch {
      return []; // not ours, or half written
    }
  }

  set unsent(messages) {
    this.#put("unsent", JSON.stringify(messages));
  }

  /**
   * What the visitor said of an answer.
   * @param {string} messageId
   * @returns {Verdict | null}
   */
  verdictOf(messageId) {
    return this.#verdicts().find(([id]) => id === messageId)?.[1] ?? null;
  }

  /**
   * @param {string} messageId
   * @param {Verdict | null} verdict null: taken back
   */
  judged(messageId, verdict) {
    const others = this.#verdicts().filter(([id]) => id !== messageId);
    if (verdict) others.push([messageId, verdict]);
    this.#put("verdicts", JSON.stringify(others.slice(-VERDICTS)));
  }

  /** @returns {[string, Verdict][]} the latest last */
  #verdicts() {
    try {
      const value = JSON.parse(this.#get("verdicts") ?? "[]");
      return Array.isArray(value) ? value.filter(isJudged) : [];
    } catch {
      return []; // not ours, or half written
    }
  }

  /** @param {string} name */
  #id(name) {
    const known = this.#get(name);
    if (known && UUID.test(known)) return known;
    this.#put(name, uuid());
    return this.#get(name) ?? "";
  }

  /** A visit is of one tab, and so is what is written in it. */
  get #storage() {
    return this.visitor ? sessionStorage : localStorage;
  }

  /** @param {string} name */
  #get(name) {
    try {
      return this.#storage.getItem(this.prefix + name) ?? this.#here.get(name) ?? null;
    } catch {
      return this.#here.get(name) ?? null;
    }
  }

  /**
   * @param {string} name
   * @param {string} value
   */
  #put(name, value) {
    try {
      this.#storage.setItem(this.prefix + name, value);
      this.#here.delete(name);
    } catch {
      this.#here.set(name, value); // forbidden or full
    }
  }
}

/** @param {any} value from storage: anything */
function isUnsent(value) {
  return typeof value?.key === "string" && typeof value.text === "string" && typeof value.at === "string";
}

/** @param {any} value from storage: anything */
function isJudged(value) {
  return Array.isArray(value) && typeof value[0] === "string" && ["right", "wrong"].includes(value[1]?.verdict);
}
