"""Intents found, and what is nobody's matter refused, by the product's embedder and classifier, on four public sets."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any  # metrics are JSON

import platformdirs

from evals.measured import Folders, Report, Row, Stopwatch, calibration_error, share
from frontdesk.embedding.minilm import MiniLM
from frontdesk.supervisor.classifier import Classifier, Scored
from frontdesk.supervisor.fit import fit

OUT_OF_SCOPE = "oos"
IN_SCOPE = 0.5  # as the router has it
LIKELY = 0.5
FEW = 10  # examples of each intent, in file order

Labels = tuple[str, ...]


class Bench:
    """Fits and asks as the server does: texts to vectors to predictions."""

    def __init__(self, embedder: MiniLM, report: Report) -> None:
        self._embedder = embedder
        self._report = report

    async def taught(self, rows: Sequence[Row], labels: Sequence[Labels]) -> Classifier:
        examples = [(row["text"], label) for row, each in zip(rows, labels, strict=True) for label in each or ("",)]
        vectors = await self._embedder.embed([text for text, _ in examples])
        return Classifier.load(await fit(examples, vectors))

    async def asked(self, classifier: Classifier, rows: Sequence[Row]) -> list[Scored]:
        texts = [row["text"] for row in rows]
        with Stopwatch(self._report, len(texts)):
            vectors = await self._embedder.embed(texts)
            return classifier.score(texts, vectors)

    async def single(self, learnt: Sequence[Row], measured: Sequence[Row]) -> dict[str, Any]:
        """One intent each. Where the set has messages out of scope, to refuse one in scope counts as wrong."""
        classifier = await self.taught(learnt, [_labels(row) for row in learnt])
        predictions = await self.asked(classifier, measured)
        inside = [(p, row) for p, row in zip(predictions, measured, strict=True) if _labels(row)]
        outside = [p for p, row in zip(predictions, measured, strict=True) if not _labels(row)]
        right = [_best(p) == row["intent"] for p, row in inside]
        kept = [is_right and p.in_scope >= IN_SCOPE for is_right, (p, _) in zip(right, inside, strict=True)]
        refused = [p.in_scope < IN_SCOPE for p in predictions]
        figures: dict[str, Any] = {
            "items": len(measured),
            "accuracy": share(right),
            "accuracy_in_scope": share(kept if outside else right),
            "calibration_error": calibration_error([p.probabilities[_best(p)] for p, _ in inside], right),
        }
        if outside:
            figures["oos_recall"] = share(p.in_scope < IN_SCOPE for p in outside)
            figures["oos_precision"] = share(
                not _labels(row) for row, no in zip(measured, refused, strict=True) if no
            )  # of the refused, those that should be
        return figures

    async def several(self, learnt: Sequence[Row], measured: Sequence[Row]) -> dict[str, Any]:
        """Any number of intents each, none included."""
        classifier = await self.taught(learnt, [tuple(row["intents"]) for row in learnt])
        predictions = await self.asked(classifier, measured)
        exact = [_all(p) == set(row["intents"]) for p, row in zip(predictions, measured, strict=True)]
        return {"items": len(measured), "exact_set": share(exact)}


def _labels(row: Row) -> Labels:
    return () if row["intent"] == OUT_OF_SCOPE else (row["intent"],)


def _best(scored: Scored) -> str:
    return next(iter(scored.probabilities))


def _all(scored: Scored) -> set[str]:
    return {label for label, probability in scored.independent.items() if probability >= LIKELY}


def _few(rows: Sequence[Row]) -> list[Row]:
    taken: dict[str, int] = {}
    few = []
    for row in rows:
        taken[row["intent"]] = taken.get(row["intent"], 0) + 1
        if taken[row["intent"]] <= FEW:
            few.append(row)
    return few


async def measure(folders: Folders) -> Report:
    report = Report("routing", folders)
    embedder = await asyncio.to_thread(MiniLM.load, Path(platformdirs.user_cache_dir("frontdesk")))
    bench = Bench(embedder, report)
    sets: dict[str, dict[str, Any]] = {}
    for name in ("banking77", "clinc150"):
        if folders.has(path := f"{name}/{name}.jsonl"):
            learnt, measured = folders.rows(path)
            sets[name] = await bench.single(learnt, measured)
            few = await bench.single(_few(learnt), measured)
            sets[name]["accuracy_10_per_intent"] = few["accuracy"]
    if folders.has(path := "hint3/hint3.jsonl"):
        learnt, measured = folders.rows(path)
        for bot in sorted({row["bot"] for row in learnt}):
            sets[f"hint3/{bot}"] = await bench.single(
                [row for row in learnt if row["bot"] == bot], [row for row in measured if row["bot"] == bot]
            )
    if folders.has(path := "nlupp/nlupp.jsonl"):
        learnt, measured = folders.rows(path)
        for domain in sorted({row["domain"] for row in learnt}):
            sets[f"nlupp/{domain}"] = await bench.several(
                [row for row in learnt if row["domain"] == domain], [row for row in measured if row["domain"] == domain]
            )
    for key in (
        "accuracy_in_scope", "oos_recall", "oos_precision", "accuracy_10_per_intent", "exact_set", "calibration_error",
    ):  # fmt: skip
        values = [figures[key] for figures in sets.values() if figures.get(key) is not None]
        if values:
            report.metrics[key] = round(mean(values), 4)
    report.metrics["by_set"] = sets
    return report


def main() -> None:
    asyncio.run(measure(Folders.from_arguments(__doc__ or ""))).finish()


if __name__ == "__main__":
    main()
