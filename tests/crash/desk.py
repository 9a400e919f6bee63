"""A small tenant whose one agent writes notes by a python tool, and its model: for tests that break things.

Each note is a record, and each call of the tool a line of a file outside the database: what was done twice shows there.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.vendors.replies import Reply, ToolUse, VendorRequest
from tests.vendors.server import Vendor

SLUG = "desk"

FILES = {
    "tenant.yaml": """\
slug: desk
name: Note Desk
default_agent: clerk
requests_per_minute: 100000
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
description: Writes down notes.
tools: [write_note]
patterns: ["note "]
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
    "prompts/clerk.md": "Write down each note.\n",
}


@dataclass
class Desk:
    """The tenant's folder under `place`, and what a server needs to know to serve it with `vendor` as its model."""

    place: Path
    vendor: Vendor
    settings: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, content in (FILES | dict(self.files)).items():
            path = self.place / "tenants" / SLUG / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
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
            "NOTES_CALLED": str(self.place / "called"),
        } | dict(self.settings)

    def calls(self) -> dict[str, set[str]]:
        """By note: the keys under which the tool was called for it. More than one: it was done twice."""
        found: dict[str, set[str]] = defaultdict(set)
        path = self.place / "called"
        for line in path.read_text().splitlines() if path.exists() else ():
            called = json.loads(line)
            found[called["text"]].add(called["key"])
        return found


def noting(request: VendorRequest, *, delay_s: float = 0.0) -> Reply:
    """Notes each line of what the user wrote, then says so. Says the same whenever it is asked the same.

    A turn that resumes after a crash shows it what was written before: it asks for what is left.
    """
    written = {result["result"]["written"] for result in request.results if result["status"] == "ok"}
    lines = [line for line in request.user.splitlines() if line.startswith("note ") and line not in written]
    if not lines:
        return Reply("All written down, thank you.", delay_s=delay_s)
    return Reply(tool_calls=[ToolUse("write_note", {"text": line}) for line in lines], delay_s=delay_s)
