"""How many attacks were made, by kind: for pytest's summary and for the table in docs/security.md."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"
_MARKED = re.compile(r"(<!-- attacks -->\n).*?(<!-- end of attacks -->)", re.DOTALL)

Count = tuple[int, str, int, int]  # place among the kinds, kind, attacks, routes


def counted(reports: Iterable[Any]) -> list[Count]:
    """Of tests' reports, wherever they ran."""
    counts = [tuple(value) for report in reports for name, value in report.user_properties if name == "attacks"]
    return sorted(counts)


def lines(counts: list[Count]) -> list[str]:
    return [f"{attacks:>6,} on {routes:>3} routes: {kind}" for _, kind, attacks, routes in counts]


def write(counts: list[Count], document: Path = DOCUMENT) -> None:
    rows = "".join(f"| {kind} | {routes} | {attacks:,} |\n" for _, kind, attacks, routes in counts)
    total = sum(attacks for _, _, attacks, _ in counts)
    table = f"| kind | routes | attacks |\n|---|---|---|\n{rows}| together | | {total:,} |\n"
    document.write_text(_MARKED.sub(lambda found: found[1] + table + found[2], document.read_text()))
