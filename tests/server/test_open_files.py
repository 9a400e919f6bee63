"""How many connections may be open, by what the system gives."""

import resource

import pytest

from frontdesk.core.settings import ConnectionSettings
from frontdesk.server.connections import RESERVED_FILES, allowed


@pytest.mark.parametrize(
    ("hard", "calls", "expected"),
    [
        (100_000, 1000, 4000),  # enough for all
        (RESERVED_FILES + 3250, 1000, 2000),  # what the calls leave, an eighth of it for those who are told
        (RESERVED_FILES + 2125, 2000, 1000),  # too few for both: half
        (RESERVED_FILES, 1000, 1),
    ],
)
def test_connections_leave_files_for_calls_of_models(
    monkeypatch: pytest.MonkeyPatch, hard: int, calls: int, expected: int
) -> None:
    limits = [min(hard, 1024), hard]
    monkeypatch.setattr(resource, "getrlimit", lambda _which: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", lambda _which, wanted: limits.__setitem__(0, wanted[0]))
    assert allowed(ConnectionSettings(), calls) == expected
