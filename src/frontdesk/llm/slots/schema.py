"""What a parameter of a JSON Schema asks for: its kind, by type, format and enum, else by name and description."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any  # a JSON Schema is untyped

from frontdesk.llm.slots.text import fold, stem, word_set, words

JSONObject = dict[str, Any]


class Kind(StrEnum):
    DATE = "date"
    DATE_RANGE = "date-range"  # "2026-11-27/2026-11-30"
    TIME = "time"
    PART_OF_DAY = "part-of-day"
    PERSON = "person-name"
    EMAIL = "email"
    PHONE = "phone"
    URL = "uri"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    PLACE = "place"
    TITLE = "title"  # a proper name of a thing
    PATTERN = "pattern"
    TEXT = "text"
    OTHER = "other"  # nothing that a sentence can fill


@dataclass(frozen=True, slots=True)
class Slot:
    """One parameter. `role` is `start` or `end` where it is one side of a span (check-in, to_location), else empty."""

    name: str
    kind: Kind
    schema: JSONObject
    role: str = ""
    stems: frozenset[str] = frozenset()  # of its name and description
    values: Mapping[str, Any] | None = None  # how a value is said -> the value
    synonyms: Mapping[str, tuple[str, ...]] | None = None
    many: bool = False  # a list of such values


_FORMATS = {
    "date": Kind.DATE, "date-range": Kind.DATE_RANGE, "time": Kind.TIME, "part-of-day": Kind.PART_OF_DAY,
    "person-name": Kind.PERSON, "email": Kind.EMAIL, "idn-email": Kind.EMAIL, "phone": Kind.PHONE, "uri": Kind.URL,
    "url": Kind.URL, "place": Kind.PLACE, "title": Kind.TITLE,
}  # fmt: skip
_DATE_WORDS = word_set("date day birthday fecha datum tanggal data")
_TIME_WORDS = word_set("time hour hora uhrzeit heure jam")
_PHONE_WORDS = word_set("phone telephone mobile telefono telefon telefone telepon cellphone")
_EMAIL_WORDS = word_set("email mail correo")
_PLACE_WORDS = word_set(
    "city town location destination origin area place address station airport venue where neighborhood neighbourhood "
    "country region state ciudad lugar stadt ort ville lieu cidade kota tempat"
)
_PERSON_NAMES = re.compile(
    r"^(?:full_?|first_?|last_?|your_?|contact_?|patient_?|customer_?|guest_?|client_?|person_?|caller_?)*name$|^(?:patient|nombre|nome|nama)$"
)
_TITLE_NAME = re.compile(r"(?:_name|_title|^title)$")
_COUNT = re.compile(r"\b(?:number of|how many|size|count|amount|quantity)\b")
_START = word_set(
    "start starting from origin leaving departure depart departing outbound pickup checkin begin beginning"
)
_END = word_set("end ending to until return returning dropoff checkout inbound destination going arrival")
_COMMON = word_set(
    "the of for in on at to a an is or and from which whether it its be been has have with by that this type name "
    "date time number find used value indicating boolean flag"
)


def slots_of(schema: Mapping[str, Any]) -> list[Slot]:
    """The parameters of an object's schema that have a schema of their own, in its order."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return []
    return [slot_of(str(name), dict(inner)) for name, inner in properties.items() if isinstance(inner, Mapping)]


def slot_of(name: str, schema: JSONObject) -> Slot:
    plain = _not_null(schema)
    many = plain.get("type") == "array"
    if many:
        items = plain.get("items")
        plain = _not_null(items) if isinstance(items, Mapping) else {}
    said_name = _joined(name)
    said = _joined(str(schema.get("description") or plain.get("description") or plain.get("title") or ""))
    kind, values = _kind(said_name, said, plain, name)
    stems = frozenset(stem(word.text) for word in words(f"{said_name} {said}") if word.text not in _COMMON)
    return Slot(name, kind, plain, _role(said_name, said), stems, values, _synonyms(plain | schema), many)


def _not_null(schema: Mapping[str, Any]) -> JSONObject:
    """The schema itself, or the first alternative that is not null."""
    for alternatives in (schema.get("anyOf"), schema.get("oneOf")):
        if isinstance(alternatives, list) and not all(
            isinstance(each, Mapping) and "const" in each for each in alternatives
        ):
            real = [each for each in alternatives if isinstance(each, Mapping) and each.get("type") != "null"]
            return dict(real[0]) if real else {}
    return dict(schema)


def _kind(name: str, said: str, schema: JSONObject, raw_name: str) -> tuple[Kind, Mapping[str, Any] | None]:
    kind = _declared(schema)
    if kind is not None:
        return kind, None
    declared = values_of(schema)
    if declared:
        said_values = {str(value).lower() for value in declared}
        if said_values <= {"true", "false"}:
            return Kind.BOOLEAN, {str(value).lower(): value for value in declared}
        if all(re.fullmatch(r"-?\d+(?:\.\d+)?", each) for each in said_values):
            return Kind.NUMBER, {str(value): value for value in declared}
        return Kind.CHOICE, {str(value): value for value in declared if value is not None}
    if isinstance(schema.get("pattern"), str):
        return Kind.PATTERN, None
    return _guessed(name, said, schema, raw_name)


def _declared(schema: JSONObject) -> Kind | None:
    kinds = schema.get("type")
    first = next((each for each in kinds if each != "null"), None) if isinstance(kinds, list) else kinds
    if first == "boolean":
        return Kind.BOOLEAN
    if first in ("integer", "number") and not values_of(schema):
        return Kind.NUMBER
    if first in ("object", "array"):
        return Kind.OTHER
    return _FORMATS.get(str(schema.get("format", "")))


def values_of(schema: Mapping[str, Any]) -> list[Any]:
    """The values of an `enum`, or of a `oneOf` of constants."""
    listed = schema.get("enum")
    if isinstance(listed, list):
        return listed
    for alternatives in (schema.get("oneOf"), schema.get("anyOf")):
        if isinstance(alternatives, list) and alternatives:
            constants = [each["const"] for each in alternatives if isinstance(each, Mapping) and "const" in each]
            if len(constants) == len(alternatives):
                return constants
    return []


def _guessed(name: str, said: str, schema: JSONObject, raw_name: str) -> tuple[Kind, Mapping[str, Any] | None]:
    """From name and description, for schemas that declare no format."""
    parts = [word.text for word in words(name)]
    opening = {word.text for word in words(said)[:2]}
    last = parts[-1] if parts else ""
    if _PERSON_NAMES.match(fold(raw_name)):
        return Kind.PERSON, None
    if last in _DATE_WORDS or opening & {"date"}:
        return Kind.DATE, None
    if last in _TIME_WORDS:
        return Kind.TIME, None
    if set(parts) & _PHONE_WORDS:
        return Kind.PHONE, None
    if set(parts) & _EMAIL_WORDS:
        return Kind.EMAIL, None
    if _TITLE_NAME.search(fold(raw_name)):
        return Kind.TITLE, None
    if "number" in parts[:1] or _COUNT.match(said):
        return Kind.NUMBER, None
    if set(parts) & _PLACE_WORDS or opening & _PLACE_WORDS:
        return Kind.PLACE, None
    examples = schema.get("examples")
    if isinstance(examples, list) and examples and all(isinstance(each, str) for each in examples):
        return Kind.CHOICE, {each: each for each in examples}
    return Kind.TEXT, None


def _synonyms(schema: JSONObject) -> dict[str, tuple[str, ...]]:
    """`x-synonyms`, each as a list: of words, one word, or words by language."""
    given = schema.get("x-synonyms")
    if not isinstance(given, Mapping):
        return {}
    return {str(value): tuple(_flat(said)) for value, said in given.items()}


def _flat(said: object) -> list[str]:
    if isinstance(said, str):
        return [said]
    if isinstance(said, Mapping):
        return [word for inner in said.values() for word in _flat(inner)]
    if isinstance(said, list | tuple):
        return [word for inner in said for word in _flat(inner)]
    return []


def _joined(said: str) -> str:
    """Folded, with words for underscores and camel humps, and `check in` as one word."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|[_\-]+", " ", said)
    return re.sub(r"\b(check|pick|drop)\s+(in|out|up|off)\b", r"\1\2", fold(spaced))


def _role(name: str, said: str) -> str:
    """By the name; else by the first word of the description that tells ("to" tells in a name only)."""
    for word in words(name):
        if word.text in _START or word.text in _END:
            return "start" if word.text in _START else "end"
    for word in words(said):
        if word.text in _START or (word.text in _END and word.text != "to"):
            return "start" if word.text in _START else "end"
    return ""
