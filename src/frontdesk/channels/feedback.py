"""Verdicts on decisions over HTTP: the right agent answered, or the wrong one."""

from collections.abc import Awaitable, Callable
from uuid import UUID

from fastapi import APIRouter, Request, Response

from frontdesk.agents.models import Tenant
from frontdesk.channels.bodies import FeedbackIn, read_feedback
from frontdesk.channels.http import UNREADABLE, UserId
from frontdesk.channels.openapi import answers, failures, nothing
from frontdesk.channels.outgoing import JudgementOut
from frontdesk.conversations.feedback import Feedback
from frontdesk.core.errors import Conflict, ConversationNotFound, TenantNotFound
from frontdesk.core.json import dumps

_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": FeedbackIn.model_json_schema()}}}}
_FOUND = failures(TenantNotFound, ConversationNotFound)
_GIVEN = answers(200, JudgementOut, "The verdict") | _FOUND | failures(*UNREADABLE, Conflict)
_TAKEN_BACK = nothing("It is taken back") | _FOUND


def build_router(feedback: Feedback, tenant_named: Callable[[str], Awaitable[Tenant]]) -> APIRouter:
    router = APIRouter(prefix="/api/{tenant}/messages/{message_id}/feedback", tags=["feedback"])

    @router.put("", responses=_GIVEN, openapi_extra=_BODY)
    async def put_feedback(tenant: str, message_id: UUID, request: Request) -> Response:
        """Say whether the right agent answered. One verdict for each decision and user, the last one counts."""
        found = await tenant_named(tenant)
        said = await read_feedback(request)
        given = await feedback.give(found, message_id, said.user_id, said.verdict, said.agent)
        return Response(dumps(JudgementOut.of(given)), media_type="application/json")

    @router.delete("", status_code=204, responses=_TAKEN_BACK)
    async def delete_feedback(tenant: str, message_id: UUID, user_id: UserId) -> Response:
        """Take one's verdict back."""
        await feedback.withdraw(await tenant_named(tenant), message_id, user_id)
        return Response(status_code=204)

    return router
