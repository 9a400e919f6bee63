"""Writes the tables of measured figures into README.md and docs/quality.md, from the committed results.

`python scripts/figures.py` writes them between the markers `<!-- figures: AREA -->` and `<!-- end of figures -->`;
`--check` only says whether they agree. What each figure is, its aim and its baseline stand in `figures.toml`.
"""

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any  # results are JSON

from pydantic import BaseModel, Field

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "docs" / "quality.md")
RESULTS = ("evals/results", "benchmarks/results")

_MARKED = re.compile(r"(<!-- figures: ([a-z ]+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)
_PLACED = re.compile(r"\{([^}|]+)\|([a-z]+)\}")
_AIM = re.compile(r"(<=|>=|==) ([\d.]+)")
_UNITS = {"times": "×", "us": "µs", "kib": "KiB", "mib": "MiB", "rate": "turns/s"}
_ORDERS = {"<=": "≤", ">=": "≥", "==": ""}


class Figure(BaseModel, extra="forbid"):
    """One row. Its value is (at - less) / over of the result's JSON, each a path of keys joined by ` / `."""

    area: str
    what: str
    file: str
    at: str
    less: str | None = None
    over: str | None = None
    form: str = "number"
    aim: str | None = Field(None, pattern=_AIM.pattern)
    baseline: str = ""  # `{path|form}` in it is a value of the same result
    command: str
    readme: bool = False


def value_at(result: Any, path: str) -> float | None:
    """None where there is no number at the path; of a list, how many there are."""
    for key in path.split(" / "):
        result = result.get(key) if isinstance(result, dict) else None
    if isinstance(result, list):
        return float(len(result))
    return float(result) if isinstance(result, int | float) and not isinstance(result, bool) else None


def value_of(figure: Figure, result: Any) -> float | None:
    value = value_at(result, figure.at)
    for path in (figure.less, figure.over):
        part = value_at(result, path) if path else None
        if path and (part is None or value is None):
            return None
        if path == figure.less and part is not None and value is not None:
            value -= part
        elif part is not None and value is not None:
            value = value / part if part else None
    return value


def formed(value: float, form: str) -> str:
    """As people read it; three digits at most where it is measured, all where it is counted."""
    match form:
        case "percent":
            return f"{100 * value:.1f} %"
        case "count":
            return f"{value:,.0f}"
        case "number":
            return f"{value:.3f}"
    amount = f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    return f"{amount} {_UNITS.get(form, form)}"


def aim_of(figure: Figure, value: float | None) -> tuple[str, str]:
    """(the aim, whether it was reached)"""
    if figure.aim is None or (match := _AIM.fullmatch(figure.aim)) is None:
        return "", ""
    order, wanted = match[1], float(match[2])
    unit = formed(wanted, figure.form).partition(" ")[2]
    said = f"{_ORDERS[order]} {100 * wanted if unit == '%' else wanted:g} {unit}".strip()
    if value is None:
        return said, ""
    is_reached = {"<=": value <= wanted, ">=": value >= wanted, "==": value == wanted}[order]
    return said, "reached" if is_reached else "**not reached**"


class Results:
    """The committed results by file, each read once; None for one that is not there."""

    def __init__(self) -> None:
        self._read: dict[str, Any] = {}

    def of(self, file: str) -> Any:
        if file not in self._read:
            path = ROOT / file
            self._read[file] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        return self._read[file]

    def shown(self, figure: Figure) -> tuple[str, str, str]:
        """(figure, aim, whether it was reached)"""
        result = self.of(figure.file)
        value = value_of(figure, result) if result is not None else None
        if result is None:
            shown = "not measured yet"
        else:
            shown = "not in the result" if value is None else formed(value, figure.form)
        return shown, *aim_of(figure, value)

    def baseline(self, figure: Figure) -> str:
        """Empty while the result that it stands in is not there."""
        values = {
            found[0]: (value_at(self.of(figure.file), found[1]), found[2])
            for found in _PLACED.finditer(figure.baseline)
        }
        if any(value is None for value, _ in values.values()):
            return ""
        return _PLACED.sub(lambda found: formed(values[found[0]][0] or 0.0, values[found[0]][1]), figure.baseline)


def table_of(area: str, figures: list[Figure], results: Results) -> Iterator[str]:
    if area == "summary":
        yield "| what | figure | aim | | command |"
        yield "|---|---|---|---|---|"
        for figure in figures:
            if figure.readme:
                yield _row(f"{figure.area}: {figure.what}", *results.shown(figure), f"`{figure.command}`")
    elif area == "all results":
        for path in sorted(path for folder in RESULTS for path in (ROOT / folder).glob("*.md")):
            title = path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
            yield f"- [{title}](../{path.relative_to(ROOT).as_posix()})"
    else:
        yield "| what | figure | aim | | baseline | command |"
        yield "|---|---|---|---|---|---|"
        for figure in figures:
            if figure.area.lower() == area:
                yield _row(figure.what, *results.shown(figure), results.baseline(figure), f"`{figure.command}`")


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def written(text: str, figures: list[Figure], results: Results) -> str:
    """The page with its tables made anew. Raises ValueError for a marker of no area."""
    known = {figure.area.lower() for figure in figures} | {"summary", "all results"}

    def made(found: re.Match[str]) -> str:
        if found[2] not in known:
            raise ValueError(f"there are no figures of {found[2]!r}; known: {', '.join(sorted(known))}")
        lines = "\n".join(table_of(found[2], figures, results))
        return f"{found[1]}{lines}\n{found[3]}"

    return _MARKED.sub(made, text)


def read_figures() -> list[Figure]:
    with (Path(__file__).with_name("figures.toml")).open("rb") as stream:
        return [Figure.model_validate(each) for each in tomllib.load(stream)["figure"]]


def main() -> int:
    figures, results = read_figures(), Results()
    is_check = "--check" in sys.argv[1:]
    stale = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        new = written(text, figures, results)
        if new != text:
            stale.append(page.relative_to(ROOT).as_posix())
            if not is_check:
                page.write_text(new, encoding="utf-8")
    if stale and is_check:
        print(f"{' and '.join(stale)}: the tables are not those of the committed results; run make figures")
    return 1 if stale and is_check else 0


if __name__ == "__main__":
    sys.exit(main())
