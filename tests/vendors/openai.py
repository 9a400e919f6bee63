"""OpenAI's chat completions as its server speaks them."""

import json
from collections.abc import Mapping
from typing import Any

from tests.vendors.replies import Reply, Said, VendorRequest

_FINISH = {"stop": "stop", "tool_calls": "tool_calls", "max_tokens": "length", "content_filter": "content_filter"}
_HEAD = {"id": "chatcmpl-1", "created": 1_700_000_000}


def read(body: Mapping[str, Any], headers: Mapping[str, str]) -> VendorRequest:
    messages, system = [], []
    names: dict[str, str] = {}
    for message in body["messages"]:
        text = _text(message.get("content"))
        if message["role"] in ("system", "developer"):
            system.append(text)
            continue
        for call in message.get("tool_calls") or ():
            names[call["id"]] = call["function"]["name"]
            json.loads(call["function"]["arguments"])
        if message["role"] == "tool":
            messages.append(Said("tool", text, names[message["tool_call_id"]]))
        else:
            messages.append(Said(message["role"], text))
    schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema")
    tools = [tool["function"]["name"] for tool in body.get("tools", ())]
    return VendorRequest(
        "openai", body["model"], bool(body.get("stream")), headers, body, "\n\n".join(system), messages, tools, schema
    )


def whole(reply: Reply, request: VendorRequest) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None, "refusal": None}
    if reply.tool_calls:
        message["tool_calls"] = _calls(reply)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _FINISH[reply.stop_reason]}
    answer = {**_HEAD, "object": "chat.completion", "model": request.model, "choices": [choice]}
    return answer | ({"usage": _usage(reply)} if reply.use else {})


def events(reply: Reply, request: VendorRequest) -> list[bytes]:
    head = {**_HEAD, "object": "chat.completion.chunk", "model": request.model}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return _event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    made = [chunk({"role": "assistant", "content": ""})]
    made += [chunk({"content": piece}) for piece in reply.chunks]
    for place, call in enumerate(_calls(reply)):
        raw = call["function"]["arguments"]
        opening = {"index": place, "id": call["id"], "type": "function"}
        made.append(
            chunk({"tool_calls": [{**opening, "function": {"name": call["function"]["name"], "arguments": ""}}]})
        )
        half = len(raw) // 2
        made += [
            chunk({"tool_calls": [{"index": place, "function": {"arguments": p}}]}) for p in (raw[:half], raw[half:])
        ]
    made.append(chunk({}, _FINISH[reply.stop_reason]))
    if reply.use and (request.body.get("stream_options") or {}).get("include_usage"):
        made.append(_event({**head, "choices": [], "usage": _usage(reply)}))
    return [*made, b"data: [DONE]\n\n"]


def error(reply: Reply) -> dict[str, Any]:
    return {
        "error": {"message": reply.message, "type": reply.code or "server_error", "param": None, "code": reply.code}
    }


def error_event(reply: Reply) -> bytes:
    return _event(error(reply))


def models(names: list[str]) -> dict[str, Any]:
    return {
        "object": "list",
        "data": [{"id": name, "object": "model", "created": 0, "owned_by": "test"} for name in names],
    }


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"


def _calls(reply: Reply) -> list[dict[str, Any]]:
    return [
        {
            "id": call.id or f"call_{place}",
            "type": "function",
            "function": {"name": call.name, "arguments": call.text()},
        }
        for place, call in enumerate(reply.tool_calls)
    ]


def _usage(reply: Reply) -> dict[str, Any]:
    use = reply.use
    assert use is not None
    return {
        "prompt_tokens": use.input,
        "completion_tokens": use.output,
        "total_tokens": use.input + use.output,
        "prompt_tokens_details": {"cached_tokens": use.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": use.reasoning, "audio_tokens": 0},
    }


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""
