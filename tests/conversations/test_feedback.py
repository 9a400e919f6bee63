"""Verdicts on decisions: kept once for each author, told to the log, another tenant's nobody's."""

import asyncio
from uuid import UUID

import pytest
from tests.conftest import make_tenant
from tests.conversations.room import Room

from frontdesk.agents.models import Tenant, TenantSettings
from frontdesk.conversations import feedback as feedback_module
from frontdesk.conversations.feedback import Verdict
from frontdesk.core.errors import Conflict, ConversationNotFound
from frontdesk.core.ids import new_id


async def answered(room: Room) -> UUID:
    return (await room.chat("Where is my order?", new_id())).message_id


async def told(room: Room) -> list[str]:
    rows = await room.owner.fetch("SELECT type FROM outbox WHERE topic = 'feedback' ORDER BY position LIMIT 99")
    return [row["type"] for row in rows]


async def test_each_change_of_a_verdict_is_one_event(desk_room: Room) -> None:
    feedback, tenant, message_id = desk_room.services.feedback, desk_room.tenant, await answered(desk_room)
    for verdict in (Verdict.RIGHT, Verdict.RIGHT, Verdict.WRONG):
        await feedback.give(tenant, message_id, "ann", verdict, None)
    await feedback.withdraw(tenant, message_id, "ann")
    await feedback.withdraw(tenant, message_id, "ann")
    assert await told(desk_room) == ["feedback.given", "feedback.given", "feedback.withdrawn"]


async def test_a_message_of_another_tenant_is_not_found(desk_room: Room) -> None:
    feedback, message_id = desk_room.services.feedback, await answered(desk_room)
    other = Tenant(await make_tenant(desk_room.services.database, "globex"), "globex", "Globex", 1, TenantSettings())
    with pytest.raises(ConversationNotFound):
        await feedback.give(other, message_id, "ann", Verdict.RIGHT, None)
    with pytest.raises(ConversationNotFound):
        await feedback.withdraw(other, message_id, "ann")


async def test_a_message_without_an_answer_has_no_decision_to_judge(desk_room: Room) -> None:
    accepted = await desk_room.left_by_a_dead_worker("Where is my order?", new_id())
    with pytest.raises(Conflict):
        await desk_room.services.feedback.give(desk_room.tenant, accepted.message_id, "ann", Verdict.RIGHT, None)


async def test_a_verdict_that_meets_the_erasure_of_its_session_leaves_nothing_behind(desk_room: Room) -> None:
    answer = await desk_room.chat("Where is my order?", new_id())
    give = desk_room.services.feedback.give(desk_room.tenant, answer.message_id, "ann", Verdict.RIGHT, None)
    async with desk_room.owner.transaction():
        query = "SELECT clear_conversation($1, $2, $3, $4)"
        await desk_room.owner.fetchval(query, desk_room.tenant.id, answer.session_id, new_id(), b"")
        giving = asyncio.create_task(give)
        async with asyncio.timeout(30):
            while not await desk_room.owner.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                await asyncio.sleep(0.01)
    with pytest.raises(ConversationNotFound):
        await giving
    assert await desk_room.owner.fetchval("SELECT count(*) FROM feedback") == 0
    assert await told(desk_room) == []


async def test_the_verdicts_on_one_decision_are_bounded(desk_room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feedback_module, "MOST_VERDICTS", 2)
    feedback, tenant, message_id = desk_room.services.feedback, desk_room.tenant, await answered(desk_room)
    await feedback.give(tenant, message_id, "ann", Verdict.RIGHT, None)
    await feedback.give(tenant, message_id, "bob", Verdict.RIGHT, None)
    with pytest.raises(Conflict):
        await feedback.give(tenant, message_id, "eve", Verdict.WRONG, None)
    changed = await feedback.give(tenant, message_id, "ann", Verdict.WRONG, None)
    assert changed.verdict is Verdict.WRONG
    assert len(await told(desk_room)) == 3  # a refused one is not told


async def test_decisions_are_read_with_what_was_said_and_judged(desk_room: Room) -> None:
    services, tenant = desk_room.services, desk_room.tenant
    judged_id, _ = await answered(desk_room), await answered(desk_room)
    await services.feedback.give(tenant, judged_id, "ann", Verdict.RIGHT, None)
    [judged] = await services.decisions.judged(tenant.id, 10)
    assert judged.text == "Where is my order?"
    assert [(each.author, each.verdict) for each in judged.judgements] == [("ann", Verdict.RIGHT)]
    recent = await services.decisions.recent(tenant.id, 10)
    assert [len(each.judgements) for each in recent] == [0, 1]
    assert recent[1].agents == judged.agents != ()
    # What was erased is nobody's to learn from.
    conversation = await desk_room.owner.fetchval("SELECT conversation_id FROM messages WHERE id = $1", judged_id)
    await services.conversations.clear(tenant.id, conversation)
    assert await services.decisions.judged(tenant.id, 10) == []
    assert len(await services.decisions.recent(tenant.id, 10)) == 1


async def test_a_database_that_does_not_answer_leaves_the_counts_as_they_were(
    desk_room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    services, message_id = desk_room.services, await answered(desk_room)
    await services.feedback.give(desk_room.tenant, message_id, "ann", Verdict.RIGHT, None)
    await services.feedback.count()
    await services.feedback.give(desk_room.tenant, message_id, "bob", Verdict.WRONG, None)
    monkeypatch.setattr(feedback_module, "PATIENCE_S", 0.2)
    async with desk_room.owner.transaction(), asyncio.timeout(10):  # long before the statement's own time-out
        await desk_room.owner.execute("LOCK TABLE feedback")
        await services.feedback.count()
    value = services.metrics.registry.get_sample_value("frontdesk_intent_accuracy", {"tenant": desk_room.tenant.slug})
    assert value == 1


@pytest.mark.parametrize(
    ("query", "index"), [(feedback_module._RECENT, "turns_pkey"), (feedback_module._JUDGED, "feedback_by_time")]
)
# (of `messages`, which is read by its primary key, there are too few here to tell)
async def test_decisions_are_read_by_an_index_however_many_there_are(desk_room: Room, query: str, index: str) -> None:
    tenant_id, owner = desk_room.tenant.id, desk_room.owner
    await owner.execute(
        """
        INSERT INTO turns (tenant_id, id, conversation_id, state, seqs, epoch, correlation_id, decision)
        SELECT $1, gen_random_uuid(), gen_random_uuid(), 'completed', '{1}', 1, 'x', '\\x00'
          FROM generate_series(1, 20000)
        """,
        tenant_id,
    )
    await owner.execute(
        """
        INSERT INTO feedback (tenant_id, turn_id, author, verdict, given_at)
        SELECT $1, t.id, 'ann', 'right', now() - random() * interval '9 days'
          FROM turns AS t WHERE t.tenant_id = $1 LIMIT 20000
        """,
        tenant_id,
    )
    await owner.execute("ANALYZE turns, feedback, messages")
    async with desk_room.services.database.scope(tenant_id) as scope:
        plan = "\n".join(row[0] for row in await scope.fetch(f"EXPLAIN {query}", tenant_id, 50))
    assert index in plan
    assert "Seq Scan on turns" not in plan and "Seq Scan on feedback" not in plan
