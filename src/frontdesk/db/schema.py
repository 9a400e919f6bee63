"""What the schema should be: the newest migration and the functions, read from the files of this version."""

import hashlib
import re
from pathlib import Path

MIGRATIONS = Path(__file__).parent / "migrations"

# Raised with every release whose functions changed: a program never installs its own over those of a newer one.
FUNCTIONS_VERSION = 7

# plpgsql kept beside the store that calls it; installed by every migration, in this order.
FUNCTIONS = tuple(
    Path(__file__).parents[1] / path
    for path in (
        "db/keys.sql",
        "tenants/tenants.sql",
        "audit/audit.sql",
        "identity/api_keys.sql",
        "identity/signing.sql",
        "identity/staff.sql",
        "events/outbox.sql",
        "conversations/turns.sql",
        "conversations/retention.sql",
        "conversations/feedback.sql",
        "knowledge/search.sql",
    )
)


def head() -> str:
    """The newest revision: files are named by it, `0001_what.py`."""
    return max(path.name for path in (MIGRATIONS / "versions").glob("[0-9]*.py")).split("_")[0]


def function_names() -> list[str]:
    """Of everything that the files create."""
    texts = (path.read_text() for path in FUNCTIONS)
    return sorted({name for text in texts for name in re.findall(r"^CREATE OR REPLACE FUNCTION (\w+)", text, re.M)})


def functions_hash() -> str:
    digest = hashlib.sha256()
    for path in FUNCTIONS:
        digest.update(path.read_bytes())
    return digest.hexdigest()
