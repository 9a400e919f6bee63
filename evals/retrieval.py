"""The right document found, by the product's own search on its own database, beside plain BM25 in the same run."""

import asyncio
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # metrics are JSON
from uuid import UUID

import platformdirs
from benchmarks.postgres import postgres
from benchmarks.processes import cpu_seconds

from evals.bm25 import BM25
from evals.measured import Folders, Report, Row, Stopwatch, read, share
from frontdesk.core import json
from frontdesk.core.ids import new_id
from frontdesk.db import Database
from frontdesk.db.migrate import migrate
from frontdesk.embedding.minilm import MiniLM
from frontdesk.knowledge.models import Source
from frontdesk.knowledge.service import MAX_RESULTS, Knowledge

PLACES = 10  # that are looked at
ENGLISH = "en"
BANK = "tau2/banking_knowledge"


@dataclass(frozen=True)
class Question:
    text: str
    wanted: frozenset[str]  # names of documents; any of them where one answers, all of them in tau2


class Library:
    """Documents of one kind in a tenant of their own."""

    def __init__(self, knowledge: Knowledge, tenant_id: UUID) -> None:
        self._knowledge = knowledge
        self._tenant_id = tenant_id
        self._names: dict[str, str] = {}

    @classmethod
    async def opened(cls, database: Database, knowledge: Knowledge) -> "Library":
        tenant_id = new_id()
        async with database.scope(tenant_id) as scope:
            await scope.execute(
                "INSERT INTO tenants (id, slug, name, settings) VALUES ($1, $2, $3, $4)",
                tenant_id, f"t{tenant_id.hex}", "Eval", json.dumps_text({}),
            )  # fmt: skip
        return cls(knowledge, tenant_id)

    async def fill(self, documents: Mapping[str, str]) -> int:
        """With these Markdown files; those of the same place before are replaced. How many were refused."""
        self._names = {f"{place}.md": name for place, name in enumerate(documents)}  # a name must not help
        sources = [Source(name, documents[known].encode()) for name, known in self._names.items()]
        report = await self._knowledge.ingest(self._tenant_id, sources)
        return len(report.refused)

    async def ranked(self, query: str) -> list[str]:
        """The first documents, each by its best passage."""
        passages = await self._knowledge.search(self._tenant_id, query, top_k=MAX_RESULTS)
        return list(dict.fromkeys(self._names[passage.document] for passage in passages))[:PLACES]


class Bench:
    """Measures searches, with the CPU time of this process and of the database for each question."""

    def __init__(self, report: Report, database: Database, knowledge: Knowledge, database_pid: int) -> None:
        self._report = report
        self._database = database
        self._knowledge = knowledge
        self._database_pid = database_pid

    async def library(self) -> Library:
        return await Library.opened(self._database, self._knowledge)

    async def measured(
        self, library: Library, documents: Mapping[str, str], questions: Sequence[Question]
    ) -> dict[str, Any]:
        """Beside plain BM25: the right one first, its place, and how many of the wanted are among the first ten."""
        refused = await library.fill(documents)
        before = self._cpu_s()
        ours = await self.asked(library, questions)
        cpu_s = self._cpu_s() - before
        bm25 = BM25(documents)
        plain = [bm25.ranked(question.text, PLACES) for question in questions]
        return {
            "documents": len(documents) - refused,
            "questions": len(questions),
            **_figures(questions, ours),
            "cpu_ms": round(cpu_s / len(questions) * 1000, 1),
            "bm25": _figures(questions, plain),
        }

    async def learnt(
        self, library: Library, rows: Sequence[Row], rounds: Sequence[tuple[list[Question], list[Question]]]
    ) -> dict[str, Any]:
        """Of each round the second questions, when the bank's documents carry those of the first that needed them."""
        questions, ours = [], []
        for known, asked in rounds:
            await library.fill(bank_of(rows, known))
            questions += asked
            ours += await self.asked(library, asked)
        return {"learnt_from": len(rounds[0][0]), "questions": len(questions), **_figures(questions, ours)}

    async def asked(self, library: Library, questions: Sequence[Question]) -> list[list[str]]:
        with Stopwatch(self._report, len(questions)):
            return [await library.ranked(question.text) for question in questions]

    def _cpu_s(self) -> float:
        return time.process_time() + cpu_seconds(self._database_pid)


def _figures(questions: Sequence[Question], ranked: Sequence[Sequence[str]]) -> dict[str, Any]:
    places = [
        next((place for place, name in enumerate(names, 1) if name in question.wanted), None)
        for question, names in zip(questions, ranked, strict=True)
    ]
    found = [
        len(question.wanted.intersection(names)) / len(question.wanted)
        for question, names in zip(questions, ranked, strict=True)
    ]
    return {
        "recall_at_1": share(place == 1 for place in places),
        "mrr_at_10": round(sum(1 / place for place in places if place) / len(places), 4),
        "recall_at_10": round(sum(found) / len(found), 4),
    }


def medquad(rows: Sequence[Row]) -> tuple[dict[str, str], list[Question]]:
    """Answers without what they are about; one that several questions have is right for all of them."""
    documents = {row["id"]: row["answer"] for row in rows}
    alike: dict[str, set[str]] = {}
    for row in rows:
        alike.setdefault(row["answer"], set()).add(row["id"])
    return documents, [Question(row["question"], frozenset(alike[row["answer"]])) for row in rows]


def bank_of(rows: Sequence[Row], known: Sequence[Question] = ()) -> dict[str, str]:
    """The bank's documents as Markdown; in their front matter the questions that are known to have needed them."""
    return {row["id"]: f"{_front(row['id'], known)}# {row['title']}\n\n{row['text']}" for row in rows}


def _front(name: str, known: Sequence[Question]) -> str:
    lines = [f"  - {' '.join(question.text.split())}\n" for question in known if name in question.wanted]
    return f"---\nquestions:\n{''.join(lines)}---\n\n" if lines else ""


def needs_of(tasks: Sequence[Row]) -> list[Question]:
    """The customer's whole story as one question, and every document that solving it takes."""
    return [
        Question(_story(row["user_scenario"].values()), frozenset(row["required_documents"]))
        for row in tasks
        if row.get("required_documents")
    ]


def _story(parts: Iterable[Any]) -> str:
    """The texts of a scenario, which come as one text or as several under names."""
    return "\n".join(_story(part.values()) if isinstance(part, dict) else str(part) for part in parts if part)


async def measure(folders: Folders) -> Report:
    """All of TEST is measured. Nothing is learnt, but for the figures called so."""
    report = Report("retrieval", folders)
    embedder = await asyncio.to_thread(MiniLM.load, Path(platformdirs.user_cache_dir("frontdesk")))
    with tempfile.TemporaryDirectory(prefix="frontdesk-eval-") as folder, postgres(Path(folder) / "pg") as server:
        url = await server.make("frontdesk")
        await migrate(url)
        database = await Database.connect(url)
        bench = Bench(report, database, Knowledge(database, embedder), server.pid)
        try:
            await _all(bench, folders, report.metrics)
        finally:
            await database.close()
    return report


async def _all(bench: Bench, folders: Folders, metrics: dict[str, Any]) -> None:
    if (path := folders.test / "medquad/qa.jsonl").is_file():
        metrics["medquad"] = await bench.measured(await bench.library(), *medquad(read(path)))
    # Both halves have the same documents: only the cases are split.
    held = [folder / f"{BANK}/documents.jsonl" for folder in (folders.test, folders.data)]
    rows = next((read(documents) for documents in held if documents.is_file()), [])
    if rows and (folders.test / f"{BANK}/tasks.jsonl").is_file():
        needs = needs_of(read(folders.test / f"{BANK}/tasks.jsonl"))
        library = await bench.library()
        metrics["tau2"] = await bench.measured(library, bank_of(rows), needs)
        if folders.is_split:  # each half by what the other one teaches
            rounds = [(needs[::2], needs[1::2]), (needs[1::2], needs[::2])]
        elif (folders.data / f"{BANK}/tasks.jsonl").is_file():
            rounds = [(needs_of(read(folders.data / f"{BANK}/tasks.jsonl")), needs)]
        else:
            rounds = []
        if rounds:
            metrics["tau2"]["learnt"] = await bench.learnt(library, rows, rounds)
    if (folders.test / "xquad/passages.jsonl").is_file():
        passages, questions = (read(folders.test / f"xquad/{part}.jsonl") for part in ("passages", "questions"))
        for language in sorted({row["language"] for row in passages}, key=lambda each: (each != ENGLISH, each)):
            texts = {row["id"]: row["text"] for row in passages if row["language"] == language}
            asked = [
                Question(row["question"], frozenset([row["passage"]]))
                for row in questions
                if row["language"] == language
            ]
            mixed_in = bank_of(rows) if language == ENGLISH else {}
            metrics[f"xquad_{language}"] = await bench.measured(await bench.library(), texts | mixed_in, asked)


def main() -> None:
    asyncio.run(measure(Folders.from_arguments(__doc__ or ""))).finish(measured="all of it")


if __name__ == "__main__":
    main()
