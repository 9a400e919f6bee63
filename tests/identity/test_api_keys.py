"""API keys: who they speak for, how long, and what is kept of them."""

import asyncio
import hashlib
from datetime import timedelta
from typing import Any  # asyncpg's connections are untyped
from uuid import UUID

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.identities import TEST
from tests.identity.moved_clock import NOON, MovedClock

from frontdesk.core.errors import Forbidden, Invalid, NotFound, TokenExpired, TokenInvalid
from frontdesk.core.ids import new_id
from frontdesk.db import Database
from frontdesk.identity import api_keys as api_keys_module
from frontdesk.identity.api_keys import FRESH_S, ApiKeys
from frontdesk.identity.models import Kind
from frontdesk.identity.permissions import ROLES, SCOPES, Permission, Role


class Nowhere:
    """A database in which there is nothing."""

    async def call(self, _query: str, *_args: object) -> list[object]:
        return []


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def keys(database: Database, clock: MovedClock) -> ApiKeys:
    return ApiKeys(database, clock)


async def test_a_key_speaks_for_its_tenant_with_its_scopes_alone(keys: ApiKeys, tenant_id: UUID) -> None:
    key, text = await keys.create(tenant_id, TEST, "shop", ["chat", "usage:read"], None)
    principal = await keys.principal(text)
    assert (principal.kind, principal.tenant_id, principal.id) == (Kind.API_KEY, tenant_id, str(key.id))
    assert principal.permissions == {Permission.CHAT, Permission.USAGE_READ}
    assert principal.contact is None and principal.conversation_id is None


async def test_nothing_that_is_stored_is_the_key(keys: ApiKeys, database: Database, tenant_id: UUID) -> None:
    key, text = await keys.create(tenant_id, TEST, "shop", ["chat"], None)
    secret = text.split("_", 2)[2]
    assert text.startswith(f"fd_{key.prefix}_") and len(secret) == 43  # 256 bits
    async with database.scope(tenant_id) as scope:
        for table in ("api_keys", "audit"):
            rows = await scope.fetch(f"SELECT t::text AS row FROM {table} AS t")
            assert rows and all(secret not in row["row"] for row in rows)
        assert await scope.fetchval("SELECT hash FROM api_keys") == hashlib.sha256(text.encode()).digest()


async def test_what_is_near_a_key_is_no_key(keys: ApiKeys, tenant_id: UUID) -> None:
    _, text = await keys.create(tenant_id, TEST, "shop", ["chat"], None)
    head, prefix, secret = text.split("_", 2)
    other = ("B" if secret[0] == "A" else "A") + secret[1:]
    for wrong in (
        f"fd_{prefix}_{other}", f"fd_{'a' * 12}_{secret}", text[:-1], text + "A", text.upper(), f" {text}", "", "fd_",
        "fd__", f"{head}_{prefix}_", f"fd_{prefix}_{'A' * 5_000}", f"fd_{prefix}_%", "fd_\x00", text + "\n", "é" * 60,
    ):  # fmt: skip
        with pytest.raises(TokenInvalid):
            await keys.principal(wrong)


@given(st.text(max_size=100) | st.from_regex("fd_[a-z2-7]{12}_[A-Za-z0-9_-]{43}", fullmatch=True))
async def test_no_text_is_a_key_by_chance(text: str) -> None:
    with pytest.raises(TokenInvalid):
        await ApiKeys(Nowhere(), MovedClock()).principal(text)  # type: ignore[arg-type]


async def test_a_revoked_key_is_refused_at_once_here_and_soon_elsewhere(
    keys: ApiKeys, database: Database, tenant_id: UUID, clock: MovedClock
) -> None:
    elsewhere = ApiKeys(database, clock)
    key, text = await keys.create(tenant_id, TEST, "shop", ["chat"], None)
    await keys.principal(text)
    await elsewhere.principal(text)
    await keys.revoke(tenant_id, TEST, key.id)
    with pytest.raises(TokenInvalid):
        await keys.principal(text)
    clock.passed_s += FRESH_S
    with pytest.raises(TokenInvalid):
        await elsewhere.principal(text)


async def test_a_look_up_under_way_does_not_outlive_the_revocation(
    keys: ApiKeys, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, text = await keys.create(tenant_id, TEST, "shop", ["chat"], None)
    was_read, may_go_on = asyncio.Event(), asyncio.Event()
    read = api_keys_module.store.key_of

    async def slow(db: Database, prefix: str) -> object:
        row = await read(db, prefix)
        was_read.set()
        await may_go_on.wait()
        return row

    monkeypatch.setattr(api_keys_module.store, "key_of", slow)
    looking = asyncio.create_task(keys.principal(text))
    await was_read.wait()
    await keys.revoke(tenant_id, TEST, key.id)
    may_go_on.set()
    with pytest.raises(TokenInvalid):
        await looking
    with pytest.raises(TokenInvalid):
        await keys.principal(text)


async def test_a_known_key_expires_to_the_second(keys: ApiKeys, tenant_id: UUID, clock: MovedClock) -> None:
    _, text = await keys.create(tenant_id, TEST, "shop", ["chat"], NOON + timedelta(seconds=1))
    await keys.principal(text)
    clock.passed_s += 1
    with pytest.raises(TokenExpired):
        await keys.principal(text)


async def test_turns_do_not_ask_the_database_for_a_known_key(
    keys: ApiKeys, tenant_id: UUID, clock: MovedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text = await keys.create(tenant_id, TEST, "shop", ["chat"], None)
    asked = 0
    call = Database.call

    async def counted(database: Database, query: str, *args: object) -> object:
        nonlocal asked
        asked += 1
        return await call(database, query, *args)

    monkeypatch.setattr(Database, "call", counted)
    for _ in range(50):
        await keys.principal(text)
    assert asked == 1
    others = [(await keys.create(tenant_id, TEST, f"shop {n}", ["chat"], None))[1] for n in range(9)]
    for other in others:
        await keys.principal(other)
    assert asked == 10
    clock.passed_s += FRESH_S
    for each in [text, *others]:
        await keys.principal(each)
    assert asked == 11  # about all of them at once


async def test_the_last_use_is_noted(keys: ApiKeys, tenant_id: UUID, clock: MovedClock) -> None:
    _, text = await keys.create(tenant_id, TEST, "shop", ["chat"], None)
    await keys.note_used()
    assert (await keys.listed(tenant_id, None, 10))[0].last_used_at is None
    clock.passed_s += 60
    await keys.principal(text)
    await keys.note_used()
    assert (await keys.listed(tenant_id, None, 10))[0].last_used_at == clock.now()


async def test_a_clean_stop_notes_the_last_uses(keys: ApiKeys, tenant_id: UUID, clock: MovedClock) -> None:
    noting = asyncio.create_task(keys.run())
    _, text = await keys.create(tenant_id, TEST, "shop", ["chat"], None)
    await keys.principal(text)
    noting.cancel()
    await asyncio.gather(noting, return_exceptions=True)
    assert (await keys.listed(tenant_id, None, 10))[0].last_used_at == clock.now()


async def test_last_uses_wait_for_the_database(
    keys: ApiKeys, database_url: str, tenant_id: UUID, clock: MovedClock
) -> None:
    _, text = await keys.create(tenant_id, TEST, "shop", ["chat"], None)
    await keys.principal(text)
    used_at = clock.now()
    owner: Any = await asyncpg.connect(database_url)
    name = await owner.fetchval("SELECT current_database()")
    await owner.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
    await owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'frontdesk_app'")
    await keys.note_used()
    await owner.execute(f"ALTER DATABASE {name} CONNECTION LIMIT -1")
    await owner.close()
    clock.passed_s += 60
    await keys.note_used()
    assert (await keys.listed(tenant_id, None, 10))[0].last_used_at == used_at


async def test_no_key_is_given_more_than_its_maker_has(keys: ApiKeys, tenant_id: UUID) -> None:
    supporter = ROLES[Role.SUPPORTER]
    with pytest.raises(Forbidden, match="audit:read"):
        await keys.create(tenant_id, TEST, "all", ["chat", "audit:read"], None, supporter)
    await keys.create(tenant_id, TEST, "fine", ["chat", "usage:read"], None, supporter)


@pytest.mark.parametrize(
    "scopes", [[], ["everything"], ["chat", ""], ["account"], ["tenants:manage"], ["metrics:read"]]
)
async def test_what_is_no_scope_is_told(keys: ApiKeys, tenant_id: UUID, scopes: list[str]) -> None:
    with pytest.raises(Invalid, match="scopes"):
        await keys.create(tenant_id, TEST, "all", scopes, None)


async def test_a_key_that_has_expired_already_is_not_made(keys: ApiKeys, tenant_id: UUID) -> None:
    with pytest.raises(Invalid, match="expires_at"):
        await keys.create(tenant_id, TEST, "late", ["chat"], NOON)


async def test_keys_are_listed_by_pages_and_of_one_tenant(
    keys: ApiKeys, tenant_id: UUID, other_tenant_id: UUID
) -> None:
    made = [(await keys.create(tenant_id, TEST, f"key {n}", ["chat"], None))[0].id for n in range(5)]
    await keys.create(other_tenant_id, TEST, "theirs", ["chat"], None)
    first = await keys.listed(tenant_id, None, 3)
    second = await keys.listed(tenant_id, first[-1].id, 3)
    assert [key.id for key in first + second] == made[::-1]


async def test_another_tenants_key_can_not_be_revoked(keys: ApiKeys, tenant_id: UUID, other_tenant_id: UUID) -> None:
    key, text = await keys.create(other_tenant_id, TEST, "theirs", ["chat"], None)
    with pytest.raises(NotFound):
        await keys.revoke(tenant_id, TEST, key.id)
    with pytest.raises(NotFound):
        await keys.revoke(tenant_id, TEST, new_id())
    assert (await keys.principal(text)).tenant_id == other_tenant_id


async def test_making_and_revoking_stand_in_the_audit_log_once(
    keys: ApiKeys, database: Database, tenant_id: UUID
) -> None:
    key, _ = await keys.create(tenant_id, TEST, "shop", sorted(SCOPES), None)
    await keys.revoke(tenant_id, TEST, key.id)
    await keys.revoke(tenant_id, TEST, key.id)  # safe to repeat
    async with database.scope(tenant_id) as scope:
        rows = await scope.fetch("SELECT action, target FROM audit ORDER BY number")
    assert [(row["action"], row["target"]) for row in rows] == [
        ("key.created", f"key/{key.id}"),
        ("key.revoked", f"key/{key.id}"),
    ]
