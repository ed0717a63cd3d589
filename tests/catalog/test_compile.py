"""What a catalogue becomes: zones, policies, plans, a version."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

from geoengine.catalog import load, read
from geoengine.core.book import MODES
from geoengine.core.calendar import FOREVER_MS
from geoengine.core.places.policy import Policy
from geoengine.core.places.zones import CIRCLE, PLACE, POLYGON
from tests.catalog.writing import CAMPAIGN, SHOP, STORES, campaign, reading, write

DESIGN_EXAMPLE = """\
stores:
  - id: rivoli
    name: Maison Rivoli
    location: {lat: 48.8583, lon: 2.3470}
    setting: auto                    # city | countryside | auto
    reach: {minutes: 5}              # or {radius_m: 300} or {polygon: zones/rivoli.geojson}
    hours: "Mo-Sa 10:00-20:00; Su 11:00-19:00"   # OSM opening_hours
    tags: [fashion, flagship, bar]
    beacons:
      - {id: door, uuid: f7826da6-4fa2-4e98-8024-bc5b71e0893e, major: 1, minor: 1, place: entrance}
campaigns:
  - id: afterwork
    on: enter                        # enter | dwell | exit | crossed
    zones: {tags: [bar]}             # or {stores: [..]}, {zones: [..]}, {place: entrance}
    audience: status == "premium" and points >= 300
    window: {days: Mo-Fr, hours: "17:30-18:00"}  # the store's local time
    caps: [{max: 1, per: day}, {max: 3, per: week}]
    levers: [push, sms]              # first that has consent and an address
    message: {fr: "…", en: "…"}
    call_to_action: directions       # directions | call | web | app
    coupon: {kind: unique, valid: 2h}
    hold_out: 10%
    expires: 15m
engine: {state: "local:var/geoengine.db", consent: {location: required}}
"""
SQUARE = "{type: Polygon, coordinates: [[[2.3,48.8],[2.4,48.8],[2.4,48.9],[2.3,48.9],[2.3,48.8]]]}"


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def test_the_example_of_the_design_loads(tmp_path: Path):
    book = reading(tmp_path, DESIGN_EXAMPLE).book
    (plan,) = book.campaigns
    assert book.zones.ids == ["rivoli", "rivoli/entrance"]
    assert (plan.window, plan.hold_out, plan.expires_ms) == ("Mo-Fr 17:30-18:00", 0.1, 900_000)
    assert plan.coupon_valid_ms == 7_200_000
    assert plan.audience is not None
    assert plan.audience.includes({"status": "premium", "points": 300})
    assert (plan.live_from_ms, plan.live_until_ms) == (0, FOREVER_MS)
    assert plan.max_age_ms == 300_000


def test_a_store_gets_setting_time_zone_and_country_from_its_place(tmp_path: Path):
    (store,) = reading(tmp_path, STORES).book.stores
    assert (store.setting, store.time_zone, store.country) == ("city", "Europe/Paris", "FR")


def test_what_a_store_says_of_itself_stands(tmp_path: Path):
    text = STORES + "    setting: countryside\n    time_zone: Indian/Reunion\n    country: YT\n"
    (store,) = reading(tmp_path, text).book.stores
    assert (store.setting, store.time_zone, store.country) == (
        "countryside",
        "Indian/Reunion",
        "YT",
    )


def test_five_minutes_are_a_zone_of_the_stores_name(tmp_path: Path):
    zones = reading(tmp_path, STORES).book.zones
    assert (zones.ids[0], zones.kind[0], zones.radius_m[0]) == ("rivoli", CIRCLE, 300.0)
    assert (MODES[zones.mode[0]], zones.minutes[0], zones.born_ms[0]) == ("walk", 5.0, 0)
    assert zones.why[0].startswith("5 min on foot at 4.7 km/h, detour 1.3: 300 m; city: about ")


def test_a_written_radius_is_not_by_time(tmp_path: Path):
    zones = reading(tmp_path, STORES + "    reach: {radius_m: 250}\n").book.zones
    assert zones.radius_m[0] == 250.0
    assert np.isnan(zones.minutes[0])
    assert MODES[zones.mode[0]] == "walk"


def test_a_drawn_reach_is_a_polygon_with_the_radius_of_its_area(tmp_path: Path):
    zones = reading(tmp_path, STORES + f"    reach: {{polygon: {SQUARE}}}\n").book.zones
    assert zones.kind[0] == POLYGON
    assert zones.polygons[0].bounds == (2.3, 48.8, 2.4, 48.9)
    # 0.1 degree is 11.12 km northward and 7.33 km eastward there: 81.5 square kilometres.
    assert zones.radius_m[0] == pytest.approx((81.5e6 / np.pi) ** 0.5, rel=0.005)


def test_beacons_of_one_place_make_one_zone(tmp_path: Path):
    door = SHOP.splitlines(keepends=True)[-1]
    second = door.replace("door", "back").replace("minor: 1", "minor: 2").replace("f7826", "F7826")
    book = reading(tmp_path, STORES + second).book
    uuid = "f7826da64fa24e988024bc5b71e0893e"
    assert book.beacons == {(uuid, 1, 1): 1, (uuid, 1, 2): 1}
    assert (book.zones.ids[1], book.zones.kind[1]) == ("rivoli/entrance", PLACE)
    assert (book.zones.radius_m[1], book.zones.places) == (0.0, {1: "entrance"})


def test_a_drawn_zone_of_a_store_shares_its_store_and_its_way(tmp_path: Path):
    text = STORES + (
        "zones:\n"
        "  - {id: yard, store: rivoli, center: {lat: 48.86, lon: 2.35}, radius_m: 120, tags: [y]}\n"
        "  - {id: alone, name: Far, center: {lat: 45.75, lon: 4.85}, radius_m: 200}\n"
    )
    zones = reading(tmp_path, text).book.zones
    assert zones.ids == ["rivoli", "yard", "alone", "rivoli/entrance"]
    assert zones.store_ix.tolist() == [0, 0, -1, 0]
    assert [MODES[mode] for mode in zones.mode] == ["walk", "walk", None, "walk"]
    assert zones.tags == {1: ("y",), 2: ()}
    assert zones.names == {1: "yard", 2: "Far"}
    assert zones.time_zones == {2: "Europe/Paris"}


def test_presence_is_the_zones_over_the_engines_over_the_defaults(tmp_path: Path):
    text = (
        STORES
        + "    presence: {dwell_s: 60}\n"
        + SHOP.replace("rivoli", "opera").replace("minor: 1", "minor: 9")
        + "engine: {presence: {dwell_s: 90, silence_s: 600}}\n"
    )
    book = reading(tmp_path, text).book
    assert book.policy(0) == Policy(dwell_s=60, silence_s=600)
    assert book.policy(1) == Policy(dwell_s=90, silence_s=600)
    assert len(book.policies) == 2


def test_a_day_lasts_until_its_midnight_where_most_of_the_stores_are(tmp_path: Path):
    text = campaign('live_from: "2026-11-21"', 'live_until: "2026-11-22"')
    (plan,) = reading(tmp_path, text).book.campaigns
    assert plan.live_from_ms == ms("2026-11-21T00:00:00+01:00")
    assert plan.live_until_ms == ms("2026-11-23T00:00:00+01:00")


def test_an_instant_is_taken_as_written(tmp_path: Path):
    text = campaign('live_from: "2026-11-21T18:00:00+03:00"', 'live_until: "2026-11-21T18:30:00Z"')
    (plan,) = reading(tmp_path, text).book.campaigns
    assert plan.live_from_ms == ms("2026-11-21T18:00:00+03:00")
    assert plan.live_until_ms == round(
        datetime(2026, 11, 21, 18, 30, tzinfo=UTC).timestamp() * 1000
    )


def test_a_window_over_midnight_without_holidays_is_one_expression(tmp_path: Path):
    window = (
        'window: {days: Fr-Sa, hours: "18:00-20:00,22:00-02:00", '
        'except_dates: ["2026-12-24"], holidays: false}'
    )
    (plan,) = reading(tmp_path, campaign(window)).book.campaigns
    assert plan.window == "Fr-Sa 18:00-20:00,22:00-02:00; PH off; 2026 Dec 24 off"


def test_files_below_are_read_and_hidden_ones_are_not(tmp_path: Path):
    write(
        tmp_path,
        {
            "shops/paris.yml": STORES,
            "campaigns.yaml": CAMPAIGN,
            ".draft.yaml": "nonsense: [",
            "old/.trash/x.yaml": "nonsense: [",
        },
    )
    book = load(tmp_path)
    assert (len(book.stores), len(book.campaigns)) == (1, 1)


def test_the_version_is_that_of_the_content_and_not_of_the_writing(tmp_path: Path):
    first = reading(tmp_path, STORES).book.version
    assert reading(tmp_path, f"# a remark\n{STORES}").book.version == first
    assert reading(tmp_path, STORES + "    phone: '1'\n").book.version != first
    assert reading(tmp_path, STORES + "engine: {max_age: 6m}\n").book.version != first


def test_a_fingerprint_is_that_of_the_shape(tmp_path: Path):
    def prints(more: str) -> list[int]:
        return reading(tmp_path, STORES + more).book.zones.prints.tolist()

    plain = prints("")
    assert prints("    tags2: x\n".replace("tags2: x", "phone: '1'")) == plain
    assert prints("    presence: {dwell_s: 1}\n") == plain
    assert prints("    reach: {radius_m: 301}\n")[0] != plain[0]
    assert prints("    reach: {radius_m: 301}\n")[1] == plain[1]
    assert prints(f"    reach: {{polygon: {SQUARE}}}\n")[0] != plain[0]
    door = SHOP.splitlines(keepends=True)[-1]
    assert prints(door.replace("door", "b").replace("minor: 1", "minor: 2"))[1] != plain[1]


def test_a_polygon_is_the_same_wherever_its_ring_begins(tmp_path: Path):
    turned = "[[[2.4,48.9],[2.3,48.9],[2.3,48.8],[2.4,48.8],[2.4,48.9]]]"
    one = reading(tmp_path, STORES + f"    reach: {{polygon: {SQUARE}}}\n").book.zones
    other = SQUARE.replace("[[[2.3,48.8],[2.4,48.8],[2.4,48.9],[2.3,48.9],[2.3,48.8]]]", turned)
    two = reading(tmp_path, STORES + f"    reach: {{polygon: {other}}}\n").book.zones
    assert one.prints[0] == two.prints[0]


def test_the_zones_counted_are_those_the_book_finds(tmp_path: Path):
    targets = [
        "{}",
        "{tags: [fashion]}",
        "{tags: [fashion, sq], stores: [rivoli]}",
        "{stores: [opera], tags: [fashion]}",
        "{place: entrance}",
        "{place: [entrance], stores: [opera]}",
        "{zones: [rivoli/entrance, square]}",
        "{zones: [rivoli, opera], tags: [fashion]}",
        "{stores: [opera]}",
    ]
    text = (
        STORES
        + SHOP.replace("rivoli", "opera").replace("minor: 1", "minor: 2").replace("fashion", "x")
        + "zones:\n"
        + "  - {id: square, store: opera, center: {lat: 48, lon: 2}, radius_m: 200, tags: [sq]}\n"
        + "campaigns:\n"
        + "".join(
            f"  - {{id: c{i}, on: enter, zones: {target}, levers: [log], message: {{fr: x}}}}\n"
            for i, target in enumerate(targets)
        )
    )
    found = read(write(tmp_path, {"a.yaml": text}))
    counts = dict.fromkeys((plan.id for plan in found.book.campaigns), 0)
    for zone_ix in range(len(found.book.zones)):
        for plan in found.book.plans(zone_ix):
            counts[plan.id] += 1
    assert found.zone_counts == counts
    assert set(counts.values()) == {0, 1, 2, 3}


def test_a_bad_import_row_leaves_the_version_as_if_it_were_not_there(tmp_path: Path):
    text = "stores:\n  - import: s.csv\n"
    good = "id,name,lat,lon\na,A,48.85,2.35\n"
    first = reading(tmp_path, text, s__csv=good)
    second = reading(tmp_path, text, s__csv=good + "b,B,,\n")
    assert (first.skipped_count, second.skipped_count) == (0, 1)
    assert first.book.version == second.book.version


def test_a_loaded_store_can_be_packed_again(tmp_path: Path):
    (store,) = reading(tmp_path, STORES).book.stores
    assert msgspec.json.decode(msgspec.json.encode(store))["time_zone"] == "Europe/Paris"


def test_a_gateway_that_is_told_no_place_hears_the_whole_store(tmp_path: Path):
    row = "gateways:\n  - {id: g, store: rivoli, kind: minew, secret: {env: ITS_SECRET}}\n"
    book = reading(tmp_path, campaign("zones: {place: store}") + row).book
    assert book.zones.ids == ["rivoli", "rivoli/entrance", "rivoli/store"]
    assert book.zones.kind[2] == PLACE
    assert book.place_of_gateway("g") == 2
    assert set(book.beacons.values()) == {1}


def test_a_store_without_beacons_may_have_a_gateway(tmp_path: Path):
    bare = "stores:\n  - {id: corner, name: Corner, location: {lat: 48.9, lon: 2.3}}\n"
    book = reading(tmp_path, bare + "gateways:\n  - {id: g, store: corner}\n").book
    assert book.zones.ids == ["corner", "corner/store"]
    assert book.place_of_gateway("g") == 1


def test_a_secret_that_everybody_who_edits_can_read_is_warned_of(tmp_path: Path):
    row = "gateways:\n  - {id: g, store: rivoli, kind: minew, secret: %s}\n"
    (told,) = reading(tmp_path, STORES + row % "short").warnings
    assert (told.line, "short enough to be guessed" in told.what) == (9, True)
    assert "{env: NAME}" in told.what
    (told,) = reading(tmp_path, STORES + row % "long-enough-to-be-safe").warnings
    assert "guessed" not in told.what
    assert "long-enough" not in told.what
    assert reading(tmp_path, STORES + row % "{env: ITS_SECRET}").warnings == ()
