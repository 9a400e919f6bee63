"""What all evaluations share: their arguments, the data's folders, the part set aside, and the report."""

import argparse
import json
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any  # rows of data sets are JSON

Row = dict[str, Any]

DEFAULT_DATA = Path("../shared/data")  # relative to the repository
SET_ASIDE = 0.2
SEED = 20_261_121


@dataclass(frozen=True)
class Folders:
    """Where is learnt from and where is measured; the same folder: a part of it is set aside, the same each time."""

    data: Path
    test: Path
    out: Path | None

    @classmethod
    def from_arguments(cls, what: str) -> "Folders":
        parser = argparse.ArgumentParser(description=what)
        parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="what may be learnt from")
        parser.add_argument("--test", type=Path, help="what is measured (default: a part of DATA, set aside)")
        parser.add_argument("--out", type=Path, help="where the JSON report goes")
        given = parser.parse_args()
        return cls(given.data, given.test or given.data, given.out)

    @property
    def is_split(self) -> bool:
        return self.data.resolve() == self.test.resolve()

    def has(self, path: str) -> bool:
        return (self.data / path).is_file() and (self.test / path).is_file()

    def rows(self, path: str) -> tuple[list[Row], list[Row]]:
        """(to learn from, to measure), disjoint when both folders are one."""
        learnt = read(self.data / path)
        if not self.is_split:
            return learnt, read(self.test / path)
        places = list(range(len(learnt)))
        random.Random(SEED).shuffle(places)
        aside = set(places[: int(len(places) * SET_ASIDE)])
        return [row for at, row in enumerate(learnt) if at not in aside], [learnt[at] for at in sorted(aside)]


@dataclass
class Report:
    """Figures of one evaluation, printed and written as `docs` of the API say."""

    name: str
    folders: Folders
    items: int = 0
    busy_s: float = 0.0
    metrics: dict[str, Any] = field(default_factory=dict)

    def finish(self, measured: str = "set aside") -> None:
        """`measured`: what of the data was measured when no other folder is."""
        each = round(self.busy_s / self.items * 1000, 3) if self.items else None
        body = {
            "name": self.name,
            "data": self.folders.data.name,
            "test": measured if self.folders.is_split else self.folders.test.name,
            "items": self.items,
            "ms_per_item": each,
            "metrics": self.metrics,
        }
        text = json.dumps(body, indent=2, ensure_ascii=False) + "\n"
        print(text)
        if self.folders.out:
            self.folders.out.parent.mkdir(parents=True, exist_ok=True)
            self.folders.out.write_text(text, encoding="utf-8")
            self.folders.out.with_suffix(".md").write_text(markdown(body), encoding="utf-8")


def markdown(body: Mapping[str, Any]) -> str:
    """The same for people: one row a figure, those of one set under its name."""
    lines = [
        f"# {body['name'].capitalize()}",
        "",
        f"Learnt from `{body['data']}`, measured on: {body['test']}; {body['items']:,} items, "
        f"{body['ms_per_item']} ms each, the embedding of the text included where there is one. "
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with `make eval-{body['name']}`; "
        "what the figures mean and don't: [README](../README.md).",
        "",
        "| figure | value |",
        "|---|---|",
    ]
    lines += [f"| {name} | {value} |" for name, value in _flat("", body["metrics"])]
    return "\n".join(lines) + "\n"


def _flat(prefix: str, metrics: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{name}: ", value)
        else:
            yield f"{prefix}{name}", value


class Stopwatch:
    """Adds the time of its `with` block to a report."""

    def __init__(self, report: Report, items: int) -> None:
        self._report = report
        self._items = items

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._report.busy_s += time.perf_counter() - self._began
        self._report.items += self._items


def read(path: Path) -> list[Row]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def share(flags: Iterable[bool]) -> float | None:
    """Of those that are true; None of nothing."""
    counted = list(flags)
    return round(sum(counted) / len(counted), 4) if counted else None


def calibration_error(confidences: Sequence[float], right: Sequence[bool], bins: int = 15) -> float | None:
    """Expected calibration error: the gap between confidence and accuracy, over bins of equal width."""
    if not confidences:
        return None
    gaps = 0.0
    for number in range(bins):
        inside = [at for at, value in enumerate(confidences) if min(int(value * bins), bins - 1) == number]
        if inside:
            gaps += abs(sum(confidences[at] - right[at] for at in inside))
    return round(gaps / len(confidences), 4)
