"""A tenant's own provider key is used for its calls and no others, and never replaced by the deployment's."""

from typing import Any
from uuid import UUID, uuid4

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from tests.alone import alone
from tests.llm.conftest import MovableClock
from tests.vendors.replies import Reply, VendorRequest
from tests.vendors.server import Vendor

from frontdesk.core.settings import load_settings
from frontdesk.db.cipher import DecryptFailed
from frontdesk.llm.breaker import BreakerState
from frontdesk.llm.gateway import Call, Gateway, GatewayLimits
from frontdesk.llm.metrics import LLMMetrics
from frontdesk.llm.prices import Prices
from frontdesk.llm.types import (
    Alias,
    LLMRequest,
    Message,
    NoProvider,
    Provider,
    ProviderAuthFailed,
    ProviderFailure,
    ProviderTimeout,
    Role,
    Target,
)
from frontdesk.server.providers import TenantProviders, build_providers

ACME, GLOBEX = uuid4(), uuid4()
THEIRS = "sk-acmes-own-key"
ASKED = LLMRequest(model="", messages=(Message(Role.USER, "Are you open?"),))
VENDORS = ("openai", "anthropic", "gemini")


class Kept:
    """Secrets by tenant and name; one of None can't be opened."""

    def __init__(self) -> None:
        self.by_name: dict[tuple[UUID, str], str | None] = {(ACME, "OURS"): THEIRS}

    async def named(self, tenant_id: UUID, name: str) -> str | None:
        if (tenant_id, name) in self.by_name and self.by_name[tenant_id, name] is None:
            raise DecryptFailed("A stored text is damaged.")
        return self.by_name.get((tenant_id, name))


class Desk:
    def __init__(self, http: aiohttp.ClientSession, vendor: Vendor, clock: MovableClock) -> None:
        self.vendor, self.clock = vendor, clock
        self.secrets = Kept()
        keys: dict[str, Any] = {f"{name}_api_key": "the-deployments" for name in VENDORS}
        urls = {"openai_base_url": vendor.openai_url, "anthropic_base_url": vendor.url, "gemini_base_url": vendor.url}
        settings = load_settings({}, None, keys | urls)
        providers: dict[str, Provider] = dict(build_providers(settings, http, NoEmbedder(), clock).by_name)
        own = TenantProviders(settings, http, self.secrets.named)
        self.registry = CollectorRegistry()
        limits = GatewayLimits(attempts=1)
        prices = Prices({"gemini": "google"}, free=["local"])
        self.gateway = Gateway(providers, clock, limits, prices, LLMMetrics(self.registry), own=own, **alone(clock))

    async def ask(self, tenant: UUID, *targets: Target, cache_s: float = 0) -> Call:
        call = Call(tenant_id=tenant, alias=Alias("smart", targets), purpose="agent", cache_s=cache_s)
        await self.gateway.generate(call, ASKED)
        return call

    def keys(self) -> list[str]:
        """What the vendor was shown, in order."""
        return [key_of(request) for request in self.vendor.requests]


class NoEmbedder:
    name = "none"

    def embed(self, texts: Any) -> Any:
        raise NotImplementedError


def key_of(request: VendorRequest) -> str:
    headers = request.headers
    return headers.get("x-api-key") or headers.get("x-goog-api-key") or headers["authorization"].removeprefix("Bearer ")


def a_target(provider: str, secret: str | None = "OURS", rank: int = 0) -> Target:
    return Target(provider, "small", rank, 1, secret)


@pytest.fixture
def desk(http: aiohttp.ClientSession, vendor: Vendor, clock: MovableClock) -> Desk:
    vendor.responder = lambda _request: Reply("Yes.")
    return Desk(http, vendor, clock)


@pytest.mark.parametrize("provider", VENDORS)
async def test_each_tenant_is_called_for_with_its_own_key_or_the_deployments(desk: Desk, provider: str) -> None:
    await desk.ask(ACME, a_target(provider))
    await desk.ask(ACME, a_target(provider, None))
    await desk.ask(GLOBEX, a_target(provider, None))
    await desk.ask(ACME, a_target(provider))
    assert desk.keys() == [THEIRS, "the-deployments", "the-deployments", THEIRS]


@pytest.mark.parametrize("secret", ["missing", "closed", "another tenant's"])
async def test_without_its_own_key_nothing_is_asked_with_another(desk: Desk, secret: str) -> None:
    tenant, name = (GLOBEX, "OURS") if secret == "another tenant's" else (ACME, secret)
    if secret == "closed":
        desk.secrets.by_name[ACME, secret] = None
    with pytest.raises(ProviderAuthFailed) as refused:
        await desk.ask(tenant, a_target("openai", name))
    assert name in refused.value.detail
    assert desk.vendor.requests == []
    call = await desk.ask(tenant, a_target("openai", name), a_target("gemini", None, 1))
    assert [row.outcome for row in call.rows][1:] == ["ok"]
    assert desk.keys() == ["the-deployments"]


async def test_a_key_that_its_vendor_refuses_opens_no_other_owners_breaker(desk: Desk) -> None:
    desk.secrets.by_name[ACME, "OURS"] = "wrong"
    desk.secrets.by_name[GLOBEX, "OURS"] = "right"
    for _ in range(5):
        with pytest.raises(ProviderAuthFailed):
            await desk.ask(ACME, a_target("openai"))
    with pytest.raises(NoProvider):
        await desk.ask(ACME, a_target("openai"))
    await desk.ask(GLOBEX, a_target("openai"))
    await desk.ask(GLOBEX, a_target("openai", None))
    await desk.ask(ACME, a_target("openai", None))
    states = {view.owner: view.state for view in desk.gateway.breakers()}
    assert states == {ACME: BreakerState.OPEN, GLOBEX: BreakerState.CLOSED, None: BreakerState.CLOSED}
    shown = desk.registry.get_sample_value("frontdesk_llm_breaker_state", {"provider": "openai", "model": "small"})
    assert shown == 0, "the gauge is of the deployment's key"


async def test_a_tenant_in_haste_opens_no_breaker_but_its_own(desk: Desk) -> None:
    desk.vendor.responder = lambda _request: Reply(stall_after=0)
    hasty = Alias("smart", (a_target("openai", None),), deadline_s=0.02)
    for _ in range(5):
        with pytest.raises(ProviderTimeout):
            await desk.gateway.generate(Call(tenant_id=ACME, alias=hasty, purpose="agent"), ASKED)
    with pytest.raises(NoProvider):
        await desk.gateway.generate(Call(tenant_id=ACME, alias=hasty, purpose="agent"), ASKED)
    desk.vendor.responder = lambda _request: Reply("Yes.")
    await desk.ask(GLOBEX, a_target("openai", None))
    shown = desk.registry.get_sample_value("frontdesk_llm_breaker_state", {"provider": "openai", "model": "small"})
    assert shown == 0, "the gauge is of what all tenants share"


async def test_a_model_that_speaks_to_the_end_of_the_time_is_well(
    http: aiohttp.ClientSession, vendor: Vendor, clock: MovableClock
) -> None:
    """A tenant may ask for more than can be said in time."""
    vendor.responder = lambda _request: Reply(stream_chunks=["word "] * 1000, delay_s=0.05)
    settings = load_settings({}, None, {"openai_api_key": "the-deployments", "openai_base_url": vendor.openai_url})
    gateway = Gateway(
        build_providers(settings, http, NoEmbedder(), clock).by_name, clock,
        GatewayLimits(deadline_s=1.0, attempts=1, breaker_failures=1), Prices({}, free=[]),
        LLMMetrics(CollectorRegistry()), **alone(clock),
    )  # fmt: skip
    call = Call(tenant_id=ACME, alias=Alias("smart", (a_target("openai", None),)), purpose="agent")
    with pytest.raises(ProviderTimeout):
        await gateway.generate(call, ASKED, lambda _delta: None)
    assert [(row.outcome, row.estimated) for row in call.rows] == [("timeout", True)]
    assert [view.state for view in gateway.breakers()] == [BreakerState.CLOSED]


async def test_a_changed_key_is_used_at_once(desk: Desk) -> None:
    await desk.ask(ACME, a_target("anthropic"))
    desk.secrets.by_name[ACME, "OURS"] = "renewed"
    await desk.ask(ACME, a_target("anthropic"))
    assert desk.keys() == [THEIRS, "renewed"]


async def test_a_provider_that_the_deployment_has_no_key_for_is_there_for_who_has_one(
    http: aiohttp.ClientSession, vendor: Vendor, clock: MovableClock
) -> None:
    vendor.responder = lambda _request: Reply("Yes.")
    settings = load_settings({}, None, {"anthropic_base_url": vendor.url})
    own = TenantProviders(settings, http, Kept().named)
    gateway = Gateway(
        {}, clock, GatewayLimits(), Prices({}, free=[]), LLMMetrics(CollectorRegistry()), own=own, **alone(clock)
    )
    alias = Alias("smart", (a_target("anthropic", None), a_target("anthropic"), a_target("nobody")))
    assert gateway.available(alias).targets == (a_target("anthropic"),)
    await gateway.generate(Call(tenant_id=ACME, alias=alias, purpose="agent"), ASKED)
    assert [key_of(request) for request in vendor.requests] == [THEIRS]


async def test_answers_are_kept_for_the_tenant_alone(desk: Desk) -> None:
    desk.secrets.by_name[GLOBEX, "OURS"] = "globex-key"
    for tenant in (ACME, GLOBEX, ACME):
        await desk.ask(tenant, a_target("openai"), cache_s=60)
    assert desk.keys() == [THEIRS, "globex-key"]


async def test_the_key_is_in_no_failure_row_or_picture(desk: Desk) -> None:
    desk.vendor.responder = lambda request: Reply(status=500, message=f"{key_of(request)} failed")
    call = Call(tenant_id=ACME, alias=Alias("smart", (a_target("openai"),)), purpose="agent")
    with pytest.raises(ProviderFailure) as failed:
        await desk.gateway.generate(call, ASKED)
    told = [
        repr(failed.value),
        failed.value.detail,
        repr(call),
        repr(desk.gateway.breakers()),
        repr(vars(desk.gateway)),
    ]
    assert desk.keys() == [THEIRS]
    assert not [text for text in told if THEIRS in text]
