"""Whose a device is: asked at its home, remembered here, and put right where it is looked for.

A device's last fix is kept where its person's record is. Who looks there for a device that is
another's by now is told so, and looks again; so what is remembered here may be old and does no
harm. What must not be old, because somebody withdraws, is asked for: `RedisState.owners`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from geoengine.core.columns import Known
from geoengine.state.shared.partitions import Partitions
from geoengine.state.shared.rows import ROW, Looks, known_of, others, record_of
from geoengine.state.shared.seal import Seal

REMEMBERED_MAX: Final = 1_000_000
ROUNDS_MAX: Final = 4  # remembered, told otherwise, at home, at the owner's


class Names:
    """Devices that stand for people, as far as they have been seen."""

    def __init__(self, partitions: Partitions, seal: Seal) -> None:
        self._partitions = partitions
        self._owner_of: dict[str, str] = {}
        self.looks = Looks(seal)

    def learn(self, name: str, owner: str) -> None:
        """Remember whose a name is."""
        if owner == name:
            self._owner_of.pop(name, None)
            return
        if len(self._owner_of) >= REMEMBERED_MAX:
            del self._owner_of[next(iter(self._owner_of))]
        self._owner_of[name] = owner

    async def known(self, device_ids: list[str]) -> Known:
        """What is known of the sender of each fix."""
        look = _Look(self, device_ids, self._presumed(device_ids))
        rows = list(range(len(device_ids)))
        for turn in range(ROUNDS_MAX):
            if not rows:
                break
            rows = await look.ask(self._partitions, rows, is_sure=turn >= ROUNDS_MAX - 2)
        return look.known()

    def _presumed(self, device_ids: list[str]) -> list[str]:
        if not self._owner_of:
            return device_ids[:]
        return list(map(self._owner_of.get, device_ids, device_ids))


class _Look:
    """One look at a batch's devices."""

    def __init__(self, names: Names, device_ids: list[str], owners: list[str]) -> None:
        self._names = names
        self._ids = device_ids
        self._owners = owners
        self._table = np.zeros(len(device_ids), ROW)
        self._table["fix_ms"], self._table["place"] = -1, np.nan
        self._suspects: dict[int, bytes] = {}
        self._times: dict[int, int] = {}

    async def ask(self, partitions: Partitions, rows: list[int], *, is_sure: bool) -> list[int]:
        """Look these rows up; those that are somebody else's, whose name is known now."""
        order, spans = partitions.group([self._owners[row] for row in rows])
        rows = np.array(rows, np.intp)[order].tolist()
        ids, owners = [self._ids[row] for row in rows], [self._owners[row] for row in rows]
        found = await partitions.call(
            "look",
            {
                number: [ids[start:end], others(ids[start:end], owners[start:end]), is_sure]
                for number, start, end in spans
            },
        )
        # In the order asked for, as the rows are.
        self._table[rows] = np.frombuffer(b"".join(rows for rows, _ in found.values()), ROW)
        strayed: list[int] = []
        for number, start, _ in spans:
            for nth, kind, value in found[number][1]:
                self._take(rows[start + nth - 1], kind, value, strayed)
        return strayed

    def _take(self, row: int, kind: bytes, value: bytes, strayed: list[int]) -> None:
        device_id = self._ids[row]
        if kind == b"suspect":
            self._suspects[row] = value
        elif kind == b"record":
            self._times[row] = record_of(value).devices.get(device_id, -1)
        else:
            self._owners[row] = owner = value.decode() or device_id
            self._names.learn(device_id, owner)
            strayed.append(row)

    def known(self) -> Known:
        looks = self._names.looks
        slots = looks.keep(self._table)
        return known_of(
            self._ids, self._owners, self._table, slots, self._suspects, self._times, looks.seal
        )
