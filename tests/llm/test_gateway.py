"""The gateway: one path for streamed and plain calls, against a scripted vendor and a clock that the test moves."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from decimal import Decimal
from uuid import UUID, uuid4

import aiohttp
import msgspec
import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from tests.conftest import HANG_S
from tests.llm.conftest import MovableClock
from tests.screens import screen
from tests.vendors import Reply, ToolUse, Use, Vendor, VendorRequest

from frontdesk.core.errors import BudgetUsedUp, RateLimited
from frontdesk.core.limits import Limits
from frontdesk.llm.breaker import BreakerState
from frontdesk.llm.gateway import Call, Gateway, GatewayLimits
from frontdesk.llm.metrics import LLMMetrics
from frontdesk.llm.prices import Prices, Rates
from frontdesk.llm.providers.anthropic import AnthropicProvider
from frontdesk.llm.providers.gemini import GeminiProvider
from frontdesk.llm.providers.openai import OpenAIProvider
from frontdesk.llm.types import (
    Alias,
    ContextTooLong,
    LLMRequest,
    LLMResponse,
    Message,
    NoProvider,
    Provider,
    ProviderAuthFailed,
    ProviderBadRequest,
    ProviderConnectionLost,
    ProviderFailure,
    ProviderNonsense,
    ProviderOverloaded,
    ProviderRateLimited,
    ProviderTimeout,
    Restart,
    Role,
    StopReason,
    Target,
    TextDelta,
    Usage,
)
from frontdesk.shared.cache import MemoryCache
from frontdesk.shared.metrics import SharedMetrics
from frontdesk.shared.rates import MemoryRateLimiter

OPENAI = Target("openai", "gpt-4o-mini", rank=0)
ANTHROPIC = Target("anthropic", "claude-sonnet-4-5", rank=1)
GEMINI = Target("gemini", "gemini-2.5-flash", rank=2)
LOCAL = Target("local", "extractive", rank=9)

ASKED = LLMRequest("", (Message(Role.SYSTEM, "You are a desk."), Message(Role.USER, "Are you open?")))
BUSY = Reply(status=503)


class Extractive:
    """A free provider that needs no vendor."""

    name = "local"

    async def generate(self, request: LLMRequest) -> LLMResponse:
        usage = Usage(input_tokens=9, output_tokens=2, estimated=True)
        return LLMResponse("From the documents.", (), StopReason.STOP, usage, "local", request.model)

    async def stream(self, request: LLMRequest) -> AsyncGenerator[TextDelta | LLMResponse, None]:
        yield TextDelta("From the documents.")
        yield await self.generate(request)

    async def check(self) -> None:
        return None

    async def models(self) -> list[str]:
        return ["extractive"]


class Desk:
    """A gateway and what a test wants to know of it."""

    def __init__(self, http: aiohttp.ClientSession, vendor: Vendor, clock: MovableClock) -> None:
        self.vendor = vendor
        self.clock = clock
        self.slept: list[float] = []
        self.registry = CollectorRegistry()
        key = SecretStr("right")
        self.providers: dict[str, Provider] = {
            "openai": OpenAIProvider(http, key, base_url=vendor.openai_url, idle_s=5),
            "anthropic": AnthropicProvider(http, key, base_url=vendor.url, idle_s=5),
            "gemini": GeminiProvider(http, key, base_url=vendor.url, idle_s=5),
            "local": Extractive(),
        }
        prices = Prices({"gemini": "google"}, ["local"], {("openai", "of-no-cost"): Rates(Decimal(0), Decimal(0))})
        self.refusal: RateLimited | None = None
        self.gateway = Gateway(
            self.providers, clock, GatewayLimits(), prices, LLMMetrics(self.registry), MemoryRateLimiter(clock),
            MemoryCache(clock, SharedMetrics(self.registry)), self._afford, screen(), sleep=self._sleep,
        )  # fmt: skip

    async def _afford(self, _tenant_id: UUID, _limits: Limits) -> RateLimited | None:
        return self.refusal

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.move(seconds)

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
def desk(http: aiohttp.ClientSession, vendor: Vendor, clock: MovableClock) -> Desk:
    return Desk(http, vendor, clock)


def a_call(*targets: Target, **fields: object) -> Call:
    deadline_s = fields.pop("deadline_s", None)
    alias = Alias("smart", targets or (OPENAI,), deadline_s=deadline_s)  # type: ignore[arg-type]
    return Call(**{"tenant_id": uuid4(), "alias": alias, "purpose": "agent", **fields})  # type: ignore[arg-type]


Delta = TextDelta | Restart | LLMResponse


async def deltas_of(gateway: Gateway, call: Call, request: LLMRequest = ASKED) -> list[Delta]:
    """What is heard, and the response."""
    heard: list[Delta] = []
    response = await gateway.generate(call, request, heard.append)
    return [*heard, response]


async def leave_in_the_middle(gateway: Gateway, call: Call) -> None:
    """Whoever asked goes away after the first word."""
    spoken = asyncio.Event()
    task = asyncio.ensure_future(gateway.generate(call, ASKED, lambda _delta: spoken.set()))
    async with asyncio.timeout(HANG_S):
        await spoken.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


Ask = Callable[[Gateway, Call], "asyncio.Future[LLMResponse]"]


@pytest.fixture(params=["plain", "streamed"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """The same promise for both kinds of call: the response, and for streams that the text before it is its text."""

    async def whole(gateway: Gateway, call: Call, asked: LLMRequest = ASKED) -> LLMResponse:
        if request.param == "plain":
            return await gateway.generate(call, asked)
        text = ""
        for delta in await deltas_of(gateway, call, asked):
            if isinstance(delta, TextDelta):
                text += delta.text
            elif isinstance(delta, Restart):
                text = ""
            else:
                assert delta.text == text
                return delta
        raise AssertionError("a stream without its end")

    return whole  # type: ignore[return-value]


async def test_an_answer_writes_one_row_with_its_exact_cost(desk: Desk, ask: Ask) -> None:
    desk.vendor.script(Reply("Yes.", use=Use(input=1000, cached=200, output=100, reasoning=40)))
    call = a_call(turn_id=uuid4())
    response = await ask(desk.gateway, call)
    assert (response.text, response.provider, response.model) == ("Yes.", "openai", "gpt-4o-mini")
    (row,) = call.rows
    assert (row.outcome, row.provider, row.model, row.alias, row.purpose) == (
        "ok", "openai", "gpt-4o-mini", "smart", "agent",
    )  # fmt: skip
    assert (row.input_tokens, row.cached_tokens, row.output_tokens, row.reasoning_tokens) == (1000, 200, 100, 40)
    # 800 at 0.15, 200 at 0.075, 100 at 0.60 dollars a million
    assert row.cost_usd == Decimal("0.000195")
    assert row.turn_id == call.turn_id
    assert not row.estimated


async def test_what_a_cache_writes_is_paid_at_its_own_price(desk: Desk, ask: Ask) -> None:
    desk.vendor.script(Reply("Yes.", use=Use(input=1000, cached=200, written=300, output=100)))
    call = a_call(ANTHROPIC)
    await ask(desk.gateway, call)
    assert call.rows[0].cost_usd == Decimal("0.004185")


async def test_a_model_without_a_known_price_has_no_cost_and_local_none_to_pay(desk: Desk, ask: Ask) -> None:
    unknown, free = a_call(Target("openai", "our-own-model")), a_call(LOCAL)
    await ask(desk.gateway, unknown)
    await ask(desk.gateway, free)
    assert unknown.rows[0].cost_usd is None
    assert free.rows[0].cost_usd == 0


async def test_time_to_the_first_token_is_of_streams(desk: Desk) -> None:
    streamed, plain = a_call(), a_call()
    await deltas_of(desk.gateway, streamed)
    await desk.gateway.generate(plain, ASKED)
    assert streamed.rows[0].first_token_ms is not None
    assert plain.rows[0].first_token_ms is None


async def test_the_alias_fills_what_the_request_leaves_open(desk: Desk, ask: Ask) -> None:
    alias = Alias("smart", (OPENAI,), temperature=0.5, max_tokens=99)
    call = Call(tenant_id=uuid4(), alias=alias, purpose="agent")
    await ask(desk.gateway, call)
    assert desk.vendor.requests[-1].body["temperature"] == 0.5
    assert desk.vendor.requests[-1].body["max_tokens"] == 99
    await desk.gateway.generate(call, msgspec.structs.replace(ASKED, temperature=0.0, max_tokens=1))
    assert desk.vendor.requests[-1].body["temperature"] == 0.0


async def test_a_retryable_failure_is_tried_again_with_growing_pauses(desk: Desk, ask: Ask) -> None:
    desk.vendor.script(BUSY, BUSY, Reply("Yes."))
    call = a_call()
    assert (await ask(desk.gateway, call)).text == "Yes."
    assert [row.outcome for row in call.rows] == ["overloaded", "overloaded", "ok"]
    assert call.rows[0].cost_usd == 0
    assert 0 <= desk.slept[0] <= 0.5
    assert 0 <= desk.slept[1] <= 1.0


async def test_a_vendors_pause_is_kept(desk: Desk, ask: Ask) -> None:
    desk.vendor.script(Reply(status=429, headers={"Retry-After": "7"}), Reply("Yes."))
    await ask(desk.gateway, a_call())
    assert desk.slept == [7.0]


async def test_a_pause_beyond_the_deadline_ends_the_call_and_is_passed_on(desk: Desk, ask: Ask) -> None:
    desk.vendor.script(Reply(status=429, headers={"Retry-After": "120"}))
    with pytest.raises(ProviderRateLimited) as caught:
        await ask(desk.gateway, a_call())
    assert caught.value.retry_after == 120
    assert desk.slept == []


async def test_a_long_pause_is_not_waited_for_while_another_target_is_there(desk: Desk, ask: Ask) -> None:
    desk.vendor.script(Reply(status=429, headers={"Retry-After": "7"}), Reply("Yes."))
    call = a_call(OPENAI, ANTHROPIC)
    assert (await ask(desk.gateway, call)).provider == "anthropic"
    assert desk.slept == []


@pytest.mark.parametrize(("status", "kind"), [(401, ProviderAuthFailed), (400, ProviderBadRequest)])
async def test_what_no_retry_helps_goes_to_the_next_target_at_once(
    desk: Desk, ask: Ask, status: int, kind: type[ProviderFailure]
) -> None:
    desk.vendor.script(Reply(status=status), Reply("Yes."), Reply(status=status))
    call = a_call(OPENAI, ANTHROPIC)
    assert (await ask(desk.gateway, call)).provider == "anthropic"
    assert [row.provider for row in call.rows] == ["openai", "anthropic"]
    with pytest.raises(kind):
        await ask(desk.gateway, a_call(OPENAI))
    assert desk.slept == []


async def test_the_chain_is_walked_in_order_to_its_end(desk: Desk, ask: Ask) -> None:
    desk.vendor.responder = lambda _request: BUSY
    call = a_call(GEMINI, LOCAL, OPENAI, ANTHROPIC)
    response = await ask(desk.gateway, call)
    assert (response.provider, response.text) == ("local", "From the documents.")
    assert [row.provider for row in call.rows] == ["openai"] * 3 + ["anthropic"] * 3 + ["gemini"] * 3 + ["local"]


async def test_when_nobody_answers_the_last_failure_is_raised_and_no_text_comes(desk: Desk) -> None:
    desk.vendor.responder = lambda _request: BUSY
    heard: list[Delta] = []
    with pytest.raises(ProviderOverloaded):
        await desk.gateway.generate(a_call(OPENAI, ANTHROPIC), ASKED, heard.append)
    assert heard == []


async def test_a_switch_before_the_first_text_is_silent(desk: Desk) -> None:
    desk.vendor.script(Reply("We are", cut_after=1), Reply("We are open.", stream_chunks=["We are ", "open."]))
    call = a_call(OPENAI, ANTHROPIC)
    *texts, last = await deltas_of(desk.gateway, call)
    assert "".join(delta.text for delta in texts if isinstance(delta, TextDelta)) == "We are open."
    assert all(isinstance(delta, TextDelta) for delta in texts)
    assert isinstance(last, LLMResponse)
    assert [row.outcome for row in call.rows] == ["connection_lost", "ok"]


async def test_after_the_first_text_the_answer_begins_anew_and_says_so(desk: Desk) -> None:
    desk.vendor.script(Reply("Perhaps we are open.", cut_after=4), Reply("We are closed."))
    call = a_call(OPENAI, ANTHROPIC)
    deltas = await deltas_of(desk.gateway, call)
    at = deltas.index(Restart())
    assert all(isinstance(delta, TextDelta) for delta in deltas[:at])
    assert at > 0
    assert "".join(delta.text for delta in deltas[at + 1 : -1] if isinstance(delta, TextDelta)) == "We are closed."
    assert isinstance(deltas[-1], LLMResponse)
    assert deltas[-1].text == "We are closed."
    cut, _whole = call.rows
    assert (cut.outcome, cut.estimated) == ("connection_lost", True)
    assert cut.output_tokens > 0
    assert cut.first_token_ms is not None
    assert cut.cost_usd


async def test_a_restart_comes_before_calls_without_text_too(desk: Desk) -> None:
    desk.vendor.script(Reply("Perhaps we are open.", cut_after=3), Reply(tool_calls=[ToolUse("book")]))
    deltas = await deltas_of(desk.gateway, a_call(OPENAI, ANTHROPIC))
    assert isinstance(deltas[-2], Restart)
    assert isinstance(deltas[-1], LLMResponse)


async def test_nonsense_counts_as_a_failure_of_the_target(desk: Desk, ask: Ask) -> None:
    desk.vendor.responder = lambda _request: Reply(raw=b"data: <html>\n\n")
    call = a_call()
    with pytest.raises(ProviderNonsense):
        await ask(desk.gateway, call)
    assert [row.outcome for row in call.rows] == ["nonsense"] * 3


async def test_a_target_that_stalls_leaves_time_for_the_next(desk: Desk, ask: Ask) -> None:
    desk.vendor.script(Reply(stall_after=0), Reply("Yes."))
    call = a_call(OPENAI, ANTHROPIC, deadline_s=0.6)
    assert (await ask(desk.gateway, call)).provider == "anthropic"
    stalled, _answered = call.rows
    assert (stalled.outcome, stalled.estimated) == ("timeout", True)
    assert stalled.input_tokens > 0


async def test_the_deadline_is_of_the_whole_call(desk: Desk, ask: Ask) -> None:
    desk.vendor.responder = lambda _request: Reply(stall_after=0)
    call = a_call(OPENAI, ANTHROPIC, GEMINI, deadline_s=0.4)
    async with asyncio.timeout(HANG_S):
        with pytest.raises(ProviderTimeout):
            await ask(desk.gateway, call)
    assert {row.outcome for row in call.rows} == {"timeout"}


async def test_five_failures_in_a_row_open_the_breaker_and_a_probe_closes_it(desk: Desk, ask: Ask) -> None:
    desk.vendor.responder = lambda _request: BUSY
    for _ in range(2):
        with pytest.raises((ProviderOverloaded, NoProvider)):
            await ask(desk.gateway, a_call())
    assert len(desk.vendor.requests) == 5
    (view,) = desk.gateway.breakers()
    assert (view.provider, view.model, view.state) == ("openai", "gpt-4o-mini", BreakerState.OPEN)
    assert desk.metric("frontdesk_llm_breaker_state", provider="openai", model="gpt-4o-mini") == 2

    refused = a_call()
    with pytest.raises(NoProvider) as caught:
        await ask(desk.gateway, refused)
    assert 1 <= (caught.value.retry_after or 0) <= 60
    assert refused.rows == []  # nobody was called
    assert (await ask(desk.gateway, a_call(OPENAI, LOCAL))).provider == "local"

    desk.clock.move(60)
    assert desk.gateway.breakers()[-1].state is BreakerState.HALF_OPEN
    with pytest.raises(ProviderOverloaded):
        await ask(desk.gateway, a_call())  # the probe fails: one try, and open again
    assert len(desk.vendor.requests) == 6

    desk.clock.move(60)
    desk.vendor.responder = lambda _request: Reply("Yes.")
    assert (await ask(desk.gateway, a_call())).text == "Yes."
    assert desk.gateway.breakers()[-1].state is BreakerState.CLOSED
    assert desk.metric("frontdesk_llm_breaker_state", provider="openai", model="gpt-4o-mini") == 0


async def test_what_is_wrong_with_our_request_does_not_open_the_breaker(desk: Desk, ask: Ask) -> None:
    desk.vendor.responder = lambda _request: Reply(status=400, message="prompt is too long: 9 > 8")
    for _ in range(7):
        with pytest.raises(ContextTooLong):
            await ask(desk.gateway, a_call())
    assert desk.gateway.breakers()[0].state is BreakerState.CLOSED


async def test_equal_targets_share_by_weight(desk: Desk) -> None:
    heavy, light = Target("openai", "heavy", weight=3), Target("openai", "light", weight=1)
    for _ in range(200):
        await desk.gateway.generate(a_call(heavy, light), ASKED)
    models = [request.model for request in desk.vendor.requests]
    assert 110 <= models.count("heavy") <= 185  # 150 expected; five standard deviations of 6


async def test_an_equal_target_is_the_next_when_the_first_fails(desk: Desk, ask: Ask) -> None:
    desk.vendor.responder = lambda request: BUSY if request.model == "a" else Reply("Yes.")
    for _ in range(5):
        response = await ask(desk.gateway, a_call(Target("openai", "a"), Target("openai", "b")))
        assert response.model == "b"


async def test_an_alias_of_unknown_providers_says_which(desk: Desk, ask: Ask) -> None:
    with pytest.raises(NoProvider, match="groq"):
        await ask(desk.gateway, a_call(Target("groq", "x")))
    with pytest.raises(NoProvider):
        await ask(desk.gateway, Call(tenant_id=uuid4(), alias=Alias("none", ()), purpose="agent"))
    assert (await ask(desk.gateway, a_call(Target("groq", "x"), ANTHROPIC))).provider == "anthropic"


async def test_requests_per_minute_are_limited_by_tenant(desk: Desk, ask: Ask) -> None:
    call = a_call(requests_per_minute=2)
    await ask(desk.gateway, call)
    await ask(desk.gateway, call)
    with pytest.raises(RateLimited) as caught:
        await ask(desk.gateway, call)
    assert 0 < (caught.value.retry_after or 0) <= 61
    await ask(desk.gateway, a_call(requests_per_minute=2))  # another tenant's own
    assert len(call.rows) == 2
    desk.clock.move(caught.value.retry_after or 0)
    await ask(desk.gateway, call)


async def test_tokens_per_minute_count_what_was_really_used(desk: Desk, ask: Ask) -> None:
    desk.vendor.responder = lambda _request: Reply("Yes.", use=Use(input=400, output=100))
    call = a_call(tokens_per_minute=1010)
    await ask(desk.gateway, call)
    await ask(desk.gateway, call)
    with pytest.raises(RateLimited) as caught:
        await ask(desk.gateway, call)
    assert len(desk.vendor.requests) == 2
    desk.clock.move(caught.value.retry_after or 0)
    await ask(desk.gateway, call)


async def test_beyond_the_allowance_only_what_is_free_may_answer(desk: Desk, ask: Ask) -> None:
    call = a_call(OPENAI, LOCAL, requests_per_minute=1)
    assert (await ask(desk.gateway, call)).provider == "openai"
    assert (await ask(desk.gateway, call)).provider == "local"
    for _ in range(3):
        await ask(desk.gateway, a_call(LOCAL, tenant_id=call.tenant_id, requests_per_minute=1))
    assert desk.metric("frontdesk_llm_limited_total", tenant=str(call.tenant_id), of="requests") == 1


async def test_what_costs_nothing_answers_also_where_the_budget_is_used_up(desk: Desk, ask: Ask) -> None:
    desk.refusal = RateLimited("The budget is used up.", retry_after=100)
    call = a_call(OPENAI, LOCAL)
    assert (await ask(desk.gateway, call)).provider == "local"
    with pytest.raises(RateLimited, match="budget"):
        await ask(desk.gateway, a_call(OPENAI, tenant_id=call.tenant_id))
    assert desk.metric("frontdesk_llm_limited_total", tenant=str(call.tenant_id), of="spend") == 2
    assert not desk.vendor.requests


async def test_within_a_budget_only_models_with_a_known_price_are_called(desk: Desk, ask: Ask) -> None:
    unknown, limits = Target("openai", "our-own-model"), Limits(usd_per_day=1.0)
    with pytest.raises(BudgetUsedUp, match=r"our-own-model .* FRONTDESK_PRICES"):
        await ask(desk.gateway, a_call(unknown, limits=limits))
    assert (await ask(desk.gateway, a_call(unknown, LOCAL, limits=limits))).provider == "local"
    assert not desk.vendor.requests
    assert (await ask(desk.gateway, a_call(unknown, OPENAI, limits=limits))).model == OPENAI.model
    assert (await ask(desk.gateway, a_call(unknown))).model == "our-own-model"


async def test_a_model_that_is_said_to_cost_nothing_is_called_within_a_budget_and_beyond_it(
    desk: Desk, ask: Ask
) -> None:
    own, limits = Target("openai", "of-no-cost"), Limits(usd_per_day=1.0)
    call = a_call(own, limits=limits)
    assert (await ask(desk.gateway, call)).model == "of-no-cost"
    assert call.rows[0].cost_usd == 0
    desk.refusal = RateLimited("The budget is used up.", retry_after=100)
    call = a_call(OPENAI, own, limits=limits, requests_per_minute=1)
    assert (await ask(desk.gateway, call)).model == "of-no-cost"
    with pytest.raises(RateLimited, match="requests"):
        await ask(desk.gateway, a_call(own, tenant_id=call.tenant_id, limits=limits, requests_per_minute=1))


async def test_a_kept_answer_is_given_again_to_the_same_request_only(desk: Desk, ask: Ask) -> None:
    call = a_call(cache_s=60)
    first, again = await ask(desk.gateway, call), await ask(desk.gateway, call)
    assert first.text == again.text
    assert len(desk.vendor.requests) == 1
    hit = call.rows[1]
    assert (hit.outcome, hit.cost_usd, hit.input_tokens) == ("cache", 0, 0)
    assert again.usage == Usage()

    other = msgspec.structs.replace(ASKED, messages=(*ASKED.messages, Message(Role.USER, "And tomorrow?")))
    await ask(desk.gateway, call, other)  # type: ignore[call-arg]
    await ask(desk.gateway, a_call(cache_s=60))  # another tenant
    await ask(desk.gateway, msgspec.structs.replace(call, version=2))  # another definition
    await ask(desk.gateway, msgspec.structs.replace(call, cache_s=0))
    assert len(desk.vendor.requests) == 5
    desk.clock.move(61)
    await ask(desk.gateway, call)
    assert len(desk.vendor.requests) == 6


async def test_cut_off_answers_are_not_kept(desk: Desk, ask: Ask) -> None:
    desk.vendor.responder = lambda _request: Reply("We are op", stop="max_tokens")
    call = a_call(cache_s=60)
    await ask(desk.gateway, call)
    await ask(desk.gateway, call)
    assert len(desk.vendor.requests) == 2


async def test_a_reader_who_leaves_is_in_the_ledger_and_the_vendor_is_hung_up_on(desk: Desk) -> None:
    desk.vendor.script(Reply("One two three four five.", stall_after=4))
    call = a_call()
    await leave_in_the_middle(desk.gateway, call)
    (row,) = call.rows
    assert (row.outcome, row.estimated) == ("cancelled", True)
    assert row.output_tokens > 0
    assert row.cost_usd
    async with asyncio.timeout(HANG_S):
        await desk.vendor.gone.wait()


async def test_a_cancelled_call_is_in_the_ledger(desk: Desk, ask: Ask) -> None:
    desk.vendor.script(Reply("One two three.", stall_after=0))
    call = a_call()
    task = asyncio.ensure_future(ask(desk.gateway, call))
    async with asyncio.timeout(HANG_S):
        await desk.vendor.stalled.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (row,) = call.rows
    assert (row.outcome, row.estimated) == ("cancelled", True)
    assert row.input_tokens > 0
    assert desk.gateway.breakers()[0].failures == 0


async def test_a_reader_who_leaves_a_probe_lets_another_probe(desk: Desk) -> None:
    desk.vendor.responder = lambda _request: BUSY
    for _ in range(2):
        with pytest.raises(ProviderFailure):
            await desk.gateway.generate(a_call(), ASKED)
    desk.clock.move(60)
    desk.vendor.responder = lambda _request: Reply("One two three.")
    desk.vendor.script(Reply("One two three.", stall_after=2))
    await leave_in_the_middle(desk.gateway, a_call())
    assert (await desk.gateway.generate(a_call(), ASKED)).text == "One two three."


async def test_an_adapters_fault_is_raised_and_in_the_ledger(desk: Desk, ask: Ask) -> None:
    class Faulty(Extractive):
        async def generate(self, request: LLMRequest) -> LLMResponse:
            raise ZeroDivisionError

    desk.providers["faulty"] = Faulty()
    call = a_call(Target("faulty", "x"))
    with pytest.raises(ZeroDivisionError):
        await desk.gateway.generate(call, ASKED)
    assert [row.outcome for row in call.rows] == ["error"]


async def test_absurd_figures_of_a_vendor_fit_the_ledger(desk: Desk, ask: Ask) -> None:
    desk.vendor.script(Reply("Yes.", use=Use(input=-5, cached=10**15, output=10**18, reasoning=-1)))
    call = a_call()
    await ask(desk.gateway, call)
    (row,) = call.rows
    assert (row.input_tokens, row.cached_tokens, row.output_tokens, row.reasoning_tokens) == (0, 0, 2**31 - 1, 0)


async def test_many_calls_at_once_keep_their_rows_apart(desk: Desk, ask: Ask) -> None:
    def responder(request: VendorRequest) -> Reply:
        return Reply(f"to {request.user}", use=Use(input=int(request.user), output=1))

    desk.vendor.responder = responder
    calls = {number: a_call(ANTHROPIC) for number in range(1, 31)}

    async def one(number: int) -> None:
        request = LLMRequest("", (Message(Role.USER, str(number)),))
        assert (await ask(desk.gateway, calls[number], request)).text == f"to {number}"  # type: ignore[call-arg]

    async with asyncio.TaskGroup() as group:
        for number in calls:
            group.create_task(one(number))
    assert all([row.input_tokens for row in call.rows] == [number] for number, call in calls.items())


async def test_metrics_count_every_attempt(desk: Desk, ask: Ask) -> None:
    desk.vendor.script(BUSY, Reply("Yes.", use=Use(input=1000, cached=200, output=100, reasoning=40)))
    call = a_call()
    await ask(desk.gateway, call)
    target = {"provider": "openai", "model": "gpt-4o-mini"}
    assert desk.metric("frontdesk_llm_calls_total", **target, outcome="ok") == 1
    assert desk.metric("frontdesk_llm_calls_total", **target, outcome="overloaded") == 1
    tenant = str(call.tenant_id)
    assert desk.metric("frontdesk_llm_tokens_total", tenant=tenant, **target, kind="cached") == 200
    assert desk.metric("frontdesk_llm_cost_usd_total", tenant=tenant, **target) == pytest.approx(0.000195)


async def test_a_dead_vendor_is_a_lost_connection_for_each_try(desk: Desk, ask: Ask) -> None:
    await desk.vendor.stop()
    call = a_call()
    with pytest.raises(ProviderConnectionLost):
        await ask(desk.gateway, call)
    assert [(row.outcome, row.cost_usd) for row in call.rows] == [("connection_lost", 0)] * 3
