"""`frontdesk train` beside a real server: from verdicts to examples in files, and what applying them changes."""

import asyncio
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.cli.test_commands import run
from tests.conftest import HANG_S
from tests.served import Served, serving

from frontdesk.apply.files import read_folder

CLINIC = Path(__file__).parents[2] / "examples" / "clinic"
ASKED = "Is there a lending library for crutches?"


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """A server of its own, with the clinic in a folder that may be written to."""
    with tempfile.TemporaryDirectory(prefix="frontdesk-train-", ignore_cleanup_errors=True) as folder:
        shutil.copytree(CLINIC, Path(folder) / "tenants" / "clinic")
        environment = {"FRONTDESK_TENANTS": str(Path(folder) / "tenants"), "FRONTDESK_EXAMPLE": ""}
        async with serving(Path(folder) / "data", environment) as running:
            yield running


def files_of(served: Served) -> Path:
    return served.data.parent / "tenants" / "clinic"


async def command(served: Served, *arguments: str) -> str:
    environment = {"FRONTDESK_TENANTS": str(files_of(served).parent), "FRONTDESK_EXAMPLE": "", "COLUMNS": "200"}
    done = await asyncio.to_thread(run, *arguments, "--data", str(served.data), **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def judged(served: Served, text: str, verdict: str, agent: str | None = None) -> dict[str, object]:
    answer = await served.chat(text)
    body = {"user_id": "sue", "verdict": verdict} | ({"agent": agent} if agent else {})
    done = await served.client.put(f"/api/clinic/messages/{answer['message_id']}/feedback", json=body)
    assert done.status_code == 200, done.text
    return answer


async def test_corrections_become_examples_that_route_rightly_once_applied(served: Served) -> None:
    folder = files_of(served)
    before = {path.name: path.read_text() for path in folder.glob("agents/*.yaml")}
    assert (await judged(served, ASKED, "wrong", "test_preparation"))["agents"] != ["test_preparation"]
    await judged(served, "My name is Joe Miller and I need crutches", "wrong", "test_preparation")
    await judged(served, "My name is Jane Roe and I need crutches", "wrong")

    shown = await command(served, "train", str(folder), "--dry-run")
    assert f"+  - {ASKED}" in shown
    assert "somebody's name" in shown and "Joe Miller" not in shown
    assert "nobody said whose matter it was" in shown and "Jane Roe" not in shown
    assert "the agents' examples" in shown and "judged messages" in shown
    assert "of the last 3 messages would be routed otherwise" in shown
    assert "This was a dry run" in shown
    assert {path.name: path.read_text() for path in folder.glob("agents/*.yaml")} == before

    assert "frontdesk apply" in await command(served, "train", "--tenant", "clinic")
    after = {path.name: path.read_text() for path in folder.glob("agents/*.yaml")}
    assert {name for name in after if after[name] != before[name]} == {"test_preparation.yaml"}
    assert "# learnt from feedback" in after["test_preparation.yaml"]
    assert set(before["test_preparation.yaml"].splitlines()) < set(after["test_preparation.yaml"].splitlines())
    assert ASKED in read_folder(folder).agents["test_preparation"].examples

    await command(served, "apply", str(folder))
    async with asyncio.timeout(HANG_S):  # the server takes over the new version by itself
        while (await served.chat(ASKED))["agents"] != ["test_preparation"]:
            await asyncio.sleep(0.1)
    again = await command(served, "train", str(folder))
    assert "an example says it already" in again and "No file was changed" in again


async def test_without_verdicts_the_examples_are_measured(served: Served) -> None:
    shown = await command(served, "train", str(files_of(served)), "--dry-run")
    assert "the agents' examples" in shown and re.search(r"\d+ of \d{3} \(\d+\.\d %\)", shown)
    assert "0 judged messages, 0 new examples" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", str(CLINIC), "--tenant", "bakery"), "holds the tenant clinic, not bakery"),
        (("train", "--tenant", "bakery"), "The folder of the tenant 'bakery' is not known"),
        (("train", "/nowhere"), "is not a folder"),
    ],
)
def test_what_cannot_be_done_is_told_before_anything_is_opened(arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments)
    assert done.returncode == 1
    assert said in " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in done.stderr
