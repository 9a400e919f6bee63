"""The `local` provider: real, deterministic, without network; it quotes and fills slots, and says what it can't do."""

from frontdesk.llm.providers.local.provider import LocalProvider
from frontdesk.llm.providers.local.summary import summarise

__all__ = ["LocalProvider", "summarise"]
