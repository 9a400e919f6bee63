"""The one way to a provider: chain, deadline, retries, breakers, limits, cache, ledger; streamed and plain alike."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing

import msgspec
from cachetools import LRUCache

from frontdesk.core.clock import Clock
from frontdesk.core.errors import FrontdeskError, RateLimited
from frontdesk.llm import tokens
from frontdesk.llm.allowance import Allowance
from frontdesk.llm.answers import Answers
from frontdesk.llm.attempt import Attempt, Call
from frontdesk.llm.breaker import Breaker, BreakerView
from frontdesk.llm.ledger import CACHED, ERROR, OK, outcome_of
from frontdesk.llm.metrics import LLMMetrics
from frontdesk.llm.prices import Prices
from frontdesk.llm.types import (
    Alias,
    LLMDelta,
    LLMRequest,
    LLMResponse,
    NoProvider,
    Provider,
    ProviderFailure,
    ProviderTimeout,
    Restart,
    Target,
    TextDelta,
    Usage,
)

__all__ = ["Call", "Gateway", "GatewayLimits"]

_BACKOFF_S = 0.5  # before the first retry at most; doubled by each
_MOST_BACKOFF_S = 8.0
# A vendor that wants a longer pause is left for the next target, if there is one.
_PATIENCE_S = 2.0


class GatewayLimits(msgspec.Struct, frozen=True):
    """Of every call; an alias may have a deadline of its own."""

    deadline_s: float = 30.0  # of the whole call
    attempts: int = 3  # at one target
    breaker_failures: int = 5
    breaker_open_s: float = 60.0


class Gateway:
    """Calls targets in the alias's order until one answers.

    Targets of equal rank are shuffled by weight. A retryable failure is tried again at the same target after a pause
    (exponential, full jitter, at least what the vendor asks for) as long as the deadline allows; then the next target
    is called. An attempt may take half of what is left of the deadline, the last target's all of it. A switch before
    the first text is silent; after it, `Restart` says that everything so far is void. Nothing is ever made up: when
    nobody answers, the most telling failure is raised.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        clock: Clock,
        limits: GatewayLimits,
        prices: Prices,
        metrics: LLMMetrics,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._providers = providers
        self._clock = clock
        self._limits = limits
        self._prices = prices
        self._metrics = metrics
        self._sleep = sleep
        self._requests = Allowance(clock)
        self._tokens = Allowance(clock)
        self._answers = Answers(clock)
        # Tenants name the models: bounded, however many they try.
        self._breakers: LRUCache[tuple[str, str], Breaker] = LRUCache(2000)

    async def generate(self, call: Call, request: LLMRequest) -> LLMResponse:
        """The whole answer. Raises ProviderFailure, or RateLimited when the tenant's allowance is used up."""
        async with aclosing(self._deltas(call, request, streamed=False)) as deltas:
            async for delta in deltas:
                if isinstance(delta, LLMResponse):
                    return delta
        raise AssertionError("an answer ends with its response, or a failure")

    def stream(self, call: Call, request: LLMRequest) -> AsyncGenerator[LLMDelta, None]:
        """Text as it comes, `Restart` where an answer begins anew, the response last. Close it (`aclosing`)."""
        return self._deltas(call, request, streamed=True)

    def available(self, alias: Alias, *, without: str | None = None) -> Alias:
        """The alias with the targets that can be called here: of configured providers, `without` one of them."""
        targets = tuple(
            target for target in alias.targets if target.provider in self._providers and target.provider != without
        )
        return msgspec.structs.replace(alias, targets=targets)

    def breakers(self) -> list[BreakerView]:
        """Every target that was called lately, by name."""
        return [
            BreakerView(provider, model, breaker.state, breaker.failures, breaker.retry_in_s)
            for (provider, model), breaker in sorted(self._breakers.items())
        ]

    async def _deltas(self, call: Call, request: LLMRequest, *, streamed: bool) -> AsyncGenerator[LLMDelta, None]:
        walk = _Walk(self._clock.monotonic() + (call.alias.deadline_s or self._limits.deadline_s))
        request = _filled(call.alias, request)
        chain = self._chain(call.alias)
        try:
            for place, target in enumerate(chain):
                is_last = place == len(chain) - 1
                asked = msgspec.structs.replace(request, model=target.model)
                async with aclosing(self._at_target(call, target, asked, walk, is_last, streamed)) as deltas:
                    async for delta in deltas:
                        yield delta
                if walk.is_answered:
                    return
        finally:
            if walk.reserved:
                self._tokens.use(call.tenant_id, -walk.reserved)  # each attempt counted what it really used
        raise walk.failure or self._all_left_alone(call.alias, chain)

    async def _at_target(
        self, call: Call, target: Target, request: LLMRequest, walk: "_Walk", is_last: bool, streamed: bool
    ) -> AsyncGenerator[LLMDelta, None]:
        """Tries of one target: until it answered, or `walk` knows how it failed."""
        is_free = self._prices.is_free(target.provider)
        key = self._answers.key(call.tenant_id, call.version, target, request) if call.cache_s and not is_free else None
        if key and (known := self._answers.get(key)):
            self._metrics.cache.labels(str(call.tenant_id), "hit").inc()
            for delta in self._again(call, target, request, known, walk, streamed):
                yield delta
            return
        if not is_free and not self._allow(call, request, walk):
            return
        await self._prices.load(target.provider, target.model)
        breaker = self._breaker(target)
        for number in range(1, self._limits.attempts + 1):
            left_s = walk.deadline - self._clock.monotonic()
            ticket = breaker.admit() if left_s > 0 else None
            if ticket is None:
                return
            self._metrics.breaker(target.provider, target.model, breaker.state)
            if walk.is_void:
                walk.is_void = False
                yield Restart()
            bound_s = left_s if is_last else left_s / 2
            try:
                async with aclosing(self._attempt(call, target, request, ticket, bound_s, walk, streamed)) as deltas:
                    async for delta in deltas:
                        if isinstance(delta, LLMResponse):
                            walk.is_answered = True
                            if key:
                                self._metrics.cache.labels(str(call.tenant_id), "miss").inc()
                                self._answers.put(key, delta, call.cache_s)
                        yield delta
                return
            except ProviderFailure as failure:
                walk.failed(failure, is_free)
                if not failure.switchable:
                    raise
                pause_s = self._pause_s(failure, number, walk, is_last)
            if pause_s is None:
                return
            await self._sleep(pause_s)

    async def _attempt(
        self,
        call: Call,
        target: Target,
        request: LLMRequest,
        ticket: int,
        bound_s: float,
        walk: "_Walk",
        streamed: bool,
    ) -> AsyncGenerator[TextDelta | LLMResponse, None]:
        """One try. Its row is written and its breaker told, however it ends."""
        breaker = self._breaker(target)
        attempt = Attempt(call, target, request, self._clock, self._prices, self._metrics)
        used: Usage | None = None
        try:
            async with aclosing(self._ask(target, request, attempt, bound_s, walk.deadline, streamed)) as deltas:
                async for delta in deltas:
                    if isinstance(delta, LLMResponse):
                        used = attempt.end(OK, delta.usage)
                        breaker.succeeded(ticket)
                    yield delta
        except ProviderFailure as failure:
            used = attempt.failed(failure, outcome_of(failure))
            walk.is_void = attempt.has_spoken
            # What is wrong with our request says that the target is well.
            (breaker.failed if failure.trips else breaker.succeeded)(ticket)
            raise
        except Exception:  # an edge: whatever an adapter's fault is, the ledger has it and the breaker counts it
            used = attempt.end(ERROR, Usage())
            breaker.failed(ticket)
            raise
        finally:
            if used is None:  # the caller went away
                used = attempt.cancelled()
                breaker.abandoned(ticket)
            self._metrics.breaker(target.provider, target.model, breaker.state)
            if not self._prices.is_free(target.provider):
                self._tokens.use(call.tenant_id, used.input_tokens + used.output_tokens)

    async def _ask(
        self, target: Target, request: LLMRequest, attempt: Attempt, bound_s: float, deadline: float, streamed: bool
    ) -> AsyncGenerator[TextDelta | LLMResponse, None]:
        """The provider's answer within its time: `bound_s` to the first sign of it, `deadline` to its end."""
        provider = self._providers[target.provider]
        try:
            if not streamed:
                async with asyncio.timeout(bound_s):
                    response = await provider.generate(request)
                yield response
                return
            async with aclosing(provider.stream(request)) as deltas:
                while True:
                    # Around each wait and not around them all: the time between two belongs to the reader.
                    async with asyncio.timeout(bound_s):
                        delta = await anext(deltas)
                    if isinstance(delta, LLMResponse):
                        yield delta
                        return
                    attempt.heard(delta.text)
                    yield delta
                    bound_s = deadline - self._clock.monotonic()
        except TimeoutError as error:
            raise ProviderTimeout(f"{target.provider} did not answer in time.", provider=target.provider) from error

    def _again(
        self, call: Call, target: Target, request: LLMRequest, known: LLMResponse, walk: "_Walk", streamed: bool
    ) -> list[LLMDelta]:
        """A kept answer, as a new one would have come."""
        Attempt(call, target, request, self._clock, self._prices, self._metrics).end(CACHED, known.usage)
        deltas: list[LLMDelta] = [Restart()] if walk.is_void else []
        if streamed and known.text:
            deltas.append(TextDelta(known.text))
        walk.is_answered = True
        return [*deltas, known]

    def _allow(self, call: Call, request: LLMRequest, walk: "_Walk") -> bool:
        """Once a call: count it against the tenant's allowance. Where that is used up only what is free may answer."""
        if walk.is_allowed is None:
            expected = tokens.message_tokens(request)
            limits = (
                ("requests", self._requests, 1, call.requests_per_minute),
                ("tokens", self._tokens, expected, call.tokens_per_minute),
            )
            walk.is_allowed = True
            for name, allowance, amount, per_minute in limits:
                wait_s = 0.0 if per_minute is None else allowance.wait_s(call.tenant_id, amount, per_minute)
                if wait_s > 0:
                    self._metrics.limited.labels(str(call.tenant_id), name).inc()
                    walk.limited(f"This minute's {name} to language models are used up ({per_minute}).", wait_s)
                    return False
            self._requests.use(call.tenant_id, 1)
            self._tokens.use(call.tenant_id, expected)
            walk.reserved = expected
        return walk.is_allowed

    def _chain(self, alias: Alias) -> list[Target]:
        """By rank; the equal ones in an order drawn by weight (the largest of u^(1/w) is first w-proportionally)."""
        known = [target for target in alias.targets if target.provider in self._providers]
        if not known:
            names = ", ".join(sorted({target.provider for target in alias.targets})) or "no provider"
            raise NoProvider(f"The model alias {alias.name!r} names {names}: none of them is configured.")
        drawn = {id(target): random.random() ** (1 / max(target.weight, 1e-9)) for target in known}
        return sorted(known, key=lambda target: (target.rank, -drawn[id(target)]))

    def _pause_s(self, failure: ProviderFailure, number: int, walk: "_Walk", is_last: bool) -> float | None:
        """Seconds until the next try here; None: no further one."""
        if not failure.retryable or number >= self._limits.attempts:
            return None
        # A target that was silent for half of the time is not asked again while another waits.
        if isinstance(failure, ProviderTimeout) and not is_last:
            return None
        backoff_s = random.uniform(0, min(_MOST_BACKOFF_S, _BACKOFF_S * 2 ** (number - 1)))
        pause_s = max(backoff_s, failure.retry_after or 0.0)
        most_s = walk.deadline - self._clock.monotonic()
        return pause_s if pause_s < (most_s if is_last else min(most_s, _PATIENCE_S)) else None

    def _breaker(self, target: Target) -> Breaker:
        key = (target.provider, target.model)
        breaker = self._breakers.get(key)
        if breaker is None:
            limits = self._limits
            breaker = self._breakers[key] = Breaker(self._clock, limits.breaker_failures, limits.breaker_open_s)
        return breaker

    def _all_left_alone(self, alias: Alias, chain: list[Target]) -> NoProvider:
        retry_after = min(self._breaker(target).retry_in_s for target in chain)
        return NoProvider(
            f"Every target of the model alias {alias.name!r} failed lately and is left alone for a while.",
            retry_after=max(retry_after, 1.0),
        )


class _Walk:
    """How far a call has come along its chain."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline  # of the clock's monotonic time
        self.is_answered = False
        self.is_void = False  # text went out that counts no longer
        self.is_allowed: bool | None = None  # by the tenant's allowance; None: not asked yet
        self.reserved = 0  # tokens
        self.failure: FrontdeskError | None = None

    def failed(self, failure: ProviderFailure, is_free: bool) -> None:
        # `local` comes last and often can't: what failed before it tells more.
        if self.failure is None or not is_free:
            self.failure = failure

    def limited(self, detail: str, wait_s: float) -> None:
        self.is_allowed = False
        self.failure = RateLimited(detail, retry_after=wait_s)


def _filled(alias: Alias, request: LLMRequest) -> LLMRequest:
    """What the request leaves open, the alias says."""
    return msgspec.structs.replace(
        request,
        temperature=alias.temperature if request.temperature is None else request.temperature,
        max_tokens=alias.max_tokens if request.max_tokens is None else request.max_tokens,
    )
