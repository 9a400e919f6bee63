"""A model that answers at once, in OpenAI's wire format: what is left of a turn's time is then the server's own.

    python -m benchmarks.mock_llm PORT [PACE]

It decides by what is asked: a JSON schema for `intents` gets the first agent; tools that were not called since the
contact's last message are called, the first of them; else the answer is TOKENS words, or as many as the model's name
says (`mock-800`). `GET /stats` counts the calls.

With a PACE a streamed answer is TOKENS words (from now on another number: `GET /tokens/NUMBER`) at so many a second,
each word the moment at which it was sent: a reader on this machine knows how long it was on its way.
"""

import asyncio
import random
import sys
import time
from typing import Any  # requests are of the vendor's shape

import httptools
import orjson
import uvloop

TOKENS = 50
LAST_WORD = f"word{TOKENS - 1}"
ORDER = "A-1001"


class Model:
    """One per server: it numbers its answers. `pace`: words a second of a streamed answer; None: all at once."""

    def __init__(self, pace: float | None) -> None:
        self.tokens = TOKENS
        self.pace = pace
        self.calls = 0

    def answer(self, body: dict[str, Any]) -> bytes | list[bytes]:
        """A whole body, or the events of a stream; of a paced one those before and behind its words."""
        self.calls += 1
        text, call = self._decide(body)
        if not body.get("stream"):
            return self._whole(body, text, call)
        return self._events(body, [] if self.pace and text else text, call)

    def _decide(self, body: dict[str, Any]) -> tuple[list[str], dict[str, Any] | None]:
        """Pieces of text, or a tool call."""
        form = (body.get("response_format") or {}).get("json_schema")
        if form is not None:
            return [orjson.dumps(_verdict(form["schema"], body["messages"][-1]["content"])).decode()], None
        tools = body.get("tools") or []
        if tools and not _called(body["messages"]):
            function = tools[0]["function"]
            arguments = {name: _value(of) for name, of in function["parameters"].get("properties", {}).items()}
            said = {"name": function["name"], "arguments": orjson.dumps(arguments).decode()}
            return [], {"id": f"call_{self.calls}", "type": "function", "function": said}
        _, _, length = str(body.get("model", "")).partition("-")
        return _words(int(length) if length.isdigit() else self.tokens), None

    def _whole(self, body: dict[str, Any], text: list[str], call: dict[str, Any] | None) -> bytes:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(text) or None}
        if call:
            message["tool_calls"] = [call]
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if call else "stop"}
        return orjson.dumps(self._head(body, "chat.completion") | {"choices": [choice], "usage": _usage(text)})

    def _events(self, body: dict[str, Any], text: list[str], call: dict[str, Any] | None) -> list[bytes]:
        head = self._head(body, "chat.completion.chunk")

        def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            return _event(head | {"choices": [choice]})

        events = [chunk({"role": "assistant", "content": None if call else ""})]
        if call:
            events.append(chunk({"tool_calls": [{"index": 0} | call]}))
        events += [chunk({"content": piece}) for piece in text]
        events.append(chunk({}, "tool_calls" if call else "stop"))
        if (body.get("stream_options") or {}).get("include_usage"):
            events.append(_event(head | {"choices": [], "usage": _usage(text)}))
        return [*events, b"data: [DONE]\n\n"]

    def _head(self, body: dict[str, Any], kind: str) -> dict[str, Any]:
        return {"id": f"chatcmpl-{self.calls}", "object": kind, "created": 1, "model": body.get("model", "mock")}


def _verdict(schema: dict[str, Any], message: str) -> dict[str, Any]:
    agent = schema["properties"]["intents"]["items"]["properties"]["agent"]["enum"][0]
    return {"intents": [{"agent": agent, "query": message, "confidence": 0.9}], "unclear": False, "question": ""}


def _called(messages: list[dict[str, Any]]) -> bool:
    """Whether a tool's result is among what came after the contact's last message."""
    for message in reversed(messages):
        if message["role"] == "user":
            return False
        if message["role"] == "tool":
            return True
    return False


def _value(schema: dict[str, Any]) -> Any:
    return schema["enum"][0] if "enum" in schema else ORDER


def _words(count: int) -> list[str]:
    return ["Your", *(f" word{number}" for number in range(1, count))]


def _usage(text: list[str]) -> dict[str, int]:
    spoken = max(len(text), 10)
    return {"prompt_tokens": 100, "completion_tokens": spoken, "total_tokens": 100 + spoken}


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(data) + b"\n\n"


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive; each event of a stream is a write of its own, in a turn of the loop of its own."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._parser = httptools.HttpRequestParser(self)
        self._transport: Any = None
        self._path = b""
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._path, self._body = b"", []

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        if self._path.endswith(b"/chat/completions"):
            answer = self._model.answer(orjson.loads(b"".join(self._body)))
            if isinstance(answer, list):
                self._start(answer)
            else:
                self._send(answer)
        elif self._path.startswith(b"/tokens/"):
            self._model.tokens = int(self._path.rpartition(b"/")[2])
            self._send(b"{}")
        elif self._path == b"/stats":
            self._send(orjson.dumps({"calls": self._model.calls}))
        else:
            self._send(b'{"object":"list","data":[{"id":"mock","object":"model"}]}')

    def _send(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        self._transport.write(head % len(body) + body)

    def _start(self, events: list[bytes]) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        self._transport.write(head)
        self._next(events, 0)

    def _next(self, events: list[bytes], place: int) -> None:
        if self._transport.is_closing():
            return
        chunk = _chunk(events[place])
        if place == len(events) - 1:
            self._transport.write(chunk + b"0\r\n\r\n")
            return
        self._transport.write(chunk)
        if place == 0 and self._model.pace and b"tool_calls" not in events[1]:
            self._transport.write(_chunk(_BEGIN))
            self._say(events, self._model.tokens)
        else:
            asyncio.get_running_loop().call_soon(self._next, events, place + 1)

    def _say(self, events: list[bytes], left: int) -> None:
        """The words of a paced answer one by one; a model's own pace varies by a third."""
        if self._transport.is_closing():
            return
        if not left:
            self._next(events, 1)
            return
        self._transport.write(_chunk(_WORD % int(time.monotonic() * 1e6)))
        pause_s = random.uniform(0.67, 1.33) / (self._model.pace or 1.0)
        asyncio.get_running_loop().call_later(pause_s, self._say, events, left - 1)


def _chunk(event: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(event), event)


_PIECE = (
    b'data: {"id":"chatcmpl-0","object":"chat.completion.chunk","created":1,"model":"mock",'
    b'"choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]}\n\n'
)
_BEGIN, _WORD = _PIECE % b"Sent:", _PIECE % b" %d"


async def serve(port: int, pace: float | None = None) -> None:
    model = Model(pace)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(model), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), *map(int, sys.argv[2:])))
