"""Emergencies noticed and false alarms, by the product's guard. It learns nothing here: its phrases are in the code."""

from collections import defaultdict

from evals.measured import Folders, Report, Stopwatch, read, share
from frontdesk.agents.models import TenantSettings
from frontdesk.supervisor.guard import Guard
from frontdesk.supervisor.lexicon import load
from frontdesk.supervisor.models import Stage

MESSAGES = "emergency/emergency.jsonl"
QUESTIONS = "medquad/qa.jsonl"
# Everyday messages to a bank and to an assistant: none is an emergency but for the odd robbery.
EVERYDAY = ("banking77/banking77.jsonl", "clinc150/clinc150.jsonl")


def main() -> None:
    folders = Folders.from_arguments(__doc__ or "")
    report = Report("emergency", folders)
    guard, settings = Guard(load()), TenantSettings()

    def fires(text: str) -> bool:
        alarm = guard.check(text, settings)
        return alarm is not None and alarm.stage is Stage.EMERGENCY

    if (folders.test / MESSAGES).is_file():
        rows = read(folders.test / MESSAGES)  # all of it: nothing is learnt, so nothing is set aside
        with Stopwatch(report, len(rows)):
            fired = [fires(row["text"]) for row in rows]
        emergencies, calm = defaultdict(list), defaultdict(list)
        by_language = defaultdict(list)
        for row, alarm in zip(rows, fired, strict=True):
            (emergencies if row["label"] else calm)[row["kind"]].append(alarm)
            if row["label"]:
                by_language[row["language"]].append(alarm)
        report.metrics |= {
            "recall": share(alarm for alarms in emergencies.values() for alarm in alarms),
            "false_alarm_rate": share(alarm for alarms in calm.values() for alarm in alarms),
            "recall_by_kind": {kind: share(alarms) for kind, alarms in sorted(emergencies.items())},
            "recall_by_language": {language: share(alarms) for language, alarms in sorted(by_language.items())},
            "false_alarms_by_kind": {kind: share(alarms) for kind, alarms in sorted(calm.items())},
        }
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
    report.finish(measured="all of it")


if __name__ == "__main__":
    main()
