"""What was said at a tenant, as JSON lines."""

import json
import math
import re
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
from frontdesk.conversations.models import Incoming
from frontdesk.core.ids import new_id
from frontdesk.privacy.detector import DetectionTooSlow, Detector
from frontdesk.privacy.models import Finding
from frontdesk.privacy.policy import Handling, PrivacySettings
from frontdesk.privacy.redactor import WITHHELD

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
    (text,) = said
    assert re.fullmatch(r"note I am \[PERSON_[0-9a-f]{8}\], \[EMAIL_[0-9a-f]{8}\]", text)
    assert lines(tmp_path, "contacts")[0]["external_id"] == lines(tmp_path, "conversations")[0]["contact"] != "ann"


async def test_a_value_has_one_placeholder_for_its_contact_and_none_that_others_share(
    desk_room: Room, tmp_path: Path
) -> None:
    services, tenant = desk_room.services, desk_room.tenant
    for contact, words in (
        ("ann", "note first ann@example.com"),
        ("ann", "note second ann@example.com bob@example.com [EMAIL_1]"),
        ("bob", "note third bob@example.com"),
    ):
        incoming = Incoming(contact, words, new_id())
        await desk_room.answer(await services.conversations.accept(tenant, incoming, "test"))
    await desk_room.owner.execute("UPDATE records SET value = value || jsonb_build_object('who', contact)")
    redacted = PrivacySettings(exports=Handling.REDACT)
    told = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        await export_data(tenant.id, folder, services.database, services.cipher, redacted)
        bodies = [line["body"]["content"].split() for line in lines(folder, "messages") if line["role"] == "user"]
        said = {words[1]: words[2:] for words in bodies}
        (ann,) = said["first"]
        same, bob, literal = said["second"]  # of another conversation
        (bobs,) = said["third"]
        assert (same, literal) == (ann, "[EMAIL_1]")
        assert len({ann, bob, bobs}) == 3  # bob's own rows don't show that ann has written of him
        for table in ("records", "steps"):
            text = (folder / "data" / f"{table}.jsonl").read_text()
            assert set(re.findall(r"\[EMAIL_[0-9a-f]{8}\]", text)) == {ann, bob, bobs}
        hashes = {line["external_id"] for line in lines(folder, "contacts")}
        assert {line["value"]["who"] for line in lines(folder, "records")} == hashes
        told.append({ann, bob, bobs})
    assert not told[0] & told[1]


async def test_keys_of_records_and_authors_of_verdicts_are_hidden_like_values_and_contacts(
    desk_room: Room, tmp_path: Path
) -> None:
    services = desk_room.services
    await desk_room.chat("note one", new_id())
    for key in ("ann", "ann@example.com", "order 12"):
        await desk_room.owner.execute(
            "INSERT INTO records (tenant_id, collection, key, value, made_by) VALUES ($1, 'kept', $2, '{}', '')",
            desk_room.tenant.id, key,
        )  # fmt: skip
        await desk_room.owner.execute(
            "INSERT INTO feedback (tenant_id, turn_id, author, verdict) SELECT tenant_id, id, $1, 'right' FROM turns",
            key,
        )
    redacted = PrivacySettings(exports=Handling.REDACT)
    await export_data(desk_room.tenant.id, tmp_path, services.database, services.cipher, redacted)
    authors = {line["author"] for line in lines(tmp_path, "feedback")}
    keys = {line["key"] for line in lines(tmp_path, "records") if line["collection"] == "kept"}
    for told in (keys, authors):
        assert {re.sub("[0-9a-f]{8}]", "…]", key) for key in told} == {
            lines(tmp_path, "contacts")[0]["external_id"], "[EMAIL_…]", "order 12",
        }  # fmt: skip


async def test_what_cannot_be_searched_is_withheld_and_the_rest_is_written(
    desk_room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = Detector.find

    def breaks(search: Detector, text: str, ends_at: float = math.inf) -> tuple[Finding, ...]:
        if "Ann Miller" in text:
            raise DetectionTooSlow("It takes too long.")
        return find(search, text, ends_at)

    services = desk_room.services
    for said in ("note I am Ann Miller, ann@example.com", "note write to bob@example.com"):
        await desk_room.chat(said, new_id())
    monkeypatch.setattr(Detector, "find", breaks)
    redacted = PrivacySettings(exports=Handling.REDACT)
    await export_data(desk_room.tenant.id, tmp_path, services.database, services.cipher, redacted)
    for path in (tmp_path / "data").iterdir():
        assert "ann@example.com" not in path.read_text() and "Ann Miller" not in path.read_text()
    bodies = [line["body"] for line in lines(tmp_path, "messages") if line["role"] == "user"]
    assert bodies[0] == WITHHELD and bodies[1]["content"].startswith("note write to [EMAIL_")


async def test_the_command_asks_for_the_policy_that_is_in_force(desk_room: Room, tmp_path: Path) -> None:
    services = desk_room.services
    await desk_room.chat("note I am Ann Miller, ann@example.com", new_id())
    await desk_room.owner.execute(
        "UPDATE tenants SET settings = settings || $2 WHERE id = $1",
        desk_room.tenant.id, json.dumps({"privacy": {"exports": "redact"}}),
    )  # fmt: skip
    said: list[str] = []
    await export(services.settings, desk_room.tenant.slug, tmp_path, said.append, Console(quiet=True), data=True)
    assert "[EMAIL_" in (tmp_path / "data" / "messages.jsonl").read_text()
    assert not any("ann@example.com" in path.read_text() for path in (tmp_path / "data").iterdir())


async def test_every_table_of_a_tenant_is_exported_or_known_not_to_be(database_url: str) -> None:
    owner = await asyncpg.connect(database_url)
    named = await owner.fetch(
        "SELECT table_name FROM information_schema.columns WHERE column_name = 'tenant_id' AND table_schema = 'public'"
    )
    await owner.close()
    assert {row["table_name"] for row in named} == ELSEWHERE | set(TABLES)
