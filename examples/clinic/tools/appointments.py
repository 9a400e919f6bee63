"""The clinic's calendar: services, doctors and their hours, and appointments that are kept in the tenant's records.

An appointment is the record `doctor/date/time` of the collection `appointments`: two people can't hold the same key, so
a slot can't be given twice, however many ask at once.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple  # arguments and records are JSON

from frontdesk.tools.types import NeedsInput, ToolContext, ToolError

COLLECTION = "appointments"
CANCELLED = "cancelled_appointments"
SLOT = timedelta(minutes=30)
NOTICE = timedelta(minutes=30)  # nobody can be here sooner
LATE = timedelta(hours=24)  # later cancellations are charged
HORIZON_DAYS = 120
MOST_UPCOMING = 6  # of one contact: a calendar is soon full of one person's jokes
OFFERED = 4

WEEKDAYS = range(5)
SATURDAY = 5
MORNING, AFTERNOON = (time(8), time(12)), (time(13, 30), time(17, 30))
SATURDAY_HOURS = (time(9), time(13))
CLOSED = {(1, 1), (3, 17), (5, 1), (12, 25), (12, 26)}  # month, day

PARTS = {
    "morning": (time(0), time(12)),
    "afternoon": (time(12), time(17)),
    "evening": (time(17), time(23, 59)),
}


class Doctor(NamedTuple):
    """Someone, or a team, with one calendar."""

    key: str
    name: str
    service: str
    days: frozenset[int]  # 0 is Monday
    hours: tuple[tuple[time, time], ...] = (MORNING, AFTERNOON)
    saturday: tuple[time, time] = SATURDAY_HOURS


DOCTORS = (
    Doctor("okafor", "Dr. Okafor", "general practice", frozenset({0, 1, 2, 3, 4})),
    Doctor("byrne", "Dr. Byrne", "general practice", frozenset({0, 2, 4, 5})),
    Doctor("sorensen", "Dr. Sorensen", "cardiology", frozenset({1, 3})),
    Doctor("ruiz", "Dr. Ruiz", "dermatology", frozenset({0, 2, 4})),
    Doctor("nair", "Dr. Nair", "paediatrics", frozenset({0, 1, 2, 3, 4, 5})),
    Doctor("dubois", "Dr. Dubois", "gynaecology", frozenset({0, 1, 3})),
    Doctor("weber", "Dr. Weber", "orthopaedics", frozenset({1, 2, 4})),
    Doctor("kowalska", "Ms. Kowalska", "physiotherapy", frozenset({0, 1, 2, 3, 4})),
    Doctor("laboratory", "", "blood test", frozenset({0, 1, 2, 3, 4, 5}), (MORNING,), (time(9), time(11))),
    Doctor("vaccination", "", "vaccination", frozenset({0, 1, 2, 3, 4, 5}), (AFTERNOON,)),
    Doctor("imaging", "", "imaging", frozenset({0, 1, 2, 3, 4})),
)


class Slot(NamedTuple):
    doctor: Doctor
    at: datetime

    @property
    def key(self) -> str:
        return f"{self.doctor.key}/{self.at:%Y-%m-%d/%H:%M}"


class Appointment(NamedTuple):
    """One that is stored."""

    key: str
    value: dict[str, Any]
    doctor: Doctor
    at: datetime


# What the tools do


async def book(arguments: dict[str, Any], context: ToolContext) -> dict[str, Any]:
    upcoming = await _upcoming(context)
    if done := _made_by_this_call(upcoming, context):
        return _booked(done, context)
    doctors = _doctors(arguments)
    slots = await _wanted(doctors, arguments, context)
    if len(upcoming) >= MOST_UPCOMING:
        raise ToolError(_say(context, "too_many", most=MOST_UPCOMING))
    for parameter in ("name", "phone"):
        if not arguments.get(parameter):
            raise NeedsInput(parameter, _say(context, f"ask_{parameter}"))
    for slot in slots:
        value = _value(slot, arguments["name"], arguments["phone"], context)
        stored = await context.records.insert(COLLECTION, slot.key, value, made_by=context.idempotency_key)
        if stored is not None:
            return _booked(_appointment(slot.key, stored, context), context)
    # Somebody was faster since we looked.
    raise await _taken(doctors, slots[0].at, context)


async def move(arguments: dict[str, Any], context: ToolContext) -> dict[str, Any]:
    upcoming = await _upcoming(context)
    if done := _made_by_this_call(upcoming, context):
        return _moved(done, context)
    if not upcoming:
        return {"message": _say(context, "none")}
    chosen = _choose(upcoming, arguments, context)
    others = [doctor for doctor in DOCTORS if doctor.service == chosen.doctor.service and doctor != chosen.doctor]
    doctors = [chosen.doctor, *others]
    slots = await _wanted(doctors, arguments, context, own=chosen.key)
    for slot in slots:
        if slot.key == chosen.key:
            return _moved(chosen, context)
        value = _value(slot, chosen.value["name"], chosen.value["phone"], context)
        if await context.records.move(COLLECTION, chosen.key, slot.key, value, made_by=context.idempotency_key):
            return _moved(_appointment(slot.key, value, context), context)
    raise await _taken(doctors, slots[0].at, context)


async def cancel(arguments: dict[str, Any], context: ToolContext) -> dict[str, Any]:
    # Which one it was is written down first: a try after a crash must not go on to cancel the next one.
    begun = await context.records.get(CANCELLED, context.idempotency_key)
    if begun is None:
        upcoming = await _upcoming(context)
        if not upcoming:
            return {"message": _say(context, "none")}
        chosen = _choose(upcoming, arguments, context)
        confirmed = arguments.get("confirmed")
        if confirmed is None:
            question = "confirm_late" if chosen.at - context.now < LATE else "confirm"
            raise NeedsInput(
                "confirmed", _say(context, question, what=_label(chosen, context)), YES_NO[_language(context)]
            )
        if not confirmed:
            return {"message": _say(context, "kept", what=_label(chosen, context))}
        begun = {"key": chosen.key, **chosen.value}
        await context.records.insert(CANCELLED, context.idempotency_key, begun, made_by=context.idempotency_key)
    await context.records.delete(COLLECTION, begun["key"])
    cancelled = _appointment(begun["key"], begun, context)
    return {"message": _say(context, "cancelled", what=_label(cancelled, context))}


async def free_slots(arguments: dict[str, Any], context: ToolContext) -> dict[str, Any]:
    doctors = _doctors(arguments)
    first, part = context.now.date(), arguments.get("part_of_day")
    message, span = "free", 21
    if arguments.get("date"):
        first, span = date.fromisoformat(arguments["date"]), 1
    days = await _free_by_day(doctors, first, span, part, context)
    if not days and span == 1:
        message = "free_elsewhere"
        days = await _free_by_day(doctors, max(first, context.now.date()), 21, part, context)
    found = [
        {"date": day.isoformat(), "day": _day(day, context), "times": _spread(_times(slots), 8)}
        for day, slots in list(days.items())[:3]
    ]
    what = _who(doctors[0], context) if arguments.get("doctor") else _service(doctors[0].service, context)
    return {
        "message": _say(context, message if found else "free_none", what=what, day=_day(first, context)),
        "days": found,
    }


async def my_appointments(arguments: dict[str, Any], context: ToolContext) -> dict[str, Any]:
    upcoming = await _upcoming(context)
    return {
        "message": _say(context, "mine" if upcoming else "none"),
        "appointments": [
            {"id": each.key, "label": _label(each, context), "name": each.value["name"]} for each in upcoming
        ],
    }


# The calendar


def _doctors(arguments: dict[str, Any]) -> list[Doctor]:
    """Whose calendars can serve: the named doctor's, else all of the department."""
    named = [doctor for doctor in DOCTORS if doctor.name and doctor.name == arguments.get("doctor")]
    return named or [doctor for doctor in DOCTORS if doctor.service == arguments["service"]]


def _slots(doctor: Doctor, day: date, context: ToolContext) -> list[Slot]:
    """All of the doctor's times on `day` that are not too soon, whether taken or not."""
    if day.weekday() not in doctor.days or (day.month, day.day) in CLOSED:
        return []
    found = []
    for begin, end in (doctor.saturday,) if day.weekday() == SATURDAY else doctor.hours:
        at = datetime.combine(day, begin, context.now.tzinfo)
        while at + SLOT <= datetime.combine(day, end, context.now.tzinfo):
            if at >= context.now + NOTICE:
                found.append(Slot(doctor, at))
            at += SLOT
    return found


async def _free_by_day(
    doctors: Sequence[Doctor], first: date, days: int, part: str | None, context: ToolContext, own: str = ""
) -> dict[date, list[Slot]]:
    """Free slots of the days that have any, in order of time, then of `doctors`. `own` counts as free."""
    span = [first + timedelta(days=number) for number in range(days)]
    free: dict[date, list[Slot]] = {}
    for doctor in doctors:
        # Keys of one doctor have one length, so that they sort by time under every collation.
        begin, end = f"{doctor.key}/{span[0]}/00:00", f"{doctor.key}/{span[-1]}/24:00"
        taken = {key for key, _ in await context.records.range(COLLECTION, begin, end)}
        for day in span:
            slots = [slot for slot in _slots(doctor, day, context) if slot.key not in taken or slot.key == own]
            if slots := [slot for slot in slots if _is_in(slot, part)]:
                free.setdefault(day, []).extend(slots)
    return {day: sorted(free[day], key=lambda slot: slot.at) for day in sorted(free)}


async def _wanted(
    doctors: Sequence[Doctor], arguments: dict[str, Any], context: ToolContext, own: str = ""
) -> list[Slot]:
    """The free slots at the wished day and time, one for each doctor who has it. Asks for what is not clear."""
    day, part = date.fromisoformat(arguments["date"]), arguments.get("part_of_day")
    wished = time.fromisoformat(arguments["time"]).replace(second=0, tzinfo=None) if arguments.get("time") else None
    if problem := _day_problem(doctors, day, context):
        raise await _another_day(doctors, day, problem, context)
    free = (await _free_by_day(doctors, day, 1, None, context, own)).get(day, [])
    if not free:
        raise await _another_day(doctors, day, _say(context, "full", day=_day(day, context)), context)
    if wished is None:
        raise _which_time(day, part, free, context)
    found = [slot for slot in free if slot.at.time() == wished]
    if not found:
        raise _not_then(day, wished, free, context)
    return found


def _day_problem(doctors: Sequence[Doctor], day: date, context: ToolContext) -> str | None:
    today, shown = context.now.date(), _day(day, context)
    if day < today:
        return _say(context, "past", day=shown)
    if day > today + timedelta(days=HORIZON_DAYS):
        return _say(context, "too_far", day=shown)
    if day.weekday() > SATURDAY or (day.month, day.day) in CLOSED:
        return _say(context, "closed", day=shown)
    if not any(day.weekday() in doctor.days for doctor in doctors):
        return _say(context, "away", who=_who(doctors[0], context), day=shown)
    return None


async def _another_day(doctors: Sequence[Doctor], day: date, problem: str, context: ToolContext) -> NeedsInput:
    today = context.now.date()
    first = min(max(day, today), today + timedelta(days=HORIZON_DAYS - 21))
    days = list(await _free_by_day(doctors, first, 21, None, context))[:3]
    if not days:
        return NeedsInput("date", f"{problem} {_say(context, 'ask_day')}")
    shown = tuple(_day(each, context) for each in days)
    return NeedsInput("date", f"{problem} {_say(context, 'next_days', days=_joined(shown, context))}", shown)


def _which_time(day: date, part: str | None, free: list[Slot], context: ToolContext) -> NeedsInput:
    fitting = [slot for slot in free if _is_in(slot, part)]
    times = tuple(_spread(_times(fitting or free), OFFERED))
    text = "offer" if fitting else "offer_other"
    part_text = PART_TEXTS[part][_language(context)] if part else ""
    question = _say(context, text, day=_day(day, context), part=part_text, times=_joined(times, context))
    return NeedsInput("time", question, times)


def _not_then(day: date, wished: time, free: list[Slot], context: ToolContext) -> NeedsInput:
    def distance(shown: str) -> int:
        other = time.fromisoformat(shown)
        return abs((other.hour - wished.hour) * 60 + other.minute - wished.minute)

    times = tuple(sorted(sorted(_times(free), key=distance)[:3]))
    question = _say(context, "taken", time=f"{wished:%H:%M}", day=_day(day, context), times=_joined(times, context))
    return NeedsInput("time", question, times)


async def _taken(doctors: Sequence[Doctor], at: datetime, context: ToolContext) -> NeedsInput:
    free = (await _free_by_day(doctors, at.date(), 1, None, context)).get(at.date(), [])
    if not free:
        full = _say(context, "full", day=_day(at.date(), context))
        return await _another_day(doctors, at.date(), full, context)
    return _not_then(at.date(), at.time(), free, context)


def _is_in(slot: Slot, part: str | None) -> bool:
    if part is None:
        return True
    begin, end = PARTS[part]
    return begin <= slot.at.time() < end


def _times(slots: Iterable[Slot]) -> list[str]:
    return sorted({f"{slot.at:%H:%M}" for slot in slots})


def _spread(times: list[str], most: int) -> list[str]:
    """At most `most` of them, from the first to the last, evenly."""
    if len(times) <= most:
        return times
    return [times[round(number * (len(times) - 1) / (most - 1))] for number in range(most)]


# The contact's own appointments


def _value(slot: Slot, name: str, phone: str, context: ToolContext) -> dict[str, Any]:
    return {
        "contact": context.contact,
        "name": name,
        "phone": phone,
        "service": slot.doctor.service,
        "doctor": slot.doctor.key,
        "at": slot.at.replace(tzinfo=None).isoformat(timespec="minutes"),
        "call": context.idempotency_key,
    }


def _appointment(key: str, value: dict[str, Any], context: ToolContext) -> Appointment:
    doctor = next(doctor for doctor in DOCTORS if doctor.key == value["doctor"])
    return Appointment(key, value, doctor, datetime.fromisoformat(value["at"]).replace(tzinfo=context.now.tzinfo))


async def _upcoming(context: ToolContext) -> list[Appointment]:
    """This contact's, and nobody else's, soonest first."""
    found = await context.records.find(COLLECTION, {"contact": context.contact})
    own = [_appointment(key, value, context) for key, value in found]
    return sorted((each for each in own if each.at > context.now), key=lambda each: each.at)


def _made_by_this_call(upcoming: list[Appointment], context: ToolContext) -> Appointment | None:
    return next((each for each in upcoming if each.value["call"] == context.idempotency_key), None)


def _choose(upcoming: list[Appointment], arguments: dict[str, Any], context: ToolContext) -> Appointment:
    """The one that is meant; asks when that is not clear."""
    if len(upcoming) == 1:
        return upcoming[0]
    labels = tuple(_label(each, context) for each in upcoming)
    wanted = _folded(arguments.get("appointment", ""))
    if wanted:
        for each, label in zip(upcoming, labels, strict=True):
            if wanted in (_folded(each.key), _folded(label)):
                return each
        place = _place_named(wanted, len(upcoming))
        if place is not None:
            return upcoming[place]
        words = set(wanted.split())
        scores = [len(words & _words(each, label)) for each, label in zip(upcoming, labels, strict=True)]
        if max(scores) > 0 and scores.count(max(scores)) == 1:
            return upcoming[scores.index(max(scores))]
    listed = "\n".join(f"{number}. {label}" for number, label in enumerate(labels, 1))
    raise NeedsInput("appointment", f"{_say(context, 'which')}\n\n{listed}", labels)


def _words(appointment: Appointment, label: str) -> set[str]:
    names = " ".join(SERVICES[appointment.doctor.service].values())
    english = f"{DAYS['en'][appointment.at.weekday()]} {MONTHS['en'][appointment.at.month - 1]}"
    words = set(_folded(f"{label} {names} {english} {appointment.at:%d %H:%M} {appointment.at.date()}").split())
    return words - STOPWORDS


def _place_named(wanted: str, count: int) -> int | None:
    words = wanted.split()
    for place, names in enumerate(ORDINALS[:count]):
        if wanted == str(place + 1) or any(name in words for name in names):
            return place
    return count - 1 if any(name in words for name in LAST) else None


def _folded(text: str) -> str:
    bare = "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))
    return " ".join(re.findall(r"[\w:/-]+", bare))


# What the contact reads


def _booked(appointment: Appointment, context: ToolContext) -> dict[str, Any]:
    name = appointment.value["name"]
    return {
        "message": _say(context, "booked", what=_label(appointment, context), name=name),
        "reminder": _say(context, "reminder"),
        "appointment": {"id": appointment.key, "at": appointment.value["at"], "name": name},
    }


def _moved(appointment: Appointment, context: ToolContext) -> dict[str, Any]:
    return {
        "message": _say(context, "moved", what=_label(appointment, context)),
        "appointment": {"id": appointment.key, "at": appointment.value["at"], "name": appointment.value["name"]},
    }


def _language(context: ToolContext) -> str:
    return context.language if context.language in DAYS else "en"


def _say(context: ToolContext, text: str, **values: object) -> str:
    return TEXTS[text][_language(context)].format(**values)


def _service(service: str, context: ToolContext) -> str:
    return SERVICES[service][_language(context)]


def _who(doctor: Doctor, context: ToolContext) -> str:
    return doctor.name or _service(doctor.service, context)


def _label(appointment: Appointment, context: ToolContext) -> str:
    """`Friday 27 November, 14:00, dermatology (Dr. Ruiz)`"""
    doctor = f" ({appointment.doctor.name})" if appointment.doctor.name else ""
    day, service = _day(appointment.at.date(), context), _service(appointment.doctor.service, context)
    return f"{day}, {appointment.at:%H:%M}, {service}{doctor}"


def _day(day: date, context: ToolContext) -> str:
    language = _language(context)
    text = DAY_FORMS[language].format(
        weekday=DAYS[language][day.weekday()], day=day.day, month=MONTHS[language][day.month - 1]
    )
    return text if day.year == context.now.year else f"{text} {day.year}"


def _joined(parts: Sequence[str], context: ToolContext) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {AND[_language(context)]} {parts[-1]}"


DAY_FORMS = {
    "en": "{weekday} {day} {month}",
    "es": "{weekday} {day} de {month}",
    "de": "{weekday}, {day}. {month}",
    "fr": "{weekday} {day} {month}",
    "pt": "{weekday}, {day} de {month}",
    "id": "{weekday} {day} {month}",
}
DAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "es": ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"),
    "de": ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
    "fr": ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
    "pt": ("segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira", "sábado", "domingo"),
    "id": ("Senin", "Selasa", "Rabu", "Kamis", "Jumat", "Sabtu", "Minggu"),
}
MONTHS = {
    language: tuple(names.split())
    for language, names in {
        "en": "January February March April May June July August September October November December",
        "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
        "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
        "id": "Januari Februari Maret April Mei Juni Juli Agustus September Oktober November Desember",
    }.items()
}
AND = {"en": "and", "es": "y", "de": "und", "fr": "et", "pt": "e", "id": "dan"}
YES_NO = {
    "en": ("Yes", "No"),
    "es": ("Sí", "No"),
    "de": ("Ja", "Nein"),
    "fr": ("Oui", "Non"),
    "pt": ("Sim", "Não"),
    "id": ("Ya", "Tidak"),
}
ORDINALS = (
    {"first", "primera", "primero", "erste", "ersten", "premier", "premiere", "primeira", "primeiro", "pertama"},
    {"second", "segunda", "segundo", "zweite", "zweiten", "deuxieme", "kedua"},
    {"third", "tercera", "tercero", "dritte", "dritten", "troisieme", "terceira", "terceiro", "ketiga"},
    {"fourth", "cuarta", "cuarto", "vierte", "vierten", "quatrieme", "quarta", "quarto", "keempat"},
)
# Words of labels that tell no appointment from another.
STOPWORDS = {"dr", "ms", "de", "a", "ao", "por"}
LAST = {"last", "ultima", "ultimo", "letzte", "letzten", "dernier", "derniere", "terakhir"}
PART_TEXTS = {
    "morning": {
        "en": " in the morning", "es": " por la mañana", "de": " am Vormittag",
        "fr": " matin", "pt": " de manhã", "id": " pagi",
    },
    "afternoon": {
        "en": " in the afternoon", "es": " por la tarde", "de": " am Nachmittag",
        "fr": " après-midi", "pt": " à tarde", "id": " siang",
    },
    "evening": {
        "en": " in the evening", "es": " a última hora de la tarde", "de": " am Abend",
        "fr": " en fin de journée", "pt": " ao fim da tarde", "id": " sore",
    },
}  # fmt: skip
SERVICES = {
    "general practice": {
        "en": "general practice", "es": "medicina general", "de": "Allgemeinmedizin",
        "fr": "médecine générale", "pt": "clínica geral", "id": "dokter umum",
    },
    "cardiology": {
        "en": "cardiology", "es": "cardiología", "de": "Kardiologie",
        "fr": "cardiologie", "pt": "cardiologia", "id": "kardiologi",
    },
    "dermatology": {
        "en": "dermatology", "es": "dermatología", "de": "Dermatologie",
        "fr": "dermatologie", "pt": "dermatologia", "id": "dermatologi",
    },
    "paediatrics": {
        "en": "paediatrics", "es": "pediatría", "de": "Kinderheilkunde",
        "fr": "pédiatrie", "pt": "pediatria", "id": "dokter anak",
    },
    "gynaecology": {
        "en": "gynaecology", "es": "ginecología", "de": "Gynäkologie",
        "fr": "gynécologie", "pt": "ginecologia", "id": "kandungan",
    },
    "orthopaedics": {
        "en": "orthopaedics", "es": "traumatología", "de": "Orthopädie",
        "fr": "orthopédie", "pt": "ortopedia", "id": "ortopedi",
    },
    "physiotherapy": {
        "en": "physiotherapy", "es": "fisioterapia", "de": "Physiotherapie",
        "fr": "kinésithérapie", "pt": "fisioterapia", "id": "fisioterapi",
    },
    "blood test": {
        "en": "blood test", "es": "análisis de sangre", "de": "Blutabnahme",
        "fr": "prise de sang", "pt": "análise ao sangue", "id": "tes darah",
    },
    "vaccination": {
        "en": "vaccination", "es": "vacunación", "de": "Impfung",
        "fr": "vaccination", "pt": "vacinação", "id": "vaksinasi",
    },
    "imaging": {
        "en": "imaging", "es": "diagnóstico por imagen", "de": "Bildgebung",
        "fr": "imagerie", "pt": "imagiologia", "id": "radiologi",
    },
}  # fmt: skip
TEXTS = {
    "offer": {
        "en": "On {day}{part} I have {times}. Which suits you?",
        "es": "El {day}{part} tengo {times}. ¿Cuál le viene bien?",
        "de": "Am {day}{part} habe ich {times} frei. Was passt Ihnen?",
        "fr": "Le {day}{part}, j'ai {times}. Qu'est-ce qui vous convient ?",
        "pt": "Para {day}{part} tenho {times}. Qual lhe convém?",
        "id": "Pada {day}{part} tersedia {times}. Mana yang cocok?",
    },
    "offer_other": {
        "en": "Nothing is free on {day}{part}, but I have {times} on that day. Does one of them suit you?",
        "es": "El {day}{part} no hay nada libre, pero ese día tengo {times}. ¿Le viene bien alguna?",
        "de": "Am {day}{part} ist nichts frei, aber an diesem Tag habe ich {times}. Passt etwas davon?",
        "fr": "Le {day}{part}, rien n'est libre, mais j'ai {times} ce jour-là. Cela vous convient-il ?",
        "pt": "Para {day}{part} não há vaga, mas nesse dia tenho {times}. Alguma lhe convém?",
        "id": "Pada {day}{part} tidak ada yang kosong, tetapi hari itu tersedia {times}. Ada yang cocok?",
    },
    "taken": {
        "en": "{time} on {day} is not free. The nearest times are {times}. Which suits you?",
        "es": "Las {time} del {day} no está libre. Lo más cercano es {times}. ¿Cuál le viene bien?",
        "de": "{time} am {day} ist nicht frei. Am nächsten liegen {times}. Was passt Ihnen?",
        "fr": "{time} le {day} n'est pas libre. Le plus proche : {times}. Qu'est-ce qui vous convient ?",
        "pt": "{time} de {day} não está livre. O mais próximo é {times}. Qual lhe convém?",
        "id": "Pukul {time} pada {day} tidak kosong. Yang terdekat {times}. Mana yang cocok?",
    },
    "past": {
        "en": "{day} has already passed.",
        "es": "El {day} ya ha pasado.",
        "de": "{day} ist schon vorbei.",
        "fr": "Le {day} est déjà passé.",
        "pt": "{day} já passou.",
        "id": "{day} sudah lewat.",
    },
    "too_far": {
        "en": "{day} is too far ahead: appointments can be booked four months ahead.",
        "es": "El {day} queda demasiado lejos: damos citas con hasta cuatro meses de antelación.",
        "de": "{day} liegt zu weit voraus: Termine vergeben wir bis zu vier Monate im Voraus.",
        "fr": "Le {day} est trop éloigné : nous donnons des rendez-vous jusqu'à quatre mois à l'avance.",
        "pt": "{day} é demasiado longe: marcamos até quatro meses antes.",
        "id": "{day} terlalu jauh: janji temu dapat dibuat hingga empat bulan ke depan.",
    },
    "closed": {
        "en": "The clinic is closed on {day}.",
        "es": "La clínica está cerrada el {day}.",
        "de": "Am {day} ist die Klinik geschlossen.",
        "fr": "La clinique est fermée le {day}.",
        "pt": "A clínica está fechada: {day}.",
        "id": "Klinik tutup pada {day}.",
    },
    "away": {
        "en": "{who} has no consultation on {day}.",
        "es": "{who} no pasa consulta el {day}.",
        "de": "{who}: am {day} keine Sprechstunde.",
        "fr": "{who} ne consulte pas le {day}.",
        "pt": "{who} não dá consulta: {day}.",
        "id": "{who} tidak praktik pada {day}.",
    },
    "full": {
        "en": "Nothing is free any more on {day}.",
        "es": "El {day} ya no queda nada libre.",
        "de": "Am {day} ist nichts mehr frei.",
        "fr": "Il n'y a plus rien de libre le {day}.",
        "pt": "Já não há vagas: {day}.",
        "id": "Pada {day} sudah penuh.",
    },
    "next_days": {
        "en": "The next free days are {days}. Which day suits you?",
        "es": "Los próximos días libres son {days}. ¿Qué día le viene bien?",
        "de": "Die nächsten freien Tage sind {days}. Welcher Tag passt Ihnen?",
        "fr": "Les prochains jours libres sont {days}. Quel jour vous convient ?",
        "pt": "Os próximos dias livres são {days}. Que dia lhe convém?",
        "id": "Hari kosong berikutnya: {days}. Hari mana yang cocok?",
    },
    "ask_day": {
        "en": "Which other day would suit you?",
        "es": "¿Qué otro día le vendría bien?",
        "de": "Welcher andere Tag würde Ihnen passen?",
        "fr": "Quel autre jour vous conviendrait ?",
        "pt": "Que outro dia lhe convém?",
        "id": "Hari lain mana yang cocok?",
    },
    "ask_name": {
        "en": "What is the patient's full name?",
        "es": "¿Cuál es el nombre completo del paciente?",
        "de": "Wie lautet der vollständige Name der Patientin oder des Patienten?",
        "fr": "Quel est le nom complet du patient ?",
        "pt": "Qual é o nome completo do paciente?",
        "id": "Siapa nama lengkap pasien?",
    },
    "ask_phone": {
        "en": "On which phone number can we reach you?",
        "es": "¿En qué teléfono podemos localizarle?",
        "de": "Unter welcher Telefonnummer erreichen wir Sie?",
        "fr": "À quel numéro pouvons-nous vous joindre ?",
        "pt": "Em que número de telefone o podemos contactar?",
        "id": "Nomor telepon berapa yang bisa kami hubungi?",
    },
    "too_many": {
        "en": "There are already {most} upcoming appointments under this contact, the most that can be booked here.",
        "es": "Este contacto ya tiene {most} citas próximas, el máximo que se puede reservar aquí.",
        "de": "Für diesen Kontakt stehen schon {most} Termine an, mehr lassen sich hier nicht buchen.",
        "fr": "Ce contact a déjà {most} rendez-vous à venir, le maximum possible ici.",
        "pt": "Este contacto já tem {most} consultas marcadas, o máximo possível aqui.",
        "id": "Kontak ini sudah memiliki {most} janji temu, jumlah terbanyak yang dapat dibuat di sini.",
    },
    "booked": {
        "en": "Your appointment is booked: **{what}**, for {name}.",
        "es": "Su cita está reservada: **{what}**, a nombre de {name}.",
        "de": "Ihr Termin ist gebucht: **{what}**, für {name}.",
        "fr": "Votre rendez-vous est réservé : **{what}**, pour {name}.",
        "pt": "A sua consulta está marcada: **{what}**, para {name}.",
        "id": "Janji temu Anda sudah dibuat: **{what}**, atas nama {name}.",
    },
    "reminder": {
        "en": "Please come ten minutes early and bring your insurance card. You can move or cancel it here.",
        "es": "Venga diez minutos antes con su tarjeta del seguro. Puede cambiarla o cancelarla aquí.",
        "de": "Bitte kommen Sie zehn Minuten früher und bringen Sie Ihre Versicherungskarte mit. "
        "Verschieben oder absagen können Sie hier.",
        "fr": "Venez dix minutes en avance avec votre carte d'assurance. Vous pouvez le déplacer ou l'annuler ici.",
        "pt": "Chegue dez minutos antes e traga o cartão do seguro. Pode mudar ou desmarcar aqui.",
        "id": "Mohon datang sepuluh menit lebih awal dan bawa kartu asuransi. Anda dapat mengubah atau "
        "membatalkannya di sini.",
    },
    "moved": {
        "en": "Done. Your appointment is now: **{what}**.",
        "es": "Hecho. Su cita es ahora: **{what}**.",
        "de": "Erledigt. Ihr Termin ist jetzt: **{what}**.",
        "fr": "C'est fait. Votre rendez-vous est maintenant : **{what}**.",
        "pt": "Feito. A sua consulta é agora: **{what}**.",
        "id": "Selesai. Janji temu Anda sekarang: **{what}**.",
    },
    "confirm": {
        "en": "Shall I cancel your appointment on {what}?",
        "es": "¿Cancelo su cita del {what}?",
        "de": "Soll ich Ihren Termin absagen: {what}?",
        "fr": "Dois-je annuler votre rendez-vous du {what} ?",
        "pt": "Posso desmarcar a sua consulta: {what}?",
        "id": "Batalkan janji temu Anda: {what}?",
    },
    "confirm_late": {
        "en": "It is in less than 24 hours, so 25 euros are charged. Shall I cancel your appointment on {what}?",
        "es": "Faltan menos de 24 horas, por lo que se cobran 25 euros. ¿Cancelo su cita del {what}?",
        "de": "Es sind weniger als 24 Stunden bis dahin, das kostet 25 Euro. Soll ich Ihren Termin absagen: {what}?",
        "fr": "C'est dans moins de 24 heures : 25 euros seront facturés. Dois-je annuler votre rendez-vous du {what} ?",
        "pt": "Faltam menos de 24 horas, por isso há uma taxa de 25 euros. Posso desmarcar a sua consulta: {what}?",
        "id": "Kurang dari 24 jam lagi, sehingga dikenakan biaya 25 euro. Batalkan janji temu Anda: {what}?",
    },
    "kept": {
        "en": "All right, your appointment stays: {what}.",
        "es": "De acuerdo, su cita se mantiene: {what}.",
        "de": "In Ordnung, Ihr Termin bleibt bestehen: {what}.",
        "fr": "D'accord, votre rendez-vous est maintenu : {what}.",
        "pt": "Está bem, a sua consulta mantém-se: {what}.",
        "id": "Baik, janji temu Anda tetap: {what}.",
    },
    "cancelled": {
        "en": "Your appointment is cancelled: {what}.",
        "es": "Su cita está cancelada: {what}.",
        "de": "Ihr Termin ist abgesagt: {what}.",
        "fr": "Votre rendez-vous est annulé : {what}.",
        "pt": "A sua consulta foi desmarcada: {what}.",
        "id": "Janji temu Anda dibatalkan: {what}.",
    },
    "which": {
        "en": "You have several appointments. Which one do you mean?",
        "es": "Tiene varias citas. ¿A cuál se refiere?",
        "de": "Sie haben mehrere Termine. Welchen meinen Sie?",
        "fr": "Vous avez plusieurs rendez-vous. Duquel s'agit-il ?",
        "pt": "Tem várias consultas. A qual se refere?",
        "id": "Anda memiliki beberapa janji temu. Yang mana?",
    },
    "none": {
        "en": "You have no upcoming appointments with us.",
        "es": "No tiene citas próximas con nosotros.",
        "de": "Sie haben keine anstehenden Termine bei uns.",
        "fr": "Vous n'avez pas de rendez-vous à venir chez nous.",
        "pt": "Não tem consultas marcadas connosco.",
        "id": "Anda tidak memiliki janji temu mendatang.",
    },
    "mine": {
        "en": "Your upcoming appointments:",
        "es": "Sus próximas citas:",
        "de": "Ihre nächsten Termine:",
        "fr": "Vos prochains rendez-vous :",
        "pt": "As suas próximas consultas:",
        "id": "Janji temu Anda berikutnya:",
    },
    "free": {
        "en": "Free times for {what}:",
        "es": "Horas libres para {what}:",
        "de": "Freie Zeiten für {what}:",
        "fr": "Horaires libres pour {what} :",
        "pt": "Horas livres para {what}:",
        "id": "Jadwal kosong untuk {what}:",
    },
    "free_elsewhere": {
        "en": "Nothing is free for {what} on {day}. The next free times:",
        "es": "El {day} no hay nada libre para {what}. Las próximas horas libres:",
        "de": "Am {day} ist für {what} nichts frei. Die nächsten freien Zeiten:",
        "fr": "Rien n'est libre pour {what} le {day}. Les prochains horaires :",
        "pt": "Não há vagas para {what}: {day}. As próximas horas livres:",
        "id": "Tidak ada jadwal kosong untuk {what} pada {day}. Jadwal kosong berikutnya:",
    },
    "free_none": {
        "en": "Nothing is free for {what} in the three weeks from {day}.",
        "es": "No hay nada libre para {what} en las tres semanas desde el {day}.",
        "de": "Für {what} ist in den drei Wochen ab {day} nichts frei.",
        "fr": "Rien n'est libre pour {what} dans les trois semaines à partir du {day}.",
        "pt": "Não há vagas para {what} nas três semanas a partir de {day}.",
        "id": "Tidak ada jadwal kosong untuk {what} dalam tiga minggu sejak {day}.",
    },
}
