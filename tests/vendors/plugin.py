"""The fixture `vendor`; the root conftest loads it for every test."""

from collections.abc import AsyncIterator

import pytest

from tests.vendors.server import Vendor


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    """A scripted vendor on loopback, fresh for the test."""
    vendor = Vendor()
    await vendor.start()
    yield vendor
    await vendor.stop()
