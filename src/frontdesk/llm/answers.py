"""The exact-match cache of answers: the same request of the same tenant to the same target, asked again."""

from hashlib import blake2b
from uuid import UUID

import msgspec

from frontdesk.llm.types import LLMRequest, LLMResponse, StopReason, Target, Usage
from frontdesk.shared.cache import Cache

Key = tuple[UUID, bytes]

_CACHE = "answers"
_MOST_BYTES = 200_000  # of one that is kept
_KEPT = (StopReason.STOP, StopReason.TOOL_CALLS)
_decoder = msgspec.json.Decoder(LLMResponse)


class Answers:
    """Each for as long as its tenant says. Only whole answers are kept."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def key(self, tenant_id: UUID, version: int, target: Target, request: LLMRequest) -> Key:
        """Of all that the vendor is sent; `situation` is for `local` alone, whose answers are not kept."""
        sent = msgspec.json.encode(
            (version, target.provider, target.model, msgspec.structs.replace(request, situation=None))
        )
        return tenant_id, blake2b(sent, digest_size=16).digest()

    async def get(self, key: Key) -> LLMResponse | None:
        """With no usage: this time nothing was used."""
        tenant_id, request = key
        kept = await self._cache.get(tenant_id, _CACHE, request)
        try:
            return None if kept is None else _decoder.decode(kept)
        except msgspec.MsgspecError:  # of another version, which shares the cache with this one
            return None

    async def put(self, key: Key, response: LLMResponse, keep_s: float) -> None:
        if response.stop_reason not in _KEPT:
            return
        kept = msgspec.json.encode(msgspec.structs.replace(response, usage=Usage()))
        if len(kept) <= _MOST_BYTES:
            await self._cache.put(key[0], _CACHE, key[1], kept, keep_s)
