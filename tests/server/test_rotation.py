"""Keys are rotated beside running servers, and a rotation that was killed goes on."""

import asyncio
import base64
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from tests.command import run
from tests.conftest import HANG_S, make_tenant
from tests.served import serving

from frontdesk.core.errors import SettingsError
from frontdesk.core.settings import Settings, load_settings
from frontdesk.db import Database, keys
from frontdesk.db.cipher import Cipher, key_id
from frontdesk.db.resealing import SEALED, left, reseal
from frontdesk.server import sealing
from frontdesk.server.database import OpenDatabase, opened
from frontdesk.server.rotating import Rotated, rotate

OLD, NEW, OTHER = b"o" * 32, b"n" * 32, b"x" * 32

# Bytes that are no ciphertext: hashes, ids of keys, a classifier's numbers, documents and files as they came.
NOT_SEALED = {
    ("api_keys", "hash"),
    ("audit", "hash"),
    ("audit", "previous_hash"),
    ("audit_heads", "hash"),
    ("classifiers", "body"),
    ("documents", "original"),
    ("messages", "request_hash"),
    ("retired_keys", "id"),
    ("sealing_keys", "id"),
    ("sealing_servers", "seals"),
    ("sign_in_failures", "key"),
    ("staff_links", "token_hash"),
    ("staff_sessions", "token_hash"),
    ("tenant_files", "content"),
}


@pytest.fixture
def place() -> Iterator[Path]:
    """Not pytest's own folder: its parent is closed to the user that an embedded database runs as under root."""
    with tempfile.TemporaryDirectory(prefix="frontdesk-rotation-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


def encoded(*of: bytes) -> str:
    return ",".join(base64.b64encode(key).decode() for key in of)


def server(data: Path, *of: bytes) -> Settings:
    given = {"encryption_keys": encoded(*of)} if of else {}
    return load_settings({}, None, {"data": data} | given)


async def rotated(settings: Settings, database: Database, url: str, **more: float) -> Rotated | None:
    quick = {"patience_s": 0.5, "grace_s": 0.0} | more
    return await rotate(settings, OpenDatabase(database, None, url), lambda _: None, lambda *_: None, **quick)


@asynccontextmanager
async def serves(settings: Settings, database: Database) -> AsyncIterator[Cipher]:
    async with sealing.kept(settings, database, beat_s=0.05) as cipher:
        yield cipher


async def seals_with(cipher: Cipher, key: bytes) -> None:
    async with asyncio.timeout(HANG_S):
        while cipher.seals_with != key_id(key):
            await asyncio.sleep(0.02)


async def test_every_column_of_bytes_is_known_as_sealed_or_not(owner: Any) -> None:
    query = """
        SELECT c.table_name, c.column_name
          FROM information_schema.columns AS c
          JOIN information_schema.tables AS t USING (table_schema, table_name)
         WHERE c.table_schema = 'public' AND c.data_type = 'bytea' AND t.table_type = 'BASE TABLE'
    """
    found = {(row[0], row[1]) for row in await owner.fetch(query)}
    declared = {(table.name, column) for table in SEALED for column in table.columns}
    assert found == declared | NOT_SEALED
    assert not declared & NOT_SEALED


async def fill(owner: Any, cipher: Cipher, tenant: UUID, rows: int) -> None:
    """`rows` rows in each sealed table, made from the catalogue: a new table is covered without being named."""
    for table in SEALED:
        # Which words a column takes is nothing to the walk.
        checks = "SELECT conname FROM pg_constraint WHERE conrelid = $1::text::regclass AND contype = 'c'"
        for (check,) in await owner.fetch(checks, table.name):
            await owner.execute(f"ALTER TABLE {table.name} DROP CONSTRAINT {check}")
        columns = await owner.fetch(
            """
            SELECT column_name AS name, udt_name AS type, column_default AS preset, is_identity
              FROM information_schema.columns
             WHERE table_schema = 'public' AND table_name = $1 AND (is_nullable = 'NO' OR column_name = ANY ($2))
               AND column_default IS NULL AND is_identity = 'NO'
            """,
            table.name, list(table.columns),
        )  # fmt: skip
        names = [row["name"] for row in columns]
        kinds = {row["name"]: row["type"] for row in columns}
        values = [
            [sample(name, kinds[name], table.columns, table.tenant, tenant, cipher, n) for name in names]
            for n in range(rows)
        ]
        marks = ", ".join(f"${n}" for n in range(1, len(names) + 1))
        await owner.executemany(f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})", values)


def sample(
    name: str, kind: str, sealed: tuple[str, ...], tenant_column: str | None, tenant: UUID, cipher: Cipher, n: int
) -> Any:
    if name in sealed:
        return cipher.seal(tenant if tenant_column else UUID(int=0), f"{name} {n}".encode())
    if name == tenant_column:
        return tenant
    samples = {
        "uuid": uuid4(), "text": f"t{n} {tenant}", "int4": n, "int8": n, "_int4": [n], "bool": False,
        "jsonb": "{}", "bytea": bytes([n % 256]), "timestamptz": None,
    }  # fmt: skip
    return samples[kind]


async def everything(owner: Any, cipher: Cipher) -> dict[str, list[bytes]]:
    """What is sealed, opened. Raises DecryptFailed."""
    found = {}
    for table in SEALED:
        tenant = table.tenant or f"'{UUID(int=0)}'::uuid"
        for column in table.columns:
            rows = await owner.fetch(f"SELECT {tenant} AS tenant, {column} AS sealed FROM {table.name}")
            found[f"{table.name}.{column}"] = sorted(
                cipher.open(row["tenant"], row["sealed"]) for row in rows if row["sealed"]
            )
    return found


async def test_everything_is_sealed_anew_and_the_old_key_is_asked_for_no_more(
    place: Path, database: Database, database_url: str, owner: Any, tenant_id: UUID
) -> None:
    async with serves(server(place, OLD), database):
        pass
    other = await make_tenant(database, "other")
    await fill(owner, Cipher([OLD]), tenant_id, 700)
    await fill(owner, Cipher([OLD]), other, 3)
    before = await everything(owner, Cipher([OLD]))
    assert all(before.values())
    done = await rotated(server(place, NEW, OLD), database, database_url)
    assert done is not None
    assert (done.first, done.retired, done.resealed.closed) == (key_id(NEW), [key_id(OLD)], 0)
    assert await everything(owner, Cipher([NEW])) == before
    noted = await owner.fetchrow("SELECT actor_id, target, before, after FROM audit WHERE action = 'keys.rotated'")
    assert tuple(noted) == (
        "rotate-keys", f"sealing-key/{key_id(NEW).hex()}",
        f'{{"keys":["{key_id(OLD).hex()}"]}}', f'{{"keys":["{key_id(NEW).hex()}"]}}',
    )  # fmt: skip
    async with serves(server(place, NEW), database):
        pass
    assert await rotated(server(place, NEW), database, database_url) is None
    with pytest.raises(SettingsError, match=key_id(NEW).hex()):
        async with serves(server(place, OLD), database):
            pass


async def test_what_no_walk_has_seen_is_found_before_a_key_is_retired(owner: Any, tenant_id: UUID) -> None:
    cipher = Cipher([NEW, OLD])
    await fill(owner, Cipher([OLD]), tenant_id, 2)
    await owner.execute("UPDATE outbox SET payload = ''")  # nothing to seal
    columns = sum(len(table.columns) for table in SEALED) - 1
    assert await left(owner, cipher) == 2 * columns
    done = await reseal(owner, cipher, lambda _done, _total, _table: None)
    assert (await left(owner, cipher), done.closed) == (0, 0)


async def test_what_is_damaged_or_of_a_lost_key_stays_and_stops_nothing(
    place: Path, database: Database, database_url: str, owner: Any, tenant_id: UUID
) -> None:
    async with serves(server(place, OLD), database):
        pass
    await fill(owner, Cipher([OTHER]), tenant_id, 1)
    await fill(owner, Cipher([OLD]), await make_tenant(database, "other"), 2)
    await owner.execute("UPDATE secrets SET value = overlay(value PLACING '\\x0000' FROM 30) WHERE name LIKE 't1 %'")
    kept = await owner.fetch("SELECT body FROM messages WHERE tenant_id = $1", tenant_id)
    done = await rotated(server(place, NEW, OLD), database, database_url)
    assert done is not None
    assert done.resealed.closed == sum(len(table.columns) for table in SEALED) + 1
    assert done.retired == [key_id(OLD)]
    assert await owner.fetch("SELECT body FROM messages WHERE tenant_id = $1", tenant_id) == kept


async def test_a_server_seals_with_a_new_key_only_once_all_know_it(
    place: Path, database: Database, database_url: str
) -> None:
    async with AsyncExitStack() as second:
        async with serves(server(place, OLD), database) as first:
            renewed = await second.enter_async_context(serves(server(place, NEW, OLD), database))
            await asyncio.sleep(0.3)
            assert renewed.seals_with == key_id(OLD)
            with pytest.raises(
                SettingsError,
                match=r"Not every server seals with .* yet: \S+ \(does not know it, heard \d+ s ago\)\. Nothing",
            ):
                await rotated(server(place, NEW, OLD), database, database_url)
            assert first.open(UUID(int=1), renewed.seal(UUID(int=1), b"hello")) == b"hello"
        # The first is started anew with the new key too.
        await seals_with(renewed, NEW)
        async with serves(server(place, NEW, OLD), database) as again:
            assert again.seals_with == key_id(NEW)
        with pytest.raises(SettingsError, match=f"{key_id(NEW).hex()}, .* only {key_id(OLD).hex()}"):
            async with serves(server(place, OLD), database):
                pass


async def test_a_server_that_comes_back_with_a_retired_key_makes_it_asked_for_again(
    place: Path, database: Database
) -> None:
    """It was cut off from the database, believed gone, and has sealed since."""
    async with serves(server(place, OLD), database) as late:
        pass
    async with serves(server(place, NEW, OLD), database):
        assert await keys.retire(database, key_id(NEW)) == [key_id(OLD)]
        await keys.beat(database, UUID(int=7), "late", late.ids, late.seals_with)
        assert await keys.missing(database, []) == [key_id(NEW), key_id(OLD)]


async def test_a_killed_rotation_goes_on(
    place: Path, database: Database, database_url: str, owner: Any, tenant_id: UUID
) -> None:
    environment = {"FRONTDESK_DATABASE_URL": database_url, "FRONTDESK_DATA": str(place)}
    (place / "keys").write_text(encoded(OLD))
    (place / "keys").chmod(0o600)
    async with serves(server(place), database):
        pass
    await fill(owner, Cipher([OLD]), tenant_id, 6000)
    before = await everything(owner, Cipher([OLD]))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FRONTDESK_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "frontdesk", "rotate-keys",
        env=clean | environment, stderr=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    of_old = "SELECT count(*) FROM messages WHERE substring(body FROM 2 FOR 4) = $1"
    async with asyncio.timeout(HANG_S):
        while await owner.fetchval(of_old, key_id(OLD)) == 6000:
            await asyncio.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    left = await owner.fetchval("SELECT count(*) FROM secrets WHERE substring(value FROM 2 FOR 4) = $1", key_id(OLD))
    assert left > 0, "it was killed in the middle"
    [new, old] = sealing.configured_keys(server(place))
    assert old == OLD
    assert await everything(owner, Cipher([new, old])) == before
    assert (place / "keys").stat().st_mode & 0o777 == 0o600
    # The killed one counts for a while: it can't be known that it is gone.
    await owner.execute("UPDATE sealing_servers SET seen = now() - interval '1 hour'")
    again = await asyncio.to_thread(run, "rotate-keys", **environment)
    assert again.returncode == 0, again.stderr
    assert re.search(rf"needs the key {key_id(OLD).hex()} no more", again.stderr)
    assert sealing.configured_keys(server(place)) == [new, old]
    assert await everything(owner, Cipher([new])) == before
    async with serves(server(place, new), database):
        pass


async def test_keys_are_rotated_beside_a_running_server(place: Path) -> None:
    async with serving(place) as served:
        first = await served.chat("What are your opening hours?")
        [old] = sealing.configured_keys(server(place))
        async with opened(server(place), lambda _: None, alone=False) as beside:
            work = rotate(server(place), beside, lambda _: None, lambda *_: None, grace_s=2)
            done = asyncio.create_task(work)
            while not done.done():
                await served.chat("And on Sunday?", first["session_id"])
                await asyncio.sleep(0.5)
            rotation = await done
        assert rotation is not None
        assert rotation.retired == [key_id(old)]
        shown = await served.history(first["session_id"])
    [new, kept] = sealing.configured_keys(server(place))
    assert kept == old
    (place / "keys").write_text(encoded(new))
    async with serving(place) as served:
        assert await served.history(first["session_id"]) == shown
        assert (await served.chat("Thank you!", first["session_id"]))["session_id"] == first["session_id"]
