"""What a visitor of the clinic can do, over HTTP, on a real server with the built-in model."""

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.served import Served, serving

CLOSED = {(1, 1), (3, 17), (5, 1), (12, 25), (12, 26)}
MONTHS = {
    "en": "January February March April May June July August September October November December",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "id": "Januari Februari Maret April Mei Juni Juli Agustus September Oktober November Desember",
}
MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY = range(5)

Answer = dict[str, Any]


@pytest.fixture(scope="module")
async def clinic() -> AsyncIterator[Served]:
    with tempfile.TemporaryDirectory(prefix="frontdesk-stories-") as folder:
        async with serving(Path(folder), from_nothing=True) as running:
            yield running


@pytest.fixture
def visitor() -> str:
    return f"visitor-{uuid4()}"


def open_day(weekday: int, weeks: int = 2) -> date:
    """A day at least so many weeks ahead on which the clinic is open."""
    day = date.today() + timedelta(weeks=weeks)
    while day.weekday() != weekday or (day.month, day.day) in CLOSED:
        day += timedelta(days=1)
    return day


def spoken(day: date, language: str = "en") -> str:
    month = MONTHS[language].split()[day.month - 1]
    return {
        "en": f"{day.day} {month}", "es": f"{day.day} de {month}", "de": f"{day.day}. {month}",
        "fr": f"{day.day} {month}", "pt": f"{day.day} de {month}", "id": f"{day.day} {month}",
    }[language]  # fmt: skip


def asked(answer: Answer) -> list[str]:
    return [need["parameter"] for need in answer["needs"]]


def documents(answer: Answer) -> set[str]:
    return {citation["document"] for citation in answer["citations"]}


async def session(clinic: Served, answer: Answer) -> Answer:
    response = await clinic.client.get(f"/session/{answer['session_id']}")
    assert response.status_code == 200
    return dict(response.json())


# Questions


@pytest.mark.parametrize(
    ("question", "document", "words"),
    [
        ("What are your visiting hours?", "visiting-hours.md", "14:00 to 16:00"),
        ("Which insurance do you accept?", "insurance.md", "Aurelia Health, Northwind Mutual"),
        ("How do I prepare for a blood test?", "blood-test-preparation.md", "eat nothing for 10 to 12 hours"),
        ("Where can I park?", "parking-and-directions.md", "Mill Lane"),
        ("Can I have an MRI with a pacemaker?", "imaging-preparation.html", "rule an MRI out"),
        ("hola, ¿cuáles son los horarios de visita?", "faq.es.md", "14:00 a 16:00"),
        ("¿Qué seguros aceptan?", "faq.es.md", "Aceptamos los seguros"),
        ("Wann sind die Besuchszeiten?", "faq.de.md", "14:00 bis 16:00 Uhr"),
        ("Wie bereite ich mich auf eine Blutabnahme vor?", "faq.de.md", "10 bis 12 Stunden nichts"),
        ("Quelles sont les heures de visite ?", "faq.fr.md", "14 h à 16 h"),
        ("Où puis-je me garer ?", "faq.fr.md", "Mill Lane"),
        ("Quanto custa uma consulta sem seguro?", "faq.pt.md", "65 euros"),
        ("Jam besuk pukul berapa?", "faq.id.md", "14.00 sampai 16.00"),
        ("Di mana saya bisa parkir?", "faq.id.md", "Mill Lane"),
    ],
)
async def test_a_question_is_answered_in_its_language_with_citations_that_open_the_passage(
    clinic: Served, visitor: str, question: str, document: str, words: str
) -> None:
    answer = await clinic.chat(question, user=visitor)
    assert words in answer["text"]
    assert documents(answer) == {document}
    assert (answer["source"], answer["degraded"], answer["state"]) == ("local", False, "completed")
    markers = {int(number) for number in re.findall(r"\[(\d+)\]", answer["text"])}
    assert markers == set(range(1, len(answer["citations"]) + 1))
    for citation in answer["citations"]:
        opened = (await clinic.client.get(f"/api/clinic/passages/{citation['passage_id']}")).json()
        assert opened["document"] == document
        start = citation["start"] - opened["start"]
        assert opened["quote"][start : start + citation["end"] - citation["start"]] == citation["quote"]
        assert citation["quote"]


@pytest.mark.parametrize(
    "question",
    ["How much does an MRI cost?", "Do you have a swimming pool?", "¿Cuánto cuesta una resonancia?",
     "What does a PET scan cost?"],
)  # fmt: skip
async def test_what_the_documents_do_not_say_is_not_made_up(clinic: Served, visitor: str, question: str) -> None:
    answer = await clinic.chat(question, user=visitor)
    if asked(answer) == ["intent"]:
        answer = await clinic.chat("the first one", answer["session_id"], visitor)
    assert answer["citations"] == []
    assert not re.search(r"\d", answer["text"])


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("This traffic is killing me, where do I park?", "Mill Lane"),
        ("I don't have chest pain, just want to know the visiting hours", "14:00 to 16:00"),
        ("My baby has a fever, when should I come in?", "38 °C or more"),
    ],
)
async def test_the_question_is_found_in_a_message_that_says_more(
    clinic: Served, visitor: str, message: str, words: str
) -> None:
    answer = await clinic.chat(message, user=visitor)
    assert words in answer["text"]
    assert not answer["emergency"]


# Appointments


async def test_a_booking_asks_one_question_at_a_time_offers_times_and_is_stored(clinic: Served, visitor: str) -> None:
    day = open_day(FRIDAY)
    answers = await clinic.say_all(
        "I'd like to book an appointment", "dermatology", f"on {spoken(day)} in the afternoon", "the second one",
        "Ann Miller", "020 555 0199", user=visitor,
    )  # fmt: skip
    assert [asked(answer) for answer in answers] == [["service"], ["date"], ["time"], ["name"], ["phone"], []]
    assert [answer["state"] for answer in answers] == ["waiting"] * 5 + ["completed"]
    offered = answers[2]["needs"][0]["options"]
    assert offered == sorted(offered)
    assert all("12:00" <= time < "17:00" for time in offered)
    assert "booked" in answers[-1]["text"]
    assert offered[1] in answers[-1]["text"]
    mine = await clinic.chat("When is my appointment?", user=visitor)
    assert f"{spoken(day)}, {offered[1]}, dermatology (Dr. Ruiz)" in mine["text"]


async def test_next_friday_afternoon_is_understood(clinic: Served, visitor: str) -> None:
    soon = [date.today() + timedelta(days=days) for days in range(1, 15)]
    weekday = next(
        f"{day:%A}"
        for day in soon
        if day.weekday() in (MONDAY, WEDNESDAY, FRIDAY)
        and not any((other.month, other.day) in CLOSED for other in soon if other.weekday() == day.weekday())
    )
    answer = await clinic.chat(f"I need to see a dermatologist next {weekday} afternoon", user=visitor)
    assert asked(answer) == ["time"]
    assert weekday in answer["text"]
    assert all(time >= "12:00" for time in answer["needs"][0]["options"])


async def test_several_facts_in_one_message_leave_only_what_is_missing(clinic: Served, visitor: str) -> None:
    day = spoken(open_day(THURSDAY))
    answers = await clinic.say_all(
        f"My name is Bob Stone, my phone number is 020 555 0188 and I need a cardiologist on {day}",
        "14:30",
        user=visitor,
    )
    assert asked(answers[0]) == ["time"]
    assert answers[0]["agents"] == ["appointments"]
    assert f"{day}, 14:30, cardiology (Dr. Sorensen)**, for Bob Stone." in answers[1]["text"]


async def test_everything_in_one_message_is_booked_at_once(clinic: Served, visitor: str) -> None:
    day = spoken(open_day(TUESDAY, 5))
    answer = await clinic.chat(f"Book me a blood test on {day} at 9:00, I'm Ann Miller, 020 555 0123", user=visitor)
    assert f"{day}, 09:00, blood test" in answer["text"]
    assert answer["agents"] == ["appointments"]


async def test_a_name_may_come_with_the_number(clinic: Served, visitor: str) -> None:
    day = spoken(open_day(TUESDAY, 5))
    answers = await clinic.say_all(f"I need a blood test on {day} at 11:00", "Ann Miller, 020 555 0123", user=visitor)
    assert asked(answers[0]) == ["name"]
    assert "booked" in answers[1]["text"]


async def test_facts_come_in_any_order(clinic: Served, visitor: str) -> None:
    day = open_day(WEDNESDAY)
    answers = await clinic.say_all(
        "I need an appointment at 11:00", spoken(day), "the skin doctor", "Eve Adams", "020 555 0177", user=visitor
    )
    assert asked(answers[1]) == ["service"]
    assert f"{spoken(day)}, 11:00, dermatology" in answers[-1]["text"]


async def test_a_taken_time_is_refused_and_others_are_offered(clinic: Served) -> None:
    first, second = f"first-{uuid4()}", f"second-{uuid4()}"
    day = spoken(open_day(TUESDAY, 3))
    wish = f"I need a cardiologist on {day} at 10:00"
    booked = await clinic.say_all(wish, "Ann Miller", "020 555 0199", user=first)
    assert "booked" in booked[-1]["text"]
    refused = await clinic.chat(wish, user=second)
    assert "is not free" in refused["text"]
    assert asked(refused) == ["time"]
    assert "10:00" not in refused["needs"][0]["options"]
    other = refused["needs"][0]["options"][0]
    rest = await clinic.say_all_in(refused["session_id"], "the first one", "Bo Lee", "020 555 0111", user=second)
    assert other in rest[-1]["text"]


async def test_one_of_two_who_want_the_same_time_at_the_same_moment_gets_it(clinic: Served) -> None:
    users = [f"racer-{uuid4()}" for _ in range(2)]
    wish = f"I need a cardiologist on {spoken(open_day(THURSDAY, 3))} at 09:00"
    ready = [await clinic.say_all(wish, "Ann Miller", user=user) for user in users]
    ended = await asyncio.gather(
        *(
            clinic.chat("020 555 0199", answers[0]["session_id"], user)
            for answers, user in zip(ready, users, strict=True)
        )
    )
    assert sorted("booked" in answer["text"] for answer in ended) == [False, True]
    loser = next(answer for answer in ended if "booked" not in answer["text"])
    assert "is not free" in loser["text"]
    assert asked(loser) == ["time"]


async def test_an_appointment_is_moved_and_cancelled(clinic: Served, visitor: str) -> None:
    day, other = open_day(MONDAY), open_day(WEDNESDAY)
    answers = await clinic.say_all(
        f"Book Dr. Ruiz on {spoken(day)} at 15:30", "Ann Miller", "020 555 0199",
        f"Please move my appointment to {spoken(other)} at 14:00",
        "Cancel my appointment please", "yes", "When is my appointment?", user=visitor,
    )  # fmt: skip
    assert f"{spoken(day)}, 15:30" in answers[2]["text"]
    assert f"now: **{other:%A} {spoken(other)}, 14:00" in answers[3]["text"]
    assert asked(answers[4]) == ["confirmed"]
    assert answers[5]["text"].startswith("Your appointment is cancelled")
    assert "no upcoming appointments" in answers[6]["text"]


@pytest.mark.parametrize(
    ("language", "weekday", "messages", "booked", "mine"),
    [
        ("es", FRIDAY, ("Quiero una cita con el dermatólogo el {day}", "a las 9:00", "Ana García López", "612 345 678"),
         "Su cita está reservada", "¿Cuándo es mi cita?"),
        ("de", THURSDAY, ("Ich möchte einen Termin beim Kardiologen am {day}", "um 8 Uhr", "Hans Müller",
         "0171 2345678"), "Ihr Termin ist gebucht", "Wann ist mein Termin?"),
        ("fr", TUESDAY, ("Je voudrais un rendez-vous chez le pédiatre le {day}", "à 10 h", "Marie Dupont",
         "06 12 34 56 78"), "Votre rendez-vous est réservé", "Quand est mon rendez-vous ?"),
        ("pt", WEDNESDAY, ("Quero marcar uma consulta de ortopedia no dia {day}", "às 15h", "João Silva",
         "912 345 678"), "A sua consulta está marcada", "Quando é a minha consulta?"),
        ("id", MONDAY, ("Saya mau janji dengan dokter anak tanggal {day}", "jam 10", "Budi Santoso",
         "0812 3456 7890"), "Janji temu Anda sudah dibuat", "Kapan janji temu saya?"),
    ],
)  # fmt: skip
async def test_a_booking_in_another_language_stays_in_it_to_the_end(
    clinic: Served, visitor: str, language: str, weekday: int, messages: tuple[str, ...], booked: str, mine: str
) -> None:
    day = spoken(open_day(weekday, 4), language)
    answers = await clinic.say_all(*(message.format(day=day) for message in messages), mine, user=visitor)
    assert [asked(answer) for answer in answers[:4]] == [["time"], ["name"], ["phone"], []]
    assert answers[3]["text"].startswith(booked)
    assert day in answers[3]["text"]
    assert day in answers[4]["text"]


# Conversation


async def test_two_things_in_one_message_are_answered_in_one_reply_with_the_question_last(
    clinic: Served, visitor: str
) -> None:
    day = open_day(TUESDAY)
    events = [
        event
        async for event in clinic.stream(
            f"I'd like to book a blood test on {spoken(day)} and what are the visiting hours?", user=visitor
        )
    ]
    answer = events[-1].data
    assert answer["agents"] == ["general_info", "appointments"]
    assert answer["text"].index("14:00 to 16:00") < answer["text"].index("Which suits you?")
    assert asked(answer) == ["time"]
    assert documents(answer) == {"visiting-hours.md"}
    heard = ""
    for event in events:
        heard = "" if event.event == "restart" else heard + (event.data["text"] if event.event == "delta" else "")
    assert heard == answer["text"]


async def test_two_matters_that_both_need_something_are_asked_one_after_the_other(clinic: Served, visitor: str) -> None:
    day = open_day(TUESDAY)
    first = await clinic.chat(
        f"I'd like to book a blood test on {spoken(day)} and please send me a copy of my invoice", user=visitor
    )
    assert asked(first) == ["time"]
    assert first["text"].count("?") == 1
    opened = await session(clinic, first)
    assert {task["tool"] for task in opened["pending_tasks"]} == {"book_appointment", "request_invoice_copy"}
    answers = await clinic.say_all_in(
        first["session_id"], "09:00", "Ann Miller", "020 555 0199", "LC-204518", "ann@example.com", user=visitor
    )
    assert "booked" in answers[2]["text"]
    assert asked(answers[2]) == ["invoice_number"]  # back to what is still open
    assert "LC-204518 will be sent to ann@example.com" in answers[4]["text"]
    assert (await session(clinic, first))["pending_tasks"] == []


async def test_an_unclear_message_is_asked_back_and_the_pick_goes_on_with_it(clinic: Served, visitor: str) -> None:
    answer = await clinic.chat("How much does an MRI cost?", user=visitor)
    assert asked(answer) == ["intent"]
    options = answer["needs"][0]["options"]
    place = options.index("Billing and insurance")
    state = await session(clinic, answer)
    assert state["workflow_state"]["waiting_for"] == "clarification"
    picked = await clinic.chat(["the first one", "the second one"][place], answer["session_id"], visitor)
    assert picked["routing"]["stage"] == "pending"
    assert picked["agents"] == ["billing"]


async def test_what_says_nothing_is_asked_back(clinic: Served, visitor: str) -> None:
    answer = await clinic.chat("thing", user=visitor)
    assert "other words?" in answer["text"]
    assert answer["citations"] == []


async def test_the_subject_may_change_in_mid_booking_and_come_back(clinic: Served, visitor: str) -> None:
    day = open_day(FRIDAY, 3)
    answers = await clinic.say_all(
        "I want to book an appointment", "dermatology", "What are your visiting hours?", spoken(day),
        "How do I prepare for a blood test?", "11:30", "Ann Miller", "020 555 0199", user=visitor,
    )  # fmt: skip
    assert "14:00 to 16:00" in answers[2]["text"]
    assert answers[2]["text"].endswith("Back to where we were: Which day would you like to come?")
    assert asked(answers[2]) == ["date"]
    assert "eat nothing" in answers[4]["text"]
    assert asked(answers[4]) == ["time"]
    assert f"{spoken(day)}, 11:30, dermatology" in answers[-1]["text"]


async def test_what_is_given_up_is_dropped(clinic: Served, visitor: str) -> None:
    answers = await clinic.say_all("I want to book an appointment", "never mind", "Where can I park?", user=visitor)
    assert answers[1]["state"] == "completed"
    assert answers[2]["needs"] == []
    assert (await session(clinic, answers[0]))["pending_tasks"] == []


async def test_a_session_shows_what_is_going_on(clinic: Served, visitor: str) -> None:
    answers = await clinic.say_all("I want to book an appointment", "dermatology", user=visitor)
    state = await session(clinic, answers[0])
    assert state["current_intent"] == "appointments"
    assert state["workflow_state"]["waiting_for"] == "date"
    assert state["workflow_state"]["known"] == {"service": "dermatology"}
    assert [task["tool"] for task in state["pending_tasks"]] == ["book_appointment"]
    assert [message["role"] for message in state["conversation_history"]] == ["user", "assistant"] * 2
    history = await clinic.history(answers[0]["session_id"])
    assert [message["in_reply_to"] for message in history["messages"]] == [[], [1], [], [3]]
    assert [message["content"] for message in history["messages"]][1::2] == [answer["text"] for answer in answers]


# The guard


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("my chest hurtz and i cant breathe", "call 112 straight away"),
        ("I think my father is having a strok, his face is droping", "call 112 straight away"),
        ("me duele mucho el pecho y no puedo respirar", "llame al 112 de inmediato"),
        ("ich habe starke Brustschmerzen und kriege keine Luft", "rufen Sie sofort 112 an"),
        ("j'ai très mal à la poitrine et je n'arrive pas à respirer", "appelez tout de suite le 112"),
        ("estou com uma dor forte no peito e não consigo respirar", "ligue já para o 112"),
        ("dada saya sakit sekali dan saya tidak bisa bernapas", "segera hubungi 112"),
    ],
)
async def test_an_emergency_gets_the_clinics_text_at_once_and_is_flagged(
    clinic: Served, visitor: str, message: str, words: str
) -> None:
    answer = await clinic.chat(message, user=visitor)
    assert words in answer["text"]
    assert answer["emergency"]
    assert answer["escalated"]
    assert answer["routing"]["stage"] == "emergency"
    assert answer["usage"]["llm_calls"] == 0


async def test_an_emergency_in_mid_booking_comes_first_and_the_booking_can_go_on(clinic: Served, visitor: str) -> None:
    answers = await clinic.say_all(
        "I want to book an appointment", "I can't breathe, call an ambulance", "dermatology", user=visitor
    )
    assert answers[1]["emergency"]
    assert asked(answers[2]) == ["date"]


@pytest.mark.parametrize(
    "message",
    ["I don't have chest pain, when are visiting hours?",
     "I had a heart attack five years ago, do I need a referral for the cardiologist?",
     "No tengo dolor de pecho, ¿cuál es el horario de visitas?",
     "Je n'ai pas de douleur à la poitrine, quelles sont les heures de visite ?",
     "Não tenho dor no peito, qual é o horário de visitas?",
     "Saya tidak sakit dada, jam besuk pukul berapa?",
     "Ich habe keine Brustschmerzen, wann sind die Besuchszeiten?"],
)  # fmt: skip
async def test_what_is_denied_or_long_past_is_no_emergency(clinic: Served, visitor: str, message: str) -> None:
    answer = await clinic.chat(message, user=visitor)
    assert not answer["emergency"]
    assert answer["citations"]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("I want to talk to a human", "passed your conversation on"),
        ("quiero hablar con una persona", "He pasado su conversación"),
        ("Ich möchte mit einem Menschen sprechen", "an unser Empfangsteam weitergegeben"),
    ],
)
async def test_a_wish_for_a_human_is_flagged_and_said(clinic: Served, visitor: str, message: str, words: str) -> None:
    answer = await clinic.chat(message, user=visitor)
    assert words in answer["text"]
    assert answer["escalated"]
    assert not answer["emergency"]


@pytest.mark.parametrize(
    ("message", "words"),
    [("hello", "Hello!"), ("thanks a lot", "You're welcome."), ("hola", "¡Hola!"), ("vielen Dank", "Gern geschehen."),
     ("bonjour", "Bonjour"), ("obrigado", "De nada."), ("terima kasih", "Sama-sama.")],
)  # fmt: skip
async def test_courtesy_is_returned_in_its_language(clinic: Served, visitor: str, message: str, words: str) -> None:
    answer = await clinic.chat(message, user=visitor)
    assert answer["text"].startswith(words)
    assert answer["citations"] == []
