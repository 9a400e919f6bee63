"""The one table of who may do what."""

from collections.abc import Mapping
from enum import StrEnum


class Permission(StrEnum):
    """What a route may need; the value is what an API key's scope is called."""

    CHAT = "chat"  # converse as a contact, with what is known by its id
    SESSIONS_LIST = "sessions:list"  # a contact's sessions by his id
    CONVERSATIONS_READ = "conversations:read"  # everything that was said, and why it was answered so
    CONVERSATIONS_ERASE = "conversations:erase"
    DEFINITIONS_READ = "definitions:read"  # agents, tools, prompts, documents, LLM aliases
    DEFINITIONS_WRITE = "definitions:write"
    SETTINGS_READ = "settings:read"  # of the tenant: limits, languages, widget
    SETTINGS_WRITE = "settings:write"
    SIGN_IN_WRITE = "sign_in:write"  # who vouches for people: providers and issuers
    STAFF_READ = "staff:read"
    STAFF_WRITE = "staff:write"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    USAGE_READ = "usage:read"
    AUDIT_READ = "audit:read"
    CONTACTS_EXPORT = "contacts:export"  # all that is stored of one person
    CONTACTS_ERASE = "contacts:erase"
    ACCOUNT = "account"  # one's own sessions, password and second factor
    METRICS_READ = "metrics:read"  # of the whole deployment
    TENANTS_MANAGE = "tenants:manage"  # of the whole deployment


class Role(StrEnum):
    OWNER = "owner"
    ADMIN = "admin"
    SUPPORTER = "supporter"
    VIEWER = "viewer"
    CONTACT = "contact"  # an end user whom an external issuer vouches for: his own conversations
    VISITOR = "visitor"  # of a widget: one conversation


P = Permission
_VIEWER = frozenset(
    {P.SESSIONS_LIST, P.CONVERSATIONS_READ, P.DEFINITIONS_READ, P.SETTINGS_READ, P.USAGE_READ, P.ACCOUNT}
)
_SUPPORTER = _VIEWER | {P.CHAT}
_ADMIN = _SUPPORTER | {
    P.CONVERSATIONS_ERASE, P.DEFINITIONS_WRITE, P.SETTINGS_WRITE, P.STAFF_READ, P.STAFF_WRITE,
    P.KEYS_READ, P.KEYS_WRITE, P.AUDIT_READ, P.CONTACTS_EXPORT, P.CONTACTS_ERASE,
}  # fmt: skip

# Of operators beside what their role gives them: the deployment, and nothing inside another tenant.
OPERATOR = frozenset({P.TENANTS_MANAGE, P.METRICS_READ})

ROLES: Mapping[Role, frozenset[Permission]] = {
    Role.OWNER: _ADMIN | {P.SIGN_IN_WRITE},
    Role.ADMIN: _ADMIN,
    Role.SUPPORTER: _SUPPORTER,
    Role.VIEWER: _VIEWER,
    Role.CONTACT: frozenset({P.CHAT, P.SESSIONS_LIST}),
    Role.VISITOR: frozenset({P.CHAT}),
}

# Who comes without a credential, where the tenant lets him.
ANONYMOUS = frozenset({P.CHAT})

# What an API key may be given: not what belongs to a person, nor what lets people in.
SCOPES = ROLES[Role.OWNER] - {P.ACCOUNT, P.SIGN_IN_WRITE}
