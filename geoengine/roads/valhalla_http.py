"""A Valhalla that runs somewhere else, over its HTTP service."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from geoengine.core.errors import NoWay, RouterDown
from geoengine.roads.http import Client, Pause, Reply

# How many questions wait at the server at a time. A stock Valhalla runs a worker for each core and
# lets the others queue; a public one takes one or two.
AT_ONCE = 4

# Valhalla's own codes of refusals that are not about the place: below 110 an unknown path, a method
# or a body that it does not take, or that it shuts down; those that end in 99 its own failures.
_FRONT_DESK_CODES = 110


class Refusal(msgspec.Struct, frozen=True):
    """What Valhalla says when it does not answer."""

    error_code: int = 0
    error: str = ""


class HttpLine:
    """Carries questions over HTTP."""

    at_once = AT_ONCE

    def __init__(self, url: str, pause: Pause = asyncio.sleep) -> None:
        self._client = Client(url, is_final=_is_about_the_place, pause=pause)

    async def call(self, action: str, body: dict[str, Any]) -> bytes:
        """The answer's JSON. Raises `NoWay` for a refusal of this place, else `RouterDown`."""
        reply = await self._client.post(f"/{action}", body)
        if reply.status == 200:
            return reply.body
        if _is_about_the_place(reply):
            raise NoWay(_read(reply).error)
        raise RouterDown(f"{self._client.url} answered {reply.status}: {reply.says}")

    async def close(self) -> None:
        await self._client.close()


def _is_about_the_place(reply: Reply) -> bool:
    """Whether it refuses this question and would not another: by its own code, also in a 501."""
    code = _read(reply).error_code
    return reply.status in (400, 501) and code >= _FRONT_DESK_CODES and code % 100 != 99


def _read(reply: Reply) -> Refusal:
    try:
        return msgspec.json.decode(reply.body, type=Refusal)
    except msgspec.DecodeError:
        return Refusal()
