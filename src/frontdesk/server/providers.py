"""Which providers there are: the vendors whose keys are configured, further servers by URL, and `local` always."""

from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from pydantic import SecretStr

from frontdesk.core.clock import Clock
from frontdesk.core.settings import Settings
from frontdesk.embedding.types import Embedder
from frontdesk.llm.providers.anthropic import AnthropicProvider
from frontdesk.llm.providers.gemini import GeminiProvider
from frontdesk.llm.providers.local.provider import LocalProvider
from frontdesk.llm.providers.openai import OpenAIProvider
from frontdesk.llm.types import Provider

LOCAL = "local"
# What genai-prices calls the vendors, where it differs from our names.
PRICE_NAMES = {"gemini": "google"}


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
