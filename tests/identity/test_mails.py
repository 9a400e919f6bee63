"""Links by mail: to whom there is one for, the same for everybody who asks, and with the mail server down."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from mailbox import Mailbox
from uuid import UUID

import pytest
from office import COMMAND, HOME, PASSWORD, Office, token_of
from tests.conftest import eventually

from frontdesk.audit import Actor
from frontdesk.core.errors import Invalid, NotFound, RateLimited, Unavailable
from frontdesk.db import Database
from frontdesk.identity import mail
from frontdesk.identity.failures import FREE, What
from frontdesk.identity.mail import Letter, Mail, SmtpServer
from frontdesk.identity.permissions import Role
from frontdesk.identity.staff import folded
from frontdesk.identity.staffing import By

ANN = "ann@example.org"


@asynccontextmanager
async def sending(office: Office) -> AsyncIterator[None]:
    task = asyncio.create_task(office.mail.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_an_invitation_comes_by_mail_and_its_link_works(database: Database, tenant_id: UUID) -> None:
    async with Mailbox().open() as mailbox:
        office = Office(database, tenant_id, mailbox.server)
        async with sending(office):
            invited = await office.staffing.invite(tenant_id, "Acme", COMMAND, ANN, "Ann", Role.VIEWER)
            assert invited.link is None  # nobody but the invited reads it
            await eventually(mailbox.arrived)
    [letter] = mailbox.mails
    assert (letter["To"], letter["From"], letter["Subject"]) == (ANN, "desk@example.org", "Invitation to Acme")
    found = re.search(r"/welcome#token=(\S+)", letter.get_content())
    assert found
    await office.welcome.accept(found[1], office.settings, None, "Ann", PASSWORD, HOME)


async def test_nobody_is_sent_one_invitation_after_the_other(database: Database, tenant_id: UUID) -> None:
    async with Mailbox().open() as mailbox:
        office = Office(database, tenant_id, mailbox.server)
        owner = By(None, Actor("staff", "owner"))
        invited = await office.staffing.invite(tenant_id, "Acme", owner, ANN, "Ann", Role.VIEWER)
        for _ in range(FREE[What.INVITED]):
            await office.staffing.invite_again(tenant_id, "Acme", owner, invited.staff.id)
        # Also not by removing and inviting him anew.
        await office.staffing.remove(tenant_id, owner, invited.staff.id, None)
        with pytest.raises(RateLimited):
            await office.staffing.invite(tenant_id, "Acme", owner, ANN, "Ann", Role.VIEWER)
        with pytest.raises(NotFound):
            await office.staffing.named(tenant_id, ANN)
        await office.staffing.invite(tenant_id, "Acme", owner, "ben@example.org", "Ben", Role.VIEWER)


async def test_who_forgot_his_password_gets_a_link_and_nobody_else_does(database: Database, tenant_id: UUID) -> None:
    async with Mailbox().open() as mailbox:
        office = Office(database, tenant_id)
        await office.member(Role.VIEWER, ANN)
        office.mail._server = mailbox.server
        async with sending(office):
            await office.staffing.forgot(tenant_id, "Acme", "nobody@example.org", HOME.address)
            await office.staffing.forgot(tenant_id, "Acme", ANN.upper(), HOME.address)
            await eventually(mailbox.arrived)
    [letter] = mailbox.mails
    found = re.search(r"/reset#token=(\S+)", letter.get_content())
    assert letter["To"] == ANN and found
    await office.welcome.reset(found[1], "another good password", HOME)
    await office.sign_in(ANN, "another good password")


async def test_asking_is_limited_alike_for_everybody(office: Office) -> None:
    await office.member(Role.VIEWER, ANN)
    told = []
    for email in (ANN, "nobody@example.org"):
        for _ in range(3):
            await office.staffing.forgot(office.tenant_id, "Acme", email, HOME.address)
        with pytest.raises(RateLimited) as caught:
            await office.staffing.forgot(office.tenant_id, "Acme", email, HOME.address)
        told.append((caught.value.detail, caught.value.retry_after))
    assert told[0] == told[1]


async def test_where_no_mail_is_sent_asking_ends_no_link(office: Office) -> None:
    await office.member(Role.VIEWER, ANN)
    link = await office.staffing.reset_link(office.tenant_id, COMMAND, ANN)
    await office.staffing.forgot(office.tenant_id, "Acme", ANN, HOME.address)
    async with sending(office):
        await asyncio.sleep(0.2)  # many times as long as a letter takes to be written
    await office.welcome.reset(token_of(link), "another good password", HOME)


@pytest.mark.parametrize("wrong", ["ann:b@example.org", "ann@[::1]", "a\\b@example.org", "ann\x00@example.org"])
def test_addresses_that_mean_more_than_a_person_are_refused(wrong: str) -> None:
    with pytest.raises(Invalid):
        folded(wrong)


async def test_a_letter_that_can_not_be_written_holds_none_up(database: Database, tenant_id: UUID) -> None:
    async with Mailbox().open() as mailbox:
        office = Office(database, tenant_id, mailbox.server)
        async with sending(office):

            async def wrong() -> Letter:
                return Letter("ann\n@example.org", "Hello", "…")

            async def split() -> Letter:
                return Letter(ANN, "Your\r\npassword", "Hello")

            office.mail.post(wrong)
            office.mail.post(split)
            await eventually(mailbox.arrived)
    assert [letter["Subject"] for letter in mailbox.mails] == ["Your password"]


async def test_a_mail_server_that_comes_back_gets_the_mail(database: Database, tenant_id: UUID) -> None:
    async with Mailbox().open() as mailbox:
        mailbox.refusals = 2
        office = Office(database, tenant_id, mailbox.server)
        async with sending(office):
            await office.staffing.invite(tenant_id, "Acme", COMMAND, ANN, "Ann", Role.VIEWER)
            await eventually(mailbox.arrived)
    assert (len(mailbox.mails), mailbox.attempts) == (1, 3)


async def test_a_mail_server_that_is_down_holds_nobody_up_and_is_counted(database: Database, tenant_id: UUID) -> None:
    async with Mailbox().open() as mailbox:
        gone = mailbox.server
    office = Office(database, tenant_id, gone)
    await office.staffing.invite(tenant_id, "Acme", COMMAND, ANN, "Ann", Role.VIEWER)  # answered at once
    counted = asyncio.Event()
    failed = office.metrics.mails.labels("failed")
    async with sending(office):

        async def watch() -> None:
            while not failed._value.get():
                await asyncio.sleep(0.01)
            counted.set()

        watching = asyncio.create_task(watch())
        await eventually(counted)
        await watching


async def test_more_than_can_be_sent_is_refused(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "WAITING", 1)
    full = Mail(SmtpServer("127.0.0.1", 1, "none", "desk@example.org", None, None), office.metrics)

    async def nobody() -> None:
        return None

    full.post(nobody)
    with pytest.raises(Unavailable):
        full.post(nobody)
