"""The `local` provider with the real embedder, at a fixed moment."""

from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from zoneinfo import ZoneInfo

import pytest

from frontdesk.embedding.minilm import MiniLM
from frontdesk.llm.providers.local import LocalProvider

# A Wednesday.
NOW = datetime(2026, 11, 18, 10, 0, tzinfo=ZoneInfo("Europe/Berlin"))


class FixedClock:
    def now(self) -> datetime:
        return NOW.astimezone(UTC)

    def monotonic(self) -> float:
        return monotonic()


@pytest.fixture(scope="session")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> MiniLM:
    return MiniLM.load(tmp_path_factory.mktemp("models") / Path("local"))


@pytest.fixture
def local(minilm: MiniLM) -> LocalProvider:
    return LocalProvider(minilm.embed, FixedClock())


@pytest.fixture
def now() -> datetime:
    return NOW
