"""Brings what is stored up to a tenant's files: definitions in one transaction, then documents, then the classifier.

Files are the truth of what comes from them: what they no longer have is removed. What is already as they say is not
touched, so that a second run does nothing and a running server keeps its caches.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from uuid import UUID

import msgspec
import structlog

from frontdesk import audit
from frontdesk.agents import store as definitions_store
from frontdesk.agents.models import Definitions
from frontdesk.apply.files import PROVIDERS, Folder, read_folder
from frontdesk.apply.plan import Action, Change, Kind, OnProgress, Plan, Progress, compare
from frontdesk.apply.recording import FILES, record
from frontdesk.apply.written import values_of
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

# Name -> (value, the variable that it comes from).
Secrets = Mapping[str, tuple[str, str]]

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
    folder: Path,
    services: ApplyServices,
    on_progress: OnProgress = _unheard,
    *,
    dry_run: bool = False,
    prune: bool = False,
) -> Report:
    """Idempotent; two at once take turns. Raises DefinitionError with every problem of the files; then nothing is done.

    What an earlier apply had found in the files, and they no longer have, is removed; what was made otherwise is so
    with `prune` alone. A document that can't be read is in the report and stops nothing.
    """
    begun = monotonic()
    wanted = await asyncio.to_thread(read_folder, folder, services.providers)
    found = await (_looked_at(wanted, services, prune) if dry_run else _stored(wanted, services, on_progress, prune))
    documents, kept = await _document_changes(found, wanted, services, prune)
    plan = Plan(found.changes, documents, (*found.kept, *kept))
    ingested, fitted = None, False
    if found.definitions is not None:
        if documents:
            ingested = await _ingested(found, wanted, services, on_progress, prune)
        await _documents_applied(found.definitions.tenant.id, wanted, services)
        on_progress(Progress("classifier", 0, 1, ""))
        fitted = await services.fit(found.definitions)
        on_progress(Progress("classifier", 1, 1, ""))
        log.info("tenant.applied", tenant=wanted.slug, version=found.version, changes=len(plan.definitions))
    return Report(wanted.slug, found.tenant_id, found.version, plan, ingested, fitted, dry_run, monotonic() - begun)


# Definitions


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found, and unless it is a dry run done."""

    tenant_id: UUID | None
    version: int
    changes: tuple[Change, ...]
    kept: tuple[Change, ...]
    applied: frozenset[tuple[str, str]]  # by the apply before
    definitions: Definitions | None = None  # as they are stored now; None in a dry run


async def _looked_at(wanted: Folder, services: ApplyServices, prune: bool) -> _Found:
    found = await tenants_store.tenant_named(services.database, wanted.slug)
    _refuse_deleting(found)
    if found is None:
        return _Found(None, 0, compare(wanted, None, _secrets(wanted, services, {}), {}, {}), (), frozenset())
    async with services.database.scope(found.id) as scope:
        changes, _, _ = await _compared(scope, wanted, services)
        applied = await definitions_store.applied(scope)
    changes, kept = _parted(changes, applied, prune)
    return _Found(found.id, found.version, changes, kept, applied)


async def _stored(wanted: Folder, services: ApplyServices, on_progress: OnProgress, prune: bool) -> _Found:
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
            changes, secrets, before = await _compared(scope, wanted, services)
            applied = await definitions_store.applied(scope)
            changes, kept = _parted(changes, applied, prune)
            await store_changes(scope, wanted, changes, secrets, services, on_progress)
            await definitions_store.put_applied(scope, _DEFINED, _definitions_in(wanted))
            version = tenant.version
            if found is None:
                changes = (Change(Kind.TENANT, wanted.slug, Action.ADDED), *changes)
            elif changes:
                version = await definitions_store.bump_version(scope)
            definitions = await definitions_store.load_definitions(scope)
            await record(scope, FILES, changes, {} if found is None else values_of(before), values_of(definitions))
            if found is None:  # by its id alone: this entry outlives the tenant
                await audit.append_to_deployment(scope, FILES, "tenant.created", f"tenant/{tenant_id}")
        return _Found(tenant_id, version, changes, kept, applied, definitions)
    raise Conflict(f"The tenant {wanted.slug} is being created and removed by others. Try again.")


def _parted(
    changes: tuple[Change, ...], applied: frozenset[tuple[str, str]], prune: bool
) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
    """(to be made, left alone): only what had come from files goes with them."""
    left = {
        each
        for each in changes
        if each.action is Action.REMOVED and not prune and (each.kind, each.name) not in applied
    }
    return tuple(each for each in changes if each not in left), tuple(each for each in changes if each in left)


_DEFINED = (Kind.ALIAS, Kind.PROMPT, Kind.TOOL, Kind.AGENT, Kind.SECRET, Kind.FILE)


def _definitions_in(wanted: Folder) -> set[tuple[str, str]]:
    named: tuple[Mapping[str, object], ...] = (
        wanted.aliases, wanted.prompts, wanted.tools, wanted.agents, wanted.secrets, wanted.others or {},
    )  # fmt: skip
    return {(kind, name) for kind, names in zip(_DEFINED, named, strict=True) for name in names}


def _refuse_deleting(tenant: TenantRow | None) -> None:
    if tenant is not None and tenant.state is State.DELETING:
        raise Conflict(f"The tenant {tenant.slug} is being deleted. Apply its files again when it is gone.")


async def _compared(
    scope: TenantScope, wanted: Folder, services: ApplyServices
) -> tuple[tuple[Change, ...], Secrets, Definitions]:
    """The changes, the secrets that are to be there, and what is stored."""
    stored = await tenant_secrets.opened(scope, services.cipher)
    values = _secrets(wanted, services, stored)
    definitions, files = await definitions_store.load_definitions(scope), await definitions_store.file_hashes(scope)
    return compare(wanted, definitions, values, stored, files), values, definitions


def _secrets(wanted: Folder, services: ApplyServices, stored: Secrets) -> Secrets:
    """From the environment; a secret whose variable is not set here stays as it is stored."""
    values: dict[str, tuple[str, str]] = {}
    errors = []
    for name, source in wanted.secrets.items():
        value = services.environment.get(source.variable) or stored.get(name, (None, ""))[0]
        if value is None:
            errors.append(FieldError(source.place, f"the environment variable `{source.variable}` is not set"))
        else:
            values[name] = value, source.variable
    if errors:
        raise DefinitionError(f"{errors[0].field}: {errors[0].message}", errors=errors)
    return values


async def store_changes(
    scope: TenantScope,
    wanted: Folder,
    changes: tuple[Change, ...],
    secrets: Secrets,
    services: ApplyServices,
    on_progress: OnProgress = _unheard,
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
                value, variable = secrets[name]
                await tenant_secrets.put(scope, services.cipher, name, value, variable)
            case Kind.SECRET, True:
                await tenants_store.delete_secret(scope, name)
            case Kind.FILE, False:
                await definitions_store.put_file(scope, name, (wanted.others or {})[name])
            case Kind.FILE, True:
                await definitions_store.delete_file(scope, name)
        on_progress(Progress("definitions", done, len(changes), f"{change.kind} {name}"))


# Documents


async def _document_changes(
    found: _Found, wanted: Folder, services: ApplyServices, prune: bool
) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
    """(to be made, left alone)."""
    if found.tenant_id is None:
        return tuple(Change(Kind.DOCUMENT, source.name, Action.ADDED) for source in wanted.documents), ()
    settings = wanted.settings
    seen = await services.knowledge.compare(
        found.tenant_id, wanted.documents, chunk_tokens=settings.chunk_tokens, chunk_overlap=settings.chunk_overlap
    )
    by_action = ((Action.ADDED, seen.added), (Action.CHANGED, seen.changed), (Action.REMOVED, seen.removed))
    changes = tuple(Change(Kind.DOCUMENT, name, action) for action, names in by_action for name in names)
    return _parted(changes, found.applied, prune)


async def _ingested(
    found: _Found, wanted: Folder, services: ApplyServices, on_progress: OnProgress, prune: bool
) -> IngestReport:
    assert found.tenant_id is not None, "there are changes of a tenant that is there"

    def progress(done: int, total: int, name: str) -> None:
        on_progress(Progress("documents", done, total, name))

    names = {source.name for source in wanted.documents}
    return await services.knowledge.ingest(
        found.tenant_id,
        wanted.documents,
        chunk_tokens=wanted.settings.chunk_tokens,
        chunk_overlap=wanted.settings.chunk_overlap,
        limits=wanted.settings.limits.over(services.limits),
        prune=prune,
        remove=sorted(name for kind, name in found.applied if kind == Kind.DOCUMENT and name not in names),
        progress=progress,
    )


async def _documents_applied(tenant_id: UUID, wanted: Folder, services: ApplyServices) -> None:
    """At the end: who is stopped before it removes the same documents the next time."""
    settings = wanted.settings
    await services.knowledge.keep_originals(
        tenant_id, wanted.documents, chunk_tokens=settings.chunk_tokens, chunk_overlap=settings.chunk_overlap
    )
    async with services.database.scope(tenant_id) as scope:
        names = {(str(Kind.DOCUMENT), source.name) for source in wanted.documents}
        await definitions_store.put_applied(scope, [Kind.DOCUMENT], names)
