"""Google as it is documented: tokens against signatures, and FCM HTTP v1, over TLS."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from geoengine.levers.google import Account
from tests.servers.certificates import Certificates
from tests.servers.web import on_loopback, trusting

KEY = rsa.generate_private_key(65537, 2048)
EMAIL = "push@shop.iam.gserviceaccount.example"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
# https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages
FIELDS = {
    "token", "notification", "data", "android", "apns", "webpush", "fcmOptions", "topic", "name",
}  # fmt: skip
RESERVED = ("from", "message_type", "collapse_key")


@dataclass
class Google:
    """What arrived, what is known of tokens, and the faults to show."""

    url: str
    tls: ssl.SSLContext
    messages: list[dict[str, Any]] = field(default_factory=list)
    assertions: list[dict[str, Any]] = field(default_factory=list)
    errors: dict[str, tuple[int, dict[str, Any] | str]] = field(default_factory=dict)  # by token
    headers: dict[str, str] = field(default_factory=dict)
    good: set[str] = field(default_factory=set)  # access tokens
    silent: asyncio.Event | None = None  # set: take the message, never answer
    token_fault: tuple[int, str] | None = None

    @property
    def account(self) -> Account:
        """The service account of the project."""
        return Account(EMAIL, pem(), "shop", "key-1", f"{self.url}/token")

    @property
    def file(self) -> str:
        """The account as Google hands it out."""
        return json.dumps(
            {
                "type": "service_account",
                "project_id": "shop",
                "private_key_id": "key-1",
                "private_key": pem(),
                "client_email": EMAIL,
                "token_uri": f"{self.url}/token",
            }
        )


def pem() -> str:
    """The account's private key."""
    return KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def fcm_error(status: int, word: str, *details: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """An error in the shape all of Google's services use."""
    error = {"code": status, "message": "as documented", "status": word, "details": list(details)}
    return status, {"error": error}


def fcm(code: str) -> dict[str, str]:
    """FCM's own detail."""
    return {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}


def quota(subject: str, description: str) -> dict[str, Any]:
    """The detail that says which quota is exceeded."""
    return {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{"subject": subject, "description": description}],
    }


def violations(*fields: str) -> dict[str, Any]:
    """The detail that says which fields are wrong."""
    return {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": name, "description": "invalid"} for name in fields],
    }


@asynccontextmanager
async def google(files: Certificates | None) -> AsyncIterator[Google]:
    """Both services on one port of loopback."""
    double = Google("", trusting(files))
    app = web.Application()
    app.router.add_post("/token", partial(_token, double))
    app.router.add_post("/v1/projects/shop/messages:send", partial(_send, double))
    async with on_loopback(app, files) as url:
        double.url = url
        yield double


async def _token(double: Google, request: web.Request) -> web.Response:
    if double.token_fault is not None:
        status, body = double.token_fault
        return web.Response(status=status, text=body)
    form = await request.post()
    if form["grant_type"] != "urn:ietf:params:oauth:grant-type:jwt-bearer":
        return web.json_response({"error": "unsupported_grant_type"}, status=400)
    try:
        claims = jwt.decode(
            str(form["assertion"]),
            KEY.public_key(),
            ["RS256"],
            audience=f"{double.url}/token",
            options={"verify_exp": False, "verify_iat": False},  # the clock is the test's
        )
    except jwt.PyJWTError:
        return web.json_response({"error": "invalid_grant"}, status=400)
    is_right = claims["iss"] == EMAIL and claims["scope"] == SCOPE
    if not is_right or claims["exp"] - claims["iat"] > 3_600:
        return web.json_response({"error": "invalid_grant"}, status=400)
    double.assertions.append(claims)
    access = f"ya29.{len(double.assertions)}"
    double.good.add(access)
    return web.json_response({"access_token": access, "expires_in": 3_599, "token_type": "Bearer"})


async def _send(double: Google, request: web.Request) -> web.Response:
    if request.headers.get("authorization", "").removeprefix("Bearer ") not in double.good:
        return _answer(double, fcm_error(401, "UNAUTHENTICATED"))
    message = (await request.json())["message"]
    double.messages.append(message)
    if double.silent is not None:
        double.silent.set()
        await asyncio.Event().wait()
    if faults := _faults(message):
        return _answer(double, fcm_error(400, "INVALID_ARGUMENT", violations(*faults)))
    if (error := double.errors.get(message["token"])) is not None:
        return _answer(double, error)
    return web.json_response({"name": f"projects/shop/messages/{len(double.messages)}"})


def _answer(double: Google, error: tuple[int, dict[str, Any] | str]) -> web.Response:
    status, body = error
    if isinstance(body, str):  # some of Google's 502 are pages
        return web.Response(status=status, text=body, headers=double.headers)
    return web.json_response(body, status=status, headers=double.headers)


def _faults(message: dict[str, Any]) -> list[str]:
    """Fields that FCM would not take."""
    wrong = [f"message.{name}" for name in message.keys() - FIELDS]
    for name, value in message.get("data", {}).items():
        if not isinstance(value, str) or name.startswith(("gcm", "google")) or name in RESERVED:
            wrong.append(f"message.data[{name}]")
    if not message["android"]["ttl"].removesuffix("s").isdigit():
        wrong.append("message.android.ttl")
    link = message["webpush"].get("fcmOptions", {}).get("link", "https:")
    return wrong + ([] if link.startswith("https:") else ["message.webpush.fcm_options.link"])
