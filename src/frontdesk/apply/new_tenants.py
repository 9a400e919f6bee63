"""Tenants that are made without files: one agent that answers from documents, for the owner to go on from."""

import asyncio
from typing import Any  # what files hold is untyped until a form has checked it
from uuid import UUID

import msgspec

from frontdesk import audit
from frontdesk.agents import store as definitions_store
from frontdesk.agents.models import TenantSettings
from frontdesk.apply.apply import ApplyServices, store_changes
from frontdesk.apply.change import read_values
from frontdesk.apply.files import LOCAL
from frontdesk.apply.plan import Action, Change, Kind, compare
from frontdesk.apply.recording import record
from frontdesk.apply.written import Values, values_of
from frontdesk.audit import Actor
from frontdesk.core.errors import Conflict, IdempotencyConflict, NotFound, TenantNotFound
from frontdesk.core.json import loads
from frontdesk.identity.permissions import Role
from frontdesk.identity.staff import Staff, State, folded
from frontdesk.identity.staffing import By, Invited, Staffing
from frontdesk.tenants import store as tenants_store
from frontdesk.tenants.store import TenantRow

_PROMPT = """\
You answer questions for {{ organisation }}.

- Search with `search_documents` before you answer, with the complete question, and say only what the documents say.
- If the documents don't answer the question, say so plainly.
- Write in the person's language, friendly and short.
"""


class NewTenant(msgspec.Struct, frozen=True):
    """`settings` has keys of `tenant.yaml`, which is their form; what it leaves out has the defaults."""

    slug: str
    name: str
    settings: dict[str, Any] = {}
    owner: str | None = None  # whom to invite as the first owner: an e-mail address


class Made(msgspec.Struct, frozen=True):
    """`owner` is None where nobody was to be invited."""

    tenant: TenantRow
    owner: Invited | None


async def make_tenant(
    new: NewTenant, tenant_id: UUID, actor: Actor, services: ApplyServices, staffing: Staffing
) -> Made:
    """May be repeated with the same id: nothing is made twice, and an owner who has not come yet gets another link.

    Raises Invalid (the owner's address), DefinitionError; Conflict when the slug is another's; IdempotencyConflict when
    the id is another tenant's.
    """
    values, owner = _values(new), None if new.owner is None else folded(new.owner)
    tenant = await tenants_store.tenant_named(services.database, str(tenant_id))
    if tenant is None:
        tenant = await _made(values, tenant_id, actor, services)
    elif (tenant.slug, tenant.name) != (new.slug, new.name):
        raise IdempotencyConflict("A tenant of another slug or name was made with this key. Use a new key.")
    return Made(tenant, None if owner is None else await _invited(tenant, owner, actor, staffing))


def _values(new: NewTenant) -> Values:
    emergency = {"texts": TenantSettings().emergency.texts}
    return {
        "tenant.yaml": {"emergency": emergency} | new.settings | {"slug": new.slug, "name": new.name},
        "llm.yaml": {"aliases": {"smart": {"chain": [{"provider": LOCAL, "model": "extractive"}]}}},
        "agents/general_info.yaml": {
            "title": "General information",
            "description": "Answers general questions from the documents.",
            "prompt": "general_info",
            "tools": ["search_documents"],
        },
        "prompts/general_info.md": _PROMPT,
        "tools/search_documents.yaml": {
            "description": "Searches the documents. Answer only from what it finds.",
            "knowledge": {},
            "input_schema": {
                "type": "object",
                "additionalProperties": False,
                "required": ["query"],
                "properties": {"query": {"type": "string", "minLength": 1, "maxLength": 500}},
            },
        },
    }


async def _made(values: Values, tenant_id: UUID, actor: Actor, services: ApplyServices) -> TenantRow:
    wanted = await asyncio.to_thread(read_values, values, [], services.providers, None)
    async with services.database.scope(tenant_id) as scope:
        settings = loads(msgspec.json.encode(wanted.settings))
        if not await tenants_store.create_tenant(scope, wanted.slug, wanted.name, settings):
            raise Conflict(f"There is a tenant {wanted.slug} already, or one that is being deleted.")
        changes = compare(wanted, await definitions_store.load_definitions(scope), {}, {})
        await store_changes(scope, wanted, changes, {}, services)
        definitions = await definitions_store.load_definitions(scope)
        made = Change(Kind.TENANT, wanted.slug, Action.ADDED)
        await record(scope, actor, (made, *changes), {}, values_of(definitions))
        # By its id alone: this entry outlives the tenant.
        await audit.append_to_deployment(scope, actor, "tenant.created", f"tenant/{tenant_id}")
        tenant = await tenants_store.lock_tenant(scope)
    if tenant is None:
        raise TenantNotFound("The tenant was removed while it was made.")
    await services.fit(definitions)
    return tenant


async def _invited(tenant: TenantRow, email: str, actor: Actor, staffing: Staffing) -> Invited:
    """Who makes a tenant acts from outside of it, as a command does: he is no member of its staff."""
    by = By(None, actor)
    staff = await _owner(tenant, email, staffing)
    if staff is None:
        return await staffing.invite(tenant.id, tenant.name, by, email, email.partition("@")[0], Role.OWNER)
    if staff.state is not State.INVITED:
        return Invited(staff, None)
    return await staffing.invite_again(tenant.id, tenant.name, by, staff.id)


async def _owner(tenant: TenantRow, email: str, staffing: Staffing) -> Staff | None:
    """Who was invited when the tenant was made; None when nobody was. Raises IdempotencyConflict."""
    try:
        staff = await staffing.named(tenant.id, email)
    except NotFound:
        if await staffing.listed(tenant.id, "", None, 1):
            raise IdempotencyConflict("Somebody else was invited with this key. Use a new key.") from None
        return None
    if staff.role is not Role.OWNER:
        raise IdempotencyConflict("This person is no owner of the tenant. Use a new key.")
    return staff
