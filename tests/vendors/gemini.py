"""Gemini's generateContent and streamGenerateContent as its server speaks them."""

import json
from collections.abc import Mapping
from typing import Any

from tests.vendors.replies import Reply, Said, VendorRequest

_FINISH = {"stop": "STOP", "tool_calls": "STOP", "max_tokens": "MAX_TOKENS", "content_filter": "SAFETY"}
_STATUS = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip


def read(body: Mapping[str, Any], headers: Mapping[str, str], model: str, streamed: bool) -> VendorRequest:
    messages: list[Said] = []
    for content in body["contents"]:
        role = "assistant" if content.get("role") == "model" else "user"
        for part in content["parts"]:
            if "functionResponse" in part:
                answer = part["functionResponse"]
                messages.append(Said("tool", json.dumps(answer["response"]), answer["name"]))
        said = "".join(part.get("text", "") for part in content["parts"])
        if said or role == "assistant":
            messages.append(Said(role, said))
    system = "\n\n".join(part["text"] for part in (body.get("systemInstruction") or {}).get("parts", ()))
    tools = [spec["name"] for tool in body.get("tools", ()) for spec in tool.get("functionDeclarations", ())]
    schema = (body.get("generationConfig") or {}).get("responseJsonSchema")
    return VendorRequest("gemini", model, streamed, headers, body, system, messages, tools, schema)


def whole(reply: Reply, request: VendorRequest) -> dict[str, Any]:
    parts = [{"text": reply.thoughts, "thought": True}] if reply.thoughts else []
    parts += [{"text": reply.text}] if reply.text else []
    return _piece(reply, request, [*parts, *_calls(reply)], _FINISH[reply.stop_reason])


def events(reply: Reply, request: VendorRequest) -> list[bytes]:
    pieces: list[list[dict[str, Any]]] = [[{"text": reply.thoughts, "thought": True}]] if reply.thoughts else []
    pieces += [[{"text": piece}] for piece in reply.chunks]
    pieces += [[call] for call in _calls(reply)]
    made = [_event(_piece(reply, request, parts)) for parts in pieces]
    # The last piece has the reason; its text may be empty.
    return [*made, _event(_piece(reply, request, [{"text": ""}], _FINISH[reply.stop_reason]))]


def error(reply: Reply) -> dict[str, Any]:
    details: list[dict[str, Any]] = []
    if reply.code == "API_KEY_INVALID":
        details.append({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reply.code})
    status = _STATUS.get(reply.status, "UNKNOWN") if not reply.code or details else reply.code
    return {"error": {"code": reply.status, "message": reply.message, "status": status, "details": details}}


def error_event(reply: Reply) -> bytes:
    return _event({"error": {"code": 503, "message": reply.message, "status": reply.code or "UNAVAILABLE"}})


def models(names: list[str]) -> dict[str, Any]:
    return {"models": [{"name": f"models/{name}", "displayName": name} for name in names]}


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\r\n\r\n"


def _piece(
    reply: Reply, request: VendorRequest, parts: list[dict[str, Any]], finish: str | None = None
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    if finish == "SAFETY":
        candidate.pop("content")
    piece: dict[str, Any] = {"candidates": [candidate], "modelVersion": request.model, "responseId": "r1"}
    if reply.use:
        use = reply.use
        piece["usageMetadata"] = {
            "promptTokenCount": use.input,
            "cachedContentTokenCount": use.cached,
            "candidatesTokenCount": use.output - use.reasoning,
            "thoughtsTokenCount": use.reasoning,
            "totalTokenCount": use.input + use.output,
        }
    return piece


def _calls(reply: Reply) -> list[dict[str, Any]]:
    made = []
    for call in reply.tool_calls:
        assert call.raw is None, "Gemini's arguments are JSON of its answer: they can't be broken alone"
        function: dict[str, Any] = {"name": call.name, "args": dict(call.arguments)}
        part: dict[str, Any] = {"functionCall": function | ({"id": call.id} if call.id else {})}
        made.append(part | ({"thoughtSignature": call.signature} if call.signature else {}))
    return made
