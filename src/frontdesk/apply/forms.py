"""The forms of a tenant's files: every key that may be written, its type and range."""

from decimal import Decimal
from typing import Annotated, Any, Literal  # JSON Schemas are untyped JSON

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, field_validator

from frontdesk.identity.claimed_roles import MOST_CHARS, StaffRole
from frontdesk.privacy.models import Entity
from frontdesk.privacy.policy import IDENTIFYING

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
# What a browser sends as Origin: no path, no slash at the end, the usual port left out.
Origin = Annotated[str, Field(pattern=r"^https?://[a-z0-9.-]+(:[0-9]{1,5})?$", max_length=300)]
Line = Annotated[str, Field(min_length=1, max_length=500)]
Text = Annotated[str, Field(min_length=1, max_length=10_000)]
Language = Annotated[str, Field(pattern=r"^[a-z]{2}$")]
ByLanguage = dict[Language, Text]


class Form(BaseModel):
    """Strict: a number is no text, and a key that nobody reads is a mistake."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class EmergencyForm(Form):
    texts: ByLanguage
    words: dict[Language, list[Line]] = {}


class WidgetForm(Form):
    enabled: bool = False
    origins: Annotated[list[Origin], Field(max_length=50)] = []


class IssuerRolesForm(Form):
    """`values`: role by value of `claim`; whoever has none of them is what `others` says."""

    claim: Annotated[str, Field(min_length=1, max_length=200)]
    values: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=MOST_CHARS)], StaffRole],
        Field(min_length=1, max_length=200),
    ]
    others: Literal["contact", "refused"] = "refused"


class IssuerForm(Form):
    issuer: Annotated[str, Field(min_length=1, max_length=500)]
    audience: Annotated[str, Field(min_length=1, max_length=500)]
    jwks_url: Annotated[
        str, Field(pattern=r"^(https://|http://(127\.0\.0\.1|localhost|\[::1\])[:/])[^\s@]+$", max_length=500)
    ]
    algorithms: Annotated[list[Literal["RS256", "ES256"]], Field(min_length=1, max_length=2)] = ["RS256"]
    user_id: Annotated[str, Field(min_length=1, max_length=100)] = "sub"
    roles: IssuerRolesForm | None = None


class PermittedForm(Form):
    agents: Annotated[list[str], Field(min_length=1, max_length=2000)] | None = None
    tools: Annotated[list[str], Field(max_length=2000)] | None = None


class SecretForm(Form):
    env: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,99}$")]


class PrivacyForm(Form):
    """`redact` replaces what `entities` names by placeholders; `pass` leaves texts as they are."""

    providers: Literal["redact", "pass"] = "redact"
    storage: Literal["redact", "pass"] = "pass"
    events: Literal["redact", "pass"] = "pass"
    logs: Literal["redact", "pass"] = "redact"
    exports: Literal["redact", "pass"] = "pass"
    entities: Annotated[list[Annotated[Entity, Strict(False)]], Field(max_length=len(Entity))] = list(IDENTIFYING)


class RetentionForm(Form):
    """Days; 0 for conversations: as soon as the session has expired."""

    conversations_days: Annotated[float, Field(ge=0, le=36_500)] = 365.0
    explanations_days: Annotated[float, Field(ge=1, le=36_500)] = 90.0
    # A month's spending must be known for as long as the month lasts.
    ledger_days: Annotated[float, Field(ge=32, le=36_500)] = 400.0
    events_days: Annotated[float, Field(ge=0.01, le=36_500)] | None = None


# Addresses under /api that are no tenant's.
_RESERVED = frozenset({"admin", "auth", "messages", "public", "v1"})


def _not_reserved(slug: str) -> str:
    if slug in _RESERVED:
        raise ValueError(f"is reserved, as are {', '.join(sorted(_RESERVED - {slug}))}")
    return slug


Slug = Annotated[
    str,
    Field(pattern=r"^[a-z0-9][a-z0-9-]{0,49}$", json_schema_extra={"not": {"enum": sorted(_RESERVED)}}),
    AfterValidator(_not_reserved),
]

# In clear text on this machine alone, as for tests.
_ISSUER = r"^(https://|http://(127\.0\.0\.1|localhost|\[::1\])[:/])\S+$"


class OpenIDForm(Form):
    """`client_secret` is the name of one of the tenant's `secrets`."""

    issuer: Annotated[str, Field(pattern=_ISSUER, max_length=500)]
    client_id: Line
    client_secret: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,99}$")]
    title: Line = "single sign-on"
    domains: Annotated[list[Annotated[str, Field(pattern=r"^[^\s@/]+\.[^\s@/]+$")]], Field(max_length=50)] = []
    role: StaffRole | None = None


class SignInForm(Form):
    password: bool = True
    session_days: Annotated[int, Field(ge=1, le=365)] = 30
    openid: OpenIDForm | None = None


PerMinute = Annotated[int, Field(ge=1, le=1_000_000)] | None
Usd = Annotated[float, Field(ge=0, le=1_000_000)] | None


class LimitsForm(Form):
    """What is left out is as the deployment says."""

    messages_per_minute: PerMinute = None
    key_messages_per_minute: PerMinute = None
    contact_messages_per_minute: PerMinute = None
    address_messages_per_minute: PerMinute = None
    concurrent_turns: Annotated[int, Field(ge=1, le=100_000)] | None = None
    conversation_messages: Annotated[int, Field(ge=2, le=1_000_000)] | None = None
    documents: Annotated[int, Field(ge=0, le=10_000_000)] | None = None
    storage_mb: Annotated[int, Field(ge=0, le=10_000_000)] | None = None
    usd_per_day: Usd = None
    usd_per_month: Usd = None
    warn_at: Annotated[float, Field(gt=0, le=1)] | None = None


class TenantForm(Form):
    """`tenant.yaml`"""

    slug: Slug
    name: Line
    languages: Annotated[list[Language], Field(min_length=1, max_length=20)] = ["en"]
    time_zone: Line = "UTC"
    region: Annotated[str, Field(max_length=100)] = ""
    default_agent: Name = "general_info"
    permitted: PermittedForm = PermittedForm()
    greeting: Text = "Hello! How can we help?"
    suggestions: Annotated[list[Line], Field(max_length=10)] = []
    emergency: EmergencyForm
    human_text: ByLanguage = {}
    widget: WidgetForm = WidgetForm()
    sign_in: SignInForm = SignInForm()
    issuers: Annotated[list[IssuerForm], Field(max_length=10)] = []
    anonymous_chat: bool = False
    session_ttl_s: Annotated[int, Field(ge=60, le=2_592_000)] = 3600
    window_messages: Annotated[int, Field(ge=1, le=50)] = 10
    join_bursts: bool = True
    admin_addresses: Annotated[list[Line], Field(max_length=100)] = []
    http_allow: Annotated[list[Line], Field(max_length=100)] = []
    requests_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 600
    tokens_per_minute: Annotated[int, Field(ge=1, le=1_000_000_000)] = 1_000_000
    limits: LimitsForm = LimitsForm()
    cache_answers_s: Annotated[int, Field(ge=0, le=86_400)] = 0
    chunk_tokens: Annotated[int, Field(ge=32, le=256)] = 200
    chunk_overlap: Annotated[int, Field(ge=0, le=128)] = 40
    min_score: Annotated[float, Field(ge=-1, le=1)] = 0.25
    retention: RetentionForm = RetentionForm()
    privacy: PrivacyForm = PrivacyForm()
    secrets: dict[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,99}$")], SecretForm] = {}


class TargetForm(Form):
    provider: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,49}$")]
    model: Line
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    secret: str | None = None


class AliasForm(Form):
    """`chain` is tried in order; a list inside it holds equals, which share the load by weight."""

    chain: Annotated[
        list[Annotated[list[TargetForm], Field(min_length=1, max_length=10)]], Field(min_length=1, max_length=10)
    ]
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    deadline_s: Annotated[float, Field(gt=0, le=600)] | None = None

    @field_validator("chain", mode="before")
    @classmethod
    def one_is_a_group_of_one(cls, chain: object) -> object:
        return [place if isinstance(place, list) else [place] for place in chain] if isinstance(chain, list) else chain


class LLMForm(Form):
    """`llm.yaml`"""

    aliases: Annotated[dict[Name, AliasForm], Field(min_length=1)]


class AgentForm(Form):
    """`agents/<name>.yaml`"""

    title: Line
    description: Text
    examples: Annotated[list[Line], Field(max_length=2000)] = []
    patterns: Annotated[list[Line], Field(max_length=100)] = []
    prompt: str | None = None
    tools: Annotated[list[str], Field(max_length=64)] = []
    model: str = "smart"
    output_template: Text | None = None
    max_steps: Annotated[int, Field(ge=1, le=50)] = 8
    max_tokens: Annotated[int, Field(ge=100, le=10_000_000)] = 20_000
    # YAML has no decimals: 0.05 is read as it is written, by way of its text.
    max_cost_usd: Annotated[float, Field(gt=0, le=1000)] = 0.5
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 60.0

    def cost(self) -> Decimal:
        return Decimal(str(self.max_cost_usd))


class HTTPForm(Form):
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    url: Annotated[str, Field(pattern=r"^https?://")]
    headers: dict[str, str] = {}
    query: dict[str, Any] | None = None
    body: Any = None
    response: str | dict[str, str] | None = None
    retries: Annotated[int, Field(ge=0, le=5)] = 2
    idempotent: bool = False


class PythonForm(Form):
    file: Line
    function: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class KnowledgeForm(Form):
    top_k: Annotated[int, Field(ge=1, le=20)] = 5
    min_score: Annotated[float, Field(ge=-1, le=1)] | None = None


class ToolForm(Form):
    """`tools/<name>.yaml`: exactly one of `http`, `python`, `knowledge` says what it is."""

    description: Text
    http: HTTPForm | None = None
    python: PythonForm | None = None
    knowledge: KnowledgeForm | None = None
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None = None
    side_effects: bool = False
    timeout_s: Annotated[float, Field(gt=0, le=300)] = 10.0
    examples: Annotated[list[Line], Field(max_length=200)] = []
    output_template: Text | None = None


class PromptForm(Form):
    """`prompts/<name>.md`: the text is the file."""

    template: Annotated[str, Field(min_length=1, max_length=200_000)]
