"""What a gateway costs the service: 200 adverts a second, 95 % of strangers, over real HTTP.

    python benchmarks/bench_gateway_service.py [--seconds 20]

The service is a process of its own with the embedded state on disk; a gateway posts to it from
another, on one connection, paced by the clock. Of its adverts five in a hundred are tags bound to
people; all others are strangers: phones, laptops and thermometers, or in the dearer rows iBeacons
of somebody else, which only a look at who is bound to what tells apart. What counts is the
processor time of the service, all its threads, above what it takes when nothing is posted. Beside
it stands a floor: as many requests a second that only ask how it is. Results go to
benchmarks/results/gateway_service.md.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.request import Request, urlopen

from bench_gateways import ADVERTS, BAR_PERCENT, SEED, STRANGERS, foreign, stranger
from revision import commit
from serving import Served, served

RESULTS = Path(__file__).parent / "results" / "gateway_service.md"
SECRET = "only-for-a-benchmark"
KEY = "a-server-key-only-for-a-benchmark"
TAG = "0c1f5c326d3a4a3b9c430d5f7f7f0a01"
TAGS = 10
GATEWAY = "ac233fc03641"
CATALOGUE = f"""
stores:
  - {{id: shop, name: Shop, location: {{lat: 48.8583, lon: 2.3470}}, setting: city}}
gateways:
  - {{id: "{GATEWAY}", store: shop, kind: minew, secret: {SECRET}}}
  - {{id: "{GATEWAY[:-1]}2", store: shop, kind: ingics, secret: {SECRET}}}
engine: {{consent: {{location: assumed}}}}
"""
Other = Callable[[random.Random], str]
Body = Callable[[list[str], random.Random], bytes]


@dataclass(frozen=True)
class Load:
    """How a gateway posts: so many adverts a post, in whose words, among which strangers."""

    name: str
    kind: str
    size: int
    other: Other
    body: Body
    is_lean: bool = False  # the door that it is posted to


class Row(NamedTuple):
    """What one load cost."""

    name: str
    kind: str
    share: float  # of a core, per cent
    per_s: float  # adverts


def minew(adverts: list[str], rng: random.Random) -> bytes:
    """JSON-LONG, where the firmware makes iBeacons out by itself."""
    at = f"{datetime.now(UTC).isoformat(timespec='milliseconds').removesuffix('+00:00')}Z"
    rows = [{"timestamp": at, "type": "Gateway", "mac": GATEWAY.upper(), "gatewayFree": 89}]
    for advert in adverts:
        row = {"timestamp": at, "mac": rng.randbytes(6).hex().upper(), "rssi": -rng.randint(40, 95)}
        if (start := advert.find("4c000215") + 8) < 8:
            row |= {"type": "Unknown", "bleName": "", "rawData": advert}
        else:
            major, minor = (int(advert[start + at : start + at + 4], 16) for at in (32, 36))
            row |= {"type": "iBeacon", "bleName": "", "ibeaconUuid": advert[start : start + 32]}
            row |= {"ibeaconMajor": major, "ibeaconMinor": minor, "ibeaconTxPower": -59}
        rows.append(row)
    return json.dumps(rows, separators=(",", ":")).encode()


def ingics(adverts: list[str], rng: random.Random) -> bytes:
    """Lines of text."""
    gateway, now_s = f"{GATEWAY[:-1]}2".upper(), time.time()
    return "".join(
        f"$GPRP,{rng.randbytes(6).hex().upper()},{gateway},-{rng.randint(40, 95)},"
        f"{advert.upper()},{now_s:.3f}\r\n"
        for advert in adverts
    ).encode()


LOADS = (
    Load("one post a second", "minew", 200, stranger, minew),
    Load("one post a second, strangers are beacons", "minew", 200, foreign, minew),
    Load("20 posts a second", "minew", 10, stranger, minew),
    Load("200 posts a second", "ingics", 1, stranger, ingics),
    Load("200 posts a second, strangers are beacons", "ingics", 1, foreign, ingics),
    Load("200 posts a second, lean door", "ingics", 1, stranger, ingics, is_lean=True),
    Load("the same, strangers are beacons", "ingics", 1, foreign, ingics, is_lean=True),
)


def heard(rng: random.Random, size: int, other: Other) -> list[str]:
    """The adverts of a post."""
    return [
        other(rng) if rng.random() < STRANGERS else f"0201061aff4c000215{TAG}0007{own:04x}c5"
        for own in (rng.randrange(TAGS) for _ in range(size))
    ]


def bind(service: Served) -> None:
    """Give each of some people a tag."""
    for number in range(TAGS):
        asked = Request(
            f"{service.url}/v1/people/person-{number}",
            json.dumps({"beacon": f"{TAG}:7:{number}"}).encode(),
            {"Authorization": f"Bearer {KEY}"},
            method="PUT",
        )
        with urlopen(asked) as answer:
            answer.read()


def posted(service: Served, load: Load, seconds: float, rng: random.Random) -> int:
    """Post for so long, paced by the clock; how many adverts."""
    port = service.ingest_port if load.is_lean else service.port
    connection = http.client.HTTPConnection("127.0.0.1", port)
    path, count = f"/in/gw/{load.kind}/{SECRET}", 0
    for due_s in _ticks(seconds, ADVERTS / load.size):
        body = load.body(heard(rng, load.size, load.other), rng)
        time.sleep(max(0.0, due_s - time.monotonic()))
        _ask(connection, "POST", path, body)
        count += load.size
    connection.close()
    return count


def asked(service: Served, seconds: float) -> int:
    """Ask how it is, as often as there are adverts; none of them was sent."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port)
    for due_s in _ticks(seconds, ADVERTS):
        time.sleep(max(0.0, due_s - time.monotonic()))
        _ask(connection, "GET", "/healthz", None)
    connection.close()
    return 0


def _ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None
) -> None:
    connection.request(method, path, body)
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise SystemExit(f"{method}: {answer.status}")


def _ticks(seconds: float, per_s: float) -> Iterator[float]:
    begin_s = time.monotonic()
    for number in range(round(seconds * per_s)):
        yield begin_s + number / per_s


def measured(seconds: float) -> tuple[float, list[Row]]:
    """Per cent of a core with nothing to do, and with each load."""
    rng = random.Random(SEED)
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config"
        config.mkdir()
        (config / "shop.yaml").write_text(CATALOGUE)
        keys = {"GEOENGINE_SERVER_KEYS": KEY}
        with served(config, Path(folder) / "state.db", keys) as service:
            bind(service)
            posted(service, LOADS[0], 2.0, rng)  # whatever is done once is done
            idle, _ = _share(service, lambda: _wait(seconds))
            rows = [
                Row(
                    load.name,
                    load.kind,
                    *_share(service, partial(posted, service, load, seconds, rng)),
                )
                for load in LOADS
            ]
            rows.append(
                Row(
                    "200 times a second: how is it?",
                    "–",
                    *_share(service, partial(asked, service, seconds)),
                )
            )
    return idle, rows


def _share(service: Served, work: Callable[[], int]) -> tuple[float, float]:
    """Per cent of a core that the service takes meanwhile, and adverts a second."""
    before_s, since_s = service.cpu_s(), time.monotonic()
    count = work()
    took_s = time.monotonic() - since_s
    share = 100 * (service.cpu_s() - before_s) / took_s
    print(f"{share:.2f} %, {count / took_s:.0f} adverts/s", flush=True)
    return share, count / took_s


def _wait(seconds: float) -> int:
    time.sleep(seconds)
    return 0


def page(idle: float, rows: list[Row], seconds: float) -> str:
    """The page of results."""
    lines = [
        "# A gateway at the service",
        "",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.machine()}, {os.cpu_count()} cores "
        f"shared with others, Python {platform.python_version()}, commit {commit()}, seed {SEED}; "
        f"`python benchmarks/bench_gateway_service.py --seconds {seconds:g}`.",
        "",
        f"{ADVERTS} adverts a second, {100 * STRANGERS:.0f} % of strangers, to `/in/gw/…` over "
        f"HTTP on one connection; the rest are tags of {TAGS} people, and what follows of them is "
        "durable before the answer. Processor time of the service, all its threads.",
        "",
        "| posts | kind | adverts/s | of a core | above idle |",
        "|---|---|--:|--:|--:|",
        f"| none | – | 0 | {idle:.2f} % | |",
    ]
    for row in rows:
        lines.append(
            f"| {row.name} | {row.kind} | {row.per_s:.0f} | {row.share:.2f} % "
            f"| {row.share - idle:.2f} % |"
        )
    lines += [
        "",
        f"The bar is {BAR_PERCENT} % of a core. The load of the machine was "
        f"{os.getloadavg()[1]:.1f}.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="of each load")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    idle, rows = measured(options.seconds)
    options.out.write_text(page(idle, rows, options.seconds))
    print(options.out)


if __name__ == "__main__":
    main()
