"""Definitions changed by the admin API: checked as files are, never over another's change, on record."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.identities import api_key, database_of
from tests.served import Served, serving

from frontdesk.audit.models import Filters
from frontdesk.audit.store import entries
from frontdesk.tenants.store import tenant_named

KINDS = ("agents", "tools", "prompts", "aliases")


@pytest.fixture(scope="module")
async def desk() -> AsyncIterator[Served]:
    """Of its own: its definitions are changed. Called with a key that may everything."""
    with tempfile.TemporaryDirectory(prefix="frontdesk-admin-") as folder:
        async with serving(Path(folder), {"FRONTDESK_DEVELOPER": "false"}) as running:
            async with database_of(running.data, {}) as database:
                running.client.headers["authorization"] = f"Bearer {await api_key(database, 'clinic')}"
            yield running


async def read(desk: Served, path: str) -> dict[str, Any]:
    response = await desk.client.get(f"/api/admin/{path}")
    assert response.status_code == 200, response.text
    assert "etag" not in response.headers or response.headers["etag"] == response.json().get(
        "etag", response.headers["etag"]
    )
    return dict(response.json())


def fields(response: httpx.Response) -> list[str]:
    return [error["field"] for error in response.json()["errors"]]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_read_can_be_stored_again_and_changes_nothing(desk: Served, kind: str) -> None:
    for item in (await read(desk, kind))["items"]:
        path = f"/api/admin/{kind}/{item['name']}"
        again = await desk.client.put(path, json=item["definition"], headers={"if-match": item["etag"]})
        assert again.status_code == 200, again.text
        assert again.json() == item


@pytest.mark.parametrize("kind", KINDS)
async def test_pages_of_a_list_join_to_the_whole(desk: Served, kind: str) -> None:
    whole = [item["name"] for item in (await read(desk, kind))["items"]]
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await read(desk, f"{kind}?limit=2&cursor={cursor}")
        found += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert found == whole == sorted(whole)


async def test_one_of_two_who_read_the_same_is_refused(desk: Served) -> None:
    item = await read(desk, "agents/billing")
    path, tag = "/api/admin/agents/billing", {"if-match": item["etag"]}
    first = await desk.client.put(path, json=item["definition"] | {"title": "Bills"}, headers=tag)
    second = await desk.client.put(path, json=item["definition"] | {"title": "Money"}, headers=tag)
    assert (first.status_code, second.status_code) == (200, 412)
    assert (await read(desk, "agents/billing"))["definition"]["title"] == "Bills"
    unsaid = await desk.client.put(path, json=item["definition"])
    assert (unsaid.status_code, unsaid.json()["error_code"]) == (428, "PRECONDITION_REQUIRED")
    assert (await desk.client.delete(path, headers=tag)).status_code == 412


async def test_a_change_is_what_contacts_meet(desk: Served) -> None:
    settings = await read(desk, "settings")
    changed = await desk.client.patch(
        "/api/admin/settings", json={"human_text": {"en": "Wait here."}}, headers={"if-match": settings["etag"]}
    )
    assert changed.status_code == 200, changed.text
    answer = await desk.chat("Let me speak to a human please", user="meets")
    assert "Wait here." in answer["text"]


async def test_everything_that_is_wrong_is_told_by_its_field_and_nothing_is_stored(desk: Served) -> None:
    before = await read(desk, "agents/general_info")
    wrong = before["definition"] | {"tools": ["no_such_tool"], "model": "no_such_alias", "patterns": ["(?=ahead)"]}
    response = await desk.client.put("/api/admin/agents/general_info", json=wrong, headers={"if-match": "*"})
    assert (response.status_code, response.json()["error_code"]) == (422, "DEFINITION_INVALID")
    assert sorted(fields(response)) == ["model", "patterns[0]", "tools[0]"]
    assert await read(desk, "agents/general_info") == before


async def test_what_others_use_is_not_removed(desk: Served) -> None:
    response = await desk.client.delete("/api/admin/tools/search_documents")
    assert response.status_code == 422
    assert all(field.startswith("agents/") for field in fields(response))
    assert (await desk.client.delete("/api/admin/tools/never_was")).status_code == 204


async def test_what_is_the_operators_is_not_the_tenants_to_change(desk: Served) -> None:
    operators = {
        "http_allow": ["169.254.169.254"],
        "slug": "other",
        "secrets": {"A": {"env": "PATH"}},
        "limits": {"usd_per_day": 1_000_000},
        "requests_per_minute": 1_000_000,
        "tokens_per_minute": 1_000_000_000,
    }
    for key, value in operators.items():
        response = await desk.client.patch("/api/admin/settings", json={key: value}, headers={"if-match": "*"})
        assert (response.status_code, fields(response)) == (422, [key])
    tool = {
        "description": "Runs.",
        "python": {"file": "../../../etc/passwd.py", "function": "main"},
        "input_schema": {"type": "object", "properties": {}},
    }
    response = await desk.client.put("/api/admin/tools/runs", json=tool)
    assert (response.status_code, fields(response)) == (422, ["python.file"])


async def test_a_prompt_keeps_its_versions(desk: Served) -> None:
    path = "/api/admin/prompts/greets"
    assert (await desk.client.put(path, json={"template": "One for {{ organisation }}"})).status_code == 200
    stored = await desk.client.put(path, json={"template": "Two"}, headers={"if-match": "*"})
    assert stored.status_code == 200, stored.text
    versions = (await read(desk, "prompts/greets/versions?limit=1"))["items"]
    assert [(each["version"], each["template"]) for each in versions] == [(2, "Two")]
    told = await read(desk, "prompts/greets/diff?before=1&after=2")
    assert told["diff"].endswith("-One for {{ organisation }}\n+Two")
    shown = await desk.client.post(
        f"{path}/preview", json={"agent": "general_info", "template": "For {{ organisation }}"}
    )
    assert shown.json() == {"agent": "general_info", "text": "For Lakeside Clinic"}
    broken = await desk.client.post(f"{path}/preview", json={"agent": "general_info", "template": "{{ nobody }}"})
    assert (broken.status_code, fields(broken)) == (422, ["template"])
    endless = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}"
    refused = await desk.client.put("/api/admin/prompts/endless", json={"template": f"Hello\n{endless}"})
    assert (refused.status_code, refused.json()["errors"][0]["message"]) == (
        422, "is not a Jinja template: `range(…)` is not permitted in a template",
    )  # fmt: skip
    for_reading = await desk.bearing_key("clinic", "definitions:read")
    stored_alone = {"agent": "general_info"}
    assert (await desk.client.post(f"{path}/preview", json=stored_alone, headers=for_reading)).status_code == 200
    own_text = await desk.client.post(f"{path}/preview", json=stored_alone | {"template": ""}, headers=for_reading)
    assert (own_text.status_code, own_text.json()["error_code"]) == (403, "FORBIDDEN")


async def test_a_document_is_found_until_it_is_removed(desk: Served) -> None:
    path = "/api/admin/documents/extra/parrots.md"
    text = "# Parrots\n\nParrots may visit the recovery ward on Mondays with a zebra permit.\n"
    typed = {"content-type": "text/markdown"}
    stored = await desk.client.put(path, content=text, headers=typed)
    assert stored.status_code == 200, stored.text
    assert "zebra permit" in (await desk.chat("May parrots visit the ward on Mondays?", user="d"))["text"]
    assert (await desk.client.put(path, content=text, headers=typed)).status_code == 428
    again = await desk.client.put(path, content=text, headers=typed | {"if-match": stored.headers["etag"]})
    assert again.status_code == 200
    assert (await desk.client.delete(path, headers={"if-match": stored.headers["etag"]})).status_code == 412
    assert (await desk.client.delete(path)).status_code == (await desk.client.delete(path)).status_code == 204
    assert (await desk.client.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("a.pdf", b"%PDF-1.7", 422),
        (".hidden.md", b"Text.", 422),
        ("a/..%2f..%2fb.md", b"Text.", 422),
        ("a%00.md", b"Text.", 422),
        ("big.txt", b"x " * 3_000_000, 413),
        ("empty.md", b"", 422),
    ],
)
async def test_a_document_that_is_none_is_refused(desk: Served, name: str, content: bytes, status: int) -> None:
    response = await desk.client.put(
        f"/api/admin/documents/{name}", content=content, headers={"content-type": "text/markdown"}
    )
    assert response.status_code == status, response.text


async def test_usage_adds_up_by_whatever_it_is_summed(desk: Served) -> None:
    await desk.chat("When are visiting hours?", user="u")
    sums = {by: (await read(desk, f"usage?by={by}"))["items"] for by in ("day", "model", "agent", "purpose")}
    totals = {by: (sum(i["calls"] for i in items), sum(i["input_tokens"] for i in items)) for by, items in sums.items()}
    assert len(set(totals.values())) == 1
    assert totals["day"][0] >= 2
    assert (await read(desk, "usage?until=2020-01-01T00:00:00Z"))["items"] == []
    assert (await desk.client.get("/api/admin/usage?since=2020-01-01T00:00:00Z")).status_code == 422


async def test_usage_may_lag_and_is_read_where_lists_are(desk: Served) -> None:
    before = await reads_that_may_lag(desk)
    await read(desk, "usage")
    assert await reads_that_may_lag(desk) == before + 1


async def reads_that_may_lag(desk: Served) -> float:
    """There is no replica here: from the primary, and counted."""
    metrics = text_string_to_metric_families((await desk.nobody.get("/metrics")).text)
    [reads] = [family for family in metrics if family.name == "frontdesk_reads"]
    return sum(sample.value for sample in reads.samples if sample.labels.get("source") == "primary")


async def test_every_change_stands_in_the_audit_log_with_what_changed(desk: Served) -> None:
    item = await read(desk, "agents/test_preparation")
    path, tag = "/api/admin/agents/test_preparation", {"if-match": item["etag"]}
    assert (await desk.client.put(path, json=item["definition"] | {"max_steps": 3}, headers=tag)).status_code == 200
    async with database_of(desk.data, {}) as database:
        found = await tenant_named(database, "clinic")
        assert found is not None
        async with database.scope(found.id) as scope:
            entry, added = await entries(scope, Filters(target="agent/test_preparation"), None, 10)
    assert (added.action, added.actor_kind) == ("agent.added", "command")  # at the server's first start
    assert (entry.action, entry.actor_kind) == ("agent.changed", "api_key")
    assert (bytes(entry.before), bytes(entry.after)) == (b'{"max_steps":8}', b'{"max_steps":3}')


async def test_definitions_of_an_organisation_have_an_end(desk: Served) -> None:
    """Each change reads all of them."""
    large = {"template": "\N{GRINNING FACE}" * 190_000}  # 760 KB
    answered = [(await desk.client.put(f"/api/admin/prompts/large{n}", json=large)).status_code for n in range(7)]
    assert answered == [200] * 6 + [403]
    refused = await desk.client.put("/api/admin/prompts/large7", json=large)
    assert refused.json()["error_code"] == "QUOTA_REACHED"
    for n in range(6):
        assert (await desk.client.delete(f"/api/admin/prompts/large{n}")).status_code == 204
