"""Results as they are committed: one small JSON and the same as Markdown beside it."""

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any  # rich's fields

from rich.progress import Progress, ProgressColumn, TaskID

from benchmarks.machine import sentence

RESULTS = Path(__file__).parent / "results"


def arguments(name: str, description: str) -> argparse.ArgumentParser:
    """What every benchmark takes. SIGTERM then ends it as Ctrl-C does: with everything it started stopped."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    parser.add_argument("--out", type=Path, default=RESULTS / f"{name}.json", help="JSON; Markdown comes beside it")
    return parser


class Steps(Progress):
    """A bar where there is a terminal, else a line for each step: a log shows how far a run is too."""

    def __init__(self, *columns: ProgressColumn) -> None:
        super().__init__(*columns, transient=True)
        self._began = time.monotonic()

    def add_task(self, description: str, *args: Any, **fields: Any) -> TaskID:
        task_id = super().add_task(description, *args, **fields)
        self._tell(task_id)
        return task_id

    def update(self, task_id: TaskID, **fields: Any) -> None:
        super().update(task_id, **fields)
        if "description" in fields:
            self._tell(task_id)

    def _tell(self, task_id: TaskID) -> None:
        if self.console.is_terminal:
            return
        task = self.tasks[task_id]
        done = f"{task.completed:.0f}/{task.total:.0f}  " if task.total else ""
        print(f"{time.monotonic() - self._began:4.0f} s  {done}{task.description}", file=sys.stderr, flush=True)


def write(
    name: str,
    out: Path,
    where: dict[str, object],
    results: dict[str, object],
    title: str,
    body: str,
    *,
    made_by: str | None = None,
) -> None:
    """`where`: `machine()`, taken before the measurement. `made_by`: the command, when it is no `make bench-…`."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"name": name, "machine": where} | results, indent=1, default=str) + "\n")
    text = f"# {title}\n\n<!-- made by `{made_by or f'make bench-{name}'}` -->\n\n{sentence(where)}\n\n{body.strip()}\n"
    out.with_suffix(".md").write_text(text)
    print(f"\n{text}\nwritten: {out}")


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines) + "\n"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return "–" if value is None else str(value)
