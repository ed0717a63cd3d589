"""What the crowd sent and what was answered, counted as it happens.

Keys are ``posts:pings``, ``sent:pings``, ``accepted:pings``, ``refused:pings``, ``lost:pings`` and
the same for sightings; ``rejected:REASON``, ``event:TYPE``, ``problem:KIND``. Refused are rows of a
post that was answered with a problem. Lost are rows of a post that no answer came to: the service
may have taken them or not.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

EVENT_PREFIX = "geoengine."
PROBLEM_PREFIX = "urn:geoengine:problem:"


class Tally:
    """Counts of one load generator."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def sent(self, kind: str, row_count: int) -> None:
        """A post of so many rows is on its way."""
        self.counts[f"posts:{kind}"] += 1
        self.counts[f"sent:{kind}"] += row_count

    def taken(self, kind: str, told: Mapping[str, Any]) -> None:
        """The answer to a post that was taken in."""
        self.counts[f"accepted:{kind}"] += told["accepted"]
        self.counts.update(f"rejected:{row['reason']}" for row in told["rejected"])
        self.counts.update(
            "event:" + event["type"].removeprefix(EVENT_PREFIX) for event in told["events"]
        )

    def lost(self, kind: str, row_count: int) -> None:
        """No answer came."""
        self.counts[f"lost:{kind}"] += row_count

    def refused(self, kind: str, row_count: int, body: bytes) -> None:
        """A post was answered with a problem document."""
        self.counts[f"refused:{kind}"] += row_count
        self.problem(body)

    def problem(self, body: bytes) -> None:
        """A request was answered with a problem document."""
        try:
            kind = str(json.loads(body)["type"]).removeprefix(PROBLEM_PREFIX)
        except (ValueError, KeyError, TypeError):
            kind = "unreadable"
        self.counts[f"problem:{kind}"] += 1


def total(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    """The counts of several load generators, together."""
    together: Counter[str] = Counter()
    for one in counts:
        together.update(one)
    return together
