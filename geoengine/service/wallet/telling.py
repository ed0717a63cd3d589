"""What wallets are told without a trigger: that a pass has ended or changed, where Google calls."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from msgspec.structs import replace

from geoengine.core.errors import StateConflict, StateError
from geoengine.core.model import GoogleWalletSpec, WalletSpec
from geoengine.core.record import Record
from geoengine.core.units import MINUTE_MS
from geoengine.levers.secrets import CredentialError
from geoengine.levers.wallet.lever import Told, WalletLever
from geoengine.service.context import Context
from geoengine.service.logs import logger
from geoengine.service.sending.makers import google_wallet, wallet_lever
from geoengine.service.wallet import holding
from geoengine.service.wallet.ending import NEWS, heard_of
from geoengine.service.wallet.leaving import drop_phones
from geoengine.service.wallet.making import SERVICE, places_of, said_on, stores_near
from geoengine.service.wallet.names import APPLE, GOOGLE
from geoengine.state.base import Card

GOOGLE_PATH: Final = SERVICE + "/google"
TELLING: Final = "wallets"  # what one process of all does
LOOK_S: Final = 15.0  # how long a pass that has ended may still look good on a phone
AGAIN_MS: Final = 10 * MINUTE_MS  # a class that is missing is made by hand: nobody is that fast
_PAGE: Final = 100  # passes in one look; the others have the next one
_CALLED_NOTE: Final = "google_calls_back"
_LOG = logger("wallets")


class Wallets:
    """Looks after what wallets have yet to hear."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._again_ms = 0

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self.look()
            except StateError as error:
                _LOG.warning("postponed", why=str(error))
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Tell what there is to tell, once."""
        spec = self._context.book.engine.spec.wallet
        if spec is None or not self._context.state.serves(TELLING):
            return
        if spec.google is not None:
            await self._have_google_call(spec.google)
        page = await self._context.state.cards_from(NEWS, limit=_PAGE)
        if page.cards:
            await self._tell(spec, page.cards)

    async def _tell(self, spec: WalletSpec, cards: list[Card]) -> None:
        lever = wallet_lever(spec, self._context.book, self._context.environ)
        try:
            for card in cards if not lever.cannot else ():
                if await self._is_told(lever, card):
                    with suppress(StateConflict):  # there is more to tell by now
                        await self._context.state.put_card(
                            replace(card, body=b""), self._context.clock()
                        )
        finally:
            await lever.close()

    async def _is_told(self, lever: WalletLever, card: Card) -> bool:
        """Tell of one pass; whether nothing is left to be told of it."""
        context, serial = self._context, card.name.removeprefix(NEWS)
        one = await holding.held(context.state, serial)
        if one is None:
            return True
        (owner,) = await context.state.owners([one.person_id])
        record = (await context.state.load([owner])).get(owner) or Record(owner)
        wallets = heard_of(card)
        told = Told(
            serial,
            list(one.phones.values()) if APPLE in wallets else [],
            GOOGLE in wallets,
            said_on(one, record),
            places_of(stores_near(one, record, context.book), one, context.book),
        )
        receipt = await lever.renew(told, is_void=one.is_void, now_ms=context.clock())
        await drop_phones(context, serial, receipt.dead)
        if receipt.status == "retry":
            _LOG.warning("wallet_unheard", why=receipt.text)
        return receipt.status != "retry"

    async def _have_google_call(self, spec: GoogleWalletSpec) -> None:
        """Write our address into the class, once; again where either is another."""
        context, now_ms = self._context, self._context.clock()
        public_url = context.book.engine.spec.public_url
        if public_url is None or not public_url.startswith("https://") or now_ms < self._again_ms:
            return
        url = public_url.rstrip("/") + GOOGLE_PATH
        said = f"{spec.kind} {spec.issuer}.{spec.class_id} {url}".encode()
        if await context.state.noted(_CALLED_NOTE) == said:
            return
        self._again_ms = now_ms + AGAIN_MS
        try:
            google = google_wallet(spec, context.environ)
        except CredentialError:
            return  # which is told elsewhere
        try:
            receipt = await google.call_back(url, now_ms)
        finally:
            await google.close()
        if receipt.status == "delivered":
            await context.state.note(_CALLED_NOTE, said)
        else:
            _LOG.warning("google_class_unchanged", why=receipt.text)
