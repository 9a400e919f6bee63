"""Redis by TLS and with a password: verified, or refused with a sentence."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.certificates import Authority
from tests.redis_server import RedisServer, needs_redis

from frontdesk.core.errors import SettingsError
from frontdesk.core.tls import TlsFiles
from frontdesk.shared.metrics import SharedMetrics
from frontdesk.shared.redis import RedisLink, connected


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="frontdesk-tls-") as folder:
        yield Path(folder)


@pytest.fixture
def authority(folder: Path) -> Authority:
    return Authority(folder)


@pytest.fixture
async def server(folder: Path, authority: Authority) -> AsyncIterator[RedisServer]:
    """Wants a password, and a client's certificate of the authority."""
    needs_redis()
    certificate, key = authority.issue("redis", address="127.0.0.1")
    files = ["--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-ca-cert-file", str(authority.ca)]
    server = RedisServer(folder, files, scheme="rediss", password="s3cret")
    await server.start()
    yield server
    await server.kill()


async def looked(url: str, files: TlsFiles, metrics: SharedMetrics) -> bool:
    link: RedisLink = connected(url, files, metrics)
    try:
        return await link.look()
    finally:
        await link.close()


async def test_a_server_of_the_right_authority_is_used(
    server: RedisServer, authority: Authority, metrics: SharedMetrics
) -> None:
    certificate, key = authority.issue("client")
    assert await looked(server.url, TlsFiles(authority.ca, certificate, key), metrics)


async def test_a_server_of_another_authority_or_name_is_refused(
    server: RedisServer, authority: Authority, metrics: SharedMetrics, folder: Path
) -> None:
    certificate, key = authority.issue("client")
    other = Authority(folder, "other")
    with pytest.raises(SettingsError, match="certificate was refused"):
        await looked(server.url, TlsFiles(other.ca, certificate, key), metrics)
    by_system = TlsFiles(None, certificate, key)  # whom the system trusts: not this one
    with pytest.raises(SettingsError, match="certificate was refused"):
        await looked(server.url, by_system, metrics)
    elsewhere = server.url.replace("127.0.0.1", "127.0.0.2")
    with pytest.raises(SettingsError, match="certificate was refused"):
        await looked(elsewhere, TlsFiles(authority.ca, certificate, key), metrics)


async def test_without_the_clients_certificate_or_password_it_is_not_used(
    server: RedisServer, authority: Authority, metrics: SharedMetrics
) -> None:
    certificate, key = authority.issue("client")
    files = TlsFiles(authority.ca, certificate, key)
    for url in (server.url.replace("s3cret", "wrong"), server.url.replace(":s3cret@", "")):
        with pytest.raises(SettingsError, match="password"):
            await looked(url, files, metrics)
    assert not await looked(server.url, TlsFiles(authority.ca), metrics)


@pytest.mark.parametrize("url", ["http://127.0.0.1", "127.0.0.1:6379", "redis://127.0.0.1:port"])
def test_what_is_no_url_is_said(url: str, metrics: SharedMetrics) -> None:
    with pytest.raises(SettingsError, match="FRONTDESK_REDIS_URL"):
        connected(url, TlsFiles(), metrics)


def test_files_need_a_url_with_tls_and_are_read_first(
    metrics: SharedMetrics, authority: Authority, folder: Path
) -> None:
    with pytest.raises(SettingsError, match="rediss://"):
        connected("redis://127.0.0.1", TlsFiles(authority.ca), metrics)
    with pytest.raises(SettingsError, match="FRONTDESK_REDIS__CA_FILE: there is no file"):
        connected("rediss://127.0.0.1", TlsFiles(folder / "none.pem"), metrics)
    (folder / "rubbish.pem").write_text("rubbish")
    with pytest.raises(SettingsError, match="can't be read as certificates"):
        connected("rediss://127.0.0.1", TlsFiles(folder / "rubbish.pem"), metrics)
    certificate, _ = authority.issue("one")
    with pytest.raises(SettingsError, match="one needs the other"):
        connected("rediss://127.0.0.1", TlsFiles(authority.ca, certificate), metrics)
    _, another = authority.issue("two")
    with pytest.raises(SettingsError, match="don't fit"):
        connected("rediss://127.0.0.1", TlsFiles(authority.ca, certificate, another), metrics)
