"""What the tests of agents share: a desk whose agent is played by a scripted model."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from tests.agents.scripted import Desk, ScriptedProvider, build_desk, says
from tests.turns import begun_turn

from frontdesk.db import Database
from frontdesk.llm.types import Target


@pytest.fixture
def model() -> ScriptedProvider:
    return ScriptedProvider("scripted", says("Hello."))


@pytest.fixture
def backup() -> ScriptedProvider:
    return ScriptedProvider("local", says("I am only local."))


@pytest.fixture
async def desk(
    database: Database, tenant_id: UUID, tmp_path: Path, model: ScriptedProvider, backup: ScriptedProvider
) -> AsyncIterator[Desk]:
    targets = (Target("scripted", "m1", 0), Target("local", "extractive", 1))
    desk = build_desk(database, tenant_id, tmp_path, [model, backup], targets)
    await begun_turn(database, tenant_id, "u1", desk.turn_id)
    yield desk
    await desk.outbound.close()
