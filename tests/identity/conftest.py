"""An office for each test."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from office import Office

from frontdesk.db import Database


@pytest.fixture
async def office(database: Database, tenant_id: UUID) -> AsyncIterator[Office]:
    yield Office(database, tenant_id)
