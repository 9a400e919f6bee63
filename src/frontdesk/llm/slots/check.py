"""Whether arguments fit their schema, and what to ask for next."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from functools import cache
from typing import Any  # arguments and schemas are untyped JSON

from jsonschema import FormatChecker

from frontdesk.core.dialect import Dialect
from frontdesk.llm.slots.calendar_words import PARTS_OF_DAY

_TIME = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d)?(?:Z|[+-]\d\d:\d\d)?")
_PHONE = re.compile(r"\+?\d[\d ()./\-]{4,22}\d")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]{2,}")
_ASK = {
    "en": "What is the {}?", "es": "¿Cuál es el dato «{}»?", "de": "Wie lautet die Angabe „{}“?",
    "fr": "Pouvez-vous indiquer : {} ?", "pt": "Qual é o dado «{}»?", "id": "Mohon sebutkan: {}.",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Problem:
    """One argument that does not fit: the parameter (empty for the whole) and a sentence."""

    parameter: str
    message: str


def validate(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> list[Problem]:
    """Everything that is wrong with the arguments, missing ones included, in the schema's order of checking."""
    errors = Dialect(dict(schema), format_checker=formats()).iter_errors(dict(arguments))
    return [Problem(_parameter(error), error.message[:300]) for error in errors]


def fits(schema: Mapping[str, Any], value: Any) -> bool:
    return bool(Dialect(dict(schema), format_checker=formats()).is_valid(value))


def missing(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> list[str]:
    """Required parameters without a value, in the order of `required`. An empty text is no value."""
    return [name for name in schema.get("required", ()) if arguments.get(name) in (None, "")]


def next_question(
    schema: Mapping[str, Any], arguments: Mapping[str, Any], language: str = "en"
) -> tuple[str, str] | None:
    """(parameter, question) for the first required parameter that is missing; None when nothing is.

    The question is the parameter's `x-question` (a text, or texts by language), else made of its title or name.
    """
    absent = missing(schema, arguments)
    return (absent[0], question_for(schema, absent[0], language)) if absent else None


def question_for(schema: Mapping[str, Any], parameter: str, language: str = "en") -> str:
    properties = schema.get("properties") or {}
    inner = properties.get(parameter) or {}
    written = inner.get("x-question")
    if isinstance(written, Mapping):
        written = written.get(language) or written.get("en") or next(iter(written.values()), None)
    if isinstance(written, str) and written.strip():
        return written
    said = str(inner.get("title") or parameter.replace("_", " "))
    return _ASK.get(language, _ASK["en"]).format(said)


@cache  # one checker; its table of formats never changes
def formats() -> FormatChecker:
    """The formats that schemas may name, ours included."""
    checker = FormatChecker(formats=())
    for name, check in {
        "date": _is_date, "date-range": _is_date_range, "time": lambda text: bool(_TIME.fullmatch(text)),
        "part-of-day": lambda text: text in PARTS_OF_DAY, "email": lambda text: bool(_EMAIL.fullmatch(text)),
        "phone": lambda text: bool(_PHONE.fullmatch(text)), "person-name": lambda text: 0 < len(text.strip()) <= 200,
    }.items():  # fmt: skip
        checker.checks(name)(lambda value, check=check: not isinstance(value, str) or check(value))
    return checker


def _parameter(error: Any) -> str:  # jsonschema's errors are loosely typed
    if error.absolute_path:
        return str(error.absolute_path[0])
    if error.validator == "required":
        return next(
            (str(name) for name in error.validator_value if name not in error.instance and repr(name) in error.message),
            "",
        )
    return ""


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return len(text) == 10


def _is_date_range(text: str) -> bool:
    first, mark, last = text.partition("/")
    return bool(mark) and _is_date(first) and _is_date(last) and first <= last


def as_time(moment: time) -> str:
    return moment.strftime("%H:%M")
