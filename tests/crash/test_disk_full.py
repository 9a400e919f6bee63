"""The disk under the data directory is full, and later it is not: on a small file system of its own."""

import asyncio
import errno
import os
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from tests.conftest import IN_CI
from tests.crash.desk import Desk
from tests.crash.kills import under
from tests.crash.load import Load, settled, violations
from tests.crash.talk import WITHIN_S, until_ready
from tests.served import serving

SIZE_MIB = 700


@pytest.fixture
async def small(place: Path) -> AsyncIterator[Path]:
    folder = place / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m,mode=755", "none", str(folder)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        (pytest.fail if IN_CI else pytest.skip)("a small file system can't be mounted by this user")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_a_full_disk_loses_nothing_and_is_worked_on_when_it_has_room_again(desk: Desk, small: Path) -> None:
    desk = replace(desk, settings={"FRONTDESK_TURNS__ATTEMPTS": "50"})
    async with serving(small / "data", desk.environment) as served:
        load = Load(lambda: served, 6)
        filler = small / "filler"
        async with under(load):
            await load.more(6)
            with filler.open("wb") as file:
                fill(file.fileno())
            await use_up_the_log(small / "data" / "postgres")
            reasons = await until_ready(served, 503)
            assert set(reasons["reasons"]) == {"database"}
            assert (await served.client.get("/health")).status_code == 200
            filler.unlink()
            assert await until_ready(served, 200) == {"status": "ready"}
            await load.more(6)
        found = violations(load, await settled(served, load), desk)
        assert found == []
        assert await served.stop() == 0


def fill(file: int) -> None:
    """Until nothing is left. The server writes meanwhile: how much that is can't be asked beforehand."""
    size, step = 0, 16 << 20
    while step >= 4096:
        try:
            os.posix_fallocate(file, size, step)
            size += step
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            step //= 2


async def use_up_the_log(postgres: Path) -> None:
    """PostgreSQL writes its log into files made beforehand: one that has to be made ends it while the disk is full."""
    folder = (postgres / "postmaster.pid").read_text().splitlines()[4].strip()
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                owner = await asyncpg.connect(f"postgresql://postgres@/postgres?host={folder}")
                while True:
                    await owner.execute("SELECT pg_switch_wal(), pg_logical_emit_message(false, '', 'x')")
            except (asyncpg.CannotConnectNowError, OSError, asyncpg.PostgresConnectionError):
                return
            except asyncpg.DiskFullError:
                continue
