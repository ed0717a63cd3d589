"""Providers of SMS as they are documented: real HTTPS servers, faults included."""

from __future__ import annotations

import asyncio
import re
import ssl
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aiohttp import web

from tests.servers.certificates import Certificates
from tests.servers.web import on_loopback, trusting

SID, TOKEN, KEY = "AC" + "0a" * 16, "twilio-token", "xkeysib-1"
_E164 = re.compile(r"^\+[1-9][0-9]{6,14}$")


@dataclass
class Double:
    """What arrived, and the faults to show."""

    url: str
    tls: ssl.SSLContext
    messages: list[dict[str, Any]] = field(default_factory=list)
    errors: dict[str, tuple[int, Any]] = field(default_factory=dict)  # by number
    headers: dict[str, str] = field(default_factory=dict)
    is_silent: bool = False


async def twilio_messages(double: Double, request: web.Request) -> web.StreamResponse:
    """https://www.twilio.com/docs/messaging/api/message-resource"""
    kind, _, credentials = request.headers.get("authorization", "").partition(" ")
    if kind != "Basic" or b64decode(credentials).decode() != f"{SID}:{TOKEN}":
        return _refused(double, 401, {"code": 20003, "message": "Authenticate", "status": 401})
    form = {name: str(value) for name, value in (await request.post()).items()}
    if (fault := await _taken(double, form, form["To"])) is not None:
        return fault
    if not _E164.match(form["To"]):
        return _refused(double, 400, {"code": 21211, "message": f"{form['To']} is invalid"})
    if ("From" in form) == ("MessagingServiceSid" in form):
        return _refused(double, 400, {"code": 21603, "message": "A 'From' is required"})
    if not 1 <= int(form["ValidityPeriod"]) <= 36_000 or len(form["Body"]) > 1_600:
        return _refused(double, 400, {"code": 21617, "message": "invalid"})
    sid = f"SM{len(double.messages):032x}"
    return web.json_response({"sid": sid, "status": "queued", "num_segments": "0"}, status=201)


async def brevo_send(double: Double, request: web.Request) -> web.StreamResponse:
    """https://developers.brevo.com/docs/transactional-sms-endpoints"""
    if request.headers.get("api-key") != KEY:
        return _refused(double, 401, {"code": "unauthorized", "message": "Key not found"})
    body = await request.json()
    if (fault := await _taken(double, body, f"+{body['recipient']}")) is not None:
        return fault
    if not re.fullmatch(r"\+?[0-9]{6,15}", body["recipient"]):
        return _refused(double, 400, {"code": "invalid_parameter", "message": "Invalid number"})
    if not re.fullmatch(r"[A-Za-z0-9 ]{1,11}|[0-9]{1,15}", body["sender"]):
        return _refused(double, 400, {"code": "invalid_parameter", "message": "Invalid sender"})
    if body["type"] not in ("marketing", "transactional"):
        return _refused(double, 400, {"code": "invalid_parameter", "message": "Invalid type"})
    return web.json_response({"messageId": 1_511_882_900_176_220}, status=201)


async def _taken(double: Double, message: dict[str, Any], number: str) -> web.Response | None:
    double.messages.append(message)
    if double.is_silent:
        await asyncio.Event().wait()
    if number in double.errors:
        return _refused(double, *double.errors[number])
    return None


def _refused(double: Double, status: int, body: Any) -> web.Response:
    if isinstance(body, str):
        return web.Response(status=status, text=body, headers=double.headers)
    return web.json_response(body, status=status, headers=double.headers)


Handler = Callable[[Double, web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def provider(
    files: Certificates | None, path: str, handler: Handler
) -> AsyncIterator[Double]:
    """A provider on a port of loopback."""
    double = Double("", trusting(files))
    app = web.Application()
    app.router.add_post(path, partial(handler, double))
    async with on_loopback(app, files) as url:
        double.url = url
        yield double
