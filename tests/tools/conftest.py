"""What the tests of tools share."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tests.tools.tool_service import NoRecords, Service, make_context

from frontdesk.core.ids import new_id
from frontdesk.tools.types import ToolContext


@pytest.fixture
def context() -> ToolContext:
    return make_context(new_id(), NoRecords())


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = Service()
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", service.handle)
    async with TestServer(application, host="127.0.0.1") as server:
        service.url = f"http://127.0.0.1:{server.port}"
        service.port = server.port or 0
        yield service
