"""Everything that is stored about one contact: given out, or erased with a receipt."""

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
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
_CLOCKS = timedelta(hours=1)  # by which those of servers may differ
_FIRST_STRETCH = timedelta(hours=1)
_SHORT_S, _LONG_S = 0.25, 1.0
_NO_ID = UUID(int=0)

# Each turn is that of a message, and messages are found by their conversation.
_ITS_TURNS = """
    ANY(ARRAY(SELECT m.turn_id FROM messages AS m WHERE m.tenant_id = $1 AND m.conversation_id = ANY($2::uuid[])))"""
_LEFT = """
    id >= first_id_of($3)
    AND id < first_id_of($4)
    AND conversation_id IN (SELECT unnest($2::uuid[]))
    AND NOT EXISTS (
        SELECT FROM messages AS m
         WHERE m.tenant_id = turns.tenant_id
           AND m.conversation_id = turns.conversation_id
           AND m.turn_id = turns.id)"""
_KEYS = "(SELECT c::text FROM unnest($2::uuid[]) AS c)"


class Part(msgspec.Struct, frozen=True):
    """A table that holds something of conversations: which rows, what is given out, and which of that is sealed."""

    table: str
    where: str  # $1: the tenant, $2: conversations; $3 and $4: from when until when, where no index leads to the rows
    columns: tuple[str, ...]
    sealed: tuple[str, ...] = ()
    erase: str | None = None  # what happens to the rows, where they are not deleted
    kept: str = ""  # what stays then, for the receipt


_CONVERSATIONS = Part(
    "conversations",
    "id = ANY($2::uuid[])",
    ("id", "contact", "channel", "state", "owner", "agent", "intent", "created_at", "last_activity"),
    ("pending", "context", "summary"),
)
_CALLS = Part(
    "llm_calls",
    f"turn_id = {_ITS_TURNS}",
    ("id", "turn_id", "purpose", "provider", "model", "outcome", "input_tokens", "output_tokens", "created_at"),
    erase="UPDATE llm_calls SET turn_id = NULL",
    kept="what the calls cost, as nobody's",
)
_TURNS = Part(
    "turns",
    f"id = {_ITS_TURNS}",
    ("id", "conversation_id", "state", "stage", "agents", "error_code", "created_at", "ended_at"),
    ("decision",),
)
# What conversations lead to, in the order in which it is erased: what is found by something else goes before that.
_LED_TO = (
    Part(
        "steps",
        f"turn_id = {_ITS_TURNS}",
        ("turn_id", "number", "agent", "kind", "name", "status", "created_at"),
        ("input", "output"),
    ),
    Part("feedback", f"turn_id = {_ITS_TURNS}", ("turn_id", "author", "verdict", "agent", "given_at")),
    _CALLS,
    _TURNS,
    Part("messages", "conversation_id = ANY($2::uuid[])", ("conversation_id", "seq", "role", "created_at"), ("body",)),
)
# Found by their time alone, stretch by stretch: an index would cost every turn, and few ask for this. Turns that no
# message leads to any more are those of conversations that were cleared.
_BY_TIME = (
    msgspec.structs.replace(_CALLS, where=f"turn_id IN (SELECT id FROM turns WHERE tenant_id = $1 AND {_LEFT})"),
    msgspec.structs.replace(_TURNS, where=_LEFT),
    Part(
        "outbox",
        f"occurred_at >= $3 AND occurred_at < $4 AND key IN {_KEYS}",
        ("event_id", "topic", "key", "type", "occurred_at"),
        ("payload",),
        erase="UPDATE outbox SET payload = ''::bytea",
        kept="the events' places, without their content",
    ),
    Part(
        "dead_letters",
        f"id >= first_id_of($3) AND id < first_id_of($4) AND event ->> 'key' IN {_KEYS}",
        ("id", "consumer", "topic", "error", "created_at"),
    ),
)
PARTS = (*_LED_TO, *_BY_TIME, _CONVERSATIONS)
# Found by the contact.
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


class _Talk(msgspec.Struct, frozen=True):
    """One conversation of the contact's."""

    id: UUID
    created_at: datetime


# How much of the walk through time is done (from 0 to 1).
OnWalked = Callable[[float], None]


def _unheard(_done: float) -> None:
    return None


class PersonalData:
    """Data subjects' requests. The actor must be allowed to: `contacts:export`, `contacts:erase`."""

    def __init__(self, db: Database, sealed: Sealed, clock: Clock, mark: Callable[[], None]) -> None:
        """`mark` is told before and after something is erased, so that the disk is purged of it."""
        self._db = db
        self._sealed = sealed
        self._clock = clock
        self._mark = mark

    async def export(
        self, tenant_id: UUID, contact: str, actor: Actor, on_walked: OnWalked = _unheard
    ) -> AsyncIterator[bytes]:
        """JSON lines `{"table", "row"}` of everything, opened; the last is the receipt, with the hash of those before.

        A value that can't be opened any more is given as `{"damaged": true}`.
        """
        digest, counts = hashlib.sha256(), Counter[str]()
        async for table, row in self._everything(tenant_id, contact, on_walked):
            line = json.dumps({"table": table, "row": row}) + b"\n"
            counts[table] += 1
            digest.update(line)
            yield line
        at = self._clock.now()
        target = contact_target(tenant_id, contact)
        receipt = Receipt("exported", tenant_id, target, at, dict(counts), {}, digest.hexdigest())
        async with self._db.scope(tenant_id) as scope:
            after = {"rows": dict(counts), "sha256": receipt.sha256}
            await audit.append(scope, actor, "contact.exported", target, after=after)
        yield json.dumps({"receipt": msgspec.to_builtins(receipt)}) + b"\n"

    async def erase(self, tenant_id: UUID, contact: str, actor: Actor, on_walked: OnWalked = _unheard) -> Receipt:
        """Everything of the contact, also of running turns: they end without an answer. May be stopped and repeated."""
        self._mark()
        counts = Counter({part.table: 0 for part in PARTS})
        while True:
            talks = []
            async for portion in self._portions(tenant_id, contact):
                async with self._db.scope(tenant_id) as scope:
                    counts.update(await _emptied(scope, [talk.id for talk in portion]))
                talks += portion
            async for part, values in self._walk(talks, on_walked):
                async with self._db.scope(tenant_id) as scope:
                    counts[part.table] += await _erased(scope, part, values)
            async with self._db.scope(tenant_id) as scope:
                counts["conversations"] += await _erased(scope, _CONVERSATIONS, [[talk.id for talk in talks]])
                if await _talks(scope, contact, _NO_ID):  # begun meanwhile
                    continue
                counts.update(await _erased_of_contact(scope, contact))
                receipt = Receipt.erased(tenant_id, contact, self._clock.now(), dict(counts))
                after = {"rows": receipt.rows, "sha256": receipt.sha256}
                await audit.append(scope, actor, "contact.erased", receipt.contact, after=after)
            self._mark()
            return receipt

    async def _everything(
        self, tenant_id: UUID, contact: str, on_walked: OnWalked
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        talks = []
        async for portion in self._portions(tenant_id, contact):
            talks += portion
            for part in (*_LED_TO, _CONVERSATIONS):
                async with self._db.scope(tenant_id) as scope:
                    rows = await self._rows(scope, part, [[talk.id for talk in portion]])
                for row in rows:
                    yield part.table, row
        async for part, values in self._walk(talks, on_walked):
            async with self._db.scope(tenant_id) as scope:
                rows = await self._rows(scope, part, values)
            for row in rows:
                yield part.table, row
        async with self._db.scope(tenant_id) as scope:
            rows_of_contact = await self._rows_of_contact(scope, contact)
        for table, row in rows_of_contact:
            yield table, row

    async def _portions(self, tenant_id: UUID, contact: str) -> AsyncIterator[list[_Talk]]:
        """The contact's conversations, whatever state they are in."""
        after = _NO_ID
        while True:
            async with self._db.scope(tenant_id) as scope:
                found = await _talks(scope, contact, after)
            if not found:
                return
            yield found
            after = found[-1].id

    async def _walk(self, talks: Sequence[_Talk], on_walked: OnWalked) -> AsyncIterator[tuple[Part, list[Any]]]:
        """What is found by its time alone: the parts with their values, for one stretch of time after the other.

        A stretch is as long as takes about a second, so that no statement is too long, however much there is.
        """
        if not talks:
            return
        ids = [talk.id for talk in talks]
        # Ids are made by servers' clocks.
        begins = min(talk.created_at for talk in talks) - _CLOCKS
        ends = self._clock.now() + _CLOCKS
        at, length = begins, _FIRST_STRETCH
        while at < ends:
            until = min(at + length, ends)
            begun = self._clock.monotonic()
            for part in _BY_TIME:
                yield part, [ids, at, until]
            took_s = self._clock.monotonic() - begun
            length = length * 4 if took_s < _SHORT_S else length / 4 if took_s > _LONG_S else length
            at = until
            on_walked((at - begins) / (ends - begins))

    async def _rows(self, scope: TenantScope, part: Part, values: list[Any]) -> list[dict[str, Any]]:
        names = ", ".join((*part.columns, *part.sealed))
        query = f"SELECT {names} FROM {part.table} WHERE tenant_id = $1 AND {part.where}"
        return [self._plain(scope.tenant_id, part, row) for row in await scope.fetch(query, scope.tenant_id, *values)]

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
        """His own row, his verdicts on others' conversations, his records, and what the audit log has of him."""
        query = "SELECT external_id, created_at FROM contacts WHERE tenant_id = $1 AND external_id = $2"
        rows = [("contacts", dict(row)) for row in await scope.fetch(query, scope.tenant_id, contact)]
        query = """
            SELECT f.turn_id, f.author, f.verdict, f.agent, f.given_at
              FROM feedback AS f
              JOIN turns AS t ON t.tenant_id = f.tenant_id AND t.id = f.turn_id
              JOIN conversations AS c ON c.tenant_id = t.tenant_id AND c.id = t.conversation_id
             WHERE f.tenant_id = $1
               AND f.author = $2
               AND c.contact <> $2
        """
        rows += [("feedback", dict(row)) for row in await scope.fetch(query, scope.tenant_id, contact)]
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


async def _talks(scope: TenantScope, contact: str, after: UUID) -> list[_Talk]:
    """The next, by their ids."""
    query = """
        SELECT id, created_at
          FROM conversations
         WHERE tenant_id = $1
           AND contact = $2
           AND id > $3
         ORDER BY id
         LIMIT $4
    """
    rows = await scope.fetch(query, scope.tenant_id, contact, after, _AT_ONCE)
    return [_Talk(row["id"], row["created_at"]) for row in rows]


async def _emptied(scope: TenantScope, conversations: Sequence[UUID]) -> dict[str, int]:
    """How many rows of each table went. The conversations stay, closed: whoever accepts or completes in one waits, and
    then finds that; and an erasure that is repeated finds them."""
    for conversation in conversations:  # by id, as everybody who takes several: two never wait for each other
        await scope.execute("SELECT conversation_lock($1)", conversation)
    # What servers wrote that did not know yet whose it is.
    query = f"""
        DELETE FROM records
         WHERE tenant_id = $1
           AND contact IS NULL
           AND made_by IN (SELECT key FROM steps WHERE tenant_id = $1 AND turn_id = {_ITS_TURNS} AND key <> '')
    """
    counts = {"records": await _counted(scope, query, conversations)}
    for part in _LED_TO:
        counts[part.table] = await _erased(scope, part, [conversations])
    query = """
        UPDATE conversations
           SET state = 'cleared', pending = NULL, context = NULL, summary = NULL
         WHERE tenant_id = $1
           AND id = ANY($2::uuid[])
    """
    await scope.execute(query, scope.tenant_id, conversations)
    return counts


async def _erased(scope: TenantScope, part: Part, values: Sequence[Any]) -> int:
    change = part.erase or f"DELETE FROM {part.table}"
    return await _counted(scope, f"{change} WHERE tenant_id = $1 AND {part.where}", *values)


async def _erased_of_contact(scope: TenantScope, contact: str) -> dict[str, int]:
    """When his turns are gone: whatever their tools wrote is seen, and nothing more can come (`tools/records.py`)."""
    records = f"DELETE FROM records WHERE tenant_id = $1 AND {_OF_HIM}"
    contacts = "DELETE FROM contacts WHERE tenant_id = $1 AND external_id = $2"
    feedback = "DELETE FROM feedback WHERE tenant_id = $1 AND author = $2"  # on others' conversations
    return {
        "feedback": await _counted(scope, feedback, contact),
        "records": await _counted(scope, records, contact),
        "contacts": await _counted(scope, contacts, contact),
    }


async def _counted(scope: TenantScope, change: str, *values: Any) -> int:
    """How many rows the change has changed."""
    query = f"WITH changed AS ({change} RETURNING 1) SELECT count(*) FROM changed"
    return int(await scope.fetchval(query, scope.tenant_id, *values))
