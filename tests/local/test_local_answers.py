"""What `local` quotes and what it does not: the right sentence, the contact's language, nothing beside the point."""

from typing import Any

import pytest

from frontdesk.embedding.minilm import MiniLM
from frontdesk.llm.providers.local.answer import extract_answer, names_in
from frontdesk.llm.providers.local.language import language_of
from frontdesk.llm.providers.local.passages import Passage, passages_of
from frontdesk.llm.providers.local.questions import question_in
from frontdesk.llm.slots.contacts import find_phones

INSURANCE = Passage(1, "Insurance", "Insurance › Direct billing",
                    "We accept these insurers: Aurelia Health and Civic Care.", 0.56)  # fmt: skip
OTHERS = Passage(2, "Insurance", "Insurance › Other insurers", "Most insurers pay back within three weeks.", 0.54)
PRICES = Passage(3, "Insurance", "Insurance › Without insurance", "A consultation costs 65 euros.", 0.47)
MRI = Passage(4, "Imaging", "Imaging › MRI", "An MRI uses a strong magnet. The examination takes 20 minutes.", 0.5)
PICTURES = Passage(5, "Preparing for an MRI", "Preparing for an MRI › Results",
                   "You can get the pictures on a USB stick for 10 euros.", 0.59)  # fmt: skip
GERMAN = Passage(6, "Versicherung", "Versicherung", "Wir rechnen mit Aurelia Health und Civic Care direkt ab, und Sie "
                 "zahlen nur den Anteil, der auf der Rechnung steht.", 0.6)  # fmt: skip
PASSAGES = [INSURANCE, OTHERS, PRICES, MRI, PICTURES, GERMAN]


async def quoted(question: str, minilm: MiniLM, language: str = "en") -> str | None:
    found = await extract_answer(question, PASSAGES, minilm.embed, language)
    return found.text if found else None


async def test_the_sentence_that_answers_is_quoted_and_its_neighbour_is_not(minilm: MiniLM) -> None:
    answer = await quoted("Which insurers do you accept?", minilm)
    assert answer == "We accept these insurers: Aurelia Health and Civic Care. [1]"


@pytest.mark.parametrize("question", ["How much does an MRI cost?", "how much is an mri", "What does a CT scan cost?"])
async def test_the_price_of_another_thing_is_no_answer(minilm: MiniLM, question: str) -> None:
    assert await quoted(question, minilm) is None


async def test_what_is_named_is_spoken_of(minilm: MiniLM) -> None:
    assert await quoted("How long does an MRI take?", minilm) == "The examination takes 20 minutes. [4]"
    assert await quoted("What does a consultation cost?", minilm) == "A consultation costs 65 euros. [3]"


async def test_passages_in_the_contacts_language_go_first(minilm: MiniLM) -> None:
    answer = await quoted("Mit welcher Versicherung rechnen Sie direkt ab?", minilm, "de")
    assert answer is not None
    assert answer.startswith("Wir rechnen mit Aurelia Health")
    assert "[1]" not in answer


def test_names_are_what_documents_write_as_names_and_abbreviations() -> None:
    assert names_in("do you take aurelia?", PASSAGES) == {"aurelia"}
    assert names_in("How much is a PET scan?", PASSAGES) == {"pet"}
    assert names_in("WHERE CAN I PARK", PASSAGES) == set()


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("This traffic is killing me, where do I park?", "where do I park?"),
        ("I don't have chest pain, just want to know the visiting hours", "just want to know the visiting hours"),
        ("Estoy en la puerta. ¿Dónde puedo aparcar?", "¿Dónde puedo aparcar?"),
        ("Where do I park?", None),
        ("I am here, really?", None),
        ("I lost my scarf.", None),
        ("", None),
    ],
)
def test_the_question_in_a_message(text: str, question: str | None) -> None:
    assert question_in(text) == question


@pytest.mark.parametrize(
    ("text", "language"),
    [("You are welcome to visit the ward with your family", "en"), ("Los domingos y festivos está cerrada para todos "
     "los pacientes de la clínica", "es"), ("Die Klinik ist an Sonntagen und Feiertagen für alle geschlossen, bitte "
     "rufen Sie die Nummer auf der Karte an", "de"), ("14:00, 16:00", None), ("", None)],
)  # fmt: skip
def test_the_language_of_a_passage(text: str, language: str | None) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    ("text", "found"),
    [("my number is 020 555 0188", True), ("call me on 020 555 0188", True), ("mi teléfono es 020 555 0188", True),
     ("invoice 020 555 0188", False), ("my number is 12345", False)],
)  # fmt: skip
def test_a_number_that_is_said_to_be_one_to_call_counts(text: str, found: bool) -> None:
    assert bool(find_phones(text, "en")) is found


@pytest.mark.parametrize("result", [{}, {"passages": None}, {"passages": [{"ref": "1"}, 3]}])
def test_what_is_no_passage_is_left_out(result: dict[str, Any]) -> None:
    assert passages_of(result) == []
