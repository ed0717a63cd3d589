"""The connection to a broker, on which a message is acknowledged when we say so and not before.

The only file that knows aiomqtt. It acknowledges what it has put into its own queue, and has no
word for waiting; paho beneath it has (`manual_ack_set`, `ack`). So this is aiomqtt's client, which
keeps paho on the loop, with its callbacks taking messages straight to us.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from geoengine.service.brokers.address import Address

KEEPALIVE_S: Final = 30  # a broker that is silent for half as long again is gone
ANSWER_S: Final = 10.0
_WRONG_VERSION: Final = frozenset({1, 132})  # of 3.1.1, of 5
_REFUSED: Final = 128  # reasons from here on say no
T = TypeVar("T")
_FIRST_TIME: Final = SubscribeOptions.RETAIN_SEND_IF_NEW_SUB


@dataclass(frozen=True, slots=True)
class Letter:
    """A message as it came."""

    topic: str
    body: bytes
    mid: int
    qos: int
    is_retained: bool  # kept by the broker, who knows how long
    is_again: bool  # sent before, and not acknowledged


class LineError(Exception):
    """There is no connection, or no longer; the text says why, without what is secret."""


class WrongVersion(LineError):
    """The broker does not speak MQTT 5."""


class Line(aiomqtt.Client):
    """One connection; made anew for each attempt.

    ``most`` is how many messages a broker of MQTT 5 may have sent that are not acknowledged, and
    ``most_bytes`` how long one may be.
    """

    def __init__(
        self,
        address: Address,
        client_id: str,
        *,
        is_v5: bool,
        most: int,
        most_bytes: int,
    ) -> None:
        version = aiomqtt.ProtocolVersion.V5 if is_v5 else aiomqtt.ProtocolVersion.V311
        is_clean = address.options.session_s == 0
        super().__init__(
            address.host,
            address.port,
            username=address.user,
            password=address.password,
            identifier=client_id,
            protocol=version,
            clean_session=None if is_v5 else is_clean,
            clean_start=is_clean if is_v5 else MQTT_CLEAN_START_FIRST_ONLY,
            properties=_wishes(address, most, most_bytes) if is_v5 else None,
            tls_context=address.trust(),
            keepalive=KEEPALIVE_S,
            timeout=ANSWER_S,
        )
        self.is_v5 = is_v5
        self.pending_calls_threshold = most  # more are no concern
        self.has_session = False  # the broker had kept ours
        self._socket: Any = None
        self._is_paused = False
        self.on_letter: Callable[[Letter], None] = lambda letter: None  # which must not raise
        self._client.manual_ack_set(True)

    async def open(self) -> None:
        """Connect. Raises `LineError`."""
        opening = asyncio.ensure_future(self.__aenter__())
        try:
            await asyncio.shield(opening)
        except MqttConnectError as error:
            if self.is_v5 and _code(error.rc) in _WRONG_VERSION:
                raise WrongVersion(str(error)) from None
            raise LineError(str(error)) from None
        except aiomqtt.MqttError as error:
            self._client.disconnect()
            raise LineError(str(error) or "no connection") from None
        except ValueError as error:  # a host that is no name
            raise LineError(str(error)) from None
        except asyncio.CancelledError:
            await asyncio.wait([opening])  # a thread is at it, and cannot be cut off
            if opening.exception() is None:
                await self.close()
            raise

    async def take(self, filters: Mapping[str, int]) -> dict[str, str]:
        """Subscribe; the filters that the broker refused, and why. Raises `LineError`."""
        wanted: list[tuple[str, Any]] = [
            (text, SubscribeOptions(qos=qos, retainHandling=_FIRST_TIME) if self.is_v5 else qos)
            for text, qos in filters.items()
        ]
        if not wanted:
            return {}
        told = await self._told(self.subscribe(wanted))
        reasons = dict(zip(filters, told, strict=True))
        return {text: str(why) for text, why in reasons.items() if _code(why) >= _REFUSED}

    async def drop(self, filters: list[str]) -> None:
        """Be sent these no more. Raises `LineError`."""
        if filters:
            await self._told(self.unsubscribe(filters))

    def acknowledge(self, letter: Letter) -> None:
        """Tell the broker that a message is ours to answer for."""
        if letter.qos and not self._disconnected.done():
            self._client.ack(letter.mid, letter.qos)

    async def tell(self, topic: str, body: bytes) -> None:
        """Publish; returns once the broker has it. Raises `LineError`."""
        await self._told(self.publish(topic, body, qos=1))

    async def _told(self, asking: Coroutine[Any, Any, T]) -> T:
        """What the broker answers; nobody waits for it on a connection that has ended."""
        asked = asyncio.ensure_future(asking)
        either: list[asyncio.Future[Any]] = [asked, self._disconnected]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            asked.cancel()
            raise LineError("the connection has ended")
        try:
            return asked.result()
        except aiomqtt.MqttError as error:
            raise LineError(str(error)) from None

    async def ended(self) -> str:
        """Why the connection ended, once it has."""
        await asyncio.wait([self._disconnected])
        error = self._disconnected.exception()
        return "the broker hung up" if error is None else str(error)

    def pause(self) -> None:
        """Read nothing more for now: what the broker has sent waits in the network."""
        if self._socket is not None and not self._is_paused:
            self._is_paused = True
            self._loop.remove_reader(self._socket.fileno())

    def resume(self) -> None:
        """Read on."""
        if self._socket is not None and self._is_paused:
            self._is_paused = False
            self._loop.add_reader(self._socket.fileno(), self._read)
            self._loop.call_soon(self._read)  # what TLS has in hand makes no socket readable

    def _read(self) -> None:
        """One message, as aiomqtt reads; and those that TLS has read with it."""
        try:
            while self._socket is not None and not self._is_paused:
                self._client.loop_read()
                if not getattr(self._socket, "pending", int)():
                    return
        except Exception as error:
            if not self._disconnected.done():
                self._disconnected.set_exception(error)

    def hang_up(self, why: str) -> None:
        """End the connection; `ended` says why."""
        if not self._disconnected.done():
            self._disconnected.set_exception(LineError(why))
            self._client.disconnect()

    async def close(self) -> None:
        """Say good-bye after what was acknowledged last; the session stays with the broker."""
        with suppress(aiomqtt.MqttError):
            await self.__aexit__(None, None, None)

    def _on_socket_open(self, client: Any, userdata: Any, sock: Any) -> None:
        self._socket = sock
        super()._on_socket_open(client, userdata, sock)

    def _on_socket_close(self, client: Any, userdata: Any, sock: Any) -> None:
        self._socket = None
        super()._on_socket_close(client, userdata, sock)

    def _on_connect(self, client: Any, userdata: Any, flags: Any, *rest: Any) -> None:
        self.has_session = flags.session_present
        super()._on_connect(client, userdata, flags, *rest)

    def _on_message(self, _client: Any, _userdata: Any, message: Any) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        self.on_letter(
            Letter(topic, message.payload, message.mid, message.qos, message.retain, message.dup)
        )


def _wishes(address: Address, most: int, most_bytes: int) -> Properties:
    """What MQTT 5 lets a client ask for as it connects."""
    wishes = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    wishes.SessionExpiryInterval = address.options.session_s
    wishes.ReceiveMaximum = min(most, 65_535)
    wishes.MaximumPacketSize = most_bytes
    return wishes


def _code(reason: Any) -> int:
    """A reason of MQTT 5, or a code of 3.1.1, as a number."""
    return int(getattr(reason, "value", reason))
