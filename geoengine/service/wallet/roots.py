"""Google's root keys, fetched from where it publishes them, and kept for as long as it says."""

from __future__ import annotations

import asyncio
import re
from typing import Final

import msgspec

from geoengine.core.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from geoengine.levers.web import Lost, Web
from geoengine.service.logs import logger
from geoengine.service.wallet.signed import Key, roots_in

URL: Final = "https://pay.google.com/gp/m/issuer/keys"
TIMEOUT_S: Final = 5.0  # Google waits for our answer meanwhile
# How long keys are kept: as Cache-Control says, within bounds. Longer than a day, and a key that
# Google takes back would count on; shorter than a minute, and every stranger could have us ask.
KEPT_MS, KEPT_MAX_MS, KEPT_MIN_MS = HOUR_MS, DAY_MS, MINUTE_MS
_MAX_AGE: Final = re.compile(r"\bmax-age=([0-9]{1,9})\b")
_LOG = logger("wallets")


class Roots:
    """The keys as they were last told."""

    def __init__(self, url: str, web: Web | None = None) -> None:
        self._url = url
        self._web = web or Web(TIMEOUT_S)
        self._keys: list[Key] = []
        self._asked_ms = -KEPT_MAX_MS
        self._until_ms = 0
        self._asking = asyncio.Lock()

    async def known(self, now_ms: int) -> list[Key]:
        """The keys; those from before where Google does not tell, none where there are none."""
        return await self._fresh(now_ms) if now_ms >= self._until_ms else self._keys

    async def anew(self, now_ms: int) -> list[Key]:
        """The keys asked for again: something was signed with none that we know."""
        return await self._fresh(now_ms)

    async def close(self) -> None:
        """Close the connection."""
        await self._web.close()

    async def _fresh(self, now_ms: int) -> list[Key]:
        async with self._asking:
            if now_ms - self._asked_ms >= KEPT_MIN_MS:
                self._asked_ms = now_ms
                await self._ask(now_ms)
        return self._keys

    async def _ask(self, now_ms: int) -> None:
        try:
            answer = await self._web.ask("GET", self._url, b"", {})
            if answer.status != 200:
                raise Lost(f"http_{answer.status}", has_left=True)
            self._keys = roots_in(answer.body)
        except (Lost, msgspec.DecodeError, UnicodeError) as error:
            _LOG.warning("google_keys_unheard", why=str(error))
            return
        found = _MAX_AGE.search(answer.headers.get("cache-control", ""))
        kept_ms = int(found[1]) * SECOND_MS if found else KEPT_MS
        self._until_ms = now_ms + min(max(kept_ms, KEPT_MIN_MS), KEPT_MAX_MS)
