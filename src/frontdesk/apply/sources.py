"""Where a tenant's files come from: a folder, or what is stored with a change in it."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Protocol  # what files hold is untyped until a form has checked it

from frontdesk.apply.located import MAX_BYTES, Located, Path_, read_text, read_yaml
from frontdesk.apply.problems import Problems, did_you_mean
from frontdesk.knowledge.models import Source

MAX_DOCUMENTS = 10_000
MAX_DOCUMENT_BYTES = 20_000_000

# The numbers that a stored file's values have in place of lines are so far apart: lines of a text fit in between.
VALUE = 1_000_000

_ENTRIES = {"tenant.yaml", "llm.yaml", "agents", "tools", "prompts", "documents", "README.md"}


class Files(Protocol):
    """Files by name (`agents/billing.yaml`). What is wrong with one is noted, and it is not there then."""

    code: Path | None  # where functions of `python` tools are looked for

    def shown(self, name: str) -> str:
        """The name as it is told."""

    def check_entries(self) -> None: ...

    def names(self, folder: str, suffixes: tuple[str, ...]) -> list[str]:
        """Of the files in `folder`, in order; any other kind of file is noted."""

    def yaml(self, name: str) -> Located | None: ...

    def text(self, name: str) -> str | None: ...

    def documents(self) -> tuple[Source, ...]: ...

    def others(self) -> dict[str, bytes] | None:
        """The files beside those: functions of tools and the README. None where files are none."""


class FolderFiles:
    def __init__(self, folder: Path, problems: Problems) -> None:
        self.code: Path | None = folder
        self._folder = folder
        self._problems = problems

    def shown(self, name: str) -> str:
        return str(self._folder / name)

    def check_entries(self) -> None:
        for path in sorted(self._folder.iterdir()):
            if path.name not in _ENTRIES and not path.name.startswith((".", "__")):
                self._problems.add(str(path), 1, f"is not part of a tenant; {did_you_mean(path.name, _ENTRIES)}")

    def names(self, folder: str, suffixes: tuple[str, ...]) -> list[str]:
        place = self._folder / folder
        if not place.is_dir():
            return []
        found = []
        for path in sorted(place.iterdir()):
            if path.name.startswith((".", "__")):
                continue
            if path.suffix in suffixes and path.is_file():
                found.append(f"{folder}/{path.name}")
            else:
                accepted = " and ".join(f"`*{suffix}`" for suffix in suffixes)
                self._problems.add(str(path), 1, f"has no place in `{folder}/`; accepted: {accepted}")
        return found

    def yaml(self, name: str) -> Located | None:
        path = self._folder / name
        if not path.is_file():
            self._problems.add(self.shown(name), 1, "is missing; every tenant has one")
            return None
        return read_yaml(path, self.shown(name), self._problems)

    def text(self, name: str) -> str | None:
        return read_text(self._folder / name, self.shown(name), self._problems)

    def documents(self) -> tuple[Source, ...]:
        place = self._folder / "documents"
        sources: list[Source] = []
        for path in sorted(place.rglob("*")) if place.is_dir() else ():
            name = PurePosixPath(path.relative_to(place))
            if any(part.startswith(".") for part in name.parts) or path.is_dir():
                continue
            if not path.resolve().is_relative_to(place.resolve()) or not path.is_file():
                self._problems.add(str(path), 1, "leads out of the folder; accepted are files inside it")
            elif len(sources) == MAX_DOCUMENTS:
                self._problems.add(str(place), 1, f"holds more than {MAX_DOCUMENTS:,} documents, the most accepted")
                break
            elif path.stat().st_size > MAX_DOCUMENT_BYTES:
                self._problems.add(str(path), 1, f"is larger than {MAX_DOCUMENT_BYTES:,} bytes, the most accepted")
            else:
                sources.append(Source(str(name), path.read_bytes()))
        return tuple(sources)

    def others(self) -> dict[str, bytes] | None:
        found = {}
        for path in (self._folder / "README.md", *sorted((self._folder / "tools").glob("*.py"))):
            if path.is_file() and not path.name.startswith((".", "__")):
                name = path.relative_to(self._folder).as_posix()
                if path.stat().st_size > MAX_BYTES:
                    self._problems.add(str(path), 1, f"is larger than {MAX_BYTES:,} bytes, the most that is accepted")
                else:
                    found[name] = path.read_bytes()
        return found


class HeldFiles:
    """Values as of `written.py`. In place of lines they have numbers, of which `place_at` knows what they stand for."""

    def __init__(self, values: Mapping[str, Any], code: Path | None) -> None:
        """`code`: the folder of the deployment that has the tenant's functions; values name no others."""
        self.code = code
        self._values = values

    def shown(self, name: str) -> str:
        return name

    def check_entries(self) -> None:
        return None

    def names(self, folder: str, suffixes: tuple[str, ...]) -> list[str]:
        return sorted(name for name in self._values if name.startswith(f"{folder}/"))

    def yaml(self, name: str) -> Located | None:
        return located(self._values[name], name)

    def text(self, name: str) -> str | None:
        text: str = self._values[name]
        return text

    def documents(self) -> tuple[Source, ...]:
        return ()

    def others(self) -> dict[str, bytes] | None:
        return None


def located(value: Any, file: str) -> Located:
    """`lines` has the number of each value, of which the first line of a text is one."""
    lines = {path: place * VALUE + 1 for place, path in enumerate(_paths(value))}
    return Located(file, value, lines, {})


def place_at(value: Any, number: int) -> tuple[Path_, int]:
    """(path of the value that has the number, line within it)."""
    place, line = divmod(number, VALUE)
    paths = _paths(value)
    return (paths[place] if place < len(paths) else ()), line


def _paths(value: Any) -> list[Path_]:
    """Of the value and all within it: parents before children, with a stack of our own as JSON may be deep."""
    found: list[Path_] = []
    waiting: list[tuple[Path_, Any]] = [((), value)]
    while waiting:
        path, value = waiting.pop()
        found.append(path)
        if isinstance(value, dict):
            waiting += [((*path, key), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            waiting += [((*path, place), inner) for place, inner in enumerate(value)]
    return found
