"""The servers that are measured: frontdesk, the floors beside it, and the model that answers them all at once."""

import contextlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any  # answers are JSON

from benchmarks.processes import NotStarted, clean_environment, free_port, started, wait_until_ready

TENANTS = Path(__file__).parent / "tenants"
# Servers that do the same turn with less: they are no part of this repository, and left out where they aren't there.
FLOORS = Path(os.environ.get("FLOORS", "../shared/bench"))


@dataclass(frozen=True)
class Running:
    """`headers`: the credential that a program would bring, where one was made."""

    url: str
    pid: int
    headers: Mapping[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def model(folder: Path, *pace: int) -> Iterator[Running]:
    """`pace`: tokens a second of a streamed answer; without it all at once."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.mock_llm", str(port), *map(str, pace)]
    with started(command, folder / "model.log") as process:
        wait_until_ready(process, f"http://127.0.0.1:{port}/stats", folder / "model.log")
        yield Running(f"http://127.0.0.1:{port}", process.pid)


# What is measured is the server, not what it lets one contact have of it. The counting goes on.
UNLIMITED = {f"limits__{whose}messages_per_minute": "1000000000" for whose in ("", "key_", "contact_", "address_")} | {
    "limits__concurrent_turns": "1000000",
    "limits__conversation_messages": "1000000000",
}


@contextlib.contextmanager
def frontdesk(folder: Path, *, key_of: str | None = None, **settings: str) -> Iterator[Running]:
    """A server of its own on a free port; `settings` are those of `docs/configuration.md`, in small letters.

    `key_of`: the tenant of which there is to be an API key.
    """
    port = free_port()
    defaults = {"data": str(folder / "data"), "port": str(port)}
    settings = defaults | UNLIMITED | settings
    environment = clean_environment(**{f"FRONTDESK_{name.upper()}": value for name, value in settings.items()})
    log = folder / "frontdesk.log"
    with started([sys.executable, "-m", "frontdesk", "serve"], log, environment=environment) as process:
        wait_until_ready(process, f"http://127.0.0.1:{port}/health/ready", log)
        headers = _bearing(key_of, environment) if key_of is not None else {}
        yield Running(f"http://127.0.0.1:{port}", process.pid, headers)


def _bearing(tenant: str, environment: Mapping[str, str]) -> dict[str, str]:
    command = [sys.executable, "-m", "frontdesk", "key", "create", "bench", "--scope", "chat", "--tenant", tenant]
    made = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    return {"authorization": f"Bearer {made.stdout.strip()}"}


@contextlib.contextmanager
def floor(name: str, folder: Path, database_url: str, model_url: str) -> Iterator[Running]:
    """One of FLOORS/peers. Raises NotStarted, also when its packages are not installed here."""
    app, more = _FLOORS[name]
    if not (FLOORS / "peers" / f"{app}.py").exists():
        raise NotStarted(f"{name}: not in {FLOORS} (FLOORS=folder)")
    port, log = free_port(), folder / f"{name}.log"
    environment = clean_environment(BENCH_PG_URI=database_url, BENCH_LLM_URL=f"{model_url}/v1", OPENAI_API_KEY="x")
    command = [sys.executable, "-m", "uvicorn", f"{app}:app", "--port", str(port), "--loop", "uvloop",
               "--http", "httptools", "--no-access-log", "--log-level", "warning"]  # fmt: skip
    with started(command, log, environment=environment | dict(more), cwd=FLOORS / "peers") as process:
        wait_until_ready(process, f"http://127.0.0.1:{port}/", log, within_s=30)
        yield Running(f"http://127.0.0.1:{port}", process.pid)


@contextlib.contextmanager
def relay(folder: Path, model_url: str) -> Iterator[Running]:
    """`relay.py`, served as our own application is."""
    port, log = free_port(), folder / "relay.log"
    command = [sys.executable, "-m", "uvicorn", "benchmarks.relay:app", "--port", str(port), "--loop", "uvloop",
               "--http", "httptools", "--no-access-log", "--log-level", "warning", "--backlog", "2048"]  # fmt: skip
    with started(command, log, environment=clean_environment(RELAY_MODEL_URL=model_url)) as process:
        wait_until_ready(process, f"http://127.0.0.1:{port}/", log, within_s=30)
        yield Running(f"http://127.0.0.1:{port}", process.pid)


# name -> its module and what chooses the variant
_FLOORS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "durable_floor": ("durable_floor", {"BENCH_CLIENT": "raw"}),
    "floor": ("floor", {}),
    "byhand": ("byhand", {}),
}


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=60) as response:
        return json.load(response)


def get_text(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as response:
        return str(response.read().decode())


def post(url: str, body: Mapping[str, Any]) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)
