"""Sign-in over HTTP on a running server: tokens, cookies, and what pages of other sites can't do."""

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from office import PASSWORD, token_of
from tests.conftest import HANG_S
from tests.identities import bearing, database_of
from tests.served import Served, serving

from frontdesk.audit import Actor
from frontdesk.channels import cookies
from frontdesk.quotas.quotas import SIGN_INS_PER_MINUTE
from frontdesk.server.directory import FRESH_S
from frontdesk.tenants import life
from frontdesk.tenants.store import tenant_named

OLGA = "olga@example.org"
SUSPENDER = Actor("command", "test")


@pytest.fixture(scope="module")
async def desk() -> AsyncIterator[Served]:
    """A server whose owner has begun by the printed link."""
    with tempfile.TemporaryDirectory(prefix="frontdesk-auth-") as folder:
        async with serving(Path(folder), {"FRONTDESK_PROXIES": "127.0.0.1"}) as served:
            link = (await served.said_line("Owner: ")).partition("Owner: ")[2]
            assert link.startswith(f"{served.url}/welcome#token=")
            body = {"token": token_of(link), "email": OLGA, "name": "Olga", "password": PASSWORD}
            accepted = await served.nobody.post("/api/auth/accept", json=body)
            assert accepted.status_code == 200, accepted.text
            yield served


async def tokens(desk: Served, email: str = OLGA) -> dict[str, str]:
    answer = await desk.nobody.post("/api/auth/sign-in", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def member(desk: Served, role: str, email: str) -> dict[str, str]:
    """Tokens of somebody who was invited."""
    owner = bearing((await tokens(desk))["access_token"])
    invited = await desk.nobody.post("/api/admin/staff", json={"email": email, "role": role}, headers=owner)
    assert invited.status_code == 201, invited.text
    body = {"token": token_of(invited.json()["link"]), "name": "Name", "password": PASSWORD}
    accepted = await desk.nobody.post("/api/auth/accept", json=body)
    assert accepted.status_code == 200, accepted.text
    return dict(accepted.json())


@pytest.fixture
async def browser(desk: Served) -> AsyncIterator[httpx.AsyncClient]:
    """Signed in by cookies, as a page is."""
    own = {"sec-fetch-site": "same-origin", "origin": desk.url}
    async with httpx.AsyncClient(base_url=desk.url, timeout=HANG_S, headers=own) as client:
        answer = await client.post("/api/auth/sign-in", json={"email": OLGA, "password": PASSWORD, "cookies": True})
        assert (answer.status_code, answer.content) == (204, b"")
        yield client


async def test_a_token_of_a_sign_in_says_who_it_is_until_it_ends(desk: Served) -> None:
    given = await tokens(desk)
    headers = bearing(given["access_token"])
    me = (await desk.nobody.get("/api/auth/me", headers=headers)).json()
    assert (me["email"], me["role"], me["tenant"], me["is_operator"]) == (OLGA, "owner", "clinic", True)
    assert "tenants:manage" in me["permissions"]
    out = await desk.nobody.post("/api/auth/sign-out", json={"refresh_token": given["refresh_token"]})
    assert out.status_code == 204
    refused = await desk.nobody.get("/api/auth/me", headers=headers)
    assert (refused.status_code, refused.json()["error_code"]) == (401, "TOKEN_INVALID")


async def test_sign_ins_that_succeed_are_counted_by_address_too(desk: Served) -> None:
    statuses = []
    for _ in range(SIGN_INS_PER_MINUTE + 1):
        body = {"email": OLGA, "password": PASSWORD}
        headers = {"x-forwarded-for": "203.0.113.99", "x-forwarded-proto": "https"}
        answer = await desk.nobody.post("/api/auth/sign-in", json=body, headers=headers)
        statuses.append(answer.status_code)
    assert statuses[0] == 200
    assert statuses[-1] == 429


async def test_tokens_are_renewed_and_a_copied_one_ends_the_sign_in(desk: Served) -> None:
    given = await tokens(desk)
    body = {"refresh_token": given["refresh_token"]}
    renewed = (await desk.nobody.post("/api/auth/refresh", json=body)).json()
    again = await desk.nobody.post("/api/auth/refresh", json=body)
    assert again.status_code == 409  # a moment ago: another page of the same browser
    renewed = (await desk.nobody.post("/api/auth/refresh", json={"refresh_token": renewed["refresh_token"]})).json()
    stolen = await desk.nobody.post("/api/auth/refresh", json=body)
    assert (stolen.status_code, stolen.json()["error_code"]) == (401, "TOKEN_INVALID")
    assert (await desk.nobody.get("/api/auth/me", headers=bearing(renewed["access_token"]))).status_code == 401


async def test_cookies_are_closed_to_scripts_and_other_sites(desk: Served) -> None:
    own = {"sec-fetch-site": "same-origin"}
    body = {"email": OLGA, "password": PASSWORD, "cookies": True}
    answer = await desk.nobody.post("/api/auth/sign-in", json=body, headers=own)
    desk.nobody.cookies.clear()
    set_cookies = {line.partition("=")[0]: line for line in answer.headers.get_list("set-cookie")}
    for name in (cookies.ACCESS, cookies.REFRESH):
        assert re.search(r"; HttpOnly; .*Path=/; SameSite=strict", set_cookies[name])
        assert "Secure" not in set_cookies[name]  # it came without TLS
    assert set_cookies[cookies.STAFF].startswith("frontdesk_staff=1;")


async def test_by_tls_cookies_are_this_hosts_alone(desk: Served) -> None:
    tls = {"x-forwarded-for": "203.0.113.8", "x-forwarded-proto": "https", "sec-fetch-site": "same-origin"}
    body = {"email": OLGA, "password": PASSWORD, "cookies": True}
    answer = await desk.nobody.post("/api/auth/sign-in", json=body, headers=tls)
    desk.nobody.cookies.clear()
    set_cookies = {line.partition("=")[0]: line for line in answer.headers.get_list("set-cookie")}
    names = [f"__Host-{name}" for name in (cookies.ACCESS, cookies.REFRESH)]
    for name in names:  # what browsers ask of this prefix: no other host, also no sister domain, can have set it
        assert re.search(r"; HttpOnly; .*Path=/; SameSite=strict; Secure$", set_cookies[name])
        assert "Domain" not in set_cookies[name]
    access, refresh = [set_cookies[name].partition("=")[2].partition(";")[0] for name in names]

    async def me(header: str, **more: str) -> int:
        return (await desk.nobody.get("/api/auth/me", headers=more | {"cookie": header})).status_code

    assert await me(f"{names[0]}={access}", **tls) == 200
    assert await me(f"{cookies.ACCESS}={access}", **tls) == 401  # a sister domain's, perhaps
    assert await me(f"{names[0]}={access}") == 401
    renewed = await desk.nobody.post("/api/auth/refresh", json={}, headers=tls | {"cookie": f"{names[1]}={refresh}"})
    assert renewed.status_code == 204
    out = await desk.nobody.post("/api/auth/sign-out", json={}, headers=tls | {"cookie": f"{names[1]}={refresh}"})
    taken_away = [line for line in out.headers.get_list("set-cookie") if "Max-Age=0" in line]
    assert len(taken_away) == 3 and all(line.endswith("; Secure") for line in taken_away)
    desk.nobody.cookies.clear()


async def test_a_page_works_by_cookies_and_renews_them(browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/api/auth/me")).json()["email"] == OLGA
    before = browser.cookies[cookies.REFRESH]
    assert (await browser.post("/api/auth/refresh", json={})).status_code == 204
    assert browser.cookies[cookies.REFRESH] != before
    assert (await browser.post("/api/auth/sign-out", json={})).status_code == 204
    assert cookies.ACCESS not in browser.cookies
    assert (await browser.get("/api/auth/me")).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
        {"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "", "origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "", "origin": "null"},
        {"sec-fetch-site": "", "origin": ""},
    ],
)
async def test_cookies_change_nothing_for_another_sites_page(
    browser: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    sent = {name: value for name, value in headers.items() if value}
    bare = httpx.AsyncClient(base_url=browser.base_url, timeout=HANG_S, cookies=browser.cookies)
    async with bare as client:
        invited = await client.post("/api/admin/staff", json={"email": "eve@e.org", "role": "admin"}, headers=sent)
        signed_out = await client.post("/api/auth/sign-out", json={}, headers=sent)
        signed_in = await client.post(
            "/api/auth/sign-in", json={"email": OLGA, "password": PASSWORD, "cookies": True}, headers=sent
        )
    assert invited.status_code in (401, 403)
    assert (signed_out.status_code, signed_in.status_code) == (403, 403)
    assert (await browser.get("/api/auth/me")).status_code == 200


async def test_staff_are_visitors_on_the_page_of_visitors(desk: Served, browser: httpx.AsyncClient) -> None:
    await member(desk, "viewer", "vera@example.org")
    own = {"sec-fetch-site": "same-origin"}
    async with httpx.AsyncClient(base_url=desk.url, timeout=HANG_S, headers=own) as viewer:
        await viewer.post(
            "/api/auth/sign-in", json={"email": "vera@example.org", "password": PASSWORD, "cookies": True}
        )
        chat = await viewer.post("/api/clinic/chat", json={"user_id": "vera", "message": "Where can I park?"})
        assert chat.status_code == 200  # though viewers may not chat as staff
        assert (await viewer.get("/api/clinic/page")).json()["explains"] is True
        shown = await viewer.get(f"/api/clinic/messages/{chat.json()['message_id']}/explanation")
        assert shown.status_code == 200
    assert (await desk.nobody.get("/api/clinic/page")).json()["explains"] is False


async def test_lists_go_on_by_cursor_and_changes_need_the_version_they_were_meant_for(desk: Served) -> None:
    given = await member(desk, "admin", "adam@example.org")
    await member(desk, "viewer", "zoe@example.org")
    headers = bearing(given["access_token"])
    seen, cursor = [], ""
    while cursor is not None:
        page = (
            await desk.nobody.get("/api/admin/staff", params={"limit": 1, "cursor": cursor}, headers=headers)
        ).json()
        seen += [person["email"] for person in page["items"]]
        cursor = page["next_cursor"]
    assert seen == sorted(seen) and {OLGA, "adam@example.org", "zoe@example.org"} <= set(seen)
    everybody = (await desk.nobody.get("/api/admin/staff", headers=headers)).json()["items"]
    zoe = next(person for person in everybody if person["email"] == "zoe@example.org")
    path = f"/api/admin/staff/{zoe['id']}"
    etag = (await desk.nobody.get(path, headers=headers)).headers["etag"]
    change = {"role": "supporter"}
    changed = await desk.nobody.patch(path, json=change, headers=headers | {"if-match": etag})
    assert (changed.status_code, changed.json()["role"]) == (200, "supporter")
    late = await desk.nobody.patch(path, json={"role": "admin"}, headers=headers | {"if-match": etag})
    assert (late.status_code, late.json()["error_code"]) == (412, "CHANGED_MEANWHILE")
    olga = next(person for person in everybody if person["email"] == OLGA)
    touched = await desk.nobody.patch(f"/api/admin/staff/{olga['id']}", json=change, headers=headers)
    assert touched.status_code == 403
    gone = await desk.nobody.delete(path, headers=headers | {"if-match": changed.headers["etag"]})
    assert gone.status_code == 204


async def test_who_is_invited_twice_with_one_key_is_invited_once(desk: Served) -> None:
    headers = bearing((await tokens(desk))["access_token"]) | {"idempotency-key": "invite-ina"}
    body = {"email": "ina@example.org", "role": "viewer"}
    first = (await desk.nobody.post("/api/admin/staff", json=body, headers=headers)).json()
    again = await desk.nobody.post("/api/admin/staff", json=body, headers=headers)
    assert (again.status_code, again.json()["staff"]) == (201, first["staff"])
    assert again.json()["link"] != first["link"]  # the newest counts
    for other in ({"email": "ida@example.org"}, {"role": "admin"}):
        refused = await desk.nobody.post("/api/admin/staff", json=body | other, headers=headers)
        assert (refused.status_code, refused.json()["error_code"]) == (409, "IDEMPOTENCY_CONFLICT")
    begins = {"token": token_of(again.json()["link"]), "name": "Ina", "password": PASSWORD}
    assert (await desk.nobody.post("/api/auth/accept", json=begins)).status_code == 200
    late = await desk.nobody.post("/api/admin/staff", json=body, headers=headers)
    assert (late.status_code, late.json()["staff"]["state"], late.json()["link"]) == (201, "active", None)
    anew = headers | {"idempotency-key": "another"}
    assert (await desk.nobody.post("/api/admin/staff", json=body, headers=anew)).json()["error_code"] == "CONFLICT"


async def test_ones_sign_ins_go_on_by_cursor(desk: Served) -> None:
    given = await member(desk, "viewer", "sid@example.org")
    for _ in range(2):
        await tokens(desk, "sid@example.org")
    headers = bearing(given["access_token"])
    whole = (await desk.nobody.get("/api/auth/sessions", headers=headers)).json()
    assert (len(whole["items"]), whole["next_cursor"]) == (3, None)
    assert [each["current"] for each in whole["items"]] == [False, False, True]  # the newest first
    first = (await desk.nobody.get("/api/auth/sessions", params={"limit": 2}, headers=headers)).json()
    rest = {"limit": 2, "cursor": first["next_cursor"]}
    second = (await desk.nobody.get("/api/auth/sessions", params=rest, headers=headers)).json()
    assert (first["items"] + second["items"], second["next_cursor"]) == (whole["items"], None)


async def test_who_is_disabled_is_refused_at_once(desk: Served) -> None:
    given = await member(desk, "supporter", "dora@example.org")
    headers = bearing(given["access_token"])
    me = (await desk.nobody.get("/api/auth/me", headers=headers)).json()
    owner = bearing((await tokens(desk))["access_token"])
    path = f"/api/admin/staff/{me['id']}"
    assert (await desk.nobody.patch(path, json={"state": "disabled"}, headers=owner)).status_code == 200
    assert (await desk.nobody.get("/api/auth/me", headers=headers)).status_code == 401
    refreshed = await desk.nobody.post("/api/auth/refresh", json={"refresh_token": given["refresh_token"]})
    assert refreshed.status_code == 401


async def test_what_needs_a_permission_is_refused_without_it(desk: Served) -> None:
    headers = bearing((await member(desk, "viewer", "paul@example.org"))["access_token"])
    for method, path in (("GET", "/api/admin/staff"), ("POST", "/api/admin/staff")):
        answer = await desk.nobody.request(method, path, headers=headers, json={"email": "a@b.c", "role": "viewer"})
        assert (answer.status_code, answer.json()["error_code"]) == (403, "FORBIDDEN")


async def test_a_link_is_looked_at_without_being_used(desk: Served) -> None:
    owner = bearing((await tokens(desk))["access_token"])
    body = {"email": "lena@example.org", "role": "viewer"}
    link = (await desk.nobody.post("/api/admin/staff", json=body, headers=owner)).json()["link"]
    for _ in range(2):
        shown = (await desk.nobody.post("/api/auth/link", json={"token": token_of(link)})).json()
        assert (shown["purpose"], shown["email"], shown["tenant"]) == ("invitation", "lena@example.org", "clinic")
    assert (await desk.nobody.post("/api/auth/link", json={"token": "made up"})).status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"sign_in": {"openid": {"issuer": "https://mine.example", "client_id": "mine", "client_secret": "mine"}}},
        {"sign_in": {"session_days": 7}},
        {"issuers": [{"issuer": "https://mine.example", "audience": "mine", "jwks_url": "https://mine.example/keys"}]},
    ],
    ids=["openid", "days", "issuers"],
)
async def test_who_vouches_for_people_is_the_owners_to_say(desk: Served, change: dict[str, object]) -> None:
    admin = await member(desk, "admin", f"ada{len(str(change))}@example.org")
    owner = await tokens(desk)
    made = await desk.nobody.post(
        "/api/admin/keys",
        json={"name": "settings", "scopes": ["settings:read", "settings:write"]},
        headers=bearing(owner["access_token"]),
    )
    for credential in (admin["access_token"], made.json()["key"]):
        headers = bearing(credential)
        before = await desk.nobody.get("/api/admin/settings", headers=headers)
        headers["if-match"] = before.headers["etag"]
        refused = await desk.nobody.patch("/api/admin/settings", json=change, headers=headers)
        assert (refused.status_code, refused.json()["error_code"]) == (403, "FORBIDDEN")
        other = {"greeting": f"Hello {credential[-4:]}"}
        allowed = await desk.nobody.patch("/api/admin/settings", json=other, headers=headers)
        assert allowed.status_code == 200, allowed.text


async def test_an_owner_says_how_people_sign_in(desk: Served) -> None:
    headers = bearing((await tokens(desk))["access_token"])
    headers["if-match"] = (await desk.nobody.get("/api/admin/settings", headers=headers)).headers["etag"]
    changed = await desk.nobody.patch("/api/admin/settings", json={"sign_in": {"session_days": 20}}, headers=headers)
    assert changed.status_code == 200, changed.text


@pytest.mark.parametrize(
    ("site", "problem"),
    [("cross-site", "CROSS_SITE"), ("same-site", "CROSS_SITE"), ("same-origin", "NOT_FOUND"), ("none", "NOT_FOUND")],
)
async def test_no_other_site_begins_a_sign_in(desk: Served, site: str, problem: str) -> None:
    answer = await desk.nobody.get("/api/auth/openid/start", headers={"sec-fetch-site": site})  # there is no provider
    assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in#problem={problem}")
    assert "set-cookie" not in answer.headers


async def test_nobody_signs_in_to_a_suspended_tenant(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="frontdesk-suspended-") as folder:
        async with serving(Path(folder), {"FRONTDESK_PROXIES": "127.0.0.1"}) as served:
            link = {"token": token_of(await served.said_line("Owner: "))}
            begin = link | {"email": OLGA, "name": "Olga", "password": PASSWORD}
            given = (await served.nobody.post("/api/auth/accept", json=begin)).json()
            known = {"email": OLGA, "password": PASSWORD}
            async with database_of(served.data, served.environment) as database:
                tenant = await tenant_named(database, "clinic")
                assert tenant is not None
                await life.suspend(database, tenant.id, SUSPENDER)
                await asyncio.sleep(FRESH_S)
                refused = [
                    await served.nobody.get("/api/auth/options"),
                    await served.nobody.post("/api/auth/sign-in", json=known),
                    await served.nobody.post("/api/auth/refresh", json={"refresh_token": given["refresh_token"]}),
                    await served.nobody.post("/api/auth/forgot", json={"email": OLGA}),
                    await served.nobody.post("/api/auth/accept", json=begin),
                    await served.nobody.post("/api/auth/reset", json=link | {"password": PASSWORD}),
                ]
                await life.resume(database, tenant.id, SUSPENDER)
            assert {answer.json()["error_code"] for answer in refused} == {"TENANT_SUSPENDED"}
            await asyncio.sleep(FRESH_S)
            renewed = await served.nobody.post("/api/auth/refresh", json={"refresh_token": given["refresh_token"]})
            assert renewed.status_code == 200  # it was not used up


async def test_forgotten_passwords_are_answered_alike(desk: Served) -> None:
    answers = [
        await desk.nobody.post("/api/auth/forgot", json={"email": email}) for email in (OLGA, "nobody@example.org")
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].content == answers[1].content


async def test_nothing_of_a_sign_in_is_in_the_log(desk: Served) -> None:
    given = await tokens(desk)
    await desk.nobody.post("/api/auth/sign-in", json={"email": OLGA, "password": "a wrong password 123"})
    await asyncio.sleep(0)
    log = "\n".join(line for line in desk.said if "Owner: " not in line)
    for secret in (PASSWORD, "a wrong password 123", given["refresh_token"], given["access_token"], OLGA):
        assert secret not in log


async def test_a_start_without_an_owner_prints_a_new_link_and_one_with_an_owner_none(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="frontdesk-owner-") as folder:
        links = []
        for _ in range(2):
            async with serving(Path(folder), {"FRONTDESK_PROXIES": "127.0.0.1"}) as served:
                links.append(token_of(await served.said_line("Owner: ")))
                old = await served.nobody.post("/api/auth/link", json={"token": links[0]})
                assert old.status_code == (200 if len(links) == 1 else 404)
                if len(links) == 2:
                    body = {"token": links[1], "email": OLGA, "name": "Olga", "password": PASSWORD}
                    assert (await served.nobody.post("/api/auth/accept", json=body)).status_code == 200
        async with serving(Path(folder), {"FRONTDESK_PROXIES": "127.0.0.1"}) as served:
            await served.said_line("Ready in ")
            assert (await served.nobody.post("/api/auth/link", json={"token": links[1]})).status_code == 404
        assert not any("Owner: " in line for line in served.said)


async def test_credentials_of_a_deleted_tenant_open_nothing(desk: Served) -> None:
    ask, operator = desk.nobody, bearing((await tokens(desk))["access_token"])
    new = {"slug": "gone", "name": "Gone", "owner": "gus@gone.example"}
    made = (await ask.post("/api/admin/tenants", json=new, headers=operator)).json()
    begins = {"token": token_of(made["owner"]["link"]), "name": "Gus", "password": PASSWORD}
    gus = (await ask.post("/api/auth/accept", json=begins)).json()
    owner = bearing(gus["access_token"])
    settings = await ask.get("/api/admin/settings", headers=owner)
    widget = {"widget": {"enabled": True}}
    tag = {"if-match": settings.headers["etag"]}
    assert (await ask.patch("/api/admin/settings", json=widget, headers=owner | tag)).status_code == 200
    wanted = {"name": "shop", "scopes": ["chat", "sessions:list"]}
    key = bearing((await ask.post("/api/admin/keys", json=wanted, headers=owner)).json()["key"])
    visit = (await ask.post("/api/public/widgets/gone/tokens")).json()
    session = f"/api/gone/sessions/{visit['session_id']}"
    said = {"user_id": visit["user_id"], "session_id": visit["session_id"], "message": "hello"}
    for header in (key, bearing(visit["token"])):
        assert (await ask.post("/api/gone/chat", json=said, headers=header)).status_code == 200

    at = f"/api/admin/tenants/{made['tenant']['id']}"
    tag = {"if-match": (await ask.get(at, headers=operator)).headers["etag"]}
    assert (await ask.delete(at, headers=operator | tag)).status_code == 202
    async with asyncio.timeout(HANG_S):
        while (await ask.get(at, headers=operator)).status_code != 404:
            await asyncio.sleep(0.2)
    await asyncio.sleep(FRESH_S + 0.5)  # what was known of it a moment ago
    for header in (owner, key, bearing(visit["token"])):
        for path in (
            "/api/auth/me",
            "/api/admin/settings",
            session,
            "/api/gone/page",
            "/api/clinic/sessions?user_id=a",
        ):
            refused = await ask.get(path, headers=header)
            assert refused.status_code in (401, 403, 404), (path, refused.text)
        assert (await ask.post("/api/gone/chat", json=said, headers=header)).status_code in (401, 404)
    renewed = await ask.post("/api/auth/refresh", json={"refresh_token": gus["refresh_token"]})
    assert renewed.status_code in (401, 404), renewed.text
    again = await ask.post("/api/auth/sign-in", json={"email": new["owner"], "password": PASSWORD, "tenant": "gone"})
    assert again.status_code == 404
    assert (await ask.post("/api/public/widgets/gone/tokens")).status_code == 404
