"""A server with a clinic that answers nobody without a credential."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.served import Served, serving

CLINIC = Path(__file__).parents[2] / "examples" / "clinic"


@asynccontextmanager
async def closed_clinic(more: str, **settings: str) -> AsyncIterator[Served]:
    """`more` stands in its tenant.yaml in place of what lets everybody in."""
    with tempfile.TemporaryDirectory(prefix="frontdesk-closed-", ignore_cleanup_errors=True) as folder:
        clinic = Path(folder) / "tenants" / "clinic"
        shutil.copytree(CLINIC, clinic)
        file = clinic / "tenant.yaml"
        file.write_text(file.read_text().replace("anonymous_chat: true", more))
        environment = {"FRONTDESK_EXAMPLE": "", "FRONTDESK_TENANTS": str(clinic.parent)} | settings
        async with serving(Path(folder) / "data", environment) as running:
            yield running
