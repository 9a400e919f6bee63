"""Which providers there are: the vendors whose keys are configured, further servers by URL, and `local` always."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

import aiohttp
from cachetools import LRUCache
from pydantic import SecretStr

from frontdesk.core.caches import forget
from frontdesk.core.clock import Clock
from frontdesk.core.errors import SettingsError
from frontdesk.core.settings import Settings
from frontdesk.db.cipher import DecryptFailed
from frontdesk.embedding.types import Embedder
from frontdesk.llm.prices import Rates
from frontdesk.llm.providers.anthropic import AnthropicProvider
from frontdesk.llm.providers.gemini import GeminiProvider
from frontdesk.llm.providers.local.provider import LocalProvider
from frontdesk.llm.providers.openai import OpenAIProvider
from frontdesk.llm.types import Provider, ProviderAuthFailed

LOCAL = "local"
# Of tenants' own keys: the providers made of them.
_MOST_KEPT = 2000

NamedSecret = Callable[[UUID, str], Awaitable[str | None]]
# What genai-prices calls the vendors, where it differs from our names.
PRICE_NAMES = {"gemini": "google"}
_VENDORS = ("openai", "anthropic", "gemini")


def prices_said(settings: Settings) -> dict[tuple[str, str], Rates]:
    """By provider and model. Raises SettingsError for a provider that there can't be."""
    known = {*_VENDORS, *settings.providers}
    for provider in settings.prices:
        if provider not in known:
            raise SettingsError(f"prices.{provider}: there is no such provider, only {', '.join(sorted(known))}.")
    return {
        (provider, model): Rates(price.input, price.output, price.cached)
        for provider, models in settings.prices.items()
        for model, price in models.items()
    }


@dataclass(frozen=True, slots=True)
class Providers:
    by_name: Mapping[str, Provider]
    keys: Mapping[str, str]  # what the operator calls each one's key


def build_providers(settings: Settings, http: aiohttp.ClientSession, embedder: Embedder, clock: Clock) -> Providers:
    idle_s = settings.gateway.first_token_s
    found: dict[str, Provider] = {}
    keys: dict[str, str] = {}
    vendors = (
        ("openai", settings.openai_api_key, settings.openai_base_url),
        ("anthropic", settings.anthropic_api_key, settings.anthropic_base_url),
        ("gemini", settings.gemini_api_key, settings.gemini_base_url),
    )
    for name, key, base_url in vendors:
        # A compatible server by `base_url` may need no key; the vendor itself always does.
        if key is not None or (name == "openai" and base_url):
            found[name] = _of_kind(name, name, http, key, base_url, idle_s)
            keys[name] = f"{name.upper()}_API_KEY"
    for name, provider in settings.providers.items():
        found[name] = _of_kind(provider.kind, name, http, provider.api_key, provider.base_url, idle_s)
        keys[name] = f"providers.{name}.api_key"
    found[LOCAL] = LocalProvider(embedder.embed, clock)
    return Providers(found, keys)


def _of_kind(
    kind: str, name: str, http: aiohttp.ClientSession, key: SecretStr | None, base_url: str | None, idle_s: float
) -> Provider:
    match kind:
        case "anthropic":
            return AnthropicProvider(http, key, name=name, base_url=base_url, idle_s=idle_s)
        case "gemini":
            return GeminiProvider(http, key, name=name, base_url=base_url, idle_s=idle_s)
        case _:
            return OpenAIProvider(http, key, name=name, base_url=base_url, idle_s=idle_s)


class TenantProviders:
    """The same vendors and servers with tenants' own keys, which are secrets of theirs. Where they are is the
    deployment's matter: a tenant names none of its own."""

    def __init__(self, settings: Settings, http: aiohttp.ClientSession, secret: NamedSecret) -> None:
        self._http = http
        self._secret = secret
        self._idle_s = settings.gateway.first_token_s
        self._places: dict[str, tuple[str, str | None]] = {
            "openai": ("openai", settings.openai_base_url),
            "anthropic": ("anthropic", settings.anthropic_base_url),
            "gemini": ("gemini", settings.gemini_base_url),
        } | {name: (provider.kind, provider.base_url) for name, provider in settings.providers.items()}
        self._kept: LRUCache[tuple[UUID, str, str], tuple[str, Provider]] = LRUCache(_MOST_KEPT)

    def has(self, name: str) -> bool:
        return name in self._places

    async def of(self, tenant_id: UUID, name: str, secret: str) -> Provider:
        """Raises ProviderAuthFailed when the tenant has no such secret, or it can't be opened."""
        try:
            key = await self._secret(tenant_id, secret)
        except DecryptFailed as error:
            raise ProviderAuthFailed(f"The tenant's secret {secret} can't be opened.", provider=name) from error
        if key is None:
            raise ProviderAuthFailed(f"The tenant has no secret {secret}.", provider=name)
        kept = self._kept.get((tenant_id, name, secret))
        if kept is None or kept[0] != key:  # a changed secret is a new provider
            kind, base_url = self._places[name]
            provider = _of_kind(kind, name, self._http, SecretStr(key), base_url, self._idle_s)
            kept = self._kept[(tenant_id, name, secret)] = (key, provider)
        return kept[1]

    def forget(self, tenant_id: UUID) -> None:
        """The tenant is gone."""
        forget(self._kept, tenant_id)
