"""The running server keeps to the OpenAPI that it shows: statuses, types, bodies and headers, whatever is sent."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.fuzz.contract import check_contract
from tests.served import Served, serving

pytestmark = pytest.mark.xdist_group("fuzz")

# A seed and a number, no clock: the same cases each time. `make fuzz` looks for others.
AMOUNT = ("--seed", "1", "--max-examples", "12")


@pytest.fixture(scope="module")
async def own_server() -> AsyncIterator[Served]:
    """Of its own: its log is read, and sessions are made and erased at random."""
    with tempfile.TemporaryDirectory(prefix="frontdesk-fuzz-") as folder:
        async with serving(Path(folder)) as running:
            yield running


async def test_every_route_answers_as_documented(own_server: Served, tmp_path: Path) -> None:
    found = await check_contract(own_server, tmp_path, *AMOUNT)
    assert found.passed, found.report
    assert found.cases > 500
    assert found.broken == []


async def test_streams_answer_as_documented(own_server: Served, tmp_path: Path) -> None:
    only = ("--include-path-regex", "(chat|stream)$", "--phases", "coverage,fuzzing")
    found = await check_contract(own_server, tmp_path, *AMOUNT, *only, headers=("Accept: text/event-stream",))
    assert found.passed, found.report
    assert found.cases > 50
    assert found.broken == []
