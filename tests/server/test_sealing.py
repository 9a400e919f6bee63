"""Keys that texts are sealed with: a server that lacks one of them does not start, and says which."""

import asyncio
import base64
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from tests.command import run
from tests.conftest import as_application

from frontdesk.core.errors import SettingsError
from frontdesk.core.settings import Settings, load_settings
from frontdesk.db import Database, keys
from frontdesk.db.cipher import Cipher, key_id
from frontdesk.db.migrate import migrate
from frontdesk.events.log import PostgresLog
from frontdesk.server import sealing

OLD, NEW = b"o" * 32, b"n" * 32


@pytest.fixture
def place() -> Iterator[Path]:
    """Not pytest's own folder: its parent is closed to the user that an embedded database runs as under root."""
    with tempfile.TemporaryDirectory(prefix="frontdesk-sealing-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def server(data: Path, *keys: bytes) -> Settings:
    """Settings of one server: with these keys, or else with the key file in its own data directory."""
    given = {"encryption_keys": ",".join(base64.b64encode(key).decode() for key in keys)} if keys else {}
    return load_settings({}, None, {"data": data} | given)


async def test_a_second_server_with_a_key_file_of_its_own_is_refused(place: Path, database: Database) -> None:
    first = await sealing.cipher(server(place / "a"), database)
    (place / "b").mkdir()
    (place / "b" / "keys").write_text(base64.b64encode(OLD).decode())
    (place / "b" / "keys").chmod(0o600)
    with pytest.raises(SettingsError) as refused:
        await sealing.cipher(server(place / "b"), database)
    [of_a] = sealing.configured_keys(server(place / "a"))
    for told in (key_id(of_a).hex(), key_id(OLD).hex(), str(place / "b" / "keys"), "Nothing was changed"):
        assert told in refused.value.detail
    tenant = UUID(int=1)
    again = await sealing.cipher(server(place / "a"), database)  # the first one starts as before
    assert again.open(tenant, first.seal(tenant, b"hello")) == b"hello"


async def test_with_its_key_file_lost_a_server_makes_no_new_one(place: Path, database: Database) -> None:
    await sealing.cipher(server(place), database)
    kept = (place / "keys").read_bytes()
    (place / "keys").unlink()
    with pytest.raises(SettingsError, match=r"keys is not there\."):
        await sealing.cipher(server(place), database)
    assert not (place / "keys").exists()
    (place / "keys").write_bytes(kept)
    (place / "keys").chmod(0o600)
    await sealing.cipher(server(place), database)


async def test_of_servers_that_start_at_once_on_a_new_database_with_other_keys_one_is_taken(
    place: Path, database: Database
) -> None:
    starts = [sealing.cipher(server(place / str(n)), database) for n in range(8)]
    ended = await asyncio.gather(*starts, return_exceptions=True)
    assert sorted(type(each).__name__ for each in ended) == ["Cipher"] + ["SettingsError"] * 7


async def test_a_rotated_key_may_go_only_when_it_is_given_up(place: Path, database: Database) -> None:
    await sealing.cipher(server(place, OLD), database)
    await sealing.cipher(server(place, NEW, OLD), database)
    for kept, gone in ((NEW, OLD), (OLD, NEW)):
        with pytest.raises(SettingsError, match=f"key {key_id(gone).hex()}, .* only {key_id(kept).hex()}"):
            await sealing.cipher(server(place, kept), database)


async def test_what_was_sealed_before_keys_were_noted_tells_its_key(
    place: Path, database: Database, database_url: str, tenant_id: UUID
) -> None:
    events = PostgresLog(database, Cipher([OLD]))
    async with database.scope(tenant_id) as scope:
        await events.append(scope, "messages.raw", "a", "message.accepted", {"n": 1})
    owner = await asyncpg.connect(database_url)
    await owner.execute("DROP TABLE sealing_keys; UPDATE alembic_version SET version_num = '0006'")
    await owner.close()
    await migrate(database_url)
    with pytest.raises(SettingsError, match=key_id(OLD).hex()):
        await sealing.cipher(server(place), database)
    await sealing.cipher(server(place, NEW, OLD), database)


async def test_a_refused_start_leads_to_its_mending(place: Path, database: Database, database_url: str) -> None:
    await sealing.cipher(server(place, OLD), database)
    given = {"FRONTDESK_DATABASE_URL": as_application(database_url), "FRONTDESK_DATA": str(place)}
    refused = await asyncio.to_thread(run, "serve", "--port", "0", **given)
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    assert re.search(
        rf"FAIL encryption keys: .*{key_id(OLD).hex()}", (await asyncio.to_thread(run, "doctor", **given)).stdout
    )
    forget = re.search(r"frontdesk (forget-key) ([0-9a-f]{8})", refused.stderr)
    assert forget is not None
    given_up = await asyncio.to_thread(run, *forget.groups(), **given)
    assert given_up.returncode == 0, given_up.stderr
    assert not (place / "keys").exists()
    assert await sealing.examined(server(place), database) == "none yet, the first start makes one"
    assert not await keys.forget(database, key_id(OLD))  # it is forgotten already
