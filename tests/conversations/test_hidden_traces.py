"""What the log of events and the server's own log hold of who wrote and what, by the tenant's policy."""

import msgspec
from structlog.testing import capture_logs
from tests.conversations.room import Room

from frontdesk.conversations.models import Incoming
from frontdesk.conversations.sealed import Sealed
from frontdesk.core.ids import new_id
from frontdesk.privacy.policy import Handling, PrivacySettings

SAID = "My name is Ann Miller, write to ann@example.com."


async def told(room: Room, events: Handling) -> str:
    """What the log of events has of a message."""
    settings = msgspec.structs.replace(room.tenant.settings, privacy=PrivacySettings(events=events))
    tenant = msgspec.structs.replace(room.tenant, settings=settings)
    incoming = Incoming("ann", SAID, new_id())
    accepted = await room.services.conversations.accept(tenant, incoming, "test")
    await room.answer(accepted)
    query = "SELECT payload FROM outbox WHERE topic = 'messages.raw' AND key = $1"
    payload = await room.owner.fetchval(query, str(accepted.conversation_id))
    content: str = Sealed(room.services.cipher).open_json(tenant.id, payload)["content"]
    return content


async def test_events_tell_placeholders_where_the_tenant_wants_it(desk_room: Room) -> None:
    assert await told(desk_room, Handling.REDACT) == "My name is [PERSON_1], write to [EMAIL_1]."
    assert await told(desk_room, Handling.PASS) == SAID


async def test_a_contact_whose_id_is_an_address_is_a_hash_in_the_log(desk_room: Room) -> None:
    with capture_logs() as lines:
        for contact in ("ann@example.com", "u1"):
            incoming = Incoming(contact, "Hello", new_id())
            await desk_room.answer(await desk_room.services.conversations.accept(desk_room.tenant, incoming, "test"))
    users = [line["user"] for line in lines if line["event"] == "turn.ended"]
    assert users[0].startswith("contact/")
    assert users[1] == "u1"
    assert "ann@" not in str(lines)
