"""What the servers' settings can keep of what is promised, asked at the start.

A server that evicts keys when memory is short forgets consents: there the state refuses to start.
Every other setting that breaks a promise is somebody's decision, and is told.
"""

from __future__ import annotations

from typing import Any, Final

from geoengine.core.errors import ConfigurationError, Fault, StateUnavailable
from geoengine.state.shared.line.link import LibraryFault, Link

ASKED: Final = ("maxmemory-policy", "appendonly", "appendfsync", "maxmemory")
_UNTOLD: Final = (
    "the servers do not tell their settings (CONFIG GET is not allowed): whether they keep what "
    "was acknowledged (I4), and evict nothing (I1, I2), is for whoever runs them to know"
)


async def settings_of(link: Link) -> dict[str, dict[str, str]] | None:
    """The settings that matter, by address of the primary; None where they are not told."""
    found: dict[str, dict[str, str]] = {}
    for name in ASKED:
        try:
            told = await link.everywhere("CONFIG", "GET", name)
        except (StateUnavailable, LibraryFault):  # not allowed, or not even known
            return None
        for address, reply in told.items():
            found.setdefault(address, {})[name] = _value(reply)
    return found


async def concerns_of(link: Link) -> list[str]:
    """What the servers cannot keep, each with the promise at risk.

    Raises `ConfigurationError` where keys may be evicted.
    """
    settings = await settings_of(link)
    if settings is None:
        return [_UNTOLD]
    replica_counts = await _replica_counts(link)
    found: list[str] = []
    for address, values in settings.items():
        if values["maxmemory-policy"] != "noeviction":
            what = (
                f"{address} may evict consents and caps when memory is short: maxmemory-policy is "
                f"{values['maxmemory-policy']}; expected noeviction"
            )
            raise ConfigurationError([Fault("state", 1, 1, what)])
        found += _of_log(address, values, replica_counts.get(address, 0))
        if values["maxmemory"] == "0":
            found.append(f"{address} has no maxmemory: it grows until the machine kills it (I6)")
    if not link.password:
        found.append(
            "the state's URL has no password: whoever reaches the servers reads everybody, and "
            "whoever has a snapshot of theirs where each device was last (I9)"
        )
    return found


def _of_log(address: str, values: dict[str, str], replica_count: int) -> list[str]:
    """Whether what was acknowledged is there after the server has failed."""
    copies = f"; {replica_count} replica(s) hold it too (WAIT)" if replica_count else ""
    if values["appendonly"] != "yes":
        if replica_count:
            return [
                f"{address} keeps no append-only file: what was acknowledged is lost when it and "
                f"its {replica_count} replica(s) fail together (I4)"
            ]
        return [
            f"{address} keeps no append-only file: a restart loses consents, caps and messages "
            "that were acknowledged (I1, I2, I4); set appendonly yes"
        ]
    if values["appendfsync"] == "always":
        return []
    most = "up to a second" if values["appendfsync"] == "everysec" else "what the disk was not told"
    return [
        f"{address} syncs its file {values['appendfsync']}: a power cut loses {most} of what was "
        f"acknowledged (I4){copies}; set appendfsync always"
    ]


async def _replica_counts(link: Link) -> dict[str, int]:
    try:
        told = await link.everywhere("INFO", "replication")
    except StateUnavailable:
        return {}
    return {address: _count(text.decode()) for address, text in told.items()}


def _count(info: str) -> int:
    lines = (line.partition(":") for line in info.splitlines())
    return next((int(text) for name, _, text in lines if name == "connected_slaves"), 0)


def _value(reply: Any) -> str:
    """The value of a setting, whichever protocol told it."""
    values = list(reply.values()) if isinstance(reply, dict) else reply[1::2]
    return values[0].decode() if values else ""
