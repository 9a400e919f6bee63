"""A small mail server (RFC 5321): it takes what it is sent, and fails as it is told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage

from frontdesk.identity.mail import SmtpServer


class Mailbox:
    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.arrived = asyncio.Event()
        self.attempts = 0
        self.refusals = 0  # how many of the next connections are told to come back
        self.port = 0

    @property
    def server(self) -> SmtpServer:
        return SmtpServer("127.0.0.1", self.port, "none", "desk@example.org", None, None)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Mailbox"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.attempts += 1
        if self.refusals:
            self.refusals -= 1
            writer.write(b"421 later\r\n")
            await writer.drain()
            writer.close()
            return
        writer.write(b"220 ready\r\n")
        while line := await reader.readline():
            match line.split()[0].upper():
                case b"DATA":
                    writer.write(b"354 go on\r\n")
                    body = await reader.readuntil(b"\r\n.\r\n")
                    self.mails.append(message_from_bytes(body[:-3], policy=policy.default))  # type: ignore[arg-type]
                    self.arrived.set()
                    writer.write(b"250 taken\r\n")
                case b"QUIT":
                    writer.write(b"221 bye\r\n")
                    break
                case _:
                    writer.write(b"250 ok\r\n")
            await writer.drain()
        writer.close()
