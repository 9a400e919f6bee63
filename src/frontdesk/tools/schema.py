"""A tool's JSON Schema: checked once, then used to mend, complete and judge what a model or a service sends."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, time
from typing import Any  # arguments, results and schemas are untyped JSON: this module is where they get checked
from uuid import UUID

import jsonschema
import msgspec
import phonenumbers
from jsonschema import FormatChecker
from jsonschema.protocols import Validator
from referencing import Registry

from frontdesk.core.dialect import Dialect
from frontdesk.core.errors import DefinitionError
from frontdesk.tools.types import JSONObject

MAX_PROBLEMS = 8
MAX_DEPTH = 24
_SHOWN_CHARACTERS = 60
# JSON's numbers have no bound, those of databases and wires do.
_LARGEST = 2**63 - 1

# NUL can't be stored, lone surrogates can't be sent: a model that writes them means nothing by them.
_UNREADABLE = re.compile("[\x00\ud800-\udfff]")
_INTEGER = re.compile(r"[+-]?\d{1,18}")
_NUMBER = re.compile(r"[+-]?\d{1,18}(\.\d{1,12})?")
_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")
_URI = re.compile(r"[a-z][a-z0-9+.-]*:\S+", re.IGNORECASE)
_PARTS_OF_DAY = frozenset({"morning", "afternoon", "evening", "night"})
_BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong with the arguments. `parameter` is empty when it is none of them alone."""

    parameter: str
    rule: str  # the schema's keyword; `format:email` and the like for formats
    sentence: str


class Checked(msgspec.Struct, frozen=True):
    """Arguments after mending. `missing`: required ones, in the schema's order. `problems`: at most 8."""

    value: JSONObject
    missing: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def is_valid(self) -> bool:
        return not self.missing and not self.problems


class InputSchema:
    """The schema of a tool's arguments. Raises DefinitionError when it is not one."""

    def __init__(self, schema: JSONObject) -> None:
        _refuse_bad_input_schema(schema)
        self.properties: dict[str, JSONObject] = schema.get("properties", {})
        self.required: tuple[str, ...] = tuple(schema.get("required", ()))
        self._validator = _compiled(schema)

    def check(self, arguments: JSONObject) -> Checked:
        """Mends what can only mean one thing ("3" is 3), drops what says nothing (null, ""), then validates."""
        value = {}
        for name, given in arguments.items():
            mended = _mended(_readable(given), self.properties.get(name, {}))
            if not _says_nothing(mended, self.properties.get(name, {})):
                value[str(_readable(name))] = mended
        missing = tuple(name for name in self.required if name not in value)
        problems = []
        for error in self._validator.iter_errors(value):
            if error.validator == "required" and not error.path:
                continue  # told by `missing`
            problems.append(_problem(error))
            if len(problems) == MAX_PROBLEMS:
                break
        return Checked(value, missing, tuple(problems))

    def question(self, parameter: str, language: str) -> str | None:
        """What `x-question` says in `language`, else in English, else in the first one; None without it."""
        question = self.properties.get(parameter, {}).get("x-question")
        if isinstance(question, Mapping):
            return str(question.get(language) or question.get("en") or next(iter(question.values())))
        return question

    def options(self, parameter: str, language: str | None = None) -> tuple[str, ...]:
        """The values of an enumeration, to offer; beside an English question they are English, and for nobody else."""
        schema = self.properties.get(parameter, {})
        questions = schema.get("x-question")
        if isinstance(questions, Mapping) and "en" in questions and language != "en" and language in questions:
            return ()
        return tuple(str(option) for option in schema.get("enum", ()))

    def label(self, parameter: str) -> str:
        """What the parameter is called towards people."""
        schema = self.properties.get(parameter, {})
        label = str(schema.get("title") or schema.get("description") or parameter.replace("_", " "))
        return label.strip().rstrip(".?!:")


class OutputSchema:
    """The schema that a tool promises its result to have. Raises DefinitionError when it is not one."""

    def __init__(self, schema: JSONObject) -> None:
        self._validator = _compiled(schema)

    def problem(self, result: Any) -> str | None:
        """The first thing that is wrong, as a sentence."""
        error = next(iter(self._validator.iter_errors(result)), None)
        return None if error is None else _sentence(error)


def _refuse_bad_input_schema(schema: JSONObject) -> None:
    if schema.get("type") != "object":
        raise DefinitionError("The input schema must have `type: object`.")
    properties = schema.get("properties", {})
    if not isinstance(properties, dict) or not all(isinstance(each, dict) for each in properties.values()):
        raise DefinitionError("`properties` of the input schema must map each parameter's name to its schema.")
    required = schema.get("required", [])
    if not isinstance(required, list):
        raise DefinitionError("`required` of the input schema must be a list of parameters' names.")
    for name in required:
        if name not in properties:
            raise DefinitionError(f"`required` names {name!r}, which is not among the properties.")
    for name, each in properties.items():
        question = each.get("x-question")
        is_by_language = isinstance(question, dict) and question and all(isinstance(q, str) for q in question.values())
        if question is not None and not isinstance(question, str) and not is_by_language:
            raise DefinitionError(
                f"`x-question` of {name!r} must be a sentence, or a mapping from language to sentence."
            )
        if not isinstance(each.get("x-synonyms", {}), dict):
            raise DefinitionError(f"`x-synonyms` of {name!r} must map a value of `enum` to a list of words.")


def _compiled(schema: JSONObject) -> Validator:
    for reference in _references(schema):
        # Anything else would be fetched from where the schema says.
        if not reference.startswith("#"):
            raise DefinitionError(f"`$ref: {reference}` must point into the same schema (`#/$defs/…`).")
    try:
        Dialect.check_schema(schema, Dialect.FORMAT_CHECKER)
    except jsonschema.SchemaError as error:
        place = ".".join(str(part) for part in error.absolute_path)
        raise DefinitionError(f"Not a JSON Schema: {place or 'the schema'}: {error.message[:200]}.") from error
    return Dialect(schema, format_checker=FORMATS, registry=Registry())


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield value
            else:
                yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def _readable(value: Any, depth: int = 0) -> Any:
    """The value without characters that no store or wire takes, and without what is nested deeper than anyone means."""
    if isinstance(value, str):
        return _UNREADABLE.sub("", value)
    if isinstance(value, dict | list) and depth >= MAX_DEPTH:
        return None
    if isinstance(value, dict):
        return {_UNREADABLE.sub("", str(key)): _readable(each, depth + 1) for key, each in value.items()}
    if isinstance(value, list):
        return [_readable(each, depth + 1) for each in value]
    if isinstance(value, int) and abs(value) > _LARGEST:
        return str(value)
    return value


def _types(schema: JSONObject) -> tuple[str, ...]:
    kind = schema.get("type", ())
    return (kind,) if isinstance(kind, str) else tuple(kind)


def _says_nothing(value: Any, schema: JSONObject) -> bool:
    """Models send null or "" for what they don't know; that is as good as left out, unless the schema wants it."""
    if value is None:
        return "null" not in _types(schema)
    return isinstance(value, str) and not value.strip() and "" not in schema.get("enum", ())


def _mended(value: Any, schema: JSONObject) -> Any:
    """`value` in the type that the schema asks for, where no reader could take it otherwise; else unchanged."""
    types = _types(schema)
    if isinstance(value, str):
        return _mended_string(value, schema, types)
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST and "integer" in types:
        return int(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and types == ("string",):
        return str(value)
    if isinstance(value, list) and isinstance(items := schema.get("items"), dict):
        return [_mended(each, items) for each in value]
    if isinstance(value, dict) and isinstance(properties := schema.get("properties"), dict):
        return {name: _mended(each, properties.get(name, {})) for name, each in value.items()}
    return value


def _mended_string(value: str, schema: JSONObject, types: tuple[str, ...]) -> Any:
    text = value.strip()
    if "string" not in types:
        if "integer" in types and _INTEGER.fullmatch(text):
            return int(text)
        if "number" in types and _NUMBER.fullmatch(text):
            return float(text)
        if "boolean" in types and text.lower() in _BOOLEANS:
            return _BOOLEANS[text.lower()]
        if ("array" in types and text.startswith("[")) or ("object" in types and text.startswith("{")):
            return _unpacked(text, value)
    if isinstance(choices := schema.get("enum"), list) and value not in choices:
        same = [each for each in choices if isinstance(each, str) and each.casefold() == text.casefold()]
        return same[0] if len(same) == 1 else text
    if mend := _CANONICAL.get(schema.get("format", "")):
        return mend(text)
    return value


def _unpacked(text: str, otherwise: str) -> Any:
    """JSON that a model has put into a string."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return otherwise


def _canonical_date(text: str) -> str:
    try:
        return datetime.fromisoformat(text).date().isoformat()
    except ValueError:
        return text


def _canonical_time(text: str) -> str:
    """`HH:MM`; seconds stay only when they say something."""
    found = _TIME.fullmatch(text)
    if found is None:
        return text
    hours, minutes, seconds = found.groups()
    return f"{int(hours):02}:{minutes}" + (f":{seconds}" if seconds and seconds != "00" else "")


_CANONICAL: dict[str, Callable[[str], str]] = {"date": _canonical_date, "time": _canonical_time}


def _is_date(value: str) -> bool:
    return len(value) == 10 and bool(date.fromisoformat(value))


def _is_time(value: str) -> bool:
    found = _TIME.fullmatch(value)
    if found is None:
        return False
    time(int(found[1]), int(found[2]), int(found[3] or 0))
    return True


def _is_date_time(value: str) -> bool:
    return len(value) > 10 and bool(datetime.fromisoformat(value))


def _is_phone(value: str) -> bool:
    """International numbers must be possible ones; others need 5 to 15 digits, as only the tenant knows its region."""
    if value.strip().startswith("+"):
        return bool(phonenumbers.is_possible_number(phonenumbers.parse(value)))
    digits = sum(character.isdigit() for character in value)
    return 5 <= digits <= 15 and all(character.isdigit() or character in " ()-./" for character in value.strip())


def _is_person_name(value: str) -> bool:
    return 0 < len(value.strip()) <= 120 and any(character.isalpha() for character in value)


def _checker(formats: Mapping[str, tuple[Callable[[str], bool], tuple[type[Exception], ...]]]) -> FormatChecker:
    checker = FormatChecker(formats=())
    for name, (is_one, raises) in formats.items():
        checker.checkers[name] = (_only_of_strings(is_one), raises)
    return checker


def _only_of_strings(is_one: Callable[[str], bool]) -> Callable[[object], bool]:
    return lambda value: not isinstance(value, str) or is_one(value)


# What each format accepts, in words that a model or person can act on.
FORMAT_NAMES = {
    "date": "a date (YYYY-MM-DD)",
    "time": "a time (HH:MM)",
    "date-time": "a date with time (YYYY-MM-DDTHH:MM)",
    "email": "an email address",
    "phone": "a phone number",
    "person-name": "a person's name",
    "part-of-day": "a part of the day (morning, afternoon, evening, night)",
    "uri": "a web address",
    "uuid": "a UUID",
}

FORMATS = _checker(
    {
        "date": (_is_date, (ValueError,)),
        "time": (_is_time, (ValueError,)),
        "date-time": (_is_date_time, (ValueError,)),
        "email": (lambda value: bool(_EMAIL.fullmatch(value)), ()),
        "phone": (_is_phone, (phonenumbers.NumberParseException,)),
        "person-name": (_is_person_name, ()),
        "part-of-day": (lambda value: value in _PARTS_OF_DAY, ()),
        "uri": (lambda value: bool(_URI.fullmatch(value)), ()),
        "uuid": (lambda value: bool(UUID(value)), (ValueError,)),
    }
)


def _problem(error: jsonschema.ValidationError) -> Problem:
    parameter = str(error.absolute_path[0]) if error.absolute_path else ""
    rule = f"format:{error.validator_value}" if error.validator == "format" else str(error.validator)
    return Problem(parameter, rule, _sentence(error))


def _sentence(error: jsonschema.ValidationError) -> str:
    """What is wrong, where, and what is accepted. Holds a piece of the value: it goes to the model, never to a log."""
    where = ".".join(str(part) for part in error.absolute_path)
    return f"{where}: {_complaint(error)}" if where else _complaint(error)


def _complaint(error: jsonschema.ValidationError) -> str:
    value = _shown(error.instance)
    wanted: Any = error.validator_value
    match error.validator:
        case "enum":
            return f"{value} is not one of {_listed(wanted)}"
        case "type":
            return f"{value} is not of type {_listed([wanted] if isinstance(wanted, str) else wanted, 'or')}"
        case "format":
            return f"{value} is not {FORMAT_NAMES.get(str(wanted), str(wanted))}"
        case "minimum" | "exclusiveMinimum":
            return f"{value} is too small (at least {wanted})"
        case "maximum" | "exclusiveMaximum":
            return f"{value} is too large (at most {wanted})"
        case "minLength" | "minItems":
            return f"{value} is too short (at least {wanted})"
        case "maxLength" | "maxItems":
            return f"{value} is too long (at most {wanted})"
        case "pattern":
            return f"{value} is not of the form {wanted}"
        case "additionalProperties":
            known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
            unknown = [name for name in error.instance if name not in known] if isinstance(error.instance, dict) else []
            return f"there is no {_listed(unknown)}; known: {_listed(known) or 'none'}"
        case "required":
            absent = [name for name in wanted if isinstance(error.instance, dict) and name not in error.instance]
            return f"{_listed(absent)} is missing"
    return f"{value} does not fit `{error.validator}`"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _listed(values: Iterable[Any], joint: str = "") -> str:
    texts = [str(value) for value in values]
    return f" {joint} ".join(texts) if joint else ", ".join(texts[:40])
