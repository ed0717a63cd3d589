"""Real messages, where the shared ones are beside the project, and ways to damage any message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st

from geoengine.ingest.reports import Decoded, Decoder, Origin, Sighted
from geoengine.ingest.sightings import uuid_key
from geoengine.ingest.times import time_ms

NOW_MS = 1_790_000_000_000
PAYLOADS = Path(__file__).parents[4] / "shared" / "payloads"
SCHEMES = {"ibeacon": "ibeacon", "altbeacon": "altbeacon", "eddystone-uid": "eddystone_uid"}
# What messages break on: absent values, numbers that are none, and bytes that end things.
PIECES = [
    b"",
    b"null",
    b"-1",
    b"[]",
    b"{}",
    b'"',
    b",",
    b"1e400",
    b"NaN",
    b"9" * 40,
    b"\xff",
    b"\x00",
]

UUID = "f7826da6-4fa2-4e98-8024-bc5b71e0893e"
IBEACON = "0201061aff4c000215" + UUID.replace("-", "") + "00010002c5"
STRANGER = "02011a020a0c0aff4c001005441cbd08c5"


def heard(decode: Decoder, body: bytes, **origin: Any) -> Decoded:
    return decode(body, Origin(recv_ms=NOW_MS, **origin))


def sightings(decoded: Decoded) -> list[Sighted]:
    found = [report for report in decoded.reports if isinstance(report, Sighted)]
    assert len(found) == len(decoded.reports)
    return found


def samples(kind: str) -> list[Any]:
    """The entries of the samples of one kind, as parameters of a test."""
    if not PAYLOADS.exists():
        absent = pytest.mark.skip(reason="the shared payloads are not here")
        return [pytest.param({}, marks=absent, id=kind)]
    entries = msgspec.json.decode((PAYLOADS / "expected.json").read_bytes())
    ours = [entry for entry in entries if entry["file"].startswith(f"{kind}/")]
    return [pytest.param(entry, id=entry["file"]) for entry in ours]


def assert_as_expected(decode: Decoder, entry: dict[str, Any]) -> None:
    """The sightings are those of the entry, in its order, and nothing else is said."""
    decoded = heard(decode, (PAYLOADS / entry["file"]).read_bytes())
    wanted = [row for row in entry["expect"] if row["type"] == "sighting"]
    adverts = [row for row in entry["expect"] if row["type"] == "advert"]
    assert [told(report) for report in sightings(decoded)] == [expected(row) for row in wanted]
    assert len(decoded.drops) >= len(adverts)
    everything = msgspec.json.encode(decoded.reports).decode() + " ".join(decoded.drops)
    for row in entry["expect"]:
        if ":" in (address := row.get("beacon_mac", "")) and " " not in address:
            assert address not in everything
            assert address.replace(":", "") not in everything.lower()


def told(report: Sighted) -> tuple[Any, ...]:
    return (
        report.scheme,
        uuid_key(report.uuid or ""),
        report.major,
        report.minor,
        report.rssi_dbm,
        report.tx_power_dbm,
        report.seen_time,
        report.gateway_id,
    )


def expected(row: dict[str, Any]) -> tuple[Any, ...]:
    """A row of the entry in our own words; what stands for unknown is None."""
    gateway = row.get("gateway")
    ts = row.get("ts", "arrival time")
    return (
        SCHEMES[row["scheme"]],
        uuid_key(row["uuid"] if "uuid" in row else row["namespace"] + row["instance"]),
        row.get("major", 0),
        row.get("minor", 0),
        negative(row.get("rssi")),
        negative(row["tx_power"]),
        NOW_MS if ts == "arrival time" else time_ms(ts),
        gateway if gateway and "(" not in gateway else None,
    )


def negative(power_dbm: float | None) -> float | None:
    return power_dbm if power_dbm is not None and power_dbm < 0 else None


@st.composite
def damaged(draw: st.DrawFn, examples: list[bytes]) -> bytes:
    """A message with a few of its pieces cut out, doubled, or replaced."""
    body = draw(st.sampled_from(examples))
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(body)))
        end = draw(st.integers(begin, min(len(body), begin + draw(st.sampled_from([1, 4, 4000])))))
        put = draw(st.sampled_from(PIECES) | st.binary(max_size=3) | st.just(body[begin:end] * 2))
        body = body[:begin] + put + body[end:]
    return body
