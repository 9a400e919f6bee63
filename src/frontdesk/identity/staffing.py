"""Who belongs to a tenant's staff: inviting, changing and removing people, and the links that they are sent."""

from collections.abc import Callable
from uuid import UUID, uuid5

import msgspec

from frontdesk import audit
from frontdesk.audit import Actor
from frontdesk.core.clock import Clock
from frontdesk.core.errors import Conflict, Forbidden, FrontdeskError, IdempotencyConflict, NotFound
from frontdesk.core.ids import new_id
from frontdesk.db import Database, TenantScope
from frontdesk.identity import failures, links, session_store, staff_store
from frontdesk.identity.failures import What
from frontdesk.identity.links import Purpose
from frontdesk.identity.mail import Letter, Mail
from frontdesk.identity.models import Kind, Principal
from frontdesk.identity.permissions import ROLES, Permission, Role
from frontdesk.identity.staff import Staff, State, folded

Ended = Callable[[UUID], None]


class ChangedMeanwhile(FrontdeskError):
    """If-Match names a version that is no longer the one there."""

    status, error_code = 412, "CHANGED_MEANWHILE"


class LastOwner(Conflict):
    """A tenant without an active owner could not be managed any more."""

    error_code = "LAST_OWNER"


class By(msgspec.Struct, frozen=True):
    """Who changes something. `principal` is None for a command on the server's own machine."""

    principal: Principal | None
    actor: Actor


class Changes(msgspec.Struct, frozen=True):
    """What is to be another; None stays."""

    name: str | None = None
    role: Role | None = None
    state: State | None = None
    is_operator: bool | None = None


class Invited(msgspec.Struct, frozen=True):
    """`link` where no mail is sent: it is shown once, to who invited."""

    staff: Staff
    link: str | None


class Staffing:
    def __init__(self, db: Database, clock: Clock, mail: Mail, base: str, ended: Ended) -> None:
        """`base`: how links begin. `ended` hears of sign-ins that are over."""
        self._db = db
        self._clock = clock
        self._mail = mail
        self._base = base
        self._ended = ended

    async def listed(self, tenant_id: UUID, after: str, state: State | None, limit: int) -> list[Staff]:
        async with self._db.scope(tenant_id) as scope:
            return await staff_store.staff_listed(scope, after, state, limit)

    async def one(self, tenant_id: UUID, staff_id: UUID) -> Staff:
        """Raises NotFound."""
        async with self._db.scope(tenant_id) as scope:
            return await _existing(scope, staff_id)

    async def named(self, tenant_id: UUID, email: str) -> Staff:
        """Raises NotFound."""
        async with self._db.scope(tenant_id) as scope:
            found = await staff_store.staff_by_email(scope, folded(email))
        if found is None:
            raise NotFound(f"There is nobody with the address {email}.")
        return found[0]

    async def invite(
        self, tenant_id: UUID, tenant_name: str, by: By, email: str, name: str, role: Role, once: str | None = None
    ) -> Invited:
        """`once`: an idempotency key of the caller's. The second time the same person gets another link in place of the
        first, or none who has accepted.

        Raises Invalid, Forbidden, RateLimited, IdempotencyConflict, Conflict when the address is somebody's already.
        """
        email = folded(email)
        staff_id = new_id() if once is None else uuid5(tenant_id, f"{by.actor.kind} {by.actor.id} {once}")
        async with self._db.scope(tenant_id) as scope:
            await staff_store.take_turns(scope)
            await _authorised(scope, by, None, role)
            staff = await staff_store.add_staff(scope, staff_id, email, name, role, State.INVITED)
            if staff is None:
                staff = await _invited_before(scope, staff_id, email, role)
                if staff.is_operator:
                    _refuse_operators_by_others(by)
                if staff.state is not State.INVITED:
                    return Invited(staff, None)
            await self._count_invitation(scope, staff)
            token = await links.make(scope, Purpose.INVITATION, staff.id, self._clock.now())
            await audit.append(scope, by.actor, "staff.invited", f"staff/{staff.id}", after=_recorded(staff))
        return Invited(staff, self._send_invitation(staff, tenant_name, token))

    async def invite_again(self, tenant_id: UUID, tenant_name: str, by: By, staff_id: UUID) -> Invited:
        """A new link; the one before is good no more. Raises NotFound, Forbidden, Conflict, RateLimited."""
        async with self._db.scope(tenant_id) as scope:
            await staff_store.take_turns(scope)
            staff = await _existing(scope, staff_id)
            await _authorised(scope, by, staff.role, staff.role)
            if staff.is_operator:
                _refuse_operators_by_others(by)
            if staff.state is not State.INVITED:
                raise Conflict("This person has accepted an invitation already, or is disabled.")
            await self._count_invitation(scope, staff)
            token = await links.make(scope, Purpose.INVITATION, staff.id, self._clock.now())
            await audit.append(scope, by.actor, "staff.invited", f"staff/{staff.id}", after=_recorded(staff))
        return Invited(staff, self._send_invitation(staff, tenant_name, token))

    async def change(self, tenant_id: UUID, by: By, staff_id: UUID, version: int | None, changes: Changes) -> Staff:
        """`version`: the one that the change is meant for; None for whichever.

        Raises NotFound, Forbidden, LastOwner, ChangedMeanwhile.
        """
        async with self._db.scope(tenant_id) as scope:
            await staff_store.take_turns(scope)
            before = await _existing(scope, staff_id)
            role, state = changes.role or before.role, changes.state or before.state
            await _authorised(scope, by, before.role, role)
            if before.is_operator or changes.is_operator:
                _refuse_operators_by_others(by)
            if before.role is Role.OWNER and (role is not Role.OWNER or state is not State.ACTIVE):
                await _refuse_last_owner(scope, before)
            if version is not None and version != before.version:
                raise ChangedMeanwhile("Somebody else has changed this person meanwhile.")
            after = await staff_store.change_staff(
                scope, staff_id, before.version, before.name if changes.name is None else changes.name, role, state,
                is_operator=before.is_operator if changes.is_operator is None else changes.is_operator,
            )  # fmt: skip
            if after is None:
                raise ChangedMeanwhile("Somebody else has changed this person meanwhile.")
            if after.state is not State.ACTIVE:
                await self._end_sessions(scope, staff_id)
            # What a link leads to is what it was made for.
            if after.state is State.DISABLED or (after.role, after.is_operator) != (before.role, before.is_operator):
                await links.withdraw(scope, staff_id)
            await audit.append(
                scope, by.actor, "staff.changed", f"staff/{staff_id}", _recorded(before), _recorded(after)
            )
        return after

    async def remove(self, tenant_id: UUID, by: By, staff_id: UUID, version: int | None) -> None:
        """With sign-ins and links; who is not there is gone already. Raises Forbidden, LastOwner, ChangedMeanwhile."""
        async with self._db.scope(tenant_id) as scope:
            await staff_store.take_turns(scope)
            staff = await staff_store.staff_by_id(scope, staff_id)
            if staff is None:
                return
            await _authorised(scope, by, staff.role, staff.role)
            if staff.is_operator:
                _refuse_operators_by_others(by)
            if staff.role is Role.OWNER:
                await _refuse_last_owner(scope, staff)
            await self._end_sessions(scope, staff_id)
            if version not in (None, staff.version) or not await staff_store.remove_staff(
                scope, staff_id, staff.version
            ):
                raise ChangedMeanwhile("Somebody else has changed this person meanwhile.")
            await audit.append(scope, by.actor, "staff.removed", f"staff/{staff_id}", before=_recorded(staff))

    async def end_sessions(self, tenant_id: UUID, by: By, staff_id: UUID) -> None:
        """Signs a person out everywhere. Raises NotFound, Forbidden."""
        async with self._db.scope(tenant_id) as scope:
            staff = await _existing(scope, staff_id)
            await _authorised(scope, by, staff.role, staff.role)
            if staff.is_operator:
                _refuse_operators_by_others(by)
            ended = await self._end_sessions(scope, staff_id)
            await audit.append(scope, by.actor, "session.ended", f"staff/{staff_id}", after={"sessions": ended})

    async def has_operator(self) -> bool:
        """Whether anybody manages the deployment, in whichever tenant."""
        return await staff_store.has_operator(self._db)

    async def owner_link(self, tenant_id: UUID, by: By, *, is_operator: bool = False) -> str | None:
        """Where the tenant's first owner begins; None when there is an owner. A link made before is good no more.

        `is_operator`: he manages the deployment too.
        """
        async with self._db.scope(tenant_id) as scope:
            await staff_store.take_turns(scope)
            if await staff_store.has_owner(scope):
                return None
            token = await links.make(scope, Purpose.OWNER, None, self._clock.now(), is_operator=is_operator)
            await audit.append(scope, by.actor, "link.made", "link/owner", after={"is_operator": is_operator})
        return links.address(self._base, Purpose.OWNER, token)

    async def reset_link(self, tenant_id: UUID, by: By, email: str) -> str:
        """For somebody who can't sign in: to choose a password, or to accept the invitation. Lifts his lock.

        Raises NotFound, Conflict when he is disabled.
        """
        staff = await self.named(tenant_id, email)
        async with self._db.scope(tenant_id) as scope:
            if staff.state is State.DISABLED:
                raise Conflict(f"{staff.email} is disabled.")
            purpose = Purpose.RESET if staff.state is State.ACTIVE else Purpose.INVITATION
            token = await links.make(scope, purpose, staff.id, self._clock.now())
            await failures.forget(scope, What.ACCOUNT, staff.email)
            await audit.append(scope, by.actor, "link.made", f"staff/{staff.id}", after={"purpose": purpose})
        return links.address(self._base, purpose, token)

    async def forgot(self, tenant_id: UUID, tenant_name: str, email: str, address: str) -> None:
        """Sends a link to whom there is one for; does and says the same for everybody. Raises RateLimited."""
        email = folded(email)
        now = self._clock.now()
        async with self._db.scope(tenant_id) as scope:
            await failures.attempt(scope, What.MAIL_ACCOUNT, email, now)
            await failures.attempt(scope, What.MAIL_ADDRESS, address, now)
        if not self._mail.is_configured:
            return  # a link that nobody is sent would only end the one that an operator has made

        async def write() -> Letter | None:
            async with self._db.scope(tenant_id) as scope:
                found = await staff_store.staff_by_email(scope, email)
                if found is None or found[0].state is not State.ACTIVE:
                    return None
                token = await links.make(scope, Purpose.RESET, found[0].id, self._clock.now())
                actor = Actor("anonymous", "", address)
                await audit.append(scope, actor, "link.made", f"staff/{found[0].id}", after={"purpose": "reset"})
            return _reset_letter(found[0], tenant_name, links.address(self._base, Purpose.RESET, token))

        self._mail.post(write)

    async def _end_sessions(self, scope: TenantScope, staff_id: UUID) -> int:
        ended = await session_store.end_sessions(scope, staff_id)
        for session_id in ended:
            self._ended(session_id)
        return len(ended)

    async def _count_invitation(self, scope: TenantScope, staff: Staff) -> None:
        """Nobody's mailbox is filled by whoever may invite. Raises RateLimited."""
        if self._mail.is_configured:
            await failures.attempt(scope, What.INVITED, staff.email, self._clock.now())

    def _send_invitation(self, staff: Staff, tenant_name: str, token: str) -> str | None:
        link = links.address(self._base, Purpose.INVITATION, token)
        if not self._mail.is_configured:
            return link

        async def write() -> Letter:
            return _invitation_letter(staff, tenant_name, link)

        self._mail.post(write)
        return None


async def _existing(scope: TenantScope, staff_id: UUID) -> Staff:
    staff = await staff_store.staff_by_id(scope, staff_id)
    if staff is None:
        raise NotFound("There is nobody with this id.")
    return staff


async def _invited_before(scope: TenantScope, staff_id: UUID, email: str, role: Role) -> Staff:
    """Raises Conflict, IdempotencyConflict."""
    staff = await staff_store.staff_by_id(scope, staff_id)
    if staff is None:
        raise Conflict("Somebody with this e-mail address is there already.")
    if (staff.email, staff.role) != (email, role):
        raise IdempotencyConflict("Somebody else was invited with this key, or as something else. Use a new key.")
    return staff


async def _authorised(scope: TenantScope, by: By, before: Role | None, after: Role) -> None:
    """Owners are made and touched by owners alone. Raises Forbidden.

    Whether the caller is still who he was when he knocked is looked at again: meanwhile another may have removed him.
    """
    principal = by.principal
    if principal is None or principal.kind is Kind.DEVELOPER:
        return
    role = Role.ADMIN  # what anybody else who may change staff is worth
    if principal.kind is Kind.STAFF:
        caller = await staff_store.staff_by_id(scope, UUID(principal.id))
        if caller is None or caller.state is not State.ACTIVE or Permission.STAFF_WRITE not in caller.permissions:
            raise Forbidden("This account may not change staff any more.")
        role = caller.role
    else:
        for each in (after, before):
            if each is not None and not ROLES[each] - {Permission.ACCOUNT} <= principal.permissions:
                raise Forbidden(f"This credential may less than the role {each}, and so can't give it or take it away.")
    if Role.OWNER in (before, after) and role is not Role.OWNER:
        raise Forbidden("Only owners may make owners or change them.")


def _refuse_operators_by_others(by: By) -> None:
    if by.principal is not None and Permission.TENANTS_MANAGE not in by.principal.permissions:
        raise Forbidden("Only operators may make operators or change them.")


async def _refuse_last_owner(scope: TenantScope, staff: Staff) -> None:
    if staff.state is State.ACTIVE and not await staff_store.other_owners(scope, staff.id):
        raise LastOwner("This is the tenant's last owner. Make somebody else owner first.")


def _recorded(staff: Staff) -> dict[str, object]:
    return {
        "email": staff.email, "name": staff.name, "role": staff.role, "state": staff.state,
        "is_operator": staff.is_operator,
    }  # fmt: skip


def _invitation_letter(staff: Staff, tenant_name: str, link: str) -> Letter:
    text = (
        f"You were invited to the staff of {tenant_name}.\n\nChoose a password here, within seven days:\n\n{link}\n\n"
        "If you did not expect this, do nothing.\n"
    )
    return Letter(staff.email, f"Invitation to {tenant_name}", text)


def _reset_letter(staff: Staff, tenant_name: str, link: str) -> Letter:
    text = (
        f"Somebody, probably you, wants a new password for your account with {tenant_name}.\n\n"
        f"Choose one here, within an hour:\n\n{link}\n\nIf it was not you, do nothing: your password stays.\n"
    )
    return Letter(staff.email, f"Your password for {tenant_name}", text)
