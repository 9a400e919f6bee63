"""kill -9 under load: nothing acknowledged is lost, nothing is answered or done twice."""

import base64
import os
from functools import partial
from pathlib import Path

from tests.crash.desk import Desk, noting
from tests.crash.kills import embedded_survives, two_on_one_database_survive
from tests.vendors.server import Vendor

KILLS = int(os.environ.get("KILLS", "20"))
KEY = base64.b64encode(bytes(range(32))).decode()


def make_desk(place: Path, vendor: Vendor, **settings: str) -> Desk:
    desk = Desk(place, vendor, {"FRONTDESK_TURNS__ATTEMPTS": "50"} | settings)
    vendor.responder = partial(noting, delay_s=0.02)
    return desk


async def test_twenty_kills_under_load_lose_nothing_and_repeat_nothing(place: Path, vendor: Vendor) -> None:
    report = await embedded_survives(make_desk(place, vendor), KILLS, seed=1)
    assert report.violations == []
    assert report.kills == KILLS
    assert report.acknowledged > KILLS


async def test_two_servers_on_one_database_survive_being_killed_in_turn(
    place: Path, vendor: Vendor, database_url: str
) -> None:
    settings = {"FRONTDESK_DATABASE_URL": database_url, "FRONTDESK_ENCRYPTION_KEYS": KEY}
    report = await two_on_one_database_survive(make_desk(place, vendor, **settings), KILLS, seed=2)
    assert report.violations == []
    assert report.kills == KILLS
    assert report.acknowledged > KILLS
