"""A folder for servers that PostgreSQL's own user can reach: pytest's is closed to others with each new session."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.crash.bells import Bells, bells
from tests.crash.desk import Desk
from tests.vendors.server import Vendor

__all__ = ["bells"]


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="frontdesk-crash-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def desk(place: Path, vendor: Vendor, bells: Bells) -> Desk:
    return Desk(place, vendor, bells)
