"""Emergencies noticed and false alarms, by the product's guard, beside a bag of words learnt from the same phrases.

Nothing is learnt from data: what the guard knows was written by hand, so all of what is there is measured.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from math import log
from pathlib import Path
from typing import Any  # metrics are JSON

from evals.measured import Folders, Report, Row, Stopwatch, read, share
from frontdesk.agents.models import TenantSettings
from frontdesk.supervisor import phrases
from frontdesk.supervisor.guard import Guard
from frontdesk.supervisor.lexicon import load
from frontdesk.supervisor.likeness import Likeness
from frontdesk.supervisor.models import Stage
from frontdesk.supervisor.words import tokens

MESSAGES = "emergency/emergency.jsonl"
QUESTIONS = "medquad/qa.jsonl"
# Everyday messages to a bank and to an assistant: none is an emergency but for the odd robbery.
EVERYDAY = ("banking77/banking77.jsonl", "clinc150/clinc150.jsonl")
# Written by someone who had seen neither the phrases nor the guard's code, and read by nobody before it was measured.
UNSEEN = Path(__file__).parent / "unseen/emergency.jsonl"

Fires = Callable[[str], bool]


class BagOfWords:
    """Naive Bayes over the words of the phrases: what the guard is to be better than."""

    def __init__(self, texts: Iterable[phrases.Text]) -> None:
        counts: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
        for text in texts:
            counts[text.is_emergency].update(set(tokens(text.text)))
        known = set(counts[True]) | set(counts[False])
        total = {label: sum(words.values()) + len(known) for label, words in counts.items()}
        self._odds = {
            word: log((counts[True][word] + 1) / total[True]) - log((counts[False][word] + 1) / total[False])
            for word in known
        }

    def fires(self, text: str) -> bool:
        return sum(self._odds.get(word, 0.0) for word in set(tokens(text))) > 0


def found(rows: Sequence[Row], fires: Fires) -> dict[str, Any]:
    """Recall and false alarms: of all, by kind and by language."""
    alarms = [(row, fires(row["text"])) for row in rows]

    def by(field: str, label: bool) -> dict[str, float | None]:
        groups: dict[str, list[bool]] = defaultdict(list)
        for row, alarm in alarms:
            if row["label"] == label:
                groups[row[field]].append(alarm)
        return {name: share(flags) for name, flags in sorted(groups.items())}

    return {
        "recall": share(alarm for row, alarm in alarms if row["label"]),
        "false_alarm_rate": share(alarm for row, alarm in alarms if not row["label"]),
        "recall_by_kind": by("kind", True),
        "recall_by_language": by("language", True),
        "false_alarms_by_kind": by("kind", False),
        "false_alarms_by_language": by("language", False),
    }


def beside(rows: Sequence[Row], bag: BagOfWords) -> dict[str, Any]:
    figures = found(rows, bag.fires)
    return {name: figures[name] for name in ("recall", "false_alarm_rate")}


def main() -> None:
    folders = Folders.from_arguments(__doc__ or "")
    report = Report("emergency", folders)
    guard, settings, bag = Guard(load(), Likeness.load()), TenantSettings(), BagOfWords(phrases.texts())

    def fires(text: str) -> bool:
        alarm = guard.check(text, settings)
        return alarm is not None and alarm.stage is Stage.EMERGENCY

    if (folders.test / MESSAGES).is_file():
        rows = read(folders.test / MESSAGES)
        with Stopwatch(report, len(rows)):
            report.metrics |= found(rows, fires)
        report.metrics["bag_of_words"] = beside(rows, bag)
        began = time.process_time()  # once more: what a long-running server needs, of its own time
        for row in rows:
            fires(row["text"])
        report.metrics["guard_us_a_message"] = round((time.process_time() - began) / len(rows) * 1e6)
    if folders.is_split:
        unseen = read(UNSEEN)
        report.metrics["unseen"] = found(unseen, fires) | {"bag_of_words": beside(unseen, bag)}
    if (folders.test / QUESTIONS).is_file():
        questions = read(folders.test / QUESTIONS)
        report.metrics["information_questions_taken_for_emergencies"] = share(
            fires(row["question"]) for row in questions
        )
    everyday = {
        path.partition("/")[0]: share(fires(row["text"]) for row in read(folders.test / path))
        for path in EVERYDAY
        if (folders.test / path).is_file()
    }
    if everyday:
        report.metrics["everyday_messages_taken_for_emergencies"] = everyday
        report.metrics["everyday_messages_taken_for_emergencies_by_bag_of_words"] = {
            path.partition("/")[0]: share(bag.fires(row["text"]) for row in read(folders.test / path))
            for path in EVERYDAY
            if (folders.test / path).is_file()
        }
    report.finish(measured="all of it")


if __name__ == "__main__":
    main()
