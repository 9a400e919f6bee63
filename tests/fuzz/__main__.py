"""The long form: `python -m tests.fuzz --seconds 600` looks for what the fixed seed of the tests does not find."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.fuzz.contract import Found, check_contract
from tests.served import serving


async def run(seconds: int) -> Found:
    with tempfile.TemporaryDirectory(prefix="frontdesk-fuzz-") as folder:
        place = Path(folder)
        async with serving(place / "data") as served:
            return await check_contract(served, place, "--max-time", str(seconds))


def main() -> int:
    parser = argparse.ArgumentParser(description="Schemathesis against a real server, with a new seed")
    parser.add_argument("--seconds", type=int, default=600)
    found = asyncio.run(run(parser.parse_args().seconds))
    print(found.report, *found.broken, sep="\n")
    return 0 if found.passed and not found.broken else 1


if __name__ == "__main__":
    sys.exit(main())
