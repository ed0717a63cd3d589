"""Whatever is sent, the answer is a refusal with a reason, never a fault of ours."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.service.serving import (
    AWAY,
    KEYS,
    RIVOLI,
    UUID,
    Client,
    bare,
    now_s,
    ping,
    served,
    walk_in,
)

DEEP = 200_000


def row(**more: Any) -> bytes:
    return json.dumps(ping("phone", RIVOLI) | more).encode()


MALFORMED = {
    "nothing": b"",
    "blanks": b" \n\t ",
    "text": b"hello",
    "a number": b"7",
    "a string": b'"x"',
    "null": b"null",
    "half an object": b'{"device_id": "phone"',
    "half an array": row()[:-1].join([b"[", b""]),
    "brackets without end": b"[" * DEEP,
    "braces without end": b'{"a":' * DEEP,
    "nesting, closed": b"[" * DEEP + b"]" * DEEP,
    "not a number": b'{"lat": NaN}',
    "infinity": b'[{"lat": Infinity}]',
    "not UTF-8": b'{"device_id": "\xff\xfe"}',
    "zeros": b"\0" * 1_000,
    "two documents": b"[]{}",
    "a comment": b"/* */ []",
    "gzip": gzip.compress(row()),
}

REJECTED = {
    "latitude 91": (row(lat=91), "lat_out_of_range"),
    "longitude 181": (row(lon=181), "lon_out_of_range"),
    "latitude true": (row(lat=True), "wrong_type:lat"),
    "latitude as text": (row(lat="48.8"), "wrong_type:lat"),
    "latitude 1e400": (row().replace(b"48.8583", b"1e400"), "lat_out_of_range"),
    "null island": (row(lat=0, lon=0), "null_island"),
    "minus zero": (row(lat=-0.0, lon=0.0), "null_island"),
    "accuracy 1e9": (row(accuracy_m=1e9), "accuracy_coarse"),
    "no device": (b'{"lat": 1, "lon": 1, "fix_time": 1.7e9}', "device_id_missing"),
    "empty device": (row(device_id=""), "device_id_bad"),
    "device of a megabyte": (row(device_id="x" * 900_000), "device_id_bad"),
    "device with a line break": (row(device_id="a\nb"), "device_id_bad"),
    "no time": (json.dumps({"device_id": "d", "lat": 1, "lon": 1}).encode(), "fix_time_missing"),
    "time in 1970": (row(fix_time=1), "fix_time_ancient"),
    "time in 2038": (row(fix_time=2_147_483_648), "fix_time_future"),
    "time an hour ahead": (row(fix_time=now_s() + 3_600), "fix_time_future"),
    "time of 5,000 digits": (
        b'{"device_id":"d","lat":1,"lon":1,"fix_time":' + b"9" * 5_000 + b"}", "",
    ),
    "time without end": (row(fix_time="2026-11-21T" + "0" * 100_000), "fix_time_bad"),
    "lone surrogate": (b'{"device_id":"\\ud800","lat":1,"lon":1,"fix_time":1.7e9}', ""),
}  # fmt: skip


async def test_a_malformed_body_is_refused_as_malformed(tmp_path: Path, door: str) -> None:
    async with served(tmp_path, door=door) as client:
        for path in ("/v1/pings", "/v1/sightings"):
            for name, body in MALFORMED.items():
                status, told, headers = await client.call("POST", path, body)
                assert status == 400, (path, name, status, told)
                assert told["type"] == "urn:geoengine:problem:malformed", (path, name)
                assert headers["Content-Type"].startswith("application/problem+json")


async def test_a_bad_row_is_rejected_with_its_reason_and_the_rest_is_taken(
    tmp_path: Path, door: str
) -> None:
    async with served(tmp_path, door=door) as client:
        for name, (bad, reason) in REJECTED.items():
            status, told, _ = await client.call("POST", "/v1/pings", bad)
            if status == 400 and not reason:
                continue  # not even JSON to our decoder: the body is refused, which is as good
            assert status == 200, (name, status, told)
            assert told["accepted"] == 0, name
            assert told["rejected"][0]["index"] == 0
            if reason:
                assert told["rejected"][0]["reason"] == reason, name
        body = b"[" + row() + b"," + row(lat=91) + b"," + row() + b"]"
        told = await client.ok("POST", "/v1/pings", body)
        assert told["accepted"] == 2
        assert told["rejected"] == [{"index": 1, "reason": "lat_out_of_range"}]


async def test_nothing_hostile_reaches_the_state(tmp_path: Path, door: str) -> None:
    async with served(tmp_path, door=door) as client:
        for bad, _ in REJECTED.values():
            await client.call("POST", "/v1/pings", bad)
        assert (await client.call("GET", "/v1/people/phone"))[0] == 404
        stats = await client.service.context.state.stats()
        assert (stats.record_count, stats.device_count) == (0, 0)


async def test_odd_beacons_are_counted_and_ignored(tmp_path: Path, door: str) -> None:
    heard = {"uuid": UUID, "major": 1, "minor": 1, "rssi_dbm": -60, "device_id": "phone"}
    odd = [
        {**heard, "uuid": "f" * 32, "seen_time": now_s()},  # nobody's beacon: taken, ignored
        {**heard, "uuid": "x"},
        {**heard, "major": -1},
        {**heard, "minor": 65_536},
        {**heard, "major": 1.5},
        {**heard, "rssi_dbm": 127},
        {**heard, "rssi_dbm": 1e300},
        {**heard, "gateway_id": "gw-rivoli"},
        {},
    ]
    async with served(tmp_path, door=door) as client:
        told = await client.ok("POST", "/v1/sightings", odd)
        assert told["accepted"] == 1
        assert [reject["index"] for reject in told["rejected"]] == list(range(1, len(odd)))
        assert told["events"] == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/people/ann", b"[" * DEEP),
        ("/v1/people/ann", b'{"attributes": {"a": ' + b"[" * DEEP),
        ("/v1/people/ann", b'{"attributes": {"a": {"b": 1}}}'),
        ("/v1/people/ann", b'{"attributes": {"a": 1e400}}'),
        ("/v1/people/ann", b'{"attributes": {"a": ' + b"9" * 5_000 + b"}}"),
        ("/v1/people/ann", b'{"attributes": {"a": 18446744073709551616}}'),
        ("/v1/people/ann", b'{"time_zone": "Mars/Base"}'),
        ("/v1/people/ann", b'{"time_zone": "../../etc/passwd"}'),
        ("/v1/people/ann", b'{"time_zone": "Europe"}'),
        ("/v1/people/ann", b'{"quiet_hours": "always, please"}'),
        ("/v1/people/ann", b'{"phone": "0612345678"}'),
        ("/v1/people/ann", b'{"caps": [{"max": 0, "per": "day"}]}'),
        ("/v1/people/ann", b'{"beacon": "nearby"}'),
        ("/v1/people/ann", b'{"consents": {"push": true}}'),
        ("/v1/people/ann/consents/push", b"7"),
        ("/v1/people/ann/consents/push", b"[]"),
        ("/v1/people/ann/consents/push", b"{"),
        ("/v1/people/ann/consents/push", b'{"source": ' + b"9" * 5_000 + b"}"),
        ("/v1/people/ann/consents/push", b'{"source": ' + b"[" * 1_000 + b"]" * 1_000 + b"}"),
        ("/v1/devices/phone", b'{"platform": "toaster"}'),
        ("/v1/devices/phone", b'{"person_id": "a\\nb"}'),
        ("/v1/devices/phone", b'{"push_token": 7}'),
        ("/v1/people/%00", b"{}"),
        ("/v1/people/" + "x" * 129, b"{}"),
    ],
)
async def test_what_makes_no_sense_about_a_person_is_refused(
    tmp_path: Path, path: str, body: bytes
) -> None:
    async with served(tmp_path) as client:
        status, told, _ = await client.call("PUT", path, body)
        assert status == 400, (status, told)
        assert (await client.service.context.state.stats()).record_count == 0


@pytest.mark.parametrize(
    "query", ["?limit=0", "?limit=1001", "?limit=many", "?limit=1.5", "?status=gone"]
)
async def test_a_bad_parameter_is_refused(tmp_path: Path, query: str) -> None:
    async with served(tmp_path) as client:
        status, told, _ = await client.call("GET", "/v1/outbox" + query)
        assert (status, told["type"]) == (400, "urn:geoengine:problem:bad_parameter")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/pings", 404),
        ("GET", "/v1/people/ann/consents/telepathy", 405),
        ("DELETE", "/v1/people/ann/consents/telepathy", 404),
        ("GET", "/v1/pings", 405),
        ("PATCH", "/v1/people/ann", 405),
        ("GET", "/" + "x" * 5_000, 404),
        ("GET", "/v1/people/..%2f..%2fetc", 404),
    ],
)
async def test_a_road_that_leads_nowhere_is_a_problem_document(
    tmp_path: Path, method: str, path: str, status: int
) -> None:
    async with served(tmp_path) as client:
        found, told, headers = await client.call(method, path)
        assert (found, told["status"]) == (status, status)
        if status == 405:
            assert headers["Allow"]


RAW = {
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + b"\r\n\r\n",
    "no host": b"GET /healthz HTTP/9.9\r\n\r\n",
    "two lengths": b"POST /v1/pings HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
    b"Content-Length: 3\r\n\r\n[]",
    "length and chunked": b"POST /v1/pings HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a header of 20 kB": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
    "10,000 headers": b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 10_000 + b"\r\n",
    "a path of 20 kB": b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "bad chunk": b"POST /v1/pings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
    + KEYS["app"].encode()
    + b"\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
}


async def raw(client: Client, sent: bytes, timeout_s: float = 5) -> bytes:
    """What comes back on a bare socket until it is closed."""
    async with bare(client) as (reader, writer):
        writer.write(sent)
        await writer.drain()
        return await asyncio.wait_for(reader.read(65_536), timeout_s)


async def test_what_is_not_http_is_refused_and_others_are_served(tmp_path: Path, door: str) -> None:
    async with served(tmp_path, door=door) as client:
        for name, sent in RAW.items():
            told = await raw(client, sent)
            assert told.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400")), (name, told)
            assert b"application/problem+json" in told, name
        assert (await client.ok("POST", "/v1/pings", walk_in("phone")))["accepted"] == 3


async def test_ten_thousand_pipelined_requests_do_not_pile_up(tmp_path: Path) -> None:
    one = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    async with served(tmp_path) as client:
        async with bare(client) as (reader, writer):
            writer.write(one * 9_999 + last)
            told = await asyncio.wait_for(reader.read(), 30)
        assert told.count(b"HTTP/1.1 200") == 10_000


async def test_the_edge_of_the_earth_is_a_place_like_any_other(tmp_path: Path, door: str) -> None:
    async with served(tmp_path, door=door) as client:
        places = [(90, 0), (-90, 180), (0, 180), (0, -180), (89.9999, -180), AWAY]
        rows = [ping(f"d{ix}", place) for ix, place in enumerate(places)]
        assert (await client.ok("POST", "/v1/pings", rows))["accepted"] == len(places)
