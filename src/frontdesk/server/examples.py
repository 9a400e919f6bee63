"""What OpenAPI shows of bodies, answers and failures: an example of each, as a server gives and takes it."""

from collections.abc import Iterator, Mapping
from typing import Any  # OpenAPI is JSON

from frontdesk.core import errors
from frontdesk.core.errors import FrontdeskError
from frontdesk.identity.account import PasswordWrong
from frontdesk.identity.links import LinkInvalid
from frontdesk.identity.sign_in import SecondFactorNeeded, SignInFailed
from frontdesk.identity.staffing import ChangedMeanwhile, LastOwner
from frontdesk.knowledge.parse import DocumentRefused

_SESSION_ID, _MESSAGE_ID = "01a1fd90-8f4a-749e-8838-8f0a2ee28310", "01a1fd90-9140-75f1-9881-0b74fbbd16a0"
_PASSAGE_ID, _CORRELATION_ID = "01a1fd8f-e14d-73ad-9e5f-9f20a90f3bc7", "01a1fd90-8f27-70b2-be86-2581dd11477a"
_STAFF_ID, _TENANT_ID = "01a1fd8e-7c11-7d2a-a3f0-5be1c7d7e0aa", "01a1fd8e-7b02-7c1e-8f11-2f0f4f1d9c55"
_THEN, _LATER = "2026-11-21T10:04:33.096Z", "2026-12-21T10:04:33.096Z"
_NEXT = None

# Sentences as they are said; `retry_after` in seconds where waiting helps.
_SAID: tuple[tuple[type[FrontdeskError], str, int | None], ...] = (
    (errors.FrontdeskError, "Something went wrong. The log has it under the correlation id.", None),
    (errors.Invalid, "The body is not valid: message: must not be blank.", None),
    (errors.Malformed, "The body is not valid JSON.", None),
    (errors.DefinitionError, "agents/billing.yaml: tools[0]: unknown tool `serch`; did you mean `search`?", None),
    (DocumentRefused, "The document is empty.", None),
    (errors.NotFound, "There is no such key.", None),
    (errors.TenantNotFound, "There is no such tenant, or it is not this credential's.", None),
    (errors.ConversationNotFound, "There is no such session.", None),
    (errors.PassageNotFound, "There is no such passage; its document may have been replaced.", None),
    (LinkInvalid, "This link was used already, or is too old. Ask for a new one.", None),
    (errors.Unauthenticated, "This needs a credential: send Authorization: Bearer with a token or an API key.", None),
    (errors.TokenInvalid, "The token is not valid.", None),
    (errors.TokenExpired, "The token has expired.", None),
    (SignInFailed, "The e-mail address or the password is wrong.", None),
    (SecondFactorNeeded, "A code of your app is needed too.", None),
    (errors.Forbidden, "This needs the permission keys:write, which this credential does not have.", None),
    (PasswordWrong, "The password is wrong.", None),
    (errors.UnknownHost, "The server does not go by this Host name. Add it to FRONTDESK_HOSTS.", None),
    (errors.CrossSite, "A page of another origin may not do this.", None),
    (errors.AddressRefused, "The server takes no requests from this address.", None),
    (errors.TenantSuspended, "The tenant acme is suspended.", None),
    (errors.QuotaReached, "This conversation has its 2000 messages. Begin a new one.", None),
    (errors.Conflict, "Others are changing the same definitions. Try again.", 1),
    (errors.IdempotencyConflict, "This Idempotency-Key was used with another body. Use a new key.", None),
    (LastOwner, "The last active owner stays.", None),
    (errors.SessionExpired, "The session has expired. Leave session_id out to begin a new one.", None),
    (errors.PreconditionFailed, "It has changed since it was read: read it again.", None),
    (ChangedMeanwhile, "Somebody changed this person meanwhile. Read it again.", None),
    (errors.PreconditionRequired, "It is there already: send If-Match with its ETag to replace it.", None),
    (errors.TooLarge, "The body is larger than 262144 bytes.", None),
    (errors.UnsupportedType, "Send Content-Type: application/json.", None),
    (errors.RateLimited, "More than 60 messages a minute by one contact. Try again in 12 s.", 12),
    (errors.BudgetUsedUp, "The budget for models is used up. It is renewed at midnight UTC.", 3600),
    (errors.Unavailable, "Something that this needs is away. Try again.", 5),
    (errors.DatabaseUnavailable, "The database is away. Try again.", 2),
    (errors.ShuttingDown, "The server is stopping. Try again.", 2),
    (errors.TurnFailed, "The message is kept, but no answer could be made. Please try again.", None),
    (errors.AnswerLate, "The answer takes longer: it comes by stream or history.", None),
)


def _failures() -> Iterator[tuple[str, dict[str, Any]]]:
    for error, detail, retry_after in _SAID:
        value: dict[str, Any] = {
            "detail": detail, "error_code": error.error_code, "timestamp": _THEN, "correlation_id": _CORRELATION_ID,
            "retry_after": retry_after,
        }  # fmt: skip
        if error is errors.Invalid:
            value["errors"] = [{"field": "message", "message": "must not be blank"}]
        yield error.error_code, {"value": value}


# By code, for the components of the schema.
FAILURES = dict(_failures())

_MESSAGE = {
    "seq": 1, "message_id": _MESSAGE_ID, "role": "user", "content": "When are visiting hours?", "timestamp": _THEN,
    "in_reply_to": [], "metadata": {},
}  # fmt: skip
_SESSION = {
    "session_id": _SESSION_ID, "user_id": "ann", "channel": "api", "created_at": _THEN, "last_activity": _THEN,
    "state": "active", "owner": "agent", "emergency": False, "escalated": False, "context": {"plan": "basic"},
    "current_intent": "general_info", "workflow_state": None, "pending_tasks": [],
    "metadata": {"total_interactions": 1, "average_response_time": 0.148, "preferred_voice": None},
}  # fmt: skip
_ANSWER = {
    "session_id": _SESSION_ID, "message_id": _MESSAGE_ID, "seq": 2, "correlation_id": _CORRELATION_ID,
    "text": "Visitors are welcome every day from 14:00 to 16:00. [1]", "agents": ["general_info"],
    "intents": [{"name": "general_info", "confidence": 0.9983}],
    "routing": {"stage": "embedding", "reason": "like the examples of general_info"},
    "emergency": False, "escalated": False, "owner": "agent", "needs": [],
    "citations": [{
        "document": "visiting-hours.md", "title": "Visiting hours", "passage_id": _PASSAGE_ID, "start": 55, "end": 112,
        "quote": "Visitors are welcome every day from 14:00 to 16:00.",
    }],
    "items": [], "tools": [{"name": "search_documents", "status": "ok", "duration_ms": 11}], "source": "local",
    "degraded": False,
    "usage": {
        "input_tokens": 2070, "cached_tokens": 0, "output_tokens": 64, "reasoning_tokens": 0, "cost_usd": "0",
        "llm_calls": 2,
    },
    "state": "completed", "duration_ms": 148, "in_reply_to": [1],
}  # fmt: skip
_VERDICT = {"user_id": "ann", "verdict": "wrong", "agent": "billing", "given_at": _THEN}
_KEY = {
    "id": _MESSAGE_ID, "prefix": "k3wq7n2m4xza", "name": "shop backend", "scopes": ["chat"],
    "made_by": f"staff/{_STAFF_ID}", "created_at": _THEN, "expires_at": _LATER, "last_used_at": None,
    "revoked_at": None,
}  # fmt: skip
_STAFF = {
    "id": _STAFF_ID, "email": "ann@example.org", "name": "Ann", "role": "admin", "state": "invited",
    "is_operator": False, "second_factor": False, "created_at": _THEN, "last_sign_in": None, "version": 1,
}  # fmt: skip
_SIGN_IN = {
    "id": _SESSION_ID, "device": "Mozilla/5.0", "address": "203.0.113.9", "created_at": _THEN, "last_seen": _THEN,
    "expires_at": _LATER, "current": True,
}  # fmt: skip
_TENANT = {"id": _TENANT_ID, "slug": "acme", "name": "Acme", "state": "active", "created_at": _THEN}
_DOCUMENT = {
    "id": _PASSAGE_ID, "name": "prices.md", "title": "Prices", "media_type": "text/markdown", "characters": 33,
    "updated_at": _THEN, "etag": f'"{_PASSAGE_ID}"',
}  # fmt: skip
_RECEIPT = {
    "action": "erased", "tenant_id": _TENANT_ID, "contact": "contact/6b23c0d5f35d1b11", "at": _THEN,
    "rows": {"messages": 2, "turns": 1}, "kept": {"llm_calls": "what calls of models cost, tied to nobody"},
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}  # fmt: skip
_ENTRY = {
    "number": 12, "at": _THEN, "actor": {"kind": "staff", "id": _STAFF_ID, "address": "203.0.113.9"},
    "action": "key.revoked", "target": f"key/{_MESSAGE_ID}", "before": {"name": "shop backend"}, "after": None,
    "previous_hash": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    "hash": "fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9",
}  # fmt: skip
_COMPONENT = {"status": "ok", "latency_ms": 1.2, "detail": None}
_ABOUT = {
    "slug": "clinic", "name": "Lakeside Clinic", "greeting": "How can I help?",
    "suggestions": ["When are visiting hours?"], "languages": ["en", "es"], "local": True,
    "agents": {"general_info": "General information"}, "explains": False, "visits": False, "version": "0.1.0",
}  # fmt: skip

# Answers by the name of their form.
_ANSWERS: Mapping[str, Any] = {
    "AcceptedOut": {
        "session_id": _SESSION_ID, "message_id": _MESSAGE_ID, "seq": 1, "correlation_id": _CORRELATION_ID,
    },
    "Alive": {"status": "ok", "version": "0.1.0"},
    "Answer": _ANSWER,
    "ApiKeyPage": {"items": [_KEY], "next_cursor": _NEXT},
    "AuditPage": {"items": [_ENTRY], "next_cursor": "12"},
    "ConversationOut": {
        "session_id": _SESSION_ID, "state": "active", "owner": "agent", "epoch": 0, "last_seq": 1, "emergency": False,
        "escalated": False, "messages": [_MESSAGE],
    },
    "DocumentOut": _DOCUMENT,
    "DocumentPage": {"items": [_DOCUMENT], "next_cursor": _NEXT},
    "DocumentText": {"document": _DOCUMENT, "text": "Prices\n\nA loaf costs four euros."},
    "Excerpt": {
        "passage_id": _PASSAGE_ID, "document": "visiting-hours.md", "title": "Visiting hours", "heading": "Wards",
        "start": 55, "end": 106, "before": "", "quote": "Visitors are welcome every day from 14:00 to 16:00.",
        "after": "",
    },
    "ExplanationOut": {
        "turn_id": _CORRELATION_ID, "session_id": _SESSION_ID, "state": "completed", "covers": [1], "attempt": 1,
        "stage": "embedding", "agents": ["general_info"], "error_code": None, "decision": None, "created_at": _THEN,
        "started_at": _THEN, "ended_at": _THEN, "messages": [_MESSAGE],
        "stages": [{
            "stage": "embedding", "outcome": "decided",
            "looked_at": "likeness to the agents' examples, by meaning and spelling",
            "reason": "like the examples of general_info", "scores": {"general_info": 0.9983, "billing": 0.0011},
            "least": 0.5, "in_scope": 0.99,
            "nearest": [{"agent": "general_info", "example": "What are your visiting hours?", "cosine": 0.93}],
            "duration_ms": 2.4,
        }],
        "steps": [], "feedback": [_VERDICT],
    },
    "InvitedOut": {"staff": _STAFF, "link": "https://desk.example.org/welcome#token=AaIA"},
    "JudgementOut": _VERDICT,
    "JwksOut": {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "2026-11", "n": "0vx7…", "e": "AQAB"}]},
    "LinkOut": {
        "purpose": "invitation", "tenant": "acme", "tenant_name": "Acme", "email": "ann@example.org", "name": "Ann",
    },
    "MadeOut": {
        "tenant": _TENANT,
        "owner": {"staff": _STAFF | {"role": "owner"}, "link": "https://desk.example.org/welcome#token=AaIA"},
    },
    "MeOut": {
        "kind": "staff", "id": _STAFF_ID, "tenant": "acme", "tenant_name": "Acme", "permissions": ["account", "chat"],
        "email": "ann@example.org", "name": "Ann", "role": "supporter", "is_operator": False, "second_factor": True,
        "recovery_codes": 9, "password": True, "session_id": _SESSION_ID,
    },
    "NewApiKeyOut": _KEY | {"key": "fd_k3wq7n2m4xza_…"},
    "NotReady": {"status": "not ready", "reasons": {"database": "It does not answer."}},
    "OptionsOut": {"tenant": "acme", "name": "Acme", "password": True, "openid": "Google", "mail": True},
    "PageOut": _ABOUT,
    "Preview": {"agent": "general_info", "text": "You answer for Acme. Answers general questions.\n"},
    "PromptDiff": {
        "name": "billing", "before": 1, "after": 2,
        "diff": "--- billing 1\n+++ billing 2\n@@ -1 +1 @@\n-Be short.\n+Be friendly.\n",
    },
    "PromptVersions": {"items": [{"version": 2, "template": "Be friendly.\n"}], "next_cursor": _NEXT},
    "ProposedOut": {
        "secret": "JBSWY3DPEHPK3PXP", "uri": "otpauth://totp/Acme:ann%40example.org?secret=JBSWY3DPEHPK3PXP",
    },
    "Ready": {"status": "ready"},
    "Receipt": _RECEIPT,
    "RecoveryCodesOut": {"recovery_codes": ["h4tk-9wqp", "m2cx-7rvd"]},
    "SessionOut": _SESSION,
    "SessionPage": {"items": [_SESSION], "next_cursor": _NEXT},
    "SessionWithHistory": _SESSION | {"conversation_history": [_MESSAGE]},
    "SignInsOut": {"items": [_SIGN_IN], "next_cursor": _NEXT},
    "StaffOut": _STAFF,
    "StaffPage": {"items": [_STAFF], "next_cursor": _NEXT},
    "TenantOut": _TENANT,
    "TenantPage": {"items": [_TENANT], "next_cursor": _NEXT},
    "TokensOut": {"access_token": "eyJ…", "refresh_token": "AaIA…", "token_type": "Bearer", "expires_in": 600},
    "UsagePage": {
        "by": "model", "since": "2026-10-22T10:04:33.096Z", "until": _THEN, "next_cursor": _NEXT,
        "items": [{
            "key": "openai/gpt-6.1-terra", "calls": 120, "failed": 1, "input_tokens": 90000, "cached_tokens": 40000,
            "output_tokens": 12000, "reasoning_tokens": 0, "cost_usd": "1.84", "unpriced": 0,
        }],
    },
    "VisitorOut": {
        "token": "eyJ…", "user_id": "visitor-01a1fd90", "session_id": _SESSION_ID, "expires_at": _LATER,
    },
}  # fmt: skip
_EVENT = {
    "id": "1-1-2", "event": "delta", "data": '{"text": "Visitors are welcome every day from 14:00 to 16:00. [1]"}',
}  # fmt: skip
# Answers that have no form of a name, by route and kind.
_OTHERS: Mapping[tuple[str, str], Any] = {
    ("GET /health/detailed", "application/json"): {"database": _COMPONENT, "embedding": _COMPONENT},
    ("POST /api/auth/forgot", "application/json"): {"detail": "If there is such an account, a link is on its way."},
    ("GET /metrics", "text/plain"): 'frontdesk_requests_total{route="/health",status="2xx"} 1.0\n',
    ("POST /api/admin/contacts/export", "application/x-ndjson"): (
        '{"table": "messages", "row": {"seq": 1, "content": "When are visiting hours?"}}\n'
        '{"receipt": {"action": "exported", "rows": {"messages": 1}}}\n'
    ),
}
_CHAT = {"user_id": "ann", "message": "When are visiting hours?"}
_NEW_SESSION = {"user_id": "ann", "context": {"plan": "basic"}}
_PASSWORD, _TOKEN = "correct horse battery staple", "AaIAmW3ucz6iPAzziBiQ"
# Bodies by route, of those whose form shows none.
_BODIES: Mapping[str, Any] = {
    "POST /api/auth/sign-in": {"email": "ann@example.org", "password": _PASSWORD, "tenant": "acme"},
    "POST /api/auth/refresh": {"refresh_token": _TOKEN},
    "POST /api/auth/sign-out": {"refresh_token": _TOKEN},
    "POST /api/auth/forgot": {"email": "ann@example.org", "tenant": "acme"},
    "POST /api/auth/link": {"token": _TOKEN},
    "POST /api/auth/accept": {"token": _TOKEN, "name": "Ann", "password": _PASSWORD},
    "POST /api/auth/reset": {"token": _TOKEN, "password": _PASSWORD},
    "PUT /api/auth/password": {"current": _PASSWORD, "new": "another horse battery staple"},
    "POST /api/auth/second-factor": {"password": _PASSWORD},
    "PUT /api/auth/second-factor": {"code": "287082"},
    "POST /api/auth/second-factor/remove": {"password": _PASSWORD},
    "POST /api/admin/staff": {"email": "ann@example.org", "role": "supporter", "name": "Ann"},
    "PATCH /api/admin/staff/{staff_id}": {"role": "admin"},
    "POST /api/{tenant}/chat": _CHAT,
    "POST /api/{tenant}/messages": _CHAT,
    "POST /api/{tenant}/sessions": _NEW_SESSION,
    "POST /chat": _CHAT,
    "POST /api/messages": _CHAT,
    "POST /sessions": _NEW_SESSION,
    "PUT /api/{tenant}/messages/{message_id}/feedback": {"user_id": "ann", "verdict": "wrong", "agent": "billing"},
    "POST /api/admin/keys": {"name": "shop backend", "scopes": ["chat"]},
    "POST /api/admin/tenants": {"slug": "acme", "name": "Acme", "languages": ["en"], "owner": "ann@acme.example"},
    "PUT /api/admin/tenants/{tenant_id}/state": {"state": "suspended"},
    "POST /api/admin/contacts/export": {"user_id": "ann"},
    "POST /api/admin/contacts/erase": {"user_id": "ann"},
}


def show_examples(route: str, operation: dict[str, Any]) -> None:
    """Puts them where an operation of OpenAPI has none. Of a kind of body or answer that is unknown here, nothing."""
    for media in operation.get("requestBody", {}).get("content", {}).values():
        if "example" not in media and route in _BODIES:
            media["examples"] = {"one": {"value": _BODIES[route]}}
    for response in operation["responses"].values():
        for kind, media in response.get("content", {}).items():
            form = media.get("schema", {}).get("$ref", "").rpartition("/")[2]
            if form in _ANSWERS:
                media["example"] = _ANSWERS[form]
            elif kind == "text/event-stream":
                media["example"] = _EVENT
            elif not form and (route, kind) in _OTHERS:
                media["example"] = _OTHERS[route, kind]
