"""The door: whether one more message is taken."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from prometheus_client import CollectorRegistry

from frontdesk.core.errors import RateLimited
from frontdesk.core.limits import Limits
from frontdesk.core.networks import network_of
from frontdesk.shared.places import Places
from frontdesk.shared.rates import RateLimiter, Use
from frontdesk.telemetry.by_tenant import TenantCounter

# Tokens for visitors of one address in a minute, new and renewed: an office behind one address opens no more pages.
VISITORS_PER_MINUTE = 60
# Sign-ins of one address, also those that succeed: each hashes a password. With a provider both ways count, there and
# back: each asks it something.
SIGN_INS_PER_MINUTE = 60
# Invitations of a tenant: each is a mail of the deployment's, to whomever it names.
INVITATIONS_PER_MINUTE = 30
# Nobody knows when a turn ends: who asks again then asks a turn that took its time.
TURN_RETRY_S = 2.0

_WHOSE = {
    "tenant": "This organisation takes",
    "key": "This API key may send",
    "contact": "One user may send",
    "address": "One address may send",
}


class Quotas:
    """Counts messages by tenant, key, contact and address, and turns at once by tenant."""

    def __init__(self, rates: RateLimiter, turns: Places, registry: CollectorRegistry) -> None:
        self._rates = rates
        self._turns = turns
        self._refused = TenantCounter(
            "frontdesk_messages_refused", "Messages beyond a limit, by whose", ("tenant", "limit"), registry=registry
        )

    @asynccontextmanager
    async def admitted(
        self, tenant_id: UUID, slug: str, limits: Limits, key_id: str | None, contact: str, address: str | None
    ) -> AsyncIterator[None]:
        """Once for each message; inside, it is accepted: until its turn runs it counts as one itself.

        `address` is None for this machine's own programs, which are no contacts. Raises RateLimited, which says which
        limit it was; a refused message counts for nobody.
        """
        most = limits.concurrent_turns
        if most is not None and not await self._turns.take(tenant_id, most):
            self._refused.labels(slug, "turns").inc()
            detail = f"This organisation answers {most} messages at once, and so many are being answered."
            raise RateLimited(detail, retry_after=TURN_RETRY_S)
        try:
            await self._admit(tenant_id, slug, limits, key_id, contact, address)
            yield
        finally:
            if most is not None:
                self._turns.free(tenant_id)

    async def _admit(
        self, tenant_id: UUID, slug: str, limits: Limits, key_id: str | None, contact: str, address: str | None
    ) -> None:
        uses = []
        if address is not None and (most := limits.address_messages_per_minute) is not None:
            uses.append(Use("address", network_of(address), most))
        if (most := limits.contact_messages_per_minute) is not None:
            uses.append(Use("contact", contact, most))
        if key_id is not None and (most := limits.key_messages_per_minute) is not None:
            uses.append(Use("key", key_id, most))
        if (most := limits.messages_per_minute) is not None:
            uses.append(Use("tenant", "", most))
        if uses and (refused := await self._rates.take(tenant_id, uses)) is not None:
            name = refused.use.name
            self._refused.labels(slug, name).inc()
            detail = f"{_WHOSE[name]} {refused.use.most} messages a minute. Send this one again later."
            raise RateLimited(detail, retry_after=refused.wait_s)

    async def admit_visitor(self, tenant_id: UUID, slug: str, address: str | None) -> None:
        """Once for each token that is given to somebody unknown, or renewed. Raises RateLimited."""
        if address is None:
            return
        use = Use("visitors", network_of(address), VISITORS_PER_MINUTE)
        if (refused := await self._rates.take(tenant_id, [use])) is not None:
            self._refused.labels(slug, use.name).inc()
            detail = f"One address may begin or go on with {VISITORS_PER_MINUTE} visits a minute. Try again later."
            raise RateLimited(detail, retry_after=refused.wait_s)

    async def admit_sign_in(self, tenant_id: UUID, slug: str, address: str | None) -> None:
        """Once for each sign-in by password, each way to a provider, and each back. Raises RateLimited."""
        if address is None:
            return
        use = Use("sign-ins", network_of(address), SIGN_INS_PER_MINUTE)
        if (refused := await self._rates.take(tenant_id, [use])) is not None:
            self._refused.labels(slug, use.name).inc()
            raise RateLimited("Too many sign-ins from this address. Try again later.", retry_after=refused.wait_s)

    async def admit_invitation(self, tenant_id: UUID, slug: str) -> None:
        """Once for each. Raises RateLimited."""
        use = Use("invitations", "", INVITATIONS_PER_MINUTE)
        if (refused := await self._rates.take(tenant_id, [use])) is not None:
            self._refused.labels(slug, use.name).inc()
            detail = f"This organisation may invite {INVITATIONS_PER_MINUTE} people a minute. Invite this one later."
            raise RateLimited(detail, retry_after=refused.wait_s)
