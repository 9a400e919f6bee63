"""Which pages of other sites may change something."""

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.responses import PlainTextResponse

from frontdesk.core.clock import SystemClock
from frontdesk.server.errors import ErrorRenderer
from frontdesk.server.middleware import Surroundings
from frontdesk.telemetry.metrics import Metrics


@pytest.mark.parametrize(
    ("origins", "origin", "status"),
    [
        ((), "https://shop.example", 403),
        (("https://shop.example",), "https://shop.example", 200),
        (("https://shop.example",), "https://shop.example.evil.example", 403),
        (("https://shop.example",), "null", 403),
        (("https://shop.example",), None, 403),
        (("*",), "https://anywhere.example", 200),
    ],
)
async def test_only_pages_of_the_named_origins_may(origins: tuple[str, ...], origin: str | None, status: int) -> None:
    errors, metrics = ErrorRenderer(SystemClock(), hide_details=False), Metrics(CollectorRegistry())
    app = Surroundings(PlainTextResponse("done"), hosts=(), origins=origins, errors=errors, metrics=metrics)
    headers = {"sec-fetch-site": "cross-site"} | ({"origin": origin} if origin else {})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        assert (await client.post("/chat", headers=headers)).status_code == status
        assert (await client.delete("/session", headers=headers)).status_code == status
        assert (await client.get("/", headers=headers)).status_code == 200
