"""What is stored, read as files once more, is what the files said."""

from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from tests.apply.tenant_folder import write_folder

from frontdesk.apply.files import PROVIDERS, Folder, definitions_of, read_files, read_folder
from frontdesk.apply.problems import Problems
from frontdesk.apply.sources import VALUE, HeldFiles, located, place_at
from frontdesk.apply.written import values_of
from frontdesk.core.errors import DefinitionError

CLINIC = Path(__file__).parents[2] / "examples" / "clinic"


def held(folder: Folder, code: Path, **changed: object) -> Folder:
    values = values_of(definitions_of(folder, UUID(int=1), 1))
    # As secrets are no definitions, they are named as a file would.
    values["tenant.yaml"]["secrets"] = {name: {"env": source.variable} for name, source in folder.secrets.items()}
    return read_files(HeldFiles(values | changed, code), PROVIDERS, Problems())


def definitions_in(folder: Folder) -> bytes:
    return msgspec.json.encode(definitions_of(folder, UUID(int=1), 1), order="deterministic")


def test_the_clinic_is_the_same_after_having_been_written() -> None:
    folder = read_folder(CLINIC)
    assert definitions_in(held(folder, CLINIC)) == definitions_in(folder)


def test_every_key_is_the_same_after_having_been_written(tmp_path: Path) -> None:
    place = write_folder(tmp_path)
    folder = read_folder(place)
    assert definitions_in(held(folder, place)) == definitions_in(folder)


def test_a_change_is_checked_as_the_file_would_be() -> None:
    folder = read_folder(CLINIC)
    agent = {"title": "Billing", "description": "Bills.", "tools": ["book_appointment", "search_docs"]}
    with pytest.raises(DefinitionError) as caught:
        held(folder, CLINIC, **{"agents/billing.yaml": agent})
    [error] = caught.value.errors
    file, number = error.field.rsplit(":", 1)
    assert file == "agents/billing.yaml"
    assert place_at(agent, int(number)) == (("tools", 1), 1)
    assert "unknown tool `search_docs`" in error.message


def test_numbers_of_values_leave_room_for_the_lines_of_a_text() -> None:
    value = {"a": [1, {"b": "x\ny"}], "c": "z"}
    found = located(value, "file")
    for path, number in found.lines.items():
        assert place_at(value, number) == (path, 1)
    assert place_at(value, found.text_line(("a", 1, "b")) + 4) == (("a", 1, "b"), 5)
    assert place_at(value, VALUE * 99) == ((), 0)
