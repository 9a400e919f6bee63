"""Brings what is stored up to a tenant's files: definitions in one transaction, then documents, then the classifier.

Files are the truth: what they no longer have is removed. What is already as they say is not touched, so that a second
run does nothing and a running server keeps its caches.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from uuid import UUID

import msgspec
import structlog

from frontdesk.agents import store as definitions_store
from frontdesk.agents.models import Definitions
from frontdesk.apply.files import PROVIDERS, Folder, definitions_of, read_folder
from frontdesk.apply.plan import Action, Change, Kind, OnProgress, Plan, Progress, compare
from frontdesk.core.errors import Conflict, DefinitionError, FieldError
from frontdesk.core.ids import new_id
from frontdesk.core.json import loads
from frontdesk.core.limits import Limits
from frontdesk.db import Database, TenantScope
from frontdesk.db.cipher import Cipher
from frontdesk.knowledge.models import IngestReport
from frontdesk.knowledge.service import Knowledge
from frontdesk.tenants import secrets as tenant_secrets
from frontdesk.tenants import store as tenants_store
from frontdesk.tenants.store import State, TenantRow

log = structlog.get_logger()

# Makes the tenant's classifier fit the agents' examples; False when it did already.
Fit = Callable[[Definitions], Awaitable[bool]]

_TRIES = 3


@dataclass(frozen=True, slots=True)
class ApplyServices:
    """What applying needs. `environment` is where secrets come from; `providers` are the names that chains may use;
    `limits` are those of tenants that have none of their own."""

    database: Database
    knowledge: Knowledge
    cipher: Cipher
    fit: Fit
    environment: Mapping[str, str]
    providers: frozenset[str] = PROVIDERS
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Report:
    """What was done, or with `dry_run` would be. `version` is 0 for a tenant that is not there yet."""

    slug: str
    tenant_id: UUID | None
    version: int
    plan: Plan
    documents: IngestReport | None  # None: no document had changed
    fitted: bool
    dry_run: bool
    duration_s: float


def _unheard(_progress: Progress) -> None:
    return None


async def apply_folder(
    folder: Path, services: ApplyServices, on_progress: OnProgress = _unheard, *, dry_run: bool = False
) -> Report:
    """Idempotent; two at once take turns. Raises DefinitionError with every problem of the files; then nothing is done.

    A document that can't be read is in the report and stops nothing.
    """
    begun = monotonic()
    wanted = await asyncio.to_thread(read_folder, folder, services.providers)
    if dry_run:
        tenant_id, version, definitions = await _looked_at(wanted, services)
    else:
        tenant_id, version, definitions = await _stored(wanted, services, on_progress)
    plan = Plan(definitions, await _document_changes(tenant_id, wanted, services))
    ingested, fitted = None, False
    if tenant_id is not None and not dry_run:
        if plan.documents:
            ingested = await _ingested(tenant_id, wanted, services, on_progress)
        on_progress(Progress("classifier", 0, 1, ""))
        fitted = await services.fit(definitions_of(wanted, tenant_id, version))
        on_progress(Progress("classifier", 1, 1, ""))
        log.info("tenant.applied", tenant=wanted.slug, version=version, changes=len(plan.definitions))
    return Report(wanted.slug, tenant_id, version, plan, ingested, fitted, dry_run, monotonic() - begun)


# Definitions


async def _looked_at(wanted: Folder, services: ApplyServices) -> tuple[UUID | None, int, tuple[Change, ...]]:
    found = await tenants_store.tenant_named(services.database, wanted.slug)
    _refuse_deleting(found)
    if found is None:
        return None, 0, compare(wanted, None, _secrets(wanted, services, {}), {})
    async with services.database.scope(found.id) as scope:
        changes, _ = await _compared(scope, wanted, services)
    return found.id, found.version, changes


async def _stored(
    wanted: Folder, services: ApplyServices, on_progress: OnProgress
) -> tuple[UUID, int, tuple[Change, ...]]:
    for _ in range(_TRIES):
        found = await tenants_store.tenant_named(services.database, wanted.slug)
        tenant_id = new_id() if found is None else found.id
        async with services.database.scope(tenant_id) as scope:
            if found is None:
                settings = loads(msgspec.json.encode(wanted.settings))
                if not await tenants_store.create_tenant(scope, wanted.slug, wanted.name, settings):
                    continue  # another process created it just now: compare with that one
            tenant = await tenants_store.lock_tenant(scope)
            if tenant is None:
                continue  # it was removed since we found it
            _refuse_deleting(tenant)
            changes, values = await _compared(scope, wanted, services)
            await _write(scope, wanted, changes, values, services, on_progress)
            version = tenant.version
            if found is None:
                changes = (Change(Kind.TENANT, wanted.slug, Action.ADDED), *changes)
            elif changes:
                version = await definitions_store.bump_version(scope)
        return tenant_id, version, changes
    raise Conflict(f"The tenant {wanted.slug} is being created and removed by others. Try again.")


def _refuse_deleting(tenant: TenantRow | None) -> None:
    if tenant is not None and tenant.state is State.DELETING:
        raise Conflict(f"The tenant {tenant.slug} is being deleted. Apply its files again when it is gone.")


async def _compared(
    scope: TenantScope, wanted: Folder, services: ApplyServices
) -> tuple[tuple[Change, ...], dict[str, str]]:
    """The changes, and the secrets' values that are to be there."""
    stored = await tenant_secrets.opened(scope, services.cipher)
    values = _secrets(wanted, services, stored)
    return compare(wanted, await definitions_store.load_definitions(scope), values, stored), values


def _secrets(wanted: Folder, services: ApplyServices, stored: Mapping[str, str]) -> dict[str, str]:
    """From the environment; a secret whose variable is not set here stays as it is stored."""
    values, errors = {}, []
    for name, source in wanted.secrets.items():
        value = services.environment.get(source.variable) or stored.get(name)
        if value is None:
            errors.append(FieldError(source.place, f"the environment variable `{source.variable}` is not set"))
        else:
            values[name] = value
    if errors:
        raise DefinitionError(f"{errors[0].field}: {errors[0].message}", errors=errors)
    return values


async def _write(
    scope: TenantScope,
    wanted: Folder,
    changes: tuple[Change, ...],
    secrets: Mapping[str, str],
    services: ApplyServices,
    on_progress: OnProgress,
) -> None:
    """Puts in the order of `changes`, tools before agents; removes the other way around."""
    puts = [change for change in changes if change.action is not Action.REMOVED]
    removals = [change for change in reversed(changes) if change.action is Action.REMOVED]
    for done, change in enumerate((*puts, *removals), start=1):
        name = change.name
        match change.kind, change.action is Action.REMOVED:
            case Kind.TENANT, False:
                settings = loads(msgspec.json.encode(wanted.settings))
                await tenants_store.update_tenant(scope, wanted.name, settings)
            case Kind.ALIAS, False:
                await definitions_store.put_alias(scope, wanted.aliases[name])
            case Kind.ALIAS, True:
                await definitions_store.delete_alias(scope, name)
            case Kind.PROMPT, False:
                await definitions_store.put_prompt(scope, name, wanted.prompts[name])
            case Kind.PROMPT, True:
                await definitions_store.delete_prompt(scope, name)
            case Kind.TOOL, False:
                await definitions_store.put_tool(scope, wanted.tools[name])
            case Kind.TOOL, True:
                await definitions_store.delete_tool(scope, name)
            case Kind.AGENT, False:
                await definitions_store.put_agent(scope, wanted.agents[name])
            case Kind.AGENT, True:
                await definitions_store.delete_agent(scope, name)
            case Kind.SECRET, False:
                await tenant_secrets.put(scope, services.cipher, name, secrets[name])
            case Kind.SECRET, True:
                await tenants_store.delete_secret(scope, name)
        on_progress(Progress("definitions", done, len(changes), f"{change.kind} {name}"))


# Documents


async def _document_changes(tenant_id: UUID | None, wanted: Folder, services: ApplyServices) -> tuple[Change, ...]:
    if tenant_id is None:
        return tuple(Change(Kind.DOCUMENT, source.name, Action.ADDED) for source in wanted.documents)
    settings = wanted.settings
    found = await services.knowledge.compare(
        tenant_id, wanted.documents, chunk_tokens=settings.chunk_tokens, chunk_overlap=settings.chunk_overlap
    )
    by_action = ((Action.ADDED, found.added), (Action.CHANGED, found.changed), (Action.REMOVED, found.removed))
    return tuple(Change(Kind.DOCUMENT, name, action) for action, names in by_action for name in names)


async def _ingested(tenant_id: UUID, wanted: Folder, services: ApplyServices, on_progress: OnProgress) -> IngestReport:
    def progress(done: int, total: int, name: str) -> None:
        on_progress(Progress("documents", done, total, name))

    return await services.knowledge.ingest(
        tenant_id,
        wanted.documents,
        chunk_tokens=wanted.settings.chunk_tokens,
        chunk_overlap=wanted.settings.chunk_overlap,
        prune=True,
        limits=wanted.settings.limits.over(services.limits),
        progress=progress,
    )
