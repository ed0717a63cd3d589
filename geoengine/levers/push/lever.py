"""The push lever: each token by the service that gave it out.

An answer that was lost is asked for again: the phone shows one message of a campaign at a time, so
that a second copy takes the first one's place. It may sound twice, and it is counted once.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

import msgspec

from geoengine.core.record import Send
from geoengine.levers.base import Lane, Limits, Receipt

FCM, APNS = "fcm", "apns"
TIMEOUT_S = 10.0  # both services answer within a second; Google documents 10 s as the least
# Apple's tokens are hexadecimal, 32 bytes so far and "of variable length"; Google's hold a colon.
_APPLES = re.compile(r"^(?:[0-9a-fA-F]{2}){32,100}$")
WIDTHS: Final = {FCM: 16, APNS: 64}  # at once; Apple's one connection bears a thousand


# Of both services; what is larger, one of them refuses in the words it has for a bad token.
PAYLOAD_MAX_BYTES: Final = 4_096


def is_too_large(payload: object) -> bool:
    """Whether what the phone is given is more than a push may carry."""
    return len(msgspec.json.encode(payload)) > PAYLOAD_MAX_BYTES


class Service(Protocol):
    """One push service."""

    async def push(self, send: Send, token: str, now_ms: int) -> Receipt:
        """Make one attempt."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


def service_of(address: str) -> tuple[str, str]:
    """The service and the token of an address, ``platform:token``.

    >>> service_of("android:cXk:APA91b")
    ('fcm', 'cXk:APA91b')
    >>> service_of("ios:" + "0f" * 32)[0], service_of("ios:dYk:APA91c")[0]
    ('apns', 'fcm')
    """
    platform, _, token = address.partition(":")
    is_apples = platform in ("ios", "") and _APPLES.match(token)
    return (APNS if is_apples else FCM), token


class PushLever:
    """Pushes by the services there are; ``cannot`` says what of them is not to be had and why."""

    name = "push"

    def __init__(
        self,
        services: Mapping[str, Service],
        cannot: str = "",
        *,
        rates: Mapping[str, float] = MappingProxyType({}),
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.timeout_s = timeout_s
        self.cannot = cannot
        self._services = dict(services)
        self._lanes = {
            name: Lane(name, Limits(width=WIDTHS[name], per_s=rates.get(name, 0.0)))
            for name in (FCM, APNS)
        }

    def lane(self, send: Send) -> Lane:
        """The service of the message's token."""
        service, _token = service_of(send.address)
        return self._lanes[service]

    async def send(self, send: Send, now_ms: int) -> Receipt:
        """Push once."""
        name, token = service_of(send.address)
        service = self._services.get(name)
        if not token:
            return Receipt("refused", "bad_address", has_left=False)
        if service is None:
            return Receipt("refused", f"no_{name}", has_left=False)
        try:
            # An attempt is several requests where a token of ours runs out.
            async with asyncio.timeout(self.timeout_s):
                return await service.push(send, token, now_ms)
        except TimeoutError:
            return Receipt("retry", "timeout")

    async def close(self) -> None:
        """Close the connections of all services."""
        await asyncio.gather(*(service.close() for service in self._services.values()))
