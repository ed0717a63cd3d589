"""Every decoder, and a million spoiled messages for each: nothing raises, whatever comes.

    python -m tests.faults.decoders [--rounds 1000000] [--seed 5] [--only owntracks minew_g1 ...]

Each round spoils one of the well-formed messages of the decoder's tests: bytes flip, vanish, repeat
or come from another message, and values become others. What comes of it must be finite numbers and
texts that can be told on.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from importlib import import_module
from typing import Any

import msgspec

from geoengine.ingest.kinds import KINDS
from geoengine.ingest.pings import columns_of
from geoengine.ingest.reports import Origin, Position, Report, Sighted
from geoengine.ingest.sightings import heard_of, key_of
from geoengine.ingest.wire import Rows
from geoengine.service.native.entering import ping_of_position
from geoengine.state.loop import beacon_name

NOW_MS = 1_795_300_000_000
# By kind: where the tests of its decoder are.
TESTS = {
    "owntracks": "clients.test_owntracks", "overland": "clients.test_overland",
    "traccar_client": "clients.test_osmand", "transistorsoft": "clients.test_bgeo",
    "gpslogger": "clients.test_gpslogger", "minew_g1": "gateways.test_minew",
    "ingics": "gateways.test_ingics", "theengs_omg": "gateways.test_theengs",
    "espresense": "gateways.test_espresense", "ruuvi": "gateways.test_ruuvi",
    "moko": "gateways.test_moko", "meraki": "gateways.test_meraki",
    "room_assistant": "gateways.test_room_assistant",
    "april_brother": "gateways.test_april_brother",
    "blukii": "gateways.test_blukii", "cassia": "gateways.test_cassia",
    "aruba": "gateways.test_aruba", "kontakt": "gateways.test_kontakt",
    "mongoose_kiwi": "gateways.test_raw_adv", "raw_adv": "gateways.test_raw_adv",
}  # fmt: skip
TOPICS = (
    "", "owntracks/ann/phone", "owntracks/a b/c/event", "home/gw/BTtoMQTT/AABBCCDDEEFF",
    "espresense/devices/iBeacon:fda50693-a4e2-4fb1-afcf-c6eb07647825-1-2/hall",
    "room-assistant/entity/hall/bluetooth-low-energy-presence-sensor/ble-x", "ruuvi/AA:BB/CC:DD",
    "/gw/ac233fc03641/status", "/", "$", "owntracks//",
)  # fmt: skip
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1e308, -1e308, 2**31, 2**63, -(2**63), 10**30, 0.1, "", "0", "-1",
    "nan", "Infinity", "1e999", "9" * 300, "\0", "é" * 99, "4C00", "zz", [], {}, [[]], [{}], [None],
    {"a": {"b": []}}, "2014-06-04 09:10", "0001-01-01T00:00:00Z", "2024-02-30T25:61:61+99:99",
)  # fmt: skip


def spoiled(
    rng: random.Random, examples: list[bytes], texts: list[bytes], values: list[Any]
) -> bytes:
    """A message near to a well-formed one; ``texts`` are those that are JSON."""
    if texts and rng.random() < 0.5:
        value = msgspec.json.decode(rng.choice(texts))
        for _ in range(rng.randint(1, 4)):
            revalue(rng, value, values)
        return json.dumps(value).encode("utf-8", "surrogatepass")
    message = bytearray(rng.choice(examples))
    for _ in range(rng.randint(1, 5)):
        at = rng.randrange(len(message) + 1)
        end = min(len(message), at + rng.randint(0, 16))
        other = rng.choice(examples)
        start = rng.randrange(len(other) + 1)
        message[at:end] = rng.choice(
            (
                b"", rng.randbytes(1), rng.randbytes(4), bytes(message[at:end]) * 3,
                other[start : start + rng.randint(0, 40)],
            )
        )  # fmt: skip
    return bytes(message)


def examples_of_json(examples: list[bytes]) -> list[bytes]:
    """Those that are JSON."""
    found = []
    for example in examples:
        try:
            msgspec.json.decode(example)
        except ValueError:
            continue
        found.append(example)
    return found


def revalue(rng: random.Random, value: Any, values: list[Any]) -> None:
    """Walk to some place in a value and put something else there."""
    while isinstance(value, dict | list) and value:
        key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        if not isinstance(value[key], dict | list) or rng.random() < 0.25:
            odd = rng.choice(values)
            value[key] = json.loads(json.dumps(odd)) if isinstance(odd, dict | list) else odd
            return
        value = value[key]


def laid_out(reports: list[Report]) -> None:
    """What the service makes of them: columns, and rejects for what no column may hold."""
    heard = [report for report in reports if isinstance(report, Sighted)]
    heard_of(Rows(list(heard), len(heard)), recv_ms=NOW_MS)
    for report in heard:
        beacon_name(key_of(report))
    fixes = [report for report in reports if isinstance(report, Position)]
    columns_of([ping_of_position(report) for report in fixes], recv_ms=NOW_MS)


def fuzz(kind: str, rounds: int, seed: int) -> tuple[int, int]:
    """Decode so many spoiled messages; how many gave reports, and how many gave none."""
    module = import_module(f"tests.ingest.{TESTS[kind]}")
    examples: list[bytes] = module.EXAMPLES
    decode, rng = KINDS[kind], random.Random(f"{seed} {kind}")
    texts = examples_of_json(examples)
    values = [*ODD, *map(msgspec.json.decode, texts)]
    told = 0
    for _ in range(rounds):
        message = spoiled(rng, examples, texts, values)
        origin = Origin(
            recv_ms=NOW_MS,
            device_id=rng.choice((None, "phone")),
            gateway_id=rng.choice((None, "gw")),
            topic=rng.choice(TOPICS),
            query=rng.choice(("", "", "u=a&d=b", message[:200].decode("latin-1"))),
            headers=rng.choice(({}, {"x-limit-u": "ann", "x-limit-d": "phone"})),
            passphrase=rng.choice(("", "", "secret")),
        )
        try:
            decoded = decode(message, origin)
            if decoded.reports:
                json.loads(msgspec.json.encode(decoded.reports))
                laid_out(decoded.reports)
        except Exception as error:
            print(f"{kind}: {error!r} of {message!r}, {origin!r}", flush=True)
            raise
        told += bool(decoded.reports)
    return told, rounds - told


def main() -> None:
    """Fuzz, a kind after another."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--rounds", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=list(TESTS), choices=list(TESTS))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    for kind in options.only:
        began_s = time.monotonic()
        told, nothing = fuzz(kind, options.rounds, options.seed)
        print(
            f"{kind}: {options.rounds} messages, {told} said something, {nothing} nothing, "
            f"none raised; {time.monotonic() - began_s:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
