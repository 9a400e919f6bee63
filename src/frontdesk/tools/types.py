"""The seam of tools: definition, context, result."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol  # arguments and results are untyped JSON until the schema has checked them
from uuid import UUID

import msgspec

from frontdesk.knowledge.models import Passage

JSONObject = dict[str, Any]


class ToolKind(StrEnum):
    HTTP = "http"
    PYTHON = "python"
    KNOWLEDGE = "knowledge"


class ToolDefinition(msgspec.Struct, frozen=True):
    """A tool of a tenant, as its YAML file says it and the database keeps it.

    `input_schema`: JSON Schema of an object; each property may have `x-question` (how to ask for it) and
    `x-synonyms` (enum value -> other words). The order of `required` is the order of asking.
    `output_template`: Jinja; turns the result (`result`) and the arguments (`arguments`) into text for the contact.
    `config`: what the kind needs: http {method, url, headers, body, response, retries}; python {file, function};
    knowledge {top_k, min_score}.
    """

    name: str
    kind: ToolKind
    description: str
    input_schema: JSONObject
    output_schema: JSONObject | None = None
    side_effects: bool = False
    timeout_s: float = 10.0
    examples: tuple[str, ...] = ()
    output_template: str | None = None
    config: JSONObject = {}


class Owner(msgspec.Struct, frozen=True):
    """The tenant whose tools these are. `version` is of its definitions: the key of what is built from them."""

    tenant_id: UUID
    slug: str
    version: int
    http_allow: tuple[str, ...] = ()
    min_score: float = 0.25


class Records(Protocol):
    """Small durable records of a tenant, for tools that have no other system to keep their state in."""

    async def get(self, collection: str, key: str) -> JSONObject | None: ...

    async def find(self, collection: str, where: Mapping[str, Any], limit: int = 100) -> list[tuple[str, JSONObject]]:
        """(key, value) of records whose value has these fields, by key, at most `limit`."""
        ...

    async def range(self, collection: str, first: str, last: str, limit: int = 500) -> list[tuple[str, JSONObject]]:
        """(key, value) with first <= key < last, by key."""
        ...

    async def insert(self, collection: str, key: str, value: JSONObject, made_by: str) -> JSONObject | None:
        """The stored value; None when the key is taken by another. The same `made_by` again: as the first time."""
        ...

    async def move(self, collection: str, key: str, new_key: str, value: JSONObject, made_by: str) -> bool:
        """Gives the record another key and value in one step. False when the new key is taken by another or the
        old one is gone; True again when the same `made_by` repeats a move that happened."""
        ...

    async def delete(self, collection: str, key: str) -> bool:
        """Idempotent: False when it was not there."""
        ...


class ToolContext(msgspec.Struct, frozen=True):
    tenant_id: UUID
    conversation_id: UUID
    contact: str  # the channel's id of the contact
    now: datetime  # aware, in the tenant's time zone
    language: str
    # The same for every try of this call, also after a crash; other calls have others.
    idempotency_key: str
    records: Records


class Need(msgspec.Struct, frozen=True):
    """What the tool must still know. `options` are values to offer."""

    parameter: str
    question: str
    options: tuple[str, ...] = ()


class ToolStatus(StrEnum):
    OK = "ok"
    NEEDS = "needs"  # asks for something; nothing was done
    ERROR = "error"
    TIMEOUT = "timeout"
    DENIED = "denied"


class ToolResult(msgspec.Struct, frozen=True):
    status: ToolStatus
    data: Any = None
    text: str | None = None  # by the output template
    needs: tuple[Need, ...] = ()
    passages: tuple[Passage, ...] = ()
    error: str | None = None  # a sentence for the model; never a stack trace or a secret
    duration_ms: int = 0


class NeedsInput(Exception):
    """Raised by a Python tool to ask the contact for a parameter: missing, not precise enough, or not possible.

    Not an error but a request.
    """

    def __init__(self, parameter: str, question: str, options: tuple[str, ...] = ()) -> None:
        super().__init__(question)
        self.need = Need(parameter, question, options)


class ToolError(Exception):
    """Raised by a tool that failed in a way it can say in a sentence, which the model may read."""


class Tool(Protocol):
    """One callable tool. Arguments have passed the input schema."""

    definition: ToolDefinition
    # Whether a second try with the same idempotency key, after a crash, does no more than the first.
    is_repeatable: bool

    async def call(self, arguments: JSONObject, context: ToolContext) -> ToolResult: ...
