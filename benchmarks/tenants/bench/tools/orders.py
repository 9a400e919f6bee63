"""The measurement's one tool: as good as free, so that what is measured is the way to it."""

from typing import Any  # arguments are JSON

from frontdesk.tools.types import ToolContext


async def lookup_order(arguments: dict[str, Any], _context: ToolContext) -> dict[str, Any]:
    return {"order_id": arguments["order_id"], "state": "shipped", "eta": "tomorrow"}
