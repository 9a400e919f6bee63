"""The audit log in PostgreSQL. Entries are written by `append_audit()` alone: the application may only read them."""

import re
from collections.abc import Sequence
from typing import Any  # rows are untyped, changes JSON of any shape
from uuid import UUID

import msgspec

from frontdesk.audit.masking import masked_text, recorded
from frontdesk.audit.models import Actor, Entry, Filters
from frontdesk.db import TenantScope

Change = dict[str, Any]

_CONTROLS = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")

_COLUMNS = """a.number, audit_time(a.at) AS at, a.actor_kind, a.actor_id, a.address, a.action, a.target,
               a.before::text AS before, a.after::text AS after, encode(a.previous_hash, 'hex') AS previous_hash,
               encode(a.hash, 'hex') AS hash"""


class Head(msgspec.Struct, frozen=True):
    """Where a chain ends: its last entry's number and hash."""

    number: int
    hash: str


async def append(
    scope: TenantScope,
    actor: Actor,
    action: str,
    target: str,
    before: Change | None = None,
    after: Change | None = None,
) -> int:
    """The entry's number in the chain of the scope's tenant.

    Belongs in the transaction of the change, as its last statement: from here until the commit the tenant's other
    appends wait. Never a contact's words: an entry can't be erased.
    """
    return await _append(scope, False, actor, action, target, before, after)


async def append_to_deployment(
    scope: TenantScope,
    actor: Actor,
    action: str,
    target: str,
    before: Change | None = None,
    after: Change | None = None,
) -> int:
    """The same in the deployment's own chain, from the scope of any tenant."""
    return await _append(scope, True, actor, action, target, before, after)


async def close(scope: TenantScope, actor: Actor, before: Change | None = None) -> None:
    """Deletes the chain of the scope's tenant, whose row must be gone or `deleted` by then in the same transaction.

    `tenant.deleted` in the deployment's chain tells how long it was and its last hash, so that an export of it can
    still be checked.
    """
    query = "SELECT close_audit($1, $2, $3, $4)"
    kind, id, address = _told(actor)
    await scope.execute(query, kind, id, address, recorded(before))


async def entries(scope: TenantScope, filters: Filters, below: int | None, limit: int) -> list[Entry]:
    """The newest first, those numbered below `below` (None: from the end), at most `limit`."""
    wanted: dict[str, Sequence[object]] = {
        "actor_id = ${}": [filters.actor_id],
        "action BETWEEN ${} AND ${}": _span(filters.action),
        "target BETWEEN ${} AND ${}": _span(filters.target),
        "at >= ${}": [filters.since],
        "at < ${}": [filters.until],
    }
    conditions: list[str] = []
    values: list[object] = [scope.tenant_id, below or 2**62, limit]
    for condition, bounds in wanted.items():
        if bounds[0] is not None:
            conditions.append(condition.format(*range(len(values) + 1, len(values) + 1 + len(bounds))))
            values += bounds
    query = f"""
        SELECT {_COLUMNS}
          FROM audit AS a
         WHERE tenant_id = $1
           AND number < $2
           {"".join(f"AND {condition} " for condition in conditions)}
         ORDER BY number DESC
         LIMIT $3
    """
    rows = await scope.fetch(query, *values)
    return [_entry(scope.tenant_id, row) for row in rows]


async def entries_after(scope: TenantScope, number: int, limit: int) -> tuple[list[Entry], Head | None]:
    """The oldest first, those numbered above `number`, at most `limit`; and the head as it stood at the same moment,
    None for a chain that never began."""
    query = f"""
        SELECT h.number AS head_number, encode(h.hash, 'hex') AS head_hash, {_COLUMNS}
          FROM (SELECT $1::uuid AS tenant_id) AS chain
          LEFT JOIN audit_heads AS h ON h.tenant_id = chain.tenant_id
          -- bounded before it is joined: a page is a walk along the index
          LEFT JOIN LATERAL (SELECT number, at, actor_kind, actor_id, address, action, target, before, after,
                                    previous_hash, hash
                               FROM audit
                              WHERE tenant_id = $1
                                AND number > $2
                              ORDER BY number
                              LIMIT $3) AS a ON true
         ORDER BY a.number
         LIMIT $3
    """
    rows = await scope.fetch(query, scope.tenant_id, number, limit)
    head = rows[0]["head_number"]
    return (
        [_entry(scope.tenant_id, row) for row in rows if row["number"] is not None],
        Head(head, rows[0]["head_hash"]) if head is not None else None,
    )


async def _append(
    scope: TenantScope,
    of_deployment: bool,
    actor: Actor,
    action: str,
    target: str,
    before: Change | None,
    after: Change | None,
) -> int:
    query = "SELECT append_audit($1, $2, $3, $4, $5, $6, $7, $8)"
    number: int = await scope.fetchval(
        query, of_deployment, *_told(actor), action, _clean(target, 500), recorded(before), recorded(after)
    )
    return number


def _told(actor: Actor) -> tuple[str, str, str | None]:
    return actor.kind, _clean(actor.id, 200), None if actor.address is None else _clean(actor.address, 64)


def _clean(text: str, most: int) -> str:
    """Ids and targets may be what a stranger sent: no secrets, nothing that a database or a terminal stumbles over."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", masked_text(text[: most * 2]))[:most]


def _span(text: str | None) -> list[str | None]:
    """From which text to which, bytes compared: one text, or with `*` at its end all that begin so. As a span, since
    under row-level security `LIKE` may not walk an index."""
    if text is None or not text.endswith("*"):
        return [text, text]
    return [text[:-1], text[:-1] + "\U0010ffff"]


def _entry(tenant_id: UUID, row: Any) -> Entry:
    return Entry(
        tenant_id=tenant_id,
        number=row["number"],
        at=row["at"],
        actor_kind=row["actor_kind"],
        actor_id=row["actor_id"],
        address=row["address"],
        action=row["action"],
        target=row["target"],
        before=msgspec.Raw((row["before"] or "null").encode()),
        after=msgspec.Raw((row["after"] or "null").encode()),
        previous_hash=row["previous_hash"],
        hash=row["hash"],
    )
