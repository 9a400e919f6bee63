"""Changes of a tenant's definitions in its audit log."""

from collections.abc import Mapping
from typing import Any  # what files hold is untyped

from frontdesk import audit
from frontdesk.apply.plan import Change, Kind
from frontdesk.apply.written import Values
from frontdesk.db import TenantScope

# Who applies a folder, by command or at a server's start: whoever could write the files.
FILES = audit.Actor("command", "apply")


async def record(
    scope: TenantScope, actor: audit.Actor, changes: tuple[Change, ...], before: Values, after: Values
) -> None:
    """An entry for each, as the last statements of the transaction: `agent.changed` of `agent/billing`."""
    for each in changes:
        old, new = told(before, each.kind, each.name), told(after, each.kind, each.name)
        if old is not None and new is not None:  # a field that is as it was says nothing of the change
            old, new = _without_equals(old, new), _without_equals(new, old)
        await audit.append(scope, actor, f"{each.kind}.{each.action}", f"{each.kind}/{each.name}", old, new)


def told(values: Values, kind: Kind, name: str) -> dict[str, Any] | None:
    """What stands in the files of one definition; None when it isn't there."""
    match kind:
        case Kind.TENANT:
            found = values.get("tenant.yaml")
        case Kind.ALIAS:
            found = values.get("llm.yaml", {}).get("aliases", {}).get(name)
        case Kind.PROMPT:
            text = values.get(f"prompts/{name}.md")
            found = None if text is None else {"template": text}
        case _:
            found = values.get(f"{kind}s/{name}.yaml")
    return found


def _without_equals(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in one.items() if key not in other or other[key] != value}
