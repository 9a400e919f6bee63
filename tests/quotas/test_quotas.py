"""The door: each limit exactly at its edge, one beyond it, and when the window has moved on."""

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry
from tests.quotas.conftest import MovedClock

from frontdesk.core.errors import RateLimited
from frontdesk.core.ids import new_id
from frontdesk.core.limits import Limits
from frontdesk.core.settings import LimitSettings
from frontdesk.quotas.quotas import Quotas
from frontdesk.shared.places import MemoryPlaces
from frontdesk.shared.rates import MemoryRateLimiter

ONE, OTHER = new_id(), new_id()


class Door:
    def __init__(self, clock: MovedClock) -> None:
        self.running: Counter[UUID] = Counter()
        self.registry = CollectorRegistry()
        self.inside, self.leave = asyncio.Event(), asyncio.Event()
        self.leave.set()
        self._quotas = Quotas(MemoryRateLimiter(clock), MemoryPlaces(self.running.__getitem__), self.registry)

    async def admits(
        self, limits: Limits, tenant: UUID = ONE, key: str | None = "k1", contact: str = "ann",
        address: str | None = "203.0.113.7",
    ) -> RateLimited | None:  # fmt: skip
        try:
            async with self._quotas.admitted(tenant, "acme", limits, key, contact, address):
                self.inside.set()
                await self.leave.wait()
        except RateLimited as refused:
            return refused
        return None

    def refused(self, limit: str) -> float:
        labels = {"tenant": "acme", "limit": limit}
        return self.registry.get_sample_value("frontdesk_messages_refused_total", labels) or 0.0


@pytest.fixture
def door(clock: MovedClock) -> Door:
    return Door(clock)


@pytest.mark.parametrize(
    ("field", "limit", "another"),
    [
        ("messages_per_minute", "tenant", {"tenant": OTHER}),
        ("key_messages_per_minute", "key", {"key": "k2"}),
        ("contact_messages_per_minute", "contact", {"contact": "bob"}),
        ("address_messages_per_minute", "address", {"address": "203.0.113.8"}),
    ],
)
async def test_each_limit_holds_at_its_edge_and_for_its_own(
    door: Door, clock: MovedClock, field: str, limit: str, another: dict[str, Any]
) -> None:
    limits = Limits(**{field: 3})
    for _ in range(3):
        assert await door.admits(limits) is None
        clock.move(10)
    refused = await door.admits(limits)
    assert refused is not None
    assert "3 messages a minute" in refused.detail
    assert 30 < (refused.retry_after or 0) <= 31
    assert door.refused(limit) == 1
    assert await door.admits(limits, **another) is None
    clock.move((refused.retry_after or 0) - 0.01)
    assert await door.admits(limits) is not None
    clock.move(0.01)
    assert await door.admits(limits) is None
    assert await door.admits(limits) is not None  # the second of the three is 50 s old


async def test_a_refused_message_counts_for_nobody(door: Door) -> None:
    limits = Limits(contact_messages_per_minute=1, messages_per_minute=2)
    assert await door.admits(limits) is None
    for _ in range(5):
        assert await door.admits(limits) is not None
    assert await door.admits(limits, contact="bob") is None
    assert await door.admits(limits, contact="cleo") is not None
    assert (door.refused("contact"), door.refused("tenant")) == (5, 1)


async def test_without_key_and_address_theirs_do_not_matter(door: Door) -> None:
    limits = Limits(key_messages_per_minute=1, address_messages_per_minute=1)
    for _ in range(5):
        assert await door.admits(limits, key=None, address=None) is None


async def test_without_limits_everybody_is_taken(door: Door) -> None:
    assert [await door.admits(Limits()) for _ in range(200)] == [None] * 200


async def test_a_household_of_ipv6_is_one_address(door: Door) -> None:
    limits = Limits(address_messages_per_minute=2)
    assert await door.admits(limits, address="2001:db8:1:2::1") is None
    assert await door.admits(limits, address="2001:db8:1:2:ffff::9") is None
    assert await door.admits(limits, address="2001:db8:1:2::3") is not None
    assert await door.admits(limits, address="2001:db8:1:3::1") is None


async def test_turns_at_once_are_limited_by_tenant(door: Door) -> None:
    limits = Limits(concurrent_turns=2)
    door.running[ONE] = 1
    assert await door.admits(limits) is None
    door.running[ONE] = 2
    refused = await door.admits(limits)
    assert refused is not None and refused.retry_after
    assert await door.admits(limits, tenant=OTHER) is None
    door.running[ONE] = 1
    assert await door.admits(limits) is None
    assert door.refused("turns") == 1


async def test_a_message_that_is_being_accepted_counts_as_a_turn(door: Door) -> None:
    limits = Limits(concurrent_turns=1)
    door.leave.clear()
    first = asyncio.create_task(door.admits(limits))
    await door.inside.wait()
    assert await door.admits(limits) is not None
    door.leave.set()
    assert await first is None
    assert await door.admits(limits) is None


def test_a_tenants_own_limits_stand_over_the_deployments() -> None:
    defaults = Limits(**LimitSettings().model_dump())
    own = Limits(contact_messages_per_minute=5, usd_per_day=0.0)
    merged = own.over(defaults)
    assert (merged.contact_messages_per_minute, merged.usd_per_day) == (5, 0.0)
    assert merged.messages_per_minute == defaults.messages_per_minute
    assert Limits().over(Limits()) == Limits()
