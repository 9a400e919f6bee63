"""Examples are added to an agent's file, and nothing else of it changes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.apply.example_files import replace_file, with_examples
from frontdesk.apply.located import parse_yaml
from frontdesk.apply.personal import masked
from frontdesk.core.errors import DefinitionError

BLOCK = """\
# Who sells bread.
title: Counter   # at the door
examples:
  - I'd like two loaves   # the usual
  - "Do you have rye: bread?"
  # in Spanish
  - ¿Tienen pan?

# what it may do
tools: [order_bread]
"""
SHAPES = {
    "block": BLOCK,
    "not indented": "title: Counter\nexamples:\n- one loaf\n- two loaves\nmodel: fast\n",
    "at the end, no newline": "title: Counter\nexamples:\n    - one loaf\n    - two loaves",
    "block texts": "examples:\n  - |-\n    one\n    loaf\n  - >-\n    two\n    loaves\ntitle: Counter\n",
    "brackets": "title: Counter\nexamples: [one loaf, 'two loaves']  # few\nmodel: fast\n",
    "brackets over lines": "title: Counter\nexamples: [\n  one loaf,\n  two loaves,\n]\nmodel: fast\n",
    "empty brackets": "title: Counter\nexamples: []\n",
    "none": "title: Counter\n# the end\n",
    "carriage returns": BLOCK.replace("\n", "\r\n"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_other_byte_stays(shape: str) -> None:
    text = SHAPES[shape]
    new = with_examples(text, "counter.yaml", ["a roll: please", "two rolls"], "learnt")
    before, after = parse_yaml(text, "x").value, parse_yaml(new, "x").value
    assert after["examples"] == [*before.get("examples", []), "a roll: please", "two rolls"]
    rest = iter(new)
    assert all(character in rest for character in text)  # what was there is there, in its order


def test_additions_stand_below_a_comment_behind_the_last_example() -> None:
    new = with_examples(BLOCK, "counter.yaml", ["Two rolls please"], "learnt today")
    assert new == BLOCK.replace("  - ¿Tienen pan?\n", "  - ¿Tienen pan?\n  # learnt today\n  - Two rolls please\n")


@given(st.lists(st.text(min_size=1).map(masked).filter(bool), min_size=1, max_size=5), st.sampled_from(sorted(SHAPES)))
def test_whatever_people_wrote_is_read_back_as_it_was(texts: list[str], shape: str) -> None:
    text = SHAPES[shape]
    new = with_examples(text, "counter.yaml", texts, "learnt")
    assert parse_yaml(new, "x").value["examples"][-len(texts) :] == texts


@pytest.mark.parametrize(
    "text",
    ["- a list", "title: x\nexamples:\n", "title: x\nexamples: one loaf\n", "{title: x}\n", "title: x\n...\n"],
)
def test_a_file_that_cannot_be_added_to_is_refused(text: str) -> None:
    with pytest.raises(DefinitionError, match=r"counter\.yaml"):
        with_examples(text, "counter.yaml", ["two rolls"], "learnt")


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "counter.yaml"
    path.write_text("old")
    replace_file(path, "né")
    assert path.read_bytes() == "né".encode()
    assert list(tmp_path.iterdir()) == [path]
