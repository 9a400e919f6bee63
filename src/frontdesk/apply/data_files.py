"""What was said and done at a tenant, as JSON lines: a file for each table, opened, a page of rows at a time."""

import base64
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # rows and sealed JSON are untyped
from uuid import UUID

import msgspec

from frontdesk.audit import chain, contact_target
from frontdesk.core import json
from frontdesk.db import Database
from frontdesk.db.cipher import Cipher, DecryptFailed
from frontdesk.privacy.detector import Detector
from frontdesk.privacy.models import Entity
from frontdesk.privacy.policy import PrivacySettings
from frontdesk.privacy.redactor import Redaction, Text
from frontdesk.privacy.tagger import Tagger

_PAGE = 500
# Columns with what contacts and tools said, and those with contacts' ids. The key of a record may be either.
_TOLD = ("key", "pending", "context", "summary", "body", "decision", "input", "output", "value")
_CONTACTS = ("external_id", "contact")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """`key`: the primary key beside the tenant, by which pages follow one another. `sealed`: JSON or text."""

    key: tuple[str, ...]
    columns: tuple[str, ...]
    sealed: tuple[str, ...] = ()


TABLES = {
    "contacts": Table(("external_id",), ("external_id", "created_at")),
    "conversations": Table(
        ("id",),
        (
            "id", "contact", "channel", "state", "owner", "last_seq", "emergency", "escalated", "agent", "intent",
            "pending", "context", "summary", "summary_seq", "answers", "answer_ms", "created_at", "last_activity",
        ),
        ("pending", "context", "summary"),
    ),
    "messages": Table(
        ("conversation_id", "seq"),
        ("conversation_id", "seq", "id", "role", "body", "turn_id", "in_reply_to", "created_at"),
        ("body",),
    ),
    "turns": Table(
        ("id",),
        (
            "id", "conversation_id", "state", "seqs", "correlation_id", "attempt", "stage", "agents", "decision",
            "error_code", "created_at", "started_at", "ended_at",
        ),
        ("decision",),
    ),
    "steps": Table(
        ("turn_id", "agent", "number"),
        ("turn_id", "agent", "number", "kind", "name", "status", "input", "output", "duration_ms", "created_at"),
        ("input", "output"),
    ),
    "feedback": Table(("turn_id", "author"), ("turn_id", "author", "verdict", "agent", "given_at")),
    "llm_calls": Table(
        ("id",),
        (
            "id", "turn_id", "purpose", "alias", "provider", "model", "outcome", "input_tokens", "cached_tokens",
            "output_tokens", "reasoning_tokens", "estimated", "cost_usd", "latency_ms", "first_token_ms", "created_at",
        ),
    ),
    "records": Table(("collection", "key"), ("collection", "key", "contact", "value", "created_at")),
}  # fmt: skip

# (file, lines written)
OnLines = Callable[[str, int], None]


def _unheard(_file: str, _lines: int) -> None:
    return None


async def export_data(
    tenant_id: UUID,
    folder: Path,
    db: Database,
    cipher: Cipher,
    privacy: PrivacySettings,
    on_lines: OnLines = _unheard,
) -> dict[str, int]:
    """Lines by file, in `folder/data`. Pages are of different moments: who needs one of all suspends the tenant.

    Where the tenant's policy is to redact exports, values have placeholders and contacts are hashes, for good. Raises
    DetectionTooSlow then: a text that can't be searched is not written.
    """
    hides = privacy.hidden_from(privacy.exports)
    search = Detector(Tagger.load()) if hides else None
    place = folder / "data"
    place.mkdir(parents=True, exist_ok=True)
    counts = {}
    for name, table in TABLES.items():
        file = f"data/{name}.jsonl"
        counts[file] = 0
        with (folder / file).open("wb") as stream:
            async for rows in _pages(tenant_id, db, cipher, name, table):
                if search is not None:
                    contacts = await _contacts_among(db, tenant_id, [row["key"] for row in rows if "key" in row])
                    rows = [_hidden(row, tenant_id, search, hides, contacts) for row in rows]
                stream.writelines(map(_encoded, rows))
                counts[file] += len(rows)
                on_lines(file, counts[file])
    with (place / "audit.jsonl").open("wb") as stream:
        async for lines in chain.exported(db, tenant_id):
            stream.write(lines)
            counts["data/audit.jsonl"] = counts.get("data/audit.jsonl", 0) + lines.count(b"\n")
    return counts


async def _pages(tenant_id: UUID, db: Database, cipher: Cipher, name: str, table: Table) -> AsyncIterator[list[Row]]:
    key, columns = ", ".join(table.key), ", ".join(table.columns)
    places = ", ".join(f"${number}" for number in range(3, 3 + len(table.key)))
    first = f"SELECT {columns} FROM {name} WHERE tenant_id = $1 ORDER BY {key} LIMIT $2"
    later = f"SELECT {columns} FROM {name} WHERE tenant_id = $1 AND ({key}) > ({places}) ORDER BY {key} LIMIT $2"
    after: list[Any] | None = None
    while True:
        async with db.scope(tenant_id) as scope:
            rows = await (
                scope.fetch(first, tenant_id, _PAGE) if after is None else scope.fetch(later, tenant_id, _PAGE, *after)
            )
        yield [_values(tenant_id, cipher, row, table) for row in rows]
        if len(rows) < _PAGE:
            return
        after = [rows[-1][column] for column in table.key]


def _values(tenant_id: UUID, cipher: Cipher, row: Any, table: Table) -> Row:
    values = {column: row[column] for column in table.columns}
    for column in table.sealed:
        values[column] = _opened(tenant_id, cipher, values[column])
    if "value" in values:
        values["value"] = msgspec.Raw(values["value"].encode())  # jsonb comes as text
    return values


async def _contacts_among(db: Database, tenant_id: UUID, keys: Sequence[str]) -> frozenset[str]:
    """The keys that are ids of contacts."""
    if not keys:
        return frozenset()
    query = "SELECT external_id FROM contacts WHERE tenant_id = $1 AND external_id = ANY($2) LIMIT $3"
    async with db.scope(tenant_id) as scope:
        return frozenset(row["external_id"] for row in await scope.fetch(query, tenant_id, keys, len(keys)))


def _hidden(values: Row, tenant_id: UUID, search: Detector, hides: frozenset[Entity], contacts: Collection[str]) -> Row:
    told = {name: values[name] for name in _TOLD if name in values}
    told = {name: json.loads(bytes(value)) if isinstance(value, msgspec.Raw) else value for name, value in told.items()}
    redaction = Redaction(search, hides, for_good=True)
    redaction.hide([Text(json.dumps_text(value), holds_json=True) for value in told.values()])
    hidden = {name: redaction.hidden_value(value) for name, value in told.items()}
    ids = {name for name in _CONTACTS if values.get(name) is not None}
    ids |= {"key"} if values.get("key") in contacts else set()
    return values | hidden | {name: contact_target(tenant_id, values[name]) for name in ids}


def _encoded(values: Row) -> bytes:
    return msgspec.json.encode(values) + b"\n"


def _opened(tenant_id: UUID, cipher: Cipher, sealed: bytes | None) -> Any:
    """What can't be opened any more is told as it is stored."""
    if not sealed:
        return None
    try:
        content = cipher.open(tenant_id, sealed)
    except DecryptFailed:
        return {"sealed": base64.b64encode(sealed).decode()}
    try:
        return json.loads(content)
    except ValueError:
        return content.decode(errors="replace")
