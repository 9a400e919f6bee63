"""The chat's HTTP routes: plain and streamed answers, accept-only, history, sessions."""

import base64
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated, Any  # OpenAPI's schemas are JSON
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator
from starlette.responses import StreamingResponse

from frontdesk.agents.live import Status
from frontdesk.agents.models import Tenant
from frontdesk.channels import sse
from frontdesk.channels.bodies import ChatIn, SessionIn, read_chat, read_session, readable
from frontdesk.conversations.feedback import Judgement
from frontdesk.conversations.models import Accepted, Answer, Author, Failure, Message, Session
from frontdesk.conversations.pending import workflow_of
from frontdesk.conversations.service import Conversations, Explanation, Place
from frontdesk.core.clock import iso
from frontdesk.core.errors import ConversationNotFound, FieldError, IdempotencyConflict, Invalid
from frontdesk.core.json import dumps
from frontdesk.llm.types import Restart, TextDelta
from frontdesk.telemetry.metrics import Metrics

TenantNamed = Callable[[str], Awaitable[Tenant]]
RenderError = Callable[[Failure], dict[str, Any]]

Limit = Annotated[int, Query(ge=1, le=200)]
UserId = Annotated[str, Query(min_length=1, max_length=100), AfterValidator(readable)]

_STREAM_HEADERS: Mapping[str, str] = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}
_EVENT_ID = re.compile(r"^(\d{1,9})-(\d{1,9})-(\d{1,9}|end)$")
_KEY_USED = "The Idempotency-Key was used with another body."
_CHAT_BODY, _SESSION_BODY = (
    {"requestBody": {"required": True, "content": {"application/json": {"schema": form.model_json_schema()}}}}
    for form in (ChatIn, SessionIn)
)


class Chat:
    """What the chat routes do, the same for `/api/{tenant}/…` and the short routes of the default tenant."""

    def __init__(self, conversations: Conversations, metrics: Metrics, render_failure: RenderError) -> None:
        self._conversations = conversations
        self._metrics = metrics
        self._render_failure = render_failure

    async def chat(self, tenant: Tenant, request: Request) -> Response:
        incoming = await read_chat(request)
        accepted = await self._conversations.accept(tenant, incoming, request.state.correlation_id)
        if "text/event-stream" in request.headers.get("accept", ""):
            return self._stream(tenant, accepted, Place(accepted.seq, 1, 0))
        answer = await self._conversations.outcome(tenant.id, accepted.conversation_id, accepted.turn_id)
        return _json(answer_out(answer))

    async def accept(self, tenant: Tenant, request: Request) -> Response:
        incoming = await read_chat(request)
        accepted = await self._conversations.accept(tenant, incoming, request.state.correlation_id)
        body = {
            "session_id": accepted.conversation_id,
            "message_id": accepted.message_id,
            "seq": accepted.seq,
            "correlation_id": request.state.correlation_id,
        }
        return _json(body, 202)

    async def resume(self, tenant: Tenant, conversation_id: UUID, request: Request) -> Response:
        place = parse_event_id(request.headers.get("last-event-id"))
        found = await self._conversations.place_in(tenant.id, conversation_id, place)
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
            at = place
            async with aclosing(self._conversations.follow(tenant.id, conversation_id, turn_id, place)) as happenings:
                async for happening in happenings:
                    match happening:
                        case None:
                            yield sse.HEARTBEAT
                        case Place():
                            at = happening
                        case TextDelta(text=text):
                            yield sse.event("delta", {"text": text}, _event_id(at))
                        case Status():
                            said = {"text": happening.text, "agent": happening.agent, "tool": happening.tool}
                            yield sse.event("status", said, _event_id(at))
                        case Restart():
                            yield sse.event("restart", {}, _event_id(at))
                        case Answer():
                            yield sse.event("answer", answer_out(happening), f"{place.seq}-{at.attempt}-end")
                        case Failure():
                            yield sse.event("error", self._render_failure(happening), f"{place.seq}-{at.attempt}-end")
        finally:
            self._metrics.streams_open.dec()

    async def conversation(self, tenant: Tenant, conversation_id: UUID, after: int, limit: int) -> Response:
        session, messages = await self._conversations.history(tenant.id, conversation_id, after, limit)
        body = {
            "session_id": session.id,
            "state": session.state,
            "owner": session.owner,
            "epoch": session.epoch,
            "last_seq": session.last_seq,
            "emergency": session.emergency,
            "escalated": session.escalated,
            "messages": [message_out(message) for message in messages],
        }
        return _json(body)

    async def create(self, tenant: Tenant, request: Request) -> Response:
        session_id, body, is_by_key = await read_session(request, tenant.id)
        try:
            made = await self._conversations.create(tenant, session_id, body.user_id, body.channel, body.context)
        except ConversationNotFound:
            if not is_by_key:
                raise
            await self._conversations.session(tenant.id, session_id, 1)  # not found either: it was cleared
            raise IdempotencyConflict(_KEY_USED) from None  # it is another user's
        if is_by_key and not _is_made_by(body, made):
            raise IdempotencyConflict(_KEY_USED)
        return _json(session_out(made), 201)

    async def session(self, tenant: Tenant, session_id: UUID) -> Response:
        session, messages = await self._conversations.session(tenant.id, session_id)
        return _json(session_out(session) | {"conversation_history": [message_out(message) for message in messages]})

    async def sessions(self, tenant: Tenant, user_id: str, limit: int, cursor: str | None) -> Response:
        before = _decode_cursor(cursor) if cursor else None
        sessions = await self._conversations.sessions_of(tenant.id, user_id, before, limit + 1)
        more = len(sessions) > limit
        items = [session_out(session) for session in sessions[:limit]]
        next_cursor = _encode_cursor(sessions[limit - 1].last_activity) if more else None
        return _json({"items": items, "next_cursor": next_cursor})

    async def explanation(self, tenant: Tenant, message_id: UUID) -> Response:
        found = await self._conversations.explanation(tenant.id, message_id)
        return _json(explanation_out(found))

    async def clear(self, tenant: Tenant, session_id: UUID) -> Response:
        await self._conversations.clear(tenant.id, session_id)
        return Response(status_code=204)


def build_router(chat: Chat, tenant_named: TenantNamed) -> APIRouter:
    """Every tenant's routes."""
    router = APIRouter(prefix="/api/{tenant}", tags=["chat"])

    @router.post("/chat", openapi_extra=_CHAT_BODY)
    async def post_chat(tenant: str, request: Request) -> Response:
        """Say something; the answer comes whole, or as a stream with `Accept: text/event-stream`."""
        return await chat.chat(await tenant_named(tenant), request)

    @router.post("/messages", status_code=202, openapi_extra=_CHAT_BODY)
    async def post_message(tenant: str, request: Request) -> Response:
        """Say something and don't wait: 202 once the message is kept."""
        return await chat.accept(await tenant_named(tenant), request)

    @router.get("/conversations/{conversation_id}")
    async def get_conversation(
        tenant: str, conversation_id: UUID, after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0, limit: Limit = 200
    ) -> Response:
        """The conversation's messages after a seq, oldest first."""
        return await chat.conversation(await tenant_named(tenant), conversation_id, after, limit)

    @router.get("/conversations/{conversation_id}/stream")
    async def get_stream(tenant: str, conversation_id: UUID, request: Request) -> Response:
        """The stream of the last message, or of the one that `Last-Event-ID` names; 204 when nothing is to come."""
        return await chat.resume(await tenant_named(tenant), conversation_id, request)

    @router.get("/messages/{message_id}/explanation")
    async def explain(tenant: str, message_id: UUID) -> Response:
        """How a message was answered: the stages tried with their scores and reasons, and every step taken."""
        return await chat.explanation(await tenant_named(tenant), message_id)

    @router.post("/sessions", status_code=201, openapi_extra=_SESSION_BODY)
    async def create_session(tenant: str, request: Request) -> Response:
        """Make a session before its first message. (A message without `session_id` makes one too.)"""
        return await chat.create(await tenant_named(tenant), request)

    @router.get("/sessions")
    async def list_sessions(tenant: str, user_id: UserId, limit: Limit = 50, cursor: str | None = None) -> Response:
        """A user's sessions, the last active first."""
        return await chat.sessions(await tenant_named(tenant), user_id, limit, cursor)

    @router.get("/sessions/{session_id}")
    async def get_session(tenant: str, session_id: UUID) -> Response:
        """One session with its history."""
        return await chat.session(await tenant_named(tenant), session_id)

    @router.delete("/sessions/{session_id}", status_code=204)
    async def clear_session(tenant: str, session_id: UUID) -> Response:
        """Erase what was said in a session."""
        return await chat.clear(await tenant_named(tenant), session_id)

    return router


def build_short_router(chat: Chat, default_tenant: Callable[[], Awaitable[Tenant]]) -> APIRouter:
    """The same for the default tenant, without its name."""
    router = APIRouter(tags=["chat, default tenant"])

    @router.post("/chat", openapi_extra=_CHAT_BODY)
    async def post_chat(request: Request) -> Response:
        """Say something to the default tenant."""
        return await chat.chat(await default_tenant(), request)

    @router.post("/api/messages", status_code=202, openapi_extra=_CHAT_BODY)
    async def post_message(request: Request) -> Response:
        """Say something to the default tenant and don't wait."""
        return await chat.accept(await default_tenant(), request)

    @router.post("/sessions", status_code=201, openapi_extra=_SESSION_BODY)
    async def create_session(request: Request) -> Response:
        """Make a session with the default tenant."""
        return await chat.create(await default_tenant(), request)

    @router.get("/sessions")
    async def list_sessions(user_id: UserId, limit: Limit = 50, cursor: str | None = None) -> Response:
        """A user's sessions with the default tenant."""
        return await chat.sessions(await default_tenant(), user_id, limit, cursor)

    @router.get("/session/{session_id}")
    async def get_session(session_id: UUID) -> Response:
        """One session with its history."""
        return await chat.session(await default_tenant(), session_id)

    @router.delete("/session/{session_id}", status_code=204)
    async def clear_session(session_id: UUID) -> Response:
        """Erase what was said in a session."""
        return await chat.clear(await default_tenant(), session_id)

    return router


def answer_out(answer: Answer) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(answer)
    return fields


def message_out(message: Message) -> dict[str, Any]:
    return {
        "seq": message.seq,
        "message_id": message.message_id,
        "role": message.author,
        "content": message.body.content,
        "timestamp": iso(message.created_at),
        "in_reply_to": message.in_reply_to if message.author is not Author.CONTACT else (),
        "metadata": message.body.metadata,
    }


def explanation_out(found: Explanation) -> dict[str, Any]:
    turn: dict[str, Any] = msgspec.to_builtins(found.turn)
    moments = {
        name: iso(moment) if (moment := getattr(found.turn, name)) else None
        for name in ("created_at", "started_at", "ended_at")
    }
    return (
        turn
        | moments
        | {
            "messages": [message_out(message) for message in found.messages],
            "stages": msgspec.to_builtins(found.stages),
            "steps": msgspec.to_builtins(found.steps),
            "feedback": [judgement_out(judgement) for judgement in found.judgements],
        }
    )


def judgement_out(judgement: Judgement) -> dict[str, Any]:
    return {
        "user_id": judgement.author,
        "verdict": judgement.verdict,
        "agent": judgement.agent,
        "given_at": iso(judgement.given_at),
    }


def session_out(session: Session) -> dict[str, Any]:
    workflow, tasks = workflow_of(session.pending)
    return {
        "session_id": session.id,
        "user_id": session.contact,
        "channel": session.channel,
        "created_at": iso(session.created_at),
        "last_activity": iso(session.last_activity),
        "state": session.state,
        "owner": session.owner,
        "emergency": session.emergency,
        "escalated": session.escalated,
        "context": session.context,
        "current_intent": session.intent,
        "workflow_state": workflow,
        "pending_tasks": tasks,
        "metadata": {
            "total_interactions": session.answers,
            "average_response_time": round(session.answer_ms / session.answers / 1000, 3) if session.answers else None,
            "preferred_voice": None,
        },
    }


def _is_made_by(body: SessionIn, session: Session) -> bool:
    """A message may bring another context: what the session was made with is known until its first."""
    is_same_context = session.last_seq > 0 or (session.context or {}) == (body.context or {})
    return session.channel == body.channel and is_same_context


def parse_event_id(value: str | None) -> Place | None:
    """Raises Invalid for an id that is none of ours."""
    if not value:
        return None
    match = _EVENT_ID.match(value)
    if match is None:
        message = "must be the id of an event of this stream, such as 3-1-12"
        raise Invalid(f"Last-Event-ID {message}.", errors=[FieldError("Last-Event-ID", message)])
    seq, attempt, number = match.groups()
    return Place(int(seq), int(attempt), 0 if number == "end" else int(number), ended=number == "end")


def _event_id(place: Place) -> str:
    return f"{place.seq}-{place.attempt}-{place.number}"


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
