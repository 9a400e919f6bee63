"""Every route of the server but its own health's, with the parts that stand behind it."""

from functools import partial

from fastapi import APIRouter

from frontdesk.agents.models import Tenant
from frontdesk.audit.reading import AuditLog
from frontdesk.channels import (
    api_keys,
    audit,
    auth,
    bounds,
    contacts,
    definitions,
    documents,
    feedback,
    http,
    jwks,
    page,
    prompts,
    staff,
    tenants,
    usage,
    visitors,
)
from frontdesk.channels import settings as tenant_settings
from frontdesk.channels.access import Access
from frontdesk.conversations.personal_data import PersonalData
from frontdesk.conversations.sealed import Sealed
from frontdesk.core.clock import SystemClock
from frontdesk.server.applying import apply_services
from frontdesk.server.errors import ErrorRenderer
from frontdesk.server.people import People
from frontdesk.server.providers import LOCAL
from frontdesk.server.services import Services
from frontdesk.tenants.secrets import TenantSecrets


def routers(services: Services, joined: People, access: Access, errors: ErrorRenderer) -> list[APIRouter]:
    directory = services.directory
    chat = http.Chat(services.conversations, services.quotas, services.metrics, errors.failure)
    signing_in = auth.Auth(
        joined.sign_in, joined.sessions, joined.account, joined.staffing, joined.welcome, joined.openid,
        has_mail=joined.mail.is_configured, tenant_named=directory.named, default_tenant=directory.default,
        secret=TenantSecrets(services.database, services.cipher).named, quotas=services.quotas,
    )  # fmt: skip
    personal = PersonalData(services.database, Sealed(services.cipher), SystemClock(), services.purging.mark)
    shown = partial(_shown_on_the_page, services)
    applying = apply_services(services)
    defining = definitions.Defining(applying, services.folders)
    return [
        auth.build_router(signing_in, access),
        staff.build_router(joined.staffing, access, services.quotas),
        http.build_router(chat, access),
        http.build_short_router(chat, access),
        feedback.build_router(services.feedback, access),
        api_keys.build_router(services.api_keys, access),
        audit.build_router(AuditLog(services.database), access),
        jwks.build_router(services.signing_keys),
        visitors.build_router(services.tokens, services.quotas, directory.named),
        definitions.build_router(defining, access),
        prompts.build_router(services.database, services.prompts, access),
        documents.build_router(services.knowledge, applying.limits, access),
        tenant_settings.build_router(defining, access),
        bounds.build_router(defining, services.database, access),
        tenants.build_router(services.database, applying, joined.staffing, access),
        contacts.build_router(personal, access),
        usage.build_router(services.reads, SystemClock(), access),
        page.build_router(services.knowledge, access, directory.named, directory.default, shown),
    ]


async def _shown_on_the_page(services: Services, tenant: Tenant) -> page.PageDefinitions:
    defined = await services.definitions.at(tenant.id, tenant.version)
    used = {agent.model for agent in defined.agents.values()}
    aliases = (alias for alias in defined.aliases.values() if alias.name in used)
    is_local = not any(services.gateway.available(alias, without=LOCAL).targets for alias in aliases)
    titles = {agent.name: agent.title for agent in defined.agents.values()}
    return page.PageDefinitions(is_local, titles)
