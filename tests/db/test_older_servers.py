"""Servers of the version before go on beside newer ones: the functions that they call are still there."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from frontdesk.conversations.models import Incoming
from frontdesk.conversations.sealed import Sealed
from frontdesk.conversations.store import ConversationStore
from frontdesk.core import json
from frontdesk.core.ids import new_id
from frontdesk.db import Database
from frontdesk.db.cipher import Cipher


async def test_a_turn_is_completed_as_servers_with_functions_2_do_it(database: Database, tenant_id: UUID) -> None:
    store = ConversationStore(database, Sealed(Cipher([b"k" * 32])))
    conversation, worker, call, event, message = uuid4(), new_id(), new_id(), new_id(), new_id()
    accepted = await store.accept(
        tenant_id, Incoming("ann", "Are you open?", conversation), "test", worker=worker, lease_s=60.0, ttl_s=3600,
        join=True, window=10,
    )  # fmt: skip
    steps = [
        {"place": place, "number": place, "agent": "clerk", "kind": "llm", "name": "smart", "status": "stop", "key": "",
         "duration_ms": 7}
        for place in (1, 2)
    ]  # fmt: skip
    calls = [
        {"id": call, "turn_id": accepted.turn_id, "purpose": "agent", "alias": "smart", "provider": "p", "model": "m",
         "outcome": "ok", "input_tokens": 3, "cached_tokens": 0, "output_tokens": 4, "reasoning_tokens": 0,
         "estimated": False, "cost_usd": "0.001", "latency_ms": 5, "first_token_ms": None,
         "created_at": datetime.now(UTC).isoformat()}
    ]  # fmt: skip
    events = [{"place": 1, "event_id": event, "topic": "turns", "type": "turn.completed"}]
    places = ", ".join(f"${n}" for n in range(1, 28))
    arguments = (
        tenant_id, accepted.turn_id, worker, 1, "completed", "llm", ["clerk"], b"d", None, message, "assistant", b"b",
        "clerk", None, None, True, False, False, 12, json.dumps_text(steps), [b"in 1", b"in 2"], [b"out 1", b"out 2"],
        json.dumps_text(calls), json.dumps_text(events), [b"payload"], 60.0, False,
    )  # fmt: skip
    [row] = await database.call(f"SELECT * FROM complete_turn({places})", *arguments)
    assert tuple(row) == ("completed", 2, [1], None)
    [row] = await database.call(f"SELECT * FROM complete_turn({places})", *arguments)
    assert row["outcome"] == "lost"

    async with database.scope(tenant_id) as scope:
        written = await scope.fetch("SELECT number, input, output, duration_ms FROM steps ORDER BY number LIMIT 9")
        assert [tuple(row) for row in written] == [(1, b"in 1", b"out 1", 7), (2, b"in 2", b"out 2", 7)]
        row = await scope.fetchrow("SELECT id, turn_id, model, input_tokens, cost_usd::text FROM llm_calls LIMIT 9")
        assert tuple(row) == (call, accepted.turn_id, "m", 3, "0.001000000")
        row = await scope.fetchrow("SELECT type, payload FROM outbox WHERE event_id = $1", event)
        assert tuple(row) == ("turn.completed", b"payload")
