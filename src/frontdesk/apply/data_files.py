"""What was said and done at a tenant, as JSON lines: a file for each table, opened, a page of rows at a time."""

import base64
import hashlib
import os
import re
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # rows and sealed JSON are untyped
from uuid import UUID

import msgspec
import structlog

from frontdesk.audit import chain, contact_target
from frontdesk.core import json
from frontdesk.db import Database
from frontdesk.db.cipher import Cipher, DecryptFailed
from frontdesk.privacy.detector import Detector
from frontdesk.privacy.models import Entity
from frontdesk.privacy.policy import PrivacySettings
from frontdesk.privacy.redactor import PLACEHOLDER, WITHHELD, Redaction, Text
from frontdesk.privacy.tagger import Tagger

log = structlog.get_logger()

_PAGE = 500
# Columns with what contacts and tools said, and those with contacts' ids. A record's key and a verdict's author may be
# either.
_EITHER = ("key", "author")
_TOLD = (*_EITHER, "pending", "context", "summary", "body", "decision", "input", "output", "value")
_CONTACTS = ("external_id", "contact")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Read:
    """A row, and the contact whose it is, where that is known."""

    values: Row
    whose: str | None


@dataclass(frozen=True, slots=True)
class Table:
    """`key`: the primary key beside the tenant, by which pages follow one another. `sealed`: JSON or text. `whose`: the
    contact of a row, in SQL."""

    key: tuple[str, ...]
    columns: tuple[str, ...]
    sealed: tuple[str, ...] = ()
    whose: str = "NULL"


_OF_CONVERSATION = "(SELECT c.contact FROM conversations AS c WHERE c.tenant_id = $1 AND c.id = conversation_id)"
_OF_TURN = """
    (SELECT c.contact
       FROM turns AS t
       JOIN conversations AS c ON c.tenant_id = t.tenant_id AND c.id = t.conversation_id
      WHERE t.tenant_id = $1
        AND t.id = turn_id)"""


TABLES = {
    "contacts": Table(("external_id",), ("external_id", "created_at")),
    "conversations": Table(
        ("id",),
        (
            "id", "contact", "channel", "state", "owner", "last_seq", "emergency", "escalated", "agent", "intent",
            "pending", "context", "summary", "summary_seq", "answers", "answer_ms", "created_at", "last_activity",
        ),
        ("pending", "context", "summary"),
        whose="contact",
    ),
    "messages": Table(
        ("conversation_id", "seq"),
        ("conversation_id", "seq", "id", "role", "body", "turn_id", "in_reply_to", "created_at"),
        ("body",),
        whose=_OF_CONVERSATION,
    ),
    "turns": Table(
        ("id",),
        (
            "id", "conversation_id", "state", "seqs", "correlation_id", "attempt", "stage", "agents", "decision",
            "error_code", "created_at", "started_at", "ended_at",
        ),
        ("decision",),
        whose=_OF_CONVERSATION,
    ),
    "steps": Table(
        ("turn_id", "agent", "number"),
        ("turn_id", "agent", "number", "kind", "name", "status", "input", "output", "duration_ms", "created_at"),
        ("input", "output"),
        whose=_OF_TURN,
    ),
    "feedback": Table(
        ("turn_id", "author"), ("turn_id", "author", "verdict", "agent", "given_at"), whose=_OF_TURN
    ),
    "llm_calls": Table(
        ("id",),
        (
            "id", "turn_id", "purpose", "alias", "provider", "model", "outcome", "input_tokens", "cached_tokens",
            "output_tokens", "reasoning_tokens", "estimated", "cost_usd", "latency_ms", "first_token_ms", "created_at",
        ),
    ),
    "records": Table(
        ("collection", "key"), ("collection", "key", "contact", "value", "created_at"), whose="contact"
    ),
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

    Where the tenant's policy is to redact exports, values have placeholders and contacts are hashes, for good; in place
    of what can't be searched stands `[WITHHELD]`.
    """
    hides = privacy.hidden_from(privacy.exports)
    masks = _Masks(tenant_id, db, Detector(Tagger.load()), hides) if hides else None
    place = folder / "data"
    place.mkdir(parents=True, exist_ok=True)
    counts = {}
    for name, table in TABLES.items():
        file = f"data/{name}.jsonl"
        counts[file] = 0
        with (folder / file).open("wb") as stream:
            async for rows in _pages(tenant_id, db, cipher, name, table):
                told = [row.values for row in rows] if masks is None else await masks.hidden(name, rows)
                stream.writelines(map(_encoded, told))
                counts[file] += len(rows)
                on_lines(file, counts[file])
    with (place / "audit.jsonl").open("wb") as stream:
        async for lines in chain.exported(db, tenant_id):
            stream.write(lines)
            counts["data/audit.jsonl"] = counts.get("data/audit.jsonl", 0) + lines.count(b"\n")
    return counts


async def _pages(tenant_id: UUID, db: Database, cipher: Cipher, name: str, table: Table) -> AsyncIterator[list[Read]]:
    key, columns = ", ".join(table.key), f"{', '.join(table.columns)}, {table.whose} AS whose"
    places = ", ".join(f"${number}" for number in range(3, 3 + len(table.key)))
    first = f"SELECT {columns} FROM {name} WHERE tenant_id = $1 ORDER BY {key} LIMIT $2"
    later = f"SELECT {columns} FROM {name} WHERE tenant_id = $1 AND ({key}) > ({places}) ORDER BY {key} LIMIT $2"
    after: list[Any] | None = None
    while True:
        async with db.scope(tenant_id) as scope:
            rows = await (
                scope.fetch(first, tenant_id, _PAGE) if after is None else scope.fetch(later, tenant_id, _PAGE, *after)
            )
        yield [Read(_values(tenant_id, cipher, row, table), row["whose"]) for row in rows]
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


class _Masks:
    """Placeholders for one export. A value of one contact has the same in all his rows, so that what was said can be
    followed; at another contact and in another export it has another, so that nothing says they share it."""

    def __init__(self, tenant_id: UUID, db: Database, search: Detector, hides: frozenset[Entity]) -> None:
        self._tenant_id = tenant_id
        self._db = db
        self._search = search
        self._hides = hides
        self._secret = os.urandom(32)  # nobody can try which value a placeholder stands for

    async def hidden(self, table: str, rows: Sequence[Read]) -> list[Row]:
        ids = [row.values[name] for row in rows for name in _EITHER if name in row.values]
        contacts = await _contacts_among(self._db, self._tenant_id, ids)
        return [self._hidden(table, row, contacts) for row in rows]

    def _hidden(self, table: str, row: Read, contacts: Collection[str]) -> Row:
        told = {name: row.values[name] for name in _TOLD if name in row.values}
        for name, value in told.items():
            if isinstance(value, msgspec.Raw):
                told[name] = json.loads(bytes(value))
        # What is nobody's that we know of stands by itself.
        alone = f"{table} {[row.values[key] for key in TABLES[table].key]}"
        try:
            hidden = self._replaced(alone if row.whose is None else f"of {row.whose}", told)
        except Exception as error:  # noqa: BLE001 - an edge: whatever is wrong with the search, the text is not written
            log.error("privacy.failed", table=table, error=type(error).__name__)
            hidden = dict.fromkeys(told, WITHHELD)
        if row.whose is not None:
            hidden = {name: self._without(row.whose, value) for name, value in hidden.items()}
        ids = {name for name in _CONTACTS if row.values.get(name) is not None}
        ids |= {name for name in _EITHER if row.values.get(name) in contacts}
        return row.values | hidden | {name: contact_target(self._tenant_id, row.values[name]) for name in ids}

    def _replaced(self, whose: str, told: Row) -> Row:
        redaction = Redaction(self._search, self._hides)
        redaction.hide([Text(json.dumps_text(value), holds_json=True) for value in told.values()])
        return {name: self._named(whose, redaction, redaction.hidden_value(value)) for name, value in told.items()}

    def _named(self, whose: str, redaction: Redaction, value: Any) -> Any:
        """With placeholders of the contact in place of the row's."""

        def named(found: re.Match[str]) -> str:
            kind, held = found.group()[1:-1].rpartition("_")[0], redaction.restored(found.group())
            if PLACEHOLDER.fullmatch(held):  # it only looks like one, and was written so
                return held
            told = json.dumps([whose, kind, held])
            return f"[{kind}_{hashlib.blake2b(told, digest_size=4, key=self._secret).hexdigest()}]"

        return json.loads(PLACEHOLDER.sub(named, json.dumps_text(value)))

    def _without(self, contact: str, value: Any) -> Any:
        """Where his id stands in what tools wrote, the hash that stands in the other columns."""
        own, told = json.dumps_text(contact), json.dumps_text(contact_target(self._tenant_id, contact))
        return json.loads(json.dumps_text(value).replace(own, told))


async def _contacts_among(db: Database, tenant_id: UUID, ids: Sequence[str]) -> frozenset[str]:
    """Those that are contacts'."""
    if not ids:
        return frozenset()
    query = "SELECT external_id FROM contacts WHERE tenant_id = $1 AND external_id = ANY($2) LIMIT $3"
    async with db.scope(tenant_id) as scope:
        return frozenset(row["external_id"] for row in await scope.fetch(query, tenant_id, ids, len(ids)))


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
