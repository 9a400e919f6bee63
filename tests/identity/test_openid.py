"""Signing in with an OpenID Connect provider: a real small one, good and in every way bad."""

import asyncio
import base64
from collections.abc import AsyncIterator
from time import monotonic, time
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import aiohttp
import pytest
from joserfc.jwk import RSAKey
from office import BASE, COMMAND, HOME, PASSWORD, Office, token_of
from provider import CLIENT_ID, CLIENT_SECRET, Provider

from frontdesk.agents.models import Tenant, TenantSettings
from frontdesk.core.clock import SystemClock
from frontdesk.core.errors import TokenInvalid
from frontdesk.identity.openid import OpenID, OpenIDFailed
from frontdesk.identity.permissions import Role
from frontdesk.identity.published_keys import ASK_AGAIN_S
from frontdesk.identity.sessions import Opened
from frontdesk.identity.sign_in import SignInFailed
from frontdesk.identity.staff import OpenIDSettings, SignInSettings, State
from frontdesk.server.web import TenantWeb
from frontdesk.tools.outbound import Outbound

ANN = "ann@example.org"


class TimePassed(SystemClock):
    """The real time, of whose passing more can be made: providers' tokens are good by the real one."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def monotonic(self) -> float:  # type: ignore[override]  # the real one is the library's own function
        return monotonic() + self.passed_s


class Visit:
    """A browser's way: to the provider, and back with what it was given."""

    def __init__(self, office: Office, provider: Provider, openid: OpenID, clock: TimePassed) -> None:
        self.office = office
        self.provider = provider
        self.openid = openid
        self.clock = clock
        self.settings = OpenIDSettings(provider.url, CLIENT_ID, "secret_name", domains=("example.org",))

    async def to_provider(self) -> tuple[str, str, str]:
        """(what the browser carries, state, code)."""
        address, carried = await self.openid.start(self.office.tenant_id, self.settings)
        async with aiohttp.ClientSession() as browser, browser.get(address, allow_redirects=False) as response:
            back = response.headers["location"]
        assert back.startswith(f"{BASE}/api/auth/openid/callback?")
        query = parse_qs(urlsplit(back).query)
        return carried, query["state"][0], query["code"][0]

    async def back(self, carried: str, state: str, code: str) -> Opened:
        settings = SignInSettings(openid=self.settings)
        return await self.openid.finish(settings, CLIENT_SECRET, carried, state, code, HOME)

    async def signed_in(self) -> Opened:
        return await self.back(*await self.to_provider())


@pytest.fixture
async def visit(office: Office) -> AsyncIterator[Visit]:
    outbound = Outbound()
    clock = office.clock = TimePassed()  # type: ignore[assignment]

    async def tenant_named(_name: str) -> Tenant:
        settings = TenantSettings(http_allow=("127.0.0.1",))
        return Tenant(office.tenant_id, "acme", "Acme", 1, settings)

    async with Provider().open() as provider:
        openid = OpenID(
            office.db, clock, office.cipher, TenantWeb(outbound, tenant_named), office.sessions, office.denials,
            office.metrics, BASE,
        )  # fmt: skip
        yield Visit(office, provider, openid, clock)
    await outbound.close()


async def test_who_was_invited_is_let_in_and_known_again(visit: Visit) -> None:
    office = visit.office
    invited = await office.staffing.invite(office.tenant_id, "Acme", COMMAND, ANN, "Ann", Role.SUPPORTER)
    visit.provider.person("Ann@Example.org")
    first = await visit.signed_in()
    assert (first.staff.id, first.staff.state) == (invited.staff.id, State.ACTIVE)
    visit.provider.person("renamed@example.org", sub="of Ann@Example.org")  # the same person, another address
    assert (await visit.signed_in()).staff.id == invited.staff.id


async def test_a_provider_is_asked_once_however_many_sign_in(visit: Visit) -> None:
    begun = (visit.openid.start(visit.office.tenant_id, visit.settings) for _ in range(9))
    await asyncio.gather(*begun)
    assert visit.provider.described == 1


async def test_a_providers_keys_are_read_once_and_again_for_a_new_one_within_bounds(visit: Visit) -> None:
    await visit.office.staffing.invite(visit.office.tenant_id, "Acme", COMMAND, ANN, "Ann", Role.VIEWER)
    visit.provider.person(ANN)
    for _ in range(3):
        await visit.signed_in()
    assert visit.provider.keys_read == 1
    visit.provider.key = RSAKey.generate_key(2048, {"kid": "two"})
    for _ in range(3):
        with pytest.raises(OpenIDFailed):
            await visit.signed_in()
    assert visit.provider.keys_read == 1  # not more often, whatever tokens name
    visit.clock.passed_s += ASK_AGAIN_S
    await visit.signed_in()
    assert visit.provider.keys_read == 2


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
async def test_what_a_provider_names_must_be_https(visit: Visit, name: str) -> None:
    visit.provider.says = {name: "http://elsewhere.example/oauth"}
    with pytest.raises(OpenIDFailed, match="not https"):
        await visit.to_provider()


async def test_who_was_not_invited_is_refused_or_given_the_role_of_the_settings(visit: Visit) -> None:
    visit.provider.person("new@example.org")
    with pytest.raises(SignInFailed):
        await visit.signed_in()
    visit.settings = OpenIDSettings(
        visit.provider.url, CLIENT_ID, "secret_name", domains=("example.org",), role=Role.VIEWER
    )
    opened = await visit.signed_in()
    assert (opened.staff.email, opened.staff.role) == ("new@example.org", Role.VIEWER)


@pytest.mark.parametrize(
    ("email", "more"),
    [
        ("ann@elsewhere.org", {}),
        ("ann@example.org.elsewhere.org", {}),
        (ANN, {"email_verified": False}),
        (ANN, {"email_verified": "true"}),
        (ANN, {"hd": "example.org", "email_verified": None}),
    ],
)
async def test_other_domains_and_unverified_addresses_are_refused(visit: Visit, email: str, more: Any) -> None:
    await visit.office.staffing.invite(visit.office.tenant_id, "Acme", COMMAND, email, "Ann", Role.VIEWER)
    visit.provider.person(email, **more)
    with pytest.raises(SignInFailed):
        await visit.signed_in()


@pytest.mark.parametrize("is_active", [True, False])
@pytest.mark.parametrize(("role", "is_operator"), [(Role.OWNER, False), (Role.VIEWER, True)])
async def test_owners_and_operators_are_not_known_by_an_address(
    visit: Visit, role: Role, is_operator: bool, is_active: bool
) -> None:
    office = visit.office
    invited = await office.staffing.invite(office.tenant_id, "Acme", COMMAND, ANN, "Ann", role)
    await office.change(COMMAND, invited.staff, is_operator=is_operator)
    if is_active:
        again = await office.staffing.invite_again(office.tenant_id, "Acme", COMMAND, invited.staff.id)
        assert again.link is not None
        await office.welcome.accept(token_of(again.link), office.settings, None, "Ann", PASSWORD, HOME)
    visit.provider.person(ANN)
    with pytest.raises(SignInFailed):
        await visit.signed_in()


@pytest.mark.parametrize("raised", [{"role": Role.OWNER}, {"is_operator": True}], ids=lambda raised: next(iter(raised)))
@pytest.mark.parametrize("has_password", [True, False])
async def test_who_is_raised_to_owner_or_operator_is_known_by_no_provider_any_more(
    visit: Visit, raised: dict[str, Any], has_password: bool
) -> None:
    office = visit.office
    invited = await office.staffing.invite(office.tenant_id, "Acme", COMMAND, ANN, "Ann", Role.ADMIN)
    if has_password:
        assert invited.link is not None
        await office.welcome.accept(token_of(invited.link), office.settings, None, "Ann", PASSWORD, HOME)
    visit.provider.person(ANN)
    opened = await visit.signed_in()
    await office.tokens.principal(opened.access_token)  # known to be alive for the next seconds
    changed = await office.change(COMMAND, invited.staff, **raised)
    with pytest.raises(SignInFailed):
        await visit.signed_in()
    # Whose only way it was is to choose a password first.
    assert changed.state is (State.ACTIVE if has_password else State.INVITED)
    if has_password:
        await office.tokens.principal(opened.access_token)
    else:
        with pytest.raises(TokenInvalid):
            await office.tokens.principal(opened.access_token)


async def test_who_is_disabled_is_refused(visit: Visit) -> None:
    office = visit.office
    invited = await office.staffing.invite(office.tenant_id, "Acme", COMMAND, ANN, "Ann", Role.VIEWER)
    visit.provider.person(ANN)
    await visit.signed_in()
    await office.change(COMMAND, invited.staff, state=State.DISABLED)
    with pytest.raises(SignInFailed):
        await visit.signed_in()


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://elsewhere.example"},
        {"aud": "another program"},
        {"aud": [CLIENT_ID, "another program"]},
        {"nonce": "another"},
        {"exp": int(time()) - 3600},
        {"iat": "yesterday"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
async def test_a_token_with_a_wrong_claim_is_not_believed(visit: Visit, wrong: dict[str, Any]) -> None:
    await visit.office.staffing.invite(visit.office.tenant_id, "Acme", COMMAND, ANN, "Ann", Role.VIEWER)
    visit.provider.person(ANN)
    visit.provider.override = wrong
    with pytest.raises(OpenIDFailed):
        await visit.signed_in()


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS512"])
async def test_a_token_of_another_algorithm_is_not_believed(visit: Visit, algorithm: str) -> None:
    visit.provider.person(ANN)
    visit.provider.algorithm = algorithm
    with pytest.raises(OpenIDFailed):
        await visit.signed_in()


async def test_a_token_of_another_key_is_not_believed(visit: Visit) -> None:
    visit.provider.person(ANN)
    visit.provider.signs_with = RSAKey.generate_key(2048, {"kid": "one"})
    with pytest.raises(OpenIDFailed):
        await visit.signed_in()


async def test_state_and_code_belong_to_the_browser_that_began(visit: Visit) -> None:
    await visit.office.staffing.invite(visit.office.tenant_id, "Acme", COMMAND, ANN, "Ann", Role.VIEWER)
    visit.provider.person(ANN)
    carried, state, code = await visit.to_provider()
    others_carried, _others_state, others_code = await visit.to_provider()
    with pytest.raises(SignInFailed):  # an answer that was begun elsewhere: login CSRF
        await visit.back(others_carried, state, code)
    with pytest.raises(SignInFailed):
        await visit.back(carried[:-8] + "AAAAAAAA", state, code)
    with pytest.raises(OpenIDFailed):  # another's code: its PKCE verifier is not ours
        await visit.back(carried, state, others_code)
    await visit.back(carried, state, code)
    with pytest.raises(OpenIDFailed):  # a code is good once
        await visit.back(carried, state, code)


async def test_what_was_begun_for_one_tenant_is_not_finished_for_another(visit: Visit) -> None:
    carried, state, code = await visit.to_provider()
    assert visit.openid.tenant_of(carried) == visit.office.tenant_id
    sealed = base64.urlsafe_b64decode(carried)
    moved = base64.urlsafe_b64encode(uuid4().bytes + sealed[16:]).decode()
    with pytest.raises(SignInFailed):
        await visit.back(moved, state, code)


async def test_a_provider_that_is_down_or_calls_itself_otherwise_is_told_so(visit: Visit) -> None:
    visit.provider.is_down = True
    with pytest.raises(OpenIDFailed):
        await visit.signed_in()
    visit.provider.is_down = False
    visit.provider.says_issuer = "https://elsewhere.example"
    with pytest.raises(OpenIDFailed):
        await visit.signed_in()


async def test_private_addresses_are_reached_only_where_the_tenant_says_so(visit: Visit, tenant_id: UUID) -> None:
    outbound = Outbound()

    async def tenant_named(_name: str) -> Tenant:
        return Tenant(tenant_id, "acme", "Acme", 1, TenantSettings())

    web = TenantWeb(outbound, tenant_named)
    with pytest.raises(OpenIDFailed):
        await web.json(tenant_id, f"{visit.provider.url}/keys")
    await outbound.close()
