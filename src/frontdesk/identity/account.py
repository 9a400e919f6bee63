"""One's own account: the password and the second factor."""

from uuid import UUID

import msgspec

from frontdesk import audit
from frontdesk.audit import Actor
from frontdesk.core.clock import Clock
from frontdesk.core.errors import Conflict, FieldError, Forbidden, Invalid, NotFound
from frontdesk.db import Database
from frontdesk.db.cipher import Cipher
from frontdesk.identity import failures, passwords, staff_store, totp
from frontdesk.identity.failures import What
from frontdesk.identity.passwords import Passwords
from frontdesk.identity.sessions import Sessions
from frontdesk.identity.staff import Device, Staff
from frontdesk.identity.staff_store import Secrets


class PasswordWrong(Forbidden):
    """The password that the change must be confirmed with."""

    error_code = "PASSWORD_WRONG"


class Proposed(msgspec.Struct, frozen=True):
    """A second factor that is not asked for yet. `address` is what the QR code says."""

    secret: str
    address: str


class Account:
    def __init__(self, db: Database, clock: Clock, cipher: Cipher, passwords: Passwords, sessions: Sessions) -> None:
        self._db = db
        self._clock = clock
        self._cipher = cipher
        self._passwords = passwords
        self._sessions = sessions

    async def of(self, tenant_id: UUID, staff_id: UUID) -> tuple[Staff, Secrets]:
        """Raises NotFound."""
        async with self._db.scope(tenant_id) as scope:
            found = await staff_store.staff_with_secrets(scope, staff_id)
        if found is None:
            raise NotFound("There is no such account any more.")
        return found

    async def change_password(
        self, tenant_id: UUID, staff_id: UUID, session_id: UUID | None, current: str, new: str, device: Device
    ) -> None:
        """Ends the person's other sign-ins. Raises PasswordWrong, Invalid, RateLimited."""
        passwords.checked(new, "new")
        await self._confirm(tenant_id, *await self.of(tenant_id, staff_id), current)
        password_hash = await self._passwords.hashed(tenant_id, new)
        async with self._db.scope(tenant_id) as scope:
            await staff_store.put_password(scope, staff_id, password_hash)
            ended = await self._sessions.end_all(scope, staff_id, session_id)
            actor = Actor("staff", str(staff_id), device.address)
            await audit.append(scope, actor, "staff.password_changed", f"staff/{staff_id}", after={"ended": ended})

    async def propose_second_factor(self, tenant_id: UUID, staff_id: UUID, issuer: str, password: str) -> Proposed:
        """Raises PasswordWrong, RateLimited; Conflict when there is one already, or no password that it would stand
        beside: who comes by a provider is asked for that provider's."""
        staff, secrets = await self.of(tenant_id, staff_id)
        if secrets.password_hash is None:
            raise Conflict("This account has no password: the second factor of your provider counts.")
        await self._confirm(tenant_id, staff, secrets, password)
        secret = totp.new_secret()
        async with self._db.scope(tenant_id) as scope:
            if not await staff_store.propose_totp(scope, staff_id, self._cipher.seal(tenant_id, secret)):
                raise Conflict("There is a second factor already. Remove it first.")
        return Proposed(totp.shown(secret), totp.address(secret, issuer, staff.email))

    async def confirm_second_factor(self, tenant_id: UUID, staff_id: UUID, code: str, device: Device) -> list[str]:
        """Asked for from now on. The recovery codes, which are shown once. Raises Invalid, Conflict, RateLimited."""
        staff, secrets = await self.of(tenant_id, staff_id)
        if staff.has_second_factor or secrets.totp_secret is None:
            raise Conflict("No second factor is being set up.")
        now = self._clock.now()
        async with self._db.scope(tenant_id) as scope:
            await failures.attempt(scope, What.ACCOUNT, staff.email, now)
        step = totp.step_of(self._cipher.open(tenant_id, secrets.totp_secret), code, now.timestamp(), 0)
        if step is None:
            message = "is not the code that the app shows now"
            raise Invalid(f"code: {message}.", errors=[FieldError("code", message)])
        codes = totp.new_recovery_codes()
        async with self._db.scope(tenant_id) as scope:
            if not await staff_store.turn_totp_on(scope, staff_id, step, totp.recovery_hashes(codes)):
                raise Conflict("No second factor is being set up.")
            await failures.forget(scope, What.ACCOUNT, staff.email)
            actor = Actor("staff", str(staff_id), device.address)
            await audit.append(scope, actor, "staff.second_factor_added", f"staff/{staff_id}")
        return codes

    async def remove_second_factor(self, tenant_id: UUID, staff_id: UUID, password: str, device: Device) -> None:
        """Raises PasswordWrong, RateLimited."""
        await self._confirm(tenant_id, *await self.of(tenant_id, staff_id), password)
        async with self._db.scope(tenant_id) as scope:
            await staff_store.turn_totp_off(scope, staff_id)
            actor = Actor("staff", str(staff_id), device.address)
            await audit.append(scope, actor, "staff.second_factor_removed", f"staff/{staff_id}")

    async def _confirm(self, tenant_id: UUID, staff: Staff, secrets: Secrets, password: str) -> None:
        """A stolen sign-in is no way to guess the password either."""
        async with self._db.scope(tenant_id) as scope:
            await failures.attempt(scope, What.ACCOUNT, staff.email, self._clock.now())
        if not await self._passwords.is_right(tenant_id, secrets.password_hash, password):
            raise PasswordWrong("The password is wrong.")
        async with self._db.scope(tenant_id) as scope:
            await failures.forget(scope, What.ACCOUNT, staff.email)
