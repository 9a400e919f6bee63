"""Tool results put into words, without adding any."""

from collections.abc import Mapping
from typing import Any  # a tool's result is untyped JSON

from frontdesk.core.json import loads
from frontdesk.llm.providers.local import phrases
from frontdesk.llm.types import Message

_DEPTH, _ITEMS, _TEXT = 3, 12, 2_000


def result_of(message: Message) -> dict[str, Any]:
    """The result in a TOOL message; one that is not of our form counts as an error."""
    try:
        result = loads(message.text)
    except ValueError:
        return {"status": "error", "error": ""}
    return result if isinstance(result, dict) else {"status": "ok", "result": result}


def in_words(result: Mapping[str, Any], language: str) -> str:
    """The result of any tool but a knowledge tool, for the contact."""
    status = result.get("status")
    if status == "needs":
        return "\n".join(_question(need) for need in result.get("needs") or [] if isinstance(need, Mapping))
    if status != "ok":
        reason = str(result.get("error") or "").strip()
        return (
            phrases.say(phrases.FAILED, language).format(reason)
            if reason
            else phrases.say(phrases.NOT_UNDERSTOOD, language)
        )
    text = result.get("text")
    if isinstance(text, str) and text.strip():
        return text.strip()
    value = result.get("result")
    if value is None or value is True:
        return phrases.say(phrases.DONE, language)
    return _listed(value, 0)[:_TEXT].strip() or phrases.say(phrases.NOTHING, language)


def _question(need: Mapping[str, Any]) -> str:
    question = str(need.get("question") or "").strip()
    options = [str(option) for option in need.get("options") or []]
    if not options or any(option in question for option in options):
        return question
    return question + "\n" + "\n".join(f"- {option}" for option in options[:_ITEMS])


def _listed(value: object, depth: int) -> str:
    """Scalars as they are, fields as `name: value`, lists as items; what lies deeper than a few levels is left out."""
    if isinstance(value, Mapping):
        fields = [
            (str(name).replace("_", " "), inner) for name, inner in value.items() if inner not in (None, "", [], {})
        ]
        if depth >= _DEPTH:
            return ""
        return "\n".join(f"{'  ' * depth}- {name}: {_nested(inner, depth)}" for name, inner in fields[:_ITEMS])
    if isinstance(value, list):
        return "\n".join(f"{'  ' * depth}- {_nested(item, depth)}" for item in value[:_ITEMS]) if depth < _DEPTH else ""
    if isinstance(value, bool):
        return "✓" if value else "✗"
    return str(value)


def _nested(value: object, depth: int) -> str:
    if isinstance(value, list) and all(not isinstance(item, list | Mapping) for item in value):
        return ", ".join(str(item) for item in value[:_ITEMS])
    if isinstance(value, Mapping) and all(not isinstance(item, list | Mapping) for item in value.values()):
        return ", ".join(
            f"{str(name).replace('_', ' ')} {item}" for name, item in value.items() if item not in (None, "")
        )
    inner = _listed(value, depth + 1)
    return f"\n{inner}" if isinstance(value, list | Mapping) else inner
