"""Sets the clock of the server that has this folder on its path: by the seconds in the file CLOCK_OFF, read each time.

Python runs this file before the server: what it changes is the one place where the server asks for the time of day.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from frontdesk.core.clock import SystemClock


def now(_self: SystemClock) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=float(Path(os.environ["CLOCK_OFF"]).read_text()))


SystemClock.now = now  # type: ignore[method-assign]
