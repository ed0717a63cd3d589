"""The crowd's counts beside the service's own: two books of one load that must agree to the ping.

Every row of an answered post is accepted or rejected in the answer.
Pings, sightings, rejects and refusals are equal. So are entries and crossings, which only a post
can cause. Stays and departures also come of deadlines, which answer no post: there the service
may know more than the crowd was told, never less. Rows whose answer got lost may have been taken
or not. Rows of people who did not agree to be located are one count for pings and sightings; which
of the two they were, only the crowd knows. Both widen what counts as equal, and are shown; what
was taken in altogether is equal without that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

PREFIX = "geoengine_"
KINDS = ("pings", "sightings")
LOCATED = ("accepted", "late", "suspect")  # of a ping that was taken in
HEARD = ("sightings", "unknown_beacon")  # of a sighting that was taken in
VERBS = {"enter": "entered", "dwell": "dwelled", "exit": "exited", "crossed": "crossed"}
OF_DEADLINES = frozenset({"dwell", "exit"})


@dataclass(frozen=True, slots=True)
class Line:
    """One count in both books."""

    name: str
    crowd: int
    service: int
    lost: int = 0  # rows that the service may have taken without the crowd's hearing of it
    shared: int = 0  # rows that the service counts, but not whether as these
    is_open: bool = False  # the service may know of more

    @property
    def agrees(self) -> bool:
        """Whether the two can be true of one load."""
        if self.is_open:
            return self.crowd <= self.service
        return -self.shared <= self.service - self.crowd <= self.shared + self.lost

    @property
    def verdict(self) -> str:
        """In words."""
        more = self.service - self.crowd
        if not self.agrees:
            return f"DIFFERS by {more:+,}"
        if not more:
            return "agrees"
        if abs(more) <= self.shared:
            return f"{more:+,}, of people not to be located"
        return f"{more:+,}, {'of deadlines' if self.is_open else 'answers lost'}"


def samples(page: str) -> Counter[str]:
    """The series of a page of Prometheus' text format, whole numbers, by name and labels.

    >>> samples('# HELP a b\\na_total{reason="x y"} 3.0\\n')
    Counter({'a_total{reason="x y"}': 3})
    """
    found: Counter[str] = Counter()
    for line in page.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found[name] = int(float(value))
    return found


def compare(crowd: Mapping[str, int], service: Mapping[str, int]) -> list[Line]:
    """Every count that both sides keep; of the service, the growth since before the load."""
    told: Counter[str] = Counter(crowd)
    lost = {kind: told[f"lost:{kind}"] for kind in KINDS}
    own = Counter({name.removeprefix(PREFIX): count for name, count in service.items()})
    taken = told["accepted:pings"] + told["accepted:sightings"]
    located = sum(own[f'fixes_total{{outcome="{fate}"}}'] for fate in LOCATED)
    heard = sum(own[f'fixes_total{{outcome="{fate}"}}'] for fate in HEARD)
    dropped = own['fixes_total{outcome="no_consent"}']
    any_lost = sum(lost.values())
    rejected = sum(amount for key, amount in told.items() if key.startswith("rejected:"))
    unheard = sum(told[f"{fate}:{kind}"] for fate in ("refused", "lost") for kind in KINDS)
    return [
        Line("answered", sum(told[f"sent:{kind}"] for kind in KINDS) - unheard, taken + rejected),
        Line("taken in", taken, own["pings_total"], any_lost),
        Line("pings", told["accepted:pings"], located + dropped, lost["pings"], dropped),
        Line("sightings", told["accepted:sightings"], heard, lost["sightings"], dropped),
        *_labelled("rejected", "rejected:", "rejects_total", "reason", told, own, any_lost),
        *_labelled("problem", "problem:", "problems_total", "kind", told, own, 0),
        *_transitions(told, own, any_lost),
        *_decisions(told, own),
    ]


def _labelled(
    name: str,
    key: str,
    series: str,
    label: str,
    told: Mapping[str, int],
    own: Mapping[str, int],
    lost: int,
) -> Iterator[Line]:
    start = f'{series}{{{label}="'
    ours = {full[len(start) : -2]: count for full, count in own.items() if full.startswith(start)}
    theirs = {full[len(key) :]: count for full, count in told.items() if full.startswith(key)}
    for reason in sorted({*ours, *theirs}):
        yield Line(f"{name}: {reason}", theirs.get(reason, 0), ours.get(reason, 0), lost)


def _transitions(told: Counter[str], own: Counter[str], lost: int) -> Iterator[Line]:
    for kind, verb in VERBS.items():
        heard = told[f"event:zone.{verb}"] + told[f"event:beacon.{verb}"]
        known = own[f'transitions_total{{kind="{kind}"}}']
        yield Line(f"event: {kind}", heard, known, lost, is_open=kind in OF_DEADLINES)


def _decisions(told: Counter[str], own: Counter[str]) -> Iterator[Line]:
    for outcome in ("fired", "suppressed"):
        start = f'decisions_total{{outcome="{outcome}"'
        known = sum(count for name, count in own.items() if name.startswith(start))
        yield Line(f"trigger: {outcome}", told[f"event:trigger.{outcome}"], known, is_open=True)
