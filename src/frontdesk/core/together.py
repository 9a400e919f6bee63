"""Work done side by side."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar  # what a coroutine is sent is nobody's concern

T = TypeVar("T")


async def together(works: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """The results in order. The first failure cancels the others, and is raised as it is. One alone needs no task."""
    if len(works) == 1:
        return [await works[0]]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from several
    return [task.result() for task in tasks]
