"""Tokens of an issuer that a tenant names: whose they are, and what happens while its keys change or are away."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import msgspec
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey
from pydantic import ValidationError
from tests.identities import bearing, database_of
from tests.identity.closed_clinic import closed_clinic
from tests.identity.forging import as_secrets, opened, part, signed_by_hmac, unsigned
from tests.identity.issuer_server import Issuer, issuer_server
from tests.identity.moved_clock import NOON, MovedClock
from tests.quotas.test_served_limits import external
from tests.served import Served

from frontdesk.agents.models import Tenant, TenantSettings
from frontdesk.apply.forms import IssuerForm
from frontdesk.audit import Actor
from frontdesk.audit.models import Filters
from frontdesk.audit.store import entries
from frontdesk.core.errors import TokenExpired, TokenInvalid, Unavailable
from frontdesk.core.ids import new_id
from frontdesk.identity.claimed_roles import MOST_CHARS, MOST_VALUES, IssuerRoles, role_of
from frontdesk.identity.issuers import Issuers, IssuerSettings
from frontdesk.identity.jwts import SKEW_S
from frontdesk.identity.models import Kind, Principal
from frontdesk.identity.permissions import OPERATOR, ROLES, Permission, Role
from frontdesk.identity.published_keys import ASK_AGAIN_S, AWAY_S, FRESH_S, STALE_S
from frontdesk.server.web import TenantWeb
from frontdesk.tenants.store import tenant_named
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


ROLES_BY_GROUP = IssuerRoles("groups", {"frontdesk-admins": "admin", "desk": "supporter", "readers": "viewer"})


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        (["desk"], Role.SUPPORTER),
        ("readers", Role.VIEWER),
        (["all", "readers", "desk", "frontdesk-admins"], Role.ADMIN),
        (["readers"] * 100, Role.VIEWER),
    ],
)
async def test_a_claims_values_make_staff_of_who_has_them(shop: Shop, groups: Any, role: Role) -> None:
    named = msgspec.structs.replace(shop.named, roles=ROLES_BY_GROUP)
    principal = await shop.principal(shop.token(groups=groups), TENANT, named)
    assert (principal.kind, principal.contact, principal.session_id) == (Kind.FEDERATED, None, None)
    assert principal.permissions == ROLES[role] - {Permission.ACCOUNT}
    assert not principal.permissions & (OPERATOR | (ROLES[Role.OWNER] - ROLES[Role.ADMIN]))
    assert principal.actor("203.0.113.9") == Actor("federated", f"{shop.issuer.url} ann", "203.0.113.9")


# Of roles.values none is named so: neither roles of ours, nor values that are like a known one.
UNKNOWN: list[Any] = [
    None, "", [], ["staff"], "owner", ["owner", "admin", "supporter", "viewer", "operator"], "Desk", ["DESK"],
    ["desk "], "readers desk", "readers,desk", "frontdesk-admins\n", ["desk\u0000"],
]  # fmt: skip
UNREADABLE: list[Any] = [
    7, True, 0.5, {}, {"desk": True}, {"0": "desk"}, [["desk"]], ["desk", 7], ["desk", None], [{"name": "desk"}],
    "x" * (MOST_CHARS + 1), ["desk", "x" * (MOST_CHARS + 1)], ["desk"] * (MOST_VALUES + 1), ["desk"] * 10_000,
]  # fmt: skip


@pytest.mark.parametrize("groups", UNKNOWN)
async def test_who_has_no_known_value_is_refused_or_a_contact_as_the_tenant_says(shop: Shop, groups: Any) -> None:
    token = shop.token(groups=groups)
    with pytest.raises(TokenInvalid, match="no role"):
        await shop.principal(token, TENANT, msgspec.structs.replace(shop.named, roles=ROLES_BY_GROUP))
    lenient = msgspec.structs.replace(ROLES_BY_GROUP, others="contact")
    principal = await shop.principal(token, TENANT, msgspec.structs.replace(shop.named, roles=lenient))
    assert (principal.kind, principal.contact, principal.permissions) == (Kind.CONTACT, "ann", ROLES[Role.CONTACT])


@pytest.mark.parametrize("groups", UNREADABLE)
def test_a_claim_of_another_form_gives_nothing_whoever_the_others_are(groups: Any) -> None:
    lenient = msgspec.structs.replace(ROLES_BY_GROUP, others="contact")
    with pytest.raises(TokenInvalid, match="groups"):
        role_of({"groups": groups}, lenient)


async def test_a_token_with_ten_thousand_groups_is_not_read(shop: Shop) -> None:
    named = msgspec.structs.replace(shop.named, roles=ROLES_BY_GROUP)
    with pytest.raises(TokenInvalid):
        await shop.principal(shop.token(groups=["desk"] * 10_000), TENANT, named)


@pytest.mark.parametrize(
    ("claim", "claims", "role"),
    [
        ("realm_access.roles", {"realm_access": {"roles": ["desk"]}}, Role.SUPPORTER),
        ("https://shop.example/roles", {"https://shop.example/roles": ["desk"]}, Role.SUPPORTER),
        ("cognito:groups", {"cognito:groups": ["desk"]}, Role.SUPPORTER),
        ("realm_access.roles", {"realm_access.roles": ["desk"]}, None),
        ("realm_access.roles", {"roles": ["desk"]}, None),
        ("realm_access.roles", {"realm_access": {"roles": None}}, None),
        ("realm_access.roles", {"realm_access": None}, None),
        ("..", {"": {"": {"": "desk"}}}, Role.SUPPORTER),
    ],
)
def test_a_claim_may_stand_inside_others(claim: str, claims: dict[str, Any], role: Role | None) -> None:
    assert role_of(claims, msgspec.structs.replace(ROLES_BY_GROUP, claim=claim, others="contact")) == role


@pytest.mark.parametrize("wrong", [["desk"], "desk", 7, {"roles": {"desk": 1}}])
def test_a_claim_that_does_not_stand_where_it_should_gives_nothing(wrong: Any) -> None:
    lenient = msgspec.structs.replace(ROLES_BY_GROUP, claim="realm_access.roles", others="contact")
    with pytest.raises(TokenInvalid, match="realm_access"):
        role_of({"realm_access": wrong}, lenient)


@pytest.mark.parametrize("role", ["owner", "operator", "contact", "visitor", "Admin", "", None, ["admin"]])
def test_no_value_can_make_an_owner_an_operator_or_anything_else(role: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"claim": "groups", "values": {"desk": role}}, IssuerRoles)
    form = {"issuer": "i", "audience": "a", "jwks_url": "https://i.example/keys"}
    with pytest.raises(ValidationError):
        IssuerForm.model_validate(form | {"roles": {"claim": "groups", "values": {"desk": role}}})


async def test_a_changed_mapping_counts_for_tokens_that_are_known(shop: Shop) -> None:
    token = shop.token(groups=["desk"])
    await shop.principal(token, TENANT, msgspec.structs.replace(shop.named, roles=ROLES_BY_GROUP))
    other = msgspec.structs.replace(ROLES_BY_GROUP, values={"desk": "viewer"})
    principal = await shop.principal(token, TENANT, msgspec.structs.replace(shop.named, roles=other))
    assert principal.permissions == ROLES[Role.VIEWER] - {Permission.ACCOUNT}
    assert (await shop.principal(token)).kind is Kind.CONTACT


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


@asynccontextmanager
async def vouched_clinic(**settings: str) -> AsyncIterator[tuple[Served, Issuer]]:
    async with issuer_server() as issuer:
        place = f"issuer: '{issuer.url}', jwks_url: '{issuer.url}/keys'"
        roles = "{claim: realm_access.roles, values: {front-admins: admin, desk: supporter, readers: viewer}}"
        named = f"- {{{place}, audience: shop}}\n  - {{{place}, audience: desk, roles: {roles}}}"
        async with closed_clinic(f"http_allow: [127.0.0.1]\nissuers:\n  {named}", **settings) as served:
            yield served, issuer


@pytest.fixture(scope="module")
async def vouched() -> AsyncIterator[tuple[Served, Issuer]]:
    async with vouched_clinic() as both:
        yield both


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


async def test_staff_of_an_issuer_may_what_their_role_may_and_stand_in_the_log(database_url: str) -> None:
    async with vouched_clinic(**external(database_url)) as (served, issuer):
        await work_as_staff(served, issuer)
        assert await served.stop() == 0
        async with database_of(served.data, served.environment) as database:
            tenant = await tenant_named(database, "clinic")
            assert tenant is not None
            async with database.scope(tenant.id) as scope:
                used = await entries(scope, Filters(action="token.used"), None, 50)
    assert {(each.actor_kind, each.actor_id) for each in used} == {
        ("federated", f"{issuer.url} {name}") for name in ("ada", "sue", "vic")
    }


async def work_as_staff(served: Served, issuer: Issuer) -> None:
    """Each role does what it may, and is refused the rest."""

    def staff(sub: str, *roles: str) -> dict[str, str]:
        return bearing(issuer.token(sub=sub, aud="desk", realm_access={"roles": list(roles)}))

    here = {"x-tenant": "clinic"}
    admin, desk, reader = staff("ada", "front-admins", "readers"), staff("sue", "desk"), staff("vic", "readers")
    nobody, other = staff("eve", "owner", "admin"), bearing(issuer.token(sub="eve", aud="desk"))
    answer = await served.chat("Where can I park?", user="kit")
    why = f"/api/clinic/messages/{answer['message_id']}/explanation"
    said = {"user_id": "kit", "message": "Where can I park?"}
    for who, reads, chats in (
        (admin, 200, 202),
        (desk, 200, 202),
        (reader, 200, 403),
        (nobody, 401, 401),
        (other, 401, 401),
    ):
        assert (await served.nobody.get(why, headers=who)).status_code == reads
        assert (await served.nobody.post("/api/clinic/messages", json=said, headers=who)).status_code == chats
    shows = [(admin, 200), (desk, 403), (reader, 403), (nobody, 401), (bearing(issuer.token()), 403)]
    for who, status in shows:
        assert (await served.nobody.get("/api/admin/staff", headers=who | here)).status_code == status
    for elsewhere in ({}, {"x-tenant": "nobody"}, {"x-tenant": str(UUID(int=0))}):
        assert (await served.nobody.get("/api/admin/staff", headers=admin | elsewhere)).status_code == 401
    for role, status in (("owner", 403), ("supporter", 201)):
        invitation = {"email": f"{role}@clinic.example", "name": "New", "role": role}
        invited = await served.nobody.post("/api/admin/staff", json=invitation, headers=admin | here)
        assert invited.status_code == status, invited.text
    settings = await served.nobody.get("/api/admin/settings", headers=admin | here)
    tag = here | {"if-match": settings.headers["etag"]}
    for change, status in (({"issuers": []}, 403), ({"greeting": "Good day!"}, 200)):
        done = await served.nobody.patch("/api/admin/settings", json=change, headers=admin | tag)
        assert done.status_code == status, done.text
    for path in ("/api/admin/tenants", "/api/auth/me"):
        assert (await served.nobody.get(path, headers=admin | here)).status_code == 403
    told = (await served.nobody.get("/api/admin/audit", headers=admin | here)).json()["items"]
    [changed] = [entry for entry in told if entry["action"] == "tenant.changed"]
    assert changed["actor"] == {"kind": "federated", "id": f"{issuer.url} ada", "address": changed["actor"]["address"]}
