"""A message through the router once more, with a classifier of one's choice and no model to ask."""

from collections.abc import Callable, Sequence
from datetime import datetime

from frontdesk.agents.models import Definitions
from frontdesk.embedding.types import Embedder, Vectors
from frontdesk.supervisor.classifier import Classifier
from frontdesk.supervisor.models import Decision, RouteState
from frontdesk.supervisor.router import Patterns, Route, Score
from frontdesk.supervisor.supervisor import score_of


class Replay:
    """Decides messages as if each were the first of its conversation."""

    def __init__(
        self,
        definitions: Definitions,
        embedder: Embedder,
        language: Callable[[str, Sequence[str]], str],
        now: datetime,
    ) -> None:
        """`language`: of a message, among the tenant's; `now` in the tenant's time zone."""
        self._definitions = definitions
        self._embedder = embedder
        self._language = language
        self._now = now
        self._patterns = Patterns()
        self._vectors: dict[tuple[str, ...], Vectors] = {}  # of the message being replayed, for the next classifier

    async def decided(self, message: str, classifier: Classifier | None) -> Decision:
        async def classify(texts: Sequence[str]) -> list[Score] | None:
            if classifier is None:
                return None
            known = tuple(texts)
            if known not in self._vectors:
                self._vectors = {known: await self._embedder.embed(texts)}
            return [score_of(found, self._definitions) for found in classifier.score(texts, self._vectors[known])]

        async def ask() -> None:
            return None

        route = Route(
            message,
            self._definitions,
            RouteState(),
            now=self._now,
            language=self._language(message, self._definitions.tenant.settings.languages),
            patterns=self._patterns,
            classify=classify,
            ask=ask,
        )
        return await route.decide()
