"""Who serves which slot: a Cluster's own account of itself, read."""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from geoengine.state.shared.line.urls import Address

SLOTS: Final = 16_384


@lru_cache(maxsize=4_096)
def slot_of(key: str) -> int:
    """The slot of a key: CRC-16/XMODEM of its hash tag, of all of it where it has none.

    >>> slot_of("123456789"), slot_of("geoengine:{p17}:people") == slot_of("p17")
    (12739, True)
    """
    start = key.find("{")
    end = key.find("}", start + 1)
    tag = key[start + 1 : end] if start >= 0 and end > start + 1 else key
    return crc_hqx(tag.encode(), 0) % SLOTS


@dataclass(frozen=True)
class Topology:
    """Which server serves each slot (none where nobody does), and every server there is."""

    slots: Sequence[Address | None]
    servers: tuple[Address, ...]

    @classmethod
    def single(cls, address: Address) -> Topology:
        """One server outside any Cluster serves everything, and has one slot for all of it."""
        return cls((address,), (address,))

    def primaries(self) -> dict[Address, int]:
        """Every primary with the first of its slots, in order of slots."""
        first: dict[Address, int] = {}
        for slot, address in enumerate(self.slots):
            if address is not None and address not in first:
                first[address] = slot
        return first


def read_slots(reply: Any, asked: Address) -> Topology:
    """The answer of ``asked`` to CLUSTER SLOTS; a host it leaves out is its own."""
    slots: list[Address | None] = [None] * SLOTS
    servers: dict[Address, None] = {}
    for first, last, *nodes in reply:
        found = [_address(node[0], node[1], asked) for node in nodes]
        slots[first : last + 1] = [found[0]] * (last + 1 - first)
        servers |= dict.fromkeys(found)
    return Topology(slots, tuple(servers))


def _address(host: bytes | None, port: int, asked: Address) -> Address:
    return Address((host or b"").decode().strip("?") or asked.host, port)


def redirected(text: str, asked: Address) -> Address:
    """Where ``MOVED 3999 host:port`` or an ASK points; without a host it is that of ``asked``.

    >>> str(redirected("ASK 3999 ::1:7001", Address("127.0.0.1", 7000)))
    '[::1]:7001'
    """
    host, _, port = text.split(" ")[2].rpartition(":")
    return Address(host.strip("[]") or asked.host, int(port))


def has_replica(nodes: str) -> bool:
    """Whether a primary's CLUSTER NODES names a replica of its own that the majority holds alive.

    One who only this server misses (``fail?``) counts as alive: a primary cut off from the others
    cannot know who of them has been promoted. A server that is no primary any more is not asked
    what it has: then the answer is yes, and its missing acknowledgement stands.
    """
    rows = [line.split(" ") for line in nodes.splitlines() if line]
    me = next(row for row in rows if "myself" in row[2].split(","))
    if "master" not in me[2].split(","):
        return True
    return any(row[3] == me[0] and "fail" not in row[2].split(",") for row in rows)
