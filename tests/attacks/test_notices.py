"""The suite notices: with one wall taken away it fails, and a route that it can't attack is told."""

from dataclasses import replace

import pytest

from frontdesk.channels.access import Caller, Needed
from frontdesk.channels.declared import declared
from frontdesk.identity.models import developer
from tests.attacks.conftest import Stage, application
from tests.attacks.suite import attacked
from tests.attacks.table import Operation, Uncovered, valid


class Anybody:
    """In place of access: lets everybody in as the developer of one tenant."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def to_named(self, *_: object) -> Caller:
        return self._caller

    to_own = to_named


def test_every_documented_route_is_in_the_table(stage: Stage) -> None:
    _, _, openapi = application(stage.grounds.services, is_open=False)
    documented = {f"{method.upper()} {path}" for path, methods in openapi["paths"].items() for method in methods}
    known = {f"{operation.method} {operation.path.replace(':path}', '}')}" for operation in stage.table}
    assert documented <= known
    assert len(known) > 60


@pytest.mark.parametrize(
    "name",
    [
        "GET /api/{tenant}/messages/{message_id}/explanation",
        "GET /api/admin/keys",
        "GET /api/admin/settings",
        "PUT /api/{tenant}/messages/{message_id}/feedback",
    ],
)
async def test_a_route_that_asks_nobody_is_noticed(stage: Stage, name: str) -> None:
    app, routes, _ = application(stage.grounds.services, is_open=False)
    tenant = await stage.grounds.services.directory.named(stage.cast.victim.slug)
    [operation] = [each for each in stage.table if each.name == name]
    [route] = [
        each for each in routes if getattr(each, "path", "") == operation.path and operation.method in each.methods
    ]
    needed = declared(route)
    assert isinstance(needed, Needed)
    needed._access = Anybody(Caller(developer(tenant.id), tenant))  # type: ignore[assignment]
    apps = {False: app, True: app}
    for kind in ("no credential", "other tenant's credential", "role without the permission", "wrong signature"):
        outcome = await attacked(stage.grounds, apps, stage.cast, [operation], kind)
        assert len(outcome.findings) >= min(1, outcome.count), kind


@pytest.mark.parametrize("check", ["opens", "speaks_for"])
async def test_a_bound_caller_who_is_not_held_to_his_bounds_is_noticed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, check: str
) -> None:
    monkeypatch.setattr(Caller, check, lambda *_: None)
    table = [each for each in stage.table if each.method != "DELETE"]
    outcome = await attacked(stage.grounds, stage.apps, stage.cast, table, "visitor of another conversation")
    assert outcome.findings


@pytest.mark.parametrize(
    ("check", "answer", "kind"),
    [
        ("frontdesk.channels.credentials.is_same_origin", True, "cookie from another site"),
        ("frontdesk.channels.cookies.is_secure", False, "cookie of another host"),
        ("frontdesk.identity.jwts.check_times", None, "issuer's token that has expired"),
    ],
)
async def test_a_check_of_cookies_and_issuers_that_lacks_is_noticed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, check: str, answer: object, kind: str
) -> None:
    monkeypatch.setattr(check, lambda *_: answer)
    # Reads, and one that begins what has no effect: the victim has to be as it was for what comes after.
    table = [each for each in stage.table if each.is_read or each.path == "/api/admin/prompts/{name}/preview"]
    outcome = await attacked(stage.grounds, stage.apps, stage.cast, table, kind)
    assert outcome.findings


async def test_permissions_that_nobody_looks_at_are_noticed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frontdesk.channels.access.allowed", lambda *_: None)
    table = [each for each in stage.table if each.is_read]
    outcome = await attacked(stage.grounds, stage.apps, stage.cast, table, "key without the permission")
    assert len(outcome.findings) >= outcome.count - 1  # what belongs to a person is asked of his sign-in as well


async def test_a_change_of_the_victims_rows_is_noticed(stage: Stage) -> None:
    before = await stage.grounds.digest(stage.cast.victim)
    await stage.grounds.owner.execute(
        "UPDATE contacts SET external_id = external_id WHERE tenant_id = $1", stage.cast.victim.id
    )
    after = await stage.grounds.digest(stage.cast.victim)
    assert [name for name in after if after[name] != before[name]] == ["contacts"]


def test_a_route_that_can_not_be_attacked_says_what_to_add() -> None:
    place = Operation("GET", "/api/{tenant}/things/{thing_id}", None, {})
    with pytest.raises(Uncovered, match=r"nothing is known for `\{thing_id\}`.*GET /api/\{tenant\}/things list"):
        valid(place, {"tenant": "acme"}, {})
    body = {"required": ["secret"], "properties": {"secret": {"type": "string", "pattern": "^" + "[a-z]" * 9}}}
    content = {"requestBody": {"content": {"application/json": {"schema": body}}}}
    with pytest.raises(Uncovered, match=r"no value is known for `secret`\. Give the field an example"):
        valid(replace(place, path="/api/things", schema=content), {}, {})
