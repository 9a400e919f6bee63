"""A deleted tenant leaves nothing: no row, no byte on the disk, and others' are all there."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from tests.apply.tenant_folder import FILES
from tests.command import run
from tests.conftest import HANG_S, make_tenant
from tests.served import Served, serving
from tests.tenants.searched import as_owner, found_in_database, found_on_disk, tenants_with_rows

from frontdesk.audit import DEPLOYMENT, Actor, chain
from frontdesk.core.errors import Conflict, TenantNotFound, Unavailable
from frontdesk.core.ids import new_id
from frontdesk.db import Database
from frontdesk.tenants import life, store
from frontdesk.tenants.store import State

COMMAND = Actor("command", "test")
# Written by functions of their own alone, and closed with the tenant.
AUDIT = {"audit", "audit_heads"}

# Wherever a tenant says something, one word: in what is kept in clear, in what is sealed, in what is only counted.
CANARY = {
    "tenant.yaml": """\
slug: canary-slug
name: Canaryname Bakery
default_agent: canaryagent
greeting: Welcome to canarygreeting
secrets: {SHOP: {env: CANARY_SECRET}}
emergency:
  texts: {en: Call canaryemergency.}
""",
    "llm.yaml": FILES["llm.yaml"].replace("gpt-6.1-terra", "canarymodel"),
    "agents/canaryagent.yaml": FILES["agents/counter.yaml"].replace("two loaves", "two canaryloaves"),
    "prompts/canaryagent.md": "You sell canaryprompt bread.\n",
    "documents/bread.md": "# Canarytitle\n\nRye canarypassage bread is baked on Tuesday. A loaf costs four euros.\n",
}
IN_CLEAR = [
    "canary-slug", "Canaryname", "canaryagent", "canarygreeting", "canaryemergency", "canarymodel", "canaryloaves",
    "canaryprompt", "Canarytitle", "canarypassage", "canarycontact", "canarykey",
]  # fmt: skip
SEALED = ["canarysecret", "canarymessage"]


@pytest.fixture
def data() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="frontdesk-deletion-", ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "data"


@pytest.fixture
async def shared_server(data: Path) -> AsyncIterator[Served]:
    """Two tenants on one server, alike but for their words."""
    for slug, files in (("bakery", FILES), ("canary-slug", CANARY)):
        own = ("agents/", "prompts/", "documents/")
        kept = {name: text for name, text in FILES.items() if not name.startswith(own)}
        for name, text in (kept | files).items():
            path = data.parent / "tenants" / slug / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    environment = {"FRONTDESK_TENANTS": str(data.parent / "tenants"), "CANARY_SECRET": "canarysecret"}
    async with serving(data, environment) as served:
        yield served


async def talk(served: Served, slug: str, contact: str, text: str, key: str) -> str:
    headers = {"Idempotency-Key": key} | await served.bearing_key(slug)
    response = await served.post_chat(text, user=contact, path=f"/api/{slug}/chat", headers=headers)
    assert response.status_code == 200, response.text
    return str(response.json()["session_id"])


async def test_every_row_and_every_byte_of_a_deleted_tenant_is_gone_and_others_have_theirs(
    shared_server: Served, data: Path
) -> None:
    served = shared_server
    session = await talk(served, "bakery", "ann", "When is rye bread baked?", "k1")
    for n in range(3):
        await talk(served, "canary-slug", "canarycontact", f"When is canarymessage bread baked {n}?", f"canarykey{n}")
    owner = await as_owner(data)
    [canary] = [row["id"] for row in await owner.fetch("SELECT id FROM tenants WHERE slug = 'canary-slug'")]
    await owner.execute("INSERT INTO records VALUES ($1, 'orders', 'canaryrecord', '{}', 'x')", canary)
    await owner.execute("ANALYZE")
    before = await found_in_database(owner, data, [canary], IN_CLEAR + SEALED)
    assert set(before) == set(IN_CLEAR + SEALED), "they must be there to be gone"
    assert set(found_on_disk(data, IN_CLEAR)) == set(IN_CLEAR)

    done = await asyncio.to_thread(run, "tenant", "delete", "canary-slug", "--yes", "--data", str(data))
    assert done.returncode == 0, done.stderr
    assert "canary-slug is deleted" in done.stderr

    words = [*IN_CLEAR, *SEALED, "canaryrecord", "anary"]
    assert await found_in_database(owner, data, [canary], words) == {}
    assert canary not in await tenants_with_rows(owner)
    assert found_on_disk(data / "postgres", words) == {}
    assert (await served.post_chat("Hello?", path="/api/canary-slug/chat")).status_code == 404
    of_bakery = await served.bearing_key("bakery")
    history = (await served.client.get(f"/api/bakery/conversations/{session}", headers=of_bakery)).json()
    assert history["messages"][0]["content"] == "When is rye bread baked?"
    answer = (await served.post_chat("When is rye bread baked?", path="/api/bakery/chat", headers=of_bakery)).json()
    assert "Tuesday" in answer["text"]
    await owner.close()


async def fill(database: Database, tenant_id: UUID, count: int) -> None:
    """Rows in tables with an index by tenant, without one, and with children that go with their parents."""
    async with database.scope(tenant_id) as scope:
        await scope.execute(
            "INSERT INTO contacts (tenant_id, external_id) SELECT $1, 'c' || n FROM generate_series(1, $2) AS n",
            tenant_id, count,
        )  # fmt: skip
        await scope.execute(
            """
            INSERT INTO outbox (tenant_id, event_id, topic, key, type, correlation_id, payload)
            SELECT $1, gen_random_uuid(), 'turns', 'k', 't', 'c', 'x' FROM generate_series(1, $2)
            """,
            tenant_id, count,
        )  # fmt: skip
        await scope.execute("INSERT INTO agents VALUES ($1, 'a', '{}')", tenant_id)
        await scope.execute("INSERT INTO tools VALUES ($1, 't', '{}')", tenant_id)
        await scope.execute("INSERT INTO agent_tools VALUES ($1, 'a', 't', 0)", tenant_id)


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def test_a_deletion_that_was_cut_off_is_ended_by_any_server(
    database: Database,
    owner: asyncpg.Connection,
    tenant_id: UUID,
    other_tenant_id: UUID,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(life, "ROWS_AT_ONCE", 10)
    monkeypatch.setattr(life, "PAGES_AT_ONCE", 1)
    for each in (tenant_id, other_tenant_id):
        await fill(database, each, 300)
    await life.delete(database, tenant_id, COMMAND)

    class Cut(Exception):
        pass

    def cut(_table: str, _rows: int) -> None:
        raise Cut

    with pytest.raises(Cut):
        await life.erase(database, tenant_id, cut)
    assert tenant_id in await tenants_with_rows(owner)

    forgotten: list[UUID] = []
    marked: list[str] = []
    is_away = True

    async def elsewhere(tenant_id: UUID) -> None:
        if is_away:
            raise Unavailable("Redis is not reachable.")
        forgotten.append(tenant_id)

    leaving = life.Leaving(database, [forgotten.append], elsewhere, lambda: marked.append("now"))
    await leaving.look()
    assert await tenants_with_rows(owner) == {other_tenant_id}
    assert await owner.fetchval("SELECT count(*) FROM outbox") == 300
    assert forgotten == [tenant_id]
    assert marked == ["now", "now"]
    is_away = False  # what could not be forgotten is, with the next look
    await leaving.look()
    await leaving.look()
    assert forgotten == [tenant_id] * 3
    assert await store.tenant_named(database, "acme") is None


async def test_what_is_written_late_goes_too_and_then_the_id(
    database: Database, owner: asyncpg.Connection, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    await life.delete(database, tenant_id, COMMAND)

    async def elsewhere(_tenant_id: UUID) -> None:
        return None

    leaving = life.Leaving(database, [], elsewhere, lambda: None)
    await leaving.look()
    await fill(database, tenant_id, 3)  # a turn that was running when its tenant went
    await leaving.look()
    assert await owner.fetchval("SELECT state FROM tenants WHERE id = $1", tenant_id) == State.DELETED
    monkeypatch.setattr(life, "LATE_S", 0.0)
    await leaving.look()
    assert await owner.fetchval("SELECT count(*) FROM tenants") == 0
    assert await tenants_with_rows(owner) == set()


async def test_the_slug_is_free_again_at_once(database: Database, tenant_id: UUID) -> None:
    await life.delete(database, tenant_id, COMMAND)
    await life.erase(database, tenant_id)
    assert await make_tenant(database, "acme") != tenant_id
    assert [each.slug for each in await store.tenants_listed(database)] == ["acme"]


async def test_a_tenant_that_nobody_deletes_can_not_be_erased(database: Database, tenant_id: UUID) -> None:
    await fill(database, tenant_id, 3)
    with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError):
        await store.erase(database, tenant_id, "contacts", 0, 10)


async def test_a_table_that_is_none_of_a_tenants_can_not_be_named(database: Database, tenant_id: UUID) -> None:
    await life.delete(database, tenant_id, COMMAND)
    for name in ("tenants", "consumer_positions", "contacts; DROP TABLE contacts", "pg_authid"):
        with pytest.raises(asyncpg.NoDataFoundError):
            await store.erase(database, tenant_id, name, 0, 10)


async def test_every_table_with_a_tenant_is_erased(owner: asyncpg.Connection) -> None:
    """By the catalogue of the standard, where ours is by PostgreSQL's own."""
    named = await owner.fetch(
        "SELECT table_name FROM information_schema.columns WHERE column_name = 'tenant_id' AND table_schema = 'public'"
    )
    tables = await owner.fetch("SELECT name FROM tenant_tables()")
    assert {row["table_name"] for row in named} - AUDIT == {row["name"] for row in tables} != set()


async def test_two_who_delete_at_once_end_once(database: Database, owner: asyncpg.Connection, tenant_id: UUID) -> None:
    await fill(database, tenant_id, 500)
    await life.delete(database, tenant_id, COMMAND)
    await asyncio.gather(*(life.erase(database, tenant_id) for _ in range(3)))
    assert await tenants_with_rows(owner) == set()


async def test_there_is_no_way_back_from_deleting(database: Database, tenant_id: UUID) -> None:
    await life.delete(database, tenant_id, COMMAND)
    for change in (life.suspend, life.resume):
        with pytest.raises(Conflict):
            await change(database, tenant_id, COMMAND)
    assert (await life.delete(database, tenant_id, COMMAND)).state is State.DELETING
    with pytest.raises(TenantNotFound):
        await life.delete(database, new_id(), COMMAND)


async def test_its_audit_log_goes_and_the_deployments_tells_of_it(
    database: Database, owner: asyncpg.Connection, tenant_id: UUID
) -> None:
    await life.suspend(database, tenant_id, COMMAND)
    await life.delete(database, tenant_id, COMMAND)
    await life.erase(database, tenant_id)
    assert await owner.fetchval("SELECT count(*) FROM audit WHERE tenant_id = $1", tenant_id) == 0
    actions = await owner.fetch("SELECT action FROM audit WHERE tenant_id = $1 ORDER BY number", DEPLOYMENT)
    assert [row["action"] for row in actions] == ["tenant.deleting", "tenant.deleted"]
    await chain.verify(database, DEPLOYMENT)


async def test_a_deletion_that_meets_a_turn_which_is_just_ending_is_tried_again(
    database: Database, database_url: str, tenant_id: UUID
) -> None:
    turn, look = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    try:
        await turn.execute(
            "INSERT INTO turns (tenant_id, id, conversation_id, state, seqs, epoch, correlation_id) "
            "VALUES ($1, $2, $2, 'running', '{1}', 1, '')", tenant_id, new_id(),
        )  # fmt: skip
        await turn.execute("SET deadlock_timeout = '10min'")  # so that the deletion is the one that gives way
        async with asyncio.timeout(HANG_S):
            async with turn.transaction():
                await turn.execute("SELECT FROM turns FOR UPDATE")
                deleting = asyncio.create_task(life.delete(database, tenant_id, COMMAND))
                while not await look.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                    await asyncio.sleep(0.01)
                await turn.execute("SELECT FROM tenants FOR UPDATE")
            assert (await deleting).state == "deleting"
    finally:
        await turn.close()
        await look.close()
