"""Sign-ins: kept up by tokens that are good once, listed, ended; a copied token ends them."""

import asyncio

import pytest
from office import HOME, PASSWORD, Office

from frontdesk.core.errors import TokenInvalid
from frontdesk.identity import session_store
from frontdesk.identity.permissions import ROLES, Role
from frontdesk.identity.sessions import Opened
from frontdesk.identity.staff import Device, State

ANN = "ann@example.org"


@pytest.fixture
async def opened(office: Office) -> Opened:
    await office.member(Role.SUPPORTER, ANN)
    return await office.sign_in(ANN)


async def is_live(office: Office, opened: Opened) -> bool:
    return await office.may(opened) is not None


async def test_a_refresh_token_gives_the_next_and_keeps_the_sign_in(office: Office, opened: Opened) -> None:
    token = opened.refresh_token
    for _ in range(3):
        office.clock.move(minutes=10)
        renewed = await office.sessions.refresh(token, Device("198.51.100.1", "a phone"))
        assert renewed.session_id == opened.session_id
        assert renewed.refresh_token != token
        token = renewed.refresh_token
    sessions = await office.sessions.of(office.tenant_id, opened.staff.id)
    kept = next(session for session in sessions if session.id == opened.session_id)
    assert (kept.address, kept.device, kept.last_seen) == ("198.51.100.1", "a phone", office.clock.now())


async def test_a_token_used_twice_ends_the_sign_in_for_both(office: Office, opened: Opened) -> None:
    stolen = opened.refresh_token
    await office.tokens.principal(opened.access_token)  # known to be alive for the next seconds
    renewed = await office.sessions.refresh(stolen, HOME)
    office.clock.move(minutes=1)
    with pytest.raises(TokenInvalid):
        await office.sessions.refresh(stolen, Device("192.0.2.66", "a thief"))
    with pytest.raises(TokenInvalid):
        await office.sessions.refresh(renewed.refresh_token, HOME)
    assert not await is_live(office, opened)
    with pytest.raises(TokenInvalid):
        await office.tokens.principal(opened.access_token)
    newest = (await office.audited())[0]
    assert (newest.action, newest.address) == ("session.reused", "192.0.2.66")


async def test_an_old_token_is_known_after_many_renewals(office: Office, opened: Opened) -> None:
    token = opened.refresh_token
    for _ in range(50):
        office.clock.move(minutes=10)
        token = (await office.sessions.refresh(token, HOME)).refresh_token
    with pytest.raises(TokenInvalid):
        await office.sessions.refresh(opened.refresh_token, HOME)
    assert not await is_live(office, opened)


async def test_two_pages_that_renew_at_once_end_nothing(office: Office, opened: Opened) -> None:
    both = await asyncio.gather(
        *(office.sessions.refresh(opened.refresh_token, HOME) for _ in range(2)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in both) == ["Conflict", "Opened"]
    assert await is_live(office, opened)
    office.clock.move(seconds=11)
    with pytest.raises(TokenInvalid):
        await office.sessions.refresh(opened.refresh_token, HOME)


@pytest.mark.parametrize("token", ["", "x", "A" * 84, "é" * 84, "A" * 10_000])
async def test_made_up_tokens_are_refused_and_end_nothing(office: Office, opened: Opened, token: str) -> None:
    with pytest.raises(TokenInvalid):
        await office.sessions.refresh(token, HOME)
    await office.sessions.sign_out(token, HOME.address)
    assert await is_live(office, opened)


async def test_who_knows_a_sign_ins_id_alone_can_not_end_it(office: Office, opened: Opened) -> None:
    forged = opened.refresh_token[:-20] + "A" * 19 + "="
    with pytest.raises(TokenInvalid):
        await office.sessions.refresh(forged, HOME)
    await office.sessions.sign_out(forged, HOME.address)
    assert await is_live(office, opened)


async def test_of_too_many_the_oldest_ends(office: Office, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_store, "MOST", 3)
    more = []
    for _ in range(3):
        office.clock.move(minutes=1)
        more.append(await office.sign_in(ANN))
    assert [await is_live(office, each) for each in [opened, *more]] == [False, True, True, True]


async def test_a_sign_in_ends_by_itself(office: Office, opened: Opened) -> None:
    office.clock.move(days=office.settings.session_days, seconds=1)
    assert not await is_live(office, opened)
    with pytest.raises(TokenInvalid):
        await office.sessions.refresh(opened.refresh_token, HOME)


async def test_one_is_ended_and_the_others_go_on(office: Office, opened: Opened) -> None:
    other = await office.sign_in(ANN)
    actor = office.as_staff(opened.staff).actor
    await office.sessions.end(office.tenant_id, opened.staff.id, opened.session_id, actor)
    assert (await is_live(office, opened), await is_live(office, other)) == (False, True)
    await office.sessions.end(office.tenant_id, opened.staff.id, opened.session_id, actor)
    assert [entry.action for entry in await office.audited()].count("session.ended") == 1


async def test_another_persons_sign_in_goes_on(office: Office, opened: Opened) -> None:
    ben = await office.member(Role.OWNER, "ben@example.org")
    await office.sessions.end(office.tenant_id, ben.id, opened.session_id, office.as_staff(ben).actor)
    assert await is_live(office, opened)


async def test_a_changed_password_ends_the_others_and_not_this_one(office: Office, opened: Opened) -> None:
    other = await office.sign_in(ANN)
    new = "another good password"
    await office.account.change_password(office.tenant_id, opened.staff.id, opened.session_id, PASSWORD, new, HOME)
    assert (await is_live(office, opened), await is_live(office, other)) == (True, False)
    assert (await office.sign_in(ANN, new)).staff.email == ANN


async def test_signing_out_ends_it(office: Office, opened: Opened) -> None:
    await office.sessions.sign_out(opened.refresh_token, HOME.address)
    assert not await is_live(office, opened)


async def test_who_is_disabled_is_out_at_once_and_can_not_renew(office: Office, opened: Opened) -> None:
    owner = await office.owner()
    await office.change(office.as_staff(owner), opened.staff, state=State.DISABLED)
    assert not await is_live(office, opened)
    with pytest.raises(TokenInvalid):
        await office.sessions.refresh(opened.refresh_token, HOME)


async def test_a_new_role_counts_at_once(office: Office, opened: Opened) -> None:
    owner = await office.owner()
    await office.change(office.as_staff(owner), opened.staff, role=Role.VIEWER)
    live = await office.may(opened)
    assert live == ROLES[Role.VIEWER]


async def test_no_token_is_stored_as_it_is(office: Office, opened: Opened) -> None:
    async with office.db.scope(office.tenant_id) as scope:
        rows = await scope.fetch("SELECT * FROM staff_sessions")
    assert opened.refresh_token not in repr([tuple(row) for row in rows])
