"""The running server keeps to the OpenAPI that it shows: statuses, types, bodies and headers, whatever is sent."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.fuzz.contract import check_contract, signed_in
from tests.identities import bearing
from tests.served import Served, serving

from frontdesk.identity.permissions import Role
from frontdesk.identity.staff import STAFF_ROLES

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


@pytest.mark.parametrize("role", STAFF_ROLES)
async def test_every_role_is_answered_as_documented(own_server: Served, tmp_path: Path, role: Role) -> None:
    """With a real sign-in of each. What it may not is refused as documented."""
    token = await signed_in(own_server, role)
    few = ("--seed", "1", "--max-examples", "2", "--phases", "examples,fuzzing", "--mode", "positive")
    checks = (
        "--checks",
        "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
    )
    others = ("--exclude-path-regex", "^/api/auth/(sessions|password|second)|^/api/admin/(staff|keys)/")
    found = await check_contract(own_server, tmp_path, *few, *checks, *others, credential=token)
    assert found.passed, found.report
    assert found.cases > 50
    assert found.broken == []


async def test_an_operator_is_answered_as_documented(own_server: Served, tmp_path: Path) -> None:
    """Tenants are made, suspended, resumed and deleted at random, but for his own."""
    token = await signed_in(own_server, Role.VIEWER, is_operator=True)
    found = await check_contract(
        own_server, tmp_path, *AMOUNT, "--include-path-regex", "^/api/admin/tenants", credential=token
    )
    assert found.passed, found.report
    assert found.cases > 100
    assert found.broken == []
    listed = await own_server.nobody.get("/api/admin/tenants", headers=bearing(token))
    assert len(listed.json()["items"]) > 1
