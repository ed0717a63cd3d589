"""What an engine told of a trace, in the one form in which engines are compared.

For each device and zone the verbs in the order in which they were told: ``enter``, ``exit``.
"""

from __future__ import annotations

from collections.abc import Iterable

Told = dict[tuple[str, str], list[str]]  # device, zone -> verbs


def gathered(events: Iterable[tuple[str, str, str]]) -> Told:
    """Events as (device, zone, verb), in order for each device and zone."""
    told: Told = {}
    for device_id, zone_id, verb in events:
        told.setdefault((device_id, zone_id), []).append(verb)
    return told


def count(told: Told) -> int:
    """How many events there are."""
    return sum(map(len, told.values()))


def wrong(told: Told, truth: Told) -> int:
    """How many events are missing or too many; of a device and zone out of order, all of them.

    >>> wrong({("d", "z"): ["enter"]}, {("d", "z"): ["enter", "exit"]})
    1
    >>> wrong({("d", "z"): ["exit", "enter"]}, {("d", "z"): ["enter", "exit"]})
    2
    """
    return sum(
        _wrong(told.get(pair, []), truth.get(pair, []))
        for pair in told.keys() | truth.keys()
        if told.get(pair) != truth.get(pair)
    )


def _wrong(said: list[str], true: list[str]) -> int:
    shorter, longer = sorted((said, true), key=len)
    if longer[: len(shorter)] == shorter:
        return len(longer) - len(shorter)
    return len(longer)
