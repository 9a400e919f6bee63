"""Intents found, and what is nobody's matter refused, by the product's embedder and classifier, on four public sets."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any  # metrics are JSON

import platformdirs

from evals.baselines import Labels, linear_svm, nearest
from evals.measured import Folders, Report, Row, Stopwatch, calibration_error, share
from frontdesk.embedding.minilm import MiniLM
from frontdesk.supervisor.classifier import Classifier, Scored
from frontdesk.supervisor.fit import fit

OUT_OF_SCOPE = "oos"
IN_SCOPE = 0.5  # as the router has it
LIKELY = 0.5
FEW = 10  # examples of each intent, in file order
TIMED = 200  # messages, asked one at a time


class Bench:
    """Fits and asks as the server does: texts to vectors to predictions."""

    def __init__(self, embedder: MiniLM, report: Report) -> None:
        self._embedder = embedder
        self._report = report
        self._folders = report.folders

    async def taught(self, rows: Sequence[Row], labels: Sequence[Labels]) -> Classifier:
        examples = [(row["text"], label) for row, each in zip(rows, labels, strict=True) for label in each or ("",)]
        vectors = await self._embedder.embed([text for text, _ in examples])
        return Classifier.load(await fit(examples, vectors, self._embedder))

    async def asked(self, classifier: Classifier, rows: Sequence[Row]) -> list[Scored]:
        texts = [row["text"] for row in rows]
        with Stopwatch(self._report, len(texts)):
            vectors = await self._embedder.embed(texts)
            return classifier.score(texts, vectors)

    async def beside(
        self, learnt: Sequence[Row], labels: Sequence[Labels], measured: Sequence[Row], meant: Sequence[Labels]
    ) -> dict[str, float | None]:
        """The baselines: the share of `measured` of which exactly what is meant is found."""
        seen, asked = [row["text"] for row in learnt], [row["text"] for row in measured]
        vectors, vectors_asked = await self._embedder.embed(seen), await self._embedder.embed(asked)
        found = {"nearest_example": nearest(vectors, labels, vectors_asked)}
        if self._folders.is_split:  # takes minutes: with the development data alone
            several = any(len(each) != 1 for each in labels)
            found["linear_svm"] = await asyncio.to_thread(
                linear_svm, (seen, vectors), labels, (asked, vectors_asked), several=several
            )
        return {
            name: share(one == set(other) for one, other in zip(each, meant, strict=True))
            for name, each in found.items()
        }

    async def milliseconds(self, classifier: Classifier, rows: Sequence[Row]) -> float:
        """CPU of the classifier alone, a message at a time, without its embedding."""
        texts = [row["text"] for row in rows[:TIMED]]
        vectors = await self._embedder.embed(texts)
        began = time.process_time()
        for place, text in enumerate(texts):
            classifier.score([text], vectors[place : place + 1])
        return round((time.process_time() - began) / len(texts) * 1000, 3)

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
            "classifier_cpu_ms": await self.milliseconds(classifier, measured),
        }
        seen, asked = [row for row in learnt if _labels(row)], [row for _, row in inside]
        figures["baselines"] = await self.beside(
            seen, [_labels(row) for row in seen], asked, [_labels(row) for row in asked]
        )
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
        likely = [(p, row, label) for p, row in zip(predictions, measured, strict=True) for label in p.independent]
        return {
            "items": len(measured),
            "exact_set": share(exact),
            "calibration_error": calibration_error(
                [p.independent[label] for p, _, label in likely], [label in row["intents"] for _, row, label in likely]
            ),
            "classifier_cpu_ms": await self.milliseconds(classifier, measured),
            "baselines": await self.beside(
                learnt, [tuple(row["intents"]) for row in learnt], measured, [tuple(row["intents"]) for row in measured]
            ),
        }


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
            sets[name]["calibration_error_10_per_intent"] = few["calibration_error"]
            sets[name]["baselines_10_per_intent"] = few["baselines"]
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
