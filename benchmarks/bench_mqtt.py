"""Messages of a broker: how many a second, and what each costs the service.

    python benchmarks/bench_mqtt.py [--seconds 10] [--rate 2000]

A Mosquitto on loopback, the service in a process of its own with the embedded state, and a
publisher in this one that writes packets made beforehand. Phones publish OwnTracks locations with
quality of service 1, one in twenty of them in a zone, first at a steady rate, then all at once;
a gateway publishes an advert a message, 95 % of them strangers'. A message counts when its commit
is durable: by the service's own metrics. Results: benchmarks/results/mqtt.md.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import platform
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from revision import commit
from serving import Served, served
from workload import write_catalogue, zones

RESULTS = Path(__file__).parent / "results" / "mqtt.md"
ZONES = 1_000
PHONES = 500
ADVERTS_PER_S = 200
SEED = 7
GATEWAY = """
stores:
  - id: shop
    name: Shop
    location: {lat: 48.8583, lon: 2.3470}
    setting: city
gateways:
  - {id: box, store: shop, kind: theengs}
"""


@dataclass(frozen=True)
class Row:
    """What one load cost."""

    what: str
    count: int
    seconds: float
    cpu_s: float
    behind_s: float  # from the last message written to the last one durable

    def line(self) -> str:
        """A row of the table."""
        return (
            f"| {self.what} | {self.count:,} | {self.count / self.seconds:,.0f} | "
            f"{1e6 * self.cpu_s / self.count:.0f} | {100 * self.cpu_s / self.seconds:.1f} % | "
            f"{1e3 * self.behind_s:.0f} |"
        )


class Publisher:
    """Writes packets to a broker; reads and forgets what it answers."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        name = b"bench"
        hello = b"\x00\x04MQTT\x04\x02\x00\x00" + len(name).to_bytes(2, "big") + name
        self._socket.sendall(bytes([0x10, len(hello)]) + hello)
        assert self._socket.recv(4)[3] == 0

    def send(self, packets: bytes) -> None:
        """Write, and take in what has come back meanwhile."""
        self._socket.sendall(packets)
        self._socket.setblocking(False)
        try:
            while self._socket.recv(1 << 16):
                pass
        except BlockingIOError:
            pass
        self._socket.setblocking(True)

    def close(self) -> None:
        self._socket.close()


def packet(topic: str, body: bytes, qos: int, mid: int) -> bytes:
    """A PUBLISH."""
    name = topic.encode()
    rest = len(name).to_bytes(2, "big") + name
    rest += (1 + mid % 65_535).to_bytes(2, "big") if qos else b""
    rest += body
    length, size = len(rest), b""
    while True:
        length, digit = divmod(length, 128)
        size += bytes([digit | (0x80 if length else 0)])
        if not length:
            return bytes([0x30 | qos << 1]) + size + rest


def locations(count: int, places: Sequence[tuple[float, float]], seed: int) -> Iterator[bytes]:
    """Phones in turn, a minute apart, each at home two kilometres from a zone; one message in
    twenty is from the zone's middle.
    """
    chance, now_s = random.Random(seed), int(time.time())
    for number in range(count):
        phone, turn = number % PHONES, number // PHONES
        lat, lon = places[phone]
        lat += 0.0 if chance.random() < 0.05 else 0.02
        at_s = now_s - 6_000 + 60 * turn
        body = {"_type": "location", "lat": lat, "lon": lon, "acc": 10, "tst": at_s}
        yield packet(f"owntracks/user{phone}/phone", json.dumps(body).encode(), 1, number)


def adverts(count: int, seed: int) -> Iterator[bytes]:
    """What one gateway hears: strangers' phones, and now and then an iBeacon."""
    chance = random.Random(seed)
    for number in range(count):
        mac = f"{chance.getrandbits(48):012X}"
        body = {"id": mac, "rssi": -70, "mfid": "4c00", "manufacturerdata": "4c0010050b1c5f2a9e"}
        if chance.random() < 0.05:
            uuid = "f7826da64fa24e988024bc5b71e0893e"
            body = {"id": mac, "rssi": -70, "uuid": uuid, "major": 1, "minor": 1, "txpower": -59}
        yield packet(f"home/box/BTtoMQTT/{mac}", json.dumps(body).encode(), 0, number)


@contextmanager
def broker(folder: Path, in_flight: int) -> Iterator[int]:
    """A Mosquitto; its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    lines = (
        f"listener {port} 127.0.0.1", "allow_anonymous true", f"user {getpass.getuser()}",
        f"max_inflight_messages {in_flight}", "max_queued_messages 1000000",
    )  # fmt: skip
    (folder / "broker.conf").write_text("".join(f"{line}\n" for line in lines))
    program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    child = subprocess.Popen([program, "-c", folder / "broker.conf"], stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        child.terminate()
        child.wait()


def taken(service: Served, kind: str) -> int:
    """How many messages of a kind are done with."""
    lines = service.page("/metrics").splitlines()
    wanted = f'geoengine_mqtt_messages_total{{kind="{kind}"'
    return int(sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(wanted)))


def wait_until_heard(service: Served) -> None:
    """Until the broker is subscribed to."""
    while "geoengine_mqtt_connected" not in (page := service.page("/metrics")) or not any(
        line.startswith("geoengine_mqtt_connected{") and line.endswith(" 1.0")
        for line in page.splitlines()
    ):
        time.sleep(0.05)


def measured(
    service: Served, port: int, what: str, kind: str, packets: list[bytes], rate: float | None
) -> Row:
    """Publish at a rate, or all at once, and wait until all is durable."""
    publisher, before = Publisher(port), taken(service, kind)
    cpu_s, began_s = service.cpu_s(), time.perf_counter()
    step = 20
    for first in range(0, len(packets), step):
        publisher.send(b"".join(packets[first : first + step]))
        if rate is not None:
            time.sleep(max(0.0, began_s + (first + step) / rate - time.perf_counter()))
    written_s = time.perf_counter()
    while taken(service, kind) < before + len(packets):
        time.sleep(0.02)
        assert time.perf_counter() < written_s + 120, "messages are missing"
    ended_s = time.perf_counter()
    publisher.close()
    used_s = service.cpu_s() - cpu_s
    return Row(what, len(packets), ended_s - began_s, used_s, ended_s - written_s)


def run(seconds: float, rate: int, in_flight: int) -> list[Row]:
    """All loads against a fresh broker and a fresh service."""
    with tempfile.TemporaryDirectory() as name, broker(Path(name), in_flight) as port:
        folder = Path(name)
        shapes = zones(ZONES, SEED)
        write_catalogue(shapes, folder / "config")
        (folder / "config" / "gateway.yaml").write_text(GATEWAY)
        places = list(zip(shapes.lat_deg.tolist(), shapes.lon_deg.tolist(), strict=True))
        options = ["--mqtt", f"mqtt://127.0.0.1:{port}"]
        with served(folder / "config", folder / "state.db", options=options) as service:
            wait_until_heard(service)
            count = int(rate * seconds)
            steady = list(locations(count, places, 1))
            burst = list(locations(2 * count, places, 2))[count:]
            heard = list(adverts(int(ADVERTS_PER_S * seconds), 3))
            loads = (
                (f"phones, {rate:,}/s; {in_flight} in flight", "owntracks", steady, rate),
                (f"phones, at once; {in_flight} in flight", "owntracks", burst, None),
                (f"a gateway's adverts, {ADVERTS_PER_S}/s", "theengs", heard, ADVERTS_PER_S),
            )
            return [measured(service, port, *load) for load in loads]


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=int, default=2_000)
    chosen = parser.parse_args()
    rows = run(chosen.seconds, chosen.rate, 20)[:2] + run(chosen.seconds, chosen.rate, 1_000)
    today, load = datetime.now(UTC).date(), os.getloadavg()[0]
    text = "\n".join([
        "# Messages of a broker",
        "",
        f"{today}, {platform.machine()}, {os.cpu_count()} cores shared with broker, publisher and "
        f"others (load {load:.1f}), Python {platform.python_version()}, commit {commit()}; "
        f"`python benchmarks/bench_mqtt.py --seconds {chosen.seconds:g} --rate {chosen.rate}`.",
        "",
        f"Embedded state, {ZONES:,} zones, {PHONES} phones, one location in twenty in a zone; "
        "until the commit of each message is durable. Processor time is the service's alone. In "
        "flight: what Mosquitto lets a subscriber have unacknowledged; 20 is its default.",
        "",
        "| load | messages | a second | µs of processor a message | of a core | last one durable "
        "after, ms |",
        "|---|---|---|---|---|---|",
        *(row.line() for row in rows),
        "",
    ])  # fmt: skip
    print(text)
    RESULTS.write_text(text)


if __name__ == "__main__":
    main()
