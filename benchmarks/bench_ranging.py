"""Which beacon place somebody is at: the engine and the naive rules, on real signal strengths.

    python benchmarks/bench_ranging.py [--data ../shared/data/beacons]

Every recording is played through the loop as a phone would report it. Somebody's true place is that
of the beacon nearest to where they were said to stand. The naive rules: the strongest signal of the
moment is the place; the same, but only within a distance by the free-space formula.
"""

from __future__ import annotations

import argparse
import csv
import platform
import random
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, pairwise
from math import hypot
from pathlib import Path
from statistics import fmean

from revision import commit

sys.path.append(str(Path(__file__).parents[1]))  # where the tests are

from geoengine.core.ranging import Sighting, observe_sighting
from geoengine.core.record import Record
from geoengine.core.visiting.deadlines import fall_due, next_deadline
from geoengine.core.visiting.visits import When
from tests.core.world import NOON_MS, World

DATA = Path(__file__).parents[2] / "shared" / "data" / "beacons"
RESULTS = Path(__file__).parent / "results" / "ranging.md"
FAINTEST_DBM = -127.0  # below is no strength: the recordings say -198 and -200 for not heard
GAP_S = 60.0  # after so long nobody knows where they were
STEP_S = 10.0  # a reading counts for no longer
TX_DBM, NEAR_M = -59.0, 10.0  # of the naive distance: strength at a metre, and what is near


@dataclass(frozen=True)
class Reading:
    """What was heard at a moment, and at which beacon's place its hearer stood."""

    at_s: float
    place: str
    heard_dbm: dict[str, float]


Session = list[Reading]
Rule = Callable[[Session], Iterator[str]]  # the place after each reading, "" for none


@dataclass
class Score:
    """How a rule did."""

    right_s: float = 0.0
    all_s: float = 0.0
    changes: int = 0  # entries into a place, or from one to another
    true_changes: int = 0
    found_s: list[float] = field(default_factory=list)  # after each true change, until it is right

    def add(self, session: Session, told: Iterable[str]) -> None:
        """Count a session."""
        places = list(told)
        since_s, waits = session[0].at_s, True
        for (reading, after), (was, place) in zip(
            pairwise(session), zip(["", *places], places, strict=False), strict=False
        ):
            step_s = min(after.at_s - reading.at_s, STEP_S)
            self.all_s += step_s
            self.right_s += step_s * (place == reading.place)
            self.changes += place not in ("", was)
            if waits and place == reading.place:
                self.found_s.append(reading.at_s - since_s)
                waits = False
            if after.place != reading.place:
                self.true_changes += 1
                since_s, waits = after.at_s, True

    def row(self, name: str) -> str:
        """A line of the table."""
        minutes = self.all_s / 60
        wait_s = sorted(self.found_s)[len(self.found_s) // 2] if self.found_s else float("nan")
        return (
            f"| {name} | {self.right_s / self.all_s:.0%} | {self.changes / minutes:.2f} "
            f"| {self.true_changes / minutes:.2f} | {len(self.found_s)} of "
            f"{self.true_changes + 1} | {wait_s:.0f} |"
        )


# --- recordings -----------------------------------------------------------------------------------

# Where the beacons of the library stand, in cells of its plan: columns count from A, rows from 1.
UCI_BEACONS = {
    "b3001": (5.5, 8.6), "b3002": (10.1, 3.9), "b3003": (14.2, 3.9), "b3004": (18.6, 3.9),
    "b3005": (10.1, 7.1), "b3006": (14.2, 7.1), "b3007": (18.6, 7.1), "b3008": (10.0, 10.1),
    "b3009": (4.2, 15.3), "b3010": (10.0, 15.3), "b3011": (13.9, 15.3), "b3012": (18.3, 15.3),
    "b3013": (23.1, 15.3),
}  # fmt: skip
ALBACETE_BEACONS = ("B1", "B2", "B3", "B4", "B5", "B6")


def uci(path: Path) -> list[Session]:
    """Walks through a library, a reading about every other second."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    readings = sorted((_uci_reading(row) for row in rows), key=lambda reading: reading.at_s)
    return split(readings)


def _uci_reading(row: dict[str, str]) -> Reading:
    at = datetime.strptime(row["date"], "%m-%d-%Y %H:%M:%S").replace(tzinfo=UTC)
    column, line = ord(row["location"][0]) - ord("A") + 1, int(row["location"][1:])
    away = {b: hypot(column - x, line - y) for b, (x, y) in UCI_BEACONS.items()}
    heard = {b: float(row[b]) for b in UCI_BEACONS if float(row[b]) >= FAINTEST_DBM}
    return Reading(at.timestamp(), min(away, key=away.__getitem__), heard)


def albacete(path: Path) -> list[Session]:
    """A stand of 100 s in each of 28 sectors, one after another, a reading a second.

    Which sector is nearest to which beacon is not recorded: the true place is that of the beacon
    that is strongest in the mean of the sector's readings.
    """
    by_sector: dict[int, list[dict[str, float]]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            heard = {b: float(row[b]) for b in ALBACETE_BEACONS}
            by_sector.setdefault(int(row["Sector"]), []).append(heard)
    session: Session = []
    for _sector, readings in sorted(by_sector.items()):
        means = {b: fmean(reading[b] for reading in readings) for b in ALBACETE_BEACONS}
        place = max(means, key=means.__getitem__)
        session += (Reading(float(len(session) + at), place, r) for at, r in enumerate(readings))
    return [session]


def at_the_edge(path: Path, seed: int) -> list[Session]:
    """An hour half-way between two beacons: their means are equal, and what comes on top are the
    deviations of real beacons from theirs, by pieces of ten seconds.
    """
    rng, pieces = random.Random(seed), list[list[float]]()
    for session in albacete(path):
        for start in range(0, len(session), 100):
            for b in ALBACETE_BEACONS:
                dbm = [reading.heard_dbm[b] for reading in session[start : start + 100]]
                apart = [value - fmean(dbm) for value in dbm]
                pieces += (apart[at : at + 10] for at in range(0, 100, 10))
    noise = {b: chain.from_iterable(rng.choices(pieces, k=360)) for b in "AB"}
    pairs = zip(*noise.values(), strict=True)
    return [
        [Reading(float(t), "A", {"A": -75 + a, "B": -75 + b}) for t, (a, b) in enumerate(pairs)]
    ]


def split(readings: list[Reading]) -> list[Session]:
    """Sessions: where nothing was heard for long, another begins."""
    sessions: list[Session] = [[]]
    for reading in readings:
        if sessions[-1] and reading.at_s > sessions[-1][-1].at_s + GAP_S:
            sessions.append([])
        sessions[-1].append(reading)
    return [session for session in sessions if len(session) > 1]


# --- rules ----------------------------------------------------------------------------------------


def strongest(session: Session) -> Iterator[str]:
    """The strongest signal of the moment."""
    for reading in session:
        heard = reading.heard_dbm
        yield max(heard, key=heard.__getitem__) if heard else ""


def near(session: Session) -> Iterator[str]:
    """The same within a distance, by the free-space formula."""
    for reading in session:
        found = {b: d for b, d in reading.heard_dbm.items() if 10 ** ((TX_DBM - d) / 20) < NEAR_M}
        yield max(found, key=found.__getitem__) if found else ""


def engine(session: Session) -> Iterator[str]:
    """What the engine says: sightings and deadlines in their order, as its step has them."""
    names = sorted({name for reading in session for name in (*reading.heard_dbm, reading.place)})
    book = World(places=[("shop", name) for name in names]).book()
    record, began_s = Record("ann"), session[0].at_s
    for reading in session:
        at_ms = NOON_MS + round((reading.at_s - began_s) * 1_000)
        while (due := next_deadline(record, book)) is not None and due[0] < at_ms:
            fall_due(record, due, book, When(due[0], due[0]))
        for name, dbm in reading.heard_dbm.items():
            zone_ix = book.zone_ix_of[f"shop/{name}"]
            observe_sighting(record, Sighting("ann", zone_ix, dbm, at_ms, at_ms), book)
        inside = [zone_id for zone_id, one in record.presences.items() if one.is_inside]
        yield next((one.partition("/")[2] for one in inside if "/" in one), "")


RULES: dict[str, Rule] = {
    "engine": engine,
    "strongest signal": strongest,
    f"strongest within {NEAR_M:g} m": near,
}


def recordings(folder: Path) -> Iterator[tuple[str, list[Session]]]:
    """What there is to play, by name."""
    if (library := folder / "uci435_ibeacon" / "iBeacon_RSSI_Labeled.csv").exists():
        yield "uci435_ibeacon", uci(library)
    for path in sorted((folder / "albacete").glob("Tx*.csv")):
        yield f"albacete {path.stem}", albacete(path)
        yield (
            f"half-way between two for forty hours, with the deviations of {path.stem}",
            [session for seed in range(40) for session in at_the_edge(path, seed)],
        )


def page(folder: Path) -> str:
    """The results."""
    lines = [
        "# Which beacon place",
        "",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.machine()}, Python "
        f"{platform.python_version()}, commit {commit()}; `python benchmarks/bench_ranging.py`. "
        "The same on every run.",
    ]
    for name, sessions in recordings(folder):
        lines += [
            "",
            f"## {name}",
            "",
            "| rule | time in the right place | changes a minute | true ones "
            "| true places found | after, s, median |",
            "|---|--:|--:|--:|--:|--:|",
        ]
        for rule_name, rule in RULES.items():
            score = Score()
            for session in sessions:
                score.add(session, rule(session))
            lines.append(score.row(rule_name))
    return "\n".join([*lines, ""])


def main() -> None:
    """Play, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.out.write_text(page(options.data), "utf-8")
    print(options.out.read_text("utf-8"))


if __name__ == "__main__":
    main()
