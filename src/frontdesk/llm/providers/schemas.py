"""JSON Schemas as vendors take them: without our `x-` keys, and closed where a vendor asks for it."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar  # a JSON Schema is untyped

import msgspec
from cachetools import LRUCache

from frontdesk.llm.types import JSONObject

K = TypeVar("K")

# Keywords whose value maps names to schemas: the names are the tenant's, whatever they begin with.
_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
# Keywords whose value is data.
_DATA = frozenset({"enum", "const", "default", "examples", "required"})
# What Anthropic's structured output refuses. The caller checks the answer against the whole schema anyway.
_CONSTRAINTS = frozenset(
    {
        "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
        "pattern", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "default", "examples",
    }
)  # fmt: skip


def plain(schema: JSONObject) -> JSONObject:
    """Without the `x-` keys that only `local` and the runner read."""
    bare: JSONObject = _mapped(schema, lambda node: {key: node[key] for key in node if not key.startswith("x-")})
    return bare


def closed(schema: JSONObject) -> JSONObject:
    """`plain`, every object closed to unknown properties, and without the constraints that Anthropic refuses."""

    def close(node: JSONObject) -> JSONObject:
        kept = {key: value for key, value in node.items() if not key.startswith("x-") and key not in _CONSTRAINTS}
        if "properties" in kept or kept.get("type") == "object":
            kept["additionalProperties"] = False
        return kept

    shut: JSONObject = _mapped(schema, close)
    return shut


def is_strict(schema: JSONObject) -> bool:
    """Whether OpenAI takes it as `strict`: every object closed, every property required."""
    strict = True

    def look(node: JSONObject) -> JSONObject:
        nonlocal strict
        if "properties" in node or node.get("type") == "object":
            names = set(node.get("properties", {}))
            strict = strict and node.get("additionalProperties") is False and set(node.get("required", [])) == names
        return node

    _mapped(schema, look)
    return strict


class Encoded(Generic[K]):
    """The JSON of things that are sent again and again (tools, schemas), by identity, at most `most` of them.

    They come from cached definitions, so the same object means the same JSON; holding the object keeps its id its own.
    """

    def __init__(self, shape: Callable[[K], Any], most: int = 10_000) -> None:
        self._shape = shape
        self._known: LRUCache[int, tuple[K, msgspec.Raw]] = LRUCache(most)

    def of(self, thing: K) -> msgspec.Raw:
        known = self._known.get(id(thing))
        if known is None:
            known = self._known[id(thing)] = (thing, msgspec.Raw(msgspec.json.encode(self._shape(thing))))
        return known[1]


def _mapped(node: Any, change: Callable[[JSONObject], JSONObject]) -> Any:
    if isinstance(node, list):
        return [_mapped(item, change) for item in node]
    if not isinstance(node, dict):
        return node
    mapped: JSONObject = {}
    for key, value in change(node).items():
        if key in _NAMED and isinstance(value, dict):
            mapped[key] = {name: _mapped(schema, change) for name, schema in value.items()}
        else:
            mapped[key] = value if key in _DATA else _mapped(value, change)
    return mapped
