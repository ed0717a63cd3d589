"""The log lever: one line a message, and nothing in it that could harm anybody."""

from __future__ import annotations

import json

import structlog

from geoengine.levers.base import Receipt
from geoengine.levers.log import LogLever
from tests.levers.sending import NOW_MS, a_send

RICH = {
    "type": "geoengine.trigger.fired",
    "data": {
        "zone_id": "rivoli",
        "visit_id": "v1",
        "lat": 48.8583,
        "lon": 2.3470,
        "message": {"body": "Your code is SPRING-7"},
        "call_to_action": {"kind": "directions", "url": "https://maps.example/?d=48.8583,2.3470"},
    },
}


async def test_a_send_is_one_line_of_json_with_its_ids():
    lines: list[str] = []
    receipt = await LogLever(lines.append).send(a_send(), NOW_MS)
    assert receipt == Receipt("delivered")
    [line] = lines
    assert line.endswith("\n")
    assert json.loads(line) == {
        "send_id": "send-1",
        "type": "geoengine.trigger.fired",
        "at_ms": NOW_MS,
        "person_id": "ada",
        "campaign_id": "afterwork",
        "store_id": "rivoli",
        "trigger_id": "trigger-1",
        "zone_id": "rivoli",
        "visit_id": "v1",
    }


async def test_the_same_send_gives_the_same_bytes():
    lines: list[str] = []
    lever = LogLever(lines.append)
    await lever.send(a_send(), NOW_MS)
    await lever.send(a_send(), NOW_MS)
    assert lines[0] == lines[1]


async def test_no_coordinate_address_or_text_reaches_the_line():
    lines: list[str] = []
    await LogLever(lines.append).send(a_send(event=RICH, address="+33612345678"), NOW_MS)
    for secret in ("48.85", "2.34", "+336", "SPRING", "maps.example"):
        assert secret not in lines[0]


async def test_without_a_writer_the_line_goes_to_the_structured_log():
    with structlog.testing.capture_logs() as logs:
        await LogLever().send(a_send(), NOW_MS)
    [entry] = logs
    assert (entry["event"], entry["lever"], entry["send_id"]) == ("send", "log", "send-1")
