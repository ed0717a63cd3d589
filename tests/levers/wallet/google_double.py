"""Google Wallet as it is documented: tokens, objects that were saved, and their messages."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aiohttp import web

from tests.levers.push.google_double import EMAIL, pem
from tests.servers.web import on_loopback


@dataclass
class WalletDouble:
    """What arrived, and the objects that somebody has saved."""

    url: str = ""
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    messages: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    token_count: int = 0
    fault: int = 0  # a status to answer with
    classes: dict[str, dict[str, Any]] = field(default_factory=dict)  # made in the console

    @property
    def file(self) -> str:
        """The account as Google hands it out."""
        account = {"client_email": EMAIL, "private_key": pem(), "token_uri": f"{self.url}/token"}
        return json.dumps(account)


@asynccontextmanager
async def google_wallet() -> AsyncIterator[WalletDouble]:
    """The service on a port of loopback."""
    double = WalletDouble()
    app = web.Application()
    app.router.add_post("/token", partial(_token, double))
    app.router.add_patch("/walletobjects/v1/loyaltyObject/{id}", partial(_patch, double))
    app.router.add_patch("/walletobjects/v1/loyaltyClass/{id}", partial(_patch_class, double))
    app.router.add_post("/walletobjects/v1/loyaltyObject/{id}/addMessage", partial(_add, double))
    async with on_loopback(app) as url:
        double.url = url
        yield double


async def _token(double: WalletDouble, _request: web.Request) -> web.Response:
    double.token_count += 1
    return web.json_response({"access_token": f"t{double.token_count}", "expires_in": 3600})


def _refusal(double: WalletDouble, request: web.Request) -> web.Response | None:
    if request.headers.get("Authorization") != f"Bearer t{double.token_count}":
        return web.Response(status=401)
    if double.fault:
        return web.Response(status=double.fault)
    return None if request.match_info["id"] in double.objects else web.Response(status=404)


async def _patch(double: WalletDouble, request: web.Request) -> web.Response:
    if (refusal := _refusal(double, request)) is not None:
        return refusal
    told = await request.json()
    assert len(told["merchantLocations"]) <= 10
    assert told["state"] in ("ACTIVE", "EXPIRED", "INACTIVE", "COMPLETED")
    double.objects[request.match_info["id"]] |= told
    return web.json_response({})


async def _patch_class(double: WalletDouble, request: web.Request) -> web.Response:
    known = double.classes.get(request.match_info["id"])
    if request.headers.get("Authorization") != f"Bearer t{double.token_count}":
        return web.Response(status=401)
    if known is None:
        return web.Response(status=404)
    told = await request.json()
    if told.get("reviewStatus") not in ("UNDER_REVIEW", "DRAFT"):
        return web.Response(status=400, text="Invalid review status")
    known |= told
    return web.json_response(known)


async def _add(double: WalletDouble, request: web.Request) -> web.Response:
    if (refusal := _refusal(double, request)) is not None:
        return refusal
    message = (await request.json())["message"]
    assert message["messageType"] == "TEXT_AND_NOTIFY"
    double.messages.setdefault(request.match_info["id"], {})[message["id"]] = message
    return web.json_response({})
