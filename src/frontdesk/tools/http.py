"""Tools of kind `http`: a request made of the arguments, an answer in JSON, nothing reached that must not be.

`config` of the definition:

    method: POST                                   # GET when left out
    url: https://api.example.com/orders/{order_id} # values are percent-encoded; the host must be fixed
    query: {detail: "{detail}"}                    # left out: GET and DELETE put the other arguments here
    headers: {Authorization: "Bearer ${secret:ORDERS_KEY}"}
    body: {order: {note: "{note}", by: api}}       # left out: POST, PUT and PATCH send the other arguments as JSON
    response: {state: order.state, items: order.lines.*.name}   # or one dotted path; left out: the whole answer
    retries: 2                                     # of GET and HEAD, and of others that are `idempotent: true`

A text that is nothing but `{name}` keeps the argument's type, and goes away with an argument that was not given.
"""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any  # bodies and answers are the service's JSON
from urllib.parse import quote, urlsplit
from uuid import UUID

import aiohttp
import msgspec
import structlog
from yarl import URL

from frontdesk.core import json
from frontdesk.core.errors import DefinitionError
from frontdesk.tools.addresses import AddressPolicy, AddressRefused
from frontdesk.tools.outbound import Outbound
from frontdesk.tools.types import JSONObject, ToolContext, ToolDefinition, ToolError, ToolResult, ToolStatus

log = structlog.get_logger()

# The value of a tenant's secret, or None when there is none of that name.
Secrets = Callable[[UUID, str], Awaitable[str | None]]

MAX_ANSWER_BYTES = 256 * 1024
MAX_REDIRECTS = 5
_BACKOFF_S = 0.2
_WAIT_AT_MOST_S = 5.0
_SAID_BY_SERVICE_CHARACTERS = 300

_SAFE = frozenset({"GET", "HEAD"})
_METHODS = frozenset({*_SAFE, "POST", "PUT", "PATCH", "DELETE"})
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({429, 502, 503, 504})

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRET = re.compile(r"\$\{secret:([A-Za-z_][A-Za-z0-9_]*)\}")
_HIDDEN = "[hidden]"


class HttpConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`config` of an http tool, as above."""

    url: str
    method: str = "GET"
    query: dict[str, Any] | None = None
    headers: dict[str, str] = {}
    body: Any = None
    response: str | dict[str, str] | None = None
    retries: int = 2
    idempotent: bool = False

    @classmethod
    def of(cls, definition: ToolDefinition) -> "HttpConfig":
        """Raises DefinitionError that says what is accepted."""
        try:
            config = msgspec.convert(definition.config, cls)
        except msgspec.ValidationError as error:
            raise DefinitionError(f"config of the http tool: {error}.") from error
        if config.method not in _METHODS:
            raise DefinitionError(f"config.method: {config.method!r} is none of {', '.join(sorted(_METHODS))}.")
        if not 0 <= config.retries <= 5:
            raise DefinitionError("config.retries: must be from 0 to 5.")
        parts = urlsplit(config.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise DefinitionError("config.url: must begin with http:// or https:// and name a host.")
        if _PLACEHOLDER.search(parts.netloc) or parts.username is not None or parts.fragment:
            raise DefinitionError("config.url: host and port must be fixed, without user, password and fragment.")
        if _SECRET.search(config.url):
            raise DefinitionError("config.url: a secret may stand in headers, query and body only.")
        known = definition.input_schema.get("properties", {})
        for name in _PLACEHOLDER.findall(config.url) + list(_names((config.query, config.headers, config.body))):
            if name not in known:
                raise DefinitionError(f"config: {{{name}}} is not a parameter of the tool; known: {', '.join(known)}.")
        return config

    @property
    def is_repeatable(self) -> bool:
        """Whether a second try does no more than the first, as far as the service is to be believed."""
        return self.method in _SAFE or self.idempotent


class _Request(msgspec.Struct, frozen=True):
    method: str
    url: URL
    headers: dict[str, str]
    body: bytes | None

    @property
    def origin(self) -> tuple[str, str | None, int | None]:
        return self.url.scheme, self.url.host, self.url.port


class _Answer(msgspec.Struct, frozen=True):
    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpTool:
    """One http tool of a tenant. Raises DefinitionError when its `config` is wrong."""

    def __init__(
        self, definition: ToolDefinition, allow: tuple[str, ...], outbound: Outbound, secrets: Secrets
    ) -> None:
        self.definition = definition
        self._config = HttpConfig.of(definition)
        self.is_repeatable = self._config.is_repeatable
        self._allow = allow
        self._outbound = outbound
        self._secrets = secrets

    async def call(self, arguments: JSONObject, context: ToolContext) -> ToolResult:
        """Raises ToolError with a sentence that holds no address, header or secret."""
        secrets = await self._resolved(context.tenant_id)
        request = self._request(arguments, secrets, context)
        async with self._outbound.session(context.tenant_id, self._allow) as (session, policy):
            answer = await self._tried(session, policy, request)
        data = _parsed(answer, [value for value in secrets.values() if value])
        return ToolResult(ToolStatus.OK, data=_mapped(data, self._config.response))

    async def _resolved(self, tenant_id: UUID) -> dict[str, str]:
        config = self._config
        names = sorted(set(_SECRET.findall(json.dumps_text([config.headers, config.query, config.body]))))
        found = {name: await self._secrets(tenant_id, name) for name in names}
        if absent := [name for name, value in found.items() if value is None]:
            log.warning("tool.secret_missing", tool=self.definition.name, secrets=absent)
            raise ToolError("The tool is not set up completely: a credential is missing.")
        return {name: value for name, value in found.items() if value is not None}

    def _request(self, arguments: JSONObject, secrets: Mapping[str, str], context: ToolContext) -> _Request:
        config = self._config
        url = _filled_url(config.url, arguments)
        rest = {name: value for name, value in arguments.items() if f"{{{name}}}" not in config.url}
        query = _filled(config.query, arguments, secrets) if config.query is not None else None
        if query is None and config.method not in _WITH_BODY:
            query = rest
        if query:
            url = url.extend_query([(name, text) for name, value in query.items() for text in _query_texts(value)])
        headers = {name: str(_filled(value, arguments, secrets) or "") for name, value in config.headers.items()}
        if any("\n" in value or "\r" in value for value in headers.values()):
            raise ToolError("A value has a line break where none can be.")
        headers = {"Accept": "application/json", "User-Agent": "frontdesk", **headers}
        body = None
        if config.method in _WITH_BODY:
            filled = _filled(config.body, arguments, secrets) if config.body is not None else rest
            body = json.dumps(filled)
            headers["Content-Type"] = "application/json"
        if config.method not in _SAFE:
            headers["Idempotency-Key"] = context.idempotency_key
        return _Request(config.method, url, headers, body)

    async def _tried(self, session: aiohttp.ClientSession, policy: AddressPolicy, request: _Request) -> _Answer:
        """The first answer that is not a passing trouble; repeats only what may be repeated."""
        tries_left = self._config.retries if self._config.is_repeatable else 0
        wait_s = _BACKOFF_S
        while True:
            try:
                answer = await _followed(session, policy, request)
                if answer.status not in _PASSING or tries_left == 0:
                    return answer
                pause_s = _retry_after_s(answer.headers) or wait_s
            except AddressRefused as error:
                log.warning("tool.address_refused", tool=self.definition.name)
                raise ToolError("The tool's address is not one that may be reached.") from error
            except (aiohttp.ClientError, OSError) as error:
                if isinstance(getattr(error, "os_error", None), AddressRefused):
                    log.warning("tool.address_refused", tool=self.definition.name)
                    raise ToolError("The tool's address is not one that may be reached.") from error
                if tries_left == 0:
                    raise ToolError("The service could not be reached.") from error
                pause_s = wait_s
            if pause_s > _WAIT_AT_MOST_S:
                raise ToolError("The service asks to come back later.")
            tries_left -= 1
            wait_s *= 2
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))


async def _followed(session: aiohttp.ClientSession, policy: AddressPolicy, request: _Request) -> _Answer:
    """The answer at the end of the redirects, each of them checked like the first request."""
    for _ in range(MAX_REDIRECTS + 1):
        answer = await _sent(session, policy, request)
        location = answer.headers.get("Location")
        if answer.status not in _REDIRECTS or location is None:
            return answer
        request = _redirected(request, answer.status, location)
    raise ToolError(f"The service redirects more than {MAX_REDIRECTS} times.")


async def _sent(session: aiohttp.ClientSession, policy: AddressPolicy, request: _Request) -> _Answer:
    policy.check_literal(request.url.host or "", request.url.port or 0)
    async with session.request(
        request.method, request.url, headers=request.headers, data=request.body, allow_redirects=False
    ) as response:
        body = bytearray()
        if response.status not in _REDIRECTS:
            async for piece in response.content.iter_any():
                body += piece
                if len(body) > MAX_ANSWER_BYTES:
                    raise ToolError(f"The service's answer is larger than {MAX_ANSWER_BYTES // 1024} KB.")
        return _Answer(response.status, response.headers, bytes(body))


def _redirected(request: _Request, status: int, location: str) -> _Request:
    """The next request. Credentials stay with the origin that they are for, and so does what is to be written."""
    try:
        url = request.url.join(URL(location))
    except ValueError as error:
        raise ToolError("The service redirects to something that is not an address.") from error
    if url.scheme not in ("http", "https") or not url.host or (request.url.scheme, url.scheme) == ("https", "http"):
        raise ToolError("The service redirects to an address that can't be followed.")
    turns_to_get = status == 303 or (status in (301, 302) and request.method == "POST")
    method = "GET" if turns_to_get and request.method != "HEAD" else request.method
    following = _Request(method, url, request.headers, request.body if method == request.method else None)
    if following.origin != request.origin:
        if method not in _SAFE:
            raise ToolError("The service redirects a write to another server.")
        following = msgspec.structs.replace(following, headers={"Accept": "application/json"})
    return following


def _parsed(answer: _Answer, secrets: list[str]) -> Any:
    """The answer's JSON without our secrets; raises ToolError with what the service said when it refused."""
    content_type = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    is_json = content_type == "application/json" or content_type.endswith("+json")
    data = None
    if answer.body.strip() and is_json:
        try:
            data = _without(json.loads(answer.body), secrets)
        except ValueError:
            is_json = False
    if answer.status >= 400:
        raise ToolError(f"The service answered {answer.status}{_reason(data)}.")
    if answer.status >= 300:
        raise ToolError(f"The service answered {answer.status}, which is not an answer to this request.")
    if answer.body.strip() and not is_json:
        raise ToolError(f"The service answered with {content_type or 'something'} that is not JSON.")
    return data


def _reason(data: Any) -> str:
    """What a refusing service says in the usual fields, cut short; it is data for the model like any result."""
    if not isinstance(data, dict):
        return ""
    for key in ("detail", "message", "error", "title"):
        said = data.get(key)
        if isinstance(said, dict):
            said = said.get("message")
        if isinstance(said, str) and said.strip():
            return f": {said.strip()[:_SAID_BY_SERVICE_CHARACTERS]}".rstrip(".")
    return ""


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    value = headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None


def _names(part: Any) -> list[str]:
    """The placeholders in a query, header or body template."""
    if isinstance(part, str):
        return _PLACEHOLDER.findall(_SECRET.sub("", part))
    if isinstance(part, Mapping):
        return [name for each in part.values() for name in _names(each)]
    if isinstance(part, list | tuple):
        return [name for each in part for name in _names(each)]
    return []


def _filled_url(template: str, arguments: JSONObject) -> URL:
    """Each value percent-encoded as a whole, so that it stays the part of the address that it was put into."""
    path_end = template.find("?") if "?" in template else len(template)

    def value(found: re.Match[str]) -> str:
        given = arguments.get(found[1])
        text = quote(_text(given), safe="") if given is not None else ""
        if found.start() < path_end and not text:
            raise ToolError(f"`{found[1]}` must not be empty.")
        return text

    url = _PLACEHOLDER.sub(value, template)
    path = urlsplit(url).path
    if any(segment in (".", "..") for segment in path.split("/")) and "{" in template:
        raise ToolError("A value would lead to another address.")
    return URL(url, encoded=True)


def _filled(part: Any, arguments: JSONObject, secrets: Mapping[str, str]) -> Any:
    """A query, header or body template with its values; members whose argument was not given are left out."""
    if isinstance(part, str):
        if (alone := _PLACEHOLDER.fullmatch(part)) is not None:
            return arguments.get(alone[1])
        return _filled_text(part, arguments, secrets)
    if isinstance(part, Mapping):
        filled = {name: _filled(each, arguments, secrets) for name, each in part.items()}
        return {name: value for name, value in filled.items() if value is not None or part[name] is None}
    if isinstance(part, list):
        return [value for each in part if (value := _filled(each, arguments, secrets)) is not None]
    return part


def _filled_text(template: str, arguments: JSONObject, secrets: Mapping[str, str]) -> str:
    """In one pass over the template, so that a value which looks like a placeholder is never filled itself."""
    pattern = re.compile(f"{_SECRET.pattern}|{_PLACEHOLDER.pattern}")
    return pattern.sub(
        lambda found: secrets[found[1]] if found[1] is not None else _text(arguments.get(found[2], "")), template
    )


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps_text(value)


def _query_texts(value: Any) -> list[str]:
    if value is None:
        return []
    return [_text(each) for each in value] if isinstance(value, list) else [_text(value)]


def _without(data: Any, secrets: list[str]) -> Any:
    """The answer without our own credentials, should the service repeat them (as echoing ones do)."""
    if not secrets:
        return data
    if isinstance(data, str):
        for secret in secrets:
            data = data.replace(secret, _HIDDEN)
        return data
    if isinstance(data, dict):
        return {_without(key, secrets): _without(value, secrets) for key, value in data.items()}
    if isinstance(data, list):
        return [_without(value, secrets) for value in data]
    return data


def _mapped(data: Any, response: str | dict[str, str] | None) -> Any:
    if response is None:
        return data
    if isinstance(response, str):
        return _at(data, response.split("."))
    return {name: _at(data, path.split(".")) for name, path in response.items()}


def _at(data: Any, path: list[str]) -> Any:
    """What stands at a dotted path: names, list positions, `*` for each of a list. None where nothing does."""
    for place, part in enumerate(path):
        if part == "*":
            return [_at(each, path[place + 1 :]) for each in data] if isinstance(data, list) else []
        if isinstance(data, list) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        elif isinstance(data, dict):
            data = data.get(part)
        else:
            return None
    return data
