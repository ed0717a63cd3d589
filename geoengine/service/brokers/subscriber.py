"""The connection to one broker: kept for as long as the service runs.

Whatever becomes of the broker meanwhile, it is tried again. A message that is not acknowledged when
a connection ends is the broker's again, and comes with the next one; what it may have caused
already it causes no second time, since its time is not newer.
"""

from __future__ import annotations

import asyncio
import random
from typing import Final

from geoengine.service.brokers.address import Address
from geoengine.service.brokers.desk import Desk
from geoengine.service.brokers.line import Line, LineError, WrongVersion
from geoengine.service.brokers.topics import Topics
from geoengine.service.clock import elapsed_s
from geoengine.service.context import Context
from geoengine.service.logs import logger

FIRST_PAUSE_S: Final = 0.5  # before the next attempt to connect; doubles with each ...
LONGEST_PAUSE_S: Final = 30.0  # ... up to this
GOOD_LIFE_S: Final = 60.0  # a connection that lasted so long did not end of what is wrong with us
_ENVELOPE_BYTES: Final = 4_096  # a packet beside its body: topic and properties
_LOG = logger("mqtt")


class Subscriber:
    """Takes in what one broker has for us."""

    def __init__(self, context: Context, address: Address, client_id: str) -> None:
        self.text = address.text
        self.why_not = "not connected yet"  # empty while it is
        self._address = address
        self._context = context
        self._client_id = client_id
        self._is_v5 = address.options.version != "3.1.1"
        self._pause_s = 0.0
        self._desk: Desk | None = None  # while there is a connection
        self._filters: dict[str, int] = {}  # in force
        self._gateways = context.book.gateways
        self._topics = Topics(self._gateways, address)
        context.metrics.mqtt_connected.labels(self.text).set(0)

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            began_s = elapsed_s()
            try:
                await self._connection()
            except WrongVersion:
                if self._may_step_down():
                    continue
                self._lost("it does not speak MQTT 5")
            except (LineError, OSError) as error:
                self._lost(str(error))
            await asyncio.sleep(self._next_pause_s(elapsed_s() - began_s))

    def adopt(self) -> None:
        """A new catalogue is in force: other gateways may be listed, with topics of their own."""
        gateways = self._context.book.gateways
        if gateways != self._gateways:
            self._gateways, self._topics = gateways, Topics(gateways, self._address)
            if self._desk is not None:
                self._desk.line.hang_up("the catalogue lists other gateways")

    async def _connection(self) -> None:
        """One connection, from its beginning to its end."""
        settings = self._context.settings
        line = Line(
            self._address,
            self._client_id,
            is_v5=self._is_v5,
            most=settings.mqtt_in_flight,
            most_bytes=settings.max_body_bytes + _ENVELOPE_BYTES,
        )
        desk = Desk(self._context, line, self._topics)
        line.on_letter = desk.take
        await line.open()
        self._desk = desk
        try:
            await self._subscribe(line)
            raise LineError(await line.ended())
        finally:
            self._desk = None
            await desk.close(settings.stop_s)
            self._context.metrics.mqtt_connected.labels(self.text).set(0)
            await line.close()

    async def _subscribe(self, line: Line) -> None:
        filters = self._topics.filters()
        refused = await line.take(filters)
        if filters and len(refused) == len(filters):
            raise LineError(f"it refuses every topic: {next(iter(refused.values()))}")
        for topic, why in refused.items():
            _LOG.warning("mqtt_topic_refused", broker=self.text, topic=topic, why=why)
        await line.drop([topic for topic in self._filters if topic not in filters])
        self._filters = filters
        self.why_not = ""
        self._context.metrics.mqtt_connected.labels(self.text).set(1)
        _LOG.info(
            "mqtt_connected",
            broker=self.text,
            version="5" if line.is_v5 else "3.1.1",
            topics=len(filters) - len(refused),
            has_session=line.has_session,
        )

    def _lost(self, why: str) -> None:
        if why != self.why_not:  # not once an attempt for as long as it is away
            _LOG.warning("mqtt_lost", broker=self.text, why=why)
        self.why_not = why

    def _may_step_down(self) -> bool:
        """Whether to try again with what all brokers speak."""
        is_pinned = self._address.options.version != "auto"
        if not is_pinned:
            self._is_v5 = False
        return not is_pinned

    def _next_pause_s(self, lived_s: float) -> float:
        if lived_s >= GOOD_LIFE_S or not self._pause_s:
            self._pause_s = FIRST_PAUSE_S
        else:
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        return random.uniform(self._pause_s / 2, self._pause_s)
