"""The `frontdesk` command in a process of its own."""

import os
import subprocess
import sys


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FRONTDESK_")}
    return subprocess.run(
        [sys.executable, "-m", "frontdesk", *arguments],
        env=clean | environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
