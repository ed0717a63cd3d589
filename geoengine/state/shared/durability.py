"""What the servers' settings can keep of what is promised, asked at the start.

A server that evicts keys when memory is short forgets consents: there the state refuses to start.
Every other setting that breaks a promise is somebody's decision, and is told.
"""

from __future__ import annotations

from geoengine.core.errors import ConfigurationError, Fault, StateUnavailable
from geoengine.state.shared.link import Link

_ASKED = ("maxmemory-policy", "appendonly", "appendfsync")
_UNASKED = "the servers do not tell their settings (CONFIG GET): nobody has checked them (I1 to I5)"
_FSYNC_LOSES = {"everysec": "the last second", "no": "what the system had not yet written"}


async def concerns_of(link: Link) -> list[str]:
    """What the servers cannot keep, each with the promise at risk.

    Raises `ConfigurationError` where keys may be evicted.
    """
    settings: dict[str, dict[str, str]] = {}
    try:
        for name in _ASKED:
            for address, reply in (await link.everywhere("CONFIG", "GET", name)).items():
                settings.setdefault(address, {})[name] = _value(reply)
    except StateUnavailable:
        return [_UNASKED]
    found = []
    for address, told in settings.items():
        if (policy := told["maxmemory-policy"]) != "noeviction":
            what = f"{address} may evict what is remembered: maxmemory-policy is {policy}"
            raise ConfigurationError([Fault("state", 1, 1, f"{what}; expected noeviction")])
        if lost := _lost_in_a_power_cut(told):
            found.append(f"{address}: a power cut loses {lost}, acknowledged or not (I4)")
    return found


def _lost_in_a_power_cut(told: dict[str, str]) -> str:
    """What is lost, and the setting that says so; nothing where all that was told is kept."""
    if told["appendonly"] != "yes":
        return "all since the last snapshot, if there is one: appendonly is no"
    lost = _FSYNC_LOSES.get(told["appendfsync"])
    return f"{lost}: appendfsync is {told['appendfsync']}" if lost else ""


def _value(reply: list[bytes] | dict[bytes, bytes]) -> str:
    values = list(reply.values()) if isinstance(reply, dict) else reply[1::2]
    return values[0].decode() if values else ""
