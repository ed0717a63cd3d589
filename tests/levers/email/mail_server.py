"""A mail server as RFC 5321 has it: STARTTLS, AUTH, and the faults that servers have."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import cast

from tests.servers.certificates import Certificates

USER, PASSWORD = "shop", "smtp-password"


@dataclass
class MailServer:
    """What arrived, and the faults to show."""

    port: int
    tls: ssl.SSLContext  # to trust
    own_tls: ssl.SSLContext
    is_wrapped: bool = False  # TLS from the first byte
    offers_starttls: bool = True
    needs_login: bool = False
    taken: list[tuple[str, str, bytes]] = field(default_factory=list)  # sender, recipient, message
    senders: dict[str, str] = field(default_factory=dict)  # to MAIL FROM of an address: an answer
    recipients: dict[str, str] = field(default_factory=dict)  # to RCPT TO
    to_data: str = ""  # to the message
    silent_at: str = ""  # a word of the client's, or MESSAGE, after which nothing is answered
    cut_at: str = ""  # one at which the line is cut
    cuts_after: int = 0  # messages on a connection; then the line is cut without a word
    hung: asyncio.Event = field(default_factory=asyncio.Event)
    connection_count: int = 0
    open_count: int = 0
    most_at_once: int = 0
    encrypted: list[bool] = field(default_factory=list)  # of each message

    @property
    def messages(self) -> list[EmailMessage]:
        """What was taken, read as mail programs do."""
        return [
            cast(EmailMessage, message_from_bytes(body.replace(b"\r\n", b"\n"), policy=default))
            for _sender, _recipient, body in self.taken
        ]


class _Gone(Exception):
    """The line was cut."""


class _Session:
    """One connection."""

    def __init__(
        self, server: MailServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self._is_encrypted = server.is_wrapped
        self._has_login = False
        self._sender = ""
        self._recipient = ""
        self._message_count = 0

    async def run(self) -> None:
        """Talk until one side has enough."""
        await self._say("220 mail.example ESMTP")
        while line := (await self._reader.readline()).decode().strip():
            word, _, rest = line.partition(" ")
            word = word.upper()
            await self._fault(word)
            if word == "QUIT":
                await self._say("221 2.0.0 Bye")
                return
            await getattr(self, f"_{word.lower()}", self._unknown)(rest)

    async def _fault(self, word: str) -> None:
        if word == self._server.silent_at:
            self._server.hung.set()
            await asyncio.Event().wait()
        if word == self._server.cut_at:
            raise _Gone

    async def _say(self, *lines: str) -> None:
        for line in lines:
            self._writer.write(f"{line}\r\n".encode())
        await self._writer.drain()

    async def _unknown(self, _rest: str) -> None:
        await self._say("502 5.5.2 Not implemented")

    async def _ehlo(self, _rest: str) -> None:
        offers = ["250-mail.example", "250-SIZE 10000000"]
        if self._server.offers_starttls and not self._is_encrypted:
            offers.append("250-STARTTLS")
        if self._is_encrypted:
            offers.append("250-AUTH PLAIN")
        await self._say(*offers, "250 ENHANCEDSTATUSCODES")

    async def _starttls(self, _rest: str) -> None:
        await self._say("220 2.0.0 Go ahead")
        await self._writer.start_tls(self._server.own_tls)
        self._is_encrypted = True

    async def _auth(self, rest: str) -> None:
        _kind, _, credentials = rest.partition(" ")
        _, user, password = b64decode(credentials).decode().split("\0")
        self._has_login = (user, password) == (USER, PASSWORD)
        await self._say("235 2.7.0 ok" if self._has_login else "535 5.7.8 Bad credentials")

    async def _mail(self, rest: str) -> None:
        if self._server.needs_login and not self._has_login:
            await self._say("530 5.7.0 Authentication required")
            return
        self._sender = rest.partition("<")[2].partition(">")[0]
        await self._say(self._server.senders.get(self._sender, "250 2.1.0 ok"))

    async def _rcpt(self, rest: str) -> None:
        self._recipient = rest.partition("<")[2].partition(">")[0]
        await self._say(self._server.recipients.get(self._recipient, "250 2.1.5 ok"))

    async def _data(self, _rest: str) -> None:
        await self._say("354 Go ahead")
        body = await self._reader.readuntil(b"\r\n.\r\n")
        await self._fault("MESSAGE")
        if self._server.to_data:
            await self._say(self._server.to_data)
            return
        unstuffed = (b"\r\n" + body[:-3]).replace(b"\r\n..", b"\r\n.")[2:]
        self._server.taken.append((self._sender, self._recipient, unstuffed))
        self._server.encrypted.append(self._is_encrypted)
        await self._say("250 2.0.0 queued")
        self._message_count += 1
        if self._message_count == self._server.cuts_after:
            raise _Gone

    async def _rset(self, _rest: str) -> None:
        self._sender = self._recipient = ""
        await self._say("250 2.0.0 ok")


@asynccontextmanager
async def mail_server(
    files: Certificates, *, is_wrapped: bool = False
) -> AsyncIterator[MailServer]:
    """A mail server on a port of loopback."""
    own_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    own_tls.load_cert_chain(files.certificate, files.key)
    trust = ssl.create_default_context(cafile=str(files.authority))
    double = MailServer(0, trust, own_tls, is_wrapped=is_wrapped)
    sessions: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        double.connection_count += 1
        double.open_count += 1
        double.most_at_once = max(double.most_at_once, double.open_count)
        task = asyncio.current_task()
        assert task is not None
        sessions.add(task)
        try:
            await _Session(double, reader, writer).run()
        except (_Gone, ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            writer.transport.abort()
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            double.open_count -= 1
            sessions.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=own_tls if is_wrapped else None)
    double.port = server.sockets[0].getsockname()[1]
    try:
        yield double
    finally:
        server.close()
        for task in list(sessions):
            task.cancel()
        await asyncio.gather(*sessions, return_exceptions=True)
        await server.wait_closed()
