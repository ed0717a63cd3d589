"""The gates of all lanes: one for each provider or endpoint of each lever, made when first used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from geoengine.core.record import Send
from geoengine.core.telling import staff
from geoengine.levers.base import Lever, lanes_of
from geoengine.service.sending.pacing.gate import Gate

# What a shop's devices are told goes by the services of push, through the same gates.
_ROADS: Final = {staff.LEVER: "push"}


class Lanes:
    """The levers in use, each with its lanes."""

    def __init__(self, levers: Mapping[str, Lever], width_max: int) -> None:
        self._levers = dict(levers)
        self._lanes_of = {name: lanes_of(lever) for name, lever in levers.items()}
        self._width_max = width_max
        self._gates: dict[tuple[str, str], Gate] = {}

    def __iter__(self) -> Iterator[Gate]:
        return iter(self._gates.values())

    def gate_of(self, send: Send) -> Gate | None:
        """The gate that a message has to pass; None where nothing here pulls its lever."""
        road = _ROADS.get(send.lever, send.lever)
        lane_of = self._lanes_of.get(road)
        if lane_of is None:
            return None
        lane = lane_of(send)
        gate = self._gates.get((road, lane.name))
        if gate is None:
            gate = Gate(self._levers[road], lane, self._width_max)
            self._gates[road, lane.name] = gate
        return gate
