"""Messages that OwnTracks has encrypted."""

from __future__ import annotations

import subprocess
import sys

from geoengine.ingest.clients.sealing import sealed
from geoengine.ingest.reports import Origin
from tests.ingest.clients.test_owntracks import (
    FIX,
    NOW_MS,
    PASSPHRASE,
    body,
    changed,
    drops,
    in_a_box,
    one,
)

SECRETIVE = Origin(recv_ms=NOW_MS, passphrase=PASSPHRASE)


def test_an_encrypted_message_is_what_is_in_the_box():
    assert one(in_a_box(body(FIX)), SECRETIVE) == one(body(FIX))


def test_a_box_says_by_its_topic_or_its_headers_whose_it_is():
    nameless = changed(FIX, topic=..., tid=...)
    data = sealed(nameless, PASSPHRASE)
    addressed = body({"_type": "encrypted", "data": data, "topic": "owntracks/jane/watch"})
    headers = {"x-limit-u": "jane", "x-limit-d": "phone"}
    asked = Origin(recv_ms=NOW_MS, passphrase=PASSPHRASE, headers=headers)
    assert one(addressed, SECRETIVE).device_id == "jane/watch"  # type: ignore[union-attr]
    assert one(in_a_box(nameless), asked).device_id == "jane/phone"  # type: ignore[union-attr]


def test_a_box_that_stays_shut_is_dropped_with_a_reason():
    assert drops(in_a_box(body(FIX))) == ["encrypted, no passphrase"]
    unreadable = ["encrypted, not readable"]
    assert drops(in_a_box(body(FIX), "another"), SECRETIVE) == unreadable
    for data in ("TestCipherText", "é", "", 7, None, "A" * 64):
        assert drops(body({"_type": "encrypted", "data": data}), SECRETIVE) == unreadable


def test_a_long_passphrase_counts_with_its_first_32_bytes_as_on_the_phone():
    asked = Origin(recv_ms=NOW_MS, passphrase="p" * 32 + "rest")
    assert one(in_a_box(body(FIX), "p" * 40), asked) == one(body(FIX))


def test_without_pynacl_a_box_is_dropped_and_the_reason_names_it():
    script = (
        "import sys; sys.modules['nacl'] = None\n"
        "from geoengine.ingest.clients.owntracks import decode\n"
        "from geoengine.ingest.reports import Origin\n"
        f"print(decode({in_a_box(body(FIX))!r}, Origin(recv_ms=0, passphrase='p')).drops)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "['encrypted, PyNaCl is not installed']\n"
