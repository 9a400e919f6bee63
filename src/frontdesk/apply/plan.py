"""What differs between a tenant's files and what is stored: the diff that is shown, and the work that is to be done."""

import difflib
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any  # definitions are compared as plain JSON

import msgspec

from frontdesk.agents.models import Definitions
from frontdesk.apply.files import Folder

# Longer lists and texts are shown by what is different in them, up to here.
MOST_SHOWN = 8
_SHOWN_CHARACTERS = 100


class Kind(StrEnum):
    """In the order in which they are stored: tools before the agents that use them."""

    TENANT = "tenant"
    ALIAS = "alias"
    PROMPT = "prompt"
    TOOL = "tool"
    AGENT = "agent"
    SECRET = "secret"  # noqa: S105 - a kind, not a password
    FILE = "file"
    DOCUMENT = "document"


class Action(StrEnum):
    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One line of a diff: `before` or `after` is None where there is none."""

    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Change:
    kind: Kind
    name: str
    action: Action
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """`definitions` are stored in one transaction; `documents` follow, each in its own."""

    definitions: tuple[Change, ...] = ()
    documents: tuple[Change, ...] = ()
    kept: tuple[Change, ...] = ()  # would be removed by `prune`: never came from files

    @property
    def is_empty(self) -> bool:
        return not self.definitions and not self.documents

    def changed(self, kind: Kind) -> set[str]:
        """Names of this kind that are to be stored."""
        return {each.name for each in self.definitions if each.kind is kind and each.action is not Action.REMOVED}

    def removed(self, kind: Kind) -> set[str]:
        return {each.name for each in self.definitions if each.kind is kind and each.action is Action.REMOVED}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the work is: `stage` is definitions, documents or classifier; `name` what is worked on."""

    stage: str
    done: int
    total: int
    name: str


OnProgress = Callable[[Progress], None]


def compare(
    folder: Folder,
    stored: Definitions | None,
    secrets: Mapping[str, Any],
    stored_secrets: Mapping[str, Any],
    stored_files: Mapping[str, str] | None = None,
) -> tuple[Change, ...]:
    """The changes of definitions, by kind and name. Secrets (by name) are compared, never shown; files by their
    hashes, when both sides tell of them."""
    changes: list[Change] = []
    before, after = _stored_values(stored), _wanted_values(folder)
    for kind in (Kind.TENANT, Kind.ALIAS, Kind.PROMPT, Kind.TOOL, Kind.AGENT):
        changes += _differences(kind, before[kind], after[kind])
    hidden = _differences(Kind.SECRET, dict(stored_secrets), dict(secrets))
    if folder.others is not None and stored_files is not None:
        others = {name: hashlib.sha256(content).hexdigest() for name, content in folder.others.items()}
        hidden += _differences(Kind.FILE, stored_files, others)
    return (*changes, *(Change(each.kind, each.name, each.action) for each in hidden))


def _wanted_values(folder: Folder) -> dict[Kind, dict[str, Any]]:
    return {
        Kind.TENANT: {folder.slug: {"name": folder.name} | _plain(folder.settings)},
        Kind.ALIAS: _plain(folder.aliases),
        Kind.PROMPT: dict(folder.prompts),
        Kind.TOOL: _plain(folder.tools),
        Kind.AGENT: _plain(folder.agents),
    }


def _stored_values(stored: Definitions | None) -> dict[Kind, dict[str, Any]]:
    if stored is None:
        return {kind: {} for kind in Kind}
    tenant = stored.tenant
    return {
        Kind.TENANT: {tenant.slug: {"name": tenant.name} | _plain(tenant.settings)},
        Kind.ALIAS: _plain(stored.aliases),
        Kind.PROMPT: {name: prompt.template for name, prompt in stored.prompts.items()},
        Kind.TOOL: _plain(stored.tools),
        Kind.AGENT: _plain(stored.agents),
    }


def _plain(value: Any) -> Any:
    """As JSON has it, so that 1 and 1.0 or a tuple and a list from the database are no difference."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _differences(kind: Kind, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    changes = []
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            changes.append(Change(kind, name, Action.ADDED))
        elif name not in after:
            changes.append(Change(kind, name, Action.REMOVED))
        elif before[name] != after[name]:
            changes.append(Change(kind, name, Action.CHANGED, tuple(_fields("", before[name], after[name]))))
    return changes


def _fields(path: str, before: Any, after: Any) -> list[FieldChange]:
    """The smallest fields that differ; of lists what came and went; of long texts the lines."""
    if before == after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(key for key in after if key not in before)]
        return [
            change
            for key in keys
            for change in _fields(f"{path}.{key}" if path else key, before.get(key), after.get(key))
        ]
    if isinstance(before, list) and isinstance(after, list):
        gone, new = _without(before, after), _without(after, before)
        if not gone and not new:
            return [FieldChange(path, "the same entries", "in another order")]
        return _bounded([*(FieldChange(path, _shown(item), None) for item in gone),
                         *(FieldChange(path, None, _shown(item)) for item in new)], path)  # fmt: skip
    if isinstance(before, str) and isinstance(after, str) and ("\n" in before or "\n" in after):
        return _bounded(_lines(path or "text", before, after), path)
    return [FieldChange(path, _shown(before), _shown(after))]


def _without(these: list[Any], others: list[Any]) -> list[Any]:
    known = {msgspec.json.encode(other) for other in others}
    return [each for each in these if msgspec.json.encode(each) not in known]


def _lines(path: str, before: str, after: str) -> list[FieldChange]:
    changes = []
    for line in islice(difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm=""), 2, None):
        if line.startswith("-"):
            changes.append(FieldChange(path, _shown(line[1:]), None))
        elif line.startswith("+"):
            changes.append(FieldChange(path, None, _shown(line[1:])))
    return changes or [FieldChange(path, "the same lines", "with other line ends")]


def _bounded(changes: list[FieldChange], path: str) -> list[FieldChange]:
    if len(changes) <= MOST_SHOWN:
        return changes
    return [*changes[:MOST_SHOWN], FieldChange(path, None, f"… and {len(changes) - MOST_SHOWN} more")]


def _shown(value: Any) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return f"{text[:_SHOWN_CHARACTERS]}…" if len(text) > _SHOWN_CHARACTERS else text
