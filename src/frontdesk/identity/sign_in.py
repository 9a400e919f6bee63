"""Signing in with a password, and a second factor where there is one."""

from datetime import datetime
from uuid import UUID

from frontdesk import audit
from frontdesk.audit import Actor, Tally
from frontdesk.core.clock import Clock
from frontdesk.core.errors import RateLimited, Unauthenticated
from frontdesk.db import Database, TenantScope
from frontdesk.db.cipher import Cipher
from frontdesk.identity import failures, passwords, staff_store, totp
from frontdesk.identity.failures import What
from frontdesk.identity.metrics import IdentityMetrics
from frontdesk.identity.passwords import Passwords
from frontdesk.identity.sessions import Opened, Sessions
from frontdesk.identity.staff import Device, SignInSettings, Staff, State
from frontdesk.identity.staff_store import Secrets

_DAY_S = 86_400


class SignInFailed(Unauthenticated):
    """No such account, a wrong password, a disabled account: not told apart."""

    error_code = "SIGN_IN_FAILED"


class SecondFactorNeeded(Unauthenticated):
    """The password is right; the same again with `code`."""

    error_code = "SECOND_FACTOR_NEEDED"


class SignIn:
    def __init__(
        self, db: Database, clock: Clock, cipher: Cipher, passwords: Passwords, sessions: Sessions, denials: Tally,
        metrics: IdentityMetrics,
    ) -> None:  # fmt: skip
        self._db = db
        self._clock = clock
        self._cipher = cipher
        self._passwords = passwords
        self._sessions = sessions
        self._denials = denials
        self._metrics = metrics

    async def with_password(
        self, tenant_id: UUID, settings: SignInSettings, email: str, password: str, code: str | None, device: Device
    ) -> Opened:
        """Raises SignInFailed, SecondFactorNeeded, RateLimited, Unavailable: whether there is an account or not, with
        the same words and after the same work."""
        began = self._clock.now()
        found = await self._begin(tenant_id, email, device, began)
        staff, secrets = found if found is not None else (None, None)
        is_right = await self._passwords.is_right(tenant_id, secrets.password_hash if secrets else None, password)
        if (
            not is_right
            or staff is None
            or secrets is None
            or staff.state is not State.ACTIVE
            or not settings.takes_password(staff.role)
        ):
            raise self._failed(tenant_id, device, "The e-mail address or the password is wrong.")
        if staff.has_second_factor and code is None:
            async with self._db.scope(tenant_id) as scope:
                await failures.take_back(scope, What.ACCOUNT, email, began)
                await failures.take_back(scope, What.ADDRESS, device.address, began)
            self._metrics.sign_ins.labels("password", "second_factor").inc()
            raise SecondFactorNeeded("The code of your second factor is needed too.")
        is_outdated = secrets.password_hash is not None and passwords.is_outdated(secrets.password_hash)
        renewed = await self._passwords.hashed(tenant_id, password) if is_outdated else None
        async with self._db.scope(tenant_id) as scope:
            # What was checked above may have been reset meanwhile; from here on it waits for us.
            is_in = await staff_store.hold_unchanged(
                scope, staff.id, secrets.password_hash or "", has_second_factor=staff.has_second_factor
            ) and (not staff.has_second_factor or await self._is_code_right(scope, staff, secrets, code or ""))
            if is_in:
                await failures.forget(scope, What.ACCOUNT, email)
                await failures.take_back(scope, What.ADDRESS, device.address, began)
                if renewed is not None:
                    await staff_store.put_password(scope, staff.id, renewed)
                is_in = await staff_store.signed_in(scope, staff.id, self._clock.now())
            if is_in:
                session_id, token = await self._sessions.open(scope, staff, device, settings.session_days)
                actor = Actor("staff", str(staff.id), device.address)
                after = {"session": str(session_id), "way": "password", "second_factor": staff.has_second_factor}
                await audit.append(scope, actor, "staff.signed_in", f"staff/{staff.id}", after=after)
        if not is_in:
            raise self._failed(tenant_id, device, "The code is wrong, or was used already.")
        self._metrics.sign_ins.labels("password", "signed_in").inc()
        return await self._sessions.opened(staff, session_id, token, settings.session_days * _DAY_S)

    async def _begin(self, tenant_id: UUID, email: str, device: Device, now: datetime) -> tuple[Staff, Secrets] | None:
        """Counts the attempt first. Raises RateLimited."""
        try:
            async with self._db.scope(tenant_id) as scope:
                await failures.attempt(scope, What.ACCOUNT, email, now)
                await failures.attempt(scope, What.ADDRESS, device.address, now)
                return await staff_store.staff_by_email(scope, email)
        except RateLimited:
            self._metrics.sign_ins.labels("password", "locked").inc()
            self._denials.count(tenant_id, Actor("anonymous", "", device.address), "sign_in.locked", "staff")
            raise

    async def _is_code_right(self, scope: TenantScope, staff: Staff, secrets: Secrets, code: str) -> bool:
        """Uses it up: one of the app's, or a recovery code."""
        if secrets.totp_secret is None:
            return False
        secret = self._cipher.open(scope.tenant_id, secrets.totp_secret)
        step = totp.step_of(secret, code, self._clock.now().timestamp(), secrets.totp_step)
        if step is not None:
            return await staff_store.use_totp_step(scope, staff.id, step)
        return await staff_store.use_recovery_code(scope, staff.id, totp.recovery_hash(code))

    def _failed(self, tenant_id: UUID, device: Device, detail: str) -> SignInFailed:
        self._metrics.sign_ins.labels("password", "wrong").inc()
        self._denials.count(tenant_id, Actor("anonymous", "", device.address), "sign_in.failed", "staff")
        return SignInFailed(detail)
