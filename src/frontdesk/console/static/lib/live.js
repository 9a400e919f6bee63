// Server-sent events over fetch: EventSource can neither send a message nor name the event to resume after.

/** @import { StreamEvent } from "./types.js" */

// The server sends a comment every 15 s: after three of them the line is dead, whatever the socket says.
const SILENCE_MS = 45_000;

/** The stream ended before its last event. */
export class Cut extends Error {}

/** The wire format of https://html.spec.whatwg.org/multipage/server-sent-events.html, piece by piece. */
export class EventParser {
  #rest = "";
  #id = "";
  #type = "";
  /** @type {string[]} */
  #data = [];

  /**
   * @param {string} text
   * @returns {StreamEvent[]} the events that are complete now
   */
  feed(text) {
    /** @type {StreamEvent[]} */
    const events = [];
    const buffer = this.#rest + text;
    let start = 0;
    for (let i = 0; i < buffer.length; i++) {
      const char = buffer[i];
      if (char !== "\n" && char !== "\r") continue;
      if (char === "\r" && i + 1 === buffer.length) break; // perhaps the first half of \r\n
      const event = this.#line(buffer.slice(start, i));
      if (event) events.push(event);
      if (char === "\r" && buffer[i + 1] === "\n") i++;
      start = i + 1;
    }
    this.#rest = buffer.slice(start);
    return events;
  }

  /**
   * @param {string} line
   * @returns {StreamEvent | null}
   */
  #line(line) {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return null; // a comment: the heartbeat
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#type = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    return null;
  }

  #dispatch() {
    const event = { id: this.#id, type: this.#type || "message", data: this.#data.join("\n") };
    const isEmpty = this.#data.length === 0;
    this.#type = "";
    this.#data = [];
    return isEmpty ? null : event;
  }
}

/**
 * The events of a response as they come. Throws Cut when the connection breaks or falls silent; ends when it ends.
 * @param {Response} response
 * @param {AbortSignal} signal cuts it from this side
 * @returns {AsyncGenerator<StreamEvent, void, void>}
 */
export async function* eventsOf(response, signal) {
  if (!response.body) return;
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  const parser = new EventParser();
  const cut = () => reader.cancel().catch(() => {}); // already broken: nothing left to close
  signal.addEventListener("abort", cut, { once: true });
  try {
    for (;;) {
      const { done, value } = await withinSilence(reader.read(), cut);
      if (signal.aborted) throw new Cut("Cut from this side.");
      if (done) return;
      yield* parser.feed(decoder.decode(value, { stream: true }));
    }
  } catch (error) {
    throw error instanceof Cut ? error : new Cut("The connection broke.", { cause: error });
  } finally {
    signal.removeEventListener("abort", cut);
    cut();
  }
}

/**
 * @template T
 * @param {Promise<T>} promise
 * @param {() => void} cut
 * @returns {Promise<T>}
 */
async function withinSilence(promise, cut) {
  let timer = 0;
  const silence = new Promise((_, reject) => {
    timer = setTimeout(() => {
      cut();
      reject(new Cut("The connection fell silent."));
    }, SILENCE_MS);
  });
  try {
    return /** @type {T} */ (await Promise.race([promise, silence]));
  } finally {
    clearTimeout(timer);
  }
}

/**
 * How long to wait before try number `attempt` (from 0): doubling from half a second to 15 s, and spread, so that all the
 * pages of a server that comes back don't come at once.
 * @param {number} attempt
 */
export function backoffMs(attempt) {
  return Math.min(15_000, 500 * 2 ** attempt) * (0.5 + Math.random() / 2);
}

/**
 * Wait `ms`, or until there is reason to hope: the network came back, or the visitor did.
 * @param {number} ms
 * @param {AbortSignal} signal ends it at once
 * @returns {Promise<void>}
 */
export async function untilHopeful(ms, signal) {
  const ended = new AbortController();
  const options = { signal: ended.signal };
  try {
    await new Promise((resolve) => {
      const seen = () => document.hidden || resolve(null);
      window.addEventListener("online", resolve, options);
      document.addEventListener("visibilitychange", seen, options);
      pause(ms, AbortSignal.any([signal, ended.signal])).then(resolve);
    });
  } finally {
    ended.abort();
  }
}

/**
 * Wait `ms`; the signal ends it early.
 * @param {number} ms
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
    function end() {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    }
  });
}
