"""Everything that is stored about one contact: given out, or erased with a receipt."""

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any  # rows and what was sealed are untyped
from uuid import UUID

import msgspec

from frontdesk import audit
from frontdesk.audit import Actor, contact_target
from frontdesk.conversations.sealed import Sealed
from frontdesk.core import json
from frontdesk.core.clock import Clock
from frontdesk.db import Database, TenantScope
from frontdesk.db.cipher import DecryptFailed

_AT_ONCE = 20  # conversations in one transaction
_MOST_ENTRIES = 1_000  # of the audit log that are given out

_OF_A_TURN = "turn_id IN (SELECT t.id FROM turns AS t WHERE t.tenant_id = $1 AND t.conversation_id = ANY($2::uuid[]))"
_OF_A_KEY = "ANY(SELECT c::text FROM unnest($2::uuid[]) AS c)"


class Part(msgspec.Struct, frozen=True):
    """A table that holds something of conversations: which rows, what is given out, and which of that is sealed."""

    table: str
    where: str  # $1: the tenant, $2: its conversations
    columns: tuple[str, ...]
    sealed: tuple[str, ...] = ()
    erase: str | None = None  # what happens to the rows, where they are not deleted
    kept: str = ""  # what stays then, for the receipt


# In the order in which they are erased: what is found by a turn goes before the turns.
PARTS = (
    Part(
        "steps", _OF_A_TURN, ("turn_id", "number", "agent", "kind", "name", "status", "created_at"), ("input", "output")
    ),
    Part("feedback", _OF_A_TURN, ("turn_id", "author", "verdict", "agent", "given_at")),
    Part(
        "llm_calls",
        _OF_A_TURN,
        ("id", "turn_id", "purpose", "provider", "model", "outcome", "input_tokens", "output_tokens", "created_at"),
        erase="UPDATE llm_calls SET turn_id = NULL",
        kept="what the calls cost, as nobody's",
    ),
    Part(
        "outbox",
        f"key = {_OF_A_KEY}",
        ("event_id", "topic", "key", "type", "occurred_at"),
        ("payload",),
        erase="UPDATE outbox SET payload = ''::bytea",
        kept="the events' places, without their content",
    ),
    Part("dead_letters", f"event ->> 'key' = {_OF_A_KEY}", ("id", "consumer", "topic", "error", "created_at")),
    Part("messages", "conversation_id = ANY($2::uuid[])", ("conversation_id", "seq", "role", "created_at"), ("body",)),
    Part(
        "turns",
        "conversation_id = ANY($2::uuid[])",
        ("id", "conversation_id", "state", "stage", "agents", "error_code", "created_at", "ended_at"),
        ("decision",),
    ),
    Part(
        "conversations",
        "id = ANY($2::uuid[])",
        ("id", "contact", "channel", "state", "owner", "agent", "intent", "created_at", "last_activity"),
        ("pending", "context", "summary"),
    ),
)
# Found by the contact, or by the calls of his turns' tools.
OF_THE_CONTACT = ("records", "contacts")
# Hold nothing of contacts. A test goes over the catalogue: a new table must stand here or above.
OF_NOBODY = {
    "agent_tools": "the tenant's definitions",
    "agents": "the tenant's definitions",
    "aliases": "the tenant's definitions",
    "api_keys": "programs of the tenant",
    "applied": "names of the tenant's definitions",
    "audit": "a contact is named by a hash there, which tells nothing once he is erased; what was appended stays",
    "audit_heads": "where the chain ends",
    "budget_warnings": "amounts",
    "classifiers": "learnt from the agents' examples",
    "documents": "the tenant's documents",
    "knowledge": "counts of passages",
    "knowledge_words": "counts of words in documents",
    "passage_questions": "made from documents",
    "passages": "the tenant's documents",
    "prompts": "the tenant's definitions",
    "retained": "how far retention has come",
    "secrets": "the tenant's credentials",
    "sign_in_failures": "staff",
    "spend": "amounts",
    "staff": "staff",
    "staff_links": "staff",
    "staff_sessions": "staff",
    "tenant_files": "the tenant's files",
    "tools": "the tenant's definitions",
}


class Receipt(msgspec.Struct, frozen=True):
    """What was done, for whoever asked. It names the contact by the hash that the audit log has."""

    action: str  # exported | erased
    tenant_id: UUID
    contact: str
    at: datetime
    rows: dict[str, int]  # by table
    kept: dict[str, str]  # what stays of erased tables
    sha256: str  # of an export its lines'; of an erasure the fields above

    @classmethod
    def erased(cls, tenant_id: UUID, contact: str, at: datetime, rows: dict[str, int]) -> "Receipt":
        kept = {part.table: part.kept for part in PARTS if part.kept}
        told = cls("erased", tenant_id, contact_target(tenant_id, contact), at, rows, kept, "")
        return msgspec.structs.replace(told, sha256=hashlib.sha256(msgspec.json.encode(told)).hexdigest())


class PersonalData:
    """Data subjects' requests. The actor must be allowed to: `contacts:export`, `contacts:erase`."""

    def __init__(self, db: Database, sealed: Sealed, clock: Clock) -> None:
        self._db = db
        self._sealed = sealed
        self._clock = clock

    async def export(self, tenant_id: UUID, contact: str, actor: Actor) -> AsyncIterator[bytes]:
        """JSON lines `{"table", "row"}` of everything, opened; the last is the receipt, with the hash of those before.

        A value that can't be opened any more is given as `{"damaged": true}`.
        """
        digest, counts = hashlib.sha256(), Counter[str]()
        done: list[UUID] = []
        while True:
            async with self._db.scope(tenant_id) as scope:
                found = await _conversations(scope, contact, done)
                rows = [each for part in PARTS for each in await self._rows(scope, part, found)] if found else []
                if not found:
                    rows = await self._rows_of_contact(scope, contact)
            for table, row in rows:
                line = json.dumps({"table": table, "row": row}) + b"\n"
                counts[table] += 1
                digest.update(line)
                yield line
            if not found:
                break
            done += found
        at = self._clock.now()
        target = contact_target(tenant_id, contact)
        receipt = Receipt("exported", tenant_id, target, at, dict(counts), {}, digest.hexdigest())
        async with self._db.scope(tenant_id) as scope:
            after = {"rows": dict(counts), "sha256": receipt.sha256}
            await audit.append(scope, actor, "contact.exported", target, after=after)
        yield json.dumps({"receipt": msgspec.to_builtins(receipt)}) + b"\n"

    async def erase(self, tenant_id: UUID, contact: str, actor: Actor) -> Receipt:
        """Everything of the contact, also of running turns: they end without an answer. May be stopped and repeated."""
        counts: Counter[str] = Counter()
        while True:
            async with self._db.scope(tenant_id) as scope:
                found = await _conversations(scope, contact, [])
                if found:
                    counts.update(await _erased(scope, found))
                    continue
                counts.update(await _erased_of_contact(scope, contact))
                receipt = Receipt.erased(tenant_id, contact, self._clock.now(), dict(counts))
                after = {"rows": receipt.rows, "sha256": receipt.sha256}
                await audit.append(scope, actor, "contact.erased", receipt.contact, after=after)
                return receipt

    async def _rows(
        self, scope: TenantScope, part: Part, conversations: Sequence[UUID]
    ) -> list[tuple[str, dict[str, Any]]]:
        names = ", ".join((*part.columns, *part.sealed))
        query = f"SELECT {names} FROM {part.table} WHERE tenant_id = $1 AND {part.where}"
        rows = await scope.fetch(query, scope.tenant_id, list(conversations))
        return [(part.table, self._plain(scope.tenant_id, part, row)) for row in rows]

    def _plain(self, tenant_id: UUID, part: Part, row: Any) -> dict[str, Any]:
        plain = {name: row[name] for name in part.columns}
        return plain | {name: self._opened(tenant_id, row[name]) for name in part.sealed}

    def _opened(self, tenant_id: UUID, value: bytes | None) -> Any:
        try:
            opened = self._sealed.open_text(tenant_id, value)
        except DecryptFailed:
            return {"damaged": True}
        try:
            return json.loads(opened) if opened else None
        except ValueError:
            return opened.decode(errors="replace")

    async def _rows_of_contact(self, scope: TenantScope, contact: str) -> list[tuple[str, dict[str, Any]]]:
        """His own row, records that name him, and what the audit log has of him."""
        query = "SELECT external_id, created_at FROM contacts WHERE tenant_id = $1 AND external_id = $2"
        rows = [("contacts", dict(row)) for row in await scope.fetch(query, scope.tenant_id, contact)]
        query = f"SELECT collection, key, value, created_at FROM records WHERE tenant_id = $1 AND {_OF_HIM}"
        for row in await scope.fetch(query, scope.tenant_id, contact):
            rows.append(("records", dict(row) | {"value": json.loads(row["value"])}))
        query = """
            SELECT number, at, actor_kind, action
              FROM audit
             WHERE tenant_id = $1
               AND target = $2
             ORDER BY number
             LIMIT $3
        """
        entries = await scope.fetch(query, scope.tenant_id, contact_target(scope.tenant_id, contact), _MOST_ENTRIES)
        return rows + [("audit", dict(row)) for row in entries]


# What tools wrote in his turns, and any record with a text that is his id.
_OF_HIM = """
    (contact = $2 OR jsonb_path_exists(value, '$.** ? (@ == $contact)', jsonb_build_object('contact', $2::text)))"""


async def _conversations(scope: TenantScope, contact: str, without: Sequence[UUID]) -> list[UUID]:
    """Some of the contact's, whatever state they are in."""
    query = """
        SELECT id
          FROM conversations
         WHERE tenant_id = $1
           AND contact = $2
           AND id <> ALL($3::uuid[])
         ORDER BY id
         LIMIT $4
    """
    return [row["id"] for row in await scope.fetch(query, scope.tenant_id, contact, list(without), _AT_ONCE)]


async def _erased(scope: TenantScope, conversations: Sequence[UUID]) -> dict[str, int]:
    """How many rows of each table. Whoever accepts or completes in one of them waits, and then finds nothing."""
    for conversation in conversations:  # by id, as everybody who takes several: two never wait for each other
        await scope.execute("SELECT conversation_lock($1)", conversation)
    counts = {}
    # What servers wrote that did not know yet whose it is.
    query = f"""
        DELETE FROM records
         WHERE tenant_id = $1
           AND contact IS NULL
           AND made_by IN (SELECT s.key FROM steps AS s WHERE s.tenant_id = $1 AND s.{_OF_A_TURN} AND s.key <> '')
    """
    counts["records"] = await _counted(scope, query, list(conversations))
    for part in PARTS:
        query = f"{part.erase or f'DELETE FROM {part.table}'} WHERE tenant_id = $1 AND {part.where}"
        counts[part.table] = await _counted(scope, query, list(conversations))
    return counts


async def _erased_of_contact(scope: TenantScope, contact: str) -> dict[str, int]:
    """When his turns are gone: whatever their tools wrote is seen, and nothing more can come (`tools/records.py`)."""
    records = f"DELETE FROM records WHERE tenant_id = $1 AND {_OF_HIM}"
    contacts = "DELETE FROM contacts WHERE tenant_id = $1 AND external_id = $2"
    return {
        "records": await _counted(scope, records, contact),
        "contacts": await _counted(scope, contacts, contact),
    }


async def _counted(scope: TenantScope, change: str, whose: object) -> int:
    """How many rows the change has changed."""
    query = f"WITH changed AS ({change} RETURNING 1) SELECT count(*) FROM changed"
    return int(await scope.fetchval(query, scope.tenant_id, whose))
