"""What a gateway's posts cost to decode, of which most adverts are strangers'.

``python benchmarks/bench_gateways.py [--out benchmarks/results/gateways.md] [--rounds 15]``

A post holds what is heard in one second: 200 adverts, 95 % of strangers, the rest iBeacons. In the
dearest row the strangers are beacons too, of somebody else, which only the list of registered ones
can tell. Beside it, in the same rounds, stands the JSON by itself, read into plain objects. From
the body to reports and reasons; no HTTP, and nothing of what comes after.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from revision import commit

from geoengine.ingest.gateways import minew
from geoengine.ingest.reports import Origin

SEED = 20261122
ADVERTS = 200  # in a post, and in a second
STRANGERS = 0.95
NOW_MS = 1_790_000_000_000
POSTS = 20  # of each kind, in a round
BAR_PERCENT = 5

UUID = "f7826da64fa24e988024bc5b71e0893e"
Heard = tuple[str, int]  # an advertisement in hex digits, and its signal strength


def stranger(rng: random.Random) -> str:
    """An advertisement of a laptop, a phone, a thermometer, a tag, or of nothing but a name."""
    return rng.choice(
        [
            "1eff060001092002" + rng.randbytes(23).hex(),
            "02011a020a0c0aff4c001005" + rng.randbytes(5).hex(),
            "1eff4c001219" + rng.randbytes(25).hex(),
            "0201061bff990405" + rng.randbytes(24).hex(),
            "0201060303aafe1116aafe20" + rng.randbytes(13).hex(),
            "0201060d09" + rng.randbytes(12).hex(),
        ]
    )


def ibeacon(rng: random.Random, uuid: str = UUID) -> str:
    """An iBeacon with some numbers."""
    return f"0201061aff4c000215{uuid}{rng.randbytes(4).hex()}c5"


def crowd(rng: random.Random, other: Callable[[random.Random], str]) -> list[Heard]:
    """The adverts of a second, of whom most are others."""
    heard = [
        (other(rng) if rng.random() < STRANGERS else ibeacon(rng), -rng.randint(40, 95))
        for _ in range(ADVERTS)
    ]
    rng.shuffle(heard)
    return heard


def foreign(rng: random.Random) -> str:
    """A beacon of somebody else."""
    return ibeacon(rng, rng.randbytes(16).hex())


def json_long(heard: list[Heard]) -> bytes:
    """The firmware makes out iBeacons by itself."""
    rows: list[dict[str, Any]] = [gateway() | {"type": "Gateway", "gatewayFree": 89}]
    for advert, rssi in heard:
        row = {"timestamp": "2026-09-21T14:13:19.667Z", "type": "Unknown", "mac": "C3000025EF6A"}
        row |= {"bleName": "", "rssi": rssi}
        rows.append(row | (made_out(advert) if "4c000215" in advert else {"rawData": advert}))
    return json.dumps(rows, separators=(",", ":")).encode()


def made_out(advert: str) -> dict[str, Any]:
    at = advert.index("4c000215") + 8
    major, minor = int(advert[at + 32 : at + 36], 16), int(advert[at + 36 : at + 40], 16)
    told = {"type": "iBeacon", "ibeaconUuid": advert[at : at + 32].upper(), "battery": 0}
    return told | {"ibeaconMajor": major, "ibeaconMinor": minor, "ibeaconTxPower": -59}


def gateway() -> dict[str, Any]:
    return {"timestamp": "2026-09-21T14:13:19.668Z", "mac": "AC233FC03641"}


def json_raw(heard: list[Heard]) -> bytes:
    """Every advertisement as it was heard."""
    rows: list[dict[str, Any]] = [{"gateway": "AC233FC03641"}]
    rows += [
        {"timestamp": 1789999999667, "mac": "C3000025EF6A", "rssi": rssi, "rawData": advert}
        for advert, rssi in heard
    ]
    return json.dumps(rows, separators=(",", ":")).encode()


def binary(heard: list[Heard]) -> bytes:
    """A tag with one packet each."""
    body = bytes.fromhex("ac233fc03641") + len(heard).to_bytes(2, "big")
    for advert, rssi in heard:
        data = bytes.fromhex(advert)
        body += bytes.fromhex("c3000025ef6a0001") + bytes([len(data)]) + data
        body += bytes([0, rssi & 0xFF])
    return b"\xbb\x01" + (len(body) + 7).to_bytes(4, "big") + body + b"\xdd"


def spent_us(work: Callable[[], object]) -> float:
    """Processor microseconds of an advert."""
    began = time.process_time_ns()
    for _ in range(POSTS):
        work()
    return (time.process_time_ns() - began) / POSTS / ADVERTS / 1_000


def measured(rounds: int) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Rounds of each way, in alternation; and what each post held."""
    rng = random.Random(SEED)
    heard, beacons = crowd(rng, stranger), crowd(rng, foreign)
    bodies = {
        "JSON-LONG": json_long(heard),
        "JSON-RAW": json_raw(heard),
        "binary": binary(heard),
        "JSON-LONG, strangers are beacons": json_long(beacons),
    }
    origin = Origin(recv_ms=NOW_MS)
    held = {}
    for name, body in bodies.items():
        decoded = minew.decode(body, origin)
        assert len(decoded.reports) + len(decoded.drops) == ADVERTS
        held[name] = f"{len(body):,} | {len(decoded.reports)} of {ADVERTS}"
    ways: dict[str, Callable[[], object]] = {
        name: lambda body=body: minew.decode(body, origin)  # type: ignore[misc]
        for name, body in bodies.items()
    }
    floor = bodies["JSON-LONG"]
    ways["the JSON-LONG by itself"] = lambda: msgspec.json.decode(floor)
    held["the JSON-LONG by itself"] = f"{len(floor):,} | –"
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            found[name].append(spent_us(work))
    return found, held


def report(rounds: int) -> str:
    found, held = measured(rounds)
    floors = found["the JSON-LONG by itself"]
    now = datetime.now(UTC)
    text = f"# Gateways\n\n{now:%Y-%m-%d %H:%M} UTC, {platform.machine()}, {os.cpu_count()} cores "
    text += f"shared with others, Python {platform.python_version()}, commit {commit()}, "
    text += f"seed {SEED}; `python benchmarks/bench_gateways.py --rounds {rounds}`.\n\n"
    text += (__doc__ or "").split("\n\n", 2)[2]
    text += "\nProcessor time; the least of the rounds, in brackets their median. The ratio is the "
    text += "median of the rounds' own ratios to the JSON by itself.\n\n"
    text += "| post | bytes | beacons | µs an advert | ratio | of a core at 200 a second |\n"
    text += "|---|--:|--:|--:|--:|--:|\n"
    for name, spent in found.items():
        middle = statistics.median(spent)
        ratio = statistics.median(map(lambda us, floor: us / floor, spent, floors))
        text += f"| {name} | {held[name]} | {min(spent):.2f} ({middle:.2f}) | {ratio:.1f} | "
        text += f"{ADVERTS * middle / 1e4:.2f} % |\n"
    return text + f"\nThe bar is {BAR_PERCENT} % of a core for all that a gateway's posts cost.\n"


def main() -> None:
    """Measure, show, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/gateways.md"))
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    text = report(arguments.rounds)
    sys.stdout.write(text)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(text)


if __name__ == "__main__":
    main()
