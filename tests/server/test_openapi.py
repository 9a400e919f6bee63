"""OpenAPI is complete: what each route is for, who may, and an example of everything that goes in and comes out."""

from collections.abc import Iterator, Mapping
from typing import Any  # OpenAPI is JSON

import pytest
from jsonschema import Draft202012Validator
from tests.served import Served

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
async def schema(served: Served) -> dict[str, Any]:
    found: dict[str, Any] = (await served.nobody.get("/openapi.json")).json()
    return found


def operations(schema: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, found in schema["paths"].items():
        for method in METHODS & found.keys():
            yield f"{method.upper()} {path}", found[method]


def referred(schema: Mapping[str, Any], value: dict[str, Any]) -> Any:
    for part in value.get("$ref", "").split("/")[1:]:
        value, schema = schema[part], schema[part]
    return value


def examples(schema: Mapping[str, Any], media: Mapping[str, Any]) -> list[Any]:
    several = [referred(schema, each)["value"] for each in media.get("examples", {}).values()]
    return several + [media[name] for name in ("example",) if name in media]


def wrong(schema: Mapping[str, Any], media: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the examples of a body or an answer."""
    found = examples(schema, media)
    if not found:
        yield "no example"
    form = {"components": schema["components"]} | media.get("schema", {})
    for example in found:
        if not isinstance(example, str):  # streams and documents are no JSON
            for error in Draft202012Validator(form).iter_errors(example):
                yield f"{error.json_path}: {error.message}"


async def test_every_route_says_what_it_is_for_and_who_may(schema: dict[str, Any]) -> None:
    told = {tag["name"] for tag in schema["tags"] if tag["description"]}
    found = dict(operations(schema))
    assert len(found) > 80
    for name, operation in found.items():
        assert operation["summary"], name
        assert operation["description"], name
        assert operation["tags"], name
        assert set(operation["tags"]) <= told, name
        assert "security" in operation, name
    ids = [operation["operationId"] for operation in found.values()]
    assert len(set(ids)) == len(ids)
    assert found["POST /api/auth/sign-in"]["security"] == []
    assert {} not in found["GET /api/admin/keys"]["security"]
    assert {} in found["POST /api/{tenant}/chat"]["security"]  # where the tenant lets anybody


async def test_every_body_and_every_answer_has_a_right_example(schema: dict[str, Any]) -> None:
    problems = []
    for name, operation in operations(schema):
        for kind, media in operation.get("requestBody", {}).get("content", {}).items():
            problems += [f"{name} body {kind}: {each}" for each in wrong(schema, media)]
        for status, answer in operation["responses"].items():
            for kind, media in answer.get("content", {}).items():
                problems += [f"{name} {status} {kind}: {each}" for each in wrong(schema, media)]
    assert not problems, "\n".join(problems)


async def test_every_refusal_is_told_with_all_its_codes(schema: dict[str, Any]) -> None:
    for name, operation in operations(schema):
        codes = {}
        for status, answer in operation["responses"].items():
            media = answer.get("content", {}).get("application/json", {})
            if media.get("schema", {}).get("$ref", "").endswith("/Error"):
                codes[status] = {example["error_code"] for example in examples(schema, media)}
                assert codes[status] == set(answer["description"].split(", ")), (name, status)
        assert "ADDRESS_REFUSED" in codes["403"], name
        assert {"INTERNAL"} <= codes["500"], name
        if operation["security"]:
            assert {"UNAUTHENTICATED", "TOKEN_INVALID", "TOKEN_EXPIRED"} <= codes["401"], name
            assert {"FORBIDDEN", "TENANT_SUSPENDED"} <= codes["403"], name
        if not name.startswith("GET"):
            assert "CROSS_SITE" in codes["403"], name


async def test_every_list_goes_on_by_cursor(schema: dict[str, Any]) -> None:
    lists = 0
    for name, operation in operations(schema):
        media = operation["responses"].get("200", {}).get("content", {}).get("application/json", {})
        properties = referred(schema, media.get("schema", {})).get("properties", {})
        if name.startswith("GET") and "items" in properties:
            lists += 1
            assert "next_cursor" in properties, name
            assert {"limit", "cursor"} <= {each["name"] for each in operation["parameters"]}, name
    assert lists > 10
