"""What becomes of a message: read, put in its sender's lane, acknowledged once it is durable."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from typing import Final

import msgspec

from geoengine.core.errors import StateError
from geoengine.ingest.reports import Decoded, Origin, Position
from geoengine.service.brokers.judging import judged
from geoengine.service.brokers.lanes import Lanes, Parcel
from geoengine.service.brokers.line import Letter, Line, LineError
from geoengine.service.brokers.topics import COMMANDS, Topics, Whose
from geoengine.service.context import Context
from geoengine.service.http.problems import RETRY_AFTER_S
from geoengine.service.native.answering import answer_to
from geoengine.service.native.entering import decoded_of, enter

TELLING_MAX: Final = 100  # phones that are told something just now; the others hear it later
_COMMANDS = msgspec.json.Decoder(list[msgspec.Raw])


class Desk:
    """Takes the messages of one connection."""

    def __init__(self, context: Context, line: Line, topics: Topics) -> None:
        self.line = line
        self.lanes = Lanes(self._enter, self._is_passing, self._done)
        self._context = context
        self._topics = topics
        self._telling: set[asyncio.Task[None]] = set()

    async def close(self, timeout_s: float) -> None:
        """Take nothing more. What is being committed is waited for, and acknowledged."""
        self.lanes.close()
        await self.lanes.ended(timeout_s)
        for telling in self._telling:
            telling.cancel()
        await asyncio.gather(*self._telling, return_exceptions=True)

    def take(self, letter: Letter) -> None:
        """A message has come: see whose it is and what it says, and put it in its lane."""
        whose = self._topics.whose(letter.topic)
        if isinstance(whose, str):
            self._drop(letter, "other", whose)
        elif len(letter.body) > self._context.settings.max_body_bytes:
            self._drop(letter, whose.kind, "too_large")
        elif letter.qos == 0 and self._is_full:
            self._count(whose.kind, "no_room")  # the broker has not kept it either
        else:
            self._read(letter, whose)
            if self._is_full:
                self.line.pause()

    @property
    def _is_full(self) -> bool:
        """Whether as much is held as may be."""
        settings = self._context.settings
        return (
            self.lanes.held_count >= settings.mqtt_in_flight
            or self.lanes.held_bytes >= settings.queue_bytes
        )

    def _read(self, letter: Letter, whose: Whose) -> None:
        recv_ms = self._context.clock()
        origin = Origin(
            recv_ms=recv_ms,
            device_id=whose.device_id,
            gateway_id=None if whose.ears is None else whose.ears.gateway_id,
            topic=whose.topic,
            passphrase=self._context.credentials.passphrase,
        )
        decoded = decoded_of(self._context, whose.kind, letter.body, origin)
        silence_ms = self._context.book.limits.silence_min_ms
        told = judged(decoded, letter, recv_ms, silence_ms)
        if told.reports:
            self.lanes.put(Parcel(whose, letter, told, recv_ms))
        else:  # most of what gateways hear: nothing in it has to wait
            self._context.metrics.native.add((whose.kind, "dropped"), len(told.drops))
            self._drop(letter, whose.kind, "taken")

    async def _enter(self, parcels: Sequence[Parcel]) -> None:
        """Have what one sender says committed."""
        whose, last = parcels[0].whose, parcels[-1]
        decoded = Decoded(
            list(chain.from_iterable(parcel.decoded.reports for parcel in parcels)),
            list(chain.from_iterable(parcel.decoded.drops for parcel in parcels)),
        )
        origin = Origin(recv_ms=last.recv_ms, device_id=whose.device_id, topic=whose.topic)
        body_bytes = sum(len(parcel.letter.body) for parcel in parcels)
        await enter(
            self._context, whose.kind, decoded, origin, body_bytes=body_bytes, ears=whose.ears
        )
        if whose.device_id is not None and len(self._telling) < TELLING_MAX:
            telling = asyncio.create_task(self._answer(whose, decoded, last.letter))
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)

    async def _answer(self, whose: Whose, decoded: Decoded, letter: Letter) -> None:
        """Tell a phone which regions to watch, if that is news to it."""
        positions = [report for report in decoded.reports if isinstance(report, Position)]
        credentials = self._context.credentials
        origin = Origin(recv_ms=self._context.clock(), passphrase=credentials.passphrase)
        is_sealed = b'"encrypted"' in letter.body
        topic = f"{self._topics.base(letter.topic)}/{COMMANDS}"
        with suppress(LineError, StateError):  # it is told again some other day
            answer = await answer_to(
                self._context, whose.kind, positions, origin, is_sealed=is_sealed
            )
            for command in _COMMANDS.decode(answer.body):
                await self.line.tell(topic, bytes(command))

    def _is_passing(self, error: Exception) -> bool:
        """Whether what was refused will be taken after a while."""
        return self._context.problem_of(error, "mqtt").kind in RETRY_AFTER_S

    def _done(self, parcel: Parcel, error: Exception | None) -> None:
        self.line.acknowledge(parcel.letter)
        self._count(parcel.whose.kind, "taken" if error is None else "failed")
        if not self._is_full:
            self.line.resume()

    def _drop(self, letter: Letter, kind: str, why: str) -> None:
        self.line.acknowledge(letter)
        self._count(kind, why)

    def _count(self, kind: str, outcome: str) -> None:
        self._context.metrics.mqtt.add((kind, outcome))
