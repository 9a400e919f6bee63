"""Structured output: a schema's fields filled by classification and slot filling, or an honest refusal."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any  # a JSON Schema and its values are untyped

import numpy as np

from frontdesk.llm.providers.local.choose import Embed
from frontdesk.llm.slots import extract, validate
from frontdesk.llm.slots.schema import values_of
from frontdesk.llm.types import JSONObject, ProviderBadRequest

_CLEAR, _ALSO = 0.25, 0.9
_CONFIDENCE = re.compile(r"^(?:confidence|score|probability|certainty)$")
_SAID = re.compile(r"^(?:query|text|message|question|part|utterance)$")


async def fill(schema: JSONObject, text: str, embed: Embed, *, now: datetime, language: str) -> JSONObject:
    """An object of the schema for what the text says.

    Fields that choose among values are classified by likeness to the values and their descriptions (`oneOf` constants
    with `description`, `x-descriptions`, or lines `- value: description` in the field's description). Other fields are
    read from the text. Raises ProviderBadRequest when a required field would have to be made up.
    """
    if schema.get("type") != "object" or not isinstance(schema.get("properties"), Mapping):
        raise _cannot("a schema that is not an object with properties")
    filled = await _object(_resolved(schema, schema), schema, text, embed, now, language)
    problems = validate(schema, filled)
    if problems:
        raise _cannot(problems[0].parameter or problems[0].message)
    return filled


async def _object(
    schema: JSONObject, root: JSONObject, text: str, embed: Embed, now: datetime, language: str
) -> JSONObject:
    properties = {str(name): _resolved(inner, root) for name, inner in schema["properties"].items()}
    filled: JSONObject = await asyncio.to_thread(extract, {"properties": properties}, text, now=now, language=language)
    confidence = 0.0
    for name, inner in properties.items():
        if inner.get("type") == "array":
            items = _resolved(inner.get("items") or {}, root)
            if values_of(items):
                ranked = await _ranked(items, name, text, embed)
                filled[name] = [value for value, score in ranked if score >= max(_CLEAR, _ALSO * ranked[0][1])]
                confidence = max(confidence, ranked[0][1])
            elif items.get("type") == "object" and isinstance(items.get("properties"), Mapping):
                filled[name] = [await _object(items, root, text, embed, now, language)]
        elif name not in filled and len(values_of(inner)) > 1:
            ranked = await _ranked(inner, name, text, embed)
            if ranked[0][1] >= _CLEAR:
                filled[name], confidence = ranked[0]
    for name, inner in properties.items():
        if name not in filled and inner.get("type") in ("number", "integer") and _CONFIDENCE.match(name):
            filled[name] = round(min(max(confidence, 0.0), 1.0), 3)
        elif name not in filled and inner.get("type") == "string" and _SAID.match(name):
            filled[name] = text
    absent = [name for name in schema.get("required") or () if name not in filled]
    if absent:
        raise _cannot(", ".join(absent))
    return {name: value for name, value in filled.items() if name in properties}


async def _ranked(schema: JSONObject, name: str, text: str, embed: Embed) -> list[tuple[Any, float]]:
    """Each value with its likeness to the text, best first."""
    values = values_of(schema)
    described = [_described(schema, value) for value in values]
    vectors = await embed([text, *described])
    scores = vectors[1:] @ vectors[0]
    return [(values[at], float(scores[at])) for at in np.argsort(-scores)]


def _described(schema: JSONObject, value: Any) -> str:
    said = str(value).replace("_", " ")
    listed = schema.get("x-descriptions")
    if isinstance(listed, Mapping) and value in listed:
        return f"{said}: {listed[value]}"
    alternatives: Sequence[Any] = schema.get("oneOf") or schema.get("anyOf") or ()
    for alternative in alternatives:
        if isinstance(alternative, Mapping) and alternative.get("const") == value and alternative.get("description"):
            return f"{said}: {alternative['description']}"
    line = re.search(
        rf"^\W*{re.escape(str(value))}\W*[:–-]\s*(.+)$", str(schema.get("description") or ""), re.MULTILINE
    )
    return f"{said}: {line[1]}" if line else said


def _resolved(schema: Any, root: JSONObject) -> JSONObject:
    """The schema itself, or the definition within `root` that its `$ref` names."""
    for _ in range(8):
        if not isinstance(schema, Mapping):
            return {}
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return dict(schema)
        schema = root
        for step in reference.removeprefix("#/").split("/"):
            schema = schema.get(step, {}) if isinstance(schema, Mapping) else {}
    return {}


def _cannot(what: str) -> ProviderBadRequest:
    return ProviderBadRequest(
        f"The local model can't fill {what[:200]}: it classifies and copies what was said, and invents nothing.",
        provider="local",
    )
