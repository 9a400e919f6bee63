"""At start-up: is every configured provider there, and does it take its key?"""

import asyncio
from collections.abc import Mapping

import msgspec

from frontdesk.llm.types import Provider, ProviderAuthFailed, ProviderFailure

TIMEOUT_S = 5.0


class ProviderCheck(msgspec.Struct, frozen=True):
    """`detail` is a sentence for the operator: `ANTHROPIC_API_KEY was refused.`"""

    provider: str
    ok: bool
    detail: str


async def check_providers(
    providers: Mapping[str, Provider], keys: Mapping[str, str], timeout_s: float = TIMEOUT_S
) -> list[ProviderCheck]:
    """All at once, by name. `keys`: what the operator calls each provider's key, where it has one."""
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_check(name, provider, keys.get(name, f"The key of {name}"), timeout_s))
            for name, provider in sorted(providers.items())
        ]
    return [task.result() for task in tasks]


async def _check(name: str, provider: Provider, key: str, timeout_s: float) -> ProviderCheck:
    try:
        async with asyncio.timeout(timeout_s):
            await provider.check()
    except ProviderAuthFailed:
        return ProviderCheck(name, False, f"{key} was refused.")
    except ProviderFailure as failure:
        return ProviderCheck(name, False, failure.detail)
    except TimeoutError:
        return ProviderCheck(name, False, f"{name} did not answer within {timeout_s:g} s.")
    return ProviderCheck(name, True, "ok")
