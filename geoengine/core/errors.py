"""The errors of the engine.

::

    GeoengineError
    ├── ConfigurationError    the catalogue is bad: carries every fault with file, line, column
    ├── StateError            the world's fault, in the state
    │   ├── StateUnavailable  full disk, lost connection: try again, the answer is 503
    │   ├── StateConflict     somebody else changed a record first: load, step and commit again
    │   └── StateLocked       another engine holds the same state
    ├── TraceError            a trace that cannot be read at all
    ├── DataError             a file for `geoengine data add`, or what was made of one, is no use
    └── RoadsError            a road network was asked, and
        ├── NoWay             it has no answer for this place: asking again gives the same
        └── RouterDown        the world's fault: try again

A bad *input* is none of these: a ping that makes no sense is a reject, a value with a reason.
Our own fault is an assertion, and commits nothing.
"""

from __future__ import annotations

from dataclasses import dataclass


class GeoengineError(Exception):
    """The root: what a caller catches who catches one thing."""


@dataclass(frozen=True, order=True)
class Fault:
    """One thing wrong in the catalogue, where it stands, and what was expected there."""

    file: str
    line: int
    column: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.what}"


class ConfigurationError(GeoengineError):
    """The catalogue has faults; `faults` holds all of them, in order of file and line."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = sorted(faults)
        super().__init__("\n".join(map(str, self.faults)))


class StateError(GeoengineError):
    """The state could not do what was asked."""


class StateUnavailable(StateError):
    """Nothing is known to have been committed; the same call may work later."""


class StateConflict(StateError):
    """Records had another version than the one loaded; of these people nothing was committed."""

    def __init__(self, people: list[str]) -> None:
        self.people = people
        super().__init__(f"{len(people)} record(s) changed meanwhile")


class StateLocked(StateError):
    """Another process holds this state; two engines on one file would corrupt each other."""


class TraceError(GeoengineError):
    """The trace file cannot be read: unknown kind, or no usable column."""


class DataError(GeoengineError):
    """A file given to `geoengine data add`, or what was kept of one, cannot be used; the text says
    what was expected.
    """


class RoadsError(GeoengineError):
    """A road network was asked, and did not answer."""


class NoWay(RoadsError):
    """For this place there is no answer, now or later; the text is the router's reason."""


class RouterDown(RoadsError):
    """The router cannot be reached, is overloaded or broke; the same question may work later."""
