"""The classifier: fitted in its own process, served by numpy, calibrated, and strict about what it loads."""

import asyncio
import subprocess
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import Invalid
from frontdesk.db import Database
from frontdesk.embedding import DIMENSIONS, Vectors
from frontdesk.embedding.minilm import MiniLM
from frontdesk.supervisor.classifier import Classifier, ClassifierDamaged, Scored, likeness
from frontdesk.supervisor.fit import Example, FitFailed, fingerprint, fit, labels_of, order_of, spoken
from frontdesk.supervisor.fitting import fitted
from frontdesk.supervisor.store import classifier, classifier_fingerprint, put_classifier
from frontdesk.supervisor.vectorise import grams

EXAMPLES: list[Example] = [
    ("I want to book an appointment with a doctor", "appointments"),
    ("Can I come in next Friday afternoon?", "appointments"),
    ("Please move my appointment to Monday", "appointments"),
    ("I have to cancel my visit tomorrow", "appointments"),
    ("Is Dr Reyes free on Thursday morning?", "appointments"),
    ("How much does a consultation cost?", "billing"),
    ("I was charged twice on my bill", "billing"),
    ("Does my insurance cover an MRI?", "billing"),
    ("Can I pay my invoice by card?", "billing"),
    ("I want a refund for the last payment", "billing"),
    ("What are the visiting hours?", "general_info"),
    ("Where can I park the car?", "general_info"),
    ("Which floor is the laboratory on?", "general_info"),
    ("Is the clinic open on Sundays?", "general_info"),
    ("What is your phone number?", "general_info"),
]


@pytest.fixture(scope="module")
def embedder(models: Path) -> MiniLM:
    return MiniLM.load(models)


class Desk:
    """Fits and asks as the supervisor does."""

    def __init__(self, embedder: MiniLM) -> None:
        self._embedder = embedder

    async def body(self, examples: Sequence[Example]) -> bytes:
        return await fit(examples, await self._embedder.embed([text for text, _ in examples]), self._embedder)

    async def taught(self, examples: Sequence[Example]) -> Classifier:
        return Classifier.load(await self.body(examples))

    async def asked(self, classifier: Classifier, *texts: str) -> list[Scored]:
        return classifier.score(texts, await self._embedder.embed(texts))


@pytest.fixture(scope="module")
def desk(embedder: MiniLM) -> Desk:
    return Desk(embedder)


@pytest.fixture(scope="module")
async def clinic(desk: Desk) -> Classifier:
    return await desk.taught(EXAMPLES)


def best(scored: Scored) -> str:
    return next(iter(scored.probabilities))


def nameless(examples: Sequence[Example]) -> Vectors:
    """Names of labels that say nothing: vectors unlike any other."""
    return random_vectors(len(labels_of(examples)), seed=1)


def random_vectors(count: int, seed: int = 0) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(count, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("could I see the doctor on Wednesday?", "appointments"),
        ("cancle my apointment pls", "appointments"),
        ("there is a mistake in the bill you sent me", "billing"),
        ("at what time can people visit my mother?", "general_info"),
    ],
)
async def test_five_examples_an_agent_are_enough_for_messages_in_other_words(
    desk: Desk, clinic: Classifier, text: str, label: str
) -> None:
    (scored,) = await desk.asked(clinic, text)
    assert best(scored) == label
    assert scored.in_scope > 0.5


@pytest.mark.parametrize("text", ["who won the world cup in 1998", "write me a poem about the sea", "", "🩺", "\x00"])
async def test_what_no_agent_is_for_is_out_of_scope(desk: Desk, clinic: Classifier, text: str) -> None:
    (scored,) = await desk.asked(clinic, text)
    assert scored.in_scope < 0.5


async def test_an_example_itself_is_sure_and_its_own_nearest(desk: Desk, clinic: Classifier) -> None:
    text, label = EXAMPLES[5]
    (scored,) = await desk.asked(clinic, text)
    assert scored.nearest[0][:2] == (text, label)
    assert scored.nearest[0][2] == pytest.approx(1, abs=0.01)
    assert best(scored) == label
    assert scored.in_scope > 0.9


async def test_probabilities_are_ordered_sum_to_one_and_name_the_labels(desk: Desk, clinic: Classifier) -> None:
    (scored,) = await desk.asked(clinic, "how much is the parking?")
    values = list(scored.probabilities.values())
    assert values == sorted(values, reverse=True)
    assert sum(values) == pytest.approx(1, abs=1e-5)
    assert set(scored.probabilities) == set(clinic.labels) == {"appointments", "billing", "general_info"}
    cosines = [cosine for _, _, cosine in scored.nearest]
    assert len(cosines) == 5
    assert cosines == sorted(cosines, reverse=True)


async def test_texts_asked_together_score_as_when_asked_alone(desk: Desk, clinic: Classifier) -> None:
    texts = ["book a visit", "refund please", "parking?"]
    together = await desk.asked(clinic, *texts)
    alone = [(await desk.asked(clinic, text))[0] for text in texts]
    for one, other in zip(together, alone, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)


async def test_what_a_label_is_called_tells_what_it_is_for_and_is_no_example(desk: Desk) -> None:
    examples = [("The red one please", "bicycle_repair"), ("It should be blue", "piano_lessons")]
    taught = await desk.taught(examples)
    for text, label in (("my bike is broken", "bicycle_repair"), ("learn to play an instrument", "piano_lessons")):
        (scored,) = await desk.asked(taught, text)
        assert best(scored) == label
        assert {example for example, _, _ in scored.nearest} == {example for example, _ in examples}


@pytest.mark.parametrize(
    ("label", "words"), [("card_arrival", "card arrival"), ("STORE-Hours", "store hours"), ("é", "é"), ("__", "__")]
)
def test_names_of_labels_are_read_as_words(label: str, words: str) -> None:
    assert spoken(label) == words


async def test_a_text_with_several_labels_has_several_likely_ones(desk: Desk) -> None:
    examples = [
        (text, label)
        for what in ("card", "account", "loan", "transfer", "pin")
        for text, labels in (
            (f"cancel my {what}", ("cancel", what)),
            (f"I'd like to cancel the {what}", ("cancel", what)),
            (f"open a new {what}", ("open", what)),
            (f"how do I open a {what}?", ("open", what)),
            (f"the {what}", (what,)),
        )
        for label in labels
    ]
    (scored,) = await desk.asked(await desk.taught(examples), "please cancel this card")
    assert {label for label, chance in scored.independent.items() if chance > 0.5} == {"card", "cancel"}


async def test_examples_of_no_label_keep_what_is_like_them_out_of_scope(desk: Desk, clinic: Classifier) -> None:
    text = "Where can I buy a new car?"
    learnt = [("Where can I sell my car?", ""), ("Which car should I buy?", ""), ("I want to buy a car", "")]
    (before,) = await desk.asked(clinic, text)
    (after,) = await desk.asked(await desk.taught([*EXAMPLES, *learnt]), text)
    assert after.in_scope < before.in_scope


@pytest.mark.parametrize(
    "examples",
    [
        [],
        [("hello", "greeting")],
        [("hello", "")],
        [("hello", "a"), ("hello", "b")],
        [("", "a"), ("", "a"), ("x", "b")],
        [("book a visit", "a"), ("pay a bill", "b")],
    ],
)
async def test_a_classifier_of_hardly_any_examples_answers(desk: Desk, examples: list[Example]) -> None:
    fitted_on = await desk.taught(examples)
    (scored,) = await desk.asked(fitted_on, "book a visit please")
    assert set(scored.probabilities) == {label for _, label in examples if label}
    assert 0 <= scored.in_scope <= 1


async def test_the_body_is_the_same_whatever_the_order_of_the_examples(desk: Desk) -> None:
    assert await desk.body(EXAMPLES) == await desk.body(EXAMPLES[::-1])


async def test_its_server_part_loads_neither_scipy_nor_scikit_learn() -> None:
    program = (
        "import sys, frontdesk.supervisor.fit, frontdesk.supervisor.classifier;"
        "sys.exit(any(name.split('.')[0] in ('scipy', 'sklearn') for name in sys.modules))"
    )
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program], check=False)
    assert done.returncode == 0


def test_scores_of_examples_left_out_are_those_of_a_classifier_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The closed form against the definition, for one example and for a whole label."""
    from frontdesk.supervisor import fitting
    from frontdesk.supervisor.spelling import grams_of, spelling_of

    rng = np.random.default_rng(1)
    texts = [f"word{rng.integers(9)} and word{rng.integers(9)} of {place}" for place in range(40)]
    vectors, grams_there = random_vectors(40), grams_of(texts)
    targets = np.eye(4, dtype=np.float32)[np.arange(40) % 4]
    spelling = spelling_of(grams_there, 1, 10_000)

    def machine(rows: np.ndarray) -> object:
        return fitting._Machine(vectors[rows], [grams_there[row] for row in rows], spelling, 2.5, targets[rows])

    whole, left = machine(np.arange(40)), np.arange(36, 40)
    without = machine(np.arange(36))
    alike = likeness(vectors[left] @ vectors[:36].T, 2.5)
    spelt = fitting._matrix([grams_there[row] for row in left], spelling) @ without.spelt
    assert whole.left_out(left) == pytest.approx(alike @ without.weights + spelt, abs=1e-4)
    assert whole.each_left_out()[[39]] == pytest.approx(whole.left_out(np.array([39])), abs=1e-4)


def test_a_served_score_is_that_of_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """An example scores when served what its target is, less the ridge's share: (K + ridge) weights = targets."""
    from frontdesk.supervisor import fitting

    monkeypatch.setattr(fitting, "RIDGE", 1e-3)
    vectors = random_vectors(len(EXAMPLES))
    body = fitted(order_of(EXAMPLES, vectors, nameless(EXAMPLES)))
    (scored,) = Classifier(body).score([EXAMPLES[2][0]], vectors[[2]])
    sharpness, constant = body.calibration.several
    assert scored.independent[EXAMPLES[2][1]] == pytest.approx(1 / (1 + np.exp(-sharpness - constant)), abs=0.02)


def test_more_examples_than_can_be_learnt_from_are_taken_evenly_from_the_labels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("frontdesk.supervisor.fitting.MOST_LEARNT", 30)
    examples = [
        (f"{label} number {place}", label) for label, size in (("a", 80), ("b", 15), ("c", 9)) for place in range(size)
    ]
    body = fitted(order_of(examples, random_vectors(len(examples)), nameless(examples)))
    assert sorted(np.bincount(body.example_labels)) == [9, 10, 11]


@pytest.mark.parametrize(
    "damage",
    [
        lambda body: b"",
        lambda body: b"nonsense",
        lambda body: body[:-20],
        lambda body: body[:50] + bytes([body[50] ^ 255]) + body[51:],
        lambda body: zlib.compress(b"nonsense"),
        lambda body: zlib.compress(msgspec.msgpack.encode([99])),
        lambda body: zlib.compress(bytes(100 * 2**20)),
    ],
)
def test_bytes_that_are_no_classifier_are_refused(damage: Callable[[bytes], bytes]) -> None:
    body = fitted(order_of(EXAMPLES, random_vectors(len(EXAMPLES)), nameless(EXAMPLES))).packed()
    with pytest.raises(ClassifierDamaged):
        Classifier.load(damage(body))


@given(place=st.integers(0, 10), junk=st.binary(max_size=40))
def test_a_body_with_a_part_replaced_is_refused_or_answers(place: int, junk: bytes) -> None:
    examples = EXAMPLES[:6]
    parts = msgspec.msgpack.decode(
        msgspec.msgpack.encode(fitted(order_of(examples, random_vectors(6), nameless(examples))))
    )
    parts[place] = junk
    try:
        loaded = Classifier.load(zlib.compress(msgspec.msgpack.encode(parts)))
    except ClassifierDamaged:
        return
    loaded.score(["hello"], random_vectors(1))


def test_the_fingerprint_tells_examples_and_embedders_apart_but_not_their_order() -> None:
    assert fingerprint(EXAMPLES, "m") == fingerprint([*EXAMPLES[::-1], EXAMPLES[0]], "m")
    assert len({fingerprint(EXAMPLES, "m"), fingerprint(EXAMPLES, "n"), fingerprint(EXAMPLES[1:], "m")}) == 3


async def test_too_many_examples_are_refused_before_anything_is_started(embedder: MiniLM) -> None:
    examples = [(f"text {place}", "a") for place in range(20_001)]
    with pytest.raises(Invalid, match="20000"):
        await fit(examples, np.zeros((20_001, DIMENSIONS), np.float32), embedder)


async def test_vectors_that_are_no_numbers_fail_with_a_sentence(embedder: MiniLM) -> None:
    with pytest.raises(FitFailed, match="could not be fitted"):
        await fit(EXAMPLES, np.full((len(EXAMPLES), DIMENSIONS), np.nan, np.float32), embedder)


@given(st.text(max_size=300))
def test_grams_of_any_text_are_sorted_and_distinct(text: str) -> None:
    hashes, counts = grams(text)
    assert len(hashes) == len(counts)
    assert (np.diff(hashes.astype(np.int64)) > 0).all()
    assert (counts > 0).all()


def test_grams_do_not_depend_on_case_or_compatibility_forms() -> None:
    for one, other in (("Book a VISIT", "book a visit"), ("ﬁne", "fine"), ("Straße", "STRASSE")):
        assert grams(one)[0].tolist() == grams(other)[0].tolist()


async def test_each_tenant_has_its_own_classifier_and_the_newest_alone(
    database: Database, tenant_id: UUID, other_tenant_id: UUID
) -> None:
    async with database.scope(tenant_id) as scope:
        assert await classifier(scope) is None
        await put_classifier(scope, "first", b"1")
        await put_classifier(scope, "second", b"2")
        assert await classifier(scope) == ("second", b"2")
        assert await classifier_fingerprint(scope) == "second"
    async with database.scope(other_tenant_id) as scope:
        assert await classifier(scope) is None
        assert await classifier_fingerprint(scope) is None


async def test_fitting_that_is_given_up_leaves_no_process(embedder: MiniLM) -> None:
    examples = [(f"text number {place} {place % 7}", str(place % 40)) for place in range(4_000)]
    running = asyncio.create_task(fit(examples, random_vectors(4_000), embedder))
    while not (children := _children()):
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not (_children() & children)


def _children() -> set[int]:
    import psutil

    return {
        child.pid
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE and "frontdesk.supervisor.fitting" in " ".join(child.cmdline())
    }
