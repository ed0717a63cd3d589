"""Google Wallet: objects that Google keeps, and messages on them.

The holder saves an object by a link, which is a token that we sign; from then on the object is
told its places, its code and its messages. One that was never saved is not there to be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from geoengine.core.calendar import rfc3339
from geoengine.core.model import GoogleWalletSpec
from geoengine.core.units import SECOND_MS
from geoengine.levers.answers import retry_after_ms
from geoengine.levers.base import Receipt
from geoengine.levers.google import AccessTokens, Account, Unpaid, signed
from geoengine.levers.wallet.face import PLACES_MAX, Place, Said
from geoengine.levers.web import Answered, Lost, Web

URL: Final = "https://walletobjects.googleapis.com"
SCOPE: Final = "https://www.googleapis.com/auth/wallet_object.issuer"
SAVE_URL: Final = "https://pay.google.com/gp/v/save/"
LINK_MAX_CHARS: Final = 1_800  # longer links are cut off by some browsers, says Google
TIMEOUT_S: Final = 15.0
_BUSY_MS: Final = 60 * SECOND_MS


class GoogleWallet:
    """One issuer's objects."""

    def __init__(
        self, spec: GoogleWalletSpec, account: Account, *, url: str = URL, web: Web | None = None
    ) -> None:
        self._spec = spec
        self._account = account
        self._url = url.rstrip("/")
        self._web = web or Web(TIMEOUT_S)
        self._tokens = AccessTokens(account, SCOPE, self._web)

    def save_link(self, serial: str, now_ms: int) -> str:
        """The link by which somebody saves their pass."""
        made = {"id": self._id(serial), "classId": self._id(self._spec.class_id)}
        claims = {
            "iss": self._account.client_email,
            "aud": "google",
            "typ": "savetowallet",
            "iat": now_ms // SECOND_MS,
            "payload": {f"{self._spec.kind}Objects": [made | {"state": "ACTIVE"}]},
        }
        link = SAVE_URL + signed(self._account, claims)
        assert len(link) <= LINK_MAX_CHARS, len(link)
        return link

    async def tell(
        self, serial: str, message_id: str, said: Said, places: Sequence[Place], now_ms: int
    ) -> Receipt:
        """Put a message on somebody's object, with its places and code, and have it shown."""
        path = self._object(serial)
        message = {"message": _message(message_id, said)}
        steps = [("PATCH", path, _changes(said, places)), ("POST", path + "/addMessage", message)]
        return await self._do(steps, now_ms)

    async def renew(self, serial: str, said: Said, places: Sequence[Place], now_ms: int) -> Receipt:
        """Have somebody's object as it is by now, without a notice."""
        return await self._do([("PATCH", self._object(serial), _changes(said, places))], now_ms)

    async def expire(self, serial: str, said: Said, now_ms: int) -> Receipt:
        """End somebody's object, which says why in place of all that it said."""
        message = _message("ended", said) | {"messageType": "TEXT"}
        ended = {"state": "EXPIRED", "messages": [message], "merchantLocations": []}
        return await self._do([("PATCH", self._object(serial), ended)], now_ms)

    async def call_back(self, url: str, now_ms: int) -> Receipt:
        """Have Google tell this address whenever somebody saves or deletes an object of the class.

        A class that was approved is reviewed anew with each change, at once and by a machine; one
        that is changed without asking for that is refused.
        """
        path = f"/walletobjects/v1/{self._spec.kind}Class/{self._id(self._spec.class_id)}"
        change = {"callbackOptions": {"url": url}, "reviewStatus": "UNDER_REVIEW"}
        return await self._do([("PATCH", path, change)], now_ms)

    async def close(self) -> None:
        """Close the connections."""
        await self._web.close()

    async def _do(self, steps: list[tuple[str, str, dict[str, Any]]], now_ms: int) -> Receipt:
        """Ask one after the other, as long as Google takes them: each may be asked again."""
        assert steps
        try:
            for method, path, body in steps:
                answer = await self._call(method, path, body, now_ms)
                if answer.status != 200:
                    break
        except Unpaid as unpaid:
            return unpaid.receipt
        except Lost as lost:  # a message with an id that Google has is not added twice
            return lost.receipt(is_repeatable=True)
        return receipt_of(answer, now_ms)

    async def _call(self, method: str, path: str, body: dict[str, Any], now_ms: int) -> Answered:
        """Ask once; a second time where our token was refused."""
        token = await self._tokens.token(now_ms)
        answer = await self._ask(method, path, body, token)
        if answer.status == 401:
            self._tokens.spoil(token)
            answer = await self._ask(method, path, body, await self._tokens.token(now_ms))
        return answer

    async def _ask(self, method: str, path: str, body: dict[str, Any], token: str) -> Answered:
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        return await self._web.ask(method, self._url + path, msgspec.json.encode(body), headers)

    def _object(self, serial: str) -> str:
        return f"/walletobjects/v1/{self._spec.kind}Object/{self._id(serial)}"

    def _id(self, name: str) -> str:
        return f"{self._spec.issuer}.{name}"


def _changes(said: Said, places: Sequence[Place]) -> dict[str, Any]:
    """What becomes of the object: places near which it shows itself, and the code."""
    found: dict[str, Any] = {
        "state": "ACTIVE",  # it may have ended, and been handed out again
        "merchantLocations": [
            {"latitude": place.lat, "longitude": place.lon} for place in places[:PLACES_MAX]
        ],
    }
    if said.code:
        found["barcode"] = {"type": "QR_CODE", "value": said.code, "alternateText": said.code}
    return found


def _message(message_id: str, said: Said) -> dict[str, Any]:
    """A message; about a code, it is shown for as long as that counts."""
    told: dict[str, Any] = {
        "id": message_id,
        "header": said.title,
        "body": said.body,
        "messageType": "TEXT_AND_NOTIFY",
    }
    if said.code and said.until_ms:
        told["displayInterval"] = {"end": {"date": rfc3339(said.until_ms)}}
    return told


def receipt_of(answer: Answered, now_ms: int) -> Receipt:
    """What Google's answer makes of a message."""
    if answer.status == 200:
        return Receipt("delivered")
    if answer.status == 404:
        return Receipt("refused", "no_pass", detail=answer.detail)  # never saved
    if answer.status in (401, 403):
        return Receipt("retry", "bad_credentials", detail=answer.detail)
    if answer.status == 429 or answer.status >= 500:
        wait_ms = retry_after_ms(answer.headers.get("retry-after", ""), now_ms)
        wait_ms = wait_ms or (_BUSY_MS if answer.status == 429 else 0)
        return Receipt("retry", f"http_{answer.status}", wait_ms, answer.detail)
    return Receipt("refused", f"http_{answer.status}", detail=answer.detail)
