"""The clinic's calendar over real records: nothing is given twice, nobody touches another's appointment."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from tests.turns import begun_turn

from frontdesk.core.ids import new_id
from frontdesk.db import Database
from frontdesk.tools.python import PythonFiles
from frontdesk.tools.records import PostgresRecords
from frontdesk.tools.types import Need, NeedsInput, ToolContext, ToolError

CLINIC = Path(__file__).parents[2] / "examples" / "clinic"
NOW = datetime(2026, 11, 23, 9, 10, tzinfo=ZoneInfo("Europe/Dublin"))  # a Monday
FRIDAY = "2026-11-27"

Call = Callable[..., Awaitable[dict[str, Any]]]


class Desk:
    """Calls the clinic's functions as the toolbox would: a new idempotency key for every call."""

    def __init__(self, database: Database, tenant_id: UUID, turn_id: UUID) -> None:
        files = PythonFiles({"clinic": CLINIC})
        self.module = files.load(files.path("clinic", "tools/appointments.py"))
        self.records = PostgresRecords(database, tenant_id, turn_id)
        self._tenant_id = tenant_id

    async def call(
        self,
        function: str,
        *,
        contact: str = "ana",
        language: str = "en",
        key: str = "",
        now: datetime = NOW,
        **given: Any,
    ) -> dict[str, Any]:
        context = ToolContext(self._tenant_id, new_id(), contact, now, language, key or str(new_id()), self.records)
        result: dict[str, Any] = await getattr(self.module, function)(given, context)
        return result

    async def need(self, function: str, **given: Any) -> Need:
        with pytest.raises(NeedsInput) as raised:
            await self.call(function, **given)
        return raised.value.need

    async def booked(self, date: str = FRIDAY, time: str = "14:00", service: str = "dermatology", **given: Any) -> str:
        person = {"name": "Ana Lopez", "phone": "020 912 0001"}
        result = await self.call("book", service=service, date=date, time=time, **(person | given))
        return str(result["appointment"]["id"])

    async def mine(self, contact: str = "ana") -> list[str]:
        found = await self.call("my_appointments", contact=contact)
        return [each["id"] for each in found["appointments"]]


@pytest.fixture
async def desk(database: Database, tenant_id: UUID) -> Desk:
    return Desk(database, tenant_id, await begun_turn(database, tenant_id))


async def test_it_offers_free_times_of_the_wished_part_of_the_day_before_it_asks_for_anything_else(desk: Desk) -> None:
    need = await desk.need("book", service="dermatology", date=FRIDAY, part_of_day="afternoon")
    assert need.parameter == "time"
    assert need.options == ("13:30", "14:30", "15:30", "16:30")
    assert need.question == (
        "On Friday 27 November in the afternoon I have 13:30, 14:30, 15:30 and 16:30. Which suits you?"
    )


async def test_it_asks_for_name_then_phone_and_then_stores_the_appointment(desk: Desk) -> None:
    wish = {"service": "dermatology", "date": FRIDAY, "time": "14:00"}
    assert (await desk.need("book", **wish)).parameter == "name"
    assert (await desk.need("book", **wish, name="Ana Lopez")).parameter == "phone"
    result = await desk.call("book", **wish, name="Ana Lopez", phone="020 912 0001")
    assert result["message"] == (
        "Your appointment is booked: **Friday 27 November, 14:00, dermatology (Dr. Ruiz)**, for Ana Lopez."
    )
    stored = await desk.records.get("appointments", f"ruiz/{FRIDAY}/14:00")
    assert stored is not None
    assert stored["contact"] == "ana"


async def test_twenty_at_once_for_one_slot_leave_one_appointment_and_nineteen_other_offers(desk: Desk) -> None:
    tries = [desk.booked(contact=f"contact-{number}") for number in range(20)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, NeedsInput)]
    assert [outcome for outcome in outcomes if isinstance(outcome, str)] == [f"ruiz/{FRIDAY}/14:00"]
    assert len(refused) == 19
    assert {outcome.need.parameter for outcome in refused} == {"time"}
    assert all("14:00" not in outcome.need.options for outcome in refused)


async def test_a_taken_time_is_refused_with_the_nearest_free_ones(desk: Desk) -> None:
    await desk.booked(contact="ben")
    need = await desk.need("book", service="dermatology", date=FRIDAY, time="14:00")
    assert need.parameter == "time"
    assert need.options == ("13:30", "14:30", "15:00")
    assert "14:00 on Friday 27 November is not free" in need.question


async def test_the_second_doctor_of_a_department_serves_when_the_first_is_taken(desk: Desk) -> None:
    first = await desk.booked(service="general practice", contact="ben")
    second = await desk.booked(service="general practice")
    assert {first.split("/")[0], second.split("/")[0]} == {"okafor", "byrne"}


async def test_a_named_doctor_is_not_replaced_by_a_colleague(desk: Desk) -> None:
    await desk.booked(service="general practice", doctor="Dr. Byrne", contact="ben")
    need = await desk.need("book", service="general practice", doctor="Dr. Byrne", date=FRIDAY, time="14:00")
    assert need.parameter == "time"


async def test_the_same_call_tried_again_after_a_crash_books_once(desk: Desk) -> None:
    first = await desk.booked(key="call-1", service="general practice")
    again = await desk.booked(key="call-1", service="general practice")
    assert again == first
    assert await desk.mine() == [first]


@pytest.mark.parametrize(
    ("date", "said"),
    [
        ("2026-11-20", "Friday 20 November has already passed."),
        ("2026-11-29", "The clinic is closed on Sunday 29 November."),
        ("2026-12-25", "The clinic is closed on Friday 25 December."),
        ("2026-11-24", "Dr. Ruiz has no consultation on Tuesday 24 November."),
        ("2027-11-26", "too far ahead"),
    ],
)
async def test_a_day_that_can_not_be_is_refused_with_the_next_free_days(desk: Desk, date: str, said: str) -> None:
    need = await desk.need("book", service="dermatology", date=date, time="10:00")
    assert need.parameter == "date"
    assert said in need.question
    assert len(need.options) == 3


async def test_a_time_that_has_passed_today_is_not_offered(desk: Desk) -> None:
    need = await desk.need("book", service="dermatology", date="2026-11-23", part_of_day="morning")
    assert need.options[0] == "10:00"  # it is 9:10, and nobody can be here within half an hour


async def test_when_the_wished_part_of_the_day_is_full_the_rest_of_the_day_is_offered(desk: Desk) -> None:
    need = await desk.need("book", service="blood test", date=FRIDAY, part_of_day="afternoon")
    assert need.question.startswith("Nothing is free on Friday 27 November in the afternoon, but I have 08:00,")


async def test_a_full_day_leads_to_other_days(desk: Desk) -> None:
    for time in ("09:00", "09:30", "10:00", "10:30"):
        await desk.booked(service="blood test", date="2026-11-28", time=time, contact=f"c{time}")
    need = await desk.need("book", service="blood test", date="2026-11-28")
    assert need.parameter == "date"
    assert need.question.startswith("Nothing is free any more on Saturday 28 November. The next free days are")


async def test_nobody_can_fill_the_calendar_alone(desk: Desk) -> None:
    for hour in ("08:00", "08:30", "09:00", "09:30", "10:00", "10:30"):
        await desk.booked(time=hour)
    with pytest.raises(ToolError, match="already 6 upcoming"):
        await desk.booked(time="11:00")


async def test_an_appointment_moves_and_its_old_time_is_free_again(desk: Desk) -> None:
    await desk.booked()
    result = await desk.call("move", date="2026-11-30", time="09:00")
    assert result["appointment"]["id"] == "ruiz/2026-11-30/09:00"
    assert await desk.mine() == ["ruiz/2026-11-30/09:00"]
    assert await desk.booked(contact="ben") == f"ruiz/{FRIDAY}/14:00"


async def test_a_move_onto_a_taken_time_is_refused_and_changes_nothing(desk: Desk) -> None:
    await desk.booked(contact="ben", time="15:00")
    await desk.booked()
    assert (await desk.need("move", date=FRIDAY, time="15:00")).parameter == "time"
    assert await desk.mine() == [f"ruiz/{FRIDAY}/14:00"]


async def test_a_move_tried_again_after_a_crash_ends_the_same(desk: Desk) -> None:
    await desk.booked()
    first = await desk.call("move", key="move-1", date="2026-11-30", time="09:00")
    assert await desk.call("move", key="move-1", date="2026-11-30", time="09:00") == first


async def test_two_who_move_onto_one_slot_at_once_leave_both_with_one_appointment(desk: Desk) -> None:
    await desk.booked(contact="ana", time="14:00")
    await desk.booked(contact="ben", time="15:00")
    moves = [desk.call("move", contact=contact, date=FRIDAY, time="16:00") for contact in ("ana", "ben")]
    outcomes = await asyncio.gather(*moves, return_exceptions=True)
    assert sum(isinstance(outcome, NeedsInput) for outcome in outcomes) == 1
    assert [len(await desk.mine(contact)) for contact in ("ana", "ben")] == [1, 1]


async def test_cancelling_asks_first_and_then_frees_the_time(desk: Desk) -> None:
    await desk.booked()
    need = await desk.need("cancel")
    assert need.parameter == "confirmed"
    assert need.options == ("Yes", "No")
    assert "Friday 27 November, 14:00, dermatology (Dr. Ruiz)" in need.question
    kept = await desk.call("cancel", confirmed=False)
    assert kept["message"].startswith("All right, your appointment stays")
    assert await desk.mine() == [f"ruiz/{FRIDAY}/14:00"]
    await desk.call("cancel", confirmed=True)
    assert await desk.mine() == []


async def test_a_late_cancellation_names_its_price_before_it_happens(desk: Desk) -> None:
    await desk.booked(date="2026-11-23", time="15:00")
    assert "25 euros" in (await desk.need("cancel")).question


async def test_a_cancellation_tried_again_after_a_crash_does_not_take_the_next_appointment(desk: Desk) -> None:
    await desk.booked(time="14:00")
    await desk.booked(time="15:00")
    for _ in range(2):
        await desk.call("cancel", key="cancel-1", appointment="the first one", confirmed=True)
    assert await desk.mine() == [f"ruiz/{FRIDAY}/15:00"]


async def test_others_appointments_are_neither_seen_nor_moved_nor_cancelled(desk: Desk) -> None:
    key = await desk.booked()
    assert await desk.mine("ben") == []
    for function, given in (("move", {"date": "2026-11-30", "time": "09:00"}), ("cancel", {"confirmed": True})):
        result = await desk.call(function, contact="ben", appointment=key, **given)
        assert result == {"message": "You have no upcoming appointments with us."}
    assert await desk.mine() == [key]


@pytest.mark.parametrize(
    ("said", "chosen"),
    [
        ("the first one", 0),
        ("the last", 1),
        ("2", 1),
        ("the cardiology one", 1),
        ("dr ruiz", 0),
        ("the one on Thursday", 1),
        ("14:00", 0),
        (f"ruiz/{FRIDAY}/14:00", 0),
    ],
)
async def test_of_several_appointments_the_one_that_is_meant_is_found(desk: Desk, said: str, chosen: int) -> None:
    keys = [await desk.booked(), await desk.booked(service="cardiology", date="2026-12-03", time="09:00")]
    await desk.call("cancel", appointment=said, confirmed=True)
    assert await desk.mine() == [keys[1 - chosen]]


async def test_it_asks_which_one_when_several_could_be_meant(desk: Desk) -> None:
    await desk.booked(time="14:00")
    await desk.booked(time="15:00")
    need = await desk.need("cancel", appointment="the dermatology one", confirmed=True)
    assert need.parameter == "appointment"
    assert need.options == (
        "Friday 27 November, 14:00, dermatology (Dr. Ruiz)",
        "Friday 27 November, 15:00, dermatology (Dr. Ruiz)",
    )


async def test_free_times_are_listed_without_booking_anything(desk: Desk) -> None:
    result = await desk.call("free_slots", service="cardiology")
    assert [day["date"] for day in result["days"]] == ["2026-11-24", "2026-11-26", "2026-12-01"]
    sunday = await desk.call("free_slots", service="cardiology", date="2026-11-29")
    assert sunday["message"] == "Nothing is free for cardiology on Sunday 29 November. The next free times:"
    assert sunday["days"][0]["date"] == "2026-12-01"


@pytest.mark.parametrize("language", ["en", "es", "de", "fr", "pt", "id", "ja"])
async def test_every_sentence_is_there_in_every_language(desk: Desk, language: str) -> None:
    need = await desk.need("book", language=language, service="dermatology", date=FRIDAY, part_of_day="morning")
    assert "08:00" in need.question
    await desk.booked(language=language)
    assert "14:00" in (await desk.need("cancel", language=language)).question
    known = {"en", "es", "de", "fr", "pt", "id"}
    for texts in (*desk.module.TEXTS.values(), *desk.module.SERVICES.values(), *desk.module.PART_TEXTS.values()):
        assert texts.keys() == known


async def test_the_clocks_going_back_or_forward_move_no_appointment(desk: Desk) -> None:
    before = datetime(2027, 3, 26, 9, 0, tzinfo=ZoneInfo("Europe/Dublin"))  # clocks go forward on the 28th
    key = await desk.booked(date="2027-03-29", time="09:00", now=before)
    assert key == "ruiz/2027-03-29/09:00"
    need = await desk.need("cancel", now=before)
    assert "Monday 29 March, 09:00" in need.question
