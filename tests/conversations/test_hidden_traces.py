"""What the log of events and the server's own log hold of who wrote and what, by the tenant's policy."""

from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs
from tests.conversations.room import Room

from frontdesk.audit import contact_target
from frontdesk.conversations.models import Incoming
from frontdesk.conversations.sealed import Sealed
from frontdesk.core import json
from frontdesk.core.ids import new_id
from frontdesk.privacy.policy import Handling, PrivacySettings

SAID = "My name is Ann Miller, write to ann@example.com."


async def told(room: Room, events: Handling, contact: str = "ann") -> dict[str, Any]:
    """What the log of events has of a message."""
    settings = msgspec.structs.replace(room.tenant.settings, privacy=PrivacySettings(events=events))
    tenant = msgspec.structs.replace(room.tenant, settings=settings)
    incoming = Incoming(contact, SAID, new_id())
    accepted = await room.services.conversations.accept(tenant, incoming, "test")
    await room.answer(accepted)
    query = "SELECT payload FROM outbox WHERE topic = 'messages.raw' AND key = $1"
    payload = await room.owner.fetchval(query, str(accepted.conversation_id))
    opened: dict[str, Any] = Sealed(room.services.cipher).open_json(tenant.id, payload)
    return opened


async def test_events_tell_placeholders_where_the_tenant_wants_it(desk_room: Room) -> None:
    hidden = await told(desk_room, Handling.REDACT, "ann@example.com")
    assert hidden["content"] == "My name is [PERSON_1], write to [EMAIL_1]."
    assert hidden["contact"] == contact_target(desk_room.tenant.id, "ann@example.com")
    assert (await told(desk_room, Handling.REDACT))["contact"] == "ann"
    whole = await told(desk_room, Handling.PASS, "ann@example.com")
    assert (whole["content"], whole["contact"]) == (SAID, "ann@example.com")


@pytest.mark.parametrize("events", Handling)
async def test_why_a_human_is_needed_is_told_without_the_contacts_words(desk_room: Room, events: Handling) -> None:
    tenant = desk_room.tenant
    await desk_room.owner.execute(
        "UPDATE tenants SET settings = settings || $2, version = version + 1 WHERE id = $1",
        tenant.id, json.dumps_text({"privacy": {"events": events}}),
    )  # fmt: skip
    tenant = msgspec.structs.replace(tenant, version=tenant.version + 1)
    incoming = Incoming("ann", "Help, my father Joe Miller has crushing chest pain and can't breathe", new_id())
    await desk_room.answer(await desk_room.services.conversations.accept(tenant, incoming, "test"))
    payload = await desk_room.owner.fetchval("SELECT payload FROM outbox WHERE topic = 'handoff'")
    reason = Sealed(desk_room.services.cipher).open_json(tenant.id, payload)["reason"]
    assert ("crushing" in reason) == (events is Handling.PASS), reason
    assert reason


async def test_a_contact_whose_id_is_an_address_is_a_hash_in_the_log(desk_room: Room) -> None:
    with capture_logs() as lines:
        for contact in ("ann@example.com", "u1"):
            incoming = Incoming(contact, "Hello", new_id())
            await desk_room.answer(await desk_room.services.conversations.accept(desk_room.tenant, incoming, "test"))
    users = [line["user"] for line in lines if line["event"] == "turn.ended"]
    assert users[0].startswith("contact/")
    assert users[1] == "u1"
    assert "ann@" not in str(lines)
