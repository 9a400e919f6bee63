"""Regular expressions that tenants write, searched in time that grows with the text alone (RE2): no look-around, no
references back, and `\\w`, `\\d` and `\\b` know ASCII only (`\\pL` is any letter)."""

from functools import lru_cache
from typing import Protocol

import re2

_MOST_BYTES = 256 * 1024  # of one compiled expression: what needs more could search long even in linear time
_KEPT = 4_096


class BadExpression(ValueError):
    """The text is no regular expression, or one whose search can't be bounded. The sentence says which."""


class Expression(Protocol):
    def search(self, text: str) -> object | None: ...


@lru_cache(_KEPT)
def compiled(source: str) -> Expression:
    """Raises BadExpression."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MOST_BYTES
    try:
        expression: Expression = re2.compile(source, options)
    except UnicodeEncodeError as error:
        raise BadExpression("it is no valid text") from error
    except re2.error as error:
        reason = error.args[0]
        raise BadExpression(reason.decode() if isinstance(reason, bytes) else str(reason)) from error
    return expression
