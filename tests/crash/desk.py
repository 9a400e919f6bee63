"""A small tenant whose one agent does things by tools, and its model: for tests that break things.

`note …` is written by a python tool: a record, and a line of a file outside the database. `post …` is sent by an http
tool that may repeat it under its key, `ring …` by one that may not. What was done twice shows there.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash.bells import Bells
from tests.vendors.replies import Reply, ToolUse, VendorRequest
from tests.vendors.server import Vendor

SLUG = "desk"

# The tool for a line of a message, by the line's first word.
TOOLS = {"note": "write_note", "post": "send_post", "ring": "ring_bell"}

FILES = {
    "tenant.yaml": """\
slug: desk
name: Note Desk
default_agent: clerk
anonymous_chat: true
requests_per_minute: 100000
http_allow: [127.0.0.1]
emergency:
  texts: {en: Call 112.}
""",
    "llm.yaml": """\
aliases:
  smart: {chain: [{provider: openai, model: small}]}
  fast: {chain: [{provider: openai, model: small}]}
""",
    "agents/clerk.yaml": """\
title: Clerk
description: Writes down notes, sends posts and rings the bell.
tools: [write_note, send_post, ring_bell]
patterns: ["note ", "post ", "ring "]
examples: [Please write down note seven]
max_tokens: 1000000
""",
    "tools/write_note.yaml": """\
description: Writes down a note.
python: {file: tools/notes.py, function: write}
side_effects: true
input_schema:
  type: object
  required: [text]
  properties:
    text: {type: string}
""",
    "tools/notes.py": """\
import json
import os
from pathlib import Path


async def write(arguments, context):
    called = {"text": arguments["text"], "key": context.idempotency_key}
    with Path(os.environ["NOTES_CALLED"]).open("a") as file:
        file.write(json.dumps(called) + "\\n")
    await context.records.insert("notes", context.idempotency_key, called, made_by=context.idempotency_key)
    return {"written": arguments["text"]}
""",
    "tools/send_post.yaml": """\
description: Sends a post.
http: {method: POST, url: "BELLS/posts", idempotent: true}
side_effects: true
input_schema:
  type: object
  required: [text]
  properties:
    text: {type: string}
""",
    "tools/ring_bell.yaml": """\
description: Rings the bell. What rang can't be taken back, and the bell knows no keys.
http: {method: POST, url: "BELLS/rings"}
side_effects: true
input_schema:
  type: object
  required: [text]
  properties:
    text: {type: string}
""",
    "prompts/clerk.md": "Write down each note, send each post, ring for each ring.\n",
}


@dataclass
class Desk:
    """The tenant's folder under `place`, and what a server needs to know to serve it with `vendor` as its model."""

    place: Path
    vendor: Vendor
    bells: Bells
    settings: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, content in (FILES | dict(self.files)).items():
            path = self.place / "tenants" / SLUG / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content.replace("BELLS", self.bells.url))
        self.vendor.responder = noting

    @property
    def data(self) -> Path:
        return self.place / "data"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "FRONTDESK_EXAMPLE": "",
            "FRONTDESK_TENANTS": str(self.place / "tenants"),
            "FRONTDESK_OPENAI_API_KEY": "x",
            "FRONTDESK_OPENAI_BASE_URL": self.vendor.openai_url,
            "FRONTDESK_TURNS__LEASE_S": "2",
            "FRONTDESK_GATEWAY__DEADLINE_S": "20",  # half of it until a silent vendor is asked again
            "NOTES_CALLED": str(self.place / "called"),
        } | dict(self.settings)

    def calls(self) -> dict[str, set[str]]:
        """By text: the keys under which it was done. More than one: it was done twice."""
        found: dict[str, set[str]] = defaultdict(set)
        path = self.place / "called"
        for line in path.read_text().splitlines() if path.exists() else ():
            called = json.loads(line)
            found[called["text"]].add(called["key"])
        for (_path, text), keys in self.bells.calls.items():
            found[text] |= set(keys)
        return found


def noting(request: VendorRequest, *, delay_s: float = 0.0) -> Reply:
    """Does each line of what the user wrote, then says so. Says the same whenever it is asked the same.

    A turn that resumes after a crash shows it what was done before: it asks for what is left. What failed it asks for
    again, but for bells.
    """
    done = {
        (tool, arguments["text"])
        for tool, arguments, result in _made(request)
        if result["status"] == "ok" or tool == TOOLS["ring"]
    }
    lines = [(TOOLS.get(line.partition(" ")[0]), line) for line in request.user.splitlines()]
    left = [ToolUse(tool, {"text": line}) for tool, line in lines if tool is not None and (tool, line) not in done]
    return Reply(tool_calls=left, delay_s=delay_s) if left else Reply("All done, thank you.", delay_s=delay_s)


def _made(request: VendorRequest) -> list[tuple[str, dict[str, str], dict[str, Any]]]:
    """(tool, arguments, result) of each call since the user's last message, of a request in OpenAI's form."""
    asked: dict[str, Any] = {}
    made = []
    for message in request.body["messages"]:
        if message["role"] == "user":
            made.clear()
        for call in message.get("tool_calls") or ():
            asked[call["id"]] = call["function"]
        if message["role"] == "tool":
            function = asked[message["tool_call_id"]]
            made.append((function["name"], json.loads(function["arguments"]), json.loads(message["content"])))
    return made
