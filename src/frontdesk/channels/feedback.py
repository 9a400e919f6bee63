"""Verdicts on decisions over HTTP: the right agent answered, or the wrong one."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from frontdesk.channels.access import Access, Caller
from frontdesk.channels.bodies import FeedbackIn, read_feedback
from frontdesk.channels.http import UNREADABLE, UserId
from frontdesk.channels.openapi import answers, failures, nothing, schema_of
from frontdesk.channels.outgoing import JudgementOut
from frontdesk.conversations.feedback import Feedback
from frontdesk.core.errors import Conflict, ConversationNotFound, TenantNotFound
from frontdesk.core.json import dumps
from frontdesk.identity.permissions import Permission

_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": schema_of(FeedbackIn)}}}}
_FOUND = failures(TenantNotFound, ConversationNotFound)
_GIVEN = answers(200, JudgementOut, "The verdict") | _FOUND | failures(*UNREADABLE, Conflict)
_TAKEN_BACK = nothing("It is taken back") | _FOUND


def build_router(feedback: Feedback, access: Access) -> APIRouter:
    router = APIRouter(prefix="/api/{tenant}/messages/{message_id}/feedback", tags=["feedback"])
    chats = Depends(access.named(Permission.CHAT))

    @router.put("", responses=_GIVEN, openapi_extra=_BODY)
    async def put_feedback(caller: Annotated[Caller, chats], message_id: UUID, request: Request) -> Response:
        """Say whether the right agent answered. One verdict for each decision and user, the last one counts."""
        said = await read_feedback(request)
        caller.speaks_for(said.user_id)
        given = await feedback.give(caller.tenant, message_id, said.user_id, said.verdict, said.agent, caller.contact)
        return Response(dumps(JudgementOut.of(given)), media_type="application/json")

    @router.delete("", status_code=204, responses=_TAKEN_BACK)
    async def delete_feedback(caller: Annotated[Caller, chats], message_id: UUID, user_id: UserId) -> Response:
        """Take one's verdict back."""
        caller.speaks_for(user_id)
        await feedback.withdraw(caller.tenant, message_id, user_id, caller.contact)
        return Response(status_code=204)

    return router
