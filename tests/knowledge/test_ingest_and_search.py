"""Ingest, search and citations on the real database and the real model."""

from collections.abc import Sequence
from uuid import UUID, uuid4

import numpy as np
import pytest

from frontdesk.core.errors import Invalid, PassageNotFound
from frontdesk.core.limits import Limits
from frontdesk.db import Database
from frontdesk.embedding.minilm import MiniLM
from frontdesk.knowledge.models import IngestReport, Source
from frontdesk.knowledge.service import Knowledge

VISITING = """# Visiting hours

Visitors are welcome from 9:00 to 18:00 every day.

## Children

Children under twelve need an adult with them.

## Intensive care

Two visitors at a time, for fifteen minutes.
"""
INSURANCE = """<html><head><title>Insurance</title></head><body><nav>Home | Contact</nav><main><h1>Insurance</h1>
<p>We accept <b>Aetna</b>, Cigna and the plan XQ-7741.</p><h2>Payment</h2>
<p>Bills can be paid in three parts.</p></main>
<script>track()</script></body></html>"""
BLOOD = "Before a blood test\n\nDo not eat for twelve hours. Water is allowed."

CLINIC = [
    Source("visiting.md", VISITING.encode()),
    Source("insurance.html", INSURANCE.encode()),
    Source("blood-test.txt", BLOOD.encode()),
]


@pytest.fixture(scope="session")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> MiniLM:
    return MiniLM.load(tmp_path_factory.mktemp("models"))


@pytest.fixture
def knowledge(database: Database, embedder: MiniLM) -> Knowledge:
    return Knowledge(database, embedder)


def counts(report: IngestReport) -> tuple[int, int, int, int]:
    return report.added, report.changed, report.unchanged, report.removed


async def word_counts(database: Database, tenant_id: UUID) -> dict[str, int]:
    async with database.scope(tenant_id) as scope:
        rows = await scope.fetch("SELECT word, passages FROM knowledge_words WHERE tenant_id = $1", tenant_id)
    return {row["word"]: row["passages"] for row in rows}


async def test_a_question_finds_the_passage_that_answers_it(knowledge: Knowledge, tenant_id: UUID) -> None:
    await knowledge.ingest(tenant_id, CLINIC)
    for question, document, words in [
        ("When can I visit my mother?", "visiting.md", "9:00 to 18:00"),
        ("may my kids come along", "visiting.md", "twelve"),
        ("which health plans do you take?", "insurance.html", "Aetna"),
        ("can I have breakfast before they take my blood", "blood-test.txt", "twelve hours"),
        ("xq-7741", "insurance.html", "XQ-7741"),
    ]:
        best = (await knowledge.search(tenant_id, question, min_score=-1))[0]
        assert (best.document, words in best.text) == (document, True), question


async def test_passages_carry_title_headings_and_exact_offsets(
    knowledge: Knowledge, database: Database, tenant_id: UUID
) -> None:
    await knowledge.ingest(tenant_id, CLINIC, chunk_tokens=16, chunk_overlap=4)
    passages = await knowledge.search(tenant_id, "visitors", top_k=20, min_score=-1)
    async with database.scope(tenant_id) as scope:
        texts = {row["id"]: row["text"] for row in await scope.fetch("SELECT id, text FROM documents")}
    assert len(passages) >= 6
    for passage in passages:
        assert texts[passage.document_id][passage.start : passage.end] == passage.text
    assert {p.heading for p in passages if p.title == "Visiting hours"} == {
        "Visiting hours",
        "Visiting hours › Children",
        "Visiting hours › Intensive care",
    }


async def test_only_what_changed_is_read_again(knowledge: Knowledge, tenant_id: UUID) -> None:
    assert counts(await knowledge.ingest(tenant_id, CLINIC)) == (3, 0, 0, 0)
    before = await knowledge.search(tenant_id, "insurance", min_score=-1, top_k=20)
    assert counts(await knowledge.ingest(tenant_id, CLINIC)) == (0, 0, 3, 0)
    changed = [Source("blood-test.txt", b"Come to room 12 with an empty stomach."), *CLINIC[:2]]
    report = await knowledge.ingest(tenant_id, changed)
    assert counts(report) == (0, 1, 2, 0)
    assert report.passages == 1
    after = await knowledge.search(tenant_id, "insurance", min_score=-1, top_k=20)
    assert {p.id for p in after if p.document != "blood-test.txt"} == {
        p.id for p in before if p.document != "blood-test.txt"
    }
    assert counts(await knowledge.ingest(tenant_id, changed, chunk_tokens=100)) == (0, 3, 0, 0)


async def test_a_long_document_is_stored_whole_in_order(
    knowledge: Knowledge, database: Database, tenant_id: UUID
) -> None:
    text = "\n\n".join(f"Room {number} is on floor {number // 20}, behind door {number % 7}." for number in range(700))
    report = await knowledge.ingest(tenant_id, [Source("rooms.txt", text.encode())], chunk_tokens=16, chunk_overlap=0)
    assert report.passages > 500
    async with database.scope(tenant_id) as scope:
        rows = await scope.fetch("SELECT place, text FROM passages ORDER BY place")
    assert [row["place"] for row in rows] == list(range(report.passages))
    assert "\n\n".join(row["text"] for row in rows) == text
    assert (await word_counts(database, tenant_id))["room"] == report.passages


async def test_what_is_gone_goes_only_when_asked(knowledge: Knowledge, database: Database, tenant_id: UUID) -> None:
    await knowledge.ingest(tenant_id, CLINIC)
    assert counts(await knowledge.ingest(tenant_id, CLINIC[:1])) == (0, 0, 1, 0)
    assert counts(await knowledge.ingest(tenant_id, CLINIC[:1], prune=True)) == (0, 0, 1, 2)
    assert [d.name for d in await knowledge.documents(tenant_id)] == ["visiting.md"]
    assert "aetna" not in await word_counts(database, tenant_id)
    assert counts(await knowledge.ingest(tenant_id, [], prune=True)) == (0, 0, 0, 1)
    assert await word_counts(database, tenant_id) == {}
    assert await knowledge.search(tenant_id, "visiting hours") == []


async def test_the_words_are_counted_right_whatever_changed(
    knowledge: Knowledge, database: Database, tenant_id: UUID
) -> None:
    await knowledge.ingest(tenant_id, CLINIC)
    await knowledge.ingest(tenant_id, [Source("visiting.md", b"# Hours\n\nClosed."), *CLINIC[1:]])
    await knowledge.ingest(tenant_id, CLINIC[:2], prune=True, chunk_tokens=16, chunk_overlap=0)
    async with database.scope(tenant_id) as scope:
        rows = await scope.fetch(
            "SELECT w.lexeme, count(*) AS passages FROM passages AS p, unnest(p.words) AS w GROUP BY w.lexeme"
        )
        total = await scope.fetchval("SELECT passages FROM knowledge WHERE tenant_id = $1", tenant_id)
        passages = await scope.fetchval("SELECT count(*) FROM passages")
    assert await word_counts(database, tenant_id) == {row["lexeme"]: row["passages"] for row in rows}
    assert total == passages


async def test_a_source_that_is_refused_stops_nothing_and_its_older_version_stays(
    knowledge: Knowledge, tenant_id: UUID
) -> None:
    await knowledge.ingest(tenant_id, CLINIC)
    heard: list[tuple[int, int, str]] = []
    sources = [
        Source("visiting.md", b"%PDF-1.7 \x00\x01"),
        Source("new.md", b"# New\n\nA new document."),
        Source("empty.md", b"  \n"),
        Source("new.md", b"# Twice\n\nThe same name."),
    ]
    report = await knowledge.ingest(tenant_id, sources, progress=lambda *step: heard.append(step))
    assert counts(report) == (1, 0, 0, 0)
    assert [(r.name, word) for r, word in zip(report.refused, ("PDF", "empty", "twice"), strict=True)] == [
        (r.name, word) for r, word in zip(report.refused, ("PDF", "empty", "twice"), strict=True) if word in r.reason
    ]
    assert heard == [(1, 4, "visiting.md"), (2, 4, "new.md"), (3, 4, "empty.md"), (4, 4, "new.md")]
    assert (await knowledge.search(tenant_id, "When can I visit?"))[0].document == "visiting.md"


async def test_documents_beyond_the_limits_are_refused_and_what_is_there_stays(
    knowledge: Knowledge, tenant_id: UUID
) -> None:
    assert counts(await knowledge.ingest(tenant_id, CLINIC[:2], limits=Limits(documents=2))) == (2, 0, 0, 0)
    report = await knowledge.ingest(tenant_id, CLINIC, limits=Limits(documents=2))
    assert [(each.name, "2 documents" in each.reason) for each in report.refused] == [("blood-test.txt", True)]
    changed = Source("visiting.md", VISITING.encode() + b"\n\nBring no flowers.")
    assert counts(await knowledge.ingest(tenant_id, [changed], limits=Limits(documents=2))) == (0, 1, 0, 0)
    # One for another: what goes makes room.
    swapped = await knowledge.ingest(tenant_id, [changed, CLINIC[2]], limits=Limits(documents=2), prune=True)
    assert (counts(swapped), swapped.refused) == ((1, 0, 1, 1), ())
    assert len(await knowledge.documents(tenant_id)) == 2


async def test_text_beyond_the_storage_is_refused_to_the_byte(
    knowledge: Knowledge, database: Database, tenant_id: UUID
) -> None:
    query = """
        INSERT INTO documents (tenant_id, id, name, title, media_type, fingerprint, text)
        VALUES ($1, gen_random_uuid(), 'large.txt', '', 'text/plain', '', $2)
    """
    async with database.scope(tenant_id) as scope:
        await scope.execute(query, tenant_id, "é" * 499_995)
    sources = [Source("over.txt", b"eleven byte"), Source("fits.txt", b"ten bytes."), Source("one.txt", b"x")]
    report = await knowledge.ingest(tenant_id, sources, limits=Limits(storage_mb=1))
    assert [each.name for each in report.refused] == ["over.txt", "one.txt"]


async def test_a_citation_opens_with_what_stands_around_it(knowledge: Knowledge, tenant_id: UUID) -> None:
    await knowledge.ingest(tenant_id, CLINIC)
    found = (await knowledge.search(tenant_id, "Do children need an adult?"))[0]
    assert await knowledge.passage(tenant_id, found.id) == type(found)(
        **{name: getattr(found, name) for name in found.__struct_fields__ if name != "score"}, score=0.0
    )
    excerpt = await knowledge.document_around(tenant_id, found.id, 40)
    assert excerpt.quote == found.text == "Children under twelve need an adult with them."
    assert excerpt.before.endswith("Children\n\n")
    assert excerpt.after.startswith("\n\nIntensive care")
    assert len(excerpt.before) == len(excerpt.after) == 40
    whole = await knowledge.document_around(tenant_id, found.id, 5000)
    assert whole.before.startswith("Visiting hours\n\nVisitors are")
    assert whole.after.endswith("for fifteen minutes.")


async def test_a_passage_of_a_replaced_document_is_not_found(knowledge: Knowledge, tenant_id: UUID) -> None:
    await knowledge.ingest(tenant_id, CLINIC)
    found = (await knowledge.search(tenant_id, "blood test"))[0]
    await knowledge.ingest(tenant_id, [Source("blood-test.txt", b"Closed for the summer.")])
    with pytest.raises(PassageNotFound):
        await knowledge.passage(tenant_id, found.id)
    with pytest.raises(PassageNotFound):
        await knowledge.document_around(tenant_id, uuid4())


async def test_tenants_never_see_each_others_knowledge(
    knowledge: Knowledge, database: Database, tenant_id: UUID, other_tenant_id: UUID
) -> None:
    await knowledge.ingest(tenant_id, CLINIC)
    await knowledge.ingest(other_tenant_id, [Source("visiting.md", b"# Visiting hours\n\nThe zoo opens at ten.")])
    theirs = await knowledge.search(other_tenant_id, "visiting hours of the clinic, Aetna", min_score=-1, top_k=50)
    assert [passage.text for passage in theirs] == ["The zoo opens at ten."]
    mine = (await knowledge.search(tenant_id, "visiting hours"))[0]
    assert mine.document == "visiting.md"
    for attempt in (knowledge.passage, knowledge.document_around):
        with pytest.raises(PassageNotFound):
            await attempt(other_tenant_id, mine.id)
    assert [d.title for d in await knowledge.documents(other_tenant_id)] == ["Visiting hours"]
    assert "aetna" not in await word_counts(database, other_tenant_id)
    assert counts(await knowledge.ingest(other_tenant_id, [], prune=True)) == (0, 0, 0, 1)
    assert len(await knowledge.documents(tenant_id)) == 3


async def test_documents_are_listed_by_name_a_page_at_a_time(knowledge: Knowledge, tenant_id: UUID) -> None:
    await knowledge.ingest(tenant_id, CLINIC)
    first = await knowledge.documents(tenant_id, limit=2)
    assert [d.name for d in first] == ["blood-test.txt", "insurance.html"]
    second = await knowledge.documents(tenant_id, limit=2, cursor=first[-1].name)
    assert [(d.name, d.title, d.media_type) for d in second] == [("visiting.md", "Visiting hours", "text/markdown")]


async def test_what_is_unlike_anything_known_finds_nothing(knowledge: Knowledge, tenant_id: UUID) -> None:
    assert await knowledge.search(tenant_id, "anything before the first document") == []
    await knowledge.ingest(tenant_id, CLINIC)
    assert await knowledge.search(tenant_id, "quantum chromodynamics of gluons") == []
    assert await knowledge.search(tenant_id, " \n ") == []


async def test_what_has_most_of_the_words_is_found_however_unlike(knowledge: Knowledge, tenant_id: UUID) -> None:
    await knowledge.ingest(tenant_id, CLINIC)
    passages = await knowledge.search(tenant_id, "Cigna xq-7741 Aetna", min_score=0.99)
    assert [passage.document for passage in passages] == ["insurance.html"]


async def test_in_a_script_that_the_model_does_not_know_words_decide(knowledge: Knowledge, tenant_id: UUID) -> None:
    question = "هل يوجد موقف مجاني عندكم"
    letters = " ".join(word[::-1] for word in question.split())  # to the model nearly the same, and no word of it
    answer = "Behind the house there is a car park (موقف مجاني); please ask for a ticket at the reception desk."
    await knowledge.ingest(tenant_id, [Source("letters.txt", letters.encode()), Source("answer.txt", answer.encode())])
    found = await knowledge.search(tenant_id, question, min_score=-1)
    assert found[0].document == "answer.txt" and found[0].score < found[1].score


async def test_a_document_is_found_by_a_question_that_it_says_it_answers(
    knowledge: Knowledge, database: Database, tenant_id: UUID, other_tenant_id: UUID
) -> None:
    asked = "My aunt arrives from abroad at midnight, will anybody let her in?"
    front = f"---\nquestions:\n  - When do you open?\n  - {asked}\n---\n"
    await knowledge.ingest(tenant_id, [Source("visiting.md", (front + VISITING).encode()), *CLINIC[1:]])
    await knowledge.ingest(other_tenant_id, CLINIC)
    best = (await knowledge.search(tenant_id, asked.replace("aunt", "uncle")))[0]
    assert best.document == "visiting.md" and best.score > 0.9 and asked not in best.text
    assert (await knowledge.search(other_tenant_id, asked, min_score=-1))[0].score < 0.5
    await knowledge.ingest(tenant_id, CLINIC)
    assert (await knowledge.search(tenant_id, asked, min_score=-1))[0].score < 0.5
    async with database.scope(tenant_id) as scope:
        assert await scope.fetchval("SELECT count(*) FROM passage_questions") == 0


@pytest.mark.parametrize(
    "query",
    [
        "'); DROP TABLE passages; --",
        "a & b | !c <-> 'd",
        "\x00 visit \ud800",
        "\\' \\\\ :* ():",
        "visit " * 5000,
        "💉🩸",
    ],
)
async def test_hostile_queries_are_just_words(knowledge: Knowledge, tenant_id: UUID, query: str) -> None:
    hostile = Source("quotes.md", b"# It's \\ 'quoted' | & ! C:\\temp\\x http://a.b/c?d='e' o'clock")
    await knowledge.ingest(tenant_id, [*CLINIC, hostile])
    assert len(await knowledge.search(tenant_id, query + " o'clock http://a.b/c?d='e' C:\\temp", min_score=-1)) == 5


async def test_words_count_without_accents_and_in_scripts_without_spaces(knowledge: Knowledge, tenant_id: UUID) -> None:
    sources = [
        Source("es.md", "# Citas\n\nLas citas de cardiología se piden por teléfono.".encode()),
        Source("es2.md", b"# Horarios\n\nLas visitas son de nueve a seis."),
        Source("zh.md", "# 探视\n\n重症监护室每天下午三点开放。".encode()),
        Source("zh2.md", "# 保险\n\n我们接受多种医疗保险。".encode()),
    ]
    await knowledge.ingest(tenant_id, sources)
    for query, document in [("cardiologia telefono", "es.md"), ("重症监护室什么时候开放", "zh.md")]:
        assert (await knowledge.search(tenant_id, query, min_score=-1))[0].document == document


async def test_chunk_sizes_out_of_range_are_refused(knowledge: Knowledge, tenant_id: UUID) -> None:
    for tokens, overlap in [(5, 0), (500, 0), (100, 80), (100, -1)]:
        with pytest.raises(Invalid, match="chunk_"):
            await knowledge.ingest(tenant_id, CLINIC, chunk_tokens=tokens, chunk_overlap=overlap)


async def many_passages(database: Database, tenant_id: UUID, vectors: Sequence[np.ndarray]) -> None:
    """A tenant with a passage for each vector, without the work of a real ingest."""
    async with database.scope(tenant_id) as scope:
        document_id = uuid4()
        await scope.execute(
            "INSERT INTO documents (tenant_id, id, name, title, media_type, fingerprint, text) "
            "VALUES ($1, $2, 'all', 'All', 'text/plain', '', '')",
            tenant_id, document_id,
        )  # fmt: skip
        query = """
            INSERT INTO passages (tenant_id, id, document_id, place, heading, start_at, end_at, text, embedding, words)
            SELECT $1, gen_random_uuid(), $2, n.place, '', 0, 0, n.place::text, n.vector::halfvec, to_tsvector('visit')
              FROM unnest($3::text[], $4::int[]) AS n (vector, place)
        """
        for start in range(0, len(vectors), 500):  # each well below a statement's time limit
            part = vectors[start : start + 500]
            places = list(range(start + 1, start + len(part) + 1))
            await scope.execute(query, tenant_id, document_id, [str(vector.tolist()) for vector in part], places)
        await scope.execute(
            "INSERT INTO knowledge (tenant_id, version, passages) VALUES ($1, 1, $2)", tenant_id, len(vectors)
        )


async def test_a_small_tenant_among_large_ones_gets_its_best_and_a_large_one_too(
    knowledge: Knowledge, database: Database, embedder: MiniLM, tenant_id: UUID, other_tenant_id: UUID
) -> None:
    await knowledge.ingest(tenant_id, CLINIC)
    query = "When are visitors welcome?"
    alone = await knowledge.search(tenant_id, query, top_k=4, min_score=-1)
    # Six thousand of another tenant, each nearer to the query than anything of the small one.
    target = (await embedder.embed([query]))[0]
    noise = np.random.default_rng(7).normal(0, 0.02, (6000, 384)).astype(np.float32)
    crowd = (target + noise) / np.linalg.norm(target + noise, axis=1, keepdims=True)
    await many_passages(database, other_tenant_id, list(crowd.astype(np.float16)))
    assert await knowledge.search(tenant_id, query, top_k=4, min_score=-1) == alone
    exact = set(np.argsort(-(crowd @ target))[:10] + 1)
    found = await knowledge.search(other_tenant_id, query, top_k=10, min_score=-1)
    assert len({int(passage.text) for passage in found} & exact) >= 8


async def test_tokens_are_counted_as_the_model_counts_them(embedder: MiniLM) -> None:
    assert embedder.count_tokens("visiting hours") == 2
