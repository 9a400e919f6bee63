"""What a client meets at a limit: a running server, and a model that costs money."""

import asyncio
import base64
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx
from tests.conftest import HANG_S
from tests.crash.bells import bells
from tests.crash.conftest import desk, place
from tests.crash.desk import SLUG, Desk
from tests.served import Served, serving

__all__ = ["bells", "desk", "place"]

CHAT = f"/api/{SLUG}/chat"
LIMITS = {
    "FRONTDESK_LIMITS__CONTACT_MESSAGES_PER_MINUTE": "3",
    "FRONTDESK_LIMITS__ADDRESS_MESSAGES_PER_MINUTE": "4",
    "FRONTDESK_PROXIES": "127.0.0.1",
}
COSTLY = """\
aliases:
  smart: {chain: [{provider: openai, model: gpt-4o}]}
  fast: {chain: [{provider: openai, model: gpt-4o}]}
"""


def external(database_url: str, **settings: str) -> dict[str, str]:
    keys = base64.b64encode(bytes(32)).decode()
    return {"FRONTDESK_DATABASE_URL": database_url, "FRONTDESK_ENCRYPTION_KEYS": keys} | settings


def with_tenant(desk: Desk, lines: str, **files: str) -> Desk:
    path = desk.place / "tenants" / SLUG / "tenant.yaml"
    return replace(desk, files={"tenant.yaml": path.read_text() + lines} | files)


async def post(served: Served, text: str, *, user: str = "ann", address: str = "", **more: Any) -> httpx.Response:
    headers = {"x-forwarded-for": address} if address else {}
    return await served.nobody.post(CHAT, json={"user_id": user, "message": text} | more, headers=headers)


async def test_limits_at_the_door(desk: Desk, database_url: str) -> None:
    desk = with_tenant(desk, "limits: {conversation_messages: 5}\n")
    async with serving(desk.data, desk.environment | external(database_url, **LIMITS)) as served:
        # A contact: three a minute, whatever the conversation.
        answers = [await post(served, f"hello {number}") for number in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        refused = answers[3].json()
        assert (refused["error_code"], "3 messages a minute" in refused["detail"]) == ("RATE_LIMITED", True)
        assert int(answers[3].headers["retry-after"]) == refused["retry_after"] <= 61
        # An address, behind a proxy that is believed: four a minute, whoever writes.
        answers = [await post(served, "hello", user=f"u{n}", address="203.0.113.7") for n in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]
        assert (await post(served, "hello", user="u9", address="203.0.113.8")).status_code == 200
        # A conversation: five messages of both sides.
        session = str(uuid4())
        answers = [await post(served, "hello", user="max", session_id=session) for _ in range(4)]
        assert [answer.status_code for answer in answers[:3]] == [200, 200, 200]
        assert answers[3].status_code == 429  # the contact's three
        answers = [await post(served, "hello", user="eve", session_id=session)]
        assert answers[0].status_code == 404
        metrics = (await served.nobody.get("/metrics")).text
        assert f'frontdesk_messages_refused_total{{limit="contact",tenant="{SLUG}"}} 2.0' in metrics
        assert f'frontdesk_messages_refused_total{{limit="address",tenant="{SLUG}"}} 1.0' in metrics


async def test_a_full_conversation_says_so_and_a_new_one_is_taken(desk: Desk, database_url: str) -> None:
    desk = with_tenant(desk, "limits: {conversation_messages: 4}\n")
    async with serving(desk.data, desk.environment | external(database_url)) as served:
        session = str(uuid4())
        assert [(await post(served, "hello", session_id=session)).status_code for _ in range(2)] == [200, 200]
        full = await post(served, "hello", session_id=session)
        assert (full.status_code, full.json()["error_code"]) == (403, "QUOTA_REACHED")
        assert "4 messages" in full.json()["detail"]
        history = (await served.nobody.get(f"/api/{SLUG}/conversations/{session}")).json()
        assert len(history["messages"]) == 4
        assert (await post(served, "hello")).status_code == 200


async def _used_up(served: Served) -> httpx.Response:
    """The answer to the first message that meets the used up budget."""
    async with asyncio.timeout(HANG_S):
        while True:
            answer = await post(served, "hello there")
            if answer.status_code != 200 or answer.json()["source"] == "local":
                return answer
            await asyncio.sleep(0.2)


async def test_a_used_up_budget_is_said_to_the_client_and_to_the_contact(desk: Desk, database_url: str) -> None:
    desk = with_tenant(desk, "limits: {usd_per_day: 0.000001}\n", **{"llm.yaml": COSTLY})
    async with serving(desk.data, desk.environment | external(database_url)) as served:
        refused = await _used_up(served)
        assert (refused.status_code, refused.json()["error_code"]) == (429, "BUDGET_USED_UP")
        assert 0 < int(refused.headers["retry-after"]) <= 86_400
        assert "reached its limit" in refused.json()["detail"]
        calls = len(desk.vendor.requests)
        session, events = str(uuid4()), []
        body = {"user_id": "ann", "message": "hello there", "session_id": session}
        async with served.nobody.stream("POST", CHAT, json=body, headers={"accept": "text/event-stream"}) as stream:
            events = [line async for line in stream.aiter_lines() if line.startswith(("event", "data"))]
        assert events[-2] == "event: error" and "BUDGET_USED_UP" in events[-1]
        history = (await served.nobody.get(f"/api/{SLUG}/conversations/{session}")).json()
        assert "reached its limit" in history["messages"][-1]["content"]
        assert len(desk.vendor.requests) == calls
        metrics = (await served.nobody.get("/metrics")).text
        assert 'frontdesk_llm_limited_total{of="spend"' in metrics


async def test_where_the_budget_is_used_up_the_local_model_answers_and_says_so(desk: Desk, database_url: str) -> None:
    with_local = COSTLY.replace("model: gpt-4o}]", "model: gpt-4o}, {provider: local, model: extractive}]")
    desk = with_tenant(desk, "limits: {usd_per_day: 0.000001}\n", **{"llm.yaml": with_local})
    async with serving(desk.data, desk.environment | external(database_url)) as served:
        answer = (await _used_up(served)).json()
        assert (answer["source"], answer["degraded"]) == ("local", True)
