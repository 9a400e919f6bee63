"""Mail by SMTP, one after the other, away from the requests that ask for it."""

import asyncio
import smtplib
import ssl
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Literal

import msgspec
import structlog

from frontdesk.core.errors import DatabaseUnavailable, Unavailable
from frontdesk.identity.metrics import IdentityMetrics

WAITING = 200
TIMEOUT_S = 20.0
TRIES = 4
PAUSE_S = 5.0  # before the second try; doubled with each

log = structlog.get_logger()


class SmtpServer(msgspec.Struct, frozen=True):
    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    sender: str
    user: str | None
    password: str | None


class Letter(msgspec.Struct, frozen=True):
    to: str
    subject: str
    text: str


# Written when its turn has come; None: there is nobody to write to.
Write = Callable[[], Awaitable[Letter | None]]


class Mail:
    """A server that stops or dies forgets what waits: whoever waits for a link asks again."""

    def __init__(self, server: SmtpServer | None, metrics: IdentityMetrics, pause_s: float = PAUSE_S) -> None:
        self._server = server
        self._metrics = metrics
        self._pause_s = pause_s
        self._waiting: asyncio.Queue[Write] = asyncio.Queue(WAITING)

    @property
    def is_configured(self) -> bool:
        return self._server is not None

    def post(self, write: Write) -> None:
        """Never waits. Raises Unavailable."""
        try:
            self._waiting.put_nowait(write)
        except asyncio.QueueFull:
            self._metrics.mails.labels("dropped").inc()
            raise Unavailable("Too many mails wait to be sent. Try again later.", retry_after=60) from None

    async def run(self) -> None:
        """Sends what is posted, until cancelled."""
        while True:
            write = await self._waiting.get()
            try:
                letter = await write()
            except DatabaseUnavailable:
                self._metrics.mails.labels("failed").inc()
                log.warning("mail.failed", error="DatabaseUnavailable")
                continue
            if letter is not None and self._server is not None:
                try:
                    await self._send(self._server, letter)
                except (
                    ValueError,
                    LookupError,
                ) as error:  # of the e-mail library: one that can't be written holds none up
                    self._metrics.mails.labels("failed").inc()
                    log.error("mail.failed", error=type(error).__name__)

    async def _send(self, server: SmtpServer, letter: Letter) -> None:
        for attempt in range(1, TRIES + 1):
            try:
                await asyncio.to_thread(_send, server, letter)
            except (OSError, smtplib.SMTPException) as error:
                is_final = attempt == TRIES or isinstance(error, smtplib.SMTPRecipientsRefused)
                # The server's words may hold the recipient's address.
                log.warning("mail.failed", error=type(error).__name__, attempt=attempt, is_final=is_final)
                if is_final:
                    self._metrics.mails.labels("failed").inc()
                    return
                await asyncio.sleep(self._pause_s * 2 ** (attempt - 1))
            else:
                self._metrics.mails.labels("sent").inc()
                return


def _send(server: SmtpServer, letter: Letter) -> None:
    """Raises OSError, SMTPException."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = server.sender, letter.to, " ".join(letter.subject.split())
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=server.sender.rpartition("@")[2] or None)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies
    message.set_content(letter.text)
    tls = ssl.create_default_context()
    if server.security == "tls":
        connection: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_S, context=tls)
    else:
        connection = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S)
    with connection:
        if server.security == "starttls":
            connection.starttls(context=tls)
        if server.user is not None:
            connection.login(server.user, server.password or "")
        connection.send_message(message)
