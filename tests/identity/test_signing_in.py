"""Signing in with a password and a second factor: what is told, what is counted, what is used up."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
from office import COMMAND, HOME, PASSWORD, Office, token_of
from tests.conftest import make_tenant

from frontdesk.core.errors import Conflict, Invalid, RateLimited
from frontdesk.identity import staff_store, totp
from frontdesk.identity.account import PasswordWrong
from frontdesk.identity.failures import FREE, What
from frontdesk.identity.permissions import Role
from frontdesk.identity.sign_in import SecondFactorNeeded, SignInFailed
from frontdesk.identity.staff import Device, SignInSettings, State

ANN = "ann@example.org"


async def codes_of(office: Office, email: str = ANN) -> tuple[bytes, list[str]]:
    """Turns a second factor on: its secret, the recovery codes."""
    staff = await office.staffing.named(office.tenant_id, email)
    proposed = await office.account.propose_second_factor(office.tenant_id, staff.id, "Acme", PASSWORD)
    secret = base64.b32decode(proposed.secret)
    codes = await office.account.confirm_second_factor(office.tenant_id, staff.id, code(office, secret), HOME)
    office.clock.move(seconds=60)
    return secret, codes


def code(office: Office, secret: bytes) -> str:
    return totp.code_at(secret, int(office.clock.now().timestamp()) // totp.STEP_S)


async def failure(office: Office, email: str, password: str, device: Device = HOME) -> tuple[str, str]:
    with pytest.raises(SignInFailed) as caught:
        await office.sign_in(email, password, device=device)
    return caught.value.error_code, caught.value.detail


async def test_the_right_password_signs_in_and_is_audited(office: Office) -> None:
    ann = await office.member(Role.VIEWER, ANN)
    opened = await office.sign_in(ANN)
    assert opened.staff.id == ann.id
    principal = await office.tokens.principal(opened.access_token)
    assert (principal.id, principal.session_id) == (str(ann.id), opened.session_id)
    newest = (await office.audited())[0]
    assert (newest.action, newest.target, newest.address) == ("staff.signed_in", f"staff/{ann.id}", HOME.address)


async def test_every_way_to_fail_is_told_in_the_same_words(office: Office) -> None:
    await office.owner()
    await office.member(Role.VIEWER, ANN)
    ben = await office.member(Role.VIEWER, "ben@example.org")
    await office.change(office.as_staff(await office.staffing.named(office.tenant_id, "olga@example.org")), ben,
                        state=State.DISABLED)  # fmt: skip
    await office.staffing.invite(office.tenant_id, "Acme", COMMAND, "cid@example.org", "Cid", Role.VIEWER)
    told = {
        await failure(office, ANN, "a wrong password"),
        await failure(office, "nobody@example.org", PASSWORD),
        await failure(office, "ben@example.org", PASSWORD),  # disabled
        await failure(office, "cid@example.org", PASSWORD),  # invited
    }
    assert len(told) == 1


async def test_known_and_unknown_accounts_are_locked_alike(office: Office) -> None:
    await office.member(Role.VIEWER, ANN)
    outcomes = {}
    for email in (ANN, "nobody@example.org"):
        for at in range(FREE[What.ACCOUNT] + 1):
            await failure(office, email, "a wrong password", Device(f"198.51.100.{at}", ""))
        with pytest.raises(RateLimited) as caught:
            await office.sign_in(email, PASSWORD)  # the right one too
        outcomes[email] = (caught.value.detail, caught.value.retry_after)
    assert len(set(outcomes.values())) == 1


async def test_a_lock_grows_and_ends_by_itself_and_a_sign_in_forgets_it(office: Office) -> None:
    await office.member(Role.VIEWER, ANN)
    waits = []
    for _ in range(FREE[What.ACCOUNT] + 4):
        try:
            await office.sign_in(ANN, "a wrong password")
        except SignInFailed:
            waits.append(0.0)
        except RateLimited as locked:
            assert locked.retry_after is not None
            waits.append(locked.retry_after)
            office.clock.move(seconds=locked.retry_after)
            await failure(office, ANN, "a wrong password")
    assert waits == [0.0] * (FREE[What.ACCOUNT] + 1) + [1, 2, 4]
    office.clock.move(seconds=8)
    await office.sign_in(ANN)
    for _ in range(FREE[What.ACCOUNT]):
        await failure(office, ANN, "a wrong password")  # counted from the beginning


async def test_an_address_that_tries_many_accounts_is_locked(office: Office) -> None:
    for number in range(FREE[What.ADDRESS] + 1):
        await failure(office, f"nobody{number}@example.org", PASSWORD)
    with pytest.raises(RateLimited):
        await office.sign_in("another@example.org", PASSWORD)
    await failure(office, "another@example.org", PASSWORD, Device("198.51.100.1", ""))  # from elsewhere


async def test_signing_in_between_lets_nobody_try_more(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    await office.member(Role.VIEWER, ANN)
    for number in range(FREE[What.ADDRESS] - 1):
        await failure(office, f"nobody{number}@example.org", PASSWORD)
        await office.sign_in(ANN)

    async def one_more() -> None:
        office.clock.move(seconds=0.01)
        await failure(office, "another@example.org", PASSWORD)

    # Also not by a sign-in that was under way when the one too many was tried.
    await meanwhile(office, monkeypatch, one_more)
    await office.sign_in(ANN)
    for email in (ANN, "last@example.org"):
        with pytest.raises(RateLimited):
            await office.sign_in(email)


async def test_the_addresses_of_one_household_are_one(office: Office) -> None:
    for number in range(FREE[What.ADDRESS] + 1):
        await failure(office, f"nobody{number}@example.org", PASSWORD, Device(f"2001:db8:1:2:{number:x}::1", ""))
    with pytest.raises(RateLimited):
        await office.sign_in("another@example.org", PASSWORD, device=Device("2001:db8:1:2:ffff::9", ""))
    await failure(office, "another@example.org", PASSWORD, Device("2001:db8:1:3::1", ""))  # from next door


async def test_many_guesses_at_once_are_no_way_round_the_lock(office: Office) -> None:
    await office.member(Role.VIEWER, ANN)
    guesses = (office.sign_in(ANN, f"a wrong password {number}") for number in range(40))
    outcomes = await asyncio.gather(*guesses, return_exceptions=True)
    tried = [outcome for outcome in outcomes if isinstance(outcome, SignInFailed)]
    assert len(tried) == FREE[What.ACCOUNT] + 1


async def test_failures_are_told_to_the_audit_log_bounded(office: Office) -> None:
    for _ in range(3):
        await failure(office, "nobody@example.org", PASSWORD)
    await office.denials.flush()
    [entry] = await office.audited()
    assert entry.action == "sign_in.failed"
    assert bytes(entry.after) == b'{"count":3}'


async def test_a_second_factor_is_asked_for_after_the_password_alone(office: Office) -> None:
    await office.member(Role.VIEWER, ANN)
    secret, _ = await codes_of(office)
    assert await failure(office, ANN, "a wrong password") == await failure(office, "nobody@example.org", PASSWORD)
    with pytest.raises(SecondFactorNeeded):
        await office.sign_in(ANN)
    with pytest.raises(SignInFailed):
        await office.sign_in(ANN, code="000000")
    await office.sign_in(ANN, code=code(office, secret))


async def test_a_code_is_good_once_also_when_it_comes_twice_at_once(office: Office) -> None:
    await office.member(Role.VIEWER, ANN)
    secret, _ = await codes_of(office)
    same = code(office, secret)
    outcomes = await asyncio.gather(*(office.sign_in(ANN, code=same) for _ in range(4)), return_exceptions=True)
    assert [isinstance(outcome, SignInFailed) for outcome in outcomes].count(False) == 1


async def test_a_recovery_code_is_good_once(office: Office) -> None:
    ann = await office.member(Role.VIEWER, ANN)
    _, codes = await codes_of(office)
    await office.sign_in(ANN, code=codes[3])
    with pytest.raises(SignInFailed):
        await office.sign_in(ANN, code=codes[3])
    _, secrets = await office.account.of(office.tenant_id, ann.id)
    assert secrets.recovery_codes_left == totp.RECOVERY_CODES - 1


async def test_codes_can_not_be_guessed_through(office: Office) -> None:
    await office.member(Role.VIEWER, ANN)
    await codes_of(office)
    for _ in range(FREE[What.ACCOUNT] + 1):
        with pytest.raises(SignInFailed):
            await office.sign_in(ANN, code="000000")
        with pytest.raises((SecondFactorNeeded, RateLimited)):  # the password alone takes no failure back
            await office.sign_in(ANN)
    with pytest.raises(RateLimited):
        await office.sign_in(ANN, code="000000")


async def test_nothing_changes_until_a_second_factor_is_confirmed(office: Office) -> None:
    ann = await office.member(Role.VIEWER, ANN)
    with pytest.raises(Conflict):
        await office.account.confirm_second_factor(office.tenant_id, ann.id, "000000", HOME)
    await office.account.propose_second_factor(office.tenant_id, ann.id, "Acme", PASSWORD)
    with pytest.raises(Invalid):
        await office.account.confirm_second_factor(office.tenant_id, ann.id, "abcdef", HOME)
    await office.sign_in(ANN)


async def test_setting_up_a_second_factor_takes_the_password_and_wrong_ones_count(office: Office) -> None:
    ann = await office.member(Role.VIEWER, ANN)
    for _ in range(FREE[What.ACCOUNT] + 1):
        with pytest.raises(PasswordWrong):
            await office.account.propose_second_factor(office.tenant_id, ann.id, "Acme", "a wrong password")
    with pytest.raises(RateLimited):
        await office.account.propose_second_factor(office.tenant_id, ann.id, "Acme", PASSWORD)
    with pytest.raises(RateLimited):
        await office.sign_in(ANN)
    _, secrets = await office.account.of(office.tenant_id, ann.id)
    assert secrets.totp_secret is None


async def test_an_account_without_a_password_has_no_second_factor_of_ours(office: Office) -> None:
    invited = await office.staffing.invite(office.tenant_id, "Acme", COMMAND, ANN, "Ann", Role.VIEWER)
    async with office.db.scope(office.tenant_id) as scope:
        await staff_store.activate_by_openid(scope, invited.staff.id, "subject")
    with pytest.raises(Conflict, match="provider"):
        await office.account.propose_second_factor(office.tenant_id, invited.staff.id, "Acme", "any password")


async def meanwhile(office: Office, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], Awaitable[object]]) -> None:
    """Lets something happen between the look at the password and the opening of the sign-in."""
    real = office.passwords.is_right

    async def is_right(tenant_id: UUID, password_hash: str | None, password: str) -> bool:
        found = await real(tenant_id, password_hash, password)
        monkeypatch.setattr(office.passwords, "is_right", real)
        await happens()
        return found

    monkeypatch.setattr(office.passwords, "is_right", is_right)


async def test_a_sign_in_under_way_does_not_outlive_a_reset(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    await office.member(Role.VIEWER, ANN)
    link = await office.staffing.reset_link(office.tenant_id, COMMAND, ANN)
    await meanwhile(office, monkeypatch, lambda: office.welcome.reset(token_of(link), "another good password", HOME))
    # Also the renewed hash of the old password must not come back.
    monkeypatch.setattr("frontdesk.identity.passwords.is_outdated", lambda _hash: True)
    with pytest.raises(SignInFailed):
        await office.sign_in(ANN)
    with pytest.raises(SignInFailed):
        await office.sign_in(ANN)
    await office.sign_in(ANN, "another good password")


async def test_a_sign_in_under_way_does_not_go_round_a_new_second_factor(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.member(Role.VIEWER, ANN)
    await meanwhile(office, monkeypatch, lambda: codes_of(office))
    with pytest.raises(SignInFailed):
        await office.sign_in(ANN)


async def test_removing_a_second_factor_takes_the_password(office: Office) -> None:
    ann = await office.member(Role.VIEWER, ANN)
    await codes_of(office)
    with pytest.raises(PasswordWrong):
        await office.account.remove_second_factor(office.tenant_id, ann.id, "a wrong password", HOME)
    await office.account.remove_second_factor(office.tenant_id, ann.id, PASSWORD, HOME)
    await office.sign_in(ANN)


async def test_the_secret_is_sealed_and_codes_are_hashed(office: Office) -> None:
    ann = await office.member(Role.VIEWER, ANN)
    secret, codes = await codes_of(office)
    async with office.db.scope(office.tenant_id) as scope:
        row = await scope.fetchrow("SELECT * FROM staff WHERE id = $1", ann.id)
    stored = repr(tuple(row))
    assert repr(secret)[2:-1] not in stored
    assert not any(text in stored for text in (PASSWORD, *codes))


async def test_with_passwords_off_owners_alone_get_in_by_one(office: Office) -> None:
    owner = await office.owner()
    await office.member(Role.ADMIN, ANN)
    office.settings = SignInSettings(password=False)
    await failure(office, ANN, PASSWORD)
    await office.sign_in(owner.email)


async def test_with_passwords_off_an_invitations_link_lets_nobody_in(office: Office) -> None:
    office.settings = SignInSettings(password=False)
    await office.owner()
    invited = await office.staffing.invite(office.tenant_id, "Acme", COMMAND, ANN, "Ann", Role.ADMIN)
    assert invited.link is not None
    for _ in range(2):  # and is not used up
        with pytest.raises(Conflict, match="organisation's account"):
            await office.welcome.accept(token_of(invited.link), office.settings, None, "Ann", PASSWORD, HOME)
    assert [entry.action for entry in await office.audited()].count("staff.accepted") == 1  # the owner's


async def test_the_same_address_in_another_tenant_is_another_account(office: Office) -> None:
    await office.member(Role.VIEWER, ANN)
    other = Office(office.db, await make_tenant(office.db, "other"))
    with pytest.raises(SignInFailed):
        await other.sign_in(ANN)
    there = await other.member(Role.OWNER, ANN)
    assert (await other.sign_in(ANN)).staff.id == there.id
