"""What an entry may hold of a change: its JSON with secrets masked, in one order, and of bounded size."""

import hashlib
import re
from typing import Any  # JSON of any shape

from frontdesk.core.json import dumps

MASK = "***"
MOST_BYTES = 32 * 1024

# Names under which texts are secrets. Numbers stay: `max_tokens` tells nothing.
_SECRET_NAMES = re.compile(
    r"secret|passw|passphrase|token|api_?key|_key$|authorization|cookie|credential|totp|otp_|recovery|private", re.I
)
# Texts that are secrets wherever they stand: keys of ours and of vendors, tokens, passwords in URLs. A token is looked
# for once in a run of its characters, and nothing is given back: a tenant's own texts are masked on the loop of all.
_SECRET_TEXTS = re.compile(
    r"\b(?:fd_|sk-|AIza|xox[abp]-|gh[pousr]_)[\w-]{8,}"
    r"|(?<![\w-])(?=[\w-]*?\beyJ)[\w-]++\.[\w-]++\.[\w-]*+"
    r"|(?<=://)[^/@\s]+(?=@)"
    r"|(?i:(?<=bearer )|(?<=basic ))[\w.~+/=-]{8,}"
)


def recorded(change: dict[str, Any] | None) -> str | None:
    """The JSON to store. What is too large is told by its size and hash alone."""
    if change is None:
        return None
    text = dumps(_masked(change))
    if len(text) > MOST_BYTES:
        text = dumps({"omitted": True, "bytes": len(text), "sha256": hashlib.sha256(text).hexdigest()})
    return text.decode()


def masked_text(text: str) -> str:
    return _SECRET_TEXTS.sub(MASK, text)


def _masked(value: Any, *, is_secret: bool = False) -> Any:
    match value:
        case dict():
            names = sorted(value)
            return {name: _masked(value[name], is_secret=is_secret or _is_secret(name)) for name in names}
        case list() | tuple():
            return [_masked(each, is_secret=is_secret) for each in value]
        case str():
            return MASK if is_secret and value else masked_text(value)
        case bytes():
            return MASK
        case _:
            return value


def _is_secret(name: str) -> bool:
    return _SECRET_NAMES.search(name) is not None
