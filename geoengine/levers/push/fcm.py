"""Firebase Cloud Messaging, HTTP v1.

==============================================  =========  ========================================
answer                                          receipt    why
==============================================  =========  ========================================
200                                             delivered
UNREGISTERED; SENDER_ID_MISMATCH                gone       the app was removed; another app's token
INVALID_ARGUMENT about nothing, or the token    gone       it never was a token
INVALID_ARGUMENT about another field            refused    a fault of ours, told by the field
401, 403 of another kind                        retry      after one more with a new access token
429                                             retry      after Retry-After, or a minute at least
429 about the device                            retry      the same, and the others need not wait
5xx                                             retry      with Retry-After where it is given
any other                                       refused
==============================================  =========  ========================================

A 429 is about the project's messages a minute, a topic's, or one device's; only the last leaves the
others free. Which it is, Firebase says in a ``google.rpc.QuotaFailure`` ("to specify which quota
was exceeded": firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode). How its ``subject`` and
``description`` name a device is documented nowhere; one is taken for a device's that says "device"
or the token itself. Any other rests the lane, and so does an answer without one, as the project's
is (firebase-admin-go, issue 719): the worse mistake is to go on against a quota.

A 404 that does not say UNREGISTERED is a wrong address of ours: no token is thrown away for it.
"""

from __future__ import annotations

import re
import ssl
from typing import Any, Final

import msgspec
from msgspec import Struct

from geoengine.core.record import Send
from geoengine.core.units import SECOND_MS
from geoengine.levers.answers import retry_after_ms
from geoengine.levers.base import Receipt
from geoengine.levers.google import AccessTokens, Account, Unpaid
from geoengine.levers.push.lever import TIMEOUT_S, is_too_large
from geoengine.levers.said import app_data, collapse_name, life_s, said
from geoengine.levers.web import Answered, Lost, Web

URL: Final = "https://fcm.googleapis.com"
SCOPE: Final = "https://www.googleapis.com/auth/firebase.messaging"
TTL_MAX_S: Final = 28 * 86_400  # the longest that FCM keeps a message
QUOTA_WAIT_MS: Final = 60 * SECOND_MS  # asked for where a 429 has no Retry-After
_DEVICE = re.compile(r"\bdevice", re.IGNORECASE)
_TOPIC = re.compile(r"^[A-Za-z0-9_-]{1,32}$")  # RFC 8030, 5.4

MISMATCH: Final = "SENDER_ID_MISMATCH"
_DEAD: Final = {"UNREGISTERED", MISMATCH}


class _Violation(Struct):
    field: str = ""
    description: str = ""
    subject: str = ""


class _Detail(Struct):
    errorCode: str = ""
    fieldViolations: list[_Violation] = []
    violations: list[_Violation] = []  # of a QuotaFailure: which quotas


class _Error(Struct):
    status: str = ""
    message: str = ""
    details: list[_Detail] = []

    @property
    def code(self) -> str:
        """FCM's own word, else that of all of Google's services."""
        return next((detail.errorCode for detail in self.details if detail.errorCode), self.status)

    @property
    def is_of_the_token(self) -> bool:
        """Whether FCM itself finds an argument invalid, and no other than the token."""
        said = any(detail.errorCode == "INVALID_ARGUMENT" for detail in self.details)
        return said and set(self.fields) <= {"message.token"}

    def is_of_the_device(self, token: str) -> bool:
        """Whether each quota that is exceeded, and one is named, is the device's."""
        said = [f"{one.subject} {one.description}" for one in self._quotas]
        return bool(said) and all(token in text or _DEVICE.search(text) for text in said)

    @property
    def _quotas(self) -> list[_Violation]:
        return [one for detail in self.details for one in detail.violations]

    @property
    def fields(self) -> list[str]:
        """What is wrong with the request, as far as it says."""
        return [one.field for detail in self.details for one in detail.fieldViolations]


class _Refusal(Struct):
    error: _Error = msgspec.field(default_factory=_Error)


class Fcm:
    """One Firebase project."""

    def __init__(
        self,
        account: Account,
        *,
        channel: str | None = None,
        url: str = URL,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._url = f"{url.rstrip('/')}/v1/projects/{account.project_id}/messages:send"
        self._channel = channel
        self._web = Web(timeout_s, tls=tls)
        self._tokens = AccessTokens(account, SCOPE, self._web)
        self._is_proven = False  # whether any token was taken here

    async def push(self, send: Send, token: str, now_ms: int) -> Receipt:
        """Push once; a second time where the access token, and not the message, was refused."""
        request = message(send, token, now_ms, self._channel)
        if is_too_large({key: request["message"][key] for key in ("notification", "data")}):
            return Receipt("refused", "too_large", has_left=False)
        body = msgspec.json.encode(request)
        try:
            answer = await self._post(body, now_ms)
            if _is_unpaid(answer):
                answer = await self._post(body, now_ms)
        except Unpaid as unpaid:
            return unpaid.receipt
        except Lost as lost:
            return lost.receipt(is_repeatable=True)
        return self._believed(receipt_of(answer, token, now_ms))

    def _believed(self, receipt: Receipt) -> Receipt:
        """Another project's token is one only where others are ours: with another project's account
        all are, and none is to be thrown away for that.
        """
        self._is_proven |= receipt.status == "delivered"
        if receipt.detail == MISMATCH and not self._is_proven:
            return Receipt("refused", MISMATCH.lower())
        return receipt

    async def _post(self, body: bytes, now_ms: int) -> Answered:
        access = await self._tokens.token(now_ms)
        answer = await self._web.post(
            self._url,
            body,
            {"authorization": f"Bearer {access}", "content-type": "application/json"},
        )
        if _is_unpaid(answer):
            self._tokens.spoil(access)
        return answer

    async def close(self) -> None:
        """Close the connections."""
        await self._web.close()


def message(send: Send, token: str, now_ms: int, channel: str | None = None) -> dict[str, Any]:
    """The request: one message for every kind of device, of which the token's reads its part."""
    what, name, left_s = said(send), collapse_name(send), life_s(send, now_ms)
    ttl_s = min(left_s, TTL_MAX_S)
    shown = {"title": what.title, "body": what.body}
    android: dict[str, Any] = {"tag": name} | ({"channelId": channel} if channel else {})
    # For a device that is off, Google keeps messages of four such names and forgets the others:
    # what is of no campaign has each its own, and goes without.
    collapsing = {"collapseKey": name} if send.campaign_id else {}
    return {
        "message": {
            "token": token,
            "notification": {key: text for key, text in shown.items() if text},
            "data": app_data(what),
            "android": {"priority": "HIGH", "ttl": f"{ttl_s}s", "notification": android}
            | collapsing,
            "apns": {
                "headers": {
                    "apns-priority": "10",
                    "apns-expiration": str(send.expires_ms // SECOND_MS),
                    "apns-collapse-id": name,
                },
                "payload": {"aps": {"sound": "default"}},
            },
            "webpush": _webpush(name, ttl_s, what.url),
        }
    }


def _webpush(name: str, ttl_s: int, url: str) -> dict[str, Any]:
    headers = {"TTL": str(ttl_s), "Urgency": "high"}
    if _TOPIC.match(name):
        headers["Topic"] = name
    told: dict[str, Any] = {"headers": headers, "notification": {"tag": name}}
    if url.startswith("https://"):  # FCM takes no other
        told["fcmOptions"] = {"link": url}
    return told


def receipt_of(answer: Answered, token: str, now_ms: int) -> Receipt:
    """What FCM's answer makes of a message."""
    if answer.status == 200:
        return Receipt("delivered")
    error = _error(answer)
    detail = error.message or answer.detail
    if answer.status < 500 and error.code in _DEAD:
        return Receipt("gone", "token_dead", detail=error.code)
    if error.is_of_the_token:
        return Receipt("gone", "token_dead", detail=error.code)
    if answer.status in (401, 403):
        return Receipt("retry", "bad_credentials", detail=f"{error.code}: {detail}")
    if answer.status == 429 or answer.status >= 500:
        wait_ms = retry_after_ms(answer.headers.get("retry-after", ""), now_ms)
        if answer.status == 429 and not wait_ms:
            wait_ms = QUOTA_WAIT_MS
        is_of_one = answer.status == 429 and error.is_of_the_device(token)
        return Receipt("retry", _reason(error, answer), wait_ms, detail, is_of_one=is_of_one)
    where = f"{', '.join(error.fields)}: " if error.fields else ""
    return Receipt("refused", _reason(error, answer), detail=where + detail)


def _reason(error: _Error, answer: Answered) -> str:
    return error.code.lower() or f"http_{answer.status}"


def _is_unpaid(answer: Answered) -> bool:
    """Whether it is our access token that was refused."""
    code = _error(answer).code
    refused = answer.status == 401 and code != "THIRD_PARTY_AUTH_ERROR"
    return refused or (answer.status == 403 and code not in _DEAD)


def _error(answer: Answered) -> _Error:
    return (answer.read(_Refusal) or _Refusal()).error
