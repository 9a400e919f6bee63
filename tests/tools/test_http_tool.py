"""Tools of kind http against a real service on loopback."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import msgspec
import pytest
from aiohttp import web
from tests.tools.tool_service import NoRecords, Service, make_context

from frontdesk.core.errors import DefinitionError
from frontdesk.tools.http import HttpTool
from frontdesk.tools.outbound import Outbound
from frontdesk.tools.types import ToolContext, ToolDefinition, ToolError, ToolKind

SECRET = "s3cr3t-and-long"
PROPERTIES = {name: {} for name in ("id", "note", "tags", "amount", "who")}


async def secrets(_tenant_id: UUID, name: str) -> str | None:
    return {"KEY": SECRET}.get(name)


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    outbound = Outbound()
    yield outbound
    await outbound.close()


def definition(url: str, **config: Any) -> ToolDefinition:
    return ToolDefinition(
        name="orders",
        kind=ToolKind.HTTP,
        description="Orders.",
        input_schema={"type": "object", "properties": PROPERTIES},
        config={"url": url, **config},
    )


def tool(url: str, outbound: Outbound, allow: tuple[str, ...] = ("127.0.0.1",), **config: Any) -> HttpTool:
    return HttpTool(definition(url, **config), allow, outbound, secrets)


async def test_a_get_puts_arguments_into_path_and_query(
    service: Service, outbound: Outbound, context: ToolContext
) -> None:
    orders = tool(f"{service.url}/orders/{{id}}?detail={{note}}", outbound)
    result = await orders.call({"id": "a/b c", "note": "x&y=1", "tags": ["p", "q"], "amount": 3}, context)
    assert result.data["path"] == "/orders/a%2Fb%20c?detail=x%26y%3D1&tags=p&tags=q&amount=3"
    assert "Idempotency-Key" not in result.data["headers"]


async def test_a_post_sends_the_body_of_its_template_with_types_kept(
    service: Service, outbound: Outbound, context: ToolContext
) -> None:
    body = {"order": {"amount": "{amount}", "text": "by {who}: {note}", "tags": "{tags}", "absent": "{id}"}, "v": 1}
    orders = tool(f"{service.url}/orders", outbound, method="POST", body=body)
    result = await orders.call({"amount": 3, "who": "Ana", "note": "{amount}", "tags": ["a"]}, context)
    assert result.data["body"] == {"order": {"amount": 3, "text": "by Ana: {amount}", "tags": ["a"]}, "v": 1}
    assert result.data["headers"]["Idempotency-Key"] == context.idempotency_key


async def test_a_post_without_a_template_sends_the_arguments(
    service: Service, outbound: Outbound, context: ToolContext
) -> None:
    orders = tool(f"{service.url}/orders/{{id}}", outbound, method="POST")
    result = await orders.call({"id": "7", "amount": 2}, context)
    assert (result.data["path"], result.data["body"]) == ("/orders/7", {"amount": 2})


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("order.state", "sent"),
        ("order.lines.1.name", "tea"),
        ("order.lines.*.name", ["milk", "tea"]),
        ({"state": "order.state", "nothing": "order.x.y"}, {"state": "sent", "nothing": None}),
        (None, {"order": {"state": "sent", "lines": [{"name": "milk"}, {"name": "tea"}]}}),
    ],
)
async def test_the_answer_is_mapped(
    service: Service, outbound: Outbound, context: ToolContext, response: Any, expected: Any
) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"order": {"state": "sent", "lines": [{"name": "milk"}, {"name": "tea"}]}})

    service.handler = answer
    assert (await tool(service.url, outbound, response=response).call({}, context)).data == expected


async def test_a_secret_is_sent_and_never_comes_back(
    service: Service, outbound: Outbound, context: ToolContext
) -> None:
    orders = tool(
        service.url, outbound, headers={"Authorization": "Bearer ${secret:KEY}"}, query={"k": "${secret:KEY}"}
    )
    result = await orders.call({}, context)
    assert service.requests[0].headers["Authorization"] == f"Bearer {SECRET}"
    assert service.requests[0].query["k"] == SECRET
    assert SECRET not in repr(result)
    assert result.data["headers"]["Authorization"] == "Bearer [hidden]"


async def test_a_secret_is_not_in_what_a_refusing_service_says(
    service: Service, outbound: Outbound, context: ToolContext
) -> None:
    async def refuse(_request: web.Request) -> web.Response:
        return web.json_response({"detail": f"the key {SECRET} has run out"}, status=401)

    service.handler = refuse
    with pytest.raises(ToolError) as refused:
        await tool(service.url, outbound, headers={"X-Key": "${secret:KEY}"}).call({}, context)
    assert str(refused.value) == "The service answered 401: the key [hidden] has run out."


async def test_an_argument_that_looks_like_a_secret_is_only_text(
    service: Service, outbound: Outbound, context: ToolContext
) -> None:
    orders = tool(service.url, outbound, method="POST", headers={"X-Who": "{who}"})
    result = await orders.call({"who": "${secret:KEY}", "note": "${secret:KEY}"}, context)
    assert result.data["headers"]["X-Who"] == "${secret:KEY}"
    assert SECRET not in str(service.requests[0].headers) + service.bodies[0].decode()


async def test_a_missing_secret_is_said_without_its_value_or_name(outbound: Outbound, context: ToolContext) -> None:
    with pytest.raises(ToolError, match="a credential is missing"):
        await tool("https://service.example", outbound, headers={"X": "${secret:NOPE}"}).call({}, context)


@pytest.mark.parametrize("value", ["..", ".", "", "../../admin", "a\\..\\b", "%2e%2e", "x?y=1#z", "@evil.example/"])
async def test_a_value_stays_in_its_segment_of_the_path(
    service: Service, outbound: Outbound, context: ToolContext, value: str
) -> None:
    orders = tool(f"{service.url}/orders/{{id}}/lines", outbound)
    try:
        result = await orders.call({"id": value}, context)
    except ToolError:
        assert service.requests == []
        return
    path = result.data["path"]
    assert path.startswith("/orders/")
    assert path.endswith("/lines")
    assert path.count("/") == 3


async def test_a_line_break_can_not_make_another_header(
    service: Service, outbound: Outbound, context: ToolContext
) -> None:
    with pytest.raises(ToolError, match="line break"):
        await tool(service.url, outbound, headers={"X-Who": "{who}"}).call({"who": "a\r\nX-Evil: 1"}, context)
    assert service.requests == []


async def test_loopback_is_refused_unless_the_tenant_names_it(
    service: Service, outbound: Outbound, context: ToolContext
) -> None:
    for url in (service.url, f"http://localhost:{service.port}", f"http://[::ffff:127.0.0.1]:{service.port}"):
        with pytest.raises(ToolError, match="not one that may be reached"):
            await tool(url, outbound, allow=()).call({}, context)
    assert service.requests == []
    allowed = tool(f"http://localhost:{service.port}", outbound, allow=(f"localhost:{service.port}",))
    assert (await allowed.call({}, context)).data["method"] == "GET"


async def test_a_redirect_to_a_private_address_is_refused(
    service: Service, outbound: Outbound, context: ToolContext
) -> None:
    async def redirect(_request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": f"http://127.0.0.2:{service.port}/secret"})

    service.handler = redirect
    with pytest.raises(ToolError, match="not one that may be reached"):
        await tool(service.url, outbound).call({}, context)
    assert len(service.requests) == 1


async def test_a_redirect_within_the_service_is_followed_and_keeps_credentials(
    service: Service, outbound: Outbound, context: ToolContext
) -> None:
    async def redirect(request: web.Request) -> web.StreamResponse:
        if request.path == "/old":
            return web.Response(status=307, headers={"Location": "/new"})
        return await service.echo(request)

    service.handler = redirect
    orders = tool(f"{service.url}/old", outbound, headers={"X-Key": "${secret:KEY}"})
    assert (await orders.call({}, context)).data["path"] == "/new"
    assert service.requests[1].headers["X-Key"] == SECRET


async def test_credentials_do_not_follow_a_redirect_to_another_origin(
    service: Service, outbound: Outbound, context: ToolContext
) -> None:
    async def redirect(request: web.Request) -> web.StreamResponse:
        if request.path == "/old":
            return web.Response(status=302, headers={"Location": f"http://localhost:{service.port}/new"})
        return await service.echo(request)

    service.handler = redirect
    allow = ("127.0.0.0/8", "::1")
    orders = tool(f"{service.url}/old", outbound, allow, headers={"X-Key": "${secret:KEY}"})
    assert "X-Key" not in (await orders.call({}, context)).data["headers"]
    posts = tool(f"{service.url}/old", outbound, allow, method="PUT", headers={"X-Key": "${secret:KEY}"})
    with pytest.raises(ToolError, match="redirects a write to another server"):
        await posts.call({}, context)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "gopher://x", "//", "http://[::1", "/again"])
async def test_redirects_that_lead_nowhere_end_in_a_sentence(
    service: Service, outbound: Outbound, context: ToolContext, location: str
) -> None:
    async def redirect(_request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": location})

    service.handler = redirect
    with pytest.raises(ToolError, match=r"The service redirects|The tool's address"):
        await tool(service.url, outbound).call({}, context)


async def test_each_connection_goes_to_an_address_that_was_checked_for_it(
    service: Service, context: ToolContext
) -> None:
    """A name that answers differently the next time (DNS rebinding) gains nothing."""
    answers = [["127.0.0.1"], ["127.0.0.2"], ["127.0.0.1", "127.0.0.2"], ["169.254.169.254"]]
    asked: list[str] = []

    async def lookup(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    async def close_after_each(request: web.Request) -> web.StreamResponse:
        response = await service.echo(request)
        response.force_close()
        return response

    service.handler = close_after_each
    outbound = Outbound(lookup)
    rebinding = tool(f"http://rebinding.example:{service.port}", outbound)
    assert (await rebinding.call({}, context)).data["headers"]["Host"] == f"rebinding.example:{service.port}"
    for _ in answers[1:]:
        with pytest.raises(ToolError, match="not one that may be reached"):
            await rebinding.call({}, context)
    assert asked == ["rebinding.example"] * 4
    assert len(service.requests) == 1
    await outbound.close()


async def test_a_connection_of_one_tenant_does_not_serve_another(service: Service, outbound: Outbound) -> None:
    one, other = (make_context(UUID(int=number), NoRecords()) for number in (1, 2))
    await tool(service.url, outbound).call({}, one)
    with pytest.raises(ToolError, match="not one that may be reached"):
        await tool(service.url, outbound, allow=()).call({}, other)
    with pytest.raises(ToolError, match="not one that may be reached"):
        await tool(service.url, outbound, allow=()).call({}, one)


async def test_megabytes_are_refused(service: Service, outbound: Outbound, context: ToolContext) -> None:
    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for _ in range(1000):
            await response.write(b'"' + b"x" * 10_000)
        return response

    service.handler = flood
    with pytest.raises(ToolError, match="larger than 256 KB"):
        await tool(service.url, outbound).call({}, context)


async def test_a_small_body_that_unpacks_to_megabytes_is_refused(
    service: Service, outbound: Outbound, context: ToolContext
) -> None:
    async def bomb(_request: web.Request) -> web.Response:
        response = web.json_response({"x": "a" * 5_000_000})
        response.enable_compression(web.ContentCoding.gzip)
        return response

    service.handler = bomb
    with pytest.raises(ToolError, match="larger than 256 KB"):
        await tool(service.url, outbound).call({}, context)


@pytest.mark.parametrize(
    ("content_type", "body", "sentence"),
    [
        ("text/html", b"<html>Sign in</html>", "text/html that is not JSON"),
        ("application/json", b"<html>", "application/json that is not JSON"),
        ("application/json", b"\xff\xfe", "application/json that is not JSON"),
    ],
)
async def test_what_is_not_json_is_said(
    service: Service, outbound: Outbound, context: ToolContext, content_type: str, body: bytes, sentence: str
) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type=content_type)

    service.handler = answer
    with pytest.raises(ToolError, match=sentence):
        await tool(service.url, outbound).call({}, context)


async def test_no_content_is_a_result(service: Service, outbound: Outbound, context: ToolContext) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=204)

    service.handler = answer
    assert (await tool(service.url, outbound, method="DELETE").call({}, context)).data is None


@pytest.mark.parametrize(
    ("method", "config", "tries"),
    [
        ("GET", {}, 3),
        ("GET", {"retries": 0}, 1),
        ("POST", {}, 1),
        ("POST", {"idempotent": True}, 3),
    ],
)
async def test_only_what_may_be_repeated_is_tried_again(
    service: Service, outbound: Outbound, context: ToolContext, method: str, config: dict[str, Any], tries: int
) -> None:
    async def unavailable(_request: web.Request) -> web.Response:
        return web.json_response({"message": "Down for repair."}, status=503)

    service.handler = unavailable
    with pytest.raises(ToolError, match="503: Down for repair"):
        await tool(service.url, outbound, method=method, **config).call({}, context)
    assert len(service.requests) == tries
    if method == "POST":
        assert {request.headers["Idempotency-Key"] for request in service.requests} == {context.idempotency_key}


async def test_a_passing_trouble_passes(service: Service, outbound: Outbound, context: ToolContext) -> None:
    async def once(request: web.Request) -> web.StreamResponse:
        return web.Response(status=429) if len(service.requests) == 1 else await service.echo(request)

    service.handler = once
    assert (await tool(service.url, outbound).call({}, context)).data["method"] == "GET"


async def test_a_service_that_is_not_there_is_said(outbound: Outbound, context: ToolContext) -> None:
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(ToolError, match="could not be reached"):
        await tool(f"http://127.0.0.1:{port}", outbound, retries=0).call({}, context)


@pytest.mark.parametrize(
    ("config", "what"),
    [
        ({"url": "ftp://x"}, "must begin with http"),
        ({"url": "https://{who}.example/"}, "must be fixed"),
        ({"url": "https://a:b@service.example/"}, "must be fixed"),
        ({"url": "https://service.example/${secret:KEY}"}, "a secret may stand"),
        ({"url": "https://service.example/{nobody}"}, "{nobody} is not a parameter"),
        ({"url": "https://service.example", "body": {"x": ["{nobody}"]}}, "{nobody} is not a parameter"),
        ({"url": "https://service.example", "method": "TRACE"}, "config.method"),
        ({"url": "https://service.example", "retries": 99}, "config.retries"),
        ({"url": "https://service.example", "metod": "GET"}, "metod"),
        ({}, "url"),
    ],
)
async def test_a_wrong_config_is_refused(outbound: Outbound, config: dict[str, Any], what: str) -> None:
    wrong = msgspec.structs.replace(definition("https://service.example"), config=config)
    with pytest.raises(DefinitionError) as refused:
        HttpTool(wrong, (), outbound, secrets)
    assert what in refused.value.detail
