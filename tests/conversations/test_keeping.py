"""What is kept of a conversation, how long, and sealed with which key."""

import asyncio
import base64
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from tests.conftest import HANG_S
from tests.conversations.room import Room, Slow, room
from tests.crash.desk import FILES, Desk
from tests.vendors.server import Vendor

from frontdesk.conversations import texts
from frontdesk.core.errors import SessionExpired
from frontdesk.db import keys
from frontdesk.db.cipher import key_id

OLD, NEW = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
ANEW = texts.ANEW["en"]


async def age(desk_room: Room, conversation: UUID, hours: int) -> None:
    query = "UPDATE conversations SET last_activity = now() - make_interval(hours => $2) WHERE id = $1"
    await desk_room.owner.execute(query, conversation, hours)


async def expired_events(desk_room: Room) -> int:
    return int(await desk_room.owner.fetchval("SELECT count(*) FROM outbox WHERE type = 'conversation.expired'"))


async def test_a_session_expires_when_its_time_is_over_and_the_log_says_so_once(desk_room: Room) -> None:
    conversation = uuid4()
    await desk_room.chat("hello", conversation)
    await age(desk_room, conversation, 2)
    for _ in range(2):
        with pytest.raises(SessionExpired):
            await desk_room.accept("hello again", conversation)
    assert (await desk_room.session(conversation)).state == "expired"
    assert await expired_events(desk_room) == 1
    assert len(await desk_room.messages(conversation)) == 2


async def test_the_clean_up_expires_idle_sessions_and_leaves_the_others(desk_room: Room) -> None:
    idle, active = uuid4(), uuid4()
    for conversation in (idle, active):
        await desk_room.chat("hello", conversation)
    await age(desk_room, idle, 2)
    assert await desk_room.services.housekeeping.expire_sessions() == 1
    assert await desk_room.services.housekeeping.expire_sessions() == 0
    assert (await desk_room.session(idle)).state == "expired"
    assert (await desk_room.session(active)).state == "active"
    assert await expired_events(desk_room) == 1


async def test_a_tenant_that_cannot_be_read_keeps_nobody_elses_session_open(desk_room: Room) -> None:
    idle, odd = uuid4(), uuid4()
    for conversation in (idle, odd):
        await desk_room.chat("hello", conversation)
        await age(desk_room, conversation, 2)
    copy = """
        INSERT INTO tenants (id, slug, name, settings)
        SELECT $1, 'odd', 'Odd', jsonb_build_object('session_ttl_s', 'long', 'slots', 7)
    """
    tenant = uuid4()
    await desk_room.owner.execute(copy, tenant)
    await desk_room.owner.execute("UPDATE conversations SET tenant_id = $1 WHERE id = $2", tenant, odd)
    assert await desk_room.services.housekeeping.expire_sessions() == 2
    states = await desk_room.owner.fetch("SELECT DISTINCT state FROM conversations LIMIT 9")
    assert [row["state"] for row in states] == ["expired"]


async def test_a_session_with_a_damaged_message_starts_anew_and_says_so(desk_room: Room) -> None:
    conversation = uuid4()
    await desk_room.chat("hello", conversation)
    damage = (
        "UPDATE messages SET body = set_byte(body, 30, get_byte(body, 30) # 1) WHERE conversation_id = $1 AND seq = 1"
    )
    await desk_room.owner.execute(damage, conversation)
    answer = await desk_room.chat("note one", conversation)
    assert answer.text.startswith(ANEW)
    history = await desk_room.messages(conversation)
    assert history[0].body.metadata == {"damaged": "DECRYPT_FAILED"}
    assert history[1].body.content
    again = await desk_room.chat("hello again", conversation)
    assert not again.text.startswith(ANEW)  # said once: what could not be read is left behind


async def test_a_damaged_step_does_not_hide_the_rest_of_an_explanation(desk_room: Room) -> None:
    answer = await desk_room.chat("note one", uuid4())
    await desk_room.owner.execute("UPDATE steps SET output = '\\x00' WHERE kind = 'tool'")
    found = await desk_room.services.conversations.explanation(desk_room.tenant.id, answer.message_id)
    assert {"damaged": "DECRYPT_FAILED"} in [step.output for step in found.steps]
    assert found.turn.decision["stage"] == answer.routing.stage


async def test_keys_are_rotated_without_losing_a_word_and_a_lost_key_is_said(desk: Desk, database_url: str) -> None:
    conversation = uuid4()
    async with room(desk, database_url, FRONTDESK_ENCRYPTION_KEYS=OLD) as before:
        await before.chat("hello", conversation)
    async with room(desk, database_url, FRONTDESK_ENCRYPTION_KEYS=f"{NEW},{OLD}") as rotated:
        answer = await rotated.chat("hello again", conversation)
        assert not answer.text.startswith(ANEW)
        assert [message.body.content for message in await rotated.messages(conversation)][::2] == [
            "hello",
            "hello again",
        ]
        assert await keys.forget(rotated.services.database, key_id(base64.b64decode(OLD)))
    async with room(desk, database_url, FRONTDESK_ENCRYPTION_KEYS=NEW) as without:
        history = await without.messages(conversation)
        assert ["damaged" in message.body.metadata for message in history] == [True, True, False, False]
        assert (await without.chat("still there?", conversation)).text.startswith(ANEW)


async def test_nothing_that_was_said_lies_readable_in_the_database(desk_room: Room, postgres: str) -> None:
    canary = "xylophone-canary-4711"
    await desk_room.chat(f"My name is {canary}", uuid4())
    tables = await desk_room.owner.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename LIMIT 100"
    )
    for (table,) in tables:
        query = f"SELECT count(*) FROM {table} AS t WHERE t::text ILIKE $1 OR t::text ILIKE $2"
        found = await desk_room.owner.fetchval(query, f"%{canary}%", f"%{canary.encode().hex()}%")
        assert not found, table
    await desk_room.owner.execute("CHECKPOINT")
    folder = Path(await desk_room.owner.fetchval("SHOW data_directory"))
    assert await asyncio.to_thread(files_with, folder, canary.encode()) == []
    assert await asyncio.to_thread(files_with, folder, b"frontdesk_app") != []  # the search itself finds things


def files_with(folder: Path, text: bytes) -> list[Path]:
    found = []
    for path in folder.rglob("*"):
        try:
            if path.is_file() and text in path.read_bytes():
                found.append(path)
        except FileNotFoundError:
            continue  # it is a living database
    return found


async def test_the_model_sees_a_bounded_window_and_a_summary_of_what_fell_out_of_it(
    desk: Desk, database_url: str
) -> None:
    (desk.place / "tenants" / "desk" / "tenant.yaml").write_text(FILES["tenant.yaml"] + "window_messages: 4\n")
    conversation = uuid4()
    async with room(desk, database_url) as talkative:
        for number in range(8):
            await talkative.chat(f"My parcel number {number} has not arrived in Dublin yet.", conversation)
        assert len(desk.vendor.requests[-1].messages) <= 4 + 1
        query = "SELECT summary_seq FROM conversations WHERE id = $1 AND summary IS NOT NULL"
        async with asyncio.timeout(HANG_S):
            while (await talkative.owner.fetchval(query, conversation) or 0) < 8:
                await asyncio.sleep(0.05)
        await talkative.chat("And now?", conversation)
        prompt = desk.vendor.requests[-1].system + "".join(said.text for said in desk.vendor.requests[-1].messages)
        assert "parcel number 0" in prompt or "summary" in prompt.lower()
        assert "parcel number 7" in prompt


async def test_a_cleared_session_leaves_nothing_to_read(desk_room: Room) -> None:
    conversation = uuid4()
    await desk_room.chat("note one", conversation)
    await desk_room.services.conversations.clear(desk_room.tenant.id, conversation)
    assert await desk_room.owner.fetchval("SELECT count(*) FROM messages") == 0
    with pytest.raises(SessionExpired):
        await desk_room.accept("hello again", conversation)


async def test_what_is_cleared_in_mid_turn_does_not_come_back(desk_room: Room, vendor: Vendor) -> None:
    slow, conversation = Slow(vendor), uuid4()
    accepted = await desk_room.accept("note one", conversation)
    await slow.asked.wait()
    await desk_room.services.conversations.clear(desk_room.tenant.id, conversation)
    assert await desk_room.failure(accepted) == "TURN_FAILED"
    [turn] = await desk_room.owner.fetch("SELECT state, error_code, decision FROM turns")
    assert tuple(turn) == ("failed", "CLEARED", None)
    for table in ("messages", "steps"):
        assert await desk_room.owner.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_a_session_does_not_expire_under_an_answer(desk_room: Room, vendor: Vendor) -> None:
    slow, conversation = Slow(vendor), uuid4()
    accepted = await desk_room.accept("note one", conversation)
    await slow.asked.wait()
    await desk_room.owner.execute("UPDATE conversations SET last_activity = now() - interval '2 days'")
    assert await desk_room.services.housekeeping.expire_sessions() == 0
    assert not await desk_room.services.store.expire(desk_room.tenant.id, conversation, 3600)
    await desk_room.answer(accepted)
    assert (await desk_room.session(conversation)).state == "active"
