"""Settings of a deployment: defaults < YAML file < environment. `server/` alone reads them."""

import difflib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal  # YAML is untyped until pydantic has read it

import platformdirs
import yaml
from pydantic import BaseModel, BeforeValidator, Field, IPvAnyNetwork, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from frontdesk.core.errors import SettingsError

ENV_PREFIX = "FRONTDESK_"


def _split(value: Any) -> Any:
    """A list as one variable of the environment: separated by commas."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


class DatabaseSettings(BaseModel, frozen=True, extra="forbid"):
    """The pool of connections; environment FRONTDESK_DATABASE__<NAME>."""

    max_connections: int = Field(10, ge=2, le=500, description="connections of this process at most")
    statement_timeout_s: float = Field(30.0, gt=0, description="a statement that runs longer is cancelled")
    ca_file: Path | None = Field(
        None, description="who vouches for the server's certificate; it and its name are checked"
    )
    certificate: Path | None = Field(None, description="the client's own, where the server asks for one")
    key: Path | None = Field(None, description="of that certificate")


class RedisSettings(BaseModel, frozen=True, extra="forbid"):
    """TLS towards Redis, with a URL of `rediss://`; environment FRONTDESK_REDIS__<NAME>."""

    ca_file: Path | None = Field(
        None, description="who vouches for the server's certificate, not whom the system trusts"
    )
    certificate: Path | None = Field(None, description="the client's own, where the server asks for one")
    key: Path | None = Field(None, description="of that certificate")


class GatewaySettings(BaseModel, frozen=True, extra="forbid"):
    """Limits of one call to a provider chain; environment FRONTDESK_GATEWAY__<NAME>."""

    deadline_s: float = Field(60.0, gt=0, description="whole call, retries and switches included")
    first_token_s: float = Field(15.0, gt=0, description="wait for the first byte, and between two")
    attempts: int = Field(3, ge=1, le=10, description="tries at one target")
    breaker_failures: int = Field(5, ge=1, description="failures in a row that open the breaker")
    breaker_open_s: float = Field(60.0, gt=0, description="how long an open breaker refuses before it probes")


class ProviderSettings(BaseModel, frozen=True, extra="forbid"):
    """A provider beside the three vendors: any server that speaks OpenAI's chat completions."""

    base_url: str = Field(description="for example http://127.0.0.1:11434/v1")
    api_key: SecretStr | None = Field(None, description="left out when the server needs none")
    kind: Literal["openai", "anthropic", "gemini"] = Field("openai", description="the wire format that it speaks")


class PriceSettings(BaseModel, frozen=True, extra="forbid"):
    """What a model costs that the price tables don't know, or that costs you something else, in USD per million tokens.
    `*` in place of the model's name: whatever model of the provider has none of its own."""

    input: Decimal = Field(ge=0, le=1_000_000, description="of what is sent")
    output: Decimal = Field(ge=0, le=1_000_000, description="of what is answered")
    cached: Decimal | None = Field(
        None, ge=0, le=1_000_000, description="of what is sent and was kept there; left out: as `input`"
    )


class TurnSettings(BaseModel, frozen=True, extra="forbid"):
    """How turns are run; environment FRONTDESK_TURNS__<NAME>."""

    lease_s: float = Field(15.0, ge=2, description="a turn whose worker is silent for so long is taken by another")
    deadline_s: float = Field(120.0, gt=0, description="a turn that takes longer fails explicitly")
    attempts: int = Field(3, ge=1, description="workers that may die of a turn before it fails explicitly")
    concurrent: int = Field(1000, ge=1, description="turns that this process runs at once; more wait")
    stop_s: float = Field(6.0, gt=0, description="at SIGTERM: time to finish before turns are handed over")


class SmtpSettings(BaseModel, frozen=True, extra="forbid"):
    """The mail server for links to staff; environment FRONTDESK_SMTP__<NAME>. Without a host no mail is sent."""

    host: str | None = Field(None, description="for example mail.example.org")
    port: int = Field(587, ge=1, le=65535, description="587 with starttls, 465 with tls")
    security: Literal["starttls", "tls", "none"] = Field("starttls", description="none only for a relay beside it")
    sender: str = Field("frontdesk@localhost", description="the From of its mails")
    user: str | None = Field(None, description="left out when the mail server asks for none")
    password: SecretStr | None = Field(None, description="of that user")


class ConnectionSettings(BaseModel, frozen=True, extra="forbid"):
    """What clients may cost; environment FRONTDESK_CONNECTIONS__<NAME>."""

    most: int = Field(4000, ge=1, description="connections at once; more are told 503, or refused")
    headers_s: float = Field(10.0, gt=0, description="for a request's headers, or the first byte of a connection")
    body_s: float = Field(30.0, gt=0, description="for a request's whole body")
    stalled_s: float = Field(60.0, gt=0, description="a client that reads nothing of what waits for it is cut off")


class RetentionSettings(BaseModel, frozen=True, extra="forbid"):
    """What is kept how long; environment FRONTDESK_RETENTION__<NAME>."""

    events_days: float = Field(7.0, gt=0, description="events that every consumer has read")
    every_s: float = Field(60.0, gt=0, description="how often the clean-up looks")


class LimitSettings(BaseModel, frozen=True, extra="forbid"):
    """What a tenant may use whose own `limits` don't say; environment FRONTDESK_LIMITS__<NAME>."""

    messages_per_minute: int | None = Field(6000, ge=1, description="of a whole tenant")
    key_messages_per_minute: int | None = Field(3000, ge=1, description="by one API key")
    contact_messages_per_minute: int | None = Field(60, ge=1, description="by one contact (`user_id`)")
    address_messages_per_minute: int | None = Field(
        300, ge=1, description="from one address (of IPv6: one /64), but for this machine's own"
    )
    concurrent_turns: int | None = Field(
        500, ge=1, description="turns of a tenant at once; over all servers where they share a Redis"
    )
    conversation_messages: int | None = Field(2000, ge=2, description="messages of one conversation, of both sides")
    documents: int | None = Field(10_000, ge=0, description="documents of a tenant")
    storage_mb: int | None = Field(1000, ge=0, description="text of a tenant's documents, in millions of bytes")
    usd_per_day: float | None = Field(None, ge=0, description="budget of a tenant for models, by the day of UTC")
    usd_per_month: float | None = Field(None, ge=0, description="the same by the month")
    warn_at: float | None = Field(0.8, gt=0, le=1, description="share of a budget at which the log tells")


class Settings(BaseSettings):
    """All settings. Names in the environment: FRONTDESK_<NAME>, nested FRONTDESK_<GROUP>__<NAME>."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        nested_model_default_partial_update=True,
    )

    env: Literal["development", "production"] = Field(
        "development", description="production hides error details and logs JSON"
    )
    host: str = Field("127.0.0.1", description="address to listen on; beyond loopback it needs `proxies` with TLS")
    port: int = Field(8000, ge=0, le=65535, description="0 takes a free one")
    data: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("frontdesk")),
        description="data directory: database, keys, models",
    )
    database_url: SecretStr | None = Field(
        None, description="external PostgreSQL >= 15 with pgvector; without it the embedded one"
    )
    replica_url: SecretStr | None = Field(
        None, description="a replica of that PostgreSQL, for lists and sums that may lag; never for a turn"
    )
    kafka_servers: str | None = Field(None, description="not used by this version, which says so at start")
    redis_url: SecretStr | None = Field(
        None,
        description="Redis >= 6, shared by several servers: limits, cached answers, live streams (operations.md)",
    )
    example: str = Field("clinic", description="example tenant loaded at start and default tenant; empty for none")
    tenants: Path | None = Field(None, description="folder of tenant folders applied at start, beside the example")
    encryption_keys: SecretStr | None = Field(
        None, description="32-byte keys in base64, the first seals; without it the file `keys` in the data directory"
    )
    openai_api_key: SecretStr | None = Field(None, description="also read from OPENAI_API_KEY")
    openai_base_url: str | None = Field(None, description="also read from OPENAI_BASE_URL; any compatible server")
    anthropic_api_key: SecretStr | None = Field(None, description="also read from ANTHROPIC_API_KEY")
    anthropic_base_url: str | None = Field(None, description="also read from ANTHROPIC_BASE_URL")
    gemini_api_key: SecretStr | None = Field(None, description="also read from GEMINI_API_KEY")
    gemini_base_url: str | None = Field(None, description="also read from GEMINI_BASE_URL")
    providers: dict[str, ProviderSettings] = Field({}, description="further providers by name")
    prices: dict[str, dict[str, PriceSettings]] = Field(
        {}, description="what models cost that the price tables don't know, by provider and model"
    )
    trusted_providers: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        (), description="providers in your own house, by name: they get texts with personal data; `local` always does"
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        (), description="origins of pages that may call the API, in the environment separated by commas"
    )
    hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        (), description="names by which a proxy calls it, beside those of loopback; in the environment with commas"
    )
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^/\s]+$",
        description="how people reach it, in links of mails and for sign-in by a provider: https://desk.example.org",
    )
    proxies: Annotated[tuple[IPvAnyNetwork, ...], NoDecode, BeforeValidator(_split)] = Field(
        (), description="addresses or networks of proxies whose X-Forwarded-For is believed, separated by commas"
    )
    addresses: Annotated[tuple[IPvAnyNetwork, ...], NoDecode, BeforeValidator(_split)] = Field(
        (), description="addresses or networks that may send requests, beside this machine; empty for all"
    )
    developer: bool = Field(
        False, description="asks nobody on this machine who he is: everybody may do everything; for development only"
    )
    embedding_model: Path | None = Field(
        None, description="folder of all-MiniLM-L6-v2, when not the installed package's"
    )
    database: DatabaseSettings = DatabaseSettings()
    redis: RedisSettings = RedisSettings()
    gateway: GatewaySettings = GatewaySettings()
    turns: TurnSettings = TurnSettings()
    connections: ConnectionSettings = ConnectionSettings()
    smtp: SmtpSettings = SmtpSettings()
    retention: RetentionSettings = RetentionSettings()
    limits: LimitSettings = LimitSettings()


def load_settings(
    environment: Mapping[str, str], file: Path | None = None, overrides: dict[str, Any] | None = None
) -> Settings:
    """Reads the YAML `file` (or FRONTDESK_CONFIG's), then the environment, then `overrides` (the command line).

    `environment` must be the process's own, which pydantic reads too. Raises SettingsError that names the file and
    line, or the variable, and what is accepted.
    """
    named = file or (Path(environment[f"{ENV_PREFIX}CONFIG"]) if f"{ENV_PREFIX}CONFIG" in environment else None)
    values, lines = _read_yaml(named) if named else ({}, {})
    for name in ("openai", "anthropic", "gemini"):
        for what in ("api_key", "base_url"):
            variable = f"{name}_{what}".upper()
            if environment.get(variable):
                values[f"{name}_{what}"] = environment[variable]  # before the file's, after FRONTDESK_'s own

    class Sourced(Settings):
        """Settings with this file's values below the environment."""

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, InitSettingsSource(settings_cls, values)

    try:
        return Sourced(**(overrides or {}))
    except ValidationError as error:
        raise SettingsError(_sentences(error, named, lines, environment)) from None


def _read_yaml(path: Path) -> tuple[dict[str, Any], dict[tuple[str, ...], int]]:
    """The file's values, and the line of each by its path."""
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except OSError as error:
        raise SettingsError(f"{path}: can't be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is not UTF-8 text.") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SettingsError(f"{path}:{line}: is not YAML: {error.problem}.") from error
    if values is None:
        return {}, {}
    if not isinstance(values, dict):
        raise SettingsError(f"{path}:1: must be a mapping of settings, such as `port: 8000`.")
    lines: dict[tuple[str, ...], int] = {}

    def walk(part: yaml.Node, at: tuple[str, ...]) -> None:
        if isinstance(part, yaml.MappingNode):
            for key, value in part.value:
                lines[(*at, str(key.value))] = key.start_mark.line + 1
                walk(value, (*at, str(key.value)))

    assert node is not None, "there are values, so there is a node"
    walk(node, ())
    return values, lines


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """A sentence for each FRONTDESK_ variable that no setting reads: most are misspelt."""
    known = {name.upper() for name in Settings.model_fields} | {"CONFIG", "URL", "KEY", "MIGRATE_URL", "SECRET"}
    sentences = []
    for variable in sorted(environment):
        name = variable.removeprefix(ENV_PREFIX).split("__")[0].upper()
        if not variable.startswith(ENV_PREFIX) or name in known or name.startswith("SECRET_"):
            continue
        close = difflib.get_close_matches(name, known, 1)
        hint = f" Did you mean {ENV_PREFIX}{close[0]}?" if close else ""
        sentences.append(f"{variable}: there is no such setting; it is ignored.{hint}")
    return sentences


def _sentences(
    error: ValidationError, file: Path | None, lines: dict[tuple[str, ...], int], environment: Mapping[str, str]
) -> str:
    sentences = []
    for problem in error.errors():
        path = tuple(str(part) for part in problem["loc"])
        variable = ENV_PREFIX + "__".join(path).upper()
        if variable in environment:
            where = variable
        elif file is not None and path in lines:
            where = f"{file}:{lines[path]}: {'.'.join(path)}"
        else:
            where = ".".join(path)
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            close = difflib.get_close_matches(path[-1], Settings.model_fields, 1)
            message = "there is no such setting." + (f" Did you mean {close[0]}?" if close else "")
        sentences.append(f"{where}: {message}")
    return "\n".join(sentences)
