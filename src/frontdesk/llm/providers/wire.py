"""HTTP to a vendor: JSON out, JSON or events in, and every way to fail as one of our errors.

A vendor's own words never leave this module: they may quote the prompt or the key. What is passed on is the status
and the vendor's error code, when that looks like one.
"""

import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any, TypeVar  # a request's body is of the vendor's shape

import aiohttp
import msgspec

from frontdesk.llm.providers.sse import EventTooLarge, SSEReader
from frontdesk.llm.types import (
    ContentFiltered,
    ContextTooLong,
    ProviderAuthFailed,
    ProviderBadRequest,
    ProviderConnectionLost,
    ProviderFailure,
    ProviderNonsense,
    ProviderOverloaded,
    ProviderRateLimited,
    ProviderTimeout,
)

T = TypeVar("T")

CONNECT_S = 5.0
MAX_BODY_BYTES = 8 * 1024 * 1024
# A stream says much about each token; what is kept of it is bounded by this too.
MAX_STREAM_BYTES = 64 * 1024 * 1024
MAX_ERROR_BYTES = 64 * 1024

# A vendor that asks for more says nothing of use.
_LONGEST_WAIT_S = 86_400.0

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{1,47}")
# The vendors and the compatible servers say "too long" in many words and few codes.
_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|prompt is too long|maximum context length"
    r"|context (?:window|length|size)"
    r"|input token count .{0,40}exceeds|exceeds? the maximum number of tokens|too many tokens",
    re.IGNORECASE,
)
_FILTERED = re.compile(r"content_filter|content_policy|ResponsibleAIPolicy|safety_violation", re.IGNORECASE)
_NO_CREDIT = re.compile(r"insufficient_quota|billing_error|credit balance|billing_hard_limit", re.IGNORECASE)
_BAD_KEY = re.compile(r"API_KEY_INVALID|invalid_api_key|API key not valid", re.IGNORECASE)


class VendorError(msgspec.Struct):
    """An error as a vendor says it: a few codes (the first is the best), words for our patterns only, a delay."""

    codes: tuple[str, ...] = ()
    words: str = ""
    retry_after: float | None = None


ReadError = Callable[[bytes], VendorError]


class Wire:
    """One vendor's address: its base URL, headers, and how it words errors."""

    def __init__(
        self,
        provider: str,
        http: aiohttp.ClientSession,
        base_url: str,
        headers: Mapping[str, str],
        read_error: ReadError,
        idle_s: float,
    ) -> None:
        self.provider = provider
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._headers = {"Content-Type": "application/json", **headers}
        self._read_error = read_error
        # Only a stream must keep talking; a plain answer is silent until it is whole, and bounded by its caller.
        self._plain = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S)
        self._streamed = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=idle_s)

    async def get_json(self, path: str, decoder: "msgspec.json.Decoder[T]") -> T:
        return await self._json("GET", path, None, decoder)

    async def post_json(self, path: str, body: Mapping[str, Any], decoder: "msgspec.json.Decoder[T]") -> T:
        return await self._json("POST", path, self._encode(body), decoder)

    async def post_sse(
        self, path: str, body: Mapping[str, Any], decoder: "msgspec.json.Decoder[T]", *, end: bytes | None = None
    ) -> AsyncGenerator[list[T], None]:
        """The events' data, decoded, those of one read together: where readers fall behind, a read is many events and
        costs as one. Until the body ends or the data is `end`. Was that all? The caller knows."""
        async with aclosing(self._reads(path, self._encode(body))) as reads:
            async for events in reads:
                if end is not None and end in events:
                    yield [self._decode(data, decoder) for data in events[: events.index(end)]]
                    return
                yield [self._decode(data, decoder) for data in events]

    def failure(self, error: VendorError, status: int | None = None) -> ProviderFailure:
        """The one mapping of statuses and codes, of whole answers and of errors within a stream."""
        code = next((code for code in error.codes if _CODE.fullmatch(code)), "")
        said = " ".join((*error.codes, error.words))
        kind = _kind(status, code.lower(), said)
        waiting = None if error.retry_after is None else min(error.retry_after, _LONGEST_WAIT_S)
        return kind(_detail(self.provider, status, code, kind), provider=self.provider, retry_after=waiting)

    def nonsense(self, what: str) -> ProviderNonsense:
        return ProviderNonsense(f"{self.provider} sent {what}.", provider=self.provider)

    def cut(self) -> ProviderConnectionLost:
        return ProviderConnectionLost(f"{self.provider} ended its answer before it was whole.", provider=self.provider)

    async def _json(self, method: str, path: str, body: bytes | None, decoder: "msgspec.json.Decoder[T]") -> T:
        try:
            async with self._request(method, path, body, self._plain) as response:
                await self._check_status(response)
                return self._decode(await self._read(response), decoder)
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise self._lost(error) from error

    async def _reads(self, path: str, body: bytes) -> AsyncGenerator[list[bytes], None]:
        reader = SSEReader()
        try:
            async with self._request("POST", path, body, self._streamed) as response:
                await self._check_status(response)
                if response.content_type != "text/event-stream":
                    raise self.nonsense("something else than a stream of events")
                size = 0
                async for chunk in response.content.iter_any():
                    size += len(chunk)
                    if size > MAX_STREAM_BYTES:
                        raise self.nonsense("a stream without end")
                    if events := reader.feed(chunk):
                        yield events
        except EventTooLarge as error:
            raise self.nonsense("an event that is too large") from error
        except (aiohttp.ClientError, OSError) as error:
            raise self._lost(error) from error

    def _request(self, method: str, path: str, body: bytes | None, timeout: aiohttp.ClientTimeout) -> Any:
        # A redirect is never followed: the key would go with it.
        return self._http.request(
            method,
            self._base_url + path,
            data=body,
            headers=self._headers,
            timeout=timeout,
            allow_redirects=False,
        )

    async def _check_status(self, response: aiohttp.ClientResponse) -> None:
        if response.status == 200:
            return
        error = self._read_error(await self._read(response, MAX_ERROR_BYTES))
        waiting = _retry_after(response.headers)
        if waiting is not None:
            error = VendorError(error.codes, error.words, waiting)
        raise self.failure(error, response.status)

    async def _read(self, response: aiohttp.ClientResponse, most: int = MAX_BODY_BYTES) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while piece := await response.content.readany():
            size += len(piece)
            if size > most:
                raise self.nonsense("an answer that is too large")
            pieces.append(piece)
        return b"".join(pieces)

    def _encode(self, body: Mapping[str, Any]) -> bytes:
        try:
            return msgspec.json.encode(body)
        except ValueError as error:  # a lone surrogate
            raise ProviderBadRequest("The request holds text that is not Unicode.", provider=self.provider) from error

    def _decode(self, data: bytes, decoder: "msgspec.json.Decoder[T]") -> T:
        try:
            return decoder.decode(data)
        except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, not of the documented shape
            raise self.nonsense("an answer that is not of its documented format") from error

    def _lost(self, error: Exception) -> ProviderFailure:
        if isinstance(error, TimeoutError):
            return ProviderTimeout(f"{self.provider} did not answer in time.", provider=self.provider)
        return ProviderConnectionLost(f"The connection to {self.provider} failed or was lost.", provider=self.provider)


def _kind(status: int | None, code: str, said: str) -> type[ProviderFailure]:
    """What the codes say comes before what the status says: vendors put many things under 400 and 429."""
    if _TOO_LONG.search(said) and status in (None, 400, 413, 422):
        return ContextTooLong
    if _FILTERED.search(said) and status in (None, 400, 403, 422):
        return ContentFiltered
    if _NO_CREDIT.search(said) or _BAD_KEY.search(said):
        return ProviderAuthFailed
    if status is None:
        return _BY_CODE.get(code, ProviderOverloaded)
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500:
        return ProviderOverloaded
    if 300 <= status < 400 or status < 300:
        return ProviderNonsense
    return ProviderBadRequest


_BY_STATUS: dict[int, type[ProviderFailure]] = {
    401: ProviderAuthFailed,
    402: ProviderAuthFailed,
    403: ProviderAuthFailed,
    408: ProviderTimeout,
    413: ContextTooLong,
    425: ProviderOverloaded,
    429: ProviderRateLimited,
    504: ProviderTimeout,
}

# Errors within a stream have no status of their own.
_BY_CODE: dict[str, type[ProviderFailure]] = {
    "authentication_error": ProviderAuthFailed,
    "permission_error": ProviderAuthFailed,
    "permission_denied": ProviderAuthFailed,
    "unauthenticated": ProviderAuthFailed,
    "rate_limit_error": ProviderRateLimited,
    "rate_limit_exceeded": ProviderRateLimited,
    "resource_exhausted": ProviderRateLimited,
    "invalid_request_error": ProviderBadRequest,
    "invalid_argument": ProviderBadRequest,
    "failed_precondition": ProviderBadRequest,
    "not_found_error": ProviderBadRequest,
    "not_found": ProviderBadRequest,
    "request_too_large": ContextTooLong,
    "timeout_error": ProviderTimeout,
    "deadline_exceeded": ProviderTimeout,
}

_SAID = {
    ProviderAuthFailed: "refused the key or its permissions",
    ProviderRateLimited: "limits the rate of calls",
    ProviderOverloaded: "is overloaded or failed",
    ProviderTimeout: "did not answer in time",
    ProviderNonsense: "answered in a way that is not its API's",
    ProviderBadRequest: "refused the request",
    ContextTooLong: "says that the prompt is too long",
    ContentFiltered: "filtered the content",
}


def _detail(provider: str, status: int | None, code: str, kind: type[ProviderFailure]) -> str:
    marks = " ".join(mark for mark in (str(status or ""), code) if mark)
    return f"{provider} {_SAID[kind]} ({marks})." if marks else f"{provider} {_SAID[kind]}."


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait: OpenAI's milliseconds, else seconds or an HTTP date. None when not said, or not sane."""
    in_ms = _number(headers.get("retry-after-ms"))
    if in_ms is not None:
        return in_ms / 1000
    said = headers.get("retry-after")
    if said is None:
        return None
    seconds = _number(said)
    if seconds is not None:
        return seconds
    try:
        moment = parsedate_to_datetime(said)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # no date, or with a time zone beyond all figures
        return None
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())  # against the vendor's calendar, not our clock


def _number(said: str | None) -> float | None:
    try:
        number = float(said or "")
    except ValueError:
        return None
    return number if isfinite(number) and number >= 0 else None
