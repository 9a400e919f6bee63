"""The audit log: gapless chains, append-only by rights, and every tampering is noticed."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any  # asyncpg's connections are untyped
from uuid import UUID

import asyncpg
import pytest
from tests.conftest import as_application, of_database

from frontdesk import audit
from frontdesk.audit import chain, store
from frontdesk.audit.chain import ChainBroken
from frontdesk.audit.masking import MOST_BYTES
from frontdesk.audit.models import Filters
from frontdesk.core.ids import new_id
from frontdesk.core.json import dumps, loads
from frontdesk.db import Database

ANN = audit.Actor("staff", "0190-ann", "203.0.113.7")


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Any]:
    owner = await asyncpg.connect(database_url)
    yield owner
    await owner.close()


async def append(database: Database, tenant_id: UUID, number: int = 1, **change: Any) -> int:
    async with database.scope(tenant_id) as scope:
        return await audit.append(scope, ANN, "agent.changed", f"agent/{number}", change.get("before"), change or None)


async def listed(database: Database, tenant_id: UUID, **filters: Any) -> list[audit.Entry]:
    async with database.scope(tenant_id) as scope:
        return await store.entries(scope, Filters(**filters), None, 50)


async def test_entries_are_kept_as_they_were_said_and_the_chain_holds(database: Database, tenant_id: UUID) -> None:
    # What JSON writes in many ways: the hash is over the text that was written.
    change = {
        "z": 1.0,
        "a": 'Größe 🦷 \u2028 \\ " </script>',
        "n": {"b": [1, 2.50, True, None], "a": 1e300},
        "": "x\x00y",
    }
    async with database.scope(tenant_id) as scope:
        await audit.append(scope, ANN, "staff.invited", "staff/b", None, change)
        await audit.append(scope, audit.Actor("anonymous", ""), "signin.failed", "staff/?")
    second, first = await listed(database, tenant_id)
    assert (first.number, first.actor_kind, first.actor_id, first.address) == (1, "staff", "0190-ann", "203.0.113.7")
    assert (first.action, first.target, bytes(first.before)) == ("staff.invited", "staff/b", b"null")
    assert loads(bytes(first.after)) == change
    assert (second.number, second.address, second.previous_hash) == (2, None, first.hash)
    assert await chain.verify(database, tenant_id) == store.Head(2, second.hash)


async def test_what_is_rolled_back_leaves_no_gap(database: Database, tenant_id: UUID) -> None:
    await append(database, tenant_id)
    with pytest.raises(LookupError):
        async with database.scope(tenant_id) as scope:
            await audit.append(scope, ANN, "agent.changed", "agent/lost")
            raise LookupError
    assert await append(database, tenant_id) == 2


async def test_eight_writers_in_two_tenants_leave_no_gap(
    database: Database, tenant_id: UUID, other_tenant_id: UUID
) -> None:
    async def writer(number: int) -> None:
        for _ in range(25):
            await append(database, (tenant_id, other_tenant_id)[number % 2], number)
            async with database.scope((tenant_id, other_tenant_id)[number % 2]) as scope:
                await audit.append_to_deployment(scope, ANN, "key.used", "key/1")

    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(writer(number))
    lengths = [(await chain.verify(database, each)).number for each in (tenant_id, other_tenant_id, audit.DEPLOYMENT)]
    assert lengths == [100, 100, 200]


async def test_an_append_does_not_wait_for_another_tenants(
    database: Database, tenant_id: UUID, other_tenant_id: UUID
) -> None:
    async with database.scope(tenant_id) as scope:
        await audit.append(scope, ANN, "agent.changed", "agent/1")
        assert await append(database, other_tenant_id) == 1  # while the first is not committed


TAMPERINGS = {
    "tenant_id": "gen_random_uuid()",
    "number": "40",
    "at": "at + interval '1 microsecond'",
    "actor_kind": "'system'",
    "actor_id": "actor_id || ' '",
    "address": "NULL",
    "action": "'agent.change'",
    "target": "'d' || target",
    "before": "'{}'",
    "after": "(after::text || ' ')::json",
    "previous_hash": "sha256(previous_hash)",
    "hash": "sha256(hash)",
}


async def test_every_column_is_tampered_with_below(owner: Any) -> None:
    rows = await owner.fetch("SELECT attname FROM pg_attribute WHERE attrelid = 'audit'::regclass AND attnum > 0")
    assert {row["attname"] for row in rows} == set(TAMPERINGS)


@pytest.mark.parametrize("column", TAMPERINGS)
@pytest.mark.parametrize("number", [1, 2, 3])
async def test_a_changed_column_is_noticed_at_its_entry(
    database: Database, owner: Any, tenant_id: UUID, column: str, number: int
) -> None:
    for n in (1, 2, 3):
        await append(database, tenant_id, n, colour="green")
    await owner.execute(f"UPDATE audit SET {column} = {TAMPERINGS[column]} WHERE number = $1", number)
    with pytest.raises(ChainBroken) as broken:
        await chain.verify(database, tenant_id)
    assert broken.value.detail.startswith(f"Entry {number} ")


@pytest.mark.parametrize(
    ("statement", "first_wrong"),
    [
        ("DELETE FROM audit WHERE number = 1", 1),
        ("DELETE FROM audit WHERE number = 2", 2),
        ("DELETE FROM audit WHERE number = 3", 3),
        ("DELETE FROM audit", 1),
        ("UPDATE audit_heads SET number = 2", 3),
        ("UPDATE audit_heads SET number = 4", 4),
        ("UPDATE audit_heads SET hash = sha256(hash)", 4),
        ("DELETE FROM audit_heads", 1),
        # A forged last entry whose own hash is right.
        (
            "INSERT INTO audit SELECT (f).* FROM (SELECT (a.tenant_id, 4, a.at, 'staff', 'eve', NULL, a.action,"
            " a.target, a.before, a.after, a.hash, ''::bytea)::audit AS f FROM audit AS a WHERE number = 3) AS forged;"
            " UPDATE audit SET hash = audit_hash(audit) WHERE number = 4",
            4,
        ),
    ],
)
async def test_a_missing_or_forged_entry_is_noticed(
    database: Database, owner: Any, tenant_id: UUID, statement: str, first_wrong: int
) -> None:
    for n in (1, 2, 3):
        await append(database, tenant_id, n)
    await owner.execute(statement)
    with pytest.raises(ChainBroken) as broken:
        await chain.verify(database, tenant_id)
    assert broken.value.detail.startswith(f"Entry {first_wrong} ")


async def test_a_chain_written_anew_is_noticed_beside_an_earlier_export(
    database: Database, owner: Any, tenant_id: UUID
) -> None:
    for n in (1, 2, 3):
        await append(database, tenant_id, n)
    _, head = chain.verify_lines((await export(database, tenant_id)).splitlines(keepends=True))
    assert (await chain.verify(database, tenant_id, head)).number == 3
    await owner.execute("DELETE FROM audit; DELETE FROM audit_heads")
    with pytest.raises(ChainBroken, match="Entry 1 is missing: the export had 3"):
        await chain.verify(database, tenant_id, head)
    for n in (1, 2, 4):
        await append(database, tenant_id, n)
    await chain.verify(database, tenant_id)  # by itself it is whole
    with pytest.raises(ChainBroken, match="Entry 3 is not the one of the export"):
        await chain.verify(database, tenant_id, head)


@pytest.mark.parametrize("table", ["audit", "audit_heads"])
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO {} SELECT * FROM {}",
        "UPDATE {} SET number = number",
        "DELETE FROM {}",
        "TRUNCATE {}",
        "ALTER TABLE {} DISABLE ROW LEVEL SECURITY",
        "DROP TABLE {}",
        "SELECT 1 FROM {} FOR UPDATE",
    ],
)
async def test_the_application_may_only_read(database: Database, tenant_id: UUID, table: str, statement: str) -> None:
    await append(database, tenant_id)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.scope(tenant_id) as scope:
            await scope.execute(statement.format(table, table))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await database.call("SELECT audit_lock($1)", tenant_id)


async def test_a_tenant_reads_its_own_entries_alone(database: Database, tenant_id: UUID, other_tenant_id: UUID) -> None:
    await append(database, tenant_id)
    async with database.scope(tenant_id) as scope:
        await audit.append_to_deployment(scope, ANN, "tenant.suspended", "tenant/1")
    assert await listed(database, other_tenant_id) == []
    assert [entry.action for entry in await listed(database, tenant_id)] == ["agent.changed"]
    assert [entry.action for entry in await listed(database, audit.DEPLOYMENT)] == ["tenant.suspended"]


async def test_entries_are_found_by_actor_action_target_and_time_page_by_page(
    database: Database, tenant_id: UUID
) -> None:
    for n in range(1, 8):
        async with database.scope(tenant_id) as scope:
            actor = audit.Actor("api_key", "k%_1") if n % 2 else ANN
            await audit.append(scope, actor, ("staff.invited", "staff.left", "key_x.made")[n % 3], f"t_{n}/%")

    async def numbers(below: int | None = None, limit: int = 50, **filters: Any) -> list[int]:
        async with database.scope(tenant_id) as scope:
            return [entry.number for entry in await store.entries(scope, Filters(**filters), below, limit)]

    moment = (await listed(database, tenant_id))[3].at
    assert await numbers(limit=3) == [7, 6, 5]
    assert await numbers(below=5, limit=3) == [4, 3, 2]
    assert await numbers(actor_id="k%_1") == [7, 5, 3, 1]
    assert await numbers(action="staff.*") == [7, 6, 4, 3, 1]
    assert await numbers(action="staff.left", below=6) == [4, 1]
    assert await numbers(target="t_3/%") == [3]
    assert await numbers(target="%*") == await numbers(action="%") == await numbers(action="key%*") == []
    at = datetime.fromisoformat(moment)
    assert await numbers(since=at) == [7, 6, 5, 4]
    assert await numbers(until=at) == [3, 2, 1]


async def export(database: Database, tenant_id: UUID) -> bytes:
    return b"".join([part async for part in chain.exported(database, tenant_id)])


async def test_an_export_can_be_checked_by_itself(
    database: Database, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "_PAGE", 2)  # several pages, the last one empty
    for n in range(1, 5):
        await append(database, tenant_id, n, before={"b": 1, "a": [1.50]}, text="ü")
    lines = (await export(database, tenant_id)).splitlines(keepends=True)
    assert chain.verify_lines(lines) == (tenant_id, await chain.verify(database, tenant_id))
    for at, line in enumerate(lines):
        entry = loads(line)
        for name in entry:
            changed = entry | {name: {"x": 1} if name in {"before", "after"} else f"{entry[name]}0"}
            if name in {"number", "tenant_id"}:
                changed[name] = 9 if name == "number" else str(new_id())
            with pytest.raises(ChainBroken):
                chain.verify_lines([*lines[:at], dumps(changed), *lines[at + 1 :]])
    for cut in (lines[1:], [*lines[:1], *lines[2:]], [*lines[:-1], lines[-1][:-9]], [b"{}\n"], [b"\xff\n"], []):
        with pytest.raises(ChainBroken):
            chain.verify_lines(cut)


async def test_secrets_are_masked_and_large_changes_told_by_their_hash(database: Database, tenant_id: UUID) -> None:
    hidden = ["hunter2-hunter2", "sk-abcdefgh12345678", "fd_live_abcdefgh1234", "eyJhbGci.eyJzdWIi.c2ln", "dbpass99"]
    change = {
        "password": hidden[0],
        "deep": [{"api_keys": {"openai": [hidden[1]]}, "note": f"uses {hidden[1]} and {hidden[2]}"}],
        "header": f"Bearer {hidden[3]}",
        "url": f"postgresql://desk:{hidden[4]}@db/desk",
        "max_tokens": 400,
    }
    async with database.scope(tenant_id) as scope:
        await audit.append(scope, audit.Actor("api_key", hidden[2]), "x.y", f"x/{hidden[3]}\x00\x1b[2J", change, change)
        await audit.append(scope, ANN, "document.put", "document/1", None, {"text": "a" * MOST_BYTES})
    text = (await export(database, tenant_id)).decode()
    assert [secret for secret in hidden if secret in text] == []
    large, small = await listed(database, tenant_id)
    assert loads(bytes(small.after))["max_tokens"] == 400
    assert set(loads(bytes(large.after))) == {"omitted", "bytes", "sha256"}
    assert "\x1b" not in small.target and "\x00" not in small.target


async def test_a_deleted_tenants_chain_leaves_its_end_with_the_deployment(
    database: Database, database_url: str, tenant_id: UUID
) -> None:
    for n in (1, 2, 3):
        await append(database, tenant_id, n)
    exported = await export(database, tenant_id)
    async with database.scope(tenant_id) as scope:
        await scope.execute("DELETE FROM tenants WHERE id = $1", tenant_id)
        await audit.close(scope, ANN, {"slug": "acme"})
    assert await listed(database, tenant_id) == []
    [closing] = await listed(database, audit.DEPLOYMENT)
    assert (closing.action, closing.target) == ("tenant.deleted", f"tenant/{tenant_id}")
    told = loads(bytes(closing.after))
    _, head = chain.verify_lines(exported.splitlines())
    assert store.Head(told["audit_entries"], told["audit_hash"]) == head
    with pytest.raises(asyncpg.ForeignKeyViolationError):  # who comes late makes no new chain
        await append(database, tenant_id)
    assert await chain.verify(database, tenant_id) == store.Head(0, "0" * 64)


async def test_what_is_there_keeps_its_chain(database: Database, tenant_id: UUID) -> None:
    for chain_of in (tenant_id, audit.DEPLOYMENT):
        with pytest.raises(asyncpg.ObjectInUseError):
            async with database.scope(chain_of) as scope:
                await audit.close(scope, ANN)


async def test_a_chain_holds_after_a_dump_and_a_restore_elsewhere(
    database: Database, database_url: str, owner: Any, postgres: str, tenant_id: UUID
) -> None:
    for n in (1, 2):
        await append(database, tenant_id, n, text='ü\t" \u2028', amount=1.10)
    before = await export(database, tenant_id)
    programs = Path(await owner.fetchval("SELECT setting FROM pg_config WHERE name = 'BINDIR'"))
    name = f"restored_{new_id().hex}"
    await owner.execute(f"CREATE DATABASE {name}")
    try:
        await owner.execute(f"ALTER DATABASE {name} SET timezone = 'Asia/Kathmandu'")
        await owner.execute(f"ALTER DATABASE {name} SET datestyle = 'German'")
        dump = subprocess.run([programs / "pg_dump", database_url], stdout=subprocess.PIPE, check=True).stdout
        subprocess.run([programs / "psql", "-q", of_database(postgres, name)], input=dump, check=True)
        restored = await Database.connect(as_application(of_database(postgres, name)))
        try:
            assert await export(restored, tenant_id) == before
            assert await append(restored, tenant_id, 3) == 3
            assert (await chain.verify(restored, tenant_id)).number == 3
        finally:
            await restored.close()
    finally:
        await owner.execute(f"DROP DATABASE {name}")


class Captured:
    """A scope that tells which query it was asked, instead of asking it."""

    def __init__(self, tenant_id: UUID) -> None:
        self.tenant_id = tenant_id
        self.asked: tuple[str, tuple[Any, ...]] = ("", ())

    async def fetch(self, query: str, *args: Any) -> list[Any]:
        self.asked = query, args
        return []


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        (Filters(), "audit_pkey"),
        (Filters(actor_id="rare"), "audit_by_actor"),
        (Filters(action="rare.made"), "audit_by_action"),
        (Filters(action="rare.*"), "audit_by_action"),
        (Filters(target="thing/77"), "audit_by_target"),
        (Filters(target="thing/77*"), "audit_by_target"),
    ],
)
async def test_a_page_of_a_long_log_is_found_by_an_index(
    database: Database, owner: Any, tenant_id: UUID, filters: Filters, index: str
) -> None:
    await owner.execute(f"SET app.tenant_id = '{tenant_id}'")
    await owner.execute(
        "SELECT append_audit(false, 'staff', CASE n % 500 WHEN 0 THEN 'rare' ELSE 'often' END, NULL,"
        " CASE n % 500 WHEN 0 THEN 'rare.made' ELSE 'often.made' END, 'thing/' || n, NULL, NULL)"
        " FROM generate_series(1, 3000) AS n"
    )
    await owner.execute("ANALYZE audit")
    captured = Captured(tenant_id)
    await store.entries(captured, filters, None, 50)  # type: ignore[arg-type]
    query, args = captured.asked
    async with database.scope(tenant_id) as scope:
        plan = "\n".join(row[0] for row in await scope.fetch(f"EXPLAIN (ANALYZE, TIMING OFF) {query}", *args))
    assert index in plan and "Seq Scan" not in plan, plan
    assert (await chain.verify(database, tenant_id)).number == 3000
