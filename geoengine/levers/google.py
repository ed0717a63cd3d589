"""Google's access tokens: a service account signs for itself, and has a token for an hour.

OAuth 2.0 for server to server applications (RFC 7523): a JWT signed RS256 with the account's key is
traded for a bearer token. Asked for once by whoever comes first, renewed before it ends.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final
from urllib.parse import urlencode

import jwt
import msgspec
from msgspec import Struct

from geoengine.core.units import HOUR_MS, MINUTE_MS, SECOND_MS
from geoengine.levers.base import Receipt
from geoengine.levers.secrets import CredentialError
from geoengine.levers.web import Answered, Lost, Web

_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LIFE_S: Final = 3_600  # the longest that Google grants
# Before its end a token is not used: a clock that is this far off would have it refused.
SPARE_MS: Final = 5 * MINUTE_MS


class Account(Struct, frozen=True):
    """What we need of a service account's JSON file."""

    client_email: str
    private_key: str
    project_id: str = ""
    private_key_id: str = ""
    token_uri: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address


class _Token(Struct, frozen=True):
    access_token: str
    expires_in: int = _LIFE_S


class Unpaid(Exception):
    """There was no token to be had; ``receipt`` says what that makes of a message."""

    def __init__(self, receipt: Receipt) -> None:
        super().__init__(receipt.reason)
        self.receipt = receipt


def account_of(text: str, variable: str) -> Account:
    """The account of a file's text. Raises `CredentialError`, naming where it came from."""
    try:
        account = msgspec.json.decode(text, type=Account)
        signed(account, {"iss": account.client_email})
    except (msgspec.DecodeError, jwt.PyJWTError, ValueError, TypeError):
        raise CredentialError(
            f"{variable} is no service account: expected Google's JSON with client_email and "
            "private_key"
        ) from None
    return account


def signed(account: Account, claims: dict[str, Any]) -> str:
    """A token that the account signs."""
    headers = {"kid": account.private_key_id} if account.private_key_id else None
    return jwt.encode(claims, account.private_key, "RS256", headers)


class AccessTokens:
    """The present access token of an account for one scope."""

    def __init__(self, account: Account, scope: str, web: Web) -> None:
        self._account = account
        self._scope = scope
        self._web = web
        self._token = ""
        self._until_ms = 0
        self._fetching = asyncio.Lock()

    async def token(self, now_ms: int) -> str:
        """A token that holds for some minutes at least. Raises `Unpaid`."""
        if now_ms >= self._until_ms:
            async with self._fetching:
                if now_ms >= self._until_ms:  # nobody else has fetched it meanwhile
                    await self._fetch(now_ms)
        return self._token

    def spoil(self, token: str) -> None:
        """This one was refused: have another next time, if it is still the one we would give."""
        if token == self._token:
            self._until_ms = 0

    async def _fetch(self, now_ms: int) -> None:
        try:
            answer = await self._web.post(
                self._account.token_uri,
                urlencode({"grant_type": _GRANT, "assertion": self._assertion(now_ms)}).encode(),
                {"content-type": "application/x-www-form-urlencoded"},
            )
        except Lost as lost:  # whatever came of it, no message has left
            raise Unpaid(
                Receipt("retry", f"token_{lost.reason}", detail=lost.detail, has_left=False)
            ) from None
        self._take(answer, now_ms)

    def _take(self, answer: Answered, now_ms: int) -> None:
        if answer.status != 200:
            reason = "bad_credentials" if answer.status < 500 else "token_unavailable"
            raise Unpaid(Receipt("retry", reason, detail=answer.detail, has_left=False))
        token = answer.read(_Token)
        if token is None:
            raise Unpaid(Receipt("retry", "token_unavailable", has_left=False))
        self._token = token.access_token
        self._until_ms = now_ms + min(token.expires_in * SECOND_MS, HOUR_MS) - SPARE_MS

    def _assertion(self, now_ms: int) -> str:
        now_s = now_ms // SECOND_MS
        claims = {
            "iss": self._account.client_email,
            "scope": self._scope,
            "aud": self._account.token_uri,
            "iat": now_s,
            "exp": now_s + _LIFE_S,
        }
        return signed(self._account, claims)
