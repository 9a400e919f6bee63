"""The example configuration of nginx, with a real nginx and TLS before a real server."""

import asyncio
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.command import run
from tests.conftest import HANG_S, IN_CI
from tests.served import Served, serving
from tests.vendors.replies import Reply
from tests.vendors.server import Vendor

EXAMPLE = Path(__file__).parents[2] / "examples" / "proxy" / "nginx.conf"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
NAME = "desk.example.org"

MAIN = """\
daemon off;
master_process off;
pid {place}/pid;
error_log {place}/errors warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxied;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    include {place}/frontdesk.conf;
}}
"""

pytestmark = pytest.mark.skipif(NGINX is None and not IN_CI, reason="there is no nginx (scripts/test-servers)")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Proxied:
    served: Served
    https: int
    http: int
    trusted: ssl.SSLContext
    vendor: Vendor

    def client(self, source: str = "127.0.0.1") -> httpx.AsyncClient:
        """From an address of this machine, by the proxy, as `desk.example.org`."""
        transport = httpx.AsyncHTTPTransport(verify=self.trusted, local_address=source)
        return httpx.AsyncClient(
            transport=transport, base_url=f"https://127.0.0.1:{self.https}", timeout=HANG_S,
            headers={"host": NAME},
        )  # fmt: skip


def sni(request: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"extensions": {"sni_hostname": NAME}} | (request or {})


def configuration(place: Path, served: int, http: int, https: int) -> None:
    """The example, with this test's ports and certificate. What is replaced must be there."""
    text = EXAMPLE.read_text()
    for there, here in (
        ("127.0.0.1:8000", f"127.0.0.1:{served}"),
        ("listen 80;", f"listen 127.0.0.1:{http};"),
        ("listen 443 ssl http2;", f"listen 127.0.0.1:{https} ssl http2;"),
        ("    listen [::]:80;\n", ""),
        ("    listen [::]:443 ssl http2;\n", ""),
        (f"/etc/letsencrypt/live/{NAME}/fullchain.pem", f"{place}/certificate"),
        (f"/etc/letsencrypt/live/{NAME}/privkey.pem", f"{place}/key"),
    ):
        assert text.count(there) == 1, there
        text = text.replace(there, here)
    (place / "frontdesk.conf").write_text(text)
    (place / "nginx.conf").write_text(MAIN.format(place=place))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}",
         "-keyout", str(place / "key"), "-out", str(place / "certificate")],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip


@asynccontextmanager
async def proxying(place: Path, vendor: Vendor, *addresses: str) -> AsyncIterator[Proxied]:
    port, http, https = free_port(), free_port(), free_port()
    configuration(place, port, http, https)
    environment = {
        "FRONTDESK_ENV": "production",
        "FRONTDESK_DEVELOPER": "false",
        "FRONTDESK_HOSTS": NAME,
        "FRONTDESK_PROXIES": "127.0.0.1",
        "FRONTDESK_ADDRESSES": ",".join(addresses),
        "FRONTDESK_OPENAI_API_KEY": "x",
        "FRONTDESK_OPENAI_BASE_URL": vendor.openai_url,
    }
    async with serving(place / "data", environment, port) as served:
        assert NGINX is not None, "scripts/test-servers installs it"
        nginx = await asyncio.create_subprocess_exec(
            NGINX, "-p", str(place), "-c", str(place / "nginx.conf"), stderr=asyncio.subprocess.DEVNULL
        )
        try:
            async with asyncio.timeout(HANG_S):
                while not await listens(https):
                    assert nginx.returncode is None, (place / "errors").read_text()
                    await asyncio.sleep(0.02)
            trusted = ssl.create_default_context(cafile=str(place / "certificate"))
            yield Proxied(served, https, http, trusted, vendor)
        finally:
            if nginx.returncode is None:
                nginx.terminate()
            await nginx.wait()


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@pytest.fixture(scope="module")
async def proxied() -> AsyncIterator[Proxied]:
    with tempfile.TemporaryDirectory(prefix="frontdesk-proxy-") as folder:
        vendor = Vendor()
        await vendor.start()
        async with proxying(Path(folder), vendor, "127.0.0.2", "127.0.0.1") as running:
            yield running
        await vendor.stop()


ASKED = {"user_id": "ann", "message": "When are visiting hours?"}


async def test_a_visitor_talks_by_tls(proxied: Proxied) -> None:
    async with proxied.client() as client:
        page = await client.get("/", **sni())
        answered = await client.post("/api/clinic/chat", json=ASKED, **sni())
    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]
    assert answered.status_code == 200, answered.text
    for response in (page, answered):
        assert response.headers["strict-transport-security"] == "max-age=31536000"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert len(response.headers.get_list("x-correlation-id")) == 1


async def test_streams_come_as_they_are_written(proxied: Proxied) -> None:
    """The first words are read while the model has not said the last, and says no more until they were."""
    vendor = proxied.vendor
    vendor.responder = lambda request: Reply("Wait for it", stall_after=2) if request.streamed else Reply("{}")
    headers = {"accept": "text/event-stream"}
    async with (
        asyncio.timeout(HANG_S),
        proxied.client() as client,
        client.stream("POST", "/api/clinic/chat", json=ASKED, headers=headers, **sni()) as response,
    ):
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        async for line in response.aiter_lines():
            if line.startswith("data:") and "Wait" in line:
                break
        else:
            raise AssertionError("the answer never came")
        assert vendor.stalled.is_set()
        assert not vendor.gone.is_set(), "the answer came when it was over"


async def test_the_clients_address_is_its_own_whatever_it_says(proxied: Proxied) -> None:
    forged = {"x-forwarded-for": "127.0.0.2", "forwarded": "for=127.0.0.2", "x-real-ip": "127.0.0.2"}
    async with proxied.client("127.0.0.2") as client:
        assert (await client.get("/health", **sni())).status_code == 200
    async with proxied.client("127.0.0.3") as client:
        for headers in ({}, forged):
            refused = await client.get("/health", headers=headers, **sni())
            assert refused.status_code == 403
            assert refused.json()["error_code"] == "ADDRESS_REFUSED"


async def test_what_is_not_for_the_world_is_not_there(proxied: Proxied) -> None:
    async with proxied.client() as client:
        for path in ("/metrics", "/health/detailed"):
            assert (await client.get(path, **sni())).status_code == 404
    assert (await proxied.served.nobody.get("/metrics")).status_code == 200, "on the machine itself it is"


async def test_plain_http_leads_to_https(proxied: Proxied) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{proxied.http}", headers={"host": NAME}) as client:
        led = await client.get("/t/clinic?x=1")
    assert (led.status_code, led.headers["location"]) == (301, f"https://{NAME}/t/clinic?x=1")


async def test_a_proxy_without_tls_is_refused_in_production(proxied: Proxied) -> None:
    """As if the proxy had no TLS, or did not say so."""
    for headers in ({"x-forwarded-for": "127.0.0.1"}, {"x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http"}):
        refused = await proxied.served.client.post("/api/clinic/chat", json=ASKED, headers=headers)
        assert (refused.status_code, refused.json()["error_code"]) == (403, "TLS_REQUIRED")
        assert (await proxied.served.client.get("/health/ready", headers=headers)).status_code == 200
    headers = {"x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "https"}
    assert (await proxied.served.client.post("/api/clinic/chat", json=ASKED, headers=headers)).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "desk.example.org"])
async def test_a_public_address_without_tls_before_it_is_refused(host: str, tmp_path: Path) -> None:
    refused = await asyncio.to_thread(
        run, "serve", "--host", host, "--port", "0", FRONTDESK_DATA=str(tmp_path / "data")
    )
    assert refused.returncode == 1
    assert "speaks no TLS itself" in refused.stderr
    assert "FRONTDESK_PROXIES" in refused.stderr
    assert not (tmp_path / "data").exists()


async def test_on_a_public_address_only_named_proxies_are_answered() -> None:
    address = _own_address()
    with tempfile.TemporaryDirectory(prefix="frontdesk-public-") as folder:
        environment = {
            "FRONTDESK_DEVELOPER": "false",
            "FRONTDESK_HOST": "0.0.0.0",
            "FRONTDESK_PROXIES": "192.0.2.1",
            "FRONTDESK_HOSTS": address,
        }
        async with serving(Path(folder), environment) as served:
            port = served.url.rsplit(":", 1)[1]
            assert (await served.client.get(f"http://127.0.0.1:{port}/")).status_code == 200
            elsewhere = f"http://{address}:{port}"
            refused = await served.client.post(f"{elsewhere}/api/clinic/chat", json=ASKED)
            forged = await served.client.get(f"{elsewhere}/", headers={"x-forwarded-proto": "https"})
            for response in (refused, forged):
                assert (response.status_code, response.json()["error_code"]) == (403, "TLS_REQUIRED")
            assert (await served.client.get(f"{elsewhere}/health")).status_code == 200


def _own_address() -> str:
    """Of this machine, and not loopback: requests to it come from it."""
    for _family, _kind, _protocol, _name, (address, *_) in socket.getaddrinfo(
        socket.gethostname(), None, socket.AF_INET
    ):
        if not str(address).startswith("127."):
            return str(address)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # nothing is sent
        return str(probe.getsockname()[0])
