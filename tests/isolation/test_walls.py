"""The walls between tenants in the database: they stand, and where one is taken away the tests notice."""

from collections.abc import AsyncIterator
from typing import Any  # asyncpg's connections are untyped

import asyncpg
import pytest
from tests.isolation import catalogue
from tests.isolation.attack import Uncovered, leaks, plant, undone
from tests.isolation.catalogue import APP, DEPLOYMENT_WIDE, problems, tenant_tables


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Any]:
    """In a transaction that is never committed."""
    owner = await asyncpg.connect(database_url)
    await owner.transaction().start()
    yield owner
    await owner.close()


async def test_the_catalogue_shows_no_hole(owner: Any) -> None:
    assert await problems(owner) == []


async def test_no_table_gives_or_takes_another_tenants_row(owner: Any) -> None:
    await plant(owner)
    tables = await tenant_tables(owner)
    assert {table: found for table, column in tables.items() if (found := await leaks(owner, table, column))} == {}
    assert len(tables) > 20


async def test_deployment_wide_tables_hold_nothing_of_a_tenants(owner: Any) -> None:
    await plant(owner)
    for table in DEPLOYMENT_WIDE:
        assert await owner.fetchval(f"SELECT count(*) FROM {table} AS t WHERE t::text LIKE '%00000000000a%'") == 0


WEAKENED = {
    "security off": "ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
    "policy dropped": "DROP POLICY tenant ON {table}",
    "policy open": "ALTER POLICY tenant ON {table} USING (true)",
    "another policy beside it": "CREATE POLICY more ON {table} FOR SELECT USING (true)",
    "unchecked": "ALTER POLICY tenant ON {table} WITH CHECK (true)",
    "never matching": "ALTER POLICY tenant ON {table} USING (false)",
}


@pytest.mark.parametrize("weakening", WEAKENED)
async def test_a_table_whose_wall_is_weakened_is_noticed_twice(owner: Any, weakening: str) -> None:
    """By what the catalogue says, and by what an attacker can do; whichever table it is."""
    await plant(owner)
    unnoticed = []
    for table, column in (await tenant_tables(owner)).items():
        async with undone(owner):
            await owner.execute(WEAKENED[weakening].format(table=table))
            if not any(f" {table} " in f"{line} " for line in await problems(owner)):
                unnoticed.append(f"{table}: catalogue")
            can_write = await owner.fetchval("SELECT has_table_privilege($1, $2, 'INSERT')", APP, table)
            if (can_write or weakening != "unchecked") and not await leaks(owner, table, column):
                unnoticed.append(f"{table}: attack")
    assert unnoticed == []


@pytest.mark.parametrize(
    ("hole", "noticed"),
    [
        ("CREATE TABLE notes (id uuid, text text)", "table notes has no column tenant_id"),
        ("CREATE TABLE notes (tenant_id uuid, text text)", "table notes has no column tenant_id"),
        ("CREATE TABLE notes (tenant_id uuid NOT NULL)", "table notes has no row-level security"),
        ("ALTER TABLE consumer_positions ADD COLUMN tenant_id uuid", "consumer_positions is named as deployment-wide"),
        ("CREATE VIEW everything AS SELECT * FROM messages", "view everything shows rows"),
        ("CREATE MATERIALIZED VIEW everything AS SELECT * FROM messages", "view everything shows rows"),
        ("CREATE UNIQUE INDEX by_name ON agents (name)", "index by_name is unique across tenants"),
        (
            "CREATE UNIQUE INDEX by_turn ON turns (id);"
            " ALTER TABLE steps ADD CONSTRAINT of_turn FOREIGN KEY (turn_id) REFERENCES turns (id)",
            "foreign key of_turn of steps",
        ),
        ("GRANT TRUNCATE ON messages TO frontdesk_app", "has TRUNCATE on messages"),
        ("GRANT SELECT ON messages TO PUBLIC", "everybody has SELECT on messages"),
        ("GRANT CREATE ON SCHEMA public TO frontdesk_app", "may create things"),
        (
            "CREATE FUNCTION peek() RETURNS bigint SECURITY DEFINER LANGUAGE sql AS 'SELECT count(*) FROM messages'",
            "function peek runs as its owner without a fixed search_path",
        ),
        ("ALTER FUNCTION tenants_listed(text, int) RESET search_path", "tenants_listed runs as its owner without"),
        (
            "GRANT EXECUTE ON FUNCTION tenants_listed(text, int) TO PUBLIC",
            "function tenants_listed runs as its owner, called",
        ),
        ("ALTER ROLE frontdesk_app BYPASSRLS", "frontdesk_app has rolbypassrls"),
        ("CREATE ROLE t_walls_passer BYPASSRLS", "role t_walls_passer passes by the policies"),
        ("CREATE ROLE t_walls_group; GRANT t_walls_group TO frontdesk_app", "is a member of t_walls_group"),
        ("ALTER TABLE messages OWNER TO frontdesk_app", "frontdesk_app owns something of pg_class"),
        ("DROP FUNCTION feedback_totals(int)", "function feedback_totals is named"),
    ],
)
async def test_a_hole_is_noticed(owner: Any, hole: str, noticed: str) -> None:
    await owner.execute(hole)  # roles, too, are gone with the transaction
    assert [line for line in await problems(owner) if noticed in line] != []


async def test_a_table_that_no_row_can_be_made_for_is_said(owner: Any) -> None:
    await owner.execute("CREATE TABLE notes (tenant_id uuid NOT NULL, at point NOT NULL)")
    with pytest.raises(Uncovered, match=r"notes\.at: how is a value of point made"):
        await plant(owner)


def test_every_exception_has_its_reason() -> None:
    for reasons in (catalogue.DEPLOYMENT_WIDE, catalogue.UNIQUE_ACROSS, catalogue.DEFINERS):
        assert all(reasons.values())
