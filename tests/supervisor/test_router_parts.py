"""Parts of a message, picks, a model's verdict, the language of a message: whatever people and models say."""

import json
import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.agents.models import Agent, Definitions, Tenant, TenantSettings
from frontdesk.llm.types import Message, Role
from frontdesk.supervisor import texts
from frontdesk.supervisor.asking import MOST_INTENTS, Verdict, routing_request, schema, verdict_of
from frontdesk.supervisor.clauses import LEAST_WORDS, MOST_PARTS, clauses
from frontdesk.supervisor.language import Languages
from frontdesk.supervisor.picking import picked

LANGUAGES = ("en", "es", "de", "fr", "pt", "id")
NAMES, TITLES = ("billing", "test_preparation", "info"), ("Billing", "Preparing for a test", "General information")
DEFINITIONS = Definitions(
    Tenant(UUID(int=1), "acme", "Acme", 1, TenantSettings()),
    {name: Agent(name, title, "Does it.") for name, title in zip(NAMES, TITLES, strict=True)},
    {},
    {},
    {},
)
JOINTS = {
    "and", "also", "plus", "y", "también", "además", "und", "außerdem", "et", "aussi", "e", "além", "disso", "dan",
    "juga", "serta",
}  # fmt: skip

WORDS = "I want a visit and also what costs it? no. Dr. Lee 2.30 , ; y además cita! ¿cuánto? - … dan juga"
messages = st.lists(st.sampled_from([*WORDS.split(), "\n"]) | st.text(max_size=6), max_size=40).map(" ".join)


# Clauses


@given(messages)
def test_parts_lose_no_word_but_the_ones_that_join_them(message: str) -> None:
    parts = clauses(message)
    assert 1 <= len(parts) <= MOST_PARTS
    said = iter(re.findall(r"\w+", message))
    for word in re.findall(r"\w+", " ".join(parts)):
        lost = []
        while (before := next(said)) != word:
            lost.append(before)
        assert {each.lower() for each in lost} <= JOINTS
    assert {each.lower() for each in said} <= JOINTS


@given(messages)
def test_what_is_one_part_is_the_message(message: str) -> None:
    parts = clauses(message)
    if len(parts) == 1:
        assert parts == [message.strip()]


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ("I want to book a visit and what does it cost", ["I want to book a visit", "what does it cost"]),
        ("The old black and white photo", ["The old black and white photo"]),
        ("Dr. Lee at 2.30 please", ["Dr. Lee at 2.30 please"]),
        ("Where are you? I need a visit.", ["Where are you?", "I need a visit."]),
        ("Quiero una cita y también cuánto cuesta todo", ["Quiero una cita", "cuánto cuesta todo"]),
        ("Ich brauche einen Termin und wo kann ich parken", ["Ich brauche einen Termin", "wo kann ich parken"]),
        ("Saya mau janji temu dan juga berapa biaya konsultasi", ["Saya mau janji temu", "berapa biaya konsultasi"]),
        ("", [""]),
    ],
)
def test_wishes_are_told_apart(message: str, parts: list[str]) -> None:
    assert clauses(message) == parts


def test_a_joint_needs_enough_on_both_sides() -> None:
    few = " ".join(["word"] * (LEAST_WORDS - 1))
    assert clauses(f"{few} and word word word") == [f"{few} and word word word"]


# Picks


@pytest.mark.parametrize(
    ("said", "places"),
    [
        ("the first one", [0]), ("2", [1]), ("la tercera", [2]), ("der zweite bitte", [1]), ("yang pertama", [0]),
        ("billing", [0]), ("Preparing for a test", [1]), ("the general information", [2]), ("biling", [0]),
        ("both", [0, 1, 2]), ("semua", [0, 1, 2]), ("none of that", []), ("", []), ("???", []),
        ("I would much rather know where I can park my car today", []),
    ],
)  # fmt: skip
def test_a_pick_is_understood_or_none(said: str, places: list[int]) -> None:
    assert picked(said, NAMES, TITLES) == places


@given(st.text(max_size=60), st.integers(1, 3))
def test_a_pick_is_always_among_the_options(said: str, count: int) -> None:
    places = picked(said, NAMES[:count], TITLES[:count])
    assert len(set(places)) == len(places)
    assert all(0 <= place < count for place in places)


@given(st.sampled_from(TITLES))
def test_a_title_as_it_was_shown_is_its_pick(title: str) -> None:
    assert picked(title, NAMES, TITLES) == [TITLES.index(title)]


# Verdicts

values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20) | st.sampled_from(NAMES),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["intents", "agent", "query", "confidence", "unclear", "question"]) | st.text(max_size=5),
            inner,
        )
    ),
    max_leaves=25,
)


def check(verdict: Verdict | None) -> None:
    if verdict is None:
        return
    assert len(verdict.intents) <= MOST_INTENTS
    named = [intent.agent for intent in verdict.intents]
    assert set(named) <= set(NAMES)
    assert len(set(named)) == len(named)
    assert all(0.0 <= intent.confidence <= 1.0 for intent in verdict.intents)
    assert len(verdict.question) <= 300


@given(values)
def test_hostile_json_is_no_verdict_or_a_sound_one(value: object) -> None:
    check(verdict_of(json.dumps(value), DEFINITIONS))


named = st.fixed_dictionaries(
    {
        "agent": st.sampled_from([*NAMES, "admin", ""]),
        "query": st.text(max_size=9),
        "confidence": st.floats(allow_nan=False, allow_infinity=False),
    }
)


@given(st.lists(named, max_size=9), st.booleans(), st.text(max_size=400))
def test_a_verdict_of_the_form_keeps_only_the_tenants_agents(
    intents: list[dict[str, object]], unclear: bool, question: str
) -> None:
    text = json.dumps({"intents": intents, "unclear": unclear, "question": question})
    verdict = verdict_of(text, DEFINITIONS)
    assert verdict is not None
    check(verdict)


@given(st.text(max_size=80) | st.text(alphabet='{}[]",:0eE+-.\\u', max_size=80))
def test_what_is_no_json_is_no_verdict(text: str) -> None:
    check(verdict_of(text, DEFINITIONS))


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", '{"intents": {}}', '{"intents": [1]}', '{"intents": [{"agent": null}]}', '{"unclear": "yes"}',
     '{"intents": [{"agent": "billing", "confidence": "high"}]}', "```json\n{}\n```", "\ud800", '{"a": ' * 100_000,
     '{"x": ' + "[" * 100_000 + "]" * 100_000 + "}"],
)  # fmt: skip
def test_nonsense_is_told_from_a_verdict(text: str) -> None:
    assert verdict_of(text, DEFINITIONS) is None


def test_the_request_names_every_agent_and_puts_what_changes_last() -> None:
    request = routing_request("Where is my bill?", DEFINITIONS, ["hello"], "info")
    system, *told = request.messages
    assert all(name in system.text for name in NAMES)
    assert told == [
        Message(Role.USER, "hello"),
        Message(Role.SYSTEM, "The agent that answered last: info"),
        Message(Role.USER, "Where is my bill?"),
    ]
    assert request.output_schema == schema(NAMES)


# Language


@pytest.fixture(scope="module")
def languages() -> Languages:
    return Languages()


CONVERSATIONS = {
    "en": "I would like to book an appointment", "es": "Quiero una cita con el dermatólogo el viernes",
    "de": "Ich möchte einen Termin beim Kardiologen", "fr": "Je voudrais un rendez-vous chez le pédiatre",
    "pt": "Quero marcar uma consulta de ortopedia", "id": "Saya mau janji dengan dokter anak",
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("said", ["Hans Müller", "Ana García López", "0171 2345678", "14:30", "Alexandra Dupont", "ok"])
def test_names_and_numbers_are_of_the_conversations_language(languages: Languages, language: str, said: str) -> None:
    assert languages.detect(said, LANGUAGES, [CONVERSATIONS[language]]) == language
    assert languages.detect(said, LANGUAGES, [CONVERSATIONS[language], "Maria Rossi", "10:00"]) == language


@pytest.mark.parametrize(
    ("said", "language"),
    [("hola", "es"), ("hello", "en"), ("danke", "de"), ("bonjour", "fr"), ("obrigado", "pt"), ("terima kasih", "id"),
     ("¿Dónde puedo aparcar el coche?", "es"), ("Where can I park my car?", "en"), ("xyz", "en"), ("", "en")],
)  # fmt: skip
def test_a_first_message_speaks_for_itself(languages: Languages, said: str, language: str) -> None:
    assert languages.detect(said, LANGUAGES) == language


def test_a_whole_sentence_changes_the_language(languages: Languages) -> None:
    assert languages.detect("What are your visiting hours?", LANGUAGES, [CONVERSATIONS["es"]]) == "en"


@given(st.text(max_size=50), st.lists(st.text(max_size=20), max_size=4))
def test_any_text_has_one_of_the_tenants_languages(languages: Languages, said: str, history: list[str]) -> None:
    assert languages.detect(said, LANGUAGES, history) in LANGUAGES
    assert languages.detect(said, ["de"], history) == "de"


@pytest.mark.parametrize("language", [*LANGUAGES, "nl"])
def test_the_question_back_names_all_that_is_offered(language: str) -> None:
    question = texts.which(["Billing", "Visits", "Tests"], language)
    assert all(title in question for title in ("Billing", "Visits", "Tests"))
    assert "?" in question
