"""What the tests of one fault at a time say to a server, and what they wait for."""

import asyncio
from typing import Any

import httpx
from tests.conftest import HANG_S
from tests.crash.desk import SLUG, noting
from tests.served import Served
from tests.vendors.replies import Reply, VendorRequest
from tests.vendors.server import Vendor

WITHIN_S = HANG_S


async def say(served: Served, text: str, session_id: str, way: str = "chat", **headers: str) -> httpx.Response:
    body = {"user_id": "ann", "message": text, "session_id": session_id}
    return await served.client.post(f"/api/{SLUG}/{way}", json=body, headers=headers)


async def messages(served: Served, session_id: str, covered: set[int]) -> list[dict[str, Any]]:
    """The history once all of `covered` is answered. The server may be on its way back."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            response = await served.client.get(f"/api/{SLUG}/conversations/{session_id}")
            if response.status_code == 200:
                found: list[dict[str, Any]] = response.json()["messages"]
                if covered <= {seq for message in found for seq in message["in_reply_to"]}:
                    return found
            await asyncio.sleep(0.1)


async def until_ready(served: Served, status: int) -> dict[str, Any]:
    async with asyncio.timeout(WITHIN_S):
        while True:
            response = await served.client.get("/health/ready")
            if response.status_code == status:
                return dict(response.json())
            await asyncio.sleep(0.1)


class Held:
    """A vendor that keeps its first answer back until it is let go; then it notes as ever."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        vendor.responder = self._respond

    def _respond(self, request: VendorRequest) -> Reply:
        return Reply("never said", stall_after=0)

    async def reached(self) -> None:
        async with asyncio.timeout(WITHIN_S):
            await self._vendor.stalled.wait()

    def let_go(self) -> None:
        self._vendor.responder = noting


def assert_unavailable(response: httpx.Response) -> None:
    assert response.status_code == 503, response.text
    error = response.json()
    assert set(error) == {"detail", "error_code", "timestamp", "correlation_id", "retry_after"}
    assert error["error_code"] == "DATABASE_UNAVAILABLE"
    assert error["retry_after"] == int(response.headers["retry-after"]) > 0
