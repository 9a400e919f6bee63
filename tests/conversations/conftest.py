"""The desk, and its parts running in this process."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.conversations.room import Room, room
from tests.crash.bells import Bells, bells
from tests.crash.desk import Desk
from tests.vendors.server import Vendor

__all__ = ["bells"]


@pytest.fixture
def desk(vendor: Vendor, bells: Bells) -> Iterator[Desk]:
    with tempfile.TemporaryDirectory(prefix="frontdesk-desk-") as folder:
        yield Desk(Path(folder), vendor, bells)


@pytest.fixture
async def desk_room(desk: Desk, database_url: str) -> AsyncIterator[Room]:
    async with room(desk, database_url) as open_room:
        yield open_room
