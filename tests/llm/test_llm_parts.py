"""Breaker, prices, start-up check and the ledger's rows."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import aiohttp
import pytest
from genai_prices.data import providers as price_tables
from genai_prices.types import ModelPrice
from genai_prices.types import Usage as PricedUsage
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from tests.llm.conftest import MovableClock
from tests.vendors import Vendor

from frontdesk.core.ids import new_id
from frontdesk.db import Database
from frontdesk.llm.breaker import Breaker, BreakerState
from frontdesk.llm.check import check_providers
from frontdesk.llm.ledger import LedgerRow
from frontdesk.llm.prices import ANY_MODEL, Prices, Rates, cost_of
from frontdesk.llm.providers.anthropic import AnthropicProvider
from frontdesk.llm.providers.openai import OpenAIProvider
from frontdesk.llm.store import insert_calls
from frontdesk.llm.types import Usage


def test_only_failures_in_a_row_open_the_breaker(clock: MovableClock) -> None:
    breaker = Breaker(clock, failures=3, open_s=60)
    for ends_well in (False, False, True, False, False):
        ticket = breaker.admit()
        assert ticket is not None
        (breaker.succeeded if ends_well else breaker.failed)(ticket)
    assert breaker.state is BreakerState.CLOSED
    breaker.failed(breaker.admit() or 0)
    assert breaker.state is BreakerState.OPEN
    assert breaker.admit() is None


def test_one_probe_at_a_time(clock: MovableClock) -> None:
    breaker = Breaker(clock, failures=1, open_s=60)
    breaker.failed(breaker.admit() or 0)
    clock.move(59.9)
    assert breaker.admit() is None
    clock.move(0.1)
    probe = breaker.admit()
    assert probe is not None
    assert breaker.admit() is None
    breaker.abandoned(probe)
    probe = breaker.admit()
    assert probe is not None
    breaker.succeeded(probe)
    assert breaker.state is BreakerState.CLOSED


def test_a_call_of_before_the_outage_says_nothing_of_after_it(clock: MovableClock) -> None:
    breaker = Breaker(clock, failures=1, open_s=60)
    old, failing = breaker.admit(), breaker.admit()
    assert old is not None
    assert failing is not None
    breaker.failed(failing)
    breaker.succeeded(old)
    assert breaker.state is BreakerState.OPEN
    clock.move(60)
    probe = breaker.admit()
    breaker.failed(old)  # late as well
    assert probe is not None
    breaker.succeeded(probe)
    assert breaker.state is BreakerState.CLOSED


MODELS = [(table.id, model) for table in price_tables for model in table.models]


@given(
    st.sampled_from(range(len(MODELS))),
    st.integers(0, 2_000_000), st.integers(0, 100_000), st.integers(0, 100_000), st.integers(0, 100_000),
)  # fmt: skip
def test_costs_are_the_librarys_to_the_last_digit(
    place: int, plain: int, cached: int, written: int, output: int
) -> None:
    _, model = MODELS[place]
    prices = [model.prices] if isinstance(model.prices, ModelPrice) else [each.prices for each in model.prices]
    usage = Usage(plain + cached + written, cached, output, cache_write_tokens=written)
    priced = PricedUsage(
        input_tokens=usage.input_tokens, cache_read_tokens=cached, cache_write_tokens=written, output_tokens=output
    )
    for price in prices:
        try:
            expected: Decimal | None = price.calc_price(priced)["total_price"]
        except ValueError:
            expected = None
        ours = cost_of(price, usage)
        assert ours == expected or price.__dict__.get("output_reasoning_mtok") is not None


async def test_prices_are_of_the_day_and_unknown_ones_are_none() -> None:
    prices = Prices({"gemini": "google"}, free=["local"])
    now = datetime.now(UTC)
    usage = Usage(1_000_000, 0, 1_000_000)
    assert prices.cost("gemini", "gemini-2.5-flash", usage, now) is None  # not looked up yet
    await prices.load("gemini", "gemini-2.5-flash")
    await prices.load("nobody", "nothing")
    assert prices.cost("gemini", "gemini-2.5-flash", usage, now) == Decimal("2.80")
    assert prices.cost("nobody", "nothing", usage, now) is None
    assert prices.cost("local", "whatever", usage, now) == 0


async def test_what_the_operator_says_stands_over_the_tables() -> None:
    said = {
        ("ollama", ANY_MODEL): Rates(Decimal(0), Decimal(0)),
        ("ollama", "large"): Rates(Decimal("0.40"), Decimal("1.60"), Decimal("0.04")),
        ("gemini", "gemini-2.5-flash"): Rates(Decimal(1), Decimal(2)),
    }
    prices, now = Prices({"gemini": "google"}, ["local"], said), datetime.now(UTC)
    usage = Usage(1_000_000, 250_000, 1_000_000)
    for target, cost in (
        (("ollama", "any:8b"), "0"),
        (("ollama", "large"), "1.91"),
        (("gemini", "gemini-2.5-flash"), "3"),
    ):
        await prices.load(*target)
        assert prices.cost(*target, usage, now) == Decimal(cost)
    assert [prices.is_zero("ollama", model) for model in ("any:8b", "large")] == [True, False]
    assert not prices.is_zero("local", "extractive")


async def test_the_check_says_which_key_is_wrong(http: aiohttp.ClientSession, vendor: Vendor) -> None:
    dead = Vendor()
    await dead.start()
    await dead.stop()
    providers = {
        "openai": OpenAIProvider(http, SecretStr("right"), base_url=vendor.openai_url),
        "anthropic": AnthropicProvider(http, SecretStr("wrong"), base_url=vendor.url),
        "ollama": OpenAIProvider(http, None, name="ollama", base_url=dead.openai_url),
    }
    keys = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
    checks = {check.provider: check for check in await check_providers(providers, keys)}
    assert checks["openai"].ok
    assert (checks["anthropic"].ok, checks["anthropic"].detail) == (False, "ANTHROPIC_API_KEY was refused.")
    assert (checks["ollama"].ok, "ollama" in checks["ollama"].detail) == (False, True)


def a_row(**fields: object) -> LedgerRow:
    row = {
        "id": new_id(), "turn_id": new_id(), "purpose": "agent", "alias": "smart", "provider": "openai",
        "model": "gpt-4o-mini", "outcome": "ok", "input_tokens": 10, "cached_tokens": 5, "output_tokens": 3,
        "reasoning_tokens": 1, "estimated": False, "cost_usd": Decimal("0.000000075"), "latency_ms": 12,
        "first_token_ms": 4, "created_at": datetime(2026, 11, 21, tzinfo=UTC),
    }  # fmt: skip
    return LedgerRow(**(row | fields))  # type: ignore[arg-type]


async def test_rows_are_kept_once_and_with_every_digit(
    database: Database, tenant_id: UUID, other_tenant_id: UUID
) -> None:
    rows = [a_row(), a_row(turn_id=None, cost_usd=None, first_token_ms=None, outcome="cancelled", estimated=True)]
    for _ in range(2):  # a turn that is completed twice
        async with database.scope(tenant_id) as scope:
            await insert_calls(scope, rows)
    async with database.scope(tenant_id) as scope:
        await insert_calls(scope, [])
        stored = await scope.fetch("SELECT * FROM llm_calls ORDER BY id LIMIT 10")
    assert [row["cost_usd"] for row in stored] == [Decimal("0.000000075"), None]
    assert [row["outcome"] for row in stored] == ["ok", "cancelled"]
    assert [row["turn_id"] for row in stored] == [rows[0].turn_id, None]
    async with database.scope(other_tenant_id) as scope:
        assert await scope.fetch("SELECT 1 FROM llm_calls LIMIT 1") == []


@pytest.mark.parametrize("count", [1, 300])
async def test_any_number_of_rows_is_one_statement(database: Database, tenant_id: UUID, count: int) -> None:
    async with database.scope(tenant_id) as scope:
        await insert_calls(scope, [a_row() for _ in range(count)])
        assert await scope.fetchval("SELECT count(*) FROM llm_calls") == count
