"""What a call costs, to the last digit, from the maintained tables of `genai-prices`.

The tables are loaded by the first vendor's call and not before (15 MB, 0.2 s, in a thread); a model is looked up
once. The rates are then applied here: the library's own way costs 100 µs a call, as much as the whole HTTP request.
"""

import asyncio
from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

import msgspec
from cachetools import LRUCache
from genai_prices import data_snapshot
from genai_prices.types import ModelInfo, ModelPrice, TieredPrices
from genai_prices.types import Usage as PricedUsage

from frontdesk.llm.types import Usage

_MILLION = Decimal(1_000_000)
# Prices of what a call of ours uses but our usage does not tell apart: the library knows how.
_SPECIAL = ("output_reasoning_mtok", "requests_kcount")


# Of rates: whatever model of the provider has none of its own.
ANY_MODEL = "*"


class Rates(msgspec.Struct, frozen=True):
    """USD per million tokens, at least 0. `cached`: of input that the provider had kept; None: as `input`."""

    input: Decimal
    output: Decimal
    cached: Decimal | None = None

    @property
    def are_zero(self) -> bool:
        return not (self.input or self.output or self.cached)


class Prices:
    """Costs by provider and model. `names`: our provider's name -> the tables' name, where they differ.

    `said`: by provider and model what the operator says, which stands over the tables.
    """

    def __init__(
        self,
        names: Mapping[str, str],
        free: Collection[str],
        said: Mapping[tuple[str, str], Rates] = MappingProxyType({}),
    ) -> None:
        self._names = dict(names)
        self._free = frozenset(free)
        self._said = {
            target: (rates, ModelPrice(input_mtok=rates.input, output_mtok=rates.output, cache_read_mtok=rates.cached))
            for target, rates in said.items()
        }
        self._models: LRUCache[tuple[str, str], ModelInfo | None] = LRUCache(1000)

    def is_free(self, provider: str) -> bool:
        return provider in self._free

    def is_zero(self, provider: str, model: str) -> bool:
        """Whether the operator says that its tokens cost nothing: it is bounded as others are, but by no budget."""
        said = self._said_of(provider, model)
        return said is not None and said[0].are_zero

    async def load(self, provider: str, model: str) -> None:
        """Look the model up, so that `cost` knows it. Off the event loop: the first time reads the tables."""
        if provider in self._free or self._said_of(provider, model) is not None:
            return
        if (provider, model) not in self._models:
            self._models[provider, model] = await asyncio.to_thread(self._find, provider, model)

    def is_known(self, provider: str, model: str, moment: datetime) -> bool:
        """Whether what a call costs can be told. After `load`."""
        return self.cost(provider, model, Usage(input_tokens=1, output_tokens=1), moment) is not None

    def cost(self, provider: str, model: str, usage: Usage, moment: datetime) -> Decimal | None:
        """In USD. None: no price is known for that model."""
        if provider in self._free:
            return Decimal(0)
        if (said := self._said_of(provider, model)) is not None:
            return cost_of(said[1], usage)
        known = self._models.get((provider, model))
        return None if known is None else cost_of(known.get_prices(moment), usage)

    def _said_of(self, provider: str, model: str) -> tuple[Rates, ModelPrice] | None:
        return self._said.get((provider, model)) or self._said.get((provider, ANY_MODEL))

    def _find(self, provider: str, model: str) -> ModelInfo | None:
        try:
            found = data_snapshot.get_snapshot().find_provider_model(
                model, None, self._names.get(provider, provider), None
            )
        except LookupError:
            return None
        return found[1]


def cost_of(prices: ModelPrice, usage: Usage) -> Decimal | None:
    """The library's figure, by a sum of our own where only tokens are charged for (a test compares them all)."""
    rates = vars(prices)
    plain, output = rates.get("input_mtok"), rates.get("output_mtok")
    if plain is None or output is None or any(rates.get(key) is not None for key in _SPECIAL):
        return _by_library(prices, usage)
    prompt = usage.input_tokens
    uncached = max(0, prompt - usage.cached_tokens - usage.cache_write_tokens)
    total = _rate(plain, prompt) * uncached + _rate(output, prompt) * usage.output_tokens
    for key, count in (("cache_read_mtok", usage.cached_tokens), ("cache_write_mtok", usage.cache_write_tokens)):
        if count:
            price = rates.get(key)
            total += _rate(plain if price is None else price, prompt) * count
    return total / _MILLION


def _rate(price: Decimal | TieredPrices, prompt: int) -> Decimal:
    """USD per million. A step by the prompt's length holds for every token of the call."""
    if isinstance(price, Decimal):
        return price
    rate = price.base
    for tier in price.tiers:  # ascending
        if prompt > tier.start:
            rate = tier.price
    return rate


def _by_library(prices: ModelPrice, usage: Usage) -> Decimal | None:
    priced = PricedUsage(
        input_tokens=usage.input_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.output_tokens,
        output_reasoning_tokens=usage.reasoning_tokens,
    )
    try:
        return prices.calc_price(priced)["total_price"]
    except ValueError:  # the model charges for what a call of ours does not tell
        return None
