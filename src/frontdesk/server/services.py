"""Every part of a running server, made and joined here and nowhere else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any  # a task's result is not looked at here
from uuid import UUID

import aiohttp
import structlog
from prometheus_client import CollectorRegistry

from frontdesk.agents.definitions import DefinitionsCache
from frontdesk.agents.prompts import Prompts
from frontdesk.agents.runner import Runner
from frontdesk.audit import Tally
from frontdesk.conversations.answering import Answering
from frontdesk.conversations.elsewhere import Elsewhere
from frontdesk.conversations.feedback import Decisions, Feedback
from frontdesk.conversations.housekeeping import Housekeeping
from frontdesk.conversations.live import Live
from frontdesk.conversations.redacting import Redactions
from frontdesk.conversations.retention import Retention
from frontdesk.conversations.sealed import Sealed
from frontdesk.conversations.service import Conversations
from frontdesk.conversations.store import ConversationStore, rehearse
from frontdesk.conversations.summaries import Summaries
from frontdesk.conversations.worker import Worker
from frontdesk.core.clock import SystemClock
from frontdesk.core.ids import new_id
from frontdesk.core.limits import Limits
from frontdesk.core.settings import Settings
from frontdesk.db import Database
from frontdesk.db.cipher import Cipher
from frontdesk.db.embedded import EmbeddedServer
from frontdesk.db.reads import Reads
from frontdesk.embedding.minilm import MiniLM
from frontdesk.embedding.types import Embedder
from frontdesk.events.consumers import ConsumerLoop
from frontdesk.events.log import PostgresLog
from frontdesk.events.tail import follow
from frontdesk.events.wakeups import Wakeups
from frontdesk.identity import session_store
from frontdesk.identity.api_keys import ApiKeys
from frontdesk.identity.mail import Mail
from frontdesk.identity.metrics import IdentityMetrics
from frontdesk.identity.permissions import Permission
from frontdesk.identity.signing import SigningKeys
from frontdesk.identity.tokens import Tokens
from frontdesk.knowledge.service import Knowledge
from frontdesk.llm.gateway import Gateway, GatewayLimits
from frontdesk.llm.metrics import LLMMetrics
from frontdesk.llm.prices import Prices
from frontdesk.llm.screen import Screen
from frontdesk.privacy.detector import Detector
from frontdesk.privacy.tagger import Tagger
from frontdesk.quotas.quotas import Quotas
from frontdesk.quotas.spending import Spending
from frontdesk.server import sealing
from frontdesk.server.database import Say, opened, opened_replica
from frontdesk.server.directory import TenantDirectory
from frontdesk.server.folders import tenant_folders
from frontdesk.server.people import smtp_server
from frontdesk.server.providers import (
    LOCAL,
    PRICE_NAMES,
    Providers,
    TenantProviders,
    build_providers,
    prices_said,
)
from frontdesk.server.purging import Purging
from frontdesk.server.sharing import Shared, shared
from frontdesk.shared.places import MemoryPlaces, RedisPlaces
from frontdesk.supervisor.guard import Guard
from frontdesk.supervisor.language import Languages
from frontdesk.supervisor.lexicon import load as load_lexicons
from frontdesk.supervisor.likeness import Likeness
from frontdesk.supervisor.supervisor import Supervisor
from frontdesk.telemetry.metrics import Metrics
from frontdesk.tenants.life import Leaving
from frontdesk.tenants.secrets import TenantSecrets
from frontdesk.tools.http import HttpTool
from frontdesk.tools.knowledge import KnowledgeTool
from frontdesk.tools.metrics import ToolMetrics
from frontdesk.tools.outbound import Outbound
from frontdesk.tools.python import PythonFiles, PythonTool
from frontdesk.tools.records import PostgresRecords
from frontdesk.tools.templates import Templates
from frontdesk.tools.toolbox import Maker, Toolbox
from frontdesk.tools.types import ToolKind

log = structlog.get_logger()

# Between a part that broke and its next beginning.
RESTART_S = 1.0


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that routes and commands use."""

    settings: Settings
    worker_id: UUID
    database: Database
    embedded: EmbeddedServer | None
    cipher: Cipher
    metrics: Metrics
    embedder: Embedder
    knowledge: Knowledge
    toolbox: Toolbox
    prompts: Prompts
    templates: Templates
    folders: dict[str, Path]
    providers: Providers
    gateway: Gateway
    definitions: DefinitionsCache
    directory: TenantDirectory
    api_keys: ApiKeys
    people_metrics: IdentityMetrics
    mail: Mail
    outbound: Outbound
    signing_keys: SigningKeys
    tokens: Tokens
    supervisor: Supervisor
    store: ConversationStore
    live: Live
    events: PostgresLog
    wakeups: Wakeups
    worker: Worker
    conversations: Conversations
    feedback: Feedback
    decisions: Decisions
    housekeeping: Housekeeping
    denials: Tally
    key_uses: Tally
    summaries: ConsumerLoop
    redactions: ConsumerLoop
    leaving: Leaving
    purging: Purging
    shared: Shared
    reads: Reads
    elsewhere: Elsewhere | None  # None: no other process can tell
    places: RedisPlaces | None  # None: each process counts its own turns
    quotas: Quotas


@asynccontextmanager
async def built(settings: Settings, say: Say, *, alone: bool = True) -> AsyncIterator[Services]:
    """All parts, ready to be used; nothing runs in the background yet (`running`).

    Raises SettingsError, DataDirectoryInUse, DatabaseUnavailable, ModelUnavailable.
    """
    folders = tenant_folders(settings)
    async with _grounds(settings, say, alone=alone) as grounds:
        services = _joined(settings, folders, grounds)
        redis = services.shared.redis
        try:
            if redis is not None and not await redis.look():
                say("warning: Redis is not reachable: limits count in this process alone until it is.")
            yield services
        finally:
            if redis is not None:
                await redis.close()


@asynccontextmanager
async def running(services: Services) -> AsyncIterator[None]:
    """Everything that runs beside requests. At the end turns are finished or handed over, then the rest stops."""
    if services.embedded is not None:
        # Nobody else works on an embedded database: whoever held a lease is dead.
        await services.store.release(None)
    for provider, models in services.settings.prices.items():
        for model, price in models.items():
            log.info("llm.price", target=f"{provider}/{model}", **price.model_dump(mode="json", exclude_none=True))
    parts: dict[str, Callable[[], Awaitable[None]]] = {
        "worker": services.worker.run,
        "wakeups": services.wakeups.run,
        "housekeeping": services.housekeeping.run,
        "denials": services.denials.run,
        "key_uses": services.key_uses.run,
        "summaries": services.summaries.run,
        "redactions": services.redactions.run,
        "api_keys": services.api_keys.run,
        "leaving": services.leaving.run,
        "mail": services.mail.run,
    }
    if services.shared.redis is not None:
        parts["redis"] = services.shared.redis.run
    if services.elsewhere is not None:
        parts["elsewhere"] = services.elsewhere.run
    if services.places is not None:
        parts["places"] = services.places.run
    if services.embedded is not None:
        parts["purging"] = services.purging.run
        parts["embedded"] = services.embedded.keep_running
    else:
        # What other processes end, this one's listeners hear of by the log; its own they hear of directly.
        parts["tail"] = partial(
            follow,
            services.events,
            services.wakeups.elsewhere,
            ("turns", "conversations.state"),
            lambda event: services.live.touched(UUID(event.key)),
        )
    tasks = [asyncio.create_task(_kept(name, run), name=name) for name, run in parts.items()]
    try:
        yield
    finally:
        services.conversations.is_open = False
        await services.worker.stop(services.settings.turns.stop_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _Grounds:
    """What the parts stand on: what is closed at the end, and what takes long to be read."""

    database: Database
    replica: Database | None
    embedded: EmbeddedServer | None
    cipher: Cipher
    http: aiohttp.ClientSession
    outbound: Outbound
    embedder: Embedder
    guard: Guard
    languages: Languages


@asynccontextmanager
async def _grounds(settings: Settings, say: Say, *, alone: bool) -> AsyncIterator[_Grounds]:
    """Models and lexicons are read while the database starts."""
    async with AsyncExitStack() as stack:
        loading = asyncio.create_task(
            asyncio.to_thread(MiniLM.load, settings.data / "models", settings.embedding_model)
        )
        stack.push_async_callback(_settled, loading)
        reading = asyncio.create_task(asyncio.to_thread(_read_languages))
        stack.push_async_callback(_settled, reading)
        open_database = await stack.enter_async_context(opened(settings, say, alone=alone))
        database = open_database.database
        replica = await opened_replica(settings)
        if replica is not None:
            stack.push_async_callback(replica.close)
        cipher = await stack.enter_async_context(sealing.kept(settings, database))
        http = await stack.enter_async_context(_http_client())
        say("Loading the language model")
        await rehearse(database)  # while the model is read
        embedder = await loading
        outbound = Outbound()
        stack.push_async_callback(outbound.close)
        guard, languages = await reading
        yield _Grounds(database, replica, open_database.embedded, cipher, http, outbound, embedder, guard, languages)


@dataclass(frozen=True, slots=True)
class _Process:
    """What all parts of this process have in common."""

    worker_id: UUID
    clock: SystemClock
    registry: CollectorRegistry
    metrics: Metrics
    sharing: Shared
    secrets: TenantSecrets
    sealed: Sealed
    events: PostgresLog
    detector: Detector
    definitions: DefinitionsCache


@dataclass(frozen=True, slots=True)
class _Answers:
    """What answers are made by."""

    providers: Providers
    spending: Spending
    gateway: Gateway
    knowledge: Knowledge
    templates: Templates
    toolbox: Toolbox
    prompts: Prompts
    runner: Runner
    supervisor: Supervisor


@dataclass(frozen=True, slots=True)
class _Turns:
    """What takes messages and runs their turns."""

    store: ConversationStore
    live: Live
    reads: Reads
    elsewhere: Elsewhere | None
    wakeups: Wakeups
    worker: Worker
    conversations: Conversations


def _joined(settings: Settings, folders: dict[str, Path], grounds: _Grounds) -> Services:
    """Every part made, in the order in which they need one another."""
    process = _process(settings, grounds)
    answers = _answers(settings, folders, grounds, process)
    turns = _turns(settings, grounds, process, answers)
    database, embedded, clock, definitions = grounds.database, grounds.embedded, process.clock, process.definitions
    store, wakeups, worker, sharing = turns.store, turns.wakeups, turns.worker, process.sharing
    people_metrics = IdentityMetrics(process.registry)
    signing_keys = SigningKeys(database, grounds.cipher, clock)
    alone = MemoryPlaces(worker.turns_of)
    redis = sharing.redis
    places = RedisPlaces(redis, alone, process.worker_id, sharing.metrics, clock) if redis is not None else None
    retention = settings.retention
    purging = Purging(embedded, settings.data)
    consuming = (database, process.events, wakeups.anywhere, process.worker_id, process.metrics)
    return Services(
        settings=settings,
        worker_id=process.worker_id,
        database=database,
        embedded=embedded,
        cipher=grounds.cipher,
        metrics=process.metrics,
        embedder=grounds.embedder,
        knowledge=answers.knowledge,
        toolbox=answers.toolbox,
        prompts=answers.prompts,
        templates=answers.templates,
        folders=folders,
        providers=answers.providers,
        gateway=answers.gateway,
        definitions=definitions,
        directory=TenantDirectory(database, definitions, clock, settings.example),
        api_keys=ApiKeys(database, clock),
        people_metrics=people_metrics,
        mail=Mail(smtp_server(settings), people_metrics),
        outbound=grounds.outbound,
        signing_keys=signing_keys,
        tokens=Tokens(signing_keys, clock, partial(_signed_in, database, clock)),
        supervisor=answers.supervisor,
        store=store,
        live=turns.live,
        events=process.events,
        wakeups=wakeups,
        worker=worker,
        conversations=turns.conversations,
        feedback=Feedback(database, definitions, process.events, wakeups, process.metrics, clock),
        decisions=Decisions(database, process.sealed),
        housekeeping=Housekeeping(
            store,
            process.events,
            wakeups,
            Retention(database, process.sealed, events_days=retention.events_days),
            every_s=retention.every_s,
            events_days=retention.events_days,
        ),
        denials=Tally(database),
        # An hour, and room for the keys of many tenants: they are no strangers'.
        key_uses=Tally(database, window_s=3600.0, most=10_000, most_per_tenant=100),
        summaries=ConsumerLoop(Summaries(database, store, process.sealed, definitions), *consuming),
        redactions=ConsumerLoop(Redactions(database, process.sealed, process.detector), *consuming),
        leaving=Leaving(database, _forgetting(process, answers), sharing.forget, purging.mark),
        purging=purging,
        shared=sharing,
        reads=turns.reads,
        elsewhere=turns.elsewhere,
        places=places,
        quotas=Quotas(sharing.limits, places or alone, process.registry),
    )


def _process(settings: Settings, grounds: _Grounds) -> _Process:
    clock, registry = SystemClock(), CollectorRegistry()
    metrics = Metrics(registry)
    return _Process(
        worker_id=new_id(),
        clock=clock,
        registry=registry,
        metrics=metrics,
        sharing=shared(settings, grounds.cipher, clock, registry),
        secrets=TenantSecrets(grounds.database, grounds.cipher),
        sealed=Sealed(grounds.cipher),
        events=PostgresLog(grounds.database, grounds.cipher),
        detector=Detector(Tagger.load()),
        definitions=DefinitionsCache(grounds.database, metrics, Limits(**settings.limits.model_dump())),
    )


def _answers(settings: Settings, folders: dict[str, Path], grounds: _Grounds, process: _Process) -> _Answers:
    database, embedder, clock = grounds.database, grounds.embedder, process.clock
    providers = build_providers(settings, grounds.http, embedder, clock)
    spending = Spending(database, clock, process.events.append)
    gateway = _gateway(settings, grounds, process, providers, spending)
    knowledge = Knowledge(database, embedder)
    templates = Templates()
    toolbox = _toolbox(folders, grounds, process, knowledge, templates)
    prompts = Prompts(process.metrics)
    runner = Runner(gateway, toolbox, prompts, templates, partial(PostgresRecords, database), clock)
    supervisor = Supervisor(database, embedder, gateway, grounds.guard, grounds.languages, clock, process.metrics)
    return _Answers(providers, spending, gateway, knowledge, templates, toolbox, prompts, runner, supervisor)


def _turns(settings: Settings, grounds: _Grounds, process: _Process, answers: _Answers) -> _Turns:
    database, metrics, worker_id, sharing = grounds.database, process.metrics, process.worker_id, process.sharing
    store = ConversationStore(database, process.sealed)
    live = Live()
    reads = Reads(database, grounds.replica, lambda source: metrics.reads.labels(source).inc())
    elsewhere = Elsewhere(sharing.fanout, live, worker_id) if sharing.redis is not None else None
    wakeups = Wakeups(database, notify=grounds.embedded is None)
    answering = Answering(database, store, process.definitions, answers.supervisor, answers.runner, process.clock)
    turns = settings.turns
    worker = Worker(
        database, store, process.sealed, process.definitions, answering, live, wakeups, metrics, process.clock,
        worker_id=worker_id, lease_s=turns.lease_s, deadline_s=turns.deadline_s, attempts=turns.attempts,
        concurrent=turns.concurrent,
    )  # fmt: skip
    conversations = Conversations(
        database, store, live, metrics,
        worker=worker_id, lease_s=turns.lease_s, start=worker.start, wake=wakeups.wake,
        patience_s=turns.deadline_s + turns.lease_s, detector=process.detector, reads=reads, elsewhere=elsewhere,
    )  # fmt: skip
    return _Turns(store, live, reads, elsewhere, wakeups, worker, conversations)


def _forgetting(process: _Process, answers: _Answers) -> tuple[Callable[[UUID], None], ...]:
    """What this process keeps of a tenant."""
    return (
        process.definitions.forget, answers.supervisor.forget, answers.gateway.forget, answers.spending.forget,
        answers.prompts.forget, answers.toolbox.forget,
    )  # fmt: skip


async def _signed_in(
    database: Database, clock: SystemClock, tenant_id: UUID, session_id: UUID
) -> frozenset[Permission] | None:
    """What a sign-in may by now; None when it is over."""
    async with database.scope(tenant_id) as scope:
        found = await session_store.live(scope, session_id, clock.now())
    return found.permissions if found is not None else None


async def _kept(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """A part that breaks is begun again: without it turns would stop being recovered, and nobody would notice."""
    while True:
        try:
            return await run()
        except Exception:  # the edge of the background: whatever broke it is in the log
            log.exception("background.failed", part=name)
        await asyncio.sleep(RESTART_S)


async def _settled(task: asyncio.Task[Any]) -> None:
    """A load that nobody waits for any more must not outlive the start that failed."""
    await asyncio.gather(task, return_exceptions=True)


def _http_client() -> aiohttp.ClientSession:
    """One for all providers. Turns bound how many calls run at once; cookies of a vendor are nobody's but its own."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar())


def _read_languages() -> tuple[Guard, Languages]:
    """Half a second of reading, beside the start of the database."""
    return Guard(load_lexicons(), Likeness.load()), Languages()


def _gateway(
    settings: Settings, grounds: _Grounds, process: _Process, providers: Providers, spending: Spending
) -> Gateway:
    limits = GatewayLimits(
        deadline_s=settings.gateway.deadline_s,
        attempts=settings.gateway.attempts,
        breaker_failures=settings.gateway.breaker_failures,
        breaker_open_s=settings.gateway.breaker_open_s,
    )
    prices = Prices(PRICE_NAMES, [LOCAL], prices_said(settings))
    screen = Screen(process.detector, {LOCAL, *settings.trusted_providers})
    own = TenantProviders(settings, grounds.http, process.secrets.named)
    return Gateway(
        providers.by_name, process.clock, limits, prices, LLMMetrics(process.registry), process.sharing.limits,
        process.sharing.cache, spending.refusal, screen, own,
    )  # fmt: skip


def _toolbox(
    folders: dict[str, Path], grounds: _Grounds, process: _Process, knowledge: Knowledge, templates: Templates
) -> Toolbox:
    files, outbound, secret = PythonFiles(folders), grounds.outbound, process.secrets.named
    makers: dict[ToolKind, Maker] = {
        ToolKind.HTTP: lambda definition, owner: HttpTool(definition, owner.http_allow, outbound, secret),
        ToolKind.PYTHON: lambda definition, owner: PythonTool(definition, owner.slug, files),
        ToolKind.KNOWLEDGE: lambda definition, owner: KnowledgeTool(definition, owner.min_score, knowledge.search),
    }
    return Toolbox(makers, templates, process.clock, ToolMetrics(process.registry))
