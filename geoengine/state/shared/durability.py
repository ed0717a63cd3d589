"""What the servers' settings can keep of what is promised, asked at the start.

A server that evicts keys when memory is short forgets consents: there the state refuses to start.
Every other setting that breaks a promise is somebody's decision, and is told.
"""

from __future__ import annotations

from geoengine.core.errors import ConfigurationError, Fault, StateUnavailable
from geoengine.state.shared.link import Link

_ASKED = ("maxmemory-policy", "appendonly", "appendfsync", "save")


async def concerns_of(link: Link) -> list[str]:
    """What the servers cannot keep, each with the promise at risk.

    Raises `ConfigurationError` where keys may be evicted.
    """
    found: dict[str, None] = {}
    for name in _ASKED:
        try:
            told = await link.everywhere("CONFIG", "GET", name)
        except StateUnavailable:
            found[
                "the servers do not tell their settings (CONFIG GET): nobody has checked them"
            ] = None
            break
        for address, reply in told.items():
            value = _value(reply)
            if name == "maxmemory-policy" and value != "noeviction":
                what = f"{address} may evict what is remembered: maxmemory-policy is {value}"
                raise ConfigurationError([Fault("state", 1, 1, f"{what}; expected noeviction")])
    return list(found)


def _value(reply: list[bytes] | dict[bytes, bytes]) -> str:
    values = list(reply.values()) if isinstance(reply, dict) else reply[1::2]
    return values[0].decode() if values else ""
