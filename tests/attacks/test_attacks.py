"""Every route of the table under every attack that is known: refused, with nothing shown and nothing changed."""

from collections.abc import Callable

import pytest

from tests.attacks.conftest import Stage
from tests.attacks.kinds import KINDS
from tests.attacks.suite import attacked


@pytest.mark.parametrize("kind", KINDS)
async def test_every_route_withstands(stage: Stage, kind: str, record_property: Callable[[str, object], None]) -> None:
    outcome = await attacked(stage.grounds, stage.apps, stage.cast, stage.table, kind)
    record_property("attacks", (list(KINDS).index(kind), kind, outcome.count, len(outcome.routes)))
    assert outcome.findings == []
    assert outcome.count > 0
