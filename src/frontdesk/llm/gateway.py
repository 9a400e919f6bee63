"""The one way to a provider: chain, deadline, retries, breakers, limits, cache, ledger; streamed and plain alike."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Protocol
from uuid import UUID

import msgspec
import structlog
from cachetools import LRUCache

from frontdesk.core.caches import forget
from frontdesk.core.clock import Clock
from frontdesk.core.errors import BudgetUsedUp, FrontdeskError, RateLimited
from frontdesk.core.limits import Limits
from frontdesk.llm import tokens
from frontdesk.llm.answers import Answers
from frontdesk.llm.attempt import Attempt, Call
from frontdesk.llm.breaker import Breaker, BreakerView
from frontdesk.llm.ledger import CACHED, ERROR, OK, outcome_of
from frontdesk.llm.metrics import LLMMetrics
from frontdesk.llm.prices import Prices
from frontdesk.llm.screen import Screen
from frontdesk.llm.types import (
    Alias,
    Hear,
    LLMRequest,
    LLMResponse,
    NoProvider,
    NotSent,
    Provider,
    ProviderAuthFailed,
    ProviderFailure,
    ProviderNonsense,
    ProviderTimeout,
    ProviderUnfinished,
    Restart,
    Target,
    TextDelta,
    Usage,
)
from frontdesk.shared.cache import Cache
from frontdesk.shared.rates import RateLimiter, Use

__all__ = ["Call", "Gateway", "GatewayLimits"]

log = structlog.get_logger()

# Why a tenant may spend nothing more now; None: it may.
Afford = Callable[[UUID, Limits], Awaitable[RateLimited | None]]


_BACKOFF_S = 0.5  # before the first retry at most; doubled by each
_MOST_BACKOFF_S = 8.0
# Windows of the tenant's.
_REQUESTS, _TOKENS = "llm.requests", "llm.tokens"
# A vendor that wants a longer pause is left for the next target, if there is one.
_PATIENCE_S = 2.0


class GatewayLimits(msgspec.Struct, frozen=True):
    """Of every call; an alias may have a deadline of its own."""

    deadline_s: float = 60.0  # of the whole call
    attempts: int = 3  # at one target
    breaker_failures: int = 5
    breaker_open_s: float = 60.0


class OwnProviders(Protocol):
    """Providers with tenants' own keys."""

    def has(self, name: str) -> bool:
        """Whether there is a provider of that name for who has a key."""
        ...

    async def of(self, tenant_id: UUID, name: str, secret: str) -> Provider:
        """With the key that the tenant's `secret` holds. Raises ProviderAuthFailed when there is none."""
        ...

    def forget(self, tenant_id: UUID) -> None:
        """The tenant is gone."""
        ...


class Gateway:
    """Calls targets in the alias's order until one answers.

    Targets of equal rank are shuffled by weight. A retryable failure is tried again at the same target after a pause
    (exponential, full jitter, at least what the vendor asks for) as long as the deadline allows; then the next target
    is called. An attempt may take half of what is left of the deadline; the last one, and every stream of the last
    target, all of it. A switch before the first text is silent; after it, `Restart` says that everything so far is
    void. Nothing is ever made up: when nobody answers, the most telling failure is raised.

    To a provider that is not trusted with a tenant's personal data goes a request with placeholders, and its answer
    comes back with the values. When what is personal can't be told, that provider is not called.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        clock: Clock,
        limits: GatewayLimits,
        prices: Prices,
        metrics: LLMMetrics,
        rates: RateLimiter,
        cache: Cache,
        afford: Afford,
        screen: Screen,
        own: OwnProviders | None = None,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._providers = providers
        self._clock = clock
        self._limits = limits
        self._prices = prices
        self._metrics = metrics
        self._screen = screen
        self._own = own
        self._sleep = sleep
        self._rates = rates
        self._afford = afford
        self._answers = Answers(cache)
        # Tenants name the models: bounded, however many they try. By whom they are of: one tenant's refused key, or its
        # haste, must not open the breaker of the others.
        self._breakers: LRUCache[tuple[UUID | None, str, str], Breaker] = LRUCache(5000)
        self._unpriced: LRUCache[tuple[UUID, str], bool] = LRUCache(1000)  # what the log was told

    async def generate(self, call: Call, request: LLMRequest, hear: Hear | None = None) -> LLMResponse:
        """The whole answer. With `hear` it is streamed: text is told as it comes, `Restart` where it begins anew.

        Raises ProviderFailure, or RateLimited when the tenant's allowance is used up.
        """
        walk = _Walk(self._clock.monotonic() + (call.alias.deadline_s or self._limits.deadline_s), hear)
        chain = self._chain(call.alias)
        screened = self._screen.of(call.hides, request, hear)
        try:
            for place, target in enumerate(chain):
                try:
                    view = await screened.for_provider(target.provider)
                except NotSent as failure:
                    walk.failed(failure, is_free=False)
                    continue
                walk.hear = view.hear
                asked = _for(target, call.alias, view.request)
                response = await self._at_target(call, target, asked, walk, is_last=place == len(chain) - 1)
                if response is not None:
                    return view.restored(response)
        finally:
            if walk.reserved and walk.used != walk.reserved:  # what was used instead of what was expected
                await self._rates.correct(call.tenant_id, _TOKENS, "", walk.used - walk.reserved)
        raise walk.failure or self._all_left_alone(call, chain)

    def available(self, alias: Alias, *, without: str | None = None) -> Alias:
        """The alias with the targets that can be called here: of configured providers, `without` one of them."""
        targets = tuple(target for target in alias.targets if self._is_known(target) and target.provider != without)
        return msgspec.structs.replace(alias, targets=targets)

    def forget(self, tenant_id: UUID) -> None:
        forget(self._breakers, tenant_id)
        forget(self._unpriced, tenant_id)
        if self._own is not None:
            self._own.forget(tenant_id)

    def breakers(self) -> list[BreakerView]:
        """Every target that was called lately, by name."""
        return [
            BreakerView(provider, model, breaker.state, breaker.failures, breaker.retry_in_s, owner)
            for (owner, provider, model), breaker in sorted(self._breakers.items(), key=lambda kept: str(kept[0][1:]))
        ]

    async def _at_target(
        self, call: Call, target: Target, request: LLMRequest, walk: "_Walk", *, is_last: bool
    ) -> LLMResponse | None:
        """Tries of one target. None: it did not answer, and `walk` knows how it failed."""
        is_free = self._prices.is_free(target.provider)
        key = self._answers.key(call.tenant_id, call.version, target, request) if call.cache_s and not is_free else None
        if key and (known := await self._answers.get(key)):
            self._metrics.cache.labels(str(call.tenant_id), "hit").inc()
            return self._again(call, target, request, known, walk)
        await self._prices.load(target.provider, target.model)
        if not is_free and not (
            self._is_counted(call, target, walk) and await self._allow(call, target, request, walk)
        ):
            return None
        breaker = self._breaker(call, target)
        takes_all_at = self._limits.attempts if walk.hear is None else 1
        for number in range(1, self._limits.attempts + 1):
            left_s = walk.deadline - self._clock.monotonic()
            ticket = breaker.admit() if left_s > 0 else None
            if ticket is None:
                return None
            self._tell(call, target, breaker)
            walk.begin_anew()
            # A stream's adapter notices silence. A plain answer is silent until it is whole: time is kept for a retry.
            bound_s = left_s if is_last and number >= takes_all_at else left_s / 2
            attempt = Attempt(call, target, request, self._clock, self._prices, self._metrics)
            try:
                response = await self._attempt(attempt, breaker, ticket, bound_s, walk)
            except ProviderFailure as failure:
                walk.failed(failure, is_free)
                if not failure.switchable:
                    raise
                pause_s = self._pause_s(failure, number, walk, is_last)
            else:
                if key:
                    self._metrics.cache.labels(str(call.tenant_id), "miss").inc()
                    await self._answers.put(key, response, call.cache_s)
                return response
            if pause_s is None:
                return None
            await self._sleep(pause_s)
        return None

    async def _attempt(
        self, attempt: Attempt, breaker: Breaker, ticket: int, bound_s: float, walk: "_Walk"
    ) -> LLMResponse:
        """One try. Its row is written and its breaker told, however it ends."""
        used: Usage | None = None
        try:
            response = await self._ask(attempt, bound_s, walk)
            used = attempt.end(OK, response.usage)
            breaker.succeeded(ticket)
            return response
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
            self._tell(attempt.call, attempt.target, breaker)
            if not self._prices.is_free(attempt.target.provider):
                walk.used += used.input_tokens + used.output_tokens

    async def _ask(self, attempt: Attempt, bound_s: float, walk: "_Walk") -> LLMResponse:
        """The provider's answer within its time: `bound_s` to the first sign of it, the deadline to its end."""
        target, request = attempt.target, attempt.request
        try:
            async with asyncio.timeout(bound_s) as bound:
                provider = await self._provider(attempt.call.tenant_id, target)
                if walk.hear is None:
                    return await provider.generate(request)
                async with aclosing(provider.stream(request)) as deltas:
                    async for delta in deltas:
                        if isinstance(delta, LLMResponse):
                            return delta
                        if not attempt.has_spoken:
                            left_s = walk.deadline - self._clock.monotonic()
                            bound.reschedule(asyncio.get_running_loop().time() + left_s)
                        attempt.heard(delta.text)
                        walk.hear(delta)
        except TimeoutError as error:
            late = ProviderUnfinished if attempt.has_spoken else ProviderTimeout
            raise late(f"{target.provider} did not answer in time.", provider=target.provider) from error
        raise ProviderNonsense("The provider's stream ended without an answer.", provider=target.provider)

    async def _provider(self, tenant_id: UUID, target: Target) -> Provider:
        """Never with the deployment's key where the tenant has named its own."""
        if target.secret is None:
            return self._providers[target.provider]
        if self._own is None:
            raise ProviderAuthFailed("Tenants' own keys can't be read here.", provider=target.provider)
        return await self._own.of(tenant_id, target.provider, target.secret)

    def _again(self, call: Call, target: Target, request: LLMRequest, known: LLMResponse, walk: "_Walk") -> LLMResponse:
        """A kept answer, as a new one would have come."""
        Attempt(call, target, request, self._clock, self._prices, self._metrics).end(CACHED, known.usage)
        walk.begin_anew()
        if walk.hear is not None and known.text:
            walk.hear(TextDelta(known.text))
        return known

    def _is_counted(self, call: Call, target: Target, walk: "_Walk") -> bool:
        """Within a budget nobody is called of whom it is not known what he costs: it would never be used up."""
        if not call.limits.has_budget:
            return True
        if self._prices.is_known(target.provider, target.model, self._clock.now()):
            return True
        name = f"{target.provider}/{target.model}"
        if (call.tenant_id, name) not in self._unpriced:
            self._unpriced[call.tenant_id, name] = True
            log.warning("llm.unpriced", tenant_id=str(call.tenant_id), target=name, setting="prices")
        self._metrics.limited.labels(str(call.tenant_id), "unpriced").inc()
        if walk.failure is None:
            walk.failure = BudgetUsedUp(
                f"What {name} costs is not known: within a budget it is not called. The operator can say it: "
                "FRONTDESK_PRICES."
            )
        return False

    async def _allow(self, call: Call, target: Target, request: LLMRequest, walk: "_Walk") -> bool:
        """Once a call: count it against what the tenant may use. Beyond that only what is free may answer."""
        if not self._prices.is_zero(target.provider, target.model) and not await self._affords(call, walk):
            return False
        if walk.is_allowed is None:
            refused = await self._beyond(call, tokens.message_tokens(request), walk)
            walk.is_allowed = refused is None
            if refused is not None:
                walk.failure = refused
        return walk.is_allowed

    async def _affords(self, call: Call, walk: "_Walk") -> bool:
        if walk.affords is None:
            refused = await self._afford(call.tenant_id, call.limits)
            walk.affords = refused is None
            if refused is not None:
                self._metrics.limited.labels(str(call.tenant_id), "spend").inc()
                walk.failure = refused
        return walk.affords

    async def _beyond(self, call: Call, expected: int, walk: "_Walk") -> RateLimited | None:
        uses = [
            Use(name, "", most, amount)
            for name, most, amount in (
                (_REQUESTS, call.requests_per_minute, 1),
                (_TOKENS, call.tokens_per_minute, expected),
            )
            if most is not None
        ]
        if not uses:
            return None
        if (beyond := await self._rates.take(call.tenant_id, uses)) is None:
            walk.reserved = expected if call.tokens_per_minute is not None else 0
            return None
        what = beyond.use.name.removeprefix("llm.")
        self._metrics.limited.labels(str(call.tenant_id), what).inc()
        detail = f"This minute's {what} to language models are used up ({beyond.use.most})."
        return RateLimited(detail, retry_after=beyond.wait_s)

    def _chain(self, alias: Alias) -> list[Target]:
        """By rank; the equal ones in an order drawn by weight (the largest of u^(1/w) is first w-proportionally)."""
        known = [target for target in alias.targets if self._is_known(target)]
        if not known:
            names = ", ".join(sorted({target.provider for target in alias.targets})) or "no provider"
            raise NoProvider(f"The model alias {alias.name!r} names {names}: none of them is configured.")
        if len(known) == 1:
            return known
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

    def _is_known(self, target: Target) -> bool:
        if target.secret is None:
            return target.provider in self._providers
        return self._own is not None and self._own.has(target.provider)

    def _breaker(self, call: Call, target: Target) -> Breaker:
        key = (self._owner(call, target), target.provider, target.model)
        breaker = self._breakers.get(key)
        if breaker is None:
            limits = self._limits
            breaker = self._breakers[key] = Breaker(self._clock, limits.breaker_failures, limits.breaker_open_s)
        return breaker

    def _owner(self, call: Call, target: Target) -> UUID | None:
        """Whose breaker it is: a tenant that waits less than the deployment does tells nothing to the others either."""
        is_hasty = call.alias.deadline_s is not None and call.alias.deadline_s < self._limits.deadline_s
        return call.tenant_id if is_hasty or target.secret is not None else None

    def _tell(self, call: Call, target: Target, breaker: Breaker) -> None:
        """The metrics, when the breaker's state is another than they know."""
        if (state := breaker.state) is not breaker.told:
            breaker.told = state
            if self._owner(call, target) is None:  # the gauge is of what all tenants share
                self._metrics.breaker(target, state)

    def _all_left_alone(self, call: Call, chain: list[Target]) -> NoProvider:
        retry_after = min(self._breaker(call, target).retry_in_s for target in chain)
        return NoProvider(
            f"Every target of the model alias {call.alias.name!r} failed lately and is left alone for a while.",
            retry_after=max(retry_after, 1.0),
        )


class _Walk:
    """How far a call has come along its chain."""

    def __init__(self, deadline: float, hear: Hear | None) -> None:
        self.deadline = deadline  # of the clock's monotonic time
        self.hear = hear
        self.is_void = False  # text went out that counts no longer
        self.is_allowed: bool | None = None  # by the tenant's allowance; None: not asked yet
        self.affords: bool | None = None  # by its budget; None: not asked yet
        self.reserved = 0  # of the tenant's tokens, until it is known what was used
        self.used = 0
        self.failure: FrontdeskError | None = None

    def begin_anew(self) -> None:
        if self.is_void and self.hear is not None:
            self.hear(Restart())
        self.is_void = False

    def failed(self, failure: ProviderFailure, is_free: bool) -> None:
        # `local` comes last and often can't: what failed before it tells more.
        if self.failure is None or not is_free:
            self.failure = failure


def _for(target: Target, alias: Alias, request: LLMRequest) -> LLMRequest:
    """The request to a target. What it leaves open, the alias says."""
    return msgspec.structs.replace(
        request,
        model=target.model,
        temperature=alias.temperature if request.temperature is None else request.temperature,
        max_tokens=alias.max_tokens if request.max_tokens is None else request.max_tokens,
    )
