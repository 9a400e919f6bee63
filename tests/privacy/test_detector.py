"""What is found in a text, and what is not."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.screens import detector

from frontdesk.privacy import detector as detecting
from frontdesk.privacy.detector import DetectionTooSlow, Detector, resolve
from frontdesk.privacy.models import Entity, Finding
from frontdesk.privacy.tagger import Tagger


def found(text: str) -> list[tuple[str, str]]:
    return [(each.entity.value, text[each.start : each.end]) for each in detector().find(text)]


@pytest.mark.parametrize(
    ("text", "entity", "value"),
    [
        ("Write to ann.o'neil+x@mail.example.com.", "EMAIL", "ann.o'neil+x@mail.example.com"),
        ("schreib an jörg@müller.example", "EMAIL", "jörg@müller.example"),
        ("Card 4111 1111 1111 1111, thanks", "CARD", "4111 1111 1111 1111"),
        ("IBAN DE89 3704 0044 0532 0130 00 please", "IBAN", "DE89 3704 0044 0532 0130 00"),
        ("my number is +49 30 901820", "PHONE", "+49 30 901820"),
        ("call me at 555-0134", "PHONE", "555-0134"),
        ("mi teléfono es 612 345 678", "PHONE", "612 345 678"),
        ("from 192.168.7.12", "IP", "192.168.7.12"),
        ("from 2001:db8::ff00:42:8329", "IP", "2001:db8::ff00:42:8329"),
        ("see https://example.com/a?b=1.", "URL", "https://example.com/a?b=1"),
        ("SSN 536-90-4399", "NATIONAL_ID", "536-90-4399"),
        ("NINO QQ 12 34 56 C? no: AB 12 34 56 C", "NATIONAL_ID", "AB 12 34 56 C"),
        ("DNI 12345678Z", "NATIONAL_ID", "12345678Z"),
        ("NIR 2 55 08 14 168 025 38", "NATIONAL_ID", "2 55 08 14 168 025 38"),
        ("codice fiscale RSSMRA85T10A562S", "NATIONAL_ID", "RSSMRA85T10A562S"),
        ("CPF 529.982.247-25", "NATIONAL_ID", "529.982.247-25"),
        ("BSN 111222333", "NATIONAL_ID", "111222333"),
        ("PESEL 44051401359", "NATIONAL_ID", "44051401359"),
        ("personnummer 811218-9876", "NATIONAL_ID", "811218-9876"),
        ("henkilötunnus 131052-308T", "NATIONAL_ID", "131052-308T"),
        ("AHV 756.9217.0769.85", "NATIONAL_ID", "756.9217.0769.85"),
        ("Steuer-ID 86095742719", "NATIONAL_ID", "86095742719"),
        ("Aadhaar 2341 2341 2346", "NATIONAL_ID", "2341 2341 2346"),
        ("NRIC S1234567D", "NATIONAL_ID", "S1234567D"),
        ("RUT 12.345.678-5", "NATIONAL_ID", "12.345.678-5"),
        ("passport number X1234567", "NATIONAL_ID", "X1234567"),
        ("I was born on 3 May 1980.", "DATE_OF_BIRTH", "3 May 1980"),
        ("geboren am 03.05.1980", "DATE_OF_BIRTH", "03.05.1980"),
        ('"date_of_birth": "1980-05-03"', "DATE_OF_BIRTH", "1980-05-03"),
        ("MRN: 00123456", "MEDICAL_RECORD", "00123456"),
        ("My name is Ann Miller.", "PERSON", "Ann Miller"),
        ("Ich heiße Jürgen Schneider.", "PERSON", "Jürgen Schneider"),
        ("my zip code is 90210", "ADDRESS", "90210"),
        ("I live at 12 Baker Street, London.", "ADDRESS", "12 Baker Street, London"),
    ],
)
def test_personal_data_is_found_whole(text: str, entity: str, value: str) -> None:
    assert (entity, value) in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "Card 4111 1111 1111 1112 is a typing error",
        "IBAM DE89 3704 0044 0532 0130 01",
        "Order 100-2345 of 12.05.2026 for 25.90",
        "sin 1234567 productos",
        "The meeting is from 10:30 to 11:45 on 2026-05-03.",
        "version 1.2.3 of the app",
        "invoice number 123456789",
        "Where is my order? It should have come on Monday.",
        "Wo finde ich die Rechnung für den letzten Monat?",
        "I want to talk to a person, please.",
        "",
        "\n \t",
        "ring 4-4 88a088f4-1bd5-4fef-bf55-bf80883b9287",
        "my order is A-1001, ref 88a088f4-1bd5-4fef-bf55-bf80883b9287",
        "commit 9f86d081884c7d659a2feaa0c55ad015",
    ],
)
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert found(text) == []


@given(st.text(max_size=300))
def test_findings_lie_in_the_text_in_order_and_apart(text: str) -> None:
    findings = detector().find(text)
    assert all(0 <= each.start < each.end <= len(text) for each in findings)
    assert all(one.end <= other.start for one, other in pairwise(findings))


def test_of_two_that_overlap_the_surer_kind_stays() -> None:
    card, phone, name = Finding(Entity.CARD, 5, 21), Finding(Entity.PHONE, 5, 17), Finding(Entity.PERSON, 18, 30)
    assert resolve([name, phone, card]) == [card]


@pytest.mark.parametrize("before", [3_700, 3_990, 4_000, 7_400])
def test_a_value_is_found_wherever_a_long_text_is_divided(before: int) -> None:
    text = "a " * (before // 2) + "ann@example.com" + " b" * 4_000
    assert found(text) == [("EMAIL", "ann@example.com")]


def test_a_text_that_takes_too_long_is_an_error_and_not_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detecting, "_MOST_S", -1.0)
    with pytest.raises(DetectionTooSlow):
        Detector(Tagger.load()).find("nothing")


@pytest.mark.parametrize(
    "text",
    [
        "Bitte sagen Sie spätestens 24 Stunden vorher ab. Spätere Absagen kosten 25 Euro.\n\n## Kinder",
        "Drink only water, no coffee or tea, for 10 hours.",
        "Puede aparcar gratis durante 30 minutos; después cuesta 2 euros por hora.",
        '<head>\n  <meta charset="utf-8">\n</head>',
        "| day | from | to |\n| 1 | 8:00 | 18:00 |",
    ],
)
def test_prose_is_neither_a_name_nor_an_address(text: str) -> None:
    assert [kind for kind, _ in found(text) if kind in ("PERSON", "ADDRESS")] == []
