"""`make crash [KILLS=1000]`: kill -9 under load, half on one server, half on two. Exit code 1: a promise was broken."""

import asyncio
import base64
import sys
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path

from benchmarks.machine import machine
from benchmarks.report import arguments, table, write
from tests.crash.bells import Bells
from tests.crash.desk import Desk, noting
from tests.crash.kills import Report, database_gone, embedded_survives, two_on_one_database_survive
from tests.crash.postgres import own_postgres
from tests.vendors.server import Vendor

SAID = """
{verdict} The checker is a client: it knows what was acknowledged, what the API shows
afterwards, and what the tools' services saw. It looks for messages lost, answered twice or never, gaps in `seq`, turns
without an end, and calls with side effects made twice.

{table}
*acknowledged*: messages that the server had said it kept. *requests*: tries to say them. *repeated under its key*:
calls of tools that may be repeated which came a second time, and had no second effect. *unknown*: calls, cut by a kill,
of the tool that may not be repeated: not made again, and the answer says so.
"""
GOES = 20  # of the database
HEAD = ("", "times", "acknowledged", "requests", "repeated under its key", "unknown", "violations", "minutes")


async def run(kills: int, seed: int) -> dict[str, Report]:
    """Violations are sentences; the reports are empty of them when all is well."""
    vendor, bells = Vendor(), Bells()
    await vendor.start()
    # A turn may meet many kills here; that it is given up after three is another test's.
    settings = {"FRONTDESK_TURNS__ATTEMPTS": "1000"}
    with tempfile.TemporaryDirectory(prefix="frontdesk-crash-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        await bells.start()
        desk = fresh(place / "embedded", vendor, bells, settings)
        print("one server, embedded database", flush=True)
        one = await embedded_survives(desk, kills - kills // 2, seed)
        async with own_postgres(place / "external") as postgres:
            shared = settings | {
                "FRONTDESK_DATABASE_URL": postgres.url,
                "FRONTDESK_ENCRYPTION_KEYS": base64.b64encode(bytes(32)).decode(),
            }
            desk = fresh(place / "two", vendor, bells, shared)
            print("two servers, one external database", flush=True)
            two = await two_on_one_database_survive(desk, kills // 2, seed + 1)
            desk = fresh(place / "gone", vendor, bells, shared)
            print("the external database goes and comes", flush=True)
            gone = await database_gone(desk, postgres, GOES, seed + 2)
    await bells.stop()
    await vendor.stop()
    return {
        "one server, embedded PostgreSQL": one,
        "two servers, one external PostgreSQL": two,
        "the external PostgreSQL stopped and killed, one server": gone,
    }


def fresh(place: Path, vendor: Vendor, bells: Bells, settings: dict[str, str]) -> Desk:
    bells.calls.clear()
    desk = Desk(place, vendor, bells, settings)
    vendor.responder = partial(noting, delay_s=0.02)
    return desk


def main() -> int:
    parser = arguments("crash", "kill -9 under load")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1, help="of the moments of the kills")
    given = parser.parse_args()
    where = machine()
    reports = asyncio.run(run(given.kills, given.seed))
    found = [violation for report in reports.values() for violation in report.violations]
    for violation in found:
        print(violation)
    verdict = f"{given.kills} kills of servers and {GOES} of the database, {len(found)} violations."
    body = SAID.format(verdict=verdict, table=table(HEAD, [row(name, report) for name, report in reports.items()]))
    results: dict[str, object] = {
        "seed": given.seed,
        "layouts": {name: asdict(report) for name, report in reports.items()},
    }
    write("crash", given.out, where, results, "kill -9 under load", body, made_by=f"make crash KILLS={given.kills}")
    return 1 if found else 0


def row(name: str, report: Report) -> list[object]:
    return [
        name,
        report.kills,
        report.acknowledged,
        report.tries,
        report.repeated,
        report.unknown,
        len(report.violations),
        report.took_s / 60,
    ]


if __name__ == "__main__":
    sys.exit(main())
