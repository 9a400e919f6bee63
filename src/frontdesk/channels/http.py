"""The chat's HTTP routes: plain and streamed answers, accept-only, history, sessions."""

import base64
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any  # OpenAPI's schemas are JSON
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import AfterValidator
from starlette.responses import StreamingResponse

from frontdesk.agents.live import Status
from frontdesk.agents.models import Tenant
from frontdesk.channels import sse
from frontdesk.channels.access import Access, Caller, allowed
from frontdesk.channels.addresses import client_of
from frontdesk.channels.bodies import MAX_KEY, READABLE, ChatIn, SessionIn, read_chat, read_session, readable
from frontdesk.channels.openapi import answers, events, failures, nothing
from frontdesk.channels.outgoing import (
    AcceptedOut,
    ConversationOut,
    ExplanationOut,
    MessageOut,
    SessionOut,
    SessionPage,
    SessionWithHistory,
)
from frontdesk.conversations.models import Accepted, Answer, Failure, Incoming, Session
from frontdesk.conversations.service import Conversations, Place, Said
from frontdesk.core.errors import (
    AnswerLate,
    BudgetUsedUp,
    ConversationNotFound,
    FieldError,
    FrontdeskError,
    IdempotencyConflict,
    Invalid,
    Malformed,
    QuotaReached,
    RateLimited,
    SessionExpired,
    TenantNotFound,
    TooLarge,
    TurnFailed,
    UnsupportedType,
)
from frontdesk.core.json import dumps
from frontdesk.identity.models import Kind
from frontdesk.identity.permissions import Permission
from frontdesk.llm.types import Restart, TextDelta
from frontdesk.quotas.quotas import Quotas
from frontdesk.telemetry.metrics import Metrics

RenderError = Callable[[Failure], dict[str, Any]]

_EVENT_ID = re.compile("([0-9]{1,9})-([0-9]{1,9})-([0-9]{1,9}|end)")
Limit = Annotated[int, Query(ge=1, le=200)]
# READABLE is for OpenAPI; what it says is checked by `readable`, in a sentence.
UserId = Annotated[
    str, Query(min_length=1, max_length=100, json_schema_extra={"pattern": READABLE}), AfterValidator(readable)
]
LastEventId = Annotated[str, Header(json_schema_extra={"pattern": f"^({_EVENT_ID.pattern})?$"})]
Cursor = Annotated[str, Query(description="the next_cursor of an earlier answer; leave it out for the first page")]

_STREAM_HEADERS: Mapping[str, str] = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}
_KEY_USED = "The Idempotency-Key was used with another body."
KEY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY},
}
_CHAT_BODY, _SESSION_BODY = (
    {
        "parameters": [KEY_PARAMETER],
        "requestBody": {"required": True, "content": {"application/json": {"schema": form.model_json_schema()}}},
    }
    for form in (ChatIn, SessionIn)
)

# What OpenAPI says of each route's answers; the server adds what any route may answer.
UNREADABLE = (Malformed, Invalid, TooLarge, UnsupportedType)
_SAID = (
    *UNREADABLE, TenantNotFound, ConversationNotFound, IdempotencyConflict, SessionExpired, RateLimited, QuotaReached,
)  # fmt: skip
_CHAT = answers(200, Answer, "The answer", streamed=True) | failures(
    *_SAID, BudgetUsedUp, FrontdeskError, TurnFailed, AnswerLate
)
_ACCEPT = answers(202, AcceptedOut, "The message is kept") | failures(*_SAID)
_FOUND = failures(TenantNotFound, ConversationNotFound)
_CONVERSATION = answers(200, ConversationOut, "The conversation") | _FOUND
_STREAM = events("What is still to come") | nothing("Nothing is to come") | _FOUND
_EXPLANATION = answers(200, ExplanationOut, "The turn") | _FOUND
_CREATE = answers(201, SessionOut, "The session") | failures(
    *UNREADABLE, TenantNotFound, ConversationNotFound, IdempotencyConflict, RateLimited
)
_SESSIONS = answers(200, SessionPage, "The sessions") | failures(TenantNotFound, Invalid)
_SESSION = answers(200, SessionWithHistory, "The session") | _FOUND
_CLEAR = nothing("It is erased") | failures(TenantNotFound)


class Chat:
    """What the chat routes do, the same for `/api/{tenant}/…` and the short routes of the default tenant."""

    def __init__(
        self, conversations: Conversations, quotas: Quotas, metrics: Metrics, render_failure: RenderError
    ) -> None:
        self._conversations = conversations
        self._quotas = quotas
        self._metrics = metrics
        self._render_failure = render_failure

    async def chat(self, caller: Caller, request: Request) -> Response:
        tenant, correlation_id = caller.tenant, request.state.correlation_id
        is_streamed = "text/event-stream" in request.headers.get("accept", "")
        async with self._said(caller, request) as incoming:
            accepted = await self._conversations.accept(tenant, incoming, correlation_id, hears=is_streamed)
        if is_streamed:
            return self._stream(tenant, accepted, Place(accepted.seq, 1, 0))
        answer = await self._conversations.outcome(tenant.id, accepted.conversation_id, accepted.turn_id)
        return _json(answer)

    async def accept(self, caller: Caller, request: Request) -> Response:
        async with self._said(caller, request) as incoming:
            accepted = await self._conversations.accept(caller.tenant, incoming, request.state.correlation_id)
        kept = AcceptedOut(accepted.conversation_id, accepted.message_id, accepted.seq, request.state.correlation_id)
        return _json(kept, 202)

    @asynccontextmanager
    async def _said(self, caller: Caller, request: Request) -> AsyncIterator[Incoming]:
        """What the caller says, as whom he may, to be accepted inside.

        Raises as `read_chat`, Forbidden, RateLimited, ConversationNotFound.
        """
        incoming = await read_chat(request, caller.contact)
        caller.speaks_for(incoming.contact)
        async with self._admitted(caller, incoming.contact, request):
            bound = caller.principal.conversation_id
            if bound is not None and incoming.is_new:
                incoming = msgspec.structs.replace(incoming, conversation_id=bound, is_new=False)
            caller.opens(incoming.conversation_id)
            yield incoming

    def _admitted(self, caller: Caller, contact: str, request: Request) -> AbstractAsyncContextManager[None]:
        tenant, principal, client = caller.tenant, caller.principal, client_of(request)
        key_id = principal.id if principal.kind is Kind.API_KEY else None
        address = None if client.is_local else client.address
        return self._quotas.admitted(tenant.id, tenant.slug, tenant.settings.limits, key_id, contact, address)

    async def resume(self, caller: Caller, conversation_id: UUID, last_event_id: str) -> Response:
        caller.opens(conversation_id)
        tenant, place = caller.tenant, parse_event_id(last_event_id)
        found = await self._conversations.place_in(tenant.id, conversation_id, place, caller.contact)
        if found is None:
            return Response(status_code=204)  # tells an EventSource to stop asking
        turn_id, place = found
        return StreamingResponse(self._events(tenant, conversation_id, turn_id, place), headers=_STREAM_HEADERS)

    def _stream(self, tenant: Tenant, accepted: Accepted, place: Place) -> Response:
        first = sse.event(
            "accepted",
            {
                "message_id": accepted.message_id,
                "seq": accepted.seq,
                "session_id": accepted.conversation_id,
            },
            f"{accepted.seq}-1-0",
        )
        events = self._events(tenant, accepted.conversation_id, accepted.turn_id, place, first)
        return StreamingResponse(events, headers=_STREAM_HEADERS)

    async def _events(
        self, tenant: Tenant, conversation_id: UUID, turn_id: UUID, place: Place, first: bytes = b""
    ) -> AsyncIterator[bytes]:
        """The stream's bytes. A client that goes away ends this, never the turn."""
        self._metrics.streams_open.inc()
        try:
            if first:
                yield first
            attempt = place.attempt
            async with aclosing(self._conversations.follow(tenant.id, conversation_id, turn_id, place)) as follows:
                async for follow in follows:
                    match follow:
                        case None:
                            yield sse.HEARTBEAT
                        case Said():
                            attempt = follow.place.attempt
                            yield said_out(follow)
                        case Answer():
                            yield sse.event("answer", follow, f"{place.seq}-{attempt}-end")
                        case Failure():
                            yield sse.event("error", self._render_failure(follow), f"{place.seq}-{attempt}-end")
        finally:
            self._metrics.streams_open.dec()

    async def conversation(self, caller: Caller, conversation_id: UUID, after: int, limit: int) -> Response:
        caller.opens(conversation_id)
        session, messages = await self._conversations.history(
            caller.tenant.id, conversation_id, after, limit, caller.contact
        )
        told = ConversationOut(
            session_id=session.id,
            state=session.state,
            owner=session.owner,
            epoch=session.epoch,
            last_seq=session.last_seq,
            emergency=session.emergency,
            escalated=session.escalated,
            messages=[MessageOut.of(message) for message in messages],
        )
        return _json(told)

    async def create(self, caller: Caller, request: Request) -> Response:
        tenant = caller.tenant
        session_id, body, is_by_key = await read_session(request, tenant.id, caller.contact)
        caller.speaks_for(body.user_id)
        caller.opens(session_id)
        try:
            async with self._admitted(caller, body.user_id, request):
                made = await self._conversations.create(tenant, session_id, body.user_id, body.channel, body.context)
        except ConversationNotFound:
            if not is_by_key:
                raise
            await self._conversations.session(tenant.id, session_id, limit=1)  # not found either: it was cleared
            raise IdempotencyConflict(_KEY_USED) from None  # it is another user's
        if is_by_key and not _is_made_by(body, made):
            raise IdempotencyConflict(_KEY_USED)
        return _json(SessionOut.of(made), 201)

    async def session(self, caller: Caller, session_id: UUID) -> Response:
        caller.opens(session_id)
        session, messages = await self._conversations.session(caller.tenant.id, session_id, caller.contact)
        return _json(SessionWithHistory.told(session, messages))

    async def sessions(self, caller: Caller, user_id: str, limit: int, cursor: str) -> Response:
        caller.speaks_for(user_id)
        before = _decode_cursor(cursor) if cursor else None
        sessions = await self._conversations.sessions_of(caller.tenant.id, user_id, before, limit + 1)
        more = len(sessions) > limit
        items = [SessionOut.of(session) for session in sessions[:limit]]
        next_cursor = _encode_cursor(sessions[limit - 1].last_activity) if more else None
        return _json(SessionPage(items, next_cursor))

    async def explanation(self, caller: Caller, message_id: UUID) -> Response:
        return _json(ExplanationOut.of(await self._conversations.explanation(caller.tenant.id, message_id)))

    async def clear(self, caller: Caller, session_id: UUID) -> Response:
        """One's own needs no more than `chat`; who is bound to no contact may erase what others said."""
        if caller.contact is None and caller.principal.kind is not Kind.ANONYMOUS:
            allowed(caller.principal, Permission.CONVERSATIONS_ERASE)
        caller.opens(session_id)
        await self._conversations.clear(caller.tenant.id, session_id, caller.contact)
        return Response(status_code=204)


# The endpoints below that take a message: from the request and its caller alone.
MESSAGE_ROUTES = frozenset({"post_chat", "post_message"})


def build_router(chat: Chat, access: Access) -> APIRouter:
    """Every tenant's routes."""
    router = APIRouter(prefix="/api/{tenant}", tags=["chat"])
    chats = Depends(access.named(Permission.CHAT))
    lists = Depends(access.named(Permission.SESSIONS_LIST))
    reads = Depends(access.named(Permission.CONVERSATIONS_READ))

    @router.post("/chat", responses=_CHAT, openapi_extra=_CHAT_BODY)
    async def post_chat(caller: Annotated[Caller, chats], request: Request) -> Response:
        """Say something; the answer comes whole, or as a stream with `Accept: text/event-stream`."""
        return await chat.chat(caller, request)

    @router.post("/messages", status_code=202, responses=_ACCEPT, openapi_extra=_CHAT_BODY)
    async def post_message(caller: Annotated[Caller, chats], request: Request) -> Response:
        """Say something and don't wait: 202 once the message is kept."""
        return await chat.accept(caller, request)

    @router.get("/conversations/{conversation_id}", responses=_CONVERSATION)
    async def get_conversation(
        caller: Annotated[Caller, chats],
        conversation_id: UUID,
        after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
        limit: Limit = 200,
    ) -> Response:
        """The conversation's messages after a seq, oldest first."""
        return await chat.conversation(caller, conversation_id, after, limit)

    @router.get("/conversations/{conversation_id}/stream", response_class=StreamingResponse, responses=_STREAM)
    async def get_stream(
        caller: Annotated[Caller, chats], conversation_id: UUID, request: Request, last_event_id: LastEventId = ""
    ) -> Response:
        """The stream of the last message, or of the one that `Last-Event-ID` names; 204 when nothing is to come."""
        return await chat.resume(caller, conversation_id, last_event_id)

    @router.get("/messages/{message_id}/explanation", responses=_EXPLANATION)
    async def explain(caller: Annotated[Caller, reads], message_id: UUID) -> Response:
        """How a message was answered: the stages tried with their scores and reasons, and every step taken."""
        return await chat.explanation(caller, message_id)

    @router.post("/sessions", status_code=201, responses=_CREATE, openapi_extra=_SESSION_BODY)
    async def create_session(caller: Annotated[Caller, chats], request: Request) -> Response:
        """Make a session before its first message. (A message without `session_id` makes one too.)"""
        return await chat.create(caller, request)

    @router.get("/sessions", responses=_SESSIONS)
    async def list_sessions(
        caller: Annotated[Caller, lists], user_id: UserId, limit: Limit = 50, cursor: Cursor = ""
    ) -> Response:
        """A user's sessions, the last active first."""
        return await chat.sessions(caller, user_id, limit, cursor)

    @router.get("/sessions/{session_id}", responses=_SESSION)
    async def get_session(caller: Annotated[Caller, chats], session_id: UUID) -> Response:
        """One session with its history."""
        return await chat.session(caller, session_id)

    @router.delete("/sessions/{session_id}", status_code=204, responses=_CLEAR)
    async def clear_session(caller: Annotated[Caller, chats], session_id: UUID) -> Response:
        """Erase what was said in a session."""
        return await chat.clear(caller, session_id)

    return router


def build_short_router(chat: Chat, access: Access) -> APIRouter:
    """The same for the default tenant, without its name."""
    router = APIRouter(tags=["chat, default tenant"])
    chats = Depends(access.default(Permission.CHAT))
    lists = Depends(access.default(Permission.SESSIONS_LIST))

    @router.post("/chat", responses=_CHAT, openapi_extra=_CHAT_BODY)
    async def post_chat(caller: Annotated[Caller, chats], request: Request) -> Response:
        """Say something to the default tenant."""
        return await chat.chat(caller, request)

    @router.post("/api/messages", status_code=202, responses=_ACCEPT, openapi_extra=_CHAT_BODY)
    async def post_message(caller: Annotated[Caller, chats], request: Request) -> Response:
        """Say something to the default tenant and don't wait."""
        return await chat.accept(caller, request)

    @router.post("/sessions", status_code=201, responses=_CREATE, openapi_extra=_SESSION_BODY)
    async def create_session(caller: Annotated[Caller, chats], request: Request) -> Response:
        """Make a session with the default tenant."""
        return await chat.create(caller, request)

    @router.get("/sessions", responses=_SESSIONS)
    async def list_sessions(
        caller: Annotated[Caller, lists], user_id: UserId, limit: Limit = 50, cursor: Cursor = ""
    ) -> Response:
        """A user's sessions with the default tenant."""
        return await chat.sessions(caller, user_id, limit, cursor)

    @router.get("/session/{session_id}", responses=_SESSION)
    async def get_session(caller: Annotated[Caller, chats], session_id: UUID) -> Response:
        """One session with its history."""
        return await chat.session(caller, session_id)

    @router.delete("/session/{session_id}", status_code=204, responses=_CLEAR)
    async def clear_session(caller: Annotated[Caller, chats], session_id: UUID) -> Response:
        """Erase what was said in a session."""
        return await chat.clear(caller, session_id)

    return router


def _is_made_by(body: SessionIn, session: Session) -> bool:
    """A message may bring another context: what the session was made with is known until its first."""
    is_same_context = session.last_seq > 0 or (session.context or {}) == (body.context or {})
    return session.channel == body.channel and is_same_context


def parse_event_id(value: str) -> Place | None:
    """None for none at all. Raises Invalid for one that is none of ours."""
    if not value:
        return None
    match = _EVENT_ID.fullmatch(value)
    if match is None:
        message = "must be the id of an event of this stream, such as 3-1-12"
        raise Invalid(f"Last-Event-ID {message}.", errors=[FieldError("Last-Event-ID", message)])
    seq, attempt, number = match.groups()
    return Place(int(seq), int(attempt), 0 if number == "end" else int(number), ended=number == "end")


def said_out(said: Said) -> bytes:
    """Events of what happened. Texts that follow each other are one, with the last one's id: to resume behind it."""
    place = said.place
    out: list[bytes] = []
    texts: list[str] = []

    def put(name: str, fields: dict[str, str | None], number: int) -> None:
        out.append(sse.event(name, fields, f"{place.seq}-{place.attempt}-{number}"))

    for number, happening in enumerate(said.happenings, start=place.number - len(said.happenings) + 1):
        if isinstance(happening, TextDelta):
            texts.append(happening.text)
            continue
        if texts:
            put("delta", {"text": "".join(texts)}, number - 1)
            texts.clear()
        match happening:
            case Status(text=text, agent=agent, tool=tool):
                put("status", {"text": text, "agent": agent, "tool": tool}, number)
            case Restart():
                put("restart", {}, number)
    if texts:
        put("delta", {"text": "".join(texts)}, place.number)
    return b"".join(out)


def _encode_cursor(moment: datetime) -> str:
    return base64.urlsafe_b64encode(moment.isoformat().encode()).decode().rstrip("=")


def _decode_cursor(cursor: str) -> datetime:
    try:
        moment = datetime.fromisoformat(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode())
        if moment.tzinfo is None:
            raise ValueError("ours name their time zone")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        message = "must be the next_cursor of an earlier answer"
        raise Invalid(f"cursor {message}.", errors=[FieldError("cursor", message)]) from error


def _json(body: Any, status: int = 200) -> Response:
    return Response(dumps(body), status, media_type="application/json")
