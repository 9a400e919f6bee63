"""What becomes of messages: lanes, bursts, ends, owners, and the workers that die."""

import asyncio
from uuid import uuid4

import asyncpg
from tests.conftest import HANG_S
from tests.conversations.room import Room, Slow, room
from tests.crash.desk import FILES, Desk, noting
from tests.vendors.replies import Reply
from tests.vendors.server import Vendor

from frontdesk.agents.calls import idempotency_key
from frontdesk.agents.models import Step
from frontdesk.conversations.models import Author, Incoming
from frontdesk.core.ids import new_id

USER, AGENT, SYSTEM = Author.CONTACT, Author.AGENT, Author.SYSTEM


async def test_messages_that_arrive_in_mid_turn_join_the_turn_that_waits(desk_room: Room, vendor: Vendor) -> None:
    slow, conversation = Slow(vendor), uuid4()
    first = await desk_room.accept("one", conversation)
    await slow.asked.wait()
    joined = [await desk_room.accept(text, conversation) for text in ("two", "three", "four")]
    assert len({accepted.turn_id for accepted in joined}) == 1
    await desk_room.answer(first)
    assert (await desk_room.answer(joined[0])).in_reply_to == (2, 3, 4)
    assert vendor.requests[-1].user.split() == ["two", "three", "four"]
    assert await desk_room.said(conversation) == [(USER, ())] * 4 + [(AGENT, (1,)), (AGENT, (2, 3, 4))]


async def test_without_joining_each_message_is_answered_by_itself_in_order(
    desk: Desk, vendor: Vendor, database_url: str
) -> None:
    (desk.place / "tenants" / "desk" / "tenant.yaml").write_text(FILES["tenant.yaml"] + "join_bursts: false\n")
    slow, conversation = Slow(vendor), uuid4()
    async with room(desk, database_url) as one_by_one:
        accepted = [await one_by_one.accept("one", conversation)]
        await slow.asked.wait()
        accepted += [await one_by_one.accept(text, conversation) for text in ("two", "three", "four")]
        for each in accepted:
            await one_by_one.answer(each)
        assert (await one_by_one.said(conversation))[4:] == [(AGENT, (seq,)) for seq in (1, 2, 3, 4)]
    assert [request.user for request in vendor.requests] == ["one", "two", "three", "four"]


async def test_conversations_do_not_wait_for_each_other(desk_room: Room, vendor: Vendor) -> None:
    slow = Slow(vendor)
    first = await desk_room.accept("one", uuid4())
    await slow.asked.wait()
    await desk_room.chat("two", uuid4())
    assert desk_room.services.live.get(first.turn_id) is not None
    await desk_room.answer(first)


async def test_the_same_key_after_a_restart_gives_the_same_message_and_answer(desk: Desk, database_url: str) -> None:
    conversation = uuid4()
    async with room(desk, database_url) as before:
        first = await before.accept("note one", conversation, "key-1")
        answer = await before.answer(first)
    async with room(desk, database_url) as after:
        again = await after.accept("note one", conversation, "key-1")
        assert again.repeated
        assert again.message_id == first.message_id
        assert await after.answer(again) == answer
    assert [len(keys) for keys in desk.calls().values()] == [1]


async def test_a_key_whose_message_was_stripped_of_its_personal_data_is_still_a_repetition(desk_room: Room) -> None:
    first = await desk_room.accept("I am Ann Miller", new_id(), key="one")
    await desk_room.answer(first)
    await desk_room.owner.execute("UPDATE messages SET request_hash = NULL")  # as `Redactions` does
    again = await desk_room.accept("I am Ann Miller", first.conversation_id, key="one")
    assert (again.message_id, again.turn_id) == (first.message_id, first.turn_id)


async def test_a_turn_whose_worker_died_is_taken_over(desk_room: Room, desk: Desk) -> None:
    accepted = await desk_room.left_by_a_dead_worker("note one", uuid4())
    assert (await desk_room.answer(accepted)).text == "All done, thank you."
    assert list(desk.calls()) == ["note one"]


async def test_a_turn_that_outlives_all_its_workers_is_abandoned_explicitly(desk_room: Room, desk: Desk) -> None:
    conversation = uuid4()
    accepted = await desk_room.left_by_a_dead_worker("note one", conversation, attempt=3)
    assert await desk_room.failure(accepted) == "TURN_ABANDONED"
    assert await desk_room.said(conversation) == [(USER, ()), (SYSTEM, (1,))]
    assert (await desk_room.session(conversation)).escalated
    assert not desk.calls()


async def test_a_turn_of_a_tenant_whose_definitions_are_broken_ends_explicitly(desk_room: Room) -> None:
    conversation = uuid4()
    accepted = await desk_room.left_by_a_dead_worker("note one", conversation, attempt=1)
    settings = '{"session_ttl_s": "soon"}'
    await desk_room.owner.execute("UPDATE tenants SET settings = $1, version = version + 1", settings)
    await desk_room.owner.execute("UPDATE turns SET lease_until = now() - interval '1 s'")
    desk_room.services.definitions._kept.clear()  # as in a server that starts now
    assert await desk_room.failure(accepted) == "INTERNAL"
    assert (await desk_room.messages(conversation))[-1].body.metadata["failed"] == "INTERNAL"


async def test_nonsense_from_the_only_vendor_is_a_failure_that_is_said(desk_room: Room, vendor: Vendor) -> None:
    vendor.responder = lambda _request: Reply(raw=b"<html>nonsense</html>", content_type="text/html")
    conversation = uuid4()
    code = await desk_room.failure(await desk_room.accept("note one", conversation))
    last = (await desk_room.messages(conversation))[-1]
    assert (last.author, last.in_reply_to, last.body.metadata["failed"]) == (SYSTEM, (1,), code)
    assert "nonsense" not in last.body.content


async def test_a_tool_that_breaks_does_not_break_the_turn(desk: Desk, database_url: str) -> None:
    tool = desk.place / "tenants" / "desk" / "tools" / "notes.py"
    tool.write_text("async def write(arguments, context):\n    raise RuntimeError('secret')\n")
    async with room(desk, database_url) as broken:
        answer = await broken.chat("note one", uuid4())
    assert answer.tools[0].status == "error"
    assert "secret" not in answer.text


async def test_a_turn_that_takes_too_long_ends_explicitly(desk: Desk, vendor: Vendor, database_url: str) -> None:
    vendor.responder = lambda _request: Reply("never", stall_after=0)
    conversation = uuid4()
    async with room(desk, database_url, FRONTDESK_TURNS__DEADLINE_S="0.5") as hurried:
        assert await hurried.failure(await hurried.accept("note one", conversation)) == "TURN_TIMEOUT"
        assert await hurried.said(conversation) == [(USER, ()), (SYSTEM, (1,))]
        vendor.responder = noting
        await hurried.chat("note two", conversation)


async def test_an_answer_is_withheld_when_the_owner_changed_meanwhile(desk_room: Room, vendor: Vendor) -> None:
    slow, conversation = Slow(vendor), uuid4()
    accepted = await desk_room.accept("one", conversation)
    await slow.asked.wait()
    await desk_room.owner.execute("UPDATE conversations SET owner = 'human', epoch = epoch + 1")
    assert await desk_room.failure(accepted) == "HANDED_OFF"
    assert await desk_room.said(conversation) == [(USER, ())]
    state, kind = await desk_room.owner.fetchrow(
        "SELECT t.state, s.kind FROM turns AS t JOIN steps AS s ON s.turn_id = t.id WHERE s.kind = 'suggestion'"
    )
    assert (state, kind) == ("handed_off", "suggestion")


async def test_a_long_lane_does_not_hold_up_the_recovery_of_other_conversations(desk_room: Room) -> None:
    store, tenant = desk_room.services.store, desk_room.tenant
    crowded = uuid4()
    await desk_room.left_by_a_dead_worker("note one", crowded)
    for number in range(20):  # behind the first, all due
        accepted = await desk_room.left_by_a_dead_worker(f"note {number}", crowded)
        await desk_room.owner.execute("UPDATE turns SET state = 'accepted' WHERE id = $1", accepted.turn_id)
    await desk_room.left_by_a_dead_worker("note two", uuid4())
    claimed = await store.claim_due(desk_room.services.worker_id, 60, 2, [])
    assert all(tenant_id == tenant.id for tenant_id, _ in claimed)
    assert await desk_room.owner.fetchval("SELECT count(*) FROM turns WHERE state = 'running'") == 2


async def test_a_worker_that_overslept_its_lease_keeps_its_turn(desk_room: Room, vendor: Vendor) -> None:
    slow, conversation = Slow(vendor), uuid4()
    accepted = await desk_room.accept("one", conversation)
    await slow.asked.wait()
    await desk_room.owner.execute("UPDATE turns SET lease_until = now() - interval '1 minute'")
    running, worker = [accepted.turn_id], desk_room.services.worker_id
    assert await desk_room.services.store.claim_due(worker, 60, 5, running) == []
    await desk_room.answer(accepted)
    assert await desk_room.owner.fetchval("SELECT attempt FROM turns") == 1


async def test_a_turn_takes_only_so_many_messages(desk_room: Room, vendor: Vendor) -> None:
    slow, conversation = Slow(vendor), uuid4()
    first = await desk_room.accept("one", conversation)
    await slow.asked.wait()
    rest = [await desk_room.accept(f"message {number}", conversation) for number in range(45)]
    assert len({accepted.turn_id for accepted in rest}) == 3
    for accepted in (first, rest[-1]):
        await desk_room.answer(accepted)
    covered = sorted(seq for _, seqs in await desk_room.said(conversation) for seq in seqs)
    assert covered == sorted([first.seq, *(accepted.seq for accepted in rest)])


async def test_a_turn_cut_between_two_of_its_side_effects_does_the_second_and_repeats_none(
    desk_room: Room, desk: Desk
) -> None:
    services, tenant, dead = desk_room.services, desk_room.tenant, new_id()
    incoming = Incoming("ann", "note one\nnote two", uuid4())
    accepted = await services.store.accept(
        tenant.id, incoming, "test", worker=dead, lease_s=15, ttl_s=3600, join=True, window=10
    )
    assert accepted.claimed is not None
    call = {"text": "note one"}
    key = idempotency_key(accepted.turn_id, "clerk", "write_note", call, 0)
    step = Step(1, "clerk", "tool", "write_note", "started", call, None, 0, key)  # and there it was killed
    assert await services.store.record_step(accepted.claimed, dead, step)
    await desk_room.owner.execute("UPDATE turns SET lease_until = now() - interval '1 s'")
    answer = await desk_room.answer(accepted)
    assert answer.text == "All done, thank you."
    assert desk.calls() == {"note one": {key}, "note two": desk.calls()["note two"]}
    assert len(desk.calls()["note two"]) == 1


async def test_an_answer_that_gave_way_in_a_deadlock_is_kept_all_the_same(
    desk_room: Room, vendor: Vendor, database_url: str
) -> None:
    slow, conversation = Slow(vendor), uuid4()
    accepted = await desk_room.accept("note one", conversation)
    await slow.asked.wait()
    other, look = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    try:
        await other.execute("SET deadlock_timeout = '10min'")  # so that the turn is the one that gives way
        async with asyncio.timeout(HANG_S), other.transaction():
            await other.execute("SELECT FROM conversations WHERE id = $1 FOR UPDATE", conversation)
            waiting = asyncio.create_task(desk_room.answer(accepted))
            while not await look.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                await asyncio.sleep(0.01)
            await other.execute("LOCK TABLE llm_calls IN SHARE ROW EXCLUSIVE MODE")
        assert (await waiting).text == "Yes."
    finally:
        await other.close()
        await look.close()
    assert await desk_room.said(conversation) == [(USER, ()), (AGENT, (1,))]
