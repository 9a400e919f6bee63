"""Tools of kind `knowledge`: a search in the tenant's documents. `config`: `{top_k: 5, min_score: 0.25}`, optional."""

from typing import Protocol
from uuid import UUID

import msgspec

from frontdesk.core.errors import DefinitionError
from frontdesk.knowledge.models import Passage
from frontdesk.tools.types import JSONObject, ToolContext, ToolDefinition, ToolResult, ToolStatus


class Search(Protocol):
    """`Knowledge.search`."""

    async def __call__(self, tenant_id: UUID, query: str, *, top_k: int, min_score: float) -> list[Passage]: ...


class KnowledgeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`config` of a knowledge tool. Without `min_score` the tenant's own counts."""

    top_k: int = 5
    min_score: float | None = None

    @classmethod
    def of(cls, definition: ToolDefinition) -> "KnowledgeConfig":
        """Raises DefinitionError that says what is accepted."""
        try:
            config = msgspec.convert(definition.config, cls)
        except msgspec.ValidationError as error:
            raise DefinitionError(f"config of the knowledge tool: {error}.") from error
        if not 1 <= config.top_k <= 20:
            raise DefinitionError("config.top_k: must be from 1 to 20.")
        if config.min_score is not None and not -1 <= config.min_score <= 1:
            raise DefinitionError("config.min_score: must be from -1 to 1.")
        if "query" not in definition.input_schema.get("required", ()):
            raise DefinitionError("input_schema: a knowledge tool needs the required parameter `query`.")
        return config


class KnowledgeTool:
    """One knowledge tool of a tenant. Raises DefinitionError when its definition is wrong."""

    is_repeatable = True

    def __init__(self, definition: ToolDefinition, min_score: float, search: Search) -> None:
        """`min_score`: where the definition says nothing."""
        self.definition = definition
        config = KnowledgeConfig.of(definition)
        self._top_k = config.top_k
        self._min_score = min_score if config.min_score is None else config.min_score
        self._search = search

    async def call(self, arguments: JSONObject, context: ToolContext) -> ToolResult:
        found = await self._search(
            context.tenant_id, str(arguments["query"]), top_k=self._top_k, min_score=self._min_score
        )
        return ToolResult(ToolStatus.OK, passages=tuple(found))
