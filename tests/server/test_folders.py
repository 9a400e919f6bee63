"""Which tenants' folders a server finds."""

from pathlib import Path

import pytest

from frontdesk.core.errors import SettingsError
from frontdesk.core.settings import Settings
from frontdesk.server.folders import tenant_folders


def folder(place: Path, name: str, first_line: str) -> Path:
    made = place / name
    made.mkdir()
    (made / "tenant.yaml").write_text(f"{first_line}\nname: Acme\n")
    return made


def found(place: Path, example: str = "") -> dict[str, Path]:
    return tenant_folders(Settings(example=example, tenants=place))


def test_a_tenant_is_called_as_its_file_says_whatever_the_folder_is_called(tmp_path: Path) -> None:
    acme, clinic = folder(tmp_path, "clinic", "slug: acme"), folder(tmp_path, "theirs", "slug: clinic")
    assert found(tmp_path) == {"acme": acme, "clinic": clinic}


def test_two_folders_of_one_tenant_are_refused_by_name(tmp_path: Path) -> None:
    folder(tmp_path, "acme", "slug: acme")
    folder(tmp_path, "acme-copy", "slug: acme")
    with pytest.raises(SettingsError, match=r"FRONTDESK_TENANTS: .*/acme and .*/acme-copy are both of the tenant acme"):
        found(tmp_path)


def test_ones_own_files_of_the_examples_slug_take_its_place(tmp_path: Path) -> None:
    own = folder(tmp_path, "own", "slug: clinic")
    assert found(tmp_path, example="clinic") == {"clinic": own}


@pytest.mark.parametrize("first_line", ["slug: [", "slug: [acme]", "greeting: Hello", "\x00"])
def test_a_file_that_can_not_be_read_is_left_to_who_applies_it(tmp_path: Path, first_line: str) -> None:
    assert found(tmp_path) == {}
    broken = folder(tmp_path, "broken", first_line)
    assert found(tmp_path) == {"broken": broken}
