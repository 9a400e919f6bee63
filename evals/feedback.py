"""What verdicts bring: a tenant with few examples, its messages judged, and the examples that `train` makes of them."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any  # metrics are JSON
from uuid import UUID

import msgspec
import platformdirs

from evals.measured import SEED, Folders, Report, Row, Stopwatch, share
from frontdesk.apply.training import Because, distinct, proposals_of
from frontdesk.conversations.feedback import Judged, Judgement, Verdict
from frontdesk.embedding.minilm import MiniLM
from frontdesk.supervisor.classifier import Classifier, Scored
from frontdesk.supervisor.fit import Example, fit
from frontdesk.supervisor.models import Decision, Intent, Stage, Trial

SETS = ("banking77", "clinc150")
OUT_OF_SCOPE = "oos"
FEW = 5  # examples of each intent that the tenant begins with, in file order
JUDGED = 1_000  # messages
MISTAKEN = 0.1  # of the verdicts, where people err and name any agent

NOW = datetime(2026, 11, 21, tzinfo=UTC)


class Bench:
    def __init__(self, embedder: MiniLM, report: Report) -> None:
        self._embedder = embedder
        self._report = report

    async def of(self, learnt: Sequence[Row], measured: Sequence[Row]) -> dict[str, Any]:
        examples, others = _begun(learnt)
        before = await self._fitted(examples)
        judged = _shuffled(others)[:JUDGED]
        scored = before.score([row["text"] for row in judged], await self._embedder.embed([r["text"] for r in judged]))
        figures: dict[str, Any] = {
            "items": len(measured),
            "examples": len(examples),
            "judged": len(judged),
            "accuracy_before": await self._right(before, measured),
        }
        every = await self._fitted([*examples, *((row["text"], row["intent"]) for row in judged)])
        figures["accuracy_with_all"] = await self._right(every, measured)  # every message an example, none left out
        for name, mistaken in (("", 0.0), ("_with_mistakes", MISTAKEN)):
            said = verdicts(judged, scored, {row["intent"] for row in learnt}, mistaken)
            added = await self._added(said, examples)
            after = await self._fitted([*examples, *((text, agent) for text, agent, _ in added)])
            figures[f"added{name}"] = len(added)
            figures[f"corrections{name}"] = sum(because is Because.CORRECTED for *_, because in added)
            figures[f"accuracy_after{name}"] = await self._right(after, measured)
        return figures

    async def _added(self, judged: Sequence[Judged], examples: list[Example]) -> list[tuple[str, str, Because]]:
        """As `frontdesk train` proposes them, applied as often as it takes."""
        proposals, _, _ = proposals_of(judged, {label for _, label in examples})
        added: list[tuple[str, str, Because]] = []
        known = list(examples)
        while proposals:
            own = await self._embedder.embed([each.text for each in proposals])
            kept, _ = distinct(proposals, own, known, await self._embedder.embed([text for text, _ in known]))
            if not kept:
                break
            added += [(each.text, each.agent, each.because) for each in kept]
            known += [(each.text, each.agent) for each in kept]
            proposals = [each for each in proposals if each not in kept]
        return added

    async def _fitted(self, examples: Sequence[Example]) -> Classifier:
        vectors = await self._embedder.embed([text for text, _ in examples])
        return Classifier.load(await fit(examples, vectors, self._embedder))

    async def _right(self, classifier: Classifier, rows: Sequence[Row]) -> float | None:
        texts = [row["text"] for row in rows]
        with Stopwatch(self._report, len(texts)):
            scored = classifier.score(texts, await self._embedder.embed(texts))
        return share(_best(each) == row["intent"] for each, row in zip(scored, rows, strict=True))


def verdicts(rows: Sequence[Row], scored: Sequence[Scored], labels: set[str], mistaken: float) -> list[Judged]:
    """As people would give them who know whose matter each message is, but for a share of mistakes."""
    chance = random.Random(SEED)
    names = sorted(labels)
    judged = []
    for row, each in zip(rows, scored, strict=True):
        best = _best(each)
        meant = chance.choice(names) if chance.random() < mistaken else row["intent"]
        judgement = (
            Judgement("judge", Verdict.RIGHT, None, NOW)
            if meant == best
            else Judgement("judge", Verdict.WRONG, meant, NOW)
        )
        decision = Decision(
            Stage.EMBEDDING,
            "",
            (Intent(best, each.probabilities[best], row["text"]),),
            (Trial(Stage.EMBEDDING, {}, "", 0.0),),
        )
        stored = msgspec.to_builtins(decision)
        judged.append(Judged(UUID(int=0), row["text"], Stage.EMBEDDING, (best,), stored, (judgement,)))
    return judged


def _begun(rows: Sequence[Row]) -> tuple[list[Example], list[Row]]:
    """(the first few of each intent, the rest)"""
    taken: dict[str, int] = {}
    few: list[Example] = []
    rest = []
    for row in rows:
        taken[row["intent"]] = taken.get(row["intent"], 0) + 1
        if taken[row["intent"]] <= FEW:
            few.append((row["text"], row["intent"]))
        else:
            rest.append(row)
    return few, rest


def _shuffled(rows: Sequence[Row]) -> list[Row]:
    shuffled = list(rows)
    random.Random(SEED).shuffle(shuffled)
    return shuffled


def _best(scored: Scored) -> str:
    return next(iter(scored.probabilities))


async def measure(folders: Folders) -> Report:
    report = Report("feedback", folders)
    embedder = await asyncio.to_thread(MiniLM.load, Path(platformdirs.user_cache_dir("frontdesk")))
    bench = Bench(embedder, report)
    for name in SETS:
        if folders.has(path := f"{name}/{name}.jsonl"):
            learnt, measured = ([row for row in rows if row["intent"] != OUT_OF_SCOPE] for rows in folders.rows(path))
            report.metrics[name] = await bench.of(learnt, measured)
    return report


def main() -> None:
    asyncio.run(measure(Folders.from_arguments(__doc__ or ""))).finish()


if __name__ == "__main__":
    main()
