"""Connections and what each may cost: time for headers, body and silence, and how many there may be."""

import resource
from collections.abc import Callable
from typing import Any  # uvicorn's own types are not exported

import structlog
from starlette.responses import Response
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from frontdesk.core.errors import FrontdeskError, HeadersTooLarge, RequestLate
from frontdesk.core.settings import ConnectionSettings

log = structlog.get_logger()

# Files that a server needs beside its clients' connections: the database's, providers', tools', its own.
RESERVED_FILES = 256
# Beyond the limit so many more, as a share, are told 503; who comes then is cut off at once.
TOLD = 0.125
TOLD_WITHIN_S = 1.0  # silent ones must not take the places of those that are to be told
# Of a request's headers, beside what came with their beginning. The parser keeps whatever comes.
MOST_HEADERS = 64 * 1024


def allowed(settings: ConnectionSettings, calls: int) -> int:
    """How many connections may be open: the setting, or what the system's limit on open files leaves.

    `calls`: of models, that may be open beside them. Where files are too few for both, each gets half.

    Raises this process's own limit as far as the system lets it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or soft < hard:
        wanted = max(soft, int(settings.most * (1 + TOLD)) + RESERVED_FILES + calls)
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    rest = soft - RESERVED_FILES
    room = int(max((rest - calls) / (1 + TOLD), rest / (2 + TOLD)))
    if room < settings.most:
        log.warning("server.few_files", open_files=soft, connections=max(room, 1))
    return max(1, min(settings.most, room))


class Connection(HttpToolsProtocol):
    """uvicorn's connection, which waits for its client without end, with an end to each kind of waiting."""

    def __init__(
        self,
        *args: Any,
        limits: ConnectionSettings,
        most: int,
        busy: ASGIApp,
        refusal: Callable[[FrontdeskError], Response],
        **named: Any,
    ) -> None:
        """`busy` answers in place of the application where more than `most` are open; `refusal` is the answer to a
        request that does not come to its end."""
        super().__init__(*args, **named)
        self._limits = limits
        self._most = most
        self._busy = busy
        self._refusal = refusal
        self._has_begun = False  # a request, of which not all is there
        self._is_body_due = False
        self._headers_size = 0  # of headers that have not ended, from the second read on
        # Waiting for the client's next bytes, and for it to read ours.
        self._reading: Any = None
        self._writing: Any = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        count = len(self.connections)
        if count > self._most * (1 + TOLD):
            transport.abort()
            return
        if count > self._most:
            self.app = _busy_but_healthy(self.app, self._busy)
            self._expect(min(TOLD_WITHIN_S, self._limits.headers_s))
        else:
            self._expect(self._limits.headers_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect(None)
        self._stop_writing_timer()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self.scope
        super().data_received(data)
        if self._has_begun and not self._is_body_due and self.scope is before:
            self._headers_size += len(data)
            if self._headers_size > MOST_HEADERS:
                self._refuse(HeadersTooLarge(f"The headers are larger than {MOST_HEADERS // 1024} KiB."))
                return
        is_idle = self.cycle is None or (self.cycle.response_complete and not self._is_body_due)
        if is_idle and self._reading is None:
            self._expect(self._limits.headers_s)  # a request has begun, or something that is none

    def on_message_begin(self) -> None:
        self._has_begun = True
        self._headers_size = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_body_due:  # a trailer is no header, and comes when all who look at those have done so
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._is_body_due = True
        self._expect(self._limits.body_s)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._has_begun = self._is_body_due = False
        self._expect(None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._watch_writing()  # what is written may still wait to be read

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._watch_writing()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_writing()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop_writing_timer()

    def _expect(self, within_s: float | None) -> None:
        """Whatever is waited for of the client has to be there by then; None: nothing is."""
        if self._reading is not None:
            self._reading.cancel()
        self._reading = None if within_s is None else self.loop.call_later(within_s, self._late, within_s)

    def _late(self, within_s: float) -> None:
        self._reading = None
        is_answering = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if self.flow.read_paused:  # it is us who don't read: an earlier request is still being answered
            self._expect(within_s)
        elif self._has_begun and not is_answering:
            self._refuse(RequestLate("The request did not come to its end in time."))
        else:
            self.transport.abort()

    def _refuse(self, error: FrontdeskError) -> None:
        """Answers in place of the application, which has no whole request to answer."""
        response = self._refusal(error)
        head = b"".join(b"%b: %b\r\n" % field for field in [(b"connection", b"close"), *response.raw_headers])
        self.transport.write(STATUS_LINE[response.status_code] + head + b"\r\n" + bytes(response.body))
        self.transport.close()
        self._watch_writing()

    def _watch_writing(self) -> None:
        if self._writing is None:
            self._look_again(self.transport.get_write_buffer_size())

    def _look_again(self, left: int) -> None:
        self._writing = self.loop.call_later(self._limits.stalled_s, self._look_at_writing, left)

    def _look_at_writing(self, before: int) -> None:
        """However slowly a client reads: it is cut off only when it reads nothing."""
        left = self.transport.get_write_buffer_size()
        if left >= before and left > 0:
            self.transport.abort()
        else:
            self._look_again(left)

    def _stop_writing_timer(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None


def _busy_but_healthy(app: Any, busy: ASGIApp) -> Callable[..., Any]:
    """Who asks whether the process lives must not be told that it does not, because it has much to do."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await (app if scope["path"].startswith(("/health", "/metrics")) else busy)(scope, receive, send)

    return answer
