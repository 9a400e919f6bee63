"""What the supervisor keeps of the classifier between messages: never what another version of the agents said."""

import asyncio
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import UUID

import asyncpg
import msgspec
import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs
from tests.alone import alone
from tests.conftest import HANG_S, as_application, make_tenant

from frontdesk.agents.models import Agent, Definitions, Tenant, TenantSettings
from frontdesk.core.clock import SystemClock
from frontdesk.core.ids import new_id
from frontdesk.db import Database
from frontdesk.embedding.minilm import MiniLM
from frontdesk.llm.gateway import Gateway, GatewayLimits
from frontdesk.llm.metrics import LLMMetrics
from frontdesk.llm.prices import Prices
from frontdesk.supervisor.classifier import Classifier
from frontdesk.supervisor.guard import Guard
from frontdesk.supervisor.language import Languages
from frontdesk.supervisor.lexicon import load
from frontdesk.supervisor.likeness import Likeness
from frontdesk.supervisor.models import RouteState, Trial
from frontdesk.supervisor.store import put_classifier
from frontdesk.supervisor.supervisor import Supervisor
from frontdesk.telemetry.metrics import Metrics

VISITS = ("I want to book an appointment", "Please move my appointment to Monday", "Can I come in on Friday?")
MONEY = ("I was charged twice on my bill", "Can I pay my invoice by card?", "I want a refund of my last payment")
MESSAGE = "Please refund my payment, my bill was charged twice"

MakeSupervisor = Callable[[Database], Supervisor]


@pytest.fixture(scope="module")
def make_supervisor(models: Path) -> MakeSupervisor:
    embedder, guard, languages = (
        MiniLM.load(models),
        Guard(load(), Likeness.load()),
        Languages(),
    )

    def make(database: Database) -> Supervisor:
        clock, registry = SystemClock(), CollectorRegistry()
        gateway = Gateway({}, clock, GatewayLimits(), Prices({}, free=()), LLMMetrics(registry), **alone(clock))
        return Supervisor(database, embedder, gateway, guard, languages, clock, Metrics(registry))

    return make


def definitions(tenant_id: UUID, version: int, examples: Mapping[str, tuple[str, ...]]) -> Definitions:
    tenant = Tenant(tenant_id, "acme", "Acme", version, TenantSettings())
    return Definitions(tenant, {name: Agent(name, name, "Does it.", examples=said) for name, said in examples.items()},
                       {}, {}, {})  # fmt: skip


async def said_of(supervisor: Supervisor, agents: Definitions) -> Trial:
    decision = await supervisor.route(MESSAGE, agents, RouteState(), new_id(), [])
    return next(trial for trial in decision.trials if trial.stage == "embedding")


def best(trial: Trial) -> str:
    return max(trial.scores, key=trial.scores.__getitem__)


async def test_what_the_classifier_before_said_is_forgotten_once_the_new_one_is_fitted(
    database: Database, tenant_id: UUID, make_supervisor: MakeSupervisor
) -> None:
    before = definitions(tenant_id, 1, {"one": VISITS, "two": MONEY})
    after = definitions(tenant_id, 2, {"one": MONEY, "two": VISITS})
    supervisor = make_supervisor(database)
    assert await supervisor.fit(before)
    assert best(await said_of(supervisor, before)) == "two"
    assert best(await said_of(supervisor, after)) == "two"  # the one before serves while the new one is fitted
    assert await supervisor.fit(after)
    assert best(await said_of(supervisor, after)) == "one"


async def test_a_tenant_whose_agents_have_no_examples_costs_no_query(
    database: Database, make_supervisor: MakeSupervisor
) -> None:
    supervisor = make_supervisor(database)
    await database.close()
    assert (await said_of(supervisor, definitions(new_id(), 1, {"one": VISITS, "two": ()}))).scores == {}


async def test_agents_that_lost_their_examples_lose_their_classifier(
    database: Database, tenant_id: UUID, make_supervisor: MakeSupervisor
) -> None:
    supervisor = make_supervisor(database)
    assert await supervisor.fit(definitions(tenant_id, 1, {"one": VISITS, "two": MONEY}))
    assert (await said_of(supervisor, definitions(tenant_id, 2, {"one": VISITS, "two": ()}))).scores == {}


async def test_a_classifier_that_an_older_version_stored_is_fitted_anew(
    database: Database, tenant_id: UUID, make_supervisor: MakeSupervisor
) -> None:
    agents = definitions(tenant_id, 1, {"one": VISITS, "two": MONEY})
    older = zlib.compress(msgspec.msgpack.encode([1, ["one", "two"]]))
    async with database.scope(tenant_id) as scope:
        await put_classifier(scope, "of another version", older)
    supervisor = make_supervisor(database)
    async with asyncio.timeout(HANG_S):
        while not (said := await said_of(supervisor, agents)).scores:
            pass
    assert best(said) == "two"


async def test_a_classifier_that_could_not_be_fitted_anew_is_tried_again(
    database_url: str, make_supervisor: MakeSupervisor
) -> None:
    database = await Database.connect(as_application(database_url), max_connections=4, statement_timeout_s=0.2)
    owner = await asyncpg.connect(database_url)
    try:
        tenant_id = await make_tenant(database, "acme")
        agents = definitions(tenant_id, 1, {"one": VISITS, "two": MONEY})
        async with database.scope(tenant_id) as scope:
            await put_classifier(scope, "of another version", zlib.compress(msgspec.msgpack.encode([1, ["one"]])))
        supervisor = make_supervisor(database)
        async with asyncio.timeout(60):
            async with owner.transaction():
                await owner.execute("LOCK TABLE classifiers IN EXCLUSIVE MODE")  # it can be read, and not written
                with capture_logs() as logs:
                    while not any(entry["event"] == "classifier.refit_failed" for entry in logs):
                        assert not (await said_of(supervisor, agents)).scores
                        await asyncio.sleep(0.01)
            while not (said := await said_of(supervisor, agents)).scores:
                await asyncio.sleep(0.01)
        assert best(said) == "two"
    finally:
        await owner.close()
        await database.close()


async def test_the_classifiers_in_memory_are_bounded_by_their_size(
    database: Database, tenant_id: UUID, other_tenant_id: UUID, make_supervisor: MakeSupervisor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    supervisor = make_supervisor(database)
    tenants = [definitions(each, 1, {"one": VISITS, "two": MONEY}) for each in (tenant_id, other_tenant_id)]
    for each in tenants:
        await supervisor.fit(each)
    loaded: list[bytes] = []
    load = Classifier.load
    monkeypatch.setattr(Classifier, "load", lambda body: loaded.append(body) or load(body))
    await said_of(make_supervisor(database), tenants[0])
    room = load(loaded.pop()).size * 3 // 2  # for one
    monkeypatch.setattr("frontdesk.supervisor.supervisor._CLASSIFIERS", room)
    small = make_supervisor(database)
    for each in (*tenants, *tenants):
        assert best(await said_of(small, each)) == "two"
    assert len(loaded) == 4  # each pushed the other out
