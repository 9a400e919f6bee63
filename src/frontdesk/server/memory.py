"""Keeps the process small where the C library is glibc; elsewhere these do nothing."""

import ctypes
from collections.abc import Callable

_M_ARENA_MAX = -8  # mallopt(3)


def one_arena() -> None:
    """Threads share one heap instead of one each: 30 MiB less, and no slower under the interpreter's lock.

    Before the first thread starts.
    """
    if (mallopt := _found("mallopt")) is not None:
        mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Returns what the start has used and freed to the system."""
    if (trim := _found("malloc_trim")) is not None:
        trim(0)


def _found(name: str) -> Callable[..., int] | None:
    try:
        return getattr(ctypes.CDLL(None), name, None)
    except OSError:
        return None
