"""What single-use links lead to: a first owner, an accepted invitation, a new password."""

from uuid import UUID

import msgspec

from frontdesk import audit
from frontdesk.audit import Actor
from frontdesk.core.clock import Clock
from frontdesk.core.errors import Conflict
from frontdesk.core.ids import new_id
from frontdesk.db import Database, TenantScope
from frontdesk.identity import failures, links, opaque, passwords, staff_store
from frontdesk.identity.failures import What
from frontdesk.identity.links import Link, LinkInvalid, Purpose
from frontdesk.identity.opaque import Opaque
from frontdesk.identity.passwords import Passwords
from frontdesk.identity.permissions import Role
from frontdesk.identity.sessions import Opened, Sessions
from frontdesk.identity.staff import Device, SignInSettings, Staff, State, folded

_DAY_S = 86_400


class Shown(msgspec.Struct, frozen=True):
    """What a link is for, as its page shows it."""

    tenant_id: UUID
    purpose: Purpose
    email: str | None
    name: str | None


class Welcome:
    def __init__(self, db: Database, clock: Clock, passwords: Passwords, sessions: Sessions) -> None:
        self._db = db
        self._clock = clock
        self._passwords = passwords
        self._sessions = sessions

    def tenant_of(self, token: str) -> UUID:
        """Which tenant a token says that it is of. Raises LinkInvalid."""
        return _parsed(token).tenant_id

    async def show(self, token: str) -> Shown:
        """Uses nothing up. Raises LinkInvalid."""
        known = _parsed(token)
        async with self._db.scope(known.tenant_id) as scope:
            link = await links.found(scope, known, self._clock.now())
            staff = await staff_store.staff_by_id(scope, link.staff_id) if link.staff_id is not None else None
        return Shown(known.tenant_id, link.purpose, staff.email if staff else None, staff.name if staff else None)

    async def accept(
        self, token: str, settings: SignInSettings, email: str | None, name: str, password: str, device: Device
    ) -> Opened:
        """The first owner (who names his e-mail address) or an invited person; signed in at once.
        Raises LinkInvalid, Invalid, Conflict."""
        known = _parsed(token)
        passwords.checked(password)
        await self._refuse_unknown(known, Purpose.OWNER, Purpose.INVITATION)
        password_hash = await self._passwords.hashed(known.tenant_id, password)
        now = self._clock.now()
        async with self._db.scope(known.tenant_id) as scope:
            await staff_store.take_turns(scope)
            link = await links.use(scope, known, now)
            staff = await self._begun(scope, link, email, name, password_hash)
            if not settings.takes_password(staff.role):  # the link stays good, should passwords come back
                raise Conflict("Here people sign in with their organisation's account: do that, and you are in.")
            await staff_store.signed_in(scope, staff.id, now)
            session_id, refresh = await self._sessions.open(scope, staff, device, settings.session_days)
            actor = Actor("staff", str(staff.id), device.address)
            after = {"email": staff.email, "role": staff.role, "session": str(session_id)}
            await audit.append(scope, actor, "staff.accepted", f"staff/{staff.id}", after=after)
        return await self._sessions.opened(staff, session_id, refresh, settings.session_days * _DAY_S)

    async def reset(self, token: str, password: str, device: Device) -> None:
        """A new password; every sign-in ends. A second factor stays. Raises LinkInvalid, Invalid."""
        known = _parsed(token)
        passwords.checked(password)
        await self._refuse_unknown(known, Purpose.RESET)
        password_hash = await self._passwords.hashed(known.tenant_id, password)
        async with self._db.scope(known.tenant_id) as scope:
            link = await links.use(scope, known, self._clock.now())
            staff = await staff_store.staff_by_id(scope, link.staff_id) if link.staff_id is not None else None
            if staff is None or staff.state is not State.ACTIVE:
                raise LinkInvalid
            await staff_store.put_password(scope, staff.id, password_hash)
            await failures.forget(scope, What.ACCOUNT, staff.email)
            ended = await self._sessions.end_all(scope, staff.id)
            actor = Actor("staff", str(staff.id), device.address)
            await audit.append(scope, actor, "staff.password_reset", f"staff/{staff.id}", after={"ended": ended})

    async def _begun(self, scope: TenantScope, link: Link, email: str | None, name: str, password_hash: str) -> Staff:
        if link.staff_id is not None:
            staff = await staff_store.activate(scope, link.staff_id, name, password_hash)
            if staff is None:
                raise LinkInvalid
            return staff
        if await staff_store.has_owner(scope):
            raise Conflict("This tenant has an owner already.")
        staff_id = new_id()
        added = await staff_store.add_staff(
            scope, staff_id, folded(email or ""), name, Role.OWNER, State.ACTIVE, is_operator=link.is_operator
        )
        if added is None:
            raise Conflict("Somebody with this e-mail address is there already.")
        await staff_store.put_password(scope, staff_id, password_hash)
        return added

    async def _refuse_unknown(self, token: Opaque, *purposes: Purpose) -> None:
        """Before the work of hashing, which nobody gets for a made-up link."""
        async with self._db.scope(token.tenant_id) as scope:
            if (await links.found(scope, token, self._clock.now())).purpose not in purposes:
                raise LinkInvalid


def _parsed(token: str) -> Opaque:
    known = opaque.parsed(token)
    if known is None:
        raise LinkInvalid
    return known
