// The visitor's conversation: what was said, what is being written, what still has to be sent. It keeps two promises: a
// message once written is sent or given back, and an answer once begun is shown whole, whatever the connection does.
import { ApiError } from "../lib/api.js";
import { Cut, backoffMs, eventsOf, pause, untilHopeful } from "../lib/live.js";
import { uuid } from "../lib/memory.js";

/** @import { Api } from "../lib/api.js" */
/** @import { Memory } from "../lib/memory.js" */
/** @import { Answer, Entry, History, Live, Message, Owner, Problem, StreamEvent, View } from "../lib/types.js" */

const OVER = ["expired", "cleared"];
const EMPTY_FOLLOWS = 6; // so often "nothing is being written" while an answer is owed: then none will come
const HISTORY_PAGES = 50;
/** @type {Live} */
const SILENT = { text: "", status: "", agent: "" };

/** One session's running work: replaced as a whole when another session begins, so that nothing late reaches it. */
class Run {
  ended = new AbortController();
  /** The open request of the stream: aborted to reconnect. */
  line = new AbortController();
  /** Wakes the sender that waits for its next try. */
  nudge = new AbortController();
  isSending = false;
  isListening = false;
  lastEventId = "";

  get signal() {
    return this.ended.signal;
  }

  newLine() {
    this.line = new AbortController();
    return AbortSignal.any([this.signal, this.line.signal]);
  }
}

export class Conversation {
  #run = new Run();
  /** @type {Set<(view: View) => void>} */
  #watchers = new Set();
  #isNotifying = false;
  #renewals = 0;
  /** @type {Entry[]} of sessions that are over, as far as this page has shown them */
  #past = [];
  /** @type {Entry[]} of this session: by seq, then what is unsent */
  #entries = [];
  /** @type {View["phase"]} */
  #phase = "loading";
  /** @type {Problem | null} */
  #problem = null;
  /** @type {number | null} */
  #retryAt = null;
  #live = SILENT;
  #isLinked = true;
  /** @type {Owner} */
  #owner = "agent";
  #isEscalated = false;

  /**
   * @param {Api} api
   * @param {Memory} memory
   */
  constructor(api, memory) {
    this.api = api;
    this.memory = memory;
  }

  /** @returns {View} */
  get view() {
    const lost = navigator.onLine ? "reconnecting" : "offline";
    return {
      phase: this.#phase,
      problem: this.#problem,
      retryAt: this.#retryAt,
      entries: [...this.#past, ...this.#entries],
      live: this.#run.isListening ? this.#live : null,
      link: this.#isLinked ? "online" : lost,
      owner: this.#owner,
      escalated: this.#isEscalated,
    };
  }

  /**
   * @param {(view: View) => void} watcher
   * @returns {() => void} stops it
   */
  watch(watcher) {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** Load what was said, go on with an answer that is being written, send what was left unsent. */
  async start() {
    const run = this.#run;
    this.#entries = this.memory.unsent.map((unsent) => entryOf({ ...unsent, delivery: "sending" }));
    for (let attempt = 0; this.memory.hasSession; attempt++) {
      try {
        const history = await this.#refresh(run);
        if (run.signal.aborted) return;
        if (OVER.includes(history.state) && history.last_seq > 0) this.#close();
        break;
      } catch (error) {
        if (run.signal.aborted) return;
        if (error instanceof ApiError && error.status === 404) break; // the first message never got there
        if (error instanceof ApiError && error.status === 410) {
          this.#close();
          break;
        }
        const seconds = error instanceof ApiError ? error.retryAfter : null;
        const ms = seconds === null ? backoffMs(attempt) : seconds * 1000;
        this.#phase = "unreachable";
        this.#problem = error instanceof ApiError ? problemOf(error) : null;
        this.#retryAt = Date.now() + ms;
        this.#changed();
        await untilHopeful(ms, AbortSignal.any([run.signal, this.#nudge(run)]));
      }
    }
    this.#phase = "ready";
    this.#problem = null;
    this.#retryAt = null;
    this.#changed();
    if (this.#owed().length > 0) this.#listen(this.#run, null);
    this.#sendAll(this.#run);
  }

  /** @param {string} text */
  send(text) {
    this.#entries.push(entryOf({ key: uuid(), text, at: new Date().toISOString(), delivery: "sending" }));
    this.#keepUnsent();
    this.#changed();
    this.#sendAll(this.#run);
  }

  /** Try again now: to load, or to send what waits or failed. */
  retry() {
    this.#entries.forEach((entry) => {
      if (entry.delivery === "failed") this.#update(entry.key, { delivery: "sending", problem: null });
    });
    this.#run.nudge.abort();
    this.#changed();
    this.#sendAll(this.#run);
  }

  /**
   * Take an unsent message back.
   * @param {string} key
   * @returns {string} its text
   */
  takeBack(key) {
    const text = this.#entries.find((entry) => entry.key === key)?.text ?? "";
    this.#entries = this.#entries.filter((entry) => entry.key !== key);
    this.#keepUnsent();
    this.#run.nudge.abort(); // those behind it need not wait for it
    this.#changed();
    return text;
  }

  /**
   * Send once more what got no answer.
   * @param {string} key
   */
  askAgain(key) {
    const entry = this.#entries.find((candidate) => candidate.key === key);
    if (!entry) return;
    this.#update(key, { problem: null });
    this.send(entry.text);
  }

  /**
   * Leave this conversation for a new one.
   * @returns {string} what was not sent yet
   */
  startNew() {
    const unsent = this.#entries.filter((entry) => entry.seq === null).map((entry) => entry.text);
    this.#leave();
    this.#past = [];
    this.#entries = [];
    this.#phase = "ready";
    this.#keepUnsent();
    this.#changed();
    return unsent.join("\n");
  }

  /** The network is back: whatever is open belongs to the old one. */
  linkBack() {
    if (this.#run.isListening) this.#run.line.abort();
    else if (this.memory.hasSession) this.look();
    else this.#linked(true);
  }

  linkLost() {
    this.#linked(false);
  }

  /** The visitor looks at the page again: other pages of theirs, or a person here, may have written meanwhile. */
  look() {
    const run = this.#run;
    if (this.#phase !== "ready" || run.isListening || !this.memory.hasSession) return;
    const listen = () => {
      if (this.#owed().length > 0 && !run.signal.aborted) this.#listen(run, null);
    };
    this.#refresh(run).then(listen, () => {}); // not asked for by anybody: the next send will tell
  }

  /** Another page of the visitor's began or left the conversation: this one goes along, with what it has still to send. */
  moved() {
    this.#begin();
    this.#past = [];
    this.#entries = this.#entries.filter((entry) => entry.seq === null);
    this.#phase = "ready";
    this.#changed();
    if (!document.hidden) this.look();
    this.#sendAll(this.#run);
  }

  // Sending

  /** @param {Run} run */
  async #sendAll(run) {
    if (run.isSending || this.#phase !== "ready") return;
    run.isSending = true;
    try {
      for (let attempt = 0; !run.signal.aborted; ) {
        const entry = this.#entries.find((candidate) => candidate.delivery && candidate.delivery !== "failed");
        if (!entry) return;
        try {
          this.#update(entry.key, { delivery: "sending", retryAt: null });
          await this.#deliver(run, entry);
          attempt = 0;
        } catch (error) {
          if (!run.signal.aborted) await this.#undelivered(run, entry, error, attempt++);
        }
      }
    } finally {
      run.isSending = false;
    }
  }

  /**
   * @param {Run} run
   * @param {Entry} entry
   */
  async #deliver(run, entry) {
    await this.api.visitor?.arrive();
    if (run.signal.aborted) return;
    const { userId, sessionId } = this.memory;
    const body = { user_id: userId, message: entry.text, session_id: sessionId, channel: "web" };
    if (run.isListening) {
      // One stream is enough: it, or the one that follows it, brings this answer too.
      const kept = await this.api.message(body, entry.key, run.signal);
      this.#accepted(entry.key, kept.seq);
      if (!run.isListening) this.#listen(run, null);
      return;
    }
    const signal = run.newLine();
    const response = await this.api.chat(body, entry.key, signal);
    const events = eventsOf(response, signal);
    for (;;) {
      const { value: event, done } = await events.next();
      if (done) throw new Cut("It ended before it began.");
      run.lastEventId = event.id || run.lastEventId;
      const data = JSON.parse(event.data);
      if (event.type === "error") throw new ApiError(500, data);
      if (event.type === "accepted") {
        this.#accepted(entry.key, data.seq);
        this.#listen(run, events);
        return;
      }
      if (event.type === "answer") {
        // A repeated send whose turn is long over: the history has both, the message and its answer.
        this.#entries = this.#entries.filter((candidate) => candidate.key !== entry.key);
        this.#keepUnsent();
        await this.#refresh(run);
        return;
      }
    }
  }

  /**
   * @param {string} key
   * @param {number} seq
   */
  #accepted(key, seq) {
    this.#renewals = 0;
    this.#isLinked = true;
    // The history may have brought it already, when this is a repeated send.
    if (this.#entries.some((entry) => entry.seq === seq)) {
      this.#entries = this.#entries.filter((entry) => entry.key !== key);
    } else {
      this.#update(key, { seq, delivery: null, retryAt: null });
      this.#sort();
    }
    this.#keepUnsent();
    this.#changed();
  }

  /**
   * @param {Run} run
   * @param {Entry} entry
   * @param {unknown} error
   * @param {number} attempt
   */
  async #undelivered(run, entry, error, attempt) {
    if (!(error instanceof ApiError)) {
      this.#isLinked = false;
      this.#update(entry.key, { delivery: "waiting", retryAt: null });
      await untilHopeful(backoffMs(attempt), AbortSignal.any([run.signal, this.#nudge(run)]));
      return;
    }
    this.#isLinked = true;
    const isGone = error.status === 410 || error.code === "CONVERSATION_NOT_FOUND";
    if (isGone && this.#renewals++ === 0) {
      this.#renew();
    } else if (error.code === "IDEMPOTENCY_CONFLICT" && attempt === 0) {
      this.#update(entry.key, { key: uuid() });
      this.#keepUnsent();
    } else if (error.retryAfter !== null || [408, 429, 502, 503, 504].includes(error.status)) {
      const ms = error.retryAfter === null ? backoffMs(attempt) : error.retryAfter * 1000;
      this.#update(entry.key, { delivery: "waiting", retryAt: Date.now() + ms, problem: problemOf(error) });
      await pause(ms, AbortSignal.any([run.signal, this.#nudge(run)]));
    } else {
      this.#update(entry.key, { delivery: "failed", retryAt: null, problem: problemOf(error) });
    }
  }

  /** @param {Run} run */
  #nudge(run) {
    run.nudge = new AbortController();
    return run.nudge.signal;
  }

  // Listening

  /**
   * Read until every message has its answer, over as many connections as it takes.
   * @param {Run} run
   * @param {AsyncGenerator<StreamEvent, void, void> | null} events
   */
  async #listen(run, events) {
    if (run.isListening) return;
    run.isListening = true;
    let failures = 0;
    let empty = 0;
    while (!run.signal.aborted) {
      try {
        events ??= await this.#follow(run);
        this.#linked(true);
        const isOver = events ? await this.#consume(run, events) : false;
        if (events && !isOver) throw new Cut("It ended before the answer.");
        if (!events || this.#owed().length > 0) await this.#refresh(run);
        if (this.#owed().length === 0 || this.#owner === "human") break;
        if (isOver) failures = empty = 0;
        else if (++empty > EMPTY_FOLLOWS) this.#unanswered({ code: "NO_ANSWER", detail: "", correlationId: "" });
        else await pause(backoffMs(empty), run.signal);
        if (this.#owed().length === 0) break;
      } catch (error) {
        if (run.signal.aborted) break;
        const refusal = error instanceof ApiError && error.status < 500 && error.retryAfter === null ? error : null;
        if (refusal) {
          this.#unanswered(problemOf(refusal));
          break;
        }
        const seconds = error instanceof ApiError ? error.retryAfter : null;
        this.#linked(false);
        await untilHopeful(seconds === null ? backoffMs(failures++) : seconds * 1000, run.signal);
      }
      events = null;
    }
    run.isListening = false;
    if (run === this.#run) this.#live = SILENT;
    this.#changed();
  }

  /** @param {Run} run */
  async #follow(run) {
    const signal = run.newLine();
    const response = await this.api.follow(this.memory.sessionId, run.lastEventId, signal);
    if (!run.lastEventId) this.#live = SILENT; // it comes from its beginning
    return response && eventsOf(response, signal);
  }

  /**
   * @param {Run} run
   * @param {AsyncGenerator<StreamEvent, void, void>} events
   * @returns {Promise<boolean>} whether the stream came to its last event
   */
  async #consume(run, events) {
    for await (const event of events) {
      if (run.signal.aborted) return true;
      run.lastEventId = event.id || run.lastEventId;
      const data = JSON.parse(event.data);
      if (event.type === "status") {
        this.#live = { ...this.#live, status: data.text ?? "", agent: data.agent ?? this.#live.agent };
      } else if (event.type === "delta") {
        this.#live = { ...this.#live, text: this.#live.text + data.text, status: "" };
      } else if (event.type === "restart") {
        this.#live = { ...this.#live, text: "" };
      } else if (event.type === "answer") {
        this.#answered(data);
        return true;
      } else if (event.type === "error") {
        if (data.error_code === "ANSWER_LATE") return false;
        await this.#refresh(run).catch(() => {}); // it has the failure too; without it we tell what we heard
        this.#unanswered(problemOf(new ApiError(500, data)));
        return true;
      }
      this.#changed();
    }
    return false;
  }

  /** @param {Answer} answer */
  #answered(answer) {
    const owed = this.#owed();
    // Of several messages only the history says which ones this answer covers.
    const covers = answer.in_reply_to ?? (owed.length === 1 ? owed.map((entry) => entry.seq ?? 0) : []);
    this.#live = SILENT;
    this.#place({
      key: answer.message_id,
      role: "assistant",
      seq: answer.seq,
      text: answer.text,
      at: new Date().toISOString(),
      answer,
      covers,
    });
    this.#owner = answer.owner ?? this.#owner;
    this.#isEscalated = answer.escalated || this.#isEscalated;
    this.#changed();
  }

  /** @param {Problem} problem why the messages that are still owed an answer get none */
  #unanswered(problem) {
    this.#live = SILENT;
    this.#owed().forEach((entry) => this.#update(entry.key, { problem }));
  }

  /** @returns {Entry[]} acknowledged messages of the visitor that nothing covers yet */
  #owed() {
    const covered = new Set(this.#entries.flatMap((entry) => entry.covers));
    return this.#entries.filter(
      (entry) => entry.role === "user" && entry.seq !== null && !entry.problem && !covered.has(entry.seq),
    );
  }

  // History

  /**
   * Read what we lack: everything from the oldest message that is owed an answer.
   * @param {Run} run
   * @returns {Promise<History>}
   */
  async #refresh(run) {
    const oldest = this.#owed()[0]?.seq;
    const newest = this.#entries.findLast((entry) => entry.seq !== null)?.seq ?? 0;
    let after = oldest ? oldest - 1 : newest;
    for (let page = 0; ; page++) {
      const history = await this.api.history(this.memory.sessionId, after, run.signal);
      if (run.signal.aborted) return history;
      history.messages.forEach((message) => this.#merge(message));
      this.#owner = history.owner;
      this.#isEscalated ||= history.escalated === true;
      this.#isLinked = true;
      this.#changed();
      const last = history.messages.at(-1)?.seq ?? history.last_seq;
      if (last >= history.last_seq || last <= after || page >= HISTORY_PAGES) return history;
      after = last;
    }
  }

  /** @param {Message} message */
  #merge(message) {
    const covers = message.in_reply_to ?? [];
    const metadata = message.metadata ?? {};
    if (metadata.escalated) this.#isEscalated = true;
    if (metadata.failed && covers.length > 0) {
      const problem = { code: metadata.failed, detail: message.content, correlationId: "" };
      const failed = this.#entries.filter((entry) => entry.role === "user" && covers.includes(entry.seq ?? 0));
      failed.forEach((entry) => this.#update(entry.key, { problem }));
      return;
    }
    this.#place({
      key: message.message_id,
      role: message.role,
      seq: message.seq,
      text: message.content,
      at: message.timestamp,
      answer: message.role === "assistant" ? metadata : null,
      covers,
    });
  }

  /**
   * Put a numbered entry in its place. Known ones are completed, for a stream and the history may both bring it.
   * @param {Partial<Entry> & { key: string, seq: number, covers: number[] }} placed
   */
  #place(placed) {
    const known = this.#entries.find((entry) => entry.seq === placed.seq);
    if (!known) this.#entries.push(entryOf(placed));
    else if (known.role === "user") return;
    else this.#update(known.key, { covers: placed.covers.length ? placed.covers : known.covers });
    this.#sort();
  }

  #sort() {
    this.#entries.sort((a, b) => (a.seq ?? Infinity) - (b.seq ?? Infinity));
  }

  // Sessions

  /** The session is over: go on in a new one. */
  #renew() {
    this.#close();
    this.#changed();
    this.#sendAll(this.#run);
  }

  /** What was said stays readable above a line; what is unsent moves on, under new keys, for it will be a new request. */
  #close() {
    const said = this.#entries.filter((entry) => entry.seq !== null);
    const kept = this.#entries.filter((entry) => entry.seq === null);
    const ended = entryOf({ key: uuid(), kind: "ended", role: "system", at: new Date().toISOString() });
    this.#past = [...this.#past, ...said, ended];
    this.#entries = kept.map((entry) => entryOf({ ...entry, key: uuid(), delivery: "sending" }));
    this.#keepUnsent();
    this.#leave();
  }

  #leave() {
    this.#begin();
    this.memory.leaveSession();
  }

  /** What runs belongs to the session before. */
  #begin() {
    this.#run.ended.abort();
    this.#run = new Run();
    this.#live = SILENT;
    this.#owner = "agent";
    this.#isEscalated = false;
  }

  /** @param {boolean} isLinked */
  #linked(isLinked) {
    this.#isLinked = isLinked;
    this.#changed();
  }

  #keepUnsent() {
    const unsent = this.#entries.filter((entry) => entry.seq === null);
    this.memory.unsent = unsent.map(({ key, text, at }) => ({ key, text, at }));
  }

  /**
   * @param {string} key
   * @param {Partial<Entry>} changes
   */
  #update(key, changes) {
    this.#entries = this.#entries.map((entry) => (entry.key === key ? { ...entry, ...changes } : entry));
    this.#changed();
  }

  /** Once a frame is enough, however many words come; hidden pages have no frames. */
  #changed() {
    if (this.#isNotifying) return;
    this.#isNotifying = true;
    const tell = () => {
      if (!this.#isNotifying) return;
      this.#isNotifying = false;
      const view = this.view;
      this.#watchers.forEach((watcher) => watcher(view));
    };
    requestAnimationFrame(tell);
    setTimeout(tell, 100);
  }
}

/**
 * @param {Partial<Entry> & { key: string }} fields
 * @returns {Entry}
 */
function entryOf(fields) {
  /** @type {Omit<Entry, "key">} */
  const plain = {
    kind: "message",
    role: "user",
    seq: null,
    text: "",
    at: "",
    answer: null,
    delivery: null,
    retryAt: null,
    problem: null,
    covers: [],
  };
  return { ...plain, ...fields };
}

/**
 * @param {ApiError} error
 * @returns {Problem}
 */
function problemOf(error) {
  return { code: error.code, detail: error.detail, correlationId: error.correlationId };
}
