"""Tokens of an issuer that a tenant names: whose they are, and what happens while its keys change or are away."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import msgspec
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey
from tests.identities import bearing
from tests.identity.closed_clinic import closed_clinic
from tests.identity.forging import as_secrets, opened, part, signed_by_hmac, unsigned
from tests.identity.issuer_server import Issuer, issuer_server
from tests.identity.moved_clock import NOON, MovedClock
from tests.served import Served

from frontdesk.agents.models import Tenant, TenantSettings
from frontdesk.core.errors import TokenExpired, TokenInvalid, Unavailable
from frontdesk.core.ids import new_id
from frontdesk.identity.issuers import Issuers, IssuerSettings
from frontdesk.identity.jwts import SKEW_S
from frontdesk.identity.models import Kind, Principal
from frontdesk.identity.permissions import ROLES, Role
from frontdesk.identity.published_keys import ASK_AGAIN_S, AWAY_S, FRESH_S, STALE_S
from frontdesk.server.web import TenantWeb
from frontdesk.tools.outbound import Outbound

TENANT, OTHER = new_id(), new_id()


class Shop:
    """A tenant whose users an issuer vouches for, by a clock that stands."""

    def __init__(self, issuer: Issuer, clock: MovedClock, issuers: Issuers) -> None:
        self.issuer = issuer
        self.clock = clock
        self.issuers = issuers
        self.named = IssuerSettings(issuer.url, "shop", f"{issuer.url}/keys")

    def token(self, **more: Any) -> str:
        return self.issuer.token(now=self.clock.now().timestamp(), **more)

    async def principal(self, token: str, tenant_id: UUID = TENANT, *named: IssuerSettings) -> Principal:
        return await self.issuers.principal(token, tenant_id, named or (self.named,))


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    allowed = TenantSettings(http_allow=("127.0.0.1",))

    async def tenant_named(name: str) -> Tenant:
        return Tenant(UUID(name), "shop", "Shop", 1, allowed)

    outbound, clock = Outbound(), MovedClock()
    async with issuer_server() as issuer:
        yield Shop(issuer, clock, Issuers(TenantWeb(outbound, tenant_named).json, clock))
    await outbound.close()


async def test_a_token_makes_a_contact_of_that_tenant(shop: Shop) -> None:
    principal = await shop.principal(shop.token(aud=["other", "shop"]))
    assert (principal.kind, principal.tenant_id, principal.contact) == (Kind.CONTACT, TENANT, "ann")
    assert principal.permissions == ROLES[Role.CONTACT]
    await shop.principal(shop.token(header={"kid": None}))  # there is one key: it is that
    mapped = msgspec.structs.replace(shop.named, user_id="customer")
    assert (await shop.principal(shop.token(customer="c-7"), TENANT, mapped)).contact == "c-7"


async def test_it_counts_only_where_its_issuer_is_named(shop: Shop) -> None:
    token = shop.token()
    await shop.principal(token)
    for named in (
        (), (msgspec.structs.replace(shop.named, audience="other"),),
        (msgspec.structs.replace(shop.named, issuer="https://elsewhere.example"),),
        (msgspec.structs.replace(shop.named, algorithms=("ES256",)),),
    ):  # fmt: skip
        for tenant_id in (TENANT, OTHER):
            with pytest.raises(TokenInvalid):
                await shop.issuers.principal(token, tenant_id, named)


async def test_tokens_are_held_to_their_times(shop: Shop) -> None:
    token = shop.token()
    shop.clock.passed_s = 60 + SKEW_S - 1
    await shop.principal(token)
    shop.clock.passed_s += 1
    with pytest.raises(TokenExpired):
        await shop.principal(token)
    later = shop.token(exp=NOON.timestamp() + 10_000, nbf=shop.clock.now().timestamp() + SKEW_S + 1)
    with pytest.raises(TokenInvalid):
        await shop.principal(later)
    shop.clock.passed_s += 1
    await shop.principal(later)


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": 7}, {"sub": ""}, {"sub": " "}, {"sub": "x" * 101}, {"sub": "a\x00b"}, {"sub": ["ann"]}, {"sub": None},
        {"exp": "soon"}, {"exp": None}, {"exp": True}, {"aud": 7}, {"aud": None}, {"nbf": "soon"},
    ],
)  # fmt: skip
async def test_claims_are_checked_by_type(shop: Shop, claims: dict[str, Any]) -> None:
    with pytest.raises(TokenInvalid):
        await shop.principal(shop.token(**claims))


async def test_forged_tokens_are_refused(shop: Shop) -> None:
    header, claims = opened(good := shop.token())
    another = RSAKey.generate_key(2048)
    forged = [
        unsigned(header | {"alg": "none"}, claims),
        unsigned(header, claims),
        f"{good.split('.')[0]}.{part(claims | {'sub': 'eve'})}.{good.split('.')[2]}",
        *(signed_by_hmac(header, claims, secret) for secret in as_secrets(shop.issuer.published["keys"][0])),
        jws.serialize_compact(header, json.dumps(claims), another, ["RS256"]),
        jws.serialize_compact(header | {"jwk": another.as_dict(private=False)}, json.dumps(claims), another, ["RS256"]),
    ]
    for token in forged:
        with pytest.raises(TokenInvalid):
            await shop.principal(token)


async def test_es256_only_where_it_is_named(shop: Shop) -> None:
    shop.issuer.key = ECKey.generate_key("P-256", {"kid": "ec"})
    shop.issuer.published = {"keys": [shop.issuer.key.as_dict(private=False)]}
    token = shop.token()
    with pytest.raises(TokenInvalid):
        await shop.principal(token)
    await shop.principal(token, TENANT, msgspec.structs.replace(shop.named, algorithms=("RS256", "ES256")))


async def test_a_new_key_is_read_when_a_token_names_it_but_not_for_every_token(shop: Shop) -> None:
    await shop.principal(shop.token())
    shop.issuer.rotate("two")
    for n in range(20):  # somebody's inventions
        with pytest.raises(TokenInvalid):
            await shop.principal(shop.token(header={"kid": f"invented-{n}"}))
    assert shop.issuer.asked == 1  # it was read a moment ago
    shop.clock.passed_s += ASK_AGAIN_S
    assert (await shop.principal(shop.token())).contact == "ann"
    assert shop.issuer.asked == 2


async def test_while_an_issuer_is_away_its_keys_are_believed_for_a_day(shop: Shop) -> None:
    await shop.principal(shop.token())
    shop.issuer.status = 500
    shop.clock.passed_s = FRESH_S
    for _ in range(5):
        await shop.principal(shop.token(jti=str(new_id())))
    assert shop.issuer.asked == 2
    shop.clock.passed_s = STALE_S
    with pytest.raises(Unavailable):
        await shop.principal(shop.token())


@pytest.mark.parametrize("published", [None, [], {}, {"keys": 7}, {"keys": []}, {"keys": [7, {"kty": "RSA"}]}])
async def test_an_issuer_without_keys_is_away_and_can_come_back(shop: Shop, published: Any) -> None:
    good, shop.issuer.published = shop.issuer.published, published
    for _ in range(3):
        with pytest.raises(Unavailable):
            await shop.principal(shop.token())
    assert shop.issuer.asked == 1
    shop.issuer.published = good
    shop.clock.passed_s += AWAY_S
    assert (await shop.principal(shop.token())).contact == "ann"


async def test_a_slow_issuer_is_away(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frontdesk.server.web.TIMEOUT_S", 0.2)
    shop.issuer.delay_s = 5
    with pytest.raises(Unavailable):
        await shop.principal(shop.token())


async def test_who_waits_for_an_issuer_that_hangs_does_not_try_it_again() -> None:
    clock, asked = MovedClock(), 0

    async def hangs(_tenant_id: UUID, _url: str) -> Any:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.01)  # while others come and wait
        clock.passed_s += 2 * AWAY_S
        raise Unavailable("It does not answer.")

    async with issuer_server() as issuer:
        shop = Shop(issuer, clock, Issuers(hangs, clock))
        callers = (shop.principal(shop.token(jti=str(number))) for number in range(5))
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert ([type(outcome) for outcome in outcomes], asked) == ([Unavailable] * 5, 1)


@pytest.mark.filterwarnings("ignore:Key size should be")
async def test_keys_that_must_not_be_used_are_left_out(shop: Shop) -> None:
    small = RSAKey.import_key(RSAKey.generate_key(1024).as_dict(private=False))
    shop.issuer.published["keys"] += [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "oct"},
        small.as_dict(private=False) | {"kid": "small"},
        shop.issuer.key.as_dict(private=False) | {"kid": "enc", "use": "enc"},
    ]
    for kid in ("oct", "small", "enc"):
        with pytest.raises(TokenInvalid):
            await shop.principal(shop.token(header={"kid": kid}))
    await shop.principal(shop.token())


async def test_an_address_inside_is_not_asked_unless_the_tenant_may_reach_it() -> None:
    async def tenant_named(name: str) -> Tenant:
        return Tenant(UUID(name), "shop", "Shop", 1, TenantSettings())

    outbound, clock = Outbound(), MovedClock()
    async with issuer_server() as issuer:
        shop = Shop(issuer, clock, Issuers(TenantWeb(outbound, tenant_named).json, clock))
        with pytest.raises(Unavailable):
            await shop.principal(shop.token())
        assert issuer.asked == 0
    await outbound.close()


@pytest.fixture(scope="module")
async def vouched() -> AsyncIterator[tuple[Served, Issuer]]:
    async with issuer_server() as issuer:
        named = f"- {{issuer: '{issuer.url}', audience: shop, jwks_url: '{issuer.url}/keys'}}"
        async with closed_clinic(f"http_allow: [127.0.0.1]\nissuers:\n  {named}") as served:
            yield served, issuer


async def test_a_contacts_idempotency_keys_are_his_own(vouched: tuple[Served, Issuer]) -> None:
    served, issuer = vouched
    key = {"idempotency-key": "one"}
    told = [
        await client.post(
            "/api/clinic/messages", json={"user_id": user, "message": "Where can I park?"}, headers=key | who
        )
        for client, user, who in (
            (served.client, "pat", {}),
            (served.nobody, "kim", bearing(issuer.token(sub="kim"))),
            (served.nobody, "kim", bearing(issuer.token(sub="kim"))),
        )
    ]
    assert [each.status_code for each in told] == [202, 202, 202]
    assert told[1].json()["message_id"] == told[2].json()["message_id"] != told[0].json()["message_id"]

    made = [
        await client.post("/api/clinic/sessions", json={"user_id": user}, headers=key | who)
        for client, user, who in (
            (served.client, "pat", {}),
            (served.nobody, "kim", bearing(issuer.token(sub="kim"))),
            (served.nobody, "kim", bearing(issuer.token(sub="kim"))),
            (served.nobody, "lee", bearing(issuer.token(sub="lee"))),
        )
    ]
    assert [each.status_code for each in made] == [201, 201, 201, 201]
    ids = [each.json()["session_id"] for each in made]
    assert (ids[1], len(set(ids))) == (ids[2], 3)


async def test_a_contact_converses_and_sees_his_own_sessions_alone(vouched: tuple[Served, Issuer]) -> None:
    served, issuer = vouched
    ann, eve = bearing(issuer.token()), bearing(issuer.token(sub="eve"))
    body = {"user_id": "ann", "message": "Where can I park?"}
    answer = (await served.nobody.post("/api/clinic/chat", json=body, headers=ann)).json()
    assert answer["state"] == "completed"
    mine = await served.nobody.get("/api/clinic/sessions", params={"user_id": "ann"}, headers=ann)
    assert [each["session_id"] for each in mine.json()["items"]] == [answer["session_id"]]
    for path in ("/api/clinic/chat", "/api/clinic/messages"):
        assert (await served.nobody.post(path, json=body, headers=eve)).status_code == 403
    assert (await served.nobody.get("/api/clinic/sessions", params={"user_id": "ann"}, headers=eve)).status_code == 403
    for path in ("conversations", "sessions"):
        address = f"/api/clinic/{path}/{answer['session_id']}"
        assert (await served.nobody.get(address, headers=eve)).status_code == 404
        assert (await served.nobody.get(address, headers=ann)).status_code == 200
    verdict = {"user_id": "eve", "verdict": "right"}
    feedback = f"/api/clinic/messages/{answer['message_id']}/feedback"
    assert (await served.nobody.put(feedback, json=verdict, headers=eve)).status_code == 404
    for path in ("/api/admin/keys", f"/api/clinic/messages/{answer['message_id']}/explanation"):
        assert (await served.nobody.get(path, headers=ann)).status_code in (401, 403)
    assert (await served.nobody.get("/api/nobody/sessions", params={"user_id": "ann"}, headers=ann)).status_code == 401
