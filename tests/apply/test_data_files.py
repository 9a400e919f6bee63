"""What was said at a tenant, as JSON lines."""

import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from rich.console import Console
from tests.conversations.room import Room, room
from tests.crash.bells import Bells, bells
from tests.crash.desk import Desk
from tests.vendors.server import Vendor

from frontdesk.apply import data_files
from frontdesk.apply.data_files import TABLES, export_data
from frontdesk.cli.export import export
from frontdesk.core.ids import new_id
from frontdesk.privacy.policy import Handling, PrivacySettings

__all__ = ["bells"]

# Of the tenant, and in no export of data: why.
ELSEWHERE = {
    "agents", "agent_tools", "tools", "prompts", "aliases", "tenant_files", "documents", "applied",  # the files
    "passages", "passage_questions", "knowledge", "knowledge_words", "classifiers",  # made of the files
    "outbox", "dead_letters", "retained",  # tell of rows that are exported, or were removed
    "spend", "budget_warnings",  # sums of the ledger
    "audit", "audit_heads",  # by their own export
    "secrets", "api_keys", "staff", "staff_links", "staff_sessions", "sign_in_failures",  # never leave the database
}  # fmt: skip


@pytest.fixture
def desk(vendor: Vendor, bells: Bells) -> Iterator[Desk]:
    with tempfile.TemporaryDirectory(prefix="frontdesk-desk-") as folder:
        yield Desk(Path(folder), vendor, bells)


@pytest.fixture
async def desk_room(desk: Desk, database_url: str) -> AsyncIterator[Room]:
    async with room(desk, database_url) as open_room:
        yield open_room


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "data" / f"{name}.jsonl").read_text().splitlines()]


async def test_everything_said_is_there_once_and_open(
    desk_room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_files, "_PAGE", 2)
    services, conversation = desk_room.services, new_id()
    for word in ("one", "two", "three"):
        await desk_room.chat(f"note {word}", conversation)
    counts = await export_data(desk_room.tenant.id, tmp_path, services.database, services.cipher, PrivacySettings())
    messages = lines(tmp_path, "messages")
    said = [message["body"]["content"] for message in messages if message["role"] == "user"]
    assert said == ["note one", "note two", "note three"]
    assert [message["seq"] for message in messages] == [1, 2, 3, 4, 5, 6]
    assert counts["data/messages.jsonl"] == 6
    assert {step["input"]["text"] for step in lines(tmp_path, "steps") if step["kind"] == "tool"} == {
        "note one", "note two", "note three",
    }  # fmt: skip
    assert len(lines(tmp_path, "records")) == 3
    assert lines(tmp_path, "contacts")[0]["external_id"] == "ann"


async def test_an_export_hides_personal_data_where_the_tenant_wants_it(desk_room: Room, tmp_path: Path) -> None:
    services = desk_room.services
    await desk_room.chat("note I am Ann Miller, ann@example.com", new_id())
    redacted = PrivacySettings(exports=Handling.REDACT)
    await export_data(desk_room.tenant.id, tmp_path, services.database, services.cipher, redacted)
    for path in (tmp_path / "data").iterdir():
        assert "ann@example.com" not in path.read_text()
        assert "Ann Miller" not in path.read_text()
    said = [line["body"]["content"] for line in lines(tmp_path, "messages") if line["role"] == "user"]
    assert said == ["note I am [PERSON_1], [EMAIL_1]"]
    assert lines(tmp_path, "contacts")[0]["external_id"] == lines(tmp_path, "conversations")[0]["contact"] != "ann"


async def test_keys_of_records_are_hidden_like_values_and_contacts(desk_room: Room, tmp_path: Path) -> None:
    services = desk_room.services
    await desk_room.chat("note one", new_id())
    for key in ("ann", "ann@example.com", "order 12"):
        await desk_room.owner.execute(
            "INSERT INTO records (tenant_id, collection, key, value, made_by) VALUES ($1, 'kept', $2, '{}', '')",
            desk_room.tenant.id, key,
        )  # fmt: skip
    redacted = PrivacySettings(exports=Handling.REDACT)
    await export_data(desk_room.tenant.id, tmp_path, services.database, services.cipher, redacted)
    keys = {line["key"] for line in lines(tmp_path, "records") if line["collection"] == "kept"}
    assert keys == {lines(tmp_path, "contacts")[0]["external_id"], "[EMAIL_1]", "order 12"}


async def test_the_command_asks_for_the_policy_that_is_in_force(desk_room: Room, tmp_path: Path) -> None:
    services = desk_room.services
    await desk_room.chat("note I am Ann Miller, ann@example.com", new_id())
    await desk_room.owner.execute(
        "UPDATE tenants SET settings = settings || $2 WHERE id = $1",
        desk_room.tenant.id, json.dumps({"privacy": {"exports": "redact"}}),
    )  # fmt: skip
    said: list[str] = []
    await export(services.settings, desk_room.tenant.slug, tmp_path, said.append, Console(quiet=True), data=True)
    assert "[EMAIL_1]" in (tmp_path / "data" / "messages.jsonl").read_text()
    assert not any("ann@example.com" in path.read_text() for path in (tmp_path / "data").iterdir())


async def test_every_table_of_a_tenant_is_exported_or_known_not_to_be(database_url: str) -> None:
    owner = await asyncpg.connect(database_url)
    named = await owner.fetch(
        "SELECT table_name FROM information_schema.columns WHERE column_name = 'tenant_id' AND table_schema = 'public'"
    )
    await owner.close()
    assert {row["table_name"] for row in named} == ELSEWHERE | set(TABLES)
