"""Caches whose keys are a tenant's id, or begin with it."""

from collections.abc import MutableMapping
from typing import Any  # the other parts of a key, and the values, are each cache's own
from uuid import UUID


def forget(cache: MutableMapping[Any, Any], tenant_id: UUID) -> None:
    """Removes all that is the tenant's."""
    for key in list(cache):
        if key == tenant_id or (isinstance(key, tuple) and key[0] == tenant_id):
            cache.pop(key, None)
