"""Passwords and the second factor: their rules, their strength, and that nothing is told by the work done."""

import asyncio
import statistics
from time import process_time

import pytest
from argon2 import extract_parameters
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import Invalid, Unavailable
from frontdesk.core.ids import new_id
from frontdesk.identity import passwords, totp
from frontdesk.identity.passwords import NOBODYS, Passwords

TENANT = new_id()

# RFC 6238, appendix B, for SHA-1; its codes have eight digits, ours are the last six of them.
RFC_SECRET = b"12345678901234567890"
RFC_CODES = {59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037"}


@pytest.mark.parametrize("password", ["x" * 11, "", "x" * 129, "ﬃ" * 3])
def test_passwords_outside_the_lengths_are_refused(password: str) -> None:
    with pytest.raises(Invalid, match="must have 12 to 128 characters"):
        passwords.checked(password)


@pytest.mark.parametrize("password", ["x" * 12, "x" * 128, "пароль пароль", "12 characters"])
def test_nothing_but_the_length_is_asked_of_a_password(password: str) -> None:
    assert passwords.checked(password) == password


async def test_a_password_is_the_same_whatever_keyboard_wrote_it() -> None:
    hashed = await Passwords().hashed(TENANT, "Zürich Zürich 12")
    assert await Passwords().is_right(TENANT, hashed, "Zu\u0308rich Zu\u0308rich 12")
    assert not await Passwords().is_right(TENANT, hashed, "Zurich Zurich 12")


async def test_nobodys_hash_asks_for_the_same_work_as_anybodys() -> None:
    assert extract_parameters(NOBODYS) == extract_parameters(await Passwords().hashed(TENANT, "some password"))
    assert not passwords.is_outdated(NOBODYS)
    known, hashed = Passwords(), await Passwords().hashed(TENANT, "some password")

    async def cpu(password_hash: str | None) -> float:
        begun = process_time()
        assert not await known.is_right(TENANT, password_hash, "another password")
        return process_time() - begun

    pairs = [(await cpu(None), await cpu(hashed)) for _ in range(9)]
    ratio = statistics.median(nobody for nobody, _ in pairs) / statistics.median(somebody for _, somebody in pairs)
    assert 0.5 < ratio < 2


async def test_who_knocks_in_crowds_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "WAITING", 5)
    known = Passwords()
    crowd = await asyncio.gather(*(known.is_right(TENANT, None, "x" * 12) for _ in range(9)), return_exceptions=True)
    assert [type(outcome) for outcome in crowd].count(Unavailable) == 4
    assert await known.is_right(TENANT, None, "x" * 12) is False  # afterwards it works again


async def test_the_crowd_of_one_tenant_leaves_places_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "WAITING_OF_A_TENANT", 3)
    known = Passwords()
    crowd = [known.is_right(TENANT, None, "x" * 12) for _ in range(9)]
    others = [known.is_right(new_id(), None, "x" * 12) for _ in range(3)]
    outcomes = await asyncio.gather(*crowd, *others, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [bool] * 3 + [Unavailable] * 6 + [bool] * 3


@given(st.text(max_size=300))
def test_no_text_breaks_the_check_of_a_code(text: str) -> None:
    assert totp.step_of(RFC_SECRET, text, 59, after=10**6) is None


@pytest.mark.parametrize(("second", "code"), RFC_CODES.items())
def test_codes_are_those_of_the_standard(second: int, code: str) -> None:
    assert totp.code_at(RFC_SECRET, second // 30) == code
    assert totp.step_of(RFC_SECRET, f"{code[:3]} {code[3:]}", second, after=0) == second // 30


def test_a_code_holds_a_step_either_way_and_no_longer() -> None:
    code = totp.code_at(RFC_SECRET, 100)
    seen = [totp.step_of(RFC_SECRET, code, 30 * step + 5, after=0) is not None for step in range(97, 104)]
    assert seen == [False, False, True, True, True, False, False]


def test_a_used_step_and_those_before_it_are_used_up() -> None:
    code = totp.code_at(RFC_SECRET, 100)
    assert totp.step_of(RFC_SECRET, code, 3000, after=99) == 100
    assert totp.step_of(RFC_SECRET, code, 3000, after=100) is None


def test_the_address_for_the_app_is_readable_by_it() -> None:
    address = totp.address(RFC_SECRET, "St. Mary's & Co", "ann@example.org")
    assert address == (
        "otpauth://totp/St.%20Mary%27s%20%26%20Co%3Aann%40example.org"
        "?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=St.%20Mary%27s%20%26%20Co"
    )


def test_recovery_codes_differ_and_may_be_typed_carelessly() -> None:
    codes = totp.new_recovery_codes()
    assert len(set(codes)) == totp.RECOVERY_CODES
    assert totp.recovery_hash(codes[0].upper().replace("-", " ")) == totp.recovery_hash(codes[0])
