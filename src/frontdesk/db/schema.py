"""What the schema should be: the newest migration and the functions, read from the files of this version."""

import hashlib
from pathlib import Path

MIGRATIONS = Path(__file__).parent / "migrations"

# plpgsql kept beside the store that calls it; installed by every migration, in this order.
FUNCTIONS = tuple(
    Path(__file__).parents[1] / path
    for path in ("tenants/tenants.sql", "events/outbox.sql", "conversations/turns.sql", "knowledge/search.sql")
)


def head() -> str:
    """The newest revision: files are named by it, `0001_what.py`."""
    return max(path.name for path in (MIGRATIONS / "versions").glob("[0-9]*.py")).split("_")[0]


def functions_hash() -> str:
    digest = hashlib.sha256()
    for path in FUNCTIONS:
        digest.update(path.read_bytes())
    return digest.hexdigest()
