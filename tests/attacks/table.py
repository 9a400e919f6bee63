"""The route table of a running server as attacks need it: every operation, and how a valid request to it is made.

Values come from the operation's own schemas and from what a tenant really has (`world.py`). Nothing here names a route,
so a new one is covered as it is; one that can't be is told with what to add.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from fastapi.routing import APIRoute

from frontdesk.channels.access import Named, Needed
from frontdesk.channels.declared import declared
from frontdesk.identity.permissions import OPERATOR

_PLACE = re.compile(r"\{(\w+)(?::path)?\}")


class Uncovered(AssertionError):
    """A route that no attack can be made of: says what to add, and where."""


@dataclass(frozen=True)
class Operation:
    method: str
    path: str  # with places: `/api/{tenant}/sessions/{session_id}`
    needed: Needed | None  # None: it is for everyone
    schema: dict[str, Any]  # of OpenAPI; empty for pages, which stand in no schema

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def places(self) -> tuple[str, ...]:
        return tuple(_PLACE.findall(self.path))

    @property
    def ids(self) -> tuple[str, ...]:
        """Places of things inside a tenant."""
        return tuple(place for place in self.places if place != "tenant")

    @property
    def is_named(self) -> bool:
        return isinstance(self.needed, Named)

    @property
    def is_read(self) -> bool:
        return self.method in ("GET", "HEAD")

    @property
    def is_operators(self) -> bool:
        """It is about tenants, from outside of them."""
        return self.needed is not None and self.needed.permission in OPERATOR

    def collection(self, place: str) -> str:
        """The path before a place: `/api/admin/keys` of `{key_id}` in `/api/admin/keys/{key_id}`."""
        return self.path[: re.search(rf"/\{{{place}(:path)?\}}", self.path).start()]  # type: ignore[union-attr]


@dataclass(frozen=True)
class Request:
    method: str
    path: str  # with places still
    values: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    json: Any = None
    content: bytes | None = None

    @property
    def url(self) -> str:
        return _PLACE.sub(lambda found: quote(self.values[found[1]], safe="/" if ":" in found[0] else ""), self.path)

    def having(self, **places: str) -> "Request":
        return replace(self, values={**self.values, **places})

    def saying(self, headers: Mapping[str, str]) -> "Request":
        return replace(self, headers={**self.headers, **headers})


def operations(routes: Iterable[Any], openapi: Mapping[str, Any]) -> list[Operation]:
    """Every route of the application, those in no schema too."""
    found = []
    for route in routes:
        if not isinstance(route, APIRoute):
            continue
        needed = declared(route)
        for method in sorted(route.methods or ()):
            schema = openapi["paths"].get(route.path_format, {}).get(method.lower(), {})
            needs = needed if isinstance(needed, Needed) else None
            found.append(Operation(method, route.path, needs, schema))
    return found


def valid(operation: Operation, values: Mapping[str, str], bodies: Mapping[str, Any]) -> Request:
    """A request that is right but for who sends it.

    `values` by the names of places, query parameters and body fields; `bodies` by `Operation.name`, for bodies whose
    example in OpenAPI does not fit. Raises Uncovered.
    """
    query, headers = {}, {}
    for parameter in operation.schema.get("parameters", ()):
        name = parameter["name"]
        if parameter["in"] == "query" and (parameter.get("required") or name in values):
            query[name] = values[name] if name in values else str(_value(operation, name, parameter["schema"]))
        if parameter["in"] == "header" and name.lower() == "if-match":
            headers["if-match"] = "*"
    request = Request(operation.method, operation.path, dict(values), query, headers)
    for place in operation.places:
        if place not in values:
            raise Uncovered(
                f"{operation.name}: nothing is known for `{{{place}}}`. Make one of these in Grounds._things "
                f"(tests/attacks/world.py), or let GET {operation.collection(place)} list what a tenant has."
            )
    content = operation.schema.get("requestBody", {}).get("content", {})
    if not content:
        return request
    kind, media = next(iter(content.items()))
    request = request.saying({"content-type": kind})
    body = bodies.get(operation.name, media.get("example", media.get("schema", {}).get("example")))
    if kind != "application/json":
        if not isinstance(body, str):
            raise Uncovered(f"{operation.name}: give its body ({kind}) an example where OpenAPI is told of it.")
        return replace(request, content=body.encode())
    if body is None:
        body = _object(operation, media["schema"], values)
    else:
        body = {key: values.get(key, value) for key, value in body.items()}
    return replace(request, json=body)


def _object(operation: Operation, schema: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """The required fields, and those of which the tenant has a value."""
    found: dict[str, Any] = {}
    for name, field in schema.get("properties", {}).items():
        if name in values:
            found[name] = values[name]
        elif name in schema.get("required", ()):
            found[name] = _value(operation, name, field)
    return found


def _value(operation: Operation, name: str, schema: Mapping[str, Any]) -> Any:
    if "example" in schema:
        return schema["example"]
    if schema.get("examples"):
        return schema["examples"][0]
    for choice in schema.get("anyOf", ()):
        return _value(operation, name, choice)
    if "default" in schema:
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "array":
            return [_value(operation, name, schema.get("items", {}))]
        case "string" if "format" not in schema and len(schema.get("pattern", "")) < 24:
            return "x" * max(3, schema.get("minLength", 3))
    raise Uncovered(
        f"{operation.name}: no value is known for `{name}`. Give the field an example where its form stands, or "
        "a value in World.values (tests/attacks/world.py)."
    )
