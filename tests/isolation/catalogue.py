"""What the database's own catalogue says of the walls between tenants: every exception is named, with its reason."""

import re
from collections.abc import AsyncIterator
from typing import Any  # asyncpg's connections are untyped

APP = "frontdesk_app"

# Tables that hold no tenant's content.
DEPLOYMENT_WIDE = {
    "alembic_version": "which migration the schema is at",
    "schema_functions": "which functions are installed",
    "consumer_positions": "how far each group of readers has come in the log",
    "sealing_keys": "ids of keys, four bytes of a hash each",
    "retired_keys": "ids of keys that must not come back",
    "sealing_servers": "which servers run, and which keys each knows by id",
    "signing_keys": "keys that tokens are signed with, of all tenants; the private ones sealed",
}

# What the tenant is called in tables where it is not `tenant_id`.
TENANT_COLUMN = {"tenants": "id"}

# Unique without the tenant: what is taken by one is refused to another, which so learns that it is taken.
UNIQUE_ACROSS = {
    "tenants_pkey": "the tenant itself",
    "tenants_slug_key": "names of tenants are the deployment's",
    "outbox_pkey": "numbers that PostgreSQL gives out",
    "api_keys_id_key": "ids are random, and made by the server",
    "api_keys_prefix_key": "a key is found by it before its tenant is known; random, and made by the server",
}

# Functions that run with the owner's rights: each for a reason, and none gives a caller what another tenant said.
DEFINERS = {
    "tenant_named": "finding a tenant comes before its scope; gives its name and settings",
    "tenants_changed": "whether what a server knows of tenants still holds; gives ids that it was given",
    "tenants_listed": "names and ids of tenants, to walk through all of them",
    "tenants_leaving": "whoever began to delete a tenant may have died of it; gives ids",
    "tenant_erase": "deletes of a tenant that is being deleted, and of no other; takes its table from the catalogue",
    "outbox_after": "consumers of this server read every tenant's events, in order; payloads are sealed",
    "outbox_prune": "housekeeping: events that are old enough go, whosever they are",
    "outbox_is_restored": "a yes or no about transaction numbers",
    "claim_due_turns": "a worker takes whichever turn is due; gives ids",
    "extend_leases": "a worker keeps the turns that it runs; gives ids",
    "release_turns": "a worker that stops gives its turns back; gives a count",
    "idle_conversations": "housekeeping: whose conversations have expired; gives ids",
    "conversations_over": "housekeeping: whose conversations were kept for long enough; gives ids",
    "retention_due": "housekeeping: which tenants have something that was kept for long enough; gives ids",
    "remove_tenants_events": "housekeeping: events that their tenant keeps no longer; gives a count",
    "has_operator": "whether anybody manages the deployment is no tenant's matter; gives yes or no",
    "api_key_of": "finding a key comes before its tenant's scope; gives a hash and scopes",
    "api_keys_valid": "which keys that a server knows still hold; gives ids that it was given",
    "api_keys_used": "when keys were last used, in one statement for all; ids that the server has just read",
    "feedback_totals": "counts for /metrics",
    "search_passages": "for its indexes alone: the tenant is the scope's",
    "append_audit": "the only way to write the audit log: the tenant is the scope's, or the deployment itself",
    "close_audit": "the only way to delete an audit log, once its tenant is gone: the scope's",
}

_POLICY = re.compile(r"\((\w+) = \(?current_setting\('app\.tenant_id'::text\)\)?::uuid\)")


async def problems(owner: Any) -> list[str]:
    """One line for each hole in the walls. `owner`: a connection of the tables' owner."""
    return [
        *[line async for line in _tables(owner)],
        *[line async for line in _uniques(owner)],
        *[line async for line in _references(owner)],
        *[line async for line in _rights(owner)],
        *[line async for line in _functions(owner)],
        *[line async for line in _roles(owner)],
    ]


async def tenant_tables(owner: Any) -> dict[str, str]:
    """Each table with tenants' rows, and its column that says whose a row is."""
    rows = await owner.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1"
    )
    names = [row["relname"] for row in rows if row["relname"] not in DEPLOYMENT_WIDE]
    return {name: TENANT_COLUMN.get(name, "tenant_id") for name in names}


async def _tables(owner: Any) -> AsyncIterator[str]:
    columns = {
        (row["relname"], row["attname"]): (row["kind"], row["attnotnull"])
        for row in await owner.fetch(
            """
            SELECT c.relname, a.attname, a.atttypid::regtype::text AS kind, a.attnotnull
              FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
             WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT a.attisdropped
            """
        )
    }
    secured = {row["relname"] for row in await owner.fetch("SELECT relname FROM pg_class WHERE relrowsecurity")}
    policies: dict[str, list[Any]] = {}
    for row in await owner.fetch("SELECT * FROM pg_policies WHERE schemaname = 'public'"):
        policies.setdefault(row["tablename"], []).append(row)
    for table, column in (await tenant_tables(owner)).items():
        if columns.get((table, column)) != ("uuid", True):
            yield f"table {table} has no column {column} uuid NOT NULL, and is not named as deployment-wide"
            continue
        if table not in secured:
            yield f"table {table} has no row-level security"
        if len(policies.get(table, ())) != 1:  # two permissive ones are either of them
            yield f"table {table} has {len(policies.get(table, ()))} policies"
        for policy in policies.get(table, ()):
            for text in (policy["qual"], policy["with_check"] or policy["qual"]):
                found = _POLICY.fullmatch(text or "")
                if found is None or found[1] != column:
                    yield f"policy {policy['policyname']} of {table} is not the tenant's: {text}"
            if policy["cmd"] != "ALL" or policy["permissive"] != "PERMISSIVE" or "public" not in policy["roles"]:
                yield f"policy {policy['policyname']} of {table} is not for everybody and everything"
    for row in await owner.fetch(
        """
        SELECT c.relname, c.relkind, 'security_invoker=true' = ANY (c.reloptions) AS is_invoker
          FROM pg_class AS c
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('v', 'm', 'f')
        """
    ):
        if row["relkind"] != b"v" or not row["is_invoker"]:
            yield f"view {row['relname']} shows rows by its owner's rights"
    for table in DEPLOYMENT_WIDE:
        if (table, "tenant_id") in columns:
            yield f"table {table} is named as deployment-wide and holds tenants' rows"


async def _uniques(owner: Any) -> AsyncIterator[str]:
    tables = await tenant_tables(owner)
    for row in await owner.fetch(
        """
        SELECT i.indexrelid::regclass::text AS name, c.relname,
               ARRAY(SELECT a.attname FROM pg_attribute AS a
                      WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey)) AS names
          FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid
         WHERE i.indisunique AND c.relnamespace = 'public'::regnamespace
        """
    ):
        if row["relname"] in tables and tables[row["relname"]] not in row["names"] and row["name"] not in UNIQUE_ACROSS:
            yield f"index {row['name']} is unique across tenants"


async def _references(owner: Any) -> AsyncIterator[str]:
    """A foreign key is checked, and cascades, past the policies."""
    tables = await tenant_tables(owner)
    for row in await owner.fetch(
        """
        SELECT k.conname, k.conrelid::regclass::text AS table, k.confrelid::regclass::text AS other,
               ARRAY(SELECT a.attname FROM pg_attribute AS a
                      WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)) AS names,
               ARRAY(SELECT a.attname FROM pg_attribute AS a
                      WHERE a.attrelid = k.confrelid AND a.attnum = ANY (k.confkey)) AS other_names
          FROM pg_constraint AS k
         WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace
        """
    ):
        if row["other"] in tables and (
            tables.get(row["table"]) not in row["names"] or tables[row["other"]] not in row["other_names"]
        ):
            yield f"foreign key {row['conname']} of {row['table']} leads to another tenant's rows"


async def _rights(owner: Any) -> AsyncIterator[str]:
    for row in await owner.fetch(
        """
        SELECT c.relname, r.kind
          FROM pg_class AS c,
               unnest(ARRAY['TRUNCATE', 'REFERENCES', 'TRIGGER']) AS r (kind)
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
           AND has_table_privilege($1, c.oid, r.kind)
        """,
        APP,
    ):
        yield f"{APP} has {row['kind']} on {row['relname']}, which no policy bounds"
    for row in await owner.fetch(
        """
        SELECT c.relname, a.privilege_type
          FROM pg_class AS c, aclexplode(c.relacl) AS a
         WHERE c.relnamespace = 'public'::regnamespace AND a.grantee = 0
           AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = c.oid AND d.deptype = 'e')
        """
    ):
        yield f"everybody has {row['privilege_type']} on {row['relname']}"
    if await owner.fetchval("SELECT has_schema_privilege($1, 'public', 'CREATE')", APP):
        yield f"{APP} may create things in the schema"


async def _functions(owner: Any) -> AsyncIterator[str]:
    rows = await owner.fetch(
        """
        SELECT p.proname, p.prosecdef, p.proconfig,
               ARRAY(SELECT CASE WHEN a.grantee = 0 THEN 'everybody' ELSE a.grantee::regrole::text END
                       FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
                      WHERE a.privilege_type = 'EXECUTE' AND a.grantee <> p.proowner) AS callers
          FROM pg_proc AS p
         WHERE p.pronamespace = 'public'::regnamespace
           AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = p.oid AND d.deptype = 'e')
        """
    )
    definers = [row for row in rows if row["prosecdef"]]
    for row in definers:
        if "search_path=public, pg_temp" not in (row["proconfig"] or ()):
            yield f"function {row['proname']} runs as its owner without a fixed search_path"
        if row["callers"] not in ([APP], []):
            yield f"function {row['proname']} runs as its owner, called by {row['callers']}"
        if row["proname"] not in DEFINERS:
            yield f"function {row['proname']} runs as its owner, and nobody said why"
    for name in DEFINERS.keys() - {row["proname"] for row in definers}:
        yield f"function {name} is named as running as its owner, and is not there"


async def _roles(owner: Any) -> AsyncIterator[str]:
    [app] = await owner.fetch("SELECT * FROM pg_roles WHERE rolname = $1", APP)
    for right in ("rolsuper", "rolbypassrls", "rolcreaterole", "rolcreatedb", "rolreplication"):
        if app[right]:
            yield f"{APP} has {right}"
    for row in await owner.fetch("SELECT rolname FROM pg_roles WHERE rolbypassrls AND NOT rolsuper"):
        yield f"role {row['rolname']} passes by the policies"
    for row in await owner.fetch(
        "SELECT roleid::regrole::text AS role FROM pg_auth_members WHERE member = $1::regrole", APP
    ):
        yield f"{APP} is a member of {row['role']}"
    for row in await owner.fetch(
        """
        SELECT classid::regclass::text AS kind, objid
          FROM pg_shdepend
         WHERE refobjid = $1::regrole AND deptype = 'o'
           AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
        """,
        APP,
    ):
        yield f"{APP} owns something of {row['kind']}"
