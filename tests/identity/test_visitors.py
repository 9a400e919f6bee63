"""Visitors: whoever comes is given a token for one conversation, where the organisation wants that."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prometheus_client import CollectorRegistry
from tests.identities import bearing
from tests.identity.closed_clinic import closed_clinic
from tests.identity.forging import opened
from tests.served import Served

from frontdesk.core.clock import SystemClock
from frontdesk.core.errors import RateLimited
from frontdesk.core.ids import new_id
from frontdesk.quotas.quotas import INVITATIONS_PER_MINUTE, SIGN_INS_PER_MINUTE, VISITORS_PER_MINUTE, Quotas
from frontdesk.shared.places import MemoryPlaces
from frontdesk.shared.rates import MemoryRateLimiter

TOKENS = "/api/public/widgets/clinic/tokens"
EMBEDDING = "https://shop.example"


@pytest.fixture(scope="module")
async def closed() -> AsyncIterator[Served]:
    async with closed_clinic(f"widget: {{enabled: true, origins: [{EMBEDDING}]}}") as running:
        yield running


async def come(served: Served, headers: dict[str, str] | None = None) -> dict[str, Any]:
    response = await served.nobody.post(TOKENS, headers=headers)
    assert response.status_code == 201, response.text
    assert response.headers["cache-control"] == "no-store"
    return dict(response.json())


async def say(served: Served, visit: dict[str, Any], **fields: str) -> httpx.Response:
    body = {"user_id": visit["user_id"], "message": "Where can I park?", "session_id": visit["session_id"]} | fields
    return await served.nobody.post("/api/clinic/chat", json=body, headers=bearing(visit["token"]))


async def test_a_visitor_converses_and_reads_what_was_said(closed: Served) -> None:
    refused = await closed.nobody.post("/api/clinic/chat", json={"user_id": "ann", "message": "Hello"})
    assert (refused.status_code, refused.json()["error_code"]) == (401, "UNAUTHENTICATED")
    visit = await come(closed)
    answer = await say(closed, visit)
    assert answer.status_code == 200 and answer.json()["session_id"] == visit["session_id"]
    mine = bearing(visit["token"])
    history = await closed.nobody.get(f"/api/clinic/conversations/{visit['session_id']}", headers=mine)
    assert history.json()["last_seq"] == 2
    quoted = answer.json()["citations"][0]["passage_id"]
    assert (await closed.nobody.get(f"/api/clinic/passages/{quoted}", headers=mine)).status_code == 200
    assert (await closed.nobody.delete(f"/api/clinic/sessions/{visit['session_id']}", headers=mine)).status_code == 204


async def test_a_message_without_a_session_goes_into_the_one_of_the_token(closed: Served) -> None:
    visit = await come(closed)
    body = {"user_id": visit["user_id"], "message": "Where can I park?"}
    answer = await closed.nobody.post("/api/clinic/chat", json=body, headers=bearing(visit["token"]))
    assert answer.json()["session_id"] == visit["session_id"]


async def test_a_visitor_sees_and_judges_nobody_elses(closed: Served) -> None:
    ann, eve = await come(closed), await come(closed)
    answer = (await say(closed, ann)).json()
    hers = bearing(eve["token"])
    assert (await say(closed, eve, session_id=ann["session_id"])).status_code == 404
    assert (await say(closed, eve, user_id=ann["user_id"])).status_code == 403
    for path in (f"conversations/{ann['session_id']}", f"sessions/{ann['session_id']}",
                 f"conversations/{ann['session_id']}/stream"):  # fmt: skip
        assert (await closed.nobody.get(f"/api/clinic/{path}", headers=hers)).status_code == 404
    await closed.nobody.delete(f"/api/clinic/sessions/{ann['session_id']}", headers=hers)
    kept = await closed.client.get(f"/api/clinic/conversations/{ann['session_id']}")
    assert kept.json()["last_seq"] == 2
    listed = await closed.nobody.get("/api/clinic/sessions", params={"user_id": eve["user_id"]}, headers=hers)
    assert (listed.status_code, listed.json()["error_code"]) == (403, "FORBIDDEN")
    feedback = f"/api/clinic/messages/{answer['message_id']}/feedback"
    verdict = {"user_id": eve["user_id"], "verdict": "right"}
    assert (await closed.nobody.put(feedback, json=verdict, headers=hers)).status_code == 404
    assert (await closed.nobody.delete(feedback, params={"user_id": eve["user_id"]}, headers=hers)).status_code == 404
    own = verdict | {"user_id": ann["user_id"]}
    assert (await closed.nobody.put(feedback, json=own, headers=bearing(ann["token"]))).status_code == 200
    assert (
        await closed.nobody.get(f"/api/clinic/messages/{answer['message_id']}/explanation", headers=hers)
    ).status_code == 403


async def test_a_token_is_renewed_by_itself_for_the_same_conversation(closed: Served) -> None:
    first = await come(closed)
    await asyncio.sleep(1.1)  # `exp` counts seconds
    second = await come(closed, bearing(first["token"]))
    assert (second["user_id"], second["session_id"]) == (first["user_id"], first["session_id"])
    assert opened(second["token"])[1]["exp"] > opened(first["token"])[1]["exp"]
    for headers in (bearing(closed.key), bearing("x.y.z"), {"authorization": "Basic eA=="}):
        refused = await closed.nobody.post(TOKENS, headers=headers)
        assert (refused.status_code, refused.json()["error_code"]) == (401, "TOKEN_INVALID")


async def test_pages_of_other_origins_come_in_only_where_the_tenant_names_them(closed: Served) -> None:
    named = await closed.nobody.post(TOKENS, headers={"origin": EMBEDDING, "sec-fetch-site": "cross-site"})
    assert (named.status_code, named.headers["access-control-allow-origin"]) == (201, EMBEDDING)
    other = await closed.nobody.post(TOKENS, headers={"origin": "https://evil.example", "sec-fetch-site": "cross-site"})
    assert (other.status_code, other.json()["error_code"]) == (403, "CROSS_SITE")


async def test_no_tokens_are_given_where_nobody_wants_visitors(served: Served) -> None:
    refused = await served.nobody.post(TOKENS)
    assert (refused.status_code, refused.json()["error_code"]) == (403, "FORBIDDEN")
    assert (await served.nobody.post(f"/api/public/widgets/{uuid4()}/tokens")).status_code == 404


async def test_the_page_is_told_whether_it_needs_a_token(served: Served, closed: Served) -> None:
    assert (await served.nobody.get("/page")).json()["visits"] is False
    assert (await closed.nobody.get("/api/clinic/page")).json()["visits"] is True


async def test_renewals_are_counted_by_address(closed: Served) -> None:
    visit = await come(closed)
    outcomes = []
    for _ in range(VISITORS_PER_MINUTE + 1):
        headers = bearing(visit["token"]) | {"x-forwarded-for": "203.0.113.7"}
        outcomes.append((await closed.nobody.post(TOKENS, headers=headers)).status_code)
    assert outcomes[0] == 201 and outcomes[-1] == 429


async def test_one_address_goes_so_often_to_a_provider() -> None:
    quotas = Quotas(MemoryRateLimiter(SystemClock()), MemoryPlaces(lambda _: 0), CollectorRegistry())
    tenant = new_id()
    for number in range(SIGN_INS_PER_MINUTE):
        await quotas.admit_sign_in(tenant, "clinic", f"2001:db8::{number:x}")
    with pytest.raises(RateLimited):
        await quotas.admit_sign_in(tenant, "clinic", "2001:db8::ffff")
    await quotas.admit_sign_in(tenant, "clinic", "203.0.113.8")


async def test_one_organisation_invites_so_many_a_minute() -> None:
    quotas = Quotas(MemoryRateLimiter(SystemClock()), MemoryPlaces(lambda _: 0), CollectorRegistry())
    tenant = new_id()
    for _ in range(INVITATIONS_PER_MINUTE):
        await quotas.admit_invitation(tenant, "clinic")
    with pytest.raises(RateLimited):
        await quotas.admit_invitation(tenant, "clinic")
    await quotas.admit_invitation(new_id(), "toys")


async def test_one_address_begins_so_many_visits_a_minute() -> None:
    quotas = Quotas(MemoryRateLimiter(SystemClock()), MemoryPlaces(lambda _: 0), CollectorRegistry())
    tenant = new_id()
    for _ in range(VISITORS_PER_MINUTE):
        await quotas.admit_visitor(tenant, "clinic", "203.0.113.7")
    with pytest.raises(RateLimited) as refused:
        await quotas.admit_visitor(tenant, "clinic", "203.0.113.7")
    assert refused.value.retry_after is not None
    await quotas.admit_visitor(tenant, "clinic", "203.0.113.8")
    await quotas.admit_visitor(new_id(), "toys", "203.0.113.7")
    await quotas.admit_visitor(tenant, "clinic", None)  # this machine's own programs
