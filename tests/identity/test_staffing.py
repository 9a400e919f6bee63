"""Who may change whom: owners, the last of them, admins, and what happens when two change at the same time."""

import asyncio
from functools import partial
from uuid import UUID

import pytest
from office import COMMAND, HOME, PASSWORD, Office, token_of

from frontdesk.audit import Actor
from frontdesk.core.errors import Conflict, Forbidden, Invalid, NotFound
from frontdesk.identity.links import LinkInvalid
from frontdesk.identity.models import Kind, Principal
from frontdesk.identity.permissions import ROLES, SCOPES, Permission, Role
from frontdesk.identity.sign_in import SignInFailed
from frontdesk.identity.staff import Staff, State
from frontdesk.identity.staffing import By, ChangedMeanwhile, LastOwner
from frontdesk.server.people import owner_link


async def state_of(office: Office, staff: Staff) -> tuple[Role, State] | None:
    try:
        found = await office.staffing.one(office.tenant_id, staff.id)
    except NotFound:
        return None
    return found.role, found.state


async def remove(office: Office, by: By, staff: Staff, version: int | None = None) -> None:
    await office.staffing.remove(office.tenant_id, by, staff.id, version)


async def test_the_first_owner_begins_by_the_link_and_manages_the_deployment(office: Office) -> None:
    owner = await office.owner()
    assert (owner.role, owner.state, owner.is_operator) == (Role.OWNER, State.ACTIVE, True)
    assert Permission.TENANTS_MANAGE in owner.permissions
    assert await office.staffing.owner_link(office.tenant_id, COMMAND) is None


@pytest.mark.parametrize(
    ("is_default", "is_asked_for", "is_operator"), [(True, False, True), (False, False, False), (False, True, True)]
)
async def test_only_the_default_tenants_first_owner_manages_the_deployment_unasked(
    office: Office, is_default: bool, is_asked_for: bool, is_operator: bool
) -> None:
    link = await owner_link(office.staffing, office.tenant_id, COMMAND, is_default=is_default, is_operator=is_asked_for)
    assert link is not None
    opened = await office.welcome.accept(token_of(link), office.settings, "olga@example.org", "Olga", PASSWORD, HOME)
    assert (opened.staff.role, opened.staff.is_operator) == (Role.OWNER, is_operator)


async def test_the_default_tenants_first_owner_is_no_operator_when_there_is_one_anywhere(
    office: Office, other_tenant_id: UUID
) -> None:
    await Office(office.db, other_tenant_id).owner()
    link = await owner_link(office.staffing, office.tenant_id, COMMAND, is_default=True)
    assert link is not None
    opened = await office.welcome.accept(token_of(link), office.settings, "pia@example.org", "Pia", PASSWORD, HOME)
    assert not opened.staff.is_operator


async def test_the_link_of_the_first_owner_is_good_once_and_only_the_newest(office: Office) -> None:
    first, second = [await office.staffing.owner_link(office.tenant_id, COMMAND) for _ in range(2)]
    assert first is not None and second is not None and first.startswith("https://desk.example.org/welcome#token=")
    accept = office.welcome.accept
    with pytest.raises(LinkInvalid):
        await accept(token_of(first), office.settings, "eve@example.org", "Eve", PASSWORD, HOME)
    await accept(token_of(second), office.settings, "olga@example.org", "Olga", PASSWORD, HOME)
    with pytest.raises(LinkInvalid):
        await accept(token_of(second), office.settings, "eve@example.org", "Eve", PASSWORD, HOME)


async def test_somebody_who_is_removed_already_is_removed(office: Office) -> None:
    owner, ann = await office.owner(), await office.member(Role.VIEWER, "ann@example.org")
    for version in (ann.version, ann.version, None):
        await remove(office, office.as_staff(owner), ann, version)
    assert [entry.action for entry in await office.audited()].count("staff.removed") == 1


async def test_two_who_use_the_link_at_once_make_one_owner(office: Office) -> None:
    link = await office.staffing.owner_link(office.tenant_id, COMMAND)
    assert link is not None
    both = await asyncio.gather(
        *(
            office.welcome.accept(token_of(link), office.settings, f"{name}@example.org", name, PASSWORD, HOME)
            for name in ("ann", "ben")
        ),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in both) == ["LinkInvalid", "Opened"]
    assert len(await office.staffing.listed(office.tenant_id, "", None, 10)) == 1


async def test_a_password_that_is_refused_leaves_the_link_good(office: Office) -> None:
    link = await office.staffing.owner_link(office.tenant_id, COMMAND)
    assert link is not None
    for email, password in (("olga@example.org", "short"), ("not an address", PASSWORD)):
        with pytest.raises(Invalid):
            await office.welcome.accept(token_of(link), office.settings, email, "Olga", password, HOME)
    await office.welcome.accept(token_of(link), office.settings, "olga@example.org", "Olga", PASSWORD, HOME)


@pytest.mark.parametrize(("hours", "is_good"), [(11, True), (13, False)])
async def test_the_link_of_the_first_owner_ends(office: Office, hours: int, is_good: bool) -> None:
    link = await office.staffing.owner_link(office.tenant_id, COMMAND)
    assert link is not None
    office.clock.move(hours=hours)
    if is_good:
        assert (await office.welcome.show(token_of(link))).purpose == "owner"
    else:
        with pytest.raises(LinkInvalid):
            await office.welcome.show(token_of(link))


async def test_an_invitation_is_accepted_once_and_its_address_is_case_folded(office: Office) -> None:
    owner = await office.owner()
    invited = await office.staffing.invite(
        office.tenant_id, "Acme", office.as_staff(owner), " Ann@Example.ORG ", "Ann", Role.SUPPORTER
    )
    assert invited.link is not None and invited.staff.email == "ann@example.org"
    with pytest.raises(Conflict):
        await office.staffing.invite(office.tenant_id, "Acme", COMMAND, "ANN@example.org", "Ann", Role.VIEWER)
    await office.welcome.accept(token_of(invited.link), office.settings, None, "Ann", PASSWORD, HOME)
    with pytest.raises(LinkInvalid):
        await office.welcome.accept(token_of(invited.link), office.settings, None, "Eve", PASSWORD, HOME)
    assert (await office.sign_in("ann@example.org")).staff.role is Role.SUPPORTER


async def test_inviting_again_ends_the_link_before(office: Office) -> None:
    invited = await office.staffing.invite(office.tenant_id, "Acme", COMMAND, "ann@example.org", "Ann", Role.VIEWER)
    again = await office.staffing.invite_again(office.tenant_id, "Acme", COMMAND, invited.staff.id)
    assert invited.link is not None and again.link is not None
    with pytest.raises(LinkInvalid):
        await office.welcome.show(token_of(invited.link))
    assert (await office.welcome.show(token_of(again.link))).email == "ann@example.org"


@pytest.mark.parametrize("role", [Role.ADMIN, Role.SUPPORTER, Role.VIEWER])
async def test_the_last_owner_stays_whoever_tries(office: Office, role: Role) -> None:
    owner = await office.owner()
    for by in (office.as_staff(owner), COMMAND):
        with pytest.raises(LastOwner):
            await remove(office, by, owner)
        with pytest.raises(LastOwner):
            await office.change(by, owner, state=State.DISABLED)
        with pytest.raises(LastOwner):
            await office.change(by, owner, role=role)
    await office.staffing.invite(office.tenant_id, "Acme", COMMAND, "pia@example.org", "Pia", Role.OWNER)
    with pytest.raises(LastOwner):  # who was invited can't manage anything yet
        await remove(office, COMMAND, owner)
    assert await state_of(office, owner) == (Role.OWNER, State.ACTIVE)


async def test_with_a_second_owner_the_first_may_go(office: Office) -> None:
    owner = await office.owner()
    second = await office.member(Role.OWNER, "pia@example.org", office.as_staff(owner))
    await remove(office, office.as_staff(owner), owner)
    assert await state_of(office, owner) is None
    with pytest.raises(LastOwner):
        await remove(office, COMMAND, second)


@pytest.mark.parametrize("repeat", range(5))
async def test_two_owners_who_remove_each_other_leave_one(office: Office, repeat: int) -> None:
    first = await office.owner()
    second = await office.member(Role.OWNER, "pia@example.org")
    await asyncio.gather(
        remove(office, office.as_staff(first), second),
        remove(office, office.as_staff(second), first),
        return_exceptions=True,
    )
    left = [staff for staff in (first, second) if await state_of(office, staff) is not None]
    assert len(left) == 1


@pytest.mark.parametrize("repeat", range(5))
async def test_of_two_admins_who_remove_each_other_one_stays(office: Office, repeat: int) -> None:
    await office.owner()
    ann, ben = [await office.member(Role.ADMIN, f"{name}@example.org") for name in ("ann", "ben")]
    outcomes = await asyncio.gather(
        remove(office, office.as_staff(ann), ben), remove(office, office.as_staff(ben), ann), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Forbidden", "NoneType"]
    assert [await state_of(office, staff) is not None for staff in (ann, ben)].count(True) == 1


@pytest.mark.parametrize("repeat", range(3))
async def test_two_owners_who_step_down_at_once_leave_one(office: Office, repeat: int) -> None:
    first = await office.owner()
    second = await office.member(Role.OWNER, "pia@example.org")
    outcomes = await asyncio.gather(
        *(office.change(office.as_staff(owner), owner, role=Role.ADMIN) for owner in (first, second)),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["LastOwner", "Staff"]


async def test_admins_neither_make_owners_nor_touch_them(office: Office) -> None:
    owner = await office.owner()
    second = await office.member(Role.OWNER, "pia@example.org")
    admin = await office.member(Role.ADMIN, "ann@example.org")
    by = office.as_staff(admin)
    attempts = (
        office.staffing.invite(office.tenant_id, "Acme", by, "eve@example.org", "Eve", Role.OWNER),
        office.change(by, admin, role=Role.OWNER),
        office.change(by, second, role=Role.VIEWER),
        office.change(by, second, state=State.DISABLED),
        office.change(by, second, name="Nobody"),
        remove(office, by, second),
        office.staffing.end_sessions(office.tenant_id, by, owner.id),
    )
    for attempt in attempts:
        with pytest.raises(Forbidden):
            await attempt
    assert await state_of(office, second) == (Role.OWNER, State.ACTIVE)


async def test_a_key_may_as_much_as_an_admin(office: Office) -> None:
    await office.owner()
    key = By(Principal(Kind.API_KEY, office.tenant_id, "key", SCOPES), Actor("api_key", "key"))
    with pytest.raises(Forbidden):
        await office.staffing.invite(office.tenant_id, "Acme", key, "eve@example.org", "Eve", Role.OWNER)
    await office.member(Role.ADMIN, "ann@example.org", key)


@pytest.mark.parametrize("role", [Role.SUPPORTER, Role.VIEWER])
async def test_a_role_that_was_taken_away_meanwhile_counts_no_more(office: Office, role: Role) -> None:
    await office.owner()
    admin = await office.member(Role.ADMIN, "ann@example.org")
    by = office.as_staff(admin)  # with the permissions that he had
    await office.change(COMMAND, admin, role=role)
    with pytest.raises(Forbidden):
        await office.staffing.invite(office.tenant_id, "Acme", by, "eve@example.org", "Eve", Role.VIEWER)


async def test_operators_are_made_by_operators_alone(office: Office) -> None:
    owner = await office.owner()
    second = await office.member(Role.OWNER, "pia@example.org")
    with pytest.raises(Forbidden):
        await office.change(office.as_staff(second), second, is_operator=True)
    changed = await office.change(office.as_staff(owner), second, is_operator=True)
    assert Permission.TENANTS_MANAGE in changed.permissions


async def test_operators_are_touched_by_operators_alone(office: Office) -> None:
    await office.owner()
    second = office.as_staff(await office.member(Role.OWNER, "pia@example.org"))
    operator = await office.change(COMMAND, await office.member(Role.VIEWER, "oda@example.org"), is_operator=True)
    invited = await office.staffing.invite(office.tenant_id, "Acme", COMMAND, "ole@example.org", "Ole", Role.VIEWER)
    await office.change(COMMAND, invited.staff, is_operator=True)
    attempts = (
        office.change(second, operator, name="Nobody"),
        office.change(second, operator, is_operator=False),
        remove(office, second, operator),
        office.staffing.end_sessions(office.tenant_id, second, operator.id),
        office.staffing.invite_again(office.tenant_id, "Acme", second, invited.staff.id),
    )
    for attempt in attempts:
        with pytest.raises(Forbidden):
            await attempt


async def test_repeating_an_invitation_is_no_way_to_become_operator(office: Office) -> None:
    owner = await office.owner()
    second = office.as_staff(await office.member(Role.OWNER, "pia@example.org"))
    invite = partial(office.staffing.invite, office.tenant_id, "Acme", second, "ole@example.org", "Ole", Role.VIEWER)
    invited = await invite("a key")
    await office.change(office.as_staff(owner), invited.staff, is_operator=True)
    with pytest.raises(Forbidden):
        await invite("a key")


@pytest.mark.parametrize("change", [{"role": Role.OWNER}, {"is_operator": True}], ids=lambda change: next(iter(change)))
async def test_open_links_end_with_the_role_that_they_were_made_for(office: Office, change: dict[str, object]) -> None:
    invited = await office.staffing.invite(office.tenant_id, "Acme", COMMAND, "ann@example.org", "Ann", Role.VIEWER)
    ben = await office.member(Role.VIEWER, "ben@example.org")
    reset = await office.staffing.reset_link(office.tenant_id, COMMAND, ben.email)
    assert invited.link is not None
    for staff, link in ((invited.staff, invited.link), (ben, reset)):
        await office.change(COMMAND, staff, name="Another")
        await office.welcome.show(token_of(link))
        await office.change(COMMAND, staff, **change)
        with pytest.raises(LinkInvalid):
            await office.welcome.show(token_of(link))


async def test_a_key_gives_no_role_that_may_more_than_itself(office: Office) -> None:
    scopes = (ROLES[Role.VIEWER] - {Permission.ACCOUNT}) | {Permission.STAFF_WRITE}
    key = By(Principal(Kind.API_KEY, office.tenant_id, "key", scopes), Actor("api_key", "key"))
    viewer = await office.member(Role.VIEWER, "ann@example.org", key)
    for role in (Role.SUPPORTER, Role.ADMIN):
        with pytest.raises(Forbidden):
            await office.staffing.invite(office.tenant_id, "Acme", key, "eve@example.org", "Eve", role)
        with pytest.raises(Forbidden):
            await office.change(key, viewer, role=role)


async def test_a_key_touches_nobody_who_may_more_than_itself(office: Office) -> None:
    scopes = (ROLES[Role.VIEWER] - {Permission.ACCOUNT}) | {Permission.STAFF_WRITE}
    key = By(Principal(Kind.API_KEY, office.tenant_id, "key", scopes), Actor("api_key", "key"))
    admin = await office.member(Role.ADMIN, "ann@example.org")
    with pytest.raises(Forbidden):
        await office.change(key, admin, role=Role.VIEWER)
    with pytest.raises(Forbidden):
        await remove(office, key, admin)
    assert await state_of(office, admin) == (Role.ADMIN, State.ACTIVE)


async def test_of_two_changes_to_the_same_version_one_is_refused(office: Office) -> None:
    await office.owner()
    ann = await office.member(Role.VIEWER, "ann@example.org")
    outcomes = await asyncio.gather(
        office.change(COMMAND, ann, ann.version, role=Role.SUPPORTER),
        office.change(COMMAND, ann, ann.version, name="Another"),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ChangedMeanwhile", "Staff"]
    with pytest.raises(ChangedMeanwhile):
        await remove(office, COMMAND, ann, ann.version)


async def test_who_never_accepted_is_invited_again_when_enabled(office: Office) -> None:
    await office.owner()
    invited = await office.staffing.invite(office.tenant_id, "Acme", COMMAND, "ann@example.org", "Ann", Role.VIEWER)
    assert invited.link is not None
    await office.change(COMMAND, invited.staff, state=State.DISABLED)
    with pytest.raises(LinkInvalid):
        await office.welcome.show(token_of(invited.link))
    assert (await office.change(COMMAND, invited.staff, state=State.ACTIVE)).state is State.INVITED


async def test_a_reset_ends_sign_ins_lifts_the_lock_and_is_good_once(office: Office) -> None:
    ann = await office.member(Role.VIEWER, "ann@example.org")
    opened = await office.sign_in(ann.email)
    for _ in range(6):
        with pytest.raises(SignInFailed):
            await office.sign_in(ann.email, "a wrong password")
    link = await office.staffing.reset_link(office.tenant_id, COMMAND, ann.email)
    assert link.startswith("https://desk.example.org/reset#token=")
    await office.welcome.reset(token_of(link), "another good password", HOME)
    assert await office.may(opened) is None
    with pytest.raises(LinkInvalid):
        await office.welcome.reset(token_of(link), "a third good password", HOME)
    assert (await office.sign_in(ann.email, "another good password")).staff.id == ann.id


async def test_a_link_is_good_for_its_own_purpose_alone(office: Office) -> None:
    await office.owner()
    ann = await office.member(Role.VIEWER, "ann@example.org")
    reset = token_of(await office.staffing.reset_link(office.tenant_id, COMMAND, ann.email))
    with pytest.raises(LinkInvalid):
        await office.welcome.accept(reset, office.settings, "eve@example.org", "Eve", PASSWORD, HOME)
    invited = await office.staffing.invite(office.tenant_id, "Acme", COMMAND, "ben@example.org", "Ben", Role.VIEWER)
    assert invited.link is not None
    with pytest.raises(LinkInvalid):
        await office.welcome.reset(token_of(invited.link), PASSWORD, HOME)


async def test_what_was_changed_is_audited_before_and_after(office: Office) -> None:
    await office.owner()
    ann = await office.member(Role.VIEWER, "ann@example.org")
    await office.change(COMMAND, ann, role=Role.ADMIN)
    newest = (await office.audited())[0]
    assert (newest.action, newest.actor_kind) == ("staff.changed", "command")
    assert b'"role":"viewer"' in bytes(newest.before) and b'"role":"admin"' in bytes(newest.after)
