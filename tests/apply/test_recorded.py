"""What applying a folder changes is in the audit log, before and after, in the transaction of the change."""

from pathlib import Path
from uuid import UUID

import pytest
from tests.apply.tenant_folder import changed, write_folder
from tests.apply.test_apply_folder import Fitter, embedder

from frontdesk.apply import ApplyServices, apply_folder
from frontdesk.audit import DEPLOYMENT, chain, store
from frontdesk.audit.models import Entry, Filters
from frontdesk.core.json import loads
from frontdesk.db import Database
from frontdesk.db.cipher import Cipher
from frontdesk.embedding.minilm import MiniLM
from frontdesk.knowledge.service import Knowledge

__all__ = ["embedder"]


@pytest.fixture
def services(database: Database, embedder: MiniLM) -> ApplyServices:
    return ApplyServices(database, Knowledge(database, embedder), Cipher([b"k" * 32]), Fitter(), {})


async def entries(database: Database, tenant_id: UUID) -> list[Entry]:
    async with database.scope(tenant_id) as scope:
        return (await store.entries(scope, Filters(), None, 100))[::-1]


async def test_each_definition_that_changed_has_its_entry(services: ApplyServices, tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    report = await apply_folder(folder, services)
    assert report.tenant_id is not None
    first = await entries(services.database, report.tenant_id)
    assert [entry.action for entry in first][:2] == ["tenant.added", "alias.added"]
    assert {entry.actor_kind for entry in first} == {"command"}
    [created] = await entries(services.database, DEPLOYMENT)
    assert (created.action, created.target) == ("tenant.created", f"tenant/{report.tenant_id}")
    await apply_folder(folder, services)  # nothing changed
    await apply_folder(folder, services, dry_run=True)
    assert await entries(services.database, report.tenant_id) == first

    cakes = changed("agents/counter.yaml", "Sells bread.", "Sells cakes.")
    await apply_folder(write_folder(tmp_path, cakes), services)
    *_, last = await entries(services.database, report.tenant_id)
    assert (last.number, last.action, last.target) == (len(first) + 1, "agent.changed", "agent/counter")
    assert loads(bytes(last.before)) == {"description": "Sells bread."}
    assert loads(bytes(last.after)) == {"description": "Sells cakes."}
    assert (await chain.verify(services.database, report.tenant_id)).number == last.number
