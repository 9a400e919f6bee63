"""The supervisor as turns see it: the guard, the router with its classifier and model, and fitting the classifier."""

import asyncio
import hashlib
from collections.abc import Sequence
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from cachetools import LRUCache

from frontdesk.agents.models import Definitions, call_for, permitted
from frontdesk.core.caches import forget
from frontdesk.core.clock import Clock
from frontdesk.core.errors import FrontdeskError, ProviderError, RateLimited
from frontdesk.db import Database
from frontdesk.embedding.types import Embedder
from frontdesk.llm.gateway import Gateway
from frontdesk.llm.ledger import LedgerRow
from frontdesk.supervisor import store
from frontdesk.supervisor.asking import Verdict, routing_request, verdict_of
from frontdesk.supervisor.classifier import Classifier, ClassifierDamaged, Scored
from frontdesk.supervisor.fit import Example, fingerprint, fit
from frontdesk.supervisor.guard import Guard
from frontdesk.supervisor.language import Languages
from frontdesk.supervisor.models import Alarm, Decision, Likeness, RouteState, Trial
from frontdesk.supervisor.router import Patterns, Route, Score
from frontdesk.telemetry.metrics import Metrics

log = structlog.get_logger()

LOCAL = "local"
ROUTING_ALIASES = ("fast", "smart")
_TENANTS, _SCORES = 10_000, 4_096  # a score takes about 1 KiB; what people say twice is short and soon said again
# Of classifiers in memory, bytes: dozens of tenants with a thousand examples, a dozen with ten thousand.
_CLASSIFIERS = 256 * 2**20
# Examples kept with a decision, and characters of each.
_NEAREST, _SHOWN = 3, 120
# More texts at once than this are scored off the event loop.
_AT_ONCE = 2


class Supervisor:
    """Decides which agents answer. Keeps nothing that a restart would lose."""

    def __init__(
        self,
        db: Database,
        embedder: Embedder,
        gateway: Gateway,
        guard: Guard,
        languages: Languages,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._db = db
        self._embedder = embedder
        self._gateway = gateway
        self._guard = guard
        self._languages = languages
        self._clock = clock
        self._patterns = Patterns()
        # The fingerprint that a version's classifier has; None: it has none, too few agents have examples.
        self._wanted: LRUCache[tuple[UUID, int], str | None] = LRUCache(_TENANTS)
        # By tenant and fingerprint; None: damaged.
        self._classifiers: LRUCache[tuple[UUID, str], Classifier | None] = LRUCache(_CLASSIFIERS, _size)
        self._refitting: dict[UUID, asyncio.Task[None]] = {}
        self._scores: LRUCache[tuple[UUID, int, bytes], Score] = LRUCache(_SCORES)
        self._hits = metrics.cache.labels("intents", "hit")
        self._misses = metrics.cache.labels("intents", "miss")

    def forget(self, tenant_id: UUID) -> None:
        for cache in (self._wanted, self._classifiers, self._scores):
            forget(cache, tenant_id)
        self._patterns.forget(tenant_id)

    def guard(self, message: str, definitions: Definitions) -> tuple[Alarm | None, Trial | None]:
        """An emergency, else an explicit wish for a human; and what came near the first. Local, a millisecond."""
        return self._guard.judge(message, definitions.tenant.settings)

    def language(self, message: str, languages: Sequence[str], history: Sequence[str] = ()) -> str:
        """Of the message; a short one is read with the one before it."""
        return self._languages.detect(message, languages, history)

    async def route(
        self, message: str, definitions: Definitions, state: RouteState, turn_id: UUID, rows: list[LedgerRow]
    ) -> Decision:
        settings = definitions.tenant.settings

        async def classify(texts: Sequence[str]) -> list[Score] | None:
            return await self._scored(texts, definitions)

        async def ask() -> tuple[Verdict, bool] | None:
            return await self._asked(message, definitions, state, turn_id, rows)

        route = Route(
            message,
            definitions,
            state,
            now=self._clock.now().astimezone(ZoneInfo(settings.time_zone)),
            language=self.language(message, settings.languages, state.history),
            patterns=self._patterns,
            classify=classify,
            ask=ask,
        )
        return await route.decide()

    async def _scored(self, texts: Sequence[str], definitions: Definitions) -> list[Score] | None:
        tenant = definitions.tenant
        classifier, is_current = await self._classifier(definitions)
        if classifier is None:
            return None
        keys = {text: (tenant.id, tenant.version, _hash(text)) for text in texts}
        known = {text: self._scores.get(key) for text, key in keys.items()}
        missing = [text for text, score in known.items() if score is None]
        self._hits.inc(len(texts) - len(missing))
        self._misses.inc(len(missing))
        if missing:
            vectors = await self._embedder.embed(missing)
            if len(missing) > _AT_ONCE:
                scored = await asyncio.to_thread(classifier.score, missing, vectors)
            else:
                scored = classifier.score(missing, vectors)
            for text, found in zip(missing, scored, strict=True):
                known[text] = fresh = score_of(found, definitions)
                if is_current:
                    self._scores[keys[text]] = fresh
        return [score for text in texts if (score := known[text]) is not None]

    async def _classifier(self, definitions: Definitions) -> tuple[Classifier | None, bool]:
        """The tenant's, and whether it is of these definitions: while theirs is fitted, the one before serves."""
        tenant = definitions.tenant
        wanted = await self._fingerprint(definitions)
        if wanted is None:
            return None, True
        if (tenant.id, wanted) in self._classifiers:
            return self._classifiers[tenant.id, wanted], True
        async with self._db.scope(tenant.id) as scope:
            found = await store.classifier_fingerprint(scope)
            if found is None:
                return None, False
            if (tenant.id, found) in self._classifiers:
                classifier = self._classifiers[tenant.id, found]
                if classifier is None and found != wanted:
                    self._refit(definitions)  # it is under way, or failed for a reason that may be gone
                return classifier, found == wanted
            stored = await store.classifier(scope)
        if stored is None:
            return None, False
        found, body = stored
        try:
            classifier = await asyncio.to_thread(Classifier.load, body)
        except ClassifierDamaged as error:
            log.error("classifier.damaged", tenant=tenant.slug, detail=str(error))
            classifier = None
            if found != wanted:  # of a version of this server before, for one
                self._refit(definitions)
        self._classifiers[tenant.id, found] = classifier
        return classifier, found == wanted

    def _refit(self, definitions: Definitions) -> None:
        """In the background, once at a time; until then the other stages decide."""
        tenant = definitions.tenant

        async def refit() -> None:
            try:
                await self.fit(definitions)
            except FrontdeskError as error:
                log.error("classifier.refit_failed", tenant=tenant.slug, detail=error.detail)
            except Exception:  # the edge of the background; not tried again, as it would fail with every message
                log.exception("classifier.refit_broken", tenant=tenant.slug)
                return
            del self._refitting[tenant.id]

        if tenant.id not in self._refitting:
            self._refitting[tenant.id] = asyncio.create_task(refit())

    async def _fingerprint(self, definitions: Definitions) -> str | None:
        key = (definitions.tenant.id, definitions.tenant.version)
        if key in self._wanted:
            return self._wanted[key]
        examples = examples_of(definitions)
        wanted = await asyncio.to_thread(fingerprint, examples, self._embedder.name) if _tell(examples) else None
        self._wanted[key] = wanted
        return wanted

    async def _asked(
        self, message: str, definitions: Definitions, state: RouteState, turn_id: UUID, rows: list[LedgerRow]
    ) -> tuple[Verdict, bool] | None:
        """By the tenant's quick model; `local` is not asked, the classifier has said what it could."""
        alias = next((definitions.aliases[name] for name in ROUTING_ALIASES if name in definitions.aliases), None)
        if alias is None:
            return None
        alias = self._gateway.available(alias, without=LOCAL)
        if not alias.targets:
            return None
        tenant = definitions.tenant
        call = call_for(tenant, alias, "route", turn_id, rows)
        request = routing_request(message, definitions, state.history, state.last_agent)
        try:
            response = await self._gateway.generate(call, request)
        except (ProviderError, RateLimited) as error:
            log.warning("route.model_failed", tenant=tenant.slug, error_code=error.error_code)
            return None
        verdict = verdict_of(response.text, definitions)
        if verdict is None:
            log.warning("route.model_nonsense", tenant=tenant.slug, provider=response.provider)
            return None
        first_rank = min(target.rank for target in alias.targets)
        first = {target.provider for target in alias.targets if target.rank == first_rank}
        return verdict, response.provider in first

    async def fit(self, definitions: Definitions) -> bool:
        """Makes the stored classifier that of the agents' examples; False when it is already."""
        tenant_id = definitions.tenant.id
        examples = examples_of(permitted(definitions))
        wanted = fingerprint(examples, self._embedder.name)
        async with self._db.scope(tenant_id) as scope:
            stored = await store.classifier(scope)
        if not _tell(examples) or (stored is not None and stored[0] == wanted):
            return False
        vectors = await self._embedder.embed([text for text, _ in examples])
        body = await fit(examples, vectors, self._embedder)
        async with self._db.scope(tenant_id) as scope:
            await store.put_classifier(scope, wanted, body)
        return True


def examples_of(definitions: Definitions) -> list[Example]:
    """(text, agent), in a fixed order."""
    return [(text, agent.name) for _, agent in sorted(definitions.agents.items()) for text in agent.examples]


def score_of(found: Scored, definitions: Definitions) -> Score:
    """Only agents that still exist: the classifier may be a version behind for a moment."""
    kept = {name: value for name, value in found.probabilities.items() if name in definitions.agents}
    nearest = (Likeness(text[:_SHOWN], agent, cosine) for text, agent, cosine in found.nearest[:_NEAREST])
    return Score(kept, found.in_scope, tuple(nearest))


def _size(classifier: Classifier | None) -> int:
    return classifier.size if classifier is not None else 1


def _tell(examples: Sequence[Example]) -> bool:
    """Whether there are agents to be told apart."""
    return len({agent for _, agent in examples}) > 1


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
