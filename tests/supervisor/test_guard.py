"""The guard: what is an emergency now, what only sounds like one, and who asks for a human."""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontdesk.agents.models import EmergencySettings, TenantSettings
from frontdesk.supervisor.guard import Guard
from frontdesk.supervisor.lexicon import load
from frontdesk.supervisor.likeness import Likeness
from frontdesk.supervisor.models import Alarm, Stage

PLAIN = TenantSettings()
MESSAGES = [
    tuple(line.split("\t"))
    for line in (Path(__file__).parent / "messages.tsv").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]


@pytest.fixture(scope="module")
def guard() -> Guard:
    return Guard(load(), Likeness.load())


def alarm(guard: Guard, text: str, tenant: TenantSettings = PLAIN) -> Alarm | None:
    found = guard.check(text, tenant)
    return found if found and found.stage is Stage.EMERGENCY else None


@pytest.mark.parametrize("message", [message for label, message in MESSAGES if label == "1"])
def test_an_emergency_now_fires(guard: Guard, message: str) -> None:
    assert alarm(guard, message) is not None


@pytest.mark.parametrize("message", [message for label, message in MESSAGES if label == "0"])
def test_what_only_sounds_like_an_emergency_does_not_fire(guard: Guard, message: str) -> None:
    assert guard.check(message, PLAIN) is None


@pytest.mark.parametrize(
    ("message", "kind", "why"),
    [
        ("I had chest pain two years ago, can I book a check-up?", "cardiac", "cardiac: chest pain, but past"),
        ("My father had a stroke in 2015, which doctor should he see?", "stroke", "stroke: stroke, but past"),
    ],
)
def test_what_only_came_near_an_emergency_says_how_near_and_why(
    guard: Guard, message: str, kind: str, why: str
) -> None:
    found, near = guard.judge(message, PLAIN)
    assert found is None and near is not None and near.least is not None
    assert list(near.scores) == [kind]
    assert 0 <= near.scores[kind] < near.least < 1
    assert near.reason.startswith(why)


@pytest.mark.parametrize("message", ["", "Thank you!", "What are your visiting hours on Sundays please?"])
def test_where_nothing_spoke_for_an_emergency_nothing_is_kept_of_it(guard: Guard, message: str) -> None:
    assert guard.judge(message, PLAIN) == (None, None)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("I have crushing chest pain", "cardiac"),
        ("she can't breathe", "breathing"),
        ("I want to kill myself", "suicide"),
        ("the house is on fire", "fire"),
        ("I smell gas in the kitchen", "gas"),
        ("the carbon monoxide alarm is going off", "carbon_monoxide"),
        ("Mein Vater hatte gerade einen Unfall, er ist eingeklemmt", "accident"),
    ],
)
def test_an_alarm_says_of_which_kind(guard: Guard, message: str, kind: str) -> None:
    found = alarm(guard, message)
    assert found is not None
    assert found.kind == kind


@pytest.mark.parametrize(
    "message",
    [
        "i have chset pain",
        "he is not brething",
        "she is unconcious",
        "my daughter swalowed bleach",
        "i'm having a heart atack",
    ],
)
def test_misspelt_words_of_danger_are_understood(guard: Guard, message: str) -> None:
    assert alarm(guard, message) is not None


def test_a_negated_danger_does_not_hide_the_real_one(guard: Guard) -> None:
    assert alarm(guard, "I don't have chest pain") is None
    assert alarm(guard, "no chest pain, but I can't breathe") is not None


@pytest.mark.parametrize(
    "message",
    [
        "he keeps slumping over and I can't get him to answer me",
        "the room fills with smoke and my key broke off in the lock",
        "ihm läuft das Blut am Bein runter und das Handtuch ist schon durch",
        "भाई छत की मुंडेर पर बैठा है और नीचे उतरने को तैयार नहीं",  # nearly every word has vowel signs
    ],
)
def test_what_no_phrase_names_is_noticed_by_how_it_reads(guard: Guard, message: str) -> None:
    assert alarm(guard, message) is not None


def test_an_alarm_without_a_phrase_says_which_words_weighed_most(guard: Guard) -> None:
    found = alarm(guard, "Kowalczyk keeps slumping over and I can't get him to answer me")
    assert found is not None
    assert "reads like an emergency" in found.reason
    assert "kowalczyk" not in found.reason  # no name of a person is stored as a reason


@pytest.mark.parametrize(
    "message",
    [
        "hello",
        "maybe",
        "my top-up hasn't gone through",
        "non funziona la mia carta",
        "me, my wife and the little one",
        "pick me up at 12 Baker Street",
        "half past five",
        "06 12 34 56 78",
        "a las cinco y media",
        "3-5 people",
        "the end",
    ],
)
def test_everyday_words_alone_are_no_emergency(guard: Guard, message: str) -> None:
    assert guard.check(message, PLAIN) is None


def test_the_past_does_not_hide_the_present(guard: Guard) -> None:
    assert alarm(guard, "I had a heart attack in 2015") is None
    assert alarm(guard, "I had a heart attack in 2015. Now my chest hurts again and I'm sweating") is not None


def test_a_question_does_not_hide_what_follows_it(guard: Guard) -> None:
    assert alarm(guard, "What are signs of a stroke?") is None
    assert alarm(guard, "What are signs of a stroke? My father's face is drooping right now") is not None


def test_the_tenants_own_words_fire_unless_negated(guard: Guard) -> None:
    tenant = TenantSettings(
        emergency=EmergencySettings({"en": "Call us."}, {"en": ("code violet",), "de": ("Gurt gerissen",)})
    )
    assert alarm(guard, "we have a Code Violet in room 4", tenant) is not None
    assert alarm(guard, "Hilfe, der Gurt gerissen", tenant) is not None
    assert alarm(guard, "there is no code violet here", tenant) is None
    assert alarm(guard, "we have a code violet in room 4") is None


def test_an_alarm_names_its_language(guard: Guard) -> None:
    found = alarm(guard, "mi padre se ha desplomado y no respira")
    assert found is not None
    assert found.language == "es"


@pytest.mark.parametrize(
    "message",
    [
        "I want to talk to a person",
        "agent please",
        "can I speak to a human?",
        "get me a real person",
        "stop, I don't want to talk to a bot, give me someone real",
        "quiero hablar con una persona",
        "Ich möchte mit einem Menschen sprechen",
        "je voudrais parler à un conseiller",
        "quero falar com um atendente",
        "saya mau bicara dengan petugas",
        "मुझे किसी इंसान से बात करनी है",
        "mujhe kisi insaan se baat karni hai",
        "أريد التحدث مع موظف",
    ],
)
def test_an_explicit_wish_for_a_human_is_heard(guard: Guard, message: str) -> None:
    found = guard.check(message, PLAIN)
    assert found is not None
    assert found.stage is Stage.HUMAN


@pytest.mark.parametrize(
    "message",
    [
        "I'm a human",
        "is this a human-readable form?",
        "are you a human or a bot?",
        "where is the human resources office?",
        "how much is it per person?",
        "I talked to an agent yesterday",
        "do I need to speak to a representative to change my PIN?",
        "I don't want to talk to a human",
        "can someone with diabetes take this?",
    ],
)
def test_what_only_names_a_human_is_no_wish_for_one(guard: Guard, message: str) -> None:
    assert guard.check(message, PLAIN) is None


def test_an_emergency_comes_before_the_wish_for_a_human(guard: Guard) -> None:
    found = guard.check("let me talk to a person, my mother can't breathe", PLAIN)
    assert found is not None
    assert found.stage is Stage.EMERGENCY


@given(st.text(max_size=400))
@settings(max_examples=150)
def test_any_text_can_be_checked(text: str) -> None:
    GUARD.check(text, PLAIN)


@pytest.mark.parametrize("text", ["chest " * 400, "no " * 700 + "pain", "fire & " * 300, "a" * 2000, "می" * 1000])
def test_hostile_texts_are_checked_soon(guard: Guard, text: str) -> None:
    began = time.perf_counter()
    guard.check(text, PLAIN)
    assert time.perf_counter() - began < 2.0  # no blow-up; a usual message takes a quarter of a millisecond


GUARD = Guard(load(), Likeness.load())
