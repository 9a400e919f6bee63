"""Anthropic's messages as its server speaks them."""

import json
from collections.abc import Mapping
from typing import Any

from tests.vendors.replies import Reply, Said, VendorRequest

_STOP = {"stop": "end_turn", "tool_calls": "tool_use", "max_tokens": "max_tokens", "content_filter": "refusal"}
_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error", 500: "api_error",
    504: "timeout_error", 529: "overloaded_error",
}  # fmt: skip


def read(body: Mapping[str, Any], headers: Mapping[str, str]) -> VendorRequest:
    assert headers["anthropic-version"] == "2026-10-21"
    assert not {"temperature", "top_p", "top_k"} & set(body), "this version refuses them"
    assert body["max_tokens"] > 0
    assert body["messages"][0]["role"] == "user"
    system = body.get("system") or ""
    messages: list[Said] = []
    names: dict[str, str] = {}
    for message in body["messages"]:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        assert blocks
        for block in blocks:
            if block["type"] == "tool_use":
                names[block["id"]] = block["name"]
            elif block["type"] == "tool_result":
                messages.append(Said("tool", _text(block["content"]), names[block["tool_use_id"]]))
        said = _text([block for block in blocks if block["type"] == "text"])
        if said or message["role"] == "assistant":
            messages.append(Said(message["role"], said))
    schema = (body.get("output_config") or {}).get("format", {}).get("schema")
    tools = [tool["name"] for tool in body.get("tools", ())]
    return VendorRequest(
        "anthropic", body["model"], bool(body.get("stream")), headers, body, _text(system), messages, tools, schema
    )


def whole(reply: Reply, request: VendorRequest) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    if reply.thoughts:
        content.append({"type": "thinking", "thinking": reply.thoughts, "signature": "c2ln"})
    if reply.text:
        content.append({"type": "text", "text": reply.text})
    for place, call in enumerate(reply.tool_calls):
        assert call.raw is None, "arguments are JSON of the whole answer: broken ones come by stream"
        call_id = call.id or f"toolu_{place}"
        content.append({"type": "tool_use", "id": call_id, "name": call.name, "input": dict(call.arguments)})
    message = _message(reply, request)
    return message | {"content": content, "stop_reason": _STOP[reply.stop_reason]}


def events(reply: Reply, request: VendorRequest) -> list[bytes]:
    made = [
        _event({"type": "message_start", "message": _message(reply, request, output=1)}),
        _event({"type": "ping"}),
    ]
    place = 0

    def block(opening: dict[str, Any], deltas: list[dict[str, Any]]) -> None:
        nonlocal place
        made.append(_event({"type": "content_block_start", "index": place, "content_block": opening}))
        made.extend(_event({"type": "content_block_delta", "index": place, "delta": delta}) for delta in deltas)
        made.append(_event({"type": "content_block_stop", "index": place}))
        place += 1

    if reply.thoughts:
        opening = {"type": "thinking", "thinking": "", "signature": ""}
        block(
            opening,
            [{"type": "thinking_delta", "thinking": reply.thoughts}, {"type": "signature_delta", "signature": "c2ln"}],
        )
    if reply.chunks:
        block({"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in reply.chunks])
    for number, call in enumerate(reply.tool_calls):
        raw = call.text()
        half = len(raw) // 2
        opening = {"type": "tool_use", "id": call.id or f"toolu_{number}", "name": call.name, "input": {}}
        block(opening, [{"type": "input_json_delta", "partial_json": piece} for piece in ("", raw[:half], raw[half:])])
    output = _usage(reply)["output_tokens"] if reply.use else 0
    usage: dict[str, Any] = {"output_tokens": output}
    if reply.use and reply.use.reasoning:
        usage["output_tokens_details"] = {"thinking_tokens": reply.use.reasoning}
    ending = {"type": "message_delta", "delta": {"stop_reason": _STOP[reply.stop_reason], "stop_sequence": None}}
    made.append(_event(ending | ({"usage": usage} if reply.use else {})))
    made.append(_event({"type": "message_stop"}))
    return made


def error(reply: Reply) -> dict[str, Any]:
    kind = reply.code or _TYPES.get(reply.status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": reply.message}, "request_id": "req_1"}


def error_event(reply: Reply) -> bytes:
    return _event(error(reply))


def models(names: list[str]) -> dict[str, Any]:
    listed = [
        {"type": "model", "id": name, "display_name": name, "created_at": "2025-01-01T00:00:00Z"} for name in names
    ]
    return {"data": listed, "has_more": False, "first_id": names[0], "last_id": names[-1]}


def _event(data: dict[str, Any]) -> bytes:
    return f"event: {data['type']}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def _message(reply: Reply, request: VendorRequest, output: int | None = None) -> dict[str, Any]:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": request.model, "content": []}
    message |= {"stop_reason": None, "stop_sequence": None}
    if reply.use:
        message["usage"] = _usage(reply) | ({} if output is None else {"output_tokens": output})
    return message


def _usage(reply: Reply) -> dict[str, Any]:
    use = reply.use
    assert use is not None
    usage: dict[str, Any] = {
        "input_tokens": use.input - use.cached - use.written,
        "cache_creation_input_tokens": use.written,
        "cache_read_input_tokens": use.cached,
        "output_tokens": use.output,
    }
    if use.reasoning:
        usage["output_tokens_details"] = {"thinking_tokens": use.reasoning}
    return usage


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "\n\n".join(block["text"] for block in content if block["type"] == "text")
    return content or ""
