"""Load as users make it, against a fresh service, and both sides' books beside each other.

    make load                                       two minutes
    python benchmarks/load.py --seconds 30 --phones 500 --gateways 5 --crms 2 --tills 1 --pace 5

Starts the service on a free loopback port with a state of its own and a seeded catalogue, runs
benchmarks/locustfile.py headless, stops the service, and prints locust's figures and the service's
own counters. They must agree to the ping: where they do not, the exit status is 1 and says where.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crowd.agreement import Line, compare, samples
from revision import commit
from serving import Served, ServiceFailed, served
from workload import write_catalogue, zones

LOCUSTFILE = Path(__file__).parent / "locustfile.py"
FLAGSHIPS = 100  # stores with beacons at the door and a gateway beside it
UUID = "f7826da6-4fa2-4e98-8024-bc5b71e0893e"
RAMP_S, RAMP_SHARE = 10.0, 0.2  # everybody is there after so long, or this share of a short run
STOP_S = 30  # requests under way when the time is up are waited for, so that each is counted
PROGRESS_S = 10.0
COUNTS = ("phones", "gateways", "crms", "tills")


class LoadFailed(Exception):
    """The load could not be made; the text says why."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run found, on both sides."""

    crowd: dict[str, Any]  # as locustfile.py writes it
    page: str  # the service's metrics, when the last answer had come
    cpu_s: float
    memory_bytes: int


def write_world(directory: Path, store_count: int, seed: int) -> None:
    """The seeded stores, and some with beacons, gateways and campaigns that need them."""
    made = zones(store_count, seed)
    write_catalogue(made, directory)
    places = zip(made.lat_deg.tolist(), made.lon_deg.tolist(), strict=True)
    stores, gateways = [], []
    for number, (lat, lon) in enumerate(list(places)[:FLAGSHIPS]):
        beacon = f"{{id: door, uuid: {UUID}, major: {number}, minor: 1, place: entrance}}"
        stores.append(
            f"  - {{id: flagship-{number}, name: Flagship {number}, setting: city,"
            f" location: {{lat: {lat + 0.01:.6f}, lon: {lon:.6f}}}, time_zone: Europe/Paris,"
            f" country: FR, reach: {{radius_m: 300}}, tags: [flagship], beacons: [{beacon}]}}\n"
        )
        gateways.append(f"  - {{id: gw-{number}, store: flagship-{number}, place: entrance}}\n")
    campaigns = (
        "  - {id: linger, on: dwell, zones: {tags: [flagship]}, levers: [log],"
        ' coupon: {kind: unique, valid: 2h}, message: {en: "Something for you at {store}"}}\n'
    )
    text = f"stores:\n{''.join(stores)}gateways:\n{''.join(gateways)}campaigns:\n{campaigns}"
    (directory / "flagships.yaml").write_text(text, "utf-8")


def run(options: argparse.Namespace, directory: Path) -> Run:
    """Serve, load, read both books, stop."""
    config = directory / "config"
    write_world(config, options.stores, options.seed)
    with served(config, directory / "state.db") as service:
        say(f"a fresh service on {service.url}: {options.stores + FLAGSHIPS:,} stores")
        crowd = drive(options, service, config, directory)
        return Run(crowd, service.page("/metrics"), service.cpu_s(), service.memory_bytes())


def drive(
    options: argparse.Namespace, service: Served, config: Path, directory: Path
) -> dict[str, Any]:
    """Run locust to its end, telling how far it is; what it wrote down."""
    tally, log = directory / "tally.json", directory / "locust.log"
    with log.open("wb") as output:
        child = subprocess.Popen(
            command(options, service, config, tally),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            follow(child, service)
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()
    said = log.read_text(errors="replace")
    if not tally.exists():
        raise LoadFailed(f"locust ended with {child.returncode}:\n{said[-4_000:]}")
    for line in said.splitlines():
        if line.startswith("load: "):
            print(line)
    found: dict[str, Any] = json.loads(tally.read_text("utf-8"))
    return found


def command(options: argparse.Namespace, service: Served, config: Path, tally: Path) -> list[str]:
    """How locust is run."""
    weights = {name: getattr(options, name) for name in COUNTS}
    users = sum(weights.values())
    ramp_s = min(RAMP_S, RAMP_SHARE * options.seconds)
    return [
        sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary",
        "--host", service.url, "--ingest", service.ingest_url if options.lean else "",
        "--catalogue", str(config), "--tally", str(tally),
        "--users", str(users), "--spawn-rate", str(max(users / ramp_s, 1)),
        "--run-time", f"{options.seconds}s", "--stop-timeout", str(STOP_S),
        "--pace", str(options.pace),
        *(text for name, count in weights.items() for text in (f"--{name}", str(count))),
    ]  # fmt: skip


def follow(child: subprocess.Popen[bytes], service: Served) -> None:
    """Until it ends, a line every few seconds from the service's own counters."""
    began_s = time.monotonic()
    while True:
        try:
            child.wait(PROGRESS_S)
            return
        except subprocess.TimeoutExpired:
            own = samples(service.page("/metrics"))
            say(
                f"{time.monotonic() - began_s:4.0f} s: {own['geoengine_pings_total']:,} taken in, "
                f"{own['geoengine_commit_seconds_count']:,} batches, "
                f"{own['geoengine_people']:,} people, {service.cpu_s():.1f} s of processor"
            )


def report(found: Run) -> tuple[str, list[Line]]:
    """Both tables, and the counts that differ."""
    own = samples(found.page)
    lines = compare(found.crowd["counts"], own)
    seconds = found.crowd["seconds"]
    page = [
        "",
        f"{'request':42}{'requests':>10}{'errors':>8}{'per s':>9}"
        f"{'p50 ms':>8}{'p95 ms':>8}{'p99 ms':>8}{'max ms':>8}",
        *(request_row(row, seconds) for row in found.crowd["requests"]),
        "",
        f"{'count':42}{'crowd':>12}{'service':>12}  ",
        *(f"{line.name:42}{line.crowd:>12,}{line.service:>12,}  {line.verdict}" for line in lines),
        f"{'batches':42}{'':12}{own['geoengine_commit_seconds_count']:>12,}",
        "",
        f"the service used {found.cpu_s:.1f} s of processor in {seconds:.0f} s, "
        f"and {found.memory_bytes / 1e6:.0f} MB",
    ]
    return "\n".join(page), [line for line in lines if not line.agrees]


def request_row(row: dict[str, Any], seconds: float) -> str:
    """A line of locust's figures."""
    return (
        f"{row['name']:42}{row['requests']:>10,}{row['errors']:>8,}"
        f"{row['requests'] / max(seconds, 1e-9):>9.1f}{row['p50_ms']:>8.0f}{row['p95_ms']:>8.0f}"
        f"{row['p99_ms']:>8.0f}{row['max_ms']:>8.0f}"
    )


def heading(options: argparse.Namespace) -> str:
    """What a written page begins with."""
    crowd = " ".join(f"--{name} {getattr(options, name)}" for name in COUNTS)
    return (
        "# Load as users make it\n\n"
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores shared with "
        f"locust and others, Python {platform.python_version()}, commit {commit()}; "
        f"`python benchmarks/load.py --seconds {options.seconds} --pace {options.pace:g} {crowd} "
        f"--stores {options.stores} --seed {options.seed}{' --lean' * options.lean}`. Above what "
        "locust saw, below what both sides counted.\n"
    )


def say(text: str) -> None:
    """Progress, at once also through a pipe."""
    print(f"load: {text}", flush=True)


def main() -> None:
    """Run and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--stores", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pace", type=float, default=1.0)
    for name, count in zip(COUNTS, (2_000, 20, 5, 5), strict=True):
        parser.add_argument(f"--{name}", type=int, default=count)
    parser.add_argument("--lean", action="store_true", help="Ping through the ingest port.")
    parser.add_argument("--out", type=Path, help="Write the tables here as well.")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as name:
            found = run(options, Path(name))
    except (ServiceFailed, LoadFailed) as error:
        raise SystemExit(f"load: {error}") from None
    page, wrong = report(found)
    print(page)
    if options.out:
        options.out.write_text(f"{heading(options)}\n```\n{page.strip()}\n```\n", "utf-8")
    for line in wrong:
        say(f"{line.name}: the crowd counts {line.crowd:,}, the service {line.service:,}")
    if wrong:
        raise SystemExit(1)
    if not found.crowd["counts"].get("accepted:pings"):
        raise SystemExit("load: no ping was taken in")
    say("both sides agree to the ping")


if __name__ == "__main__":
    main()
