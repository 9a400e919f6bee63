"""Clocks that are set back: the database's, by which leases and sessions run out, and the server's own."""

import asyncio
import base64
import uuid
from dataclasses import replace
from pathlib import Path

import asyncpg
from tests.crash.desk import SLUG, Desk
from tests.crash.talk import WITHIN_S, Held, messages, say
from tests.served import serving
from tests.vendors.server import Vendor

KEY = base64.b64encode(bytes(range(32))).decode()


async def set_back(owner: asyncpg.Connection) -> None:
    """The database's clock, by an hour: everything that it has stamped is an hour further on."""
    stamps = await owner.fetch("""
        SELECT c.table_name, c.column_name
          FROM information_schema.columns AS c
          JOIN information_schema.tables AS t USING (table_schema, table_name)
         WHERE c.table_schema = 'public' AND c.data_type LIKE 'timestamp%' AND t.table_type = 'BASE TABLE'
    """)
    assert {"turns", "consumer_positions", "conversations"} <= {stamp["table_name"] for stamp in stamps}
    for table, column in stamps:
        await owner.execute(f"UPDATE {table} SET {column} = {column} + interval '1 hour'")


async def test_a_database_whose_clock_is_set_back_delays_no_turn_of_a_dead_server(
    desk: Desk, vendor: Vendor, database_url: str
) -> None:
    desk = replace(desk, settings={"FRONTDESK_DATABASE_URL": database_url, "FRONTDESK_ENCRYPTION_KEYS": KEY})
    session_id = str(uuid.uuid4())
    held = Held(vendor)
    owner = await asyncpg.connect(database_url)
    try:
        async with (
            serving(desk.data / "a", desk.environment) as first,
            serving(desk.data / "b", desk.environment) as second,
        ):
            assert (await say(first, "note one", session_id, "messages")).status_code == 202
            await held.reached()
            await first.kill()
            await set_back(owner)
            held.let_go()
            found = await messages(second, session_id, {1})
            assert [(message["role"], message["in_reply_to"]) for message in found] == [
                ("user", []),
                ("assistant", [1]),
            ]
            assert [len(keys) for keys in desk.calls().values()] == [1]
            # The session is as alive as before, and its numbers go on.
            assert (await say(second, "note two", session_id)).json()["seq"] == 4
            # The log is read on, whoever read it before.
            async with asyncio.timeout(WITHIN_S):
                while not await owner.fetchval("SELECT bool_and(updated_at < now()) FROM consumer_positions"):
                    await asyncio.sleep(0.2)
    finally:
        await owner.close()


async def test_a_server_whose_clock_is_set_back_in_mid_turn_answers_as_ever(
    place: Path, desk: Desk, vendor: Vendor
) -> None:
    session_id = str(uuid.uuid4())
    off = place / "off"
    off.write_text("0")
    environment = {"CLOCK_OFF": str(off), "PYTHONPATH": str(Path(__file__).parent / "clock")}
    held = Held(vendor)
    async with serving(desk.data, desk.environment | environment) as served:
        waiting = asyncio.create_task(say(served, "note one", session_id))
        await held.reached()
        off.write_text("-3600")
        held.let_go()
        await served.kill()
        waiting.cancel()
    async with serving(desk.data, desk.environment | environment) as served:
        off.write_text("-7200")
        answer = (await messages(served, session_id, {1}))[-1]
        assert answer["metadata"]["duration_ms"] >= 0
        again = await say(served, "note two", session_id)
        assert (again.status_code, again.json()["seq"]) == (200, 4)
        assert again.json()["duration_ms"] >= 0
        history = (await served.client.get(f"/api/{SLUG}/conversations/{session_id}")).json()
        assert [message["seq"] for message in history["messages"]] == [1, 2, 3, 4]
        assert len({message["message_id"] for message in history["messages"]}) == 4
