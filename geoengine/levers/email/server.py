"""Connections to the mail server, each used again for the next message."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

from aiosmtplib import (
    SMTP,
    SMTPConnectError,
    SMTPException,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from geoengine.core.model import EmailSpec
from geoengine.levers.base import Receipt
from geoengine.levers.email.answers import receipt_of

# Servers cut off who sends too much on one connection; Postfix's own client stops at 100, too.
MESSAGES_EACH: Final = 100


class Server:
    """One mail server and its idle connections."""

    def __init__(
        self,
        spec: EmailSpec,
        password: str,
        *,
        timeout_s: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._spec = spec
        self._password = password
        self._timeout_s = timeout_s
        self._tls = tls or ssl.create_default_context()
        self._idle: list[_Line] = []
        self._free = asyncio.Semaphore(spec.connections)

    async def deliver(self, sender: str, recipient: str, message: bytes) -> Receipt:
        """Hand one message over. Past the time, what it means depends on how far it came."""
        step = _Step()
        try:
            async with asyncio.timeout(self._timeout_s), self._free:
                return await self._deliver(sender, recipient, message, step)
        except (TimeoutError, SMTPTimeoutError):
            return step.lost("timeout")
        except (SMTPConnectError, ssl.SSLError):
            return step.lost("unreachable")
        except SMTPResponseException as error:
            return receipt_of(error.code, error.message)
        except (SMTPException, OSError):
            return step.lost("connection_lost")

    async def close(self) -> None:
        """Say goodbye to the server."""
        idle, self._idle = self._idle, []
        await asyncio.gather(*(line.quit() for line in idle))

    async def _deliver(self, sender: str, recipient: str, message: bytes, step: _Step) -> Receipt:
        line = await self._begun(sender)
        try:
            await line.smtp.rcpt(recipient)
            step.is_handing_over = True
            await line.smtp.data(message)
        except SMTPResponseException:
            await self._rest(line)
            raise
        except BaseException:
            line.smtp.close()  # who knows where it stands
            raise
        line.message_count += 1
        await self._rest(line)
        return Receipt("delivered")

    async def _begun(self, sender: str) -> _Line:
        """A connection on which the server took the sender: an idle one, if it still stands."""
        while self._idle:
            line = self._idle.pop()
            try:
                await line.smtp.mail(sender)
                return line
            except (SMTPServerDisconnected, SMTPTimeoutError):
                line.smtp.close()
            except SMTPResponseException as error:
                line.smtp.close()
                if error.code != 421:  # that it is closing says nothing of the message
                    raise
        line = _Line(self._smtp())
        try:
            await line.smtp.connect()
            await line.smtp.mail(sender)
        except BaseException:
            line.smtp.close()
            raise
        return line

    async def _rest(self, line: _Line) -> None:
        """Keep a connection for the next message, unless it has done enough."""
        if line.message_count >= MESSAGES_EACH or not line.smtp.is_connected:
            await line.quit()
            return
        try:
            await line.smtp.rset()
        except SMTPException:
            line.smtp.close()
            return
        self._idle.append(line)

    def _smtp(self) -> SMTP:
        spec = self._spec
        return SMTP(
            hostname=spec.server,
            port=spec.port,
            username=spec.user,
            password=self._password if spec.user else None,
            timeout=self._timeout_s,
            use_tls=spec.encryption == "tls",
            start_tls=spec.encryption == "starttls",
            tls_context=None if spec.encryption == "none" else self._tls,
        )


class _Line:
    """A connection, and how much it has done."""

    def __init__(self, smtp: SMTP) -> None:
        self.smtp = smtp
        self.message_count = 0

    async def quit(self) -> None:
        """Say goodbye; a server that does not answer is left without."""
        try:
            await self.smtp.quit(timeout=1.0)
        except SMTPException:
            self.smtp.close()


class _Step:
    """How far a message came."""

    def __init__(self) -> None:
        self.is_handing_over = False

    def lost(self, reason: str) -> Receipt:
        """The receipt where no answer came."""
        if self.is_handing_over:
            return Receipt("ambiguous", reason)
        return Receipt("retry", reason, has_left=False)
