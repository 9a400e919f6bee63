"""A turn in the database, for parts that write only as long as theirs is there."""

from uuid import UUID

from frontdesk.core.ids import new_id
from frontdesk.db import Database


async def begun_turn(database: Database, tenant_id: UUID, contact: str = "ana", turn_id: UUID | None = None) -> UUID:
    """The id of a turn of a new conversation of the contact's."""
    conversation, turn = new_id(), turn_id or new_id()
    async with database.scope(tenant_id) as scope:
        await scope.execute(
            "INSERT INTO conversations (tenant_id, id, contact, channel, state, owner) "
            "VALUES ($1, $2, $3, 'WEB', 'active', 'agent')",
            tenant_id, conversation, contact,
        )  # fmt: skip
        await scope.execute(
            "INSERT INTO turns (tenant_id, id, conversation_id, state, seqs, epoch, correlation_id) "
            "VALUES ($1, $2, $3, 'running', '{1}', 1, '')",
            tenant_id, turn, conversation,
        )  # fmt: skip
        await scope.execute(
            "INSERT INTO messages (tenant_id, conversation_id, seq, id, role, body, turn_id) "
            "VALUES ($1, $2, 1, $3, 'user', ''::bytea, $4)",
            tenant_id, conversation, new_id(), turn,
        )  # fmt: skip
    return turn
