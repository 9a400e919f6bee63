"""Keys that texts are sealed with: a server that lacks one of them does not start, and says which."""

import asyncio
import base64
import importlib
import os
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


async def started(settings: Settings, database: Database) -> Cipher:
    """What a server seals with that starts, and stops."""
    async with sealing.kept(settings, database) as cipher:
        return cipher


async def test_a_second_server_with_a_key_file_of_its_own_is_refused(place: Path, database: Database) -> None:
    first = await started(server(place / "a"), database)
    (place / "b").mkdir()
    (place / "b" / "keys").write_text(base64.b64encode(OLD).decode())
    (place / "b" / "keys").chmod(0o600)
    with pytest.raises(SettingsError) as refused:
        await started(server(place / "b"), database)
    [of_a] = sealing.configured_keys(server(place / "a"))
    for told in (key_id(of_a).hex(), key_id(OLD).hex(), str(place / "b" / "keys"), "Nothing was changed"):
        assert told in refused.value.detail
    tenant = UUID(int=1)
    again = await started(server(place / "a"), database)  # the first one starts as before
    assert again.open(tenant, first.seal(tenant, b"hello")) == b"hello"


async def test_with_its_key_file_lost_a_server_makes_no_new_one(place: Path, database: Database) -> None:
    await started(server(place), database)
    kept = (place / "keys").read_bytes()
    (place / "keys").unlink()
    with pytest.raises(SettingsError, match=r"keys is not there\."):
        await started(server(place), database)
    assert not (place / "keys").exists()
    (place / "keys").write_bytes(kept)
    (place / "keys").chmod(0o600)
    await started(server(place), database)


async def test_of_servers_that_start_at_once_on_a_new_database_with_other_keys_one_is_taken(
    place: Path, database: Database
) -> None:
    starts = [started(server(place / str(n)), database) for n in range(8)]
    ended = await asyncio.gather(*starts, return_exceptions=True)
    assert sorted(type(each).__name__ for each in ended) == ["Cipher"] + ["SettingsError"] * 7


async def test_a_rotated_key_may_go_only_when_it_is_given_up(place: Path, database: Database) -> None:
    await started(server(place, OLD), database)
    await started(server(place, NEW, OLD), database)
    for kept, gone in ((NEW, OLD), (OLD, NEW)):
        with pytest.raises(SettingsError, match=f"key {key_id(gone).hex()}, .* only {key_id(kept).hex()}"):
            await started(server(place, kept), database)


async def test_what_was_sealed_before_keys_were_noted_tells_its_key(
    place: Path, database: Database, database_url: str, tenant_id: UUID
) -> None:
    events = PostgresLog(database, Cipher([OLD]))
    async with database.scope(tenant_id) as scope:
        await events.append(scope, "messages.raw", "a", "message.accepted", {"n": 1})
    owner = await asyncpg.connect(database_url)
    migration = importlib.import_module("frontdesk.db.migrations.versions.0007_sealing_keys")
    await owner.execute(migration._KEYS_IN_USE)
    await owner.close()
    with pytest.raises(SettingsError, match=key_id(OLD).hex()):
        await started(server(place), database)
    await started(server(place, NEW, OLD), database)


async def test_a_refused_start_leads_to_its_mending(place: Path, database: Database, database_url: str) -> None:
    await started(server(place, OLD), database)
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


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir(mode=0o700)


def _lost_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("nowhere"))


DAMAGES = {
    "lost": (Path.unlink, "is not there"),
    "empty": (lambda path: path.write_bytes(b""), "no key"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:20]), "key 1 is not 32 bytes"),
    "zeroed": (lambda path: path.write_bytes(bytes(45)), "key 1 is not 32 bytes"),
    "no text": (lambda path: path.write_bytes(b"\xff\xfe" * 20), "it is not text"),
    "another": (lambda path: path.write_text(base64.b64encode(NEW).decode()), f"has only {key_id(NEW).hex()}"),
    "readable by others": (lambda path: path.chmod(0o644), "Run: chmod 600"),
    "readable by a group": (lambda path: path.chmod(0o640), "Run: chmod 600"),
    "a folder": (_directory, "is not a file"),
    "a link to nothing": (_lost_link, "leads to a file that is not there"),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_key_file_that_is_no_more_stops_the_start_and_nothing_is_overwritten(
    damage: str, place: Path, database: Database, database_url: str
) -> None:
    harm, told = DAMAGES[damage]
    await started(server(place), database)
    [key] = sealing.configured_keys(server(place))
    harm(place / "keys")
    before = _state(place)
    noted = await keys.missing(database, [])
    for starts in (started, sealing.examined):
        with pytest.raises(SettingsError) as refused:
            await starts(server(place), database)
        for part in (told, str(place / "keys"), key_id(key).hex(), "can't be read", "Nothing was changed"):
            assert part in refused.value.detail
        assert base64.b64encode(key).decode() not in refused.value.detail
    assert _state(place) == before
    assert await keys.missing(database, []) == noted


def _state(place: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"") for path in place.iterdir()}


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
async def test_a_key_file_that_the_server_may_not_read_is_told(place: Path, database: Database) -> None:
    await started(server(place), database)
    (place / "keys").chmod(0)
    with pytest.raises(SettingsError, match=r"keys: can't be read \(Permission denied\)"):
        await started(server(place), database)
