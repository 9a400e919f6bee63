"""One change of what is stored: the whole set with it is read, checked and stored as a folder would be."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from frontdesk import audit
from frontdesk.agents import store as definitions_store
from frontdesk.agents.models import Definitions
from frontdesk.apply.apply import ApplyServices, store_changes
from frontdesk.apply.files import Folder, definitions_of, read_files
from frontdesk.apply.plan import compare
from frontdesk.apply.problems import Problems
from frontdesk.apply.recording import record
from frontdesk.apply.sources import HeldFiles, place_at
from frontdesk.apply.written import Values, values_of
from frontdesk.core.errors import Conflict, DefinitionError, FieldError, QuotaReached, TenantNotFound
from frontdesk.core.json import dumps
from frontdesk.tenants import store as tenants_store

# Changes the values, which are its own. Raises what the caller is to read.
Edit = Callable[[Values], None]

_TRIES = 3
# Of all definitions of a tenant, as JSON: each change reads the whole, and servers keep it in memory.
MOST_BYTES = 5_000_000


async def change(
    tenant_id: UUID, edit: Edit, actor: audit.Actor, services: ApplyServices, code: Path | None
) -> Definitions:
    """What is stored now. Nothing is done where `edit` changes nothing. `code`: the deployment's folder of the tenant.

    Two at once take turns: `edit` is done again on what the other left. Raises DefinitionError with the fields that
    are wrong, TenantNotFound, QuotaReached, and what `edit` raises.
    """
    for _ in range(_TRIES):
        async with services.database.scope(tenant_id) as scope:
            stored = await definitions_store.load_definitions(scope)
            secrets = list(await tenants_store.secrets(scope))
        before, after = values_of(stored), values_of(stored)
        edit(after)
        _refuse_growth(before, after)
        wanted = await asyncio.to_thread(read_values, after, secrets, services.providers, code)
        changes = compare(wanted, stored, {}, {})
        if not changes:
            return stored
        async with services.database.scope(tenant_id) as scope:
            tenant = await tenants_store.lock_tenant(scope)
            if tenant is None:
                raise TenantNotFound("There is no such tenant.")
            if tenant.version != stored.tenant.version:
                continue  # somebody else changed it since: what was checked is not what would be stored
            await store_changes(scope, wanted, changes, {}, services)
            version = await definitions_store.bump_version(scope)
            await record(scope, actor, changes, before, after)
        now = definitions_of(wanted, tenant_id, version)
        await services.fit(now)
        return now
    raise Conflict("Others are changing the same definitions. Try again.", retry_after=1)


def _refuse_growth(before: Values, after: Values) -> None:
    """Raises QuotaReached. What is too large already, from files, may become smaller."""
    size = len(dumps(after))
    if size > MOST_BYTES and size > len(dumps(before)):
        raise QuotaReached(f"An organisation's definitions may have {MOST_BYTES // 1_000_000} MB together.")


def read_values(values: Values, secrets: list[str], providers: frozenset[str], code: Path | None) -> Folder:
    """Raises DefinitionError, each problem with its file and the path in it."""
    # Tools may name the secrets that are stored. Which variables they came from is not asked: none is changed.
    named = {name: {"env": "STORED"} for name in secrets}
    values = values | {"tenant.yaml": values["tenant.yaml"] | {"secrets": named}}
    try:
        return read_files(HeldFiles(values, code), providers, Problems())
    except DefinitionError as error:
        errors = [FieldError(_place(values, each.field), each.message) for each in error.errors]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise DefinitionError(f"{errors[0].field}: {errors[0].message}{more}", errors=errors) from None


def _place(values: Values, field: str) -> str:
    """`agents/billing.yaml: tools[2]` out of the file and the number of a value in it."""
    file, _, number = field.rpartition(":")
    value = values.get(file)
    if value is None:  # a source file of a tool's, whose lines are lines
        return field
    if isinstance(value, str):
        return f"{file}: template, line {number}"
    path, line = place_at(value, int(number))
    dotted = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
    return file + (f": {dotted}" if dotted else "") + (f", line {line}" if line > 1 else "")
