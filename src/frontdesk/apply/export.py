"""A tenant's files out of what is stored: applied again they change nothing.

What an author wrote beside the values (comments, order, the way a text is quoted) is not kept; documents, the functions
of tools and the README are, byte for byte. Secrets stand as the variables that they come from, never as values.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # what files hold is untyped until a form has checked it
from uuid import UUID

from pydantic import BaseModel

from frontdesk.agents import store as definitions_store
from frontdesk.agents.models import Definitions
from frontdesk.apply.files import read_folder
from frontdesk.apply.forms import AgentForm, AliasForm, Form, TargetForm, TenantForm, ToolForm
from frontdesk.apply.plan import compare
from frontdesk.apply.written import values_of
from frontdesk.apply.yaml_text import yaml_text
from frontdesk.core.errors import DefinitionError, Invalid
from frontdesk.db import Database
from frontdesk.knowledge.service import Knowledge
from frontdesk.tenants import secrets as tenant_secrets
from frontdesk.tenants import store as tenants_store

# (file, how many are written, of how many)
OnFile = Callable[[str, int, int], None]

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Exported:
    """`lacking`: documents of which only the text is there, as they were read before their bytes were kept; they are
    left out. `differences`: what would change if the files were applied, which is nothing but for a fault."""

    files: int
    lacking: tuple[str, ...]
    differences: tuple[str, ...]


def _unheard(_file: str, _done: int, _count: int) -> None:
    return None


async def export_folder(
    tenant_id: UUID, folder: Path, db: Database, knowledge: Knowledge, on_file: OnFile = _unheard
) -> Exported:
    """Writes the files, then reads them as an apply would. A document at a time is in memory.

    Raises Invalid for a folder that holds something, TenantNotFound.
    """
    if await asyncio.to_thread(_holds_something, folder):
        raise Invalid(f"{folder} is not empty: choose another folder, so that nothing is mixed or lost.")
    async with db.scope(tenant_id) as scope:
        definitions = await definitions_store.load_definitions(scope)
        others = await definitions_store.files(scope)
        hashes = await definitions_store.file_hashes(scope)
        variables = await tenants_store.secret_variables(scope)
    sources = {name: variable or tenant_secrets.variable_of(name) for name, variable in variables.items()}
    written = files_of(definitions, sources) | others
    names = [name async for name in _document_names(knowledge, tenant_id)]
    count, lacking = len(written) + len(names), []
    for done, (name, content) in enumerate(written.items()):
        on_file(name, done, count)
        await asyncio.to_thread(_put, folder, name, content)
    for done, name in enumerate(names, start=len(written)):
        on_file(f"documents/{name}", done, count)
        original = await knowledge.original(tenant_id, name)
        if original is None:
            lacking.append(name)
        else:
            await asyncio.to_thread(_put, folder, f"documents/{name}", original)
    on_file("", count, count)
    differences = await asyncio.to_thread(_differences, folder, definitions, sources, hashes)
    return Exported(count - len(lacking), tuple(lacking), differences)


def files_of(definitions: Definitions, variables: dict[str, str]) -> dict[str, bytes]:
    """By name. `variables`: of secrets, by their names."""
    found = {}
    for name, value in values_of(definitions).items():
        if name == "tenant.yaml":
            value = _without_defaults(value, TenantForm)
            if variables:
                value["secrets"] = {secret: {"env": variable} for secret, variable in sorted(variables.items())}
        elif name == "llm.yaml":
            value = {"aliases": {alias: _alias(inner) for alias, inner in value["aliases"].items()}}
        elif name.startswith("agents/"):
            value = _agent(name, value)
        elif name.startswith("tools/"):
            kinds = {kind: value.pop(kind) for kind in ("http", "python", "knowledge") if kind in value}
            value = {"description": value.pop("description")} | kinds | _without_defaults(value, ToolForm)
        text = value if isinstance(value, str) else yaml_text(value)
        # A reader takes the first mark of this kind for no part of the text.
        found[name] = (("\ufeff" if text.startswith("\ufeff") else "") + text).encode()
    return found


def _agent(file: str, value: dict[str, Any]) -> dict[str, Any]:
    if f"agents/{value['prompt']}.yaml" == file:
        del value["prompt"]
    return _without_defaults(value, AgentForm)


def _alias(value: dict[str, Any]) -> dict[str, Any]:
    chain = [[_without_defaults(target, TargetForm) for target in group] for group in value.pop("chain")]
    return {"chain": [group[0] if len(group) == 1 else group for group in chain]} | _without_defaults(value, AliasForm)


def _without_defaults(value: dict[str, Any], form: type[Form]) -> dict[str, Any]:
    """Without what the form says anyway, also inside the forms in it."""
    kept = {}
    for key, inner in value.items():
        field = form.model_fields[key]
        if isinstance(inner, dict) and isinstance(field.annotation, type) and issubclass(field.annotation, Form):
            inner = _without_defaults(inner, field.annotation)
            if not inner and not field.is_required():
                continue
        elif not field.is_required():
            default = field.get_default(call_default_factory=True)
            if inner == (default.model_dump() if isinstance(default, BaseModel) else default):
                continue
        kept[key] = inner
    return kept


async def _document_names(knowledge: Knowledge, tenant_id: UUID) -> Any:
    after = ""
    while page := await knowledge.documents(tenant_id, _PAGE, after):
        for entry in page:
            yield entry.name
        after = page[-1].name


def _holds_something(folder: Path) -> bool:
    return folder.exists() and any(folder.iterdir())


def _put(folder: Path, name: str, content: bytes) -> None:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise Invalid(f"{name} leads out of the folder.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _differences(
    folder: Path, definitions: Definitions, variables: dict[str, str], hashes: dict[str, str]
) -> tuple[str, ...]:
    # Which providers there are is the deployment's matter.
    providers = frozenset(target.provider for alias in definitions.aliases.values() for target in alias.targets)
    try:
        read = read_folder(folder, providers)
    except DefinitionError as error:
        return tuple(f"{each.field}: {each.message}" for each in error.errors)
    named = {name: source.variable for name, source in read.secrets.items()}
    changes = compare(read, definitions, named, variables, hashes)
    return tuple(f"{each.kind} {each.name} would be {each.action}" for each in changes)
