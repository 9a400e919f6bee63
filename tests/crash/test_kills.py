"""kill -9 under load: nothing acknowledged is lost, nothing is answered or done twice."""

import base64
from functools import partial
from pathlib import Path

from tests.crash.bells import Bells
from tests.crash.desk import Desk, noting
from tests.crash.kills import database_gone, embedded_survives, two_on_one_database_survive
from tests.crash.postgres import own_postgres
from tests.vendors.server import Vendor

KILLS = 25  # each; `make crash KILLS=1000` is the long form
KEY = base64.b64encode(bytes(range(32))).decode()


def make_desk(place: Path, vendor: Vendor, bells: Bells, **settings: str) -> Desk:
    desk = Desk(place, vendor, bells, {"FRONTDESK_TURNS__ATTEMPTS": "50"} | settings)
    vendor.responder = partial(noting, delay_s=0.02)
    return desk


async def test_kills_under_load_lose_nothing_and_repeat_nothing(place: Path, vendor: Vendor, bells: Bells) -> None:
    report = await embedded_survives(make_desk(place, vendor, bells), KILLS, seed=1)
    assert report.violations == []
    assert report.kills == KILLS
    assert report.acknowledged > KILLS
    assert report.repeated + report.unknown > 0  # kills that fell into a call were among them


async def test_two_servers_on_one_database_survive_being_killed_in_turn(
    place: Path, vendor: Vendor, bells: Bells, database_url: str
) -> None:
    settings = {"FRONTDESK_DATABASE_URL": database_url, "FRONTDESK_ENCRYPTION_KEYS": KEY}
    report = await two_on_one_database_survive(make_desk(place, vendor, bells, **settings), KILLS, seed=2)
    assert report.violations == []
    assert report.kills == KILLS
    assert report.acknowledged > KILLS
    assert report.repeated + report.unknown > 0  # kills that fell into a call were among them


async def test_a_database_that_is_stopped_and_killed_under_load_loses_nothing(
    place: Path, vendor: Vendor, bells: Bells
) -> None:
    async with own_postgres(place / "external") as postgres:
        desk = make_desk(place, vendor, bells, FRONTDESK_DATABASE_URL=postgres.url)
        times = len(postgres.ways_to_go)
        report = await database_gone(desk, postgres, times, seed=3)
    assert report.violations == []
    assert report.acknowledged > times
