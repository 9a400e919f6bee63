"""Agents and everything else a tenant defines, and what comes out when an agent has run."""

from decimal import Decimal
from typing import Any  # untyped JSON of tool arguments
from uuid import UUID

import msgspec

from frontdesk.core.limits import Limits
from frontdesk.identity.issuers import IssuerSettings
from frontdesk.identity.staff import SignInSettings
from frontdesk.knowledge.models import Citation
from frontdesk.llm.attempt import Call
from frontdesk.llm.ledger import LedgerRow
from frontdesk.llm.types import Alias as Alias
from frontdesk.llm.types import PendingCall
from frontdesk.llm.types import Target as Target
from frontdesk.privacy.policy import PrivacySettings
from frontdesk.tools.types import Need, ToolDefinition


class Agent(msgspec.Struct, frozen=True):
    """A specialist of a tenant."""

    name: str
    title: str  # as the contact reads it, for questions such as "Do you mean appointments or billing?"
    description: str
    examples: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()  # regular expressions; one that matches routes at once
    prompt: str = ""  # name of the prompt template with its instructions
    tools: tuple[str, ...] = ()
    model: str = "smart"  # alias
    output_template: str | None = None  # Jinja: `text`, `agent`, `citations` -> the answer
    max_steps: int = 8
    max_tokens: int = 20_000  # of all its calls in a turn
    max_cost_usd: Decimal = Decimal("0.50")
    timeout_s: float = 60.0


class Prompt(msgspec.Struct, frozen=True):
    """A template (Jinja, sandboxed), numbered from 1 by each change."""

    name: str
    version: int
    template: str


class EmergencySettings(msgspec.Struct, frozen=True):
    """`texts` and `words` by language (ISO 639-1); `texts` needs `en`. `words` are the tenant's own alarm phrases."""

    texts: dict[str, str]
    words: dict[str, tuple[str, ...]] = {}


class RetentionSettings(msgspec.Struct, frozen=True):
    """How many days a tenant keeps what. Housekeeping reads it by SQL (`retention_days`)."""

    conversations_days: float = 365.0  # after the last message; 0: as soon as the session has expired
    explanations_days: float = 90.0  # decisions of turns, what went into models and tools
    ledger_days: float = 400.0  # calls of models: tokens and cost, no words
    events_days: float | None = None  # None: as long as the deployment keeps them; never longer


class WidgetSettings(msgspec.Struct, frozen=True):
    """`origins`: of the pages that may embed the chat, such as `https://shop.example`.

    `enabled`: whoever comes is given a token for a conversation of his own.
    """

    enabled: bool = False
    origins: tuple[str, ...] = ()


class PermittedSettings(msgspec.Struct, frozen=True):
    """Names of the agents and tools that may be used; None: all that are defined."""

    agents: tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = None


class TenantSettings(msgspec.Struct, frozen=True):
    """What `tenant.yaml` says; every field has the default of a first start."""

    languages: tuple[str, ...] = ("en",)
    time_zone: str = "UTC"
    region: str = ""  # a label, for those who run the deployment
    default_agent: str = "general_info"
    permitted: PermittedSettings = PermittedSettings()
    greeting: str = "Hello! How can we help?"
    suggestions: tuple[str, ...] = ()  # first questions that the page offers
    emergency: EmergencySettings = EmergencySettings(texts={"en": "If this is an emergency, call 112 now."})
    human_text: dict[str, str] = {}  # by language: what a contact who asks for a human reads
    widget: WidgetSettings = WidgetSettings()
    sign_in: SignInSettings = SignInSettings()  # how its staff signs in
    issuers: tuple[IssuerSettings, ...] = ()  # whose tokens its own users bring
    anonymous_chat: bool = False  # whether the chat's routes ask nobody for a credential
    session_ttl_s: int = 3600
    window_messages: int = 10  # at most 50
    join_bursts: bool = True
    admin_addresses: tuple[str, ...] = ()  # from which alone it is administered; none is from anywhere
    http_allow: tuple[str, ...] = ()  # private addresses or networks that http tools may call
    requests_per_minute: int = 600  # of provider calls
    tokens_per_minute: int = 1_000_000
    limits: Limits = Limits()
    cache_answers_s: int = 0  # 0: no exact-match cache of provider answers
    chunk_tokens: int = 200
    chunk_overlap: int = 40
    min_score: float = 0.25
    retention: RetentionSettings = RetentionSettings()
    privacy: PrivacySettings = PrivacySettings()


class Tenant(msgspec.Struct, frozen=True):
    id: UUID
    slug: str
    name: str
    # Grows with every applied change: the key of every cache that rests on definitions.
    version: int
    settings: TenantSettings
    is_suspended: bool = False


class Definitions(msgspec.Struct, frozen=True):
    """All that a turn needs to know of its tenant, at one version."""

    tenant: Tenant
    agents: dict[str, Agent]
    tools: dict[str, ToolDefinition]
    prompts: dict[str, Prompt]
    aliases: dict[str, Alias]


def permitted(definitions: Definitions) -> Definitions:
    """Without the agents and tools that the tenant's settings leave out."""
    may = definitions.tenant.settings.permitted
    if may.agents is None and may.tools is None:
        return definitions
    agents = {name: each for name, each in definitions.agents.items() if may.agents is None or name in may.agents}
    tools = {name: each for name, each in definitions.tools.items() if may.tools is None or name in may.tools}
    agents = {
        name: msgspec.structs.replace(each, tools=tuple(tool for tool in each.tools if tool in tools))
        for name, each in agents.items()
    }
    return msgspec.structs.replace(definitions, agents=agents, tools=tools)


def call_for(tenant: Tenant, alias: Alias, purpose: str, turn_id: UUID, rows: list[LedgerRow]) -> Call:
    """A call of a model within what the tenant may use, and without what its policy keeps from providers."""
    settings = tenant.settings
    return Call(
        tenant_id=tenant.id,
        alias=alias,
        purpose=purpose,
        turn_id=turn_id,
        version=tenant.version,
        requests_per_minute=settings.requests_per_minute,
        tokens_per_minute=settings.tokens_per_minute,
        limits=settings.limits,
        cache_s=settings.cache_answers_s,
        hides=settings.privacy.hidden_from(settings.privacy.providers),
        rows=rows,
    )


class ToolUse(msgspec.Struct, frozen=True):
    """A line of the answer's `tools`."""

    name: str
    status: str
    duration_ms: int


class Step(msgspec.Struct, frozen=True):
    """One step of an agent's loop, as it is stored: number within the turn, kind, what went in and came out."""

    number: int
    agent: str
    kind: str  # llm | tool
    name: str
    status: str
    input: Any
    output: Any
    duration_ms: int
    key: str = ""  # of a tool call: its idempotency key


class AgentOutcome(msgspec.Struct, frozen=True):
    agent: str
    text: str
    source: str  # local | provider/model
    citations: tuple[Citation, ...] = ()
    needs: tuple[Need, ...] = ()
    pending: PendingCall | None = None  # a call that waits for the contact
    finished: tuple[str, ...] = ()  # tools that ran to the end: pending calls of theirs are over
    tools: tuple[ToolUse, ...] = ()
    steps: tuple[Step, ...] = ()
    degraded: bool = False  # a fallback answered, or nobody
    unsure: bool = False  # it says that it has no answer
    error_code: str | None = None  # the agent failed; `text` is then empty
