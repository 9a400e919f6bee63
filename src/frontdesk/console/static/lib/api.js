// The one client of the HTTP API: every request of every page goes through it, every failure becomes one of two errors.

import { Visitor } from "./visitor.js";

/** @import { ErrorBody, Explanation, History, Page, Passage, Verdict, Visit } from "./types.js" */

const REQUEST_DEADLINE_MS = 20_000;

/** The server answered, but not with what was asked for. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {ErrorBody} body
   */
  constructor(status, body) {
    super(body.detail);
    this.status = status;
    this.code = body.error_code;
    this.detail = body.detail;
    this.correlationId = body.correlation_id ?? "";
    /** Seconds, or null when the server named none. */
    this.retryAfter = body.retry_after ?? null;
  }
}

/** No answer at all: the network, the server, or the deadline. */
export class Unreachable extends Error {}

export class Api {
  /** @type {Visitor | null} where the organisation asks everybody for a token */
  visitor = null;

  /** @param {string | null} tenant the tenant's slug; null is the deployment's default tenant */
  constructor(tenant) {
    this.base = tenant === null ? "" : `/api/${encodeURIComponent(tenant)}`;
  }

  /**
   * Who this page speaks for. From here on requests go to that tenant by name.
   * @returns {Promise<Page>}
   */
  async page() {
    /** @type {Page} */
    let page = await this.#json("/page");
    // Somebody of the staff whose access ran out: renewed, he is shown what is for him.
    if (!page.explains && isStaff() && (await renewed())) page = await this.#json("/page");
    this.base = `/api/${encodeURIComponent(page.slug)}`;
    if (page.visits) this.visitor = new Visitor(page.slug, (token) => this.#visit(page.slug, token));
    return page;
  }

  /**
   * @param {string} slug
   * @param {string | null} token
   * @returns {Promise<Visit>}
   */
  async #visit(slug, token) {
    /** @type {Record<string, string>} */
    const headers = token === null ? {} : { Authorization: `Bearer ${token}` };
    const response = await fetched(`/api/public/widgets/${encodeURIComponent(slug)}/tokens`, { method: "POST", headers });
    return response.json();
  }

  /**
   * @param {string} sessionId
   * @param {number} after
   * @param {AbortSignal} [signal]
   * @returns {Promise<History>}
   */
  history(sessionId, after, signal) {
    return this.#json(`/conversations/${sessionId}?after=${after}`, { signal });
  }

  /**
   * @param {string} passageId
   * @param {AbortSignal} [signal]
   * @returns {Promise<Passage>}
   */
  passage(passageId, signal) {
    return this.#json(`/passages/${encodeURIComponent(passageId)}`, { signal });
  }

  /**
   * Why a message was answered as it was.
   * @param {string} messageId
   * @returns {Promise<Explanation>}
   */
  explanation(messageId) {
    return this.#json(`/messages/${encodeURIComponent(messageId)}/explanation`);
  }

  /**
   * Say whether the right agent answered; null takes it back.
   * @param {string} messageId
   * @param {string} userId
   * @param {Verdict | null} verdict
   */
  async judge(messageId, userId, verdict) {
    const path = `/messages/${encodeURIComponent(messageId)}/feedback`;
    const init = verdict
      ? { method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ user_id: userId, ...verdict }) }
      : { method: "DELETE" };
    await this.#request(verdict ? path : `${path}?user_id=${encodeURIComponent(userId)}`, init);
  }

  /**
   * Send a message and stay for the answer's stream.
   * @param {object} body
   * @param {string} key
   * @param {AbortSignal} signal
   * @returns {Promise<Response>}
   */
  chat(body, key, signal) {
    return this.#request("/chat", { ...post(body, key, "text/event-stream"), signal });
  }

  /**
   * Send a message; its answer comes by a stream that is already open.
   * @param {object} body
   * @param {string} key
   * @param {AbortSignal} signal
   * @returns {Promise<{ message_id: string, seq: number }>}
   */
  message(body, key, signal) {
    return this.#json("/messages", { ...post(body, key, "application/json"), signal });
  }

  /**
   * The rest of the answer that is being written, after the event `lastEventId`; null when there is nothing more.
   * @param {string} sessionId
   * @param {string} lastEventId
   * @param {AbortSignal} signal
   * @returns {Promise<Response | null>}
   */
  async follow(sessionId, lastEventId, signal) {
    /** @type {Record<string, string>} */
    const headers = { Accept: "text/event-stream" };
    if (lastEventId) headers["Last-Event-ID"] = lastEventId;
    const response = await this.#request(`/conversations/${sessionId}/stream`, { headers, signal });
    return response.status === 204 ? null : response;
  }

  /**
   * @param {string} path
   * @param {RequestInit} [init]
   * @returns {Promise<any>} untyped until here: the caller names what the route answers
   */
  async #json(path, init = {}) {
    return json(await this.#request(path, init), init);
  }

  /**
   * @param {string} path
   * @param {RequestInit} init
   */
  async #request(path, init) {
    const visit = this.visitor?.visit;
    if (!visit) return requested(this.base + path, init);
    try {
      return await fetched(this.base + path, { ...init, headers: { ...init.headers, Authorization: `Bearer ${visit.token}` } });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      this.visitor?.leave();
      throw new ApiError(410, { detail: error.detail, error_code: "SESSION_EXPIRED", correlation_id: error.correlationId });
    }
  }
}

/**
 * The answer to a request of a page that works for staff: `null` where the server has nothing to say.
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @param {Record<string, string>} [headers]
 * @returns {Promise<any>} untyped until here: the caller names what the route answers
 */
export async function asked(method, path, body, headers = {}) {
  /** @type {RequestInit} */
  const init = { method, headers: body ? { "Content-Type": "application/json", ...headers } : headers };
  if (body) init.body = JSON.stringify(body);
  const response = await requested(path, init);
  return response.status === 204 ? null : json(response, init);
}

/**
 * Whether another sign-in's tokens are good again. Pages of one browser take turns: a refresh token is good once.
 * @returns {Promise<boolean>}
 */
function renewed() {
  return navigator.locks.request("frontdesk.renew", async () => {
    try {
      const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" };
      await fetched("/api/auth/refresh", init);
      return true;
    } catch (error) {
      return error instanceof ApiError && error.status === 409; // another page was faster: the new tokens are here
    }
  });
}

/** Whether somebody of the staff signed in here; the tokens themselves no script can see. */
function isStaff() {
  return /(^|;\s*)frontdesk_staff=/.test(document.cookie);
}

/**
 * Once more with new tokens, where staff's ran out.
 * @param {string} url
 * @param {RequestInit} init
 * @returns {Promise<Response>}
 */
async function requested(url, init) {
  try {
    return await fetched(url, init);
  } catch (error) {
    const isOver = error instanceof ApiError && error.status === 401 && !url.startsWith("/api/auth/sign-in");
    if (!isOver || !isStaff() || !(await renewed())) throw error;
    return fetched(url, init);
  }
}

/**
 * @param {string} url
 * @param {RequestInit} init
 */
async function fetched(url, init) {
  // The deadline is for the first byte: a stream may go on as long as it likes.
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), REQUEST_DEADLINE_MS);
  const signal = init.signal ? AbortSignal.any([init.signal, late.signal]) : late.signal;
  try {
    const response = await fetch(url, { ...init, signal, cache: "no-store", credentials: "same-origin" });
    if (!response.ok) throw await failure(response);
    return response;
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw unreachable(error, init.signal);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * @param {Response} response
 * @param {RequestInit} init
 */
async function json(response, init) {
  try {
    return await response.json();
  } catch (error) {
    throw unreachable(error, init.signal);
  }
}

/**
 * @param {object} body
 * @param {string} key
 * @param {string} accept
 * @returns {RequestInit}
 */
function post(body, key, accept) {
  const headers = { "Content-Type": "application/json", Accept: accept, "Idempotency-Key": key };
  return { method: "POST", headers, body: JSON.stringify(body) };
}

/**
 * @param {unknown} error
 * @param {AbortSignal | null | undefined} signal of the caller: when it gave up itself, that is what it hears
 */
function unreachable(error, signal) {
  return signal?.aborted ? error : new Unreachable("No connection to the server.", { cause: error });
}

/** @param {Response} response */
async function failure(response) {
  const header = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const fallback = Number.isNaN(header) ? null : header;
  try {
    const body = await response.json();
    return new ApiError(response.status, { ...body, retry_after: body.retry_after ?? fallback });
  } catch {
    // A proxy's page in place of our error format.
    const detail = response.statusText || `HTTP ${response.status}`;
    return new ApiError(response.status, { detail, error_code: "UNREADABLE", retry_after: fallback });
  }
}
