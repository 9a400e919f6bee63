"""PostgreSQL by TLS: a server of the system's own package, as the one that comes with ours speaks none."""

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from tests.certificates import Authority
from tests.conftest import HANG_S, IN_CI

from frontdesk.core.errors import DatabaseUnavailable, SettingsError
from frontdesk.core.ids import new_id
from frontdesk.core.settings import DatabaseSettings, load_settings
from frontdesk.db import Database
from frontdesk.server.database import external_url, opened

INITDB = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")))


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="frontdesk-tls-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder)


@pytest.fixture(scope="module")
async def url(folder: Path, authority: Authority) -> AsyncIterator[str]:
    """Of a server that takes only TLS, and only who shows a certificate that is the user's."""
    if not INITDB:
        assert not IN_CI, "there is no PostgreSQL with TLS, and its tests must not be skipped in CI"
        pytest.skip("there is no PostgreSQL with TLS: run scripts/test-servers")
    # As root it does not run: then as the user that the package has made for it.
    user = "postgres" if os.getuid() == 0 else None
    place = folder / "pg"
    place.mkdir(mode=0o700)
    certificate, key = authority.issue("server")
    for path in (certificate, key, authority.ca):
        shutil.copy(path, place.parent / f"of-server-{path.name}")
    if user is not None:
        owner = pwd.getpwnam(user)
        for path in (place, *place.parent.glob("of-server-*")):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    own = {path.suffix: path for path in place.parent.glob("of-server-*")}
    (place.parent / "of-server-server.key").chmod(0o600)
    environment = {"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]}
    subprocess.run(
        [INITDB[-1], "-D", str(place), "-U", "postgres", "-A", "trust", "--no-sync"],
        check=True, capture_output=True, user=user, env=environment, cwd="/",
    )  # fmt: skip
    (place / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 cert\nhost all all all reject\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {
        "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off", "ssl": "on",
        "ssl_cert_file": own[".crt"], "ssl_key_file": own[".key"], "ssl_ca_file": own[".pem"],
    }  # fmt: skip
    given = [f"--{name}={value}" for name, value in options.items()]
    process = await asyncio.create_subprocess_exec(
        str(Path(INITDB[-1]).with_name("postgres")), "-D", str(place), *given,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, user=user, env=environment, cwd="/",
    )  # fmt: skip
    url = f"postgresql://postgres@localhost:{port}/postgres"
    settings = as_client(authority, "postgres")
    async with asyncio.timeout(HANG_S):
        while True:
            try:
                connection = await asyncpg.connect(external_url(url, settings))
                break
            except (OSError, asyncpg.PostgresError):
                assert process.returncode is None, "PostgreSQL did not start"
                await asyncio.sleep(0.05)
    await connection.execute("CREATE ROLE frontdesk_app LOGIN")
    await connection.close()
    yield url
    process.terminate()
    await process.wait()


def as_client(authority: Authority, user: str) -> DatabaseSettings:
    certificate, key = authority.issue(user)
    return DatabaseSettings(ca_file=authority.ca, certificate=certificate, key=key)


async def test_the_pool_is_on_tls_and_verified(url: str, authority: Authority) -> None:
    database = await Database.connect(external_url(url, as_client(authority, "postgres")), max_connections=2)
    async with database.scope(new_id()) as scope:
        assert await scope.fetchval("SELECT current_user") == "frontdesk_app"
    await database.close()


async def start(url: str, settings: DatabaseSettings) -> None:
    files = {name: str(path) for name, path in settings.model_dump().items() if isinstance(path, Path)}
    with tempfile.TemporaryDirectory() as data:
        given = {"database_url": url, "database": files, "data": data}
        async with opened(load_settings({}, None, given), lambda _line: None):
            pass


async def test_a_server_of_another_authority_or_name_stops_the_start(
    url: str, authority: Authority, folder: Path
) -> None:
    settings = as_client(authority, "postgres")
    another = settings.model_copy(update={"ca_file": Authority(folder, "other").ca})
    with pytest.raises(SettingsError, match="TLS failed"):
        await start(url, another)
    with pytest.raises(SettingsError, match="TLS failed"):
        await start(url.replace("localhost", "127.0.0.1"), settings)


async def test_a_client_whom_the_server_does_not_know_comes_no_further(
    url: str, authority: Authority, folder: Path
) -> None:
    stranger = as_client(Authority(folder, "third"), "postgres").model_copy(update={"ca_file": authority.ca})
    for settings in (stranger, as_client(authority, "somebody"), DatabaseSettings(ca_file=authority.ca)):
        with pytest.raises((DatabaseUnavailable, SettingsError)):
            await start(url, settings)


async def test_files_that_are_not_there_are_named(url: str, authority: Authority, folder: Path) -> None:
    with pytest.raises(SettingsError, match=r"FRONTDESK_DATABASE__CA_FILE: there is no file .*none\.pem"):
        await start(url, DatabaseSettings(ca_file=folder / "none.pem"))


def test_the_urls_other_options_stay() -> None:
    url = "postgresql://u:p%40ss@db.example.com:5433/desk?application_name=x&sslmode=disable"
    assert external_url(url, DatabaseSettings()) == url
