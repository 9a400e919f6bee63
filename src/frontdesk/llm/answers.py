"""The exact-match cache of answers: the same request of the same tenant to the same target, asked again."""

from hashlib import blake2b
from uuid import UUID

import msgspec
from cachetools import TLRUCache

from frontdesk.core.caches import forget
from frontdesk.core.clock import Clock
from frontdesk.llm.types import LLMRequest, LLMResponse, StopReason, Target, Usage

_MOST_CHARACTERS = 16_000_000
_ENTRY_CHARACTERS = 500  # what an entry weighs beside its text

Key = tuple[UUID, int, str, str, bytes]

_KEPT = (StopReason.STOP, StopReason.TOOL_CALLS)


class Answers:
    """Bounded by size, each entry for as long as its tenant says. Only whole answers are kept."""

    def __init__(self, clock: Clock) -> None:
        self._entries: TLRUCache[Key, tuple[LLMResponse, float]] = TLRUCache(
            _MOST_CHARACTERS, ttu=lambda _key, entry, now: now + entry[1], timer=clock.monotonic, getsizeof=_size
        )

    def key(self, tenant_id: UUID, version: int, target: Target, request: LLMRequest) -> Key:
        """Of all that the vendor is sent; `situation` is for `local` alone, whose answers are not kept."""
        sent = msgspec.json.encode(msgspec.structs.replace(request, situation=None))
        return tenant_id, version, target.provider, target.model, blake2b(sent, digest_size=16).digest()

    def get(self, key: Key) -> LLMResponse | None:
        """With no usage: this time nothing was used."""
        entry = self._entries.get(key)
        return None if entry is None else msgspec.structs.replace(entry[0], usage=Usage())

    def forget(self, tenant_id: UUID) -> None:
        forget(self._entries, tenant_id)

    def put(self, key: Key, response: LLMResponse, keep_s: float) -> None:
        entry = (response, keep_s)
        if response.stop_reason in _KEPT and _size(entry) <= _MOST_CHARACTERS // 100:
            self._entries[key] = entry


def _size(entry: tuple[LLMResponse, float]) -> int:
    response = entry[0]
    return _ENTRY_CHARACTERS + len(response.text) + sum(len(call.raw) for call in response.tool_calls)
