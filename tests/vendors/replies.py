"""What a test scripts, and what a vendor was asked, the same for every wire format."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ToolUse:
    """A call that the scripted model makes. `raw` replaces the arguments by a text of your own (broken JSON)."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None
    raw: str | None = None
    signature: str | None = None  # Gemini's

    def text(self) -> str:
        return json.dumps(self.arguments) if self.raw is None else self.raw


@dataclass(frozen=True)
class Use:
    """Tokens as frontdesk counts them: input includes cached and written, output includes reasoning."""

    input: int = 100
    cached: int = 0
    written: int = 0
    output: int = 20
    reasoning: int = 0


@dataclass(frozen=True)
class Reply:
    """One answer of the scripted vendor. Everything has a default: `Reply("Hello")` is a plain answer.

    `stream_chunks`: the pieces of a stream; by default the text word by word.
    `stop`: stop | tool_calls | max_tokens | content_filter; by default it follows from the rest.
    `status`, `code`, `message`, `headers`: an error, when the status is not 200.
    `error_after`: the stream says `code` in mid-stream, after so many events.
    `cut_after`: the connection is dropped after so many events (0: at once; a plain answer is cut in its middle).
    `stall_after`: silence after so many events (0: before the first byte), until the client goes away.
    `raw`: these bytes instead of a proper body; with `content_type`.
    `delay_s`: a pause before each event, or before a plain answer.
    """

    text: str = ""
    tool_calls: Sequence[ToolUse] = ()
    stream_chunks: Sequence[str] | None = None
    stop: str | None = None
    use: Use | None = Use()
    status: int = 200
    code: str = ""
    message: str = "Something went wrong."
    headers: Mapping[str, str] = field(default_factory=dict)
    error_after: int | None = None
    cut_after: int | None = None
    stall_after: int | None = None
    raw: bytes | None = None
    content_type: str | None = None
    delay_s: float = 0.0
    thoughts: str = ""  # said to itself: never part of an answer

    @property
    def stop_reason(self) -> str:
        return self.stop or ("tool_calls" if self.tool_calls else "stop")

    @property
    def chunks(self) -> list[str]:
        if self.stream_chunks is not None:
            return list(self.stream_chunks)
        words = self.text.split(" ")
        return [word if place == 0 else f" {word}" for place, word in enumerate(words)] if self.text else []


@dataclass(frozen=True)
class Said:
    """One message of the prompt: role is user, assistant or tool (then `text` is the result's JSON)."""

    role: str
    text: str
    tool: str = ""


@dataclass(frozen=True)
class VendorRequest:
    """What the vendor was asked. `body` is the very JSON; the rest is read from it, alike for every format."""

    dialect: str  # openai | anthropic | gemini
    model: str
    streamed: bool
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    system: str
    messages: Sequence[Said]
    tools: Sequence[str]  # their names
    output_schema: Mapping[str, Any] | None

    @property
    def user(self) -> str:
        """The last thing that the user said."""
        return next((said.text for said in reversed(self.messages) if said.role == "user"), "")

    @property
    def results(self) -> list[Any]:
        """Results of tools since the user's last message, parsed."""
        found: list[Any] = []
        for said in reversed(self.messages):
            if said.role == "user":
                break
            if said.role == "tool":
                found.append(json.loads(said.text))
        return found[::-1]
