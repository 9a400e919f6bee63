"""Sign-ins of staff: opened, kept up by refresh tokens that are good once, listed, ended."""

from datetime import timedelta
from uuid import UUID

import msgspec
import structlog

from frontdesk import audit
from frontdesk.audit import Actor
from frontdesk.core.clock import Clock
from frontdesk.core.errors import Conflict, TokenInvalid
from frontdesk.core.ids import new_id
from frontdesk.db import Database, TenantScope
from frontdesk.identity import opaque, session_store, staff_store
from frontdesk.identity.metrics import IdentityMetrics
from frontdesk.identity.staff import Device, Staff, StaffSession
from frontdesk.identity.tokens import Tokens

# Two pages of one browser may renew at the same moment: the second is told to use what the first was given.
SAME_MOMENT = timedelta(seconds=10)

log = structlog.get_logger()


class Opened(msgspec.Struct, frozen=True):
    """What a device is given: good for as long as they say, in seconds."""

    staff: Staff
    session_id: UUID
    access_token: str
    access_s: int
    refresh_token: str
    refresh_s: int


class Sessions:
    def __init__(self, db: Database, clock: Clock, tokens: Tokens, metrics: IdentityMetrics) -> None:
        self._db = db
        self._clock = clock
        self._tokens = tokens
        self._metrics = metrics

    async def open(self, scope: TenantScope, staff: Staff, device: Device, days: int) -> tuple[UUID, str]:
        """(id, refresh token) of a new sign-in, in the transaction that found that he may."""
        now = self._clock.now()
        session_id = new_id()
        token, token_hash = opaque.made(scope.tenant_id, session_id)
        await session_store.forget_expired(scope, staff.id, now)
        self._told(*await session_store.end_oldest(scope, staff.id, session_store.MOST - 1))
        await session_store.open_session(
            scope, session_id, staff.id, token_hash, device, now, now + timedelta(days=days)
        )
        return session_id, token

    async def opened(self, staff: Staff, session_id: UUID, refresh_token: str, refresh_s: float) -> Opened:
        access_token, access_s = await self._tokens.issue(staff, session_id)
        return Opened(staff, session_id, access_token, access_s, refresh_token, int(refresh_s))

    def tenant_of(self, token: str) -> UUID:
        """Which tenant a refresh token says that it is of. Raises TokenInvalid."""
        known = opaque.parsed(token)
        if known is None:
            raise TokenInvalid("The refresh token is not valid.")
        return known.tenant_id

    async def refresh(self, token: str, device: Device) -> Opened:
        """Both tokens anew. A refresh token that was used before ends the sign-in: somebody else has a copy.

        Raises TokenInvalid; Conflict when it was renewed a moment ago.
        """
        known = opaque.parsed(token)
        if known is None:
            raise TokenInvalid("The refresh token is not valid.")
        now = self._clock.now()
        async with self._db.scope(known.tenant_id) as scope:
            found = await session_store.renewable(scope, known.row_id, known.hash, now)
            staff = await staff_store.staff_by_id(scope, found.staff_id) if found is not None else None
            is_live = found is not None and await session_store.live(scope, found.session_id, now) is not None
            if found is None or staff is None or not is_live:
                raise TokenInvalid("The refresh token is not valid.")
            if found.is_current:
                fresh, fresh_hash = opaque.made(scope.tenant_id, found.session_id)
                await session_store.renew(scope, found.session_id, fresh_hash, device, now)
            elif found.is_last and now - found.renewed_at < SAME_MOMENT:
                raise Conflict("This refresh token was used a moment ago. Use the new one.")
            elif found.is_spent:
                await session_store.end_session(scope, staff.id, found.session_id)
                actor = Actor("staff", str(staff.id), device.address)
                await audit.append(scope, actor, "session.reused", f"session/{found.session_id}")
        if found.is_current:
            return await self.opened(staff, found.session_id, fresh, (found.expires_at - now).total_seconds())
        if found.is_spent:
            self._tokens.ended(found.session_id)
            self._metrics.sessions.labels("reused").inc()
            log.warning("session.reused", tenant_id=str(known.tenant_id), session_id=str(found.session_id))
        raise TokenInvalid("The refresh token is not valid.")

    async def of(
        self, tenant_id: UUID, staff_id: UUID, before: UUID | None = None, limit: int = 100
    ) -> list[StaffSession]:
        """The newest first, from the one made before `before`."""
        async with self._db.scope(tenant_id) as scope:
            return await session_store.sessions_of(scope, staff_id, self._clock.now(), before, limit)

    async def end(self, tenant_id: UUID, staff_id: UUID, session_id: UUID, actor: Actor) -> None:
        """One that has ended, or is somebody else's, ends nothing."""
        async with self._db.scope(tenant_id) as scope:
            if not await session_store.end_session(scope, staff_id, session_id):
                return
            await audit.append(scope, actor, "session.ended", f"session/{session_id}")
        self._told(session_id)

    async def end_others(self, tenant_id: UUID, staff_id: UUID, but: UUID | None, actor: Actor) -> int:
        async with self._db.scope(tenant_id) as scope:
            ended = await self.end_all(scope, staff_id, but)
            if ended:
                await audit.append(scope, actor, "session.ended", f"staff/{staff_id}", after={"sessions": ended})
        return ended

    async def end_all(self, scope: TenantScope, staff_id: UUID, but: UUID | None = None) -> int:
        """All of a person's but one, in a transaction that goes on; how many there were."""
        ended = await session_store.end_sessions(scope, staff_id, but)
        self._told(*ended)
        return len(ended)

    async def sign_out(self, token: str, address: str) -> None:
        """Ends the sign-in of a refresh token; what is none ends nothing."""
        known = opaque.parsed(token)
        if known is None:
            return
        async with self._db.scope(known.tenant_id) as scope:
            found = await session_store.renewable(scope, known.row_id, known.hash, self._clock.now())
            if found is None or not (found.is_current or found.is_spent):
                return
            await session_store.end_session(scope, found.staff_id, found.session_id)
            actor = Actor("staff", str(found.staff_id), address)
            await audit.append(scope, actor, "session.ended", f"session/{found.session_id}")
        self._told(found.session_id)

    def _told(self, *ended: UUID) -> None:
        for session_id in ended:
            self._tokens.ended(session_id)
            self._metrics.sessions.labels("ended").inc()
