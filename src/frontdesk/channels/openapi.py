"""What OpenAPI tells of the routes' answers: every status, with its form and its error codes."""

from collections.abc import Collection, Sequence
from typing import Any  # OpenAPI is JSON

import msgspec
from pydantic import BaseModel

from frontdesk.core.errors import FrontdeskError

Responses = dict[int | str, dict[str, Any]]

_CORRELATION = {"X-Correlation-ID": {"required": True, "schema": {"type": "string"}}}
_PLACE = "#/components/schemas/{name}"
# Each event of a stream; `data` is JSON, by event as the reference says.
_EVENTS = {
    "schema": {
        "type": "object",
        "required": ["id", "event", "data"],
        "additionalProperties": False,
        "properties": {
            "id": {"type": "string", "pattern": "^[0-9]+-[0-9]+-([0-9]+|end)$"},
            "event": {"enum": ["accepted", "status", "delta", "restart", "answer", "error"]},
            "data": {"type": "string", "contentMediaType": "application/json"},
        },
    }
}

ERROR = {
    "type": "object",
    "required": ["detail", "error_code", "timestamp", "correlation_id", "retry_after"],
    "additionalProperties": False,
    "properties": {
        "detail": {"type": "string"},
        "error_code": {"type": "string", "pattern": "^[A-Z][A-Z0-9_]*$"},
        "timestamp": {"type": "string", "format": "date-time"},
        "correlation_id": {"type": "string"},
        "retry_after": {"type": ["integer", "null"], "minimum": 0},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "additionalProperties": False,
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def answers(status: int, form: Any, description: str, *, streamed: bool = False) -> Responses:
    """JSON of `form`, whose structs must be among the forms of `components`; with `streamed` also as events."""
    [schema], _ = msgspec.json.schema_components([form], ref_template=_PLACE)
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if streamed:
        content["text/event-stream"] = _EVENTS
    return {status: _response(description, content)}


def described(
    status: int, schema: dict[str, Any], description: str, example: Any, *, tagged: bool = False
) -> Responses:
    """JSON of a schema, with an example; `tagged`: with its ETag."""
    response = _response(description, {"application/json": {"schema": schema, "example": example}})
    if tagged:
        response["headers"] = _CORRELATION | {"ETag": {"required": True, "schema": {"type": "string"}}}
    return {status: response}


def page_of(item: dict[str, Any]) -> dict[str, Any]:
    """The schema of a list's answer."""
    return {
        "type": "object",
        "required": ["items", "next_cursor"],
        "additionalProperties": False,
        "properties": {"items": {"type": "array", "items": item}, "next_cursor": {"type": ["string", "null"]}},
    }


def schema_of(form: type[BaseModel]) -> dict[str, Any]:
    """The form's JSON Schema with the forms inside it written out: OpenAPI knows no `$defs`."""
    schema = form.model_json_schema()
    inner = schema.pop("$defs", {})

    def written(value: Any) -> Any:
        if isinstance(value, list):
            return [written(each) for each in value]
        if not isinstance(value, dict):
            return value
        beside = {key: written(each) for key, each in value.items() if key != "$ref"}
        return written(inner[value["$ref"].rpartition("/")[2]]) | beside if "$ref" in value else beside

    found: dict[str, Any] = written(schema)
    return found


def events(description: str) -> Responses:
    return {200: _response(description, {"text/event-stream": _EVENTS})}


def json_lines(description: str) -> Responses:
    return {200: _response(description, {"application/x-ndjson": {}})}


def nothing(description: str) -> Responses:
    return {204: _response(description, None)}


def failures(*errors: type[FrontdeskError]) -> Responses:
    """Each status with the codes that it may carry."""
    codes: dict[int | str, set[str]] = {}
    for error in errors:
        codes.setdefault(error.status, set()).add(error.error_code)
    return {status: _failure(found) for status, found in codes.items()}


def also(responses: Responses, more: Responses) -> Responses:
    """Both, by statuses as texts. A failure that is in both has the codes of both."""
    found: Responses = {str(status): response for status, response in responses.items()}
    for status, response in more.items():
        before = found.setdefault(str(status), response)
        codes = _codes(before), _codes(response)
        if all(codes):
            found[str(status)] = _failure(codes[0] | codes[1])
    return found


def components(forms: Sequence[type]) -> dict[str, Any]:
    """The forms as JSON Schemas, closed: what they don't name is not there, and what they name always is."""
    _, schemas = msgspec.json.schema_components(forms, ref_template=_PLACE)
    for schema in schemas.values():
        if "properties" in schema:
            schema |= {"required": list(schema["properties"]), "additionalProperties": False}
    return schemas | {"Error": ERROR}


def _failure(codes: Collection[str]) -> dict[str, Any]:
    found = sorted(codes)
    examples = {code: {"$ref": f"#/components/examples/{code}"} for code in found}
    media = {"schema": {"$ref": _PLACE.format(name="Error")}, "examples": examples}
    return _response(", ".join(found), {"application/json": media})


def _codes(response: dict[str, Any]) -> set[str]:
    """None of an answer that is no failure."""
    media = response.get("content", {}).get("application/json", {})
    is_failure = media.get("schema", {}).get("$ref") == _PLACE.format(name="Error")
    return set(media.get("examples", ())) if is_failure else set()


def _response(description: str, content: dict[str, Any] | None) -> dict[str, Any]:
    response: dict[str, Any] = {"description": description, "headers": _CORRELATION}
    return response if content is None else response | {"content": content}
