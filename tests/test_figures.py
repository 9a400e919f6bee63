"""The tables of figures are those of the committed results, and cope with what is not there yet."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "figures.py"


@pytest.fixture
def figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("figures", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return module


def rows(figures: ModuleType, result: dict[str, Any] | None, **fields: Any) -> str:
    figure = figures.Figure(area="Turn", what="x", file="r.json", command="make x", **fields)
    if result is not None:
        (figures.ROOT / "r.json").write_text(json.dumps(result))
    page = figures.written("a\n<!-- figures: turn -->\nold\n<!-- end of figures -->\nb", [figure], figures.Results())
    assert page.startswith("a\n<!-- figures: turn -->\n") and page.endswith("\n<!-- end of figures -->\nb")
    return str(page.splitlines()[-3])


def test_a_value_is_less_what_is_taken_off_and_over_its_yardstick(figures: ModuleType) -> None:
    result = {"ours": {"cpu": 5.0}, "embedding": 2.0, "floor": 0.5}
    row = rows(figures, result, at="ours / cpu", less="embedding", over="floor", form="times", aim="<= 3")
    assert "| 6.00 × | ≤ 3 × | **not reached** |" in row


@pytest.mark.parametrize(
    ("aim", "value", "said"),
    [
        (">= 0.945", 0.945, "≥ 94.5 % | reached"),
        (">= 0.945", 0.944, "≥ 94.5 % | **not reached**"),
        ("<= 0.08", 0.0, "≤ 8 % | reached"),
    ],
)
def test_an_aim_is_marked(figures: ModuleType, aim: str, value: float, said: str) -> None:
    assert said in rows(figures, {"share": value}, at="share", form="percent", aim=aim)


def test_what_is_not_there_is_said_and_nothing_is_made_up(figures: ModuleType) -> None:
    row = rows(figures, None, at="share", form="percent", aim=">= 0.5", baseline="{other|percent} plain")
    assert row == "| x | not measured yet | ≥ 50 % |  |  | `make x` |"
    row = rows(figures, {"renamed": 1}, at="share", form="percent", aim=">= 0.5")
    assert "not in the result" in row and "reached" not in row


def test_a_list_counts_as_how_many_there_are(figures: ModuleType) -> None:
    assert "| 2 | 0 | **not reached** |" in rows(figures, {"broken": ["a", "b"]}, at="broken", form="count", aim="== 0")


def test_a_marker_of_no_area_is_refused(figures: ModuleType) -> None:
    with pytest.raises(ValueError, match="no figures of 'nonsense'"):
        figures.written("<!-- figures: nonsense -->\n<!-- end of figures -->", [], figures.Results())
