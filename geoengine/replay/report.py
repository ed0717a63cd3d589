"""What a replay found, added up, to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from geoengine.replay.gather import Trace

_REJECTS_SHOWN = 10


def summary(trace: Trace, counts: Mapping[str, int]) -> list[str]:
    """Lines that say what came in and what came out.

    ``counts`` are the step's, by their names there: ``late``, ``enter``, ``suppressed:window`` ...
    """
    rejected = Counter(reject.reason for reject in trace.rejects)
    suppressed = _under("suppressed:", counts)
    lines = [
        _line("fixes", len(trace.fixes), {key: counts.get(key, 0) for key in _FATES}),
        _line("rejected", rejected.total(), rejected),
        _line("devices", len(set(trace.fixes.device_ids)), {}),
        *(_line(words, counts.get(kind, 0), {}) for kind, words in _TRANSITIONS),
        _line("fired", counts.get("fired", 0), {}),
        _line("suppressed", sum(suppressed.values()), suppressed),
    ]
    if len(trace.sightings) or counts.get("unknown_beacon"):
        unknown = {"unknown beacon": counts.get("unknown_beacon", 0)}
        lines.insert(1, _line("sightings", len(trace.sightings), unknown))
    return lines


_FATES = ("late", "suspect", "coarse", "no_consent")
_TRANSITIONS = (
    ("enter", "entries"),
    ("exit", "exits"),
    ("dwell", "dwells"),
    ("crossed", "crossings"),
)


def rejects_shown(trace: Trace) -> Iterable[str]:
    """The first of the rows that made no sense, each with its place, and how many more."""
    yield from map(str, trace.rejects[:_REJECTS_SHOWN])
    if len(trace.rejects) > _REJECTS_SHOWN:
        yield f"... and {len(trace.rejects) - _REJECTS_SHOWN} more"


def _under(prefix: str, counts: Mapping[str, int]) -> dict[str, int]:
    return {key.removeprefix(prefix): n for key, n in counts.items() if key.startswith(prefix)}


def _line(what: str, count: int, parts: Mapping[str, int]) -> str:
    """One line: what, how many, and of which kinds, the most frequent first."""
    order = sorted(parts.items(), key=lambda part: (-part[1], part[0]))
    shown = ", ".join(f"{name} {number}" for name, number in order if number)
    return f"{what:<11}{count:>9}" + (f"  ({shown})" if shown else "")
