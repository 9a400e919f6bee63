"""JSON Schemas in tool files: valid, an object's, and with our own keys in the form that providers read."""

from typing import Any  # JSON Schema is untyped JSON

from frontdesk.apply.located import Located, Path_
from frontdesk.apply.problems import Problems, did_you_mean
from frontdesk.core.dialect import Dialect

_SCHEMAS = Dialect(Dialect.META_SCHEMA, format_checker=Dialect.FORMAT_CHECKER)


def check_schema(located: Located, at: str, schema: dict[str, Any], problems: Problems) -> None:
    """`schema` stands in the file under the key `at`."""
    count = 0
    for error in _SCHEMAS.iter_errors(schema):
        path: Path_ = (at, *error.absolute_path)
        problems.add(located.file, located.line(path), f"`{at}` is not a JSON Schema: {_short(error.message)}")
        count += 1
        if count == 10:
            break
    if count:
        return
    if "$ref" in str(schema) and any(not ref.startswith("#") for ref in _refs(schema)):
        problems.add(located.file, located.line((at,)), f"`{at}` refers to another document; only `#/…` is accepted")


def check_input_schema(located: Located, schema: dict[str, Any], problems: Problems) -> None:
    """What the arguments of a tool need beyond a valid schema."""
    at = "input_schema"
    check_schema(located, at, schema, problems)
    if schema.get("type") != "object":
        problems.add(
            located.file, located.line((at, "type")), "`input_schema.type` must be `object`: arguments have names"
        )
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    if not isinstance(properties, dict) or not isinstance(required, list):
        return  # noted above
    for place, name in enumerate(required):
        if name not in properties:
            line = located.line((at, "required", place))
            sentence = (
                f"`input_schema.required` names `{name}`, which is no property; {did_you_mean(str(name), properties)}"
            )
            problems.add(located.file, line, sentence)
    for name, parameter in properties.items():
        if isinstance(parameter, dict):
            _check_parameter(located, (at, "properties", name), parameter, problems)


def _check_parameter(located: Located, path: Path_, parameter: dict[str, Any], problems: Problems) -> None:
    question = parameter.get("x-question")
    if question is not None and not _is_question(question):
        line = located.line((*path, "x-question"))
        problems.add(located.file, line, "`x-question` must be text, or text by language (`en: …`, `es: …`)")
    synonyms = parameter.get("x-synonyms")
    if synonyms is None:
        return
    values = {str(value) for value in parameter.get("enum", [])}
    if not isinstance(synonyms, dict) or not all(isinstance(words, list) for words in synonyms.values()):
        line = located.line((*path, "x-synonyms"))
        problems.add(located.file, line, "`x-synonyms` must give a list of words for each value of `enum`")
        return
    for value, words in synonyms.items():
        line = located.line((*path, "x-synonyms", value))
        if value not in values:
            problems.add(
                located.file, line, f"`x-synonyms` names `{value}`, no value of `enum`; {did_you_mean(value, values)}"
            )
        if not all(isinstance(word, str) and word.strip() for word in words):
            problems.add(located.file, line, f"`x-synonyms` of `{value}` must be a list of texts")


def _is_question(question: object) -> bool:
    if isinstance(question, dict):
        return "en" in question and all(isinstance(text, str) and text.strip() for text in question.values())
    return isinstance(question, str) and bool(question.strip())


def _refs(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        own = [schema["$ref"]] if isinstance(schema.get("$ref"), str) else []
        return own + [ref for value in schema.values() for ref in _refs(value)]
    if isinstance(schema, list):
        return [ref for value in schema for ref in _refs(value)]
    return []


def _short(message: str) -> str:
    return message if len(message) <= 200 else f"{message[:200]}…"
