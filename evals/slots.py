"""What is asked for before a tool is called, by the product's `local` provider, on dialogues with services' schemas."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any  # rows and schemas are JSON

import platformdirs

from evals.measured import Folders, Report, Row, Stopwatch, read, share
from frontdesk.core.clock import SystemClock
from frontdesk.embedding.minilm import MiniLM
from frontdesk.llm.providers.local.provider import LocalProvider
from frontdesk.llm.slots import missing
from frontdesk.llm.types import LLMRequest, Message, PendingCall, Role, Situation, ToolSpec

FOLDER = "sgd"
NOW = datetime(2019, 3, 1, 12, tzinfo=UTC)  # when the dialogues play


@dataclass
class Call:
    """A call that is being prepared in a dialogue: what is known of it, and whether all was known."""

    arguments: dict[str, Any]
    asked: str = ""
    is_complete: bool = False
    is_made: bool = False


@dataclass(frozen=True)
class Asked:
    """At one message: what was missing, and what we would have asked for."""

    row: Row
    missing: frozenset[str]
    ours: frozenset[str]


def tools_of(services: Sequence[Row]) -> dict[tuple[str, str], ToolSpec]:
    """By service and intent. Nothing is added to what the schema says."""
    tools = {}
    for service in services:
        slots = {slot["name"]: slot for slot in service["slots"]}
        for intent in service["intents"]:
            names = [*intent["required_slots"], *intent["optional_slots"]]
            parameters = {
                "type": "object",
                "properties": {name: _property(slots[name]) for name in names if name in slots},
                "required": list(intent["required_slots"]),
            }
            tools[service["service_name"], intent["name"]] = ToolSpec(intent["name"], intent["description"], parameters)
    return tools


def _property(slot: Row) -> dict[str, Any]:
    said = {"type": "string", "description": slot["description"]}
    return said | {"enum": slot["possible_values"]} if slot["is_categorical"] else said


def history_of(dialogue: Row) -> list[Message]:
    roles = {"USER": Role.USER, "SYSTEM": Role.ASSISTANT}
    return [Message(roles[turn["speaker"]], turn["text"]) for turn in dialogue["turns"]]


class Desk:
    """The `local` provider in a dialogue of somebody else's: it hears what the other assistant said."""

    def __init__(
        self, provider: LocalProvider, tools: Mapping[tuple[str, str], ToolSpec], most_history: int | None = None
    ) -> None:
        """`most_history`: messages before the last that it sees (default: all)."""
        self._provider = provider
        self._tools = tools
        self._most_history = most_history

    async def attend(self, history: Sequence[Message], rows: Sequence[Row]) -> list[Asked]:
        """The messages of one dialogue at which something is missing, or at which a call becomes possible."""
        calls: dict[tuple[str, str], Call] = {}
        asked = []
        for row in rows:
            key = row["service"], row["intent"]
            if key not in self._tools:
                continue
            call = calls.get(key)
            is_confirmed = call is not None and call.is_complete and not call.is_made
            if not row["missing"] and call is not None and call.is_complete:
                # Talk about a call that was possible before, its confirmation, or a new one of the same kind.
                if row["called_next"] is None or is_confirmed:
                    call.is_made |= row["called_next"] is not None
                    continue
                call = None
            tool = self._tools[key]
            arguments = await self._heard(history[: row["turn"] + 1], tool, call)
            absent = frozenset(missing(tool.parameters, arguments))
            asked.append(Asked(row, frozenset(row["missing"]), absent))
            calls[key] = Call(
                arguments,
                next(iter(row["asked_next"] or sorted(absent)), ""),
                is_complete=not row["missing"],
                is_made=row["called_next"] is not None,
            )
        return asked

    async def _heard(self, messages: Sequence[Message], tool: ToolSpec, call: Call | None) -> dict[str, Any]:
        """The arguments after the last message, joined with the waiting call's as the agent loop joins them."""
        pending = None
        if call is not None and not call.is_complete:
            question = messages[-2].text if len(messages) > 1 else ""
            pending = PendingCall("desk", tool.name, call.arguments, call.asked, question)
        heard = messages if self._most_history is None else messages[-1 - self._most_history :]
        request = LLMRequest(
            model="", messages=tuple(heard), tools=(tool,), tool_choice="required",
            situation=Situation(NOW, pending=pending),
        )  # fmt: skip
        response = await self._provider.generate(request)
        known = pending.arguments if pending is not None else {}
        given = next((made.arguments for made in response.tool_calls if made.name == tool.name), None)
        return {**known, **(given or {})}


def figures(asked: Sequence[Asked]) -> dict[str, Any]:
    """Over parameters: F1 of those asked for. Over messages: all right; called though something was missing."""
    both = sum(len(each.missing & each.ours) for each in asked)
    wanted, ours = sum(len(each.missing) for each in asked), sum(len(each.ours) for each in asked)
    return {
        "messages": len(asked),
        "f1": round(2 * both / (wanted + ours), 4) if wanted + ours else None,
        "precision": round(both / ours, 4) if ours else None,
        "recall": round(both / wanted, 4) if wanted else None,
        "exactly": share(each.missing == each.ours for each in asked),
        "called_early": share(not each.ours for each in asked if each.missing),
        "asked_needlessly": share(bool(each.ours) for each in asked if not each.missing),
    }


async def measure(folders: Folders) -> Report:
    """All of TEST is measured: nothing is learnt."""
    report = Report("slots", folders)
    folder = folders.test / FOLDER
    if not (folder / "missing_params.jsonl").is_file():
        return report
    embedder = await asyncio.to_thread(MiniLM.load, Path(platformdirs.user_cache_dir("frontdesk")))
    provider = LocalProvider(embedder.embed, SystemClock())
    tools = tools_of(json.loads((folder / "schema.json").read_text(encoding="utf-8")))
    by_dialogue: dict[str, list[Row]] = {}
    for row in read(folder / "missing_params.jsonl"):
        by_dialogue.setdefault(row["dialogue"], []).append(row)
    talks = [
        (history_of(dialogue), sorted(by_dialogue[dialogue["id"]], key=lambda row: row["turn"]))
        for dialogue in read(folder / "dialogues.jsonl")
        if dialogue["id"] in by_dialogue
    ]
    with Stopwatch(report, sum(len(rows) for _, rows in talks)):
        asked = [each for talk in talks for each in await Desk(provider, tools).attend(*talk)]
    # The baseline: only the message itself and the waiting call are seen.
    alone = [each for talk in talks for each in await Desk(provider, tools, most_history=0).attend(*talk)]
    report.metrics |= figures(asked) | {"without_history": figures(alone)}
    return report


def main() -> None:
    asyncio.run(measure(Folders.from_arguments(__doc__ or ""))).finish(measured="all of it")


if __name__ == "__main__":
    main()
