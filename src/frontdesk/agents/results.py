"""Tool results as the model reads them: JSON with a status, in messages of the role TOOL."""

from frontdesk.agents.citations import References
from frontdesk.core import json
from frontdesk.llm.types import JSONObject, Message, Role, ToolCall
from frontdesk.tools.types import ToolKind, ToolResult, ToolStatus


def tool_message(call: ToolCall, kind: ToolKind | None, result: ToolResult, references: References) -> Message:
    """The answer to `call`. `kind` is None when there is no such tool."""
    body = _body(kind, result, references)
    return Message(Role.TOOL, json.dumps_text(body), tool_call_id=call.id, tool_name=call.name)


def failed(sentence: str) -> ToolResult:
    """A call that did not get as far as a tool."""
    return ToolResult(ToolStatus.ERROR, error=sentence)


def _body(kind: ToolKind | None, result: ToolResult, references: References) -> JSONObject:
    match result.status:
        case ToolStatus.OK if kind is ToolKind.KNOWLEDGE:
            passages = [
                {
                    "ref": references.ref(passage),
                    "title": passage.title,
                    "heading": passage.heading,
                    "text": passage.text,
                    "score": round(passage.score, 3),
                }
                for passage in result.passages
            ]
            return {"status": "ok", "passages": passages}
        case ToolStatus.OK:
            text = {} if result.text is None else {"text": result.text}
            return {"status": "ok", "result": result.data, **text}
        case ToolStatus.NEEDS:
            needs = [
                {"parameter": need.parameter, "question": need.question, "options": list(need.options)}
                for need in result.needs
            ]
            return {"status": "needs", "needs": needs}
        case _:
            return {"status": result.status.value, "error": result.error or "The tool failed."}
