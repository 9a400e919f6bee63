"""What the vector index misses: nearest passages of large tenants by the product's search, beside all compared."""

import asyncio
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any  # metrics are JSON
from uuid import UUID

import asyncpg
import numpy as np
import platformdirs
from benchmarks.postgres import postgres
from benchmarks.processes import cpu_seconds

from evals.measured import Folders, Report, Stopwatch, read
from evals.retrieval import BANK, ENGLISH, bank_of
from frontdesk.core import json
from frontdesk.core.ids import new_id
from frontdesk.db import Database
from frontdesk.db.migrate import migrate
from frontdesk.embedding import Vectors
from frontdesk.embedding.minilm import MiniLM
from frontdesk.knowledge import store
from frontdesk.knowledge.models import Source
from frontdesk.knowledge.service import Knowledge

NEAREST = 10
QUESTIONS = 200
# Small pieces: so the public texts make some 20,000 passages. The second tenant has its share of the same index.
CHUNKS = {"large": 24, "beside it": 64}
OVERLAP = 8


def texts_of(data: Path) -> dict[str, str]:
    texts = {f"medquad/{place}.txt": row["answer"] for place, row in enumerate(read(data / "medquad/qa.jsonl"))}
    bank = bank_of(read(data / f"{BANK}/documents.jsonl"))
    texts |= {f"bank/{place}.md": text for place, text in enumerate(bank.values())}
    passages = [row["text"] for row in read(data / "xquad/passages.jsonl") if row["language"] == ENGLISH]
    return texts | {f"xquad/{place}.txt": text for place, text in enumerate(passages)}


async def filled(database: Database, knowledge: Knowledge, texts: Mapping[str, str], chunk_tokens: int) -> UUID:
    tenant_id = new_id()
    async with database.scope(tenant_id) as scope:
        await scope.execute(
            "INSERT INTO tenants (id, slug, name, settings) VALUES ($1, $2, $3, $4)",
            tenant_id, f"t{tenant_id.hex}", "Eval", json.dumps_text({}),
        )  # fmt: skip
    sources = [Source(name, text.encode()) for name, text in texts.items()]
    await knowledge.ingest(tenant_id, sources, chunk_tokens=chunk_tokens, chunk_overlap=OVERLAP)
    return tenant_id


async def recall(database: Database, owner: Any, tenant_id: UUID, vectors: Sequence[Vectors]) -> dict[str, Any]:
    """Of the ten nearest of each question, how many the search finds when it is given no words."""
    query = "SELECT id, embedding::text AS embedding FROM passages WHERE tenant_id = $1"
    rows = await owner.fetch(query, tenant_id)
    all_vectors = np.array([json.loads(row["embedding"]) for row in rows], np.float32)
    shares = []
    for vector in vectors:
        likeness = all_vectors @ vector
        least = np.sort(likeness)[-NEAREST] - 1e-3  # half precision: equals may change places
        near = {rows[at]["id"] for at in np.flatnonzero(likeness >= least)}
        async with database.scope(tenant_id) as scope:
            found = await store.search(scope, "", vector, -1.0, NEAREST)
        shares.append(len(near.intersection(passage.id for passage in found)) / NEAREST)
    return {
        "passages": len(rows),
        "recall_at_10": round(float(np.mean(shares)), 4),
        "worst_question": round(float(min(shares)), 2),
    }


async def measure(folders: Folders) -> Report:
    report = Report("nearest", folders)
    embedder = await asyncio.to_thread(MiniLM.load, Path(platformdirs.user_cache_dir("frontdesk")))
    texts = texts_of(folders.test)
    questions = [row["question"] for row in read(folders.test / "medquad/qa.jsonl")][:: 1 + 1000 // QUESTIONS]
    vectors = list(await embedder.embed(questions))
    with tempfile.TemporaryDirectory(prefix="frontdesk-eval-") as folder, postgres(Path(folder) / "pg") as server:
        url = await server.make("frontdesk")
        await migrate(url)
        database, owner = await Database.connect(url), await asyncpg.connect(url)
        knowledge = Knowledge(database, embedder)
        try:
            tenants = {name: await filled(database, knowledge, texts, tokens) for name, tokens in CHUNKS.items()}
            for name, tenant_id in tenants.items():
                report.metrics[name] = await recall(database, owner, tenant_id, vectors)
                before = time.process_time() + cpu_seconds(server.pid)
                with Stopwatch(report, len(questions)):
                    for question, vector in zip(questions, vectors, strict=True):
                        await knowledge.search(tenant_id, question, vector=vector)
                cpu_s = time.process_time() + cpu_seconds(server.pid) - before
                report.metrics[name]["search_cpu_ms"] = round(cpu_s / len(questions) * 1000, 1)
        finally:
            await owner.close()
            await database.close()
    return report


def main() -> None:
    asyncio.run(measure(Folders.from_arguments(__doc__ or ""))).finish(measured="all of it")


if __name__ == "__main__":
    main()
