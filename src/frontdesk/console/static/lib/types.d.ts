// What the API says, as the pages read it (docs: the public API).

export interface Page {
  slug: string;
  name: string;
  greeting: string;
  suggestions: string[];
  languages: string[];
  local: boolean;
  version: string;
  agents?: Record<string, string>;
  /** Whether answers lead to their explanation. */
  explains?: boolean;
  /** Whether nothing is said without a visitor's token. */
  visits?: boolean;
}

/** A visitor's token, and what it is for. */
export interface Visit {
  token: string;
  user_id: string;
  session_id: string;
  expires_at: string;
}

/** What a visitor says of who answered. */
export interface Verdict {
  verdict: "right" | "wrong";
  agent?: string | null;
}

export interface StageSeen {
  stage: string;
  outcome: "decided" | "undecided" | "passed" | "not_reached";
  looked_at: string;
  reason: string;
  scores: Record<string, number>;
  least: number | null;
  in_scope: number | null;
  nearest: { example: string; agent: string; cosine: number }[];
  duration_ms: number | null;
}

export interface Step {
  number: number;
  agent: string;
  kind: string;
  name: string;
  status: string;
  input: unknown;
  output: unknown;
  duration_ms: number;
}

export interface Explanation {
  session_id: string;
  state: string;
  stage: string | null;
  agents: string[];
  error_code: string | null;
  decision: { language?: string; clarify?: string | null } | null;
  created_at: string;
  messages: Message[];
  stages: StageSeen[];
  steps: Step[];
  feedback: { user_id: string; verdict: "right" | "wrong"; agent: string | null; given_at: string }[];
}

export interface Need {
  parameter: string;
  question: string;
  options?: string[];
}

export interface Citation {
  document: string;
  title: string;
  passage_id: string;
  start: number;
  end: number;
  quote: string;
}

/** The answer of a turn: the last event of a stream, and the metadata of an assistant's message in the history. */
export interface Answer {
  session_id: string;
  message_id: string;
  seq: number;
  text: string;
  agents?: string[];
  routing?: { stage: string; reason: string };
  emergency?: boolean;
  escalated?: boolean;
  owner?: Owner;
  needs?: Need[];
  options?: string[];
  citations?: Citation[];
  source?: string;
  degraded?: boolean;
  state?: string;
  in_reply_to?: number[];
}

export type Owner = "agent" | "queue" | "human";
export type Role = "user" | "assistant" | "system" | "human";

export interface Message {
  seq: number;
  message_id: string;
  role: Role;
  content: string;
  timestamp: string;
  in_reply_to?: number[] | null;
  metadata?: (Partial<Answer> & { failed?: string }) | null;
}

export interface History {
  session_id: string;
  state: string;
  owner: Owner;
  epoch: number;
  escalated?: boolean;
  last_seq: number;
  messages: Message[];
}

export interface Passage {
  document: string;
  title: string;
  heading: string;
  before: string;
  quote: string;
  after: string;
  start: number;
  end: number;
}

export interface ErrorBody {
  detail: string;
  error_code: string;
  correlation_id?: string;
  retry_after?: number | null;
  errors?: { field: string; message: string }[];
}

export type StreamEvent = { id: string; type: string; data: string };

/** Why something did not work, as the visitor reads it. */
export interface Problem {
  code: string;
  detail: string;
  correlationId: string;
}

export type Delivery = "sending" | "waiting" | "failed" | null;

/** One line of the thread. `entry.key` is stable over the entry's life. */
export interface Entry {
  key: string;
  kind: "message" | "ended";
  role: Role;
  seq: number | null;
  text: string;
  at: string;
  answer: Partial<Answer> | null;
  delivery: Delivery;
  retryAt: number | null;
  problem: Problem | null;
  /** The contact's messages (by seq) that it covers. */
  covers: number[];
}

export interface Unsent {
  key: string;
  text: string;
  at: string;
}

export interface Live {
  text: string;
  status: string;
  agent: string;
}

export interface View {
  phase: "loading" | "ready" | "unreachable";
  problem: Problem | null;
  retryAt: number | null;
  entries: Entry[];
  /** The answer that is being written; null when none is awaited. */
  live: Live | null;
  link: "online" | "reconnecting" | "offline";
  owner: Owner;
  escalated: boolean;
}

// Of the pages for staff.

export interface SignInOptions {
  tenant: string;
  name: string;
  password: boolean;
  openid: string | null;
  mail: boolean;
}

export interface Me {
  kind: string;
  id: string;
  tenant: string;
  tenant_name: string;
  permissions: string[];
  email: string | null;
  name: string | null;
  role: string | null;
  is_operator: boolean;
  second_factor: boolean;
  recovery_codes: number;
  password: boolean;
}

export interface LinkShown {
  purpose: "owner" | "invitation" | "reset";
  tenant: string;
  tenant_name: string;
  email: string | null;
  name: string | null;
}

export interface SignInShown {
  id: string;
  device: string;
  address: string;
  last_seen: string;
  expires_at: string;
  current: boolean;
}

export interface Person {
  id: string;
  email: string;
  name: string;
  role: string;
  state: "invited" | "active" | "disabled";
  second_factor: boolean;
  last_sign_in: string | null;
  version: number;
}
