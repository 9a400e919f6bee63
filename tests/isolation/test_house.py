"""Several tenants that share every name in one running server: the short form of `make bench-isolation`."""

import tempfile
from pathlib import Path

import asyncpg
from benchmarks.isolation import clashes, house, looked_at, said, spread
from benchmarks.replay import Seen

TENANTS = 3
DIALOGUES = [
    ["Hello", "I would like to book an appointment", "Tomorrow morning, please"],
    ["How much is a consultation?", "Do you take my insurance?"],
    ["What are your opening hours?", "And on Sundays?"],
    ["I want to speak to a human"],
    ["When may I visit my mother?"],
    ["Thank you"],
]

# By the tables' owner, what a bug would have to do: $1 is one tenant, $2 another.
MISPLACED = {
    "a message": "UPDATE messages SET tenant_id = $2, seq = seq + 1000, idempotency_key = NULL"
    " WHERE tenant_id = $1 AND seq = 1",
    "a contact": "UPDATE conversations SET contact = 'user-9' WHERE tenant_id IN ($1, $2)",
    "an event": "UPDATE outbox SET tenant_id = $2 WHERE tenant_id = $1 AND type = 'turn.completed'",
    "a vector": "UPDATE passages SET tenant_id = $2,"
    " document_id = (SELECT id FROM documents WHERE tenant_id = $2 LIMIT 1)"
    " WHERE tenant_id = $1 AND text LIKE '%code word%'",
    "a sealed value": "UPDATE conversations SET context = (SELECT body FROM messages WHERE tenant_id = $1 LIMIT 1)"
    " WHERE tenant_id = $2",
    "a call of a model": "UPDATE llm_calls SET tenant_id = $2 WHERE tenant_id = $1",
}


async def test_everything_is_with_its_own_tenant_and_what_is_not_would_be_found() -> None:
    talks, seen = spread(DIALOGUES, TENANTS), Seen()
    assert clashes(talks) == {"sessions": 6, "contacts": 6}
    with tempfile.TemporaryDirectory(prefix="frontdesk-house-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        place.chmod(0o755)  # PostgreSQL's own user, under root, comes through
        async with house(place, TENANTS) as (url, database_url, log), said(url, talks, seen) as http:
            assert (seen.faults, dict(seen.errors)) == ([], {})

            async def faults() -> set[str]:
                found = await looked_at(http, url, database_url, place / "data", log, talks)
                assert min(found.looked_at.values()) > 0
                return set(found.faults)

            known = await faults()
            assert known == set()
            owner = await asyncpg.connect(database_url)
            one, other, *_ = await owner.fetch(
                "SELECT id FROM tenants WHERE slug LIKE 'clinic-%' ORDER BY slug LIMIT 2"
            )
            for what, statement in MISPLACED.items():
                assert not (await owner.execute(statement, one["id"], other["id"])).endswith(" 0"), what
                now = await faults()
                assert now - known, what
                known = now
            await owner.close()
