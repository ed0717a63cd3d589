"""Which beacon an advertisement is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoengine.ingest.adverts import (
    APPLES,
    EDDYSTONES,
    EMPTY,
    LOOK_ALIKE,
    NO_BEACON,
    TRUNCATED,
    Beacon,
    hex_bytes,
    parse_advert,
    parse_hci,
    parse_manufacturer,
    parse_service,
    structures,
    why_not,
)

FLAGS = "020106"
NAME = "0d0962696e2d747261636b6572" + "00"
UUID = "f7826da6-4fa2-4e98-8024-bc5b71e0893e"
BARE = UUID.replace("-", "")
IBEACON = f"1aff4c000215{BARE}0001fffec5"
ALTBEACON = f"1bffffffbeac{BARE}0001fffec400"
EDDYSTONE = "1516aafe00e700112233445566778899" + "aabbccddeeff"
APPLE_NEARBY = "0aff4c001005441cbd08c5"
STRANGERS = {
    "": EMPTY,
    FLAGS: NO_BEACON,
    "1eff060001092000" + "00" * 23: NO_BEACON,  # Microsoft
    FLAGS + APPLE_NEARBY: APPLES,
    "13ff4c000f06" + "00" * 14: APPLES,
    "1eff4c001219" + "00" * 25: APPLES,  # Find My
    f"1aff59000215{BARE}00010002c3": LOOK_ALIKE,
    "1116aafe20000bd091181501e329" + "00" * 4: EDDYSTONES,  # TLM
    "0616aafe10eb03": EDDYSTONES,  # URL
    "02011a14ff4c3e54": TRUNCATED,
    IBEACON[:-2]: TRUNCATED,
    "19" + IBEACON[2:-2]: TRUNCATED,  # whole, but too short to hold an iBeacon
    FLAGS + ALTBEACON[:-4]: TRUNCATED,
    "0e16aafe00e7001122334455667788": TRUNCATED,
    "ff": TRUNCATED,
}


def parsed(text: str) -> Beacon | None:
    return parse_advert(bytes.fromhex(text))


@pytest.mark.parametrize(
    "text",
    [
        IBEACON,
        FLAGS + IBEACON,
        IBEACON + FLAGS,
        NAME + FLAGS + IBEACON,
        "0000" + FLAGS + "00" + IBEACON,
        FLAGS + IBEACON + "0000" + NAME,  # a padded advertisement and its scan response
        "1b" + IBEACON[2:] + "64",  # a byte more than Apple's, its battery
        "03ff88ec" + IBEACON,  # manufacturer data of two companies
        FLAGS + APPLE_NEARBY + IBEACON,
        FLAGS + IBEACON + "1e09",  # what is cut off comes after it
    ],
)
def test_an_ibeacon_is_found_wherever_it_stands(text: str) -> None:
    assert parsed(text) == Beacon("ibeacon", UUID, 1, 65534, -59.0)


def test_an_altbeacon_of_any_company_is_a_beacon() -> None:
    beacon = Beacon("altbeacon", UUID, 1, 65534, -60.0)
    assert parsed(FLAGS + ALTBEACON) == parsed("1bff1801" + ALTBEACON[8:]) == beacon


@pytest.mark.parametrize("text", [EDDYSTONE, "17" + EDDYSTONE[2:] + "0000"])
def test_an_eddystone_says_its_power_at_no_distance(text: str) -> None:
    uuid = "00112233-4455-6677-8899-aabbccddeeff"
    assert parsed("0303aafe" + text) == Beacon("eddystone_uid", uuid, 0, 0, -25.0 - 41.0)


@pytest.mark.parametrize(("text", "reason"), STRANGERS.items())
def test_a_stranger_is_no_beacon_and_it_is_said_why(text: str, reason: str) -> None:
    assert parsed(text) is None
    assert why_not(bytes.fromhex(text)) == reason


def test_the_mark_of_a_beacon_inside_something_else_is_no_beacon() -> None:
    inside = f"1a09{IBEACON[4:]}"
    assert parsed(inside) is None
    assert parsed("1a16" + IBEACON[4:]) is None
    assert why_not(bytes.fromhex(inside)) == NO_BEACON


@pytest.mark.parametrize("power", ["00", "1a", "1e", "24", "64", "7f"])
def test_a_power_that_no_beacon_has_is_not_known(power: str) -> None:
    beacon = parsed(IBEACON[:-2] + power)
    assert beacon is not None
    assert beacon.tx_power_dbm is None


@pytest.mark.parametrize(("byte", "power_dbm"), [("14", -21.0), ("00", -41.0), ("29", None)])
def test_an_eddystones_power_is_judged_at_a_metre(byte: str, power_dbm: float | None) -> None:
    beacon = parsed("1516aafe00" + byte + EDDYSTONE[12:])
    assert beacon is not None
    assert beacon.tx_power_dbm == power_dbm


def test_a_zero_is_a_number_like_any_other() -> None:
    assert parsed(f"1aff4c000215{BARE}00000000c5") == Beacon("ibeacon", UUID, 0, 0, -59.0)


def test_data_without_their_header_are_read_too() -> None:
    assert parse_manufacturer(bytes.fromhex(IBEACON[4:])) == parsed(IBEACON)
    assert parse_service(bytes.fromhex(EDDYSTONE[4:])) == parsed(EDDYSTONE)


def hci(*adverts: str, rssi: str = "b3") -> bytes:
    reports = (
        f"0001433ea2c96b6a{len(advert) // 2:02x}{advert}{rssi}".replace(" ", "")
        for advert in adverts
    )
    body = f"02{len(adverts):02x}" + "".join(reports)
    return bytes.fromhex(f"043e{len(body) // 2 & 0xFF:02x}{body}")


def test_a_dump_of_the_radio_holds_its_adverts_with_their_strengths() -> None:
    assert parse_hci(hci(FLAGS, IBEACON)) == [
        (bytes.fromhex(FLAGS), -77),
        (bytes.fromhex(IBEACON), -77),
    ]
    assert parse_hci(hci(IBEACON, rssi="7f")) == [(bytes.fromhex(IBEACON), 127)]


def test_a_dump_that_is_cut_holds_what_came_before() -> None:
    whole = hci(FLAGS, IBEACON)
    assert parse_hci(whole[:-1]) == [(bytes.fromhex(FLAGS), -77)]
    assert all(len(parse_hci(whole[:size])) < 2 for size in range(len(whole)))


@pytest.mark.parametrize("text", ["", "043e", "040e0401032000", "043e0a01000000000000000000"])
def test_other_events_of_the_radio_hold_none(text: str) -> None:
    assert parse_hci(bytes.fromhex(text)) == []


@pytest.mark.parametrize(
    "text", ["0201061aFF", "02 01 06 1A ff", "02:01:06:1a:ff", "02-0106-1aff\n"]
)
def test_hex_digits_are_read_however_they_are_set(text: str) -> None:
    assert hex_bytes(text) == b"\x02\x01\x06\x1a\xff"


@pytest.mark.parametrize("text", ["020", "zz", "0x02", "é", None, 12, b"02", ["02"]])
def test_what_is_no_hex_is_none(text: object) -> None:
    assert hex_bytes(text) is None


whole = st.sampled_from([IBEACON, ALTBEACON, EDDYSTONE, FLAGS, NAME, APPLE_NEARBY, "00"])
adverts = st.lists(whole, max_size=4).map(lambda parts: bytes.fromhex("".join(parts)))


@given(st.binary(max_size=80) | adverts, st.integers(0, 80), st.binary(max_size=3))
def test_no_bytes_make_the_parser_raise(data: bytes, at: int, put: bytes) -> None:
    changed = data[:at] + put + data[at + len(put) :]
    for odd in (data, changed, data[:at]):
        beacon, reason = parse_advert(odd), why_not(odd)
        assert beacon is None or len(beacon.uuid) == 36
        assert reason in {EMPTY, NO_BEACON, APPLES, EDDYSTONES, LOOK_ALIKE, TRUNCATED}
        parse_hci(b"\x04\x3e\x20\x02\x02" + odd)
        hex_bytes(odd.decode("latin-1"))


@given(adverts)
def test_the_quick_look_for_marks_misses_no_beacon(data: bytes) -> None:
    found = [
        beacon
        for kind, held in structures(data)
        if kind in (0x16, 0xFF)
        and (beacon := parse_manufacturer(held) if kind == 0xFF else parse_service(held))
    ]
    assert parse_advert(data) == (found[0] if found else None)
