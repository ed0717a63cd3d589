"""Everything that can be wrong in a catalogue: said with its place and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from geoengine.catalog import load
from geoengine.core.errors import ConfigurationError
from tests.catalog.writing import CAMPAIGN, SHOP, STORES, campaign, faults, reading, store, write

SECOND = SHOP.replace("rivoli", "opera").replace("minor: 1", "minor: 2")

# The catalogue, and a fault it must have: where, and words of what.
FAULTS = {
    "an unknown key of a catalogue": ("store: []", "1:1", "`store` is not a key", "`stores`"),
    "stores that are not a list": ("stores: 5", "1:9", "is not a list", "- id:"),
    "a list instead of a catalogue": ("- 1", "1:1", "expected a mapping", "stores"),
    "a misspelt key": (
        store("hourz: Mo-Fr 08:00-20:00"),
        "11:5",
        "`hourz`",
        "did you mean `hours`",
    ),
    "a misspelt key deep inside": (store("reach: {radus_m: 5}"), "11:13", "`radius_m`?"),
    "a wrong type": (store("tags: 5"), "11:11", "tags is 5", "expected a list"),
    "a missing key": ("stores:\n  - id: a\n", "2:5", "lacks `name`", "expected text"),
    "a word that is not among the choices": (
        store("setting: town"),
        "11:14",
        "city, suburb, countryside",
    ),
    "a number out of range": (store("reach: {minutes: 90}"), "11:22", "minutes is 90", "to 60"),
    "a boolean for a number": (store("reach: {minutes: true}"), "11:22", "true", "a number"),
    "a number for an id": ("stores:\n  - {id: 5, name: x}", "2:10", "id is 5", "expected text"),
    "a store's id twice": (STORES + SHOP, "8:9", "id `rivoli` is taken", "a.yaml:2"),
    "a zone's id twice": (
        "zones:\n" + "  - {id: z, center: {lat: 48, lon: 2}, radius_m: 200}\n" * 2,
        "3:10",
        "`z` is taken",
    ),
    "a zone with the id of a store": (
        STORES + "zones:\n  - {id: rivoli, center: {lat: 48, lon: 2}, radius_m: 200}\n",
        "9:10",
        "`rivoli` is taken by the store",
    ),
    "a campaign's id twice": (
        campaign() + CAMPAIGN.removeprefix("campaigns:\n"),
        "13:9",
        "`hello` is taken",
    ),
    "a beacon's id twice in a store": (
        STORES + SHOP.splitlines(keepends=True)[-1].replace("minor: 1", "minor: 2"),
        "8:14",
        "beacon id `door` is taken",
    ),
    "an iBeacon without a minor": (
        store("beacons: [{id: a, uuid: f7826da6-4fa2-4e98-8024-bc5b71e0893e, major: 1, place: d}]"),
        "11:15",
        "ibeacon `a`: expected uuid, major and minor, and no code",
    ),
    "a code to be scanned that has a major": (
        store("beacons: [{id: a, kind: qr, code: b, major: 1, place: d}]"),
        "11:15",
        "qr `a`: expected a code, and no uuid, major or minor",
    ),
    "two beacons that sound the same": (
        STORES + SHOP.replace("rivoli", "opera").replace("f7826da6-4fa2", "F7826DA64FA2"),
        "13:9",
        "opera/door has the uuid, major and minor of rivoli/door",
    ),
    "a campaign about a store that is not there": (
        campaign("zones: {stores: [rivol]}"),
        "13:22",
        "store `rivol` does not exist",
        "`rivoli`",
    ),
    "a campaign about a tag that is not there": (
        campaign("zones: {tags: [fashion, fasion]}"),
        "13:29",
        "tag `fasion` does not exist",
    ),
    "a campaign about a zone that is not there": (
        campaign("zones: {zones: [square]}"),
        "13:21",
        "zone `square` does not exist",
    ),
    "a campaign about a place that is not there": (
        campaign("zones: {place: entrence}"),
        "13:20",
        "place `entrence` does not exist",
        "`entrance`",
    ),
    "a lever that is not there": (
        campaign().replace("[log]", "[log, smss]"),
        "11:19",
        "'smss'",
        "push, sms, email",
    ),
    "a latitude that is none": (store(location="{lat: 98, lon: 200}"), "10:21", "lat is 98", "90"),
    "latitude and longitude swapped, out of range": (
        store(location="{lat: 139.7, lon: 35.6}"),
        "10:21",
        "latitude and longitude are swapped",
    ),
    "latitude and longitude swapped, out at sea": (
        store(location="{lat: 2.33, lon: 48.87}"),
        "10:15",
        "at sea",
        "Europe/Paris",
        "swapped",
    ),
    "a store in the Gulf of Guinea": (store(location="{lat: 0, lon: 0}"), "10:15", "Guinea"),
    "hours that do not parse": (store("hours: Mo-Fr 8-20"), "11:12", "column 7", "08:00-20:00"),
    "hours that end as they begin": (store("hours: Mo 00:00-00:00"), "11:12", "ends as it begins"),
    "a time zone that does not exist": (
        store("time_zone: Europe/Pari"),
        "11:16",
        "does not exist",
        "`Europe/Paris`",
    ),
    "a country that does not exist": (store("country: XX"), "11:14", "ISO 3166-1"),
    "a reach of two kinds": (
        store("reach: {minutes: 5, radius_m: 300}"),
        "11:35",
        "minutes and radius_m",
    ),
    "a radius with a speed": (
        store("reach: {speed_mps: 2, radius_m: 300}"),
        "11:37",
        "radius_m and speed_mps",
    ),
    "presence that lets in and out at once": (
        store("presence: {confirm_leave_p: 0.9}"),
        "11:15",
        "confirm_leave_p is not below confirm_enter_p",
    ),
    "a zone of a store that is not there": (
        STORES + "zones:\n  - {id: z, store: rivoly, center: {lat: 48, lon: 2}, radius_m: 200}\n",
        "9:20",
        "`rivoly` does not exist",
        "`rivoli`",
    ),
    "a zone without a shape": ("zones:\n  - {id: z}\n", "2:5", "center and radius_m, or polygon"),
    "a gateway in a store that is not there": (
        STORES + "gateways:\n  - {id: g, store: x, place: entrance}\n",
        "9:20",
        "`x` does not exist",
    ),
    "a gateway in a place that is not there": (
        STORES + "gateways:\n  - {id: g, store: rivoli, place: cellar}\n",
        "9:35",
        "no beacon place `cellar`",
        "entrance",
    ),
    "a gateway's secret without a kind": (
        STORES + "gateways:\n  - {id: g, store: rivoli, secret: {env: ITS_SECRET}}\n",
        "9:36",
        "expected `kind`",
    ),
    "a gateway of a kind that nobody makes": (
        STORES + "gateways:\n  - {id: g, store: rivoli, kind: mineww}\n",
        "9:34",
        "expected one of minew",
    ),
    "a gateway's secret from nowhere": (
        STORES + "gateways:\n  - {id: g, store: rivoli, kind: minew, secret: {evn: X}}\n",
        "9:50",
        "`evn` is not a key",
    ),
    "a gateway's id twice": (
        STORES + "gateways:\n" + "  - {id: g, store: rivoli, place: entrance}\n" * 2,
        "10:10",
        "`g` is taken",
    ),
    "an audience that does not compile": (
        campaign("audience: points >="),
        "13:15",
        "audience does not compile",
    ),
    "an audience that asks for the clock": (campaign("audience: $now > 5"), "13:15", "$now"),
    "a window that does not parse": (
        campaign('window: {days: Mo-Fr, hours: "5pm-6pm"}'),
        "13:34",
        "window.hours",
        "does not parse",
    ),
    "a window on days that are none": (
        campaign("window: {days: Mon-Fri}"),
        "13:20",
        "window.days",
        "does not parse",
    ),
    "a window that is never open": (
        campaign("window: {days: PH, holidays: false}"),
        "13:13",
        "never open",
    ),
    "a window that is never open while the campaign lives": (
        campaign('live_from: "2026-11-21"', 'live_until: "2026-11-22"', "window: {days: Mo-Fr}"),
        "15:13",
        "never open while the campaign is live",
    ),
    "a window whose every day is taken out": (
        campaign(
            'live_from: "2026-11-23"',
            'live_until: "2026-11-23"',
            'window: {except_dates: ["2026-11-23"]}',
        ),
        "15:13",
        "never open",
    ),
    "an empty span": (campaign('window: {hours: "10:00-10:00"}'), "13:21", "ends as it begins"),
    "an excepted date that is none": (
        campaign('window: {except_dates: ["2026-02-30"]}'),
        "13:29",
        "not a day",
    ),
    "an end before the beginning": (
        campaign('live_from: "2026-11-21"', 'live_until: "2026-11-20"'),
        "14:17",
        "live_until 2026-11-20 is before live_from",
    ),
    "a day that is none": (campaign('live_from: "2026-13-01"'), "13:16", "not a day"),
    "a hold-out of more than all": (campaign("hold_out: 150%"), "13:15", "at most 100%"),
    "a duration without a unit": (campaign("cooldown: 15"), "13:15", "For example 90s"),
    "a cap per nothing": (campaign("caps: [{max: 1, per: daily}]"), "13:26", "per is 'daily'"),
    "no lever at all": (campaign().replace("[log]", "[]"), "11:13", "levers has 0 items"),
    "an unknown placeholder": (
        campaign().replace("Bonjour", '"Chez {stor}"'),
        "12:19",
        "{stor} is unknown",
        "`store`",
    ),
    "a template that does not parse": (
        campaign().replace("Bonjour", '"{store"'),
        "12:19",
        "template does not parse",
    ),
    "a code without a coupon": (
        campaign().replace("Bonjour", '"Le code {code}"'),
        "12:14",
        "{code} without a coupon",
    ),
    "a shared coupon without a code": (
        campaign("coupon: {kind: shared}"),
        "13:13",
        "lacks `code`",
    ),
    "a unique coupon with a code": (
        campaign("coupon: {kind: unique, code: X}"),
        "13:34",
        "leave it out",
    ),
    "a call to shops without a phone": (
        campaign("call_to_action: call"),
        "13:21",
        "needs `phone`",
        "none",
    ),
    "a link to shops without one": (campaign("call_to_action: web"), "13:21", "needs `url`"),
    "quiet hours that do not parse": (
        "engine: {quiet_hours: at night}",
        "1:23",
        "quiet_hours",
        "does not parse",
    ),
    "lawful hours that do not parse": (
        "engine: {lawful_hours: {sms: 8-20}}",
        "1:30",
        "lawful_hours.sms",
    ),
    "lawful hours that never come": (
        "engine: {lawful_hours: {sms: PH off}}",
        "1:30",
        "never open",
    ),
    "lawful hours of a lever that is not there": (
        "engine: {lawful_hours: {smss: 'Mo-Fr 08:00-20:00'}}",
        "1:25",
        "'smss'",
        "sms",
    ),
    "a webhook among several without a name": (
        "engine: {webhooks: [{url: 'https://crm.example.com', secret: {env: CRM}}]}",
        "1:21",
        "expected id",
    ),
    "two webhooks with one name": (
        "engine: {webhooks: [{id: a, url: 'https://a.example', secret: {env: A}}, "
        "{id: a, url: 'https://b.example', secret: {env: B}}]}",
        "1:79",
        "one of its own",
    ),
    "a webhook that anybody else's secret signs": (
        "engine: {webhooks: [{id: a, url: 'https://a.example'}]}",
        "1:21",
        "expected secret",
    ),
    "a webhook that is one of several and has the name of the only one": (
        "engine: {webhook: {id: a, url: 'https://a.example'}}",
        "1:24",
        "has no id",
    ),
    "a webhook among several that is no web address": (
        "engine: {webhooks: [{id: a, url: 'a.example', secret: {env: A}}]}",
        "1:34",
        "expected https://",
    ),
    "a webhook for a type of event that cannot be": (
        "engine: {webhook: {url: 'https://a.example', events: [trigger.fired]}}",
        "1:55",
        "events",
    ),
    "a webhook that is no web address": (
        "engine: {webhook: {url: 'ftp://crm.example.com'}}",
        "1:25",
        "expected https://",
    ),
}


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [pytest.param(text, place, words, id=name) for name, (text, place, *words) in FAULTS.items()],
)
def test_a_fault_is_told_with_its_place(tmp_path: Path, text: str, place: str, words: list[str]):
    found = faults(tmp_path, text)
    here = [fault for fault in found if fault.startswith(f"{place}: ")]
    assert here, found
    assert any(all(word in fault for word in words) for fault in here), here


def test_the_catalogue_around_the_faults_has_none_itself(tmp_path: Path):
    assert faults(tmp_path, store() + CAMPAIGN) == []


def test_a_store_far_from_where_the_retailer_trades_may_be_swapped(tmp_path: Path):
    """The middle of Toulouse, the other way round, lies on land in Somalia."""
    shops = "".join(
        f"  - {{id: s{i}, name: S, location: {{lat: 48.8{i}, lon: 2.3}}}}\n" for i in range(6)
    )
    toulouse = "  - {id: t, name: T, location: {lat: 1.44, lon: 43.60}}\n"
    (fault,) = faults(tmp_path, f"stores:\n{shops}{toulouse}")
    assert fault.startswith("8:32: lat 1.44, lon 43.6 lies in Africa/Mogadishu")
    assert "in Europe/Paris the other way round" in fault


def test_a_place_that_looks_swapped_is_taken_where_its_time_zone_is_written(tmp_path: Path):
    text = store("time_zone: Indian/Mauritius", location="{lat: 2.33, lon: 48.87}")
    assert faults(tmp_path, text) == []


def test_all_faults_of_all_files_are_told_at_once(tmp_path: Path):
    write(
        tmp_path,
        {
            "a.yaml": store("setting: town", "hourz: x", "reach: {minutes: 0}"),
            "b.yaml": "campaigns:\n  - id: c\n    on: entered\n    levers: []\n    message: {}\n",
            "c.yaml": "a: [",
            "d.yaml": "zones:\n  - {id: z}\n",
        },
    )
    with pytest.raises(ConfigurationError) as raised:
        reading(tmp_path, (tmp_path / "a.yaml").read_text())
    lines = {(Path(fault.file).name, fault.line) for fault in raised.value.faults}
    assert {
        ("a.yaml", 11),
        ("a.yaml", 12),
        ("a.yaml", 13),
        ("b.yaml", 3),
        ("b.yaml", 4),
        ("b.yaml", 5),
        ("d.yaml", 2),
    } <= lines
    assert "c.yaml" in {file for file, _line in lines}
    assert raised.value.faults == sorted(raised.value.faults)


def test_what_stands_beside_a_fault_is_checked_as_well(tmp_path: Path):
    told = faults(
        tmp_path,
        "stores:\n"
        "  - id: one\n"
        "    nam: One\n"
        '    hours: "Mo-Fr 8-20"\n'
        "  - {id: one, name: Two, location: {lat: 48.8, lon: 2.3}}\n"
        "campaigns:\n"
        "  - id: c\n"
        "    on: entr\n"
        "    zones: {tags: [nope], stores: [one]}\n"
        "    levers: [psh]\n"
        "    audience: 'status = 3'\n"
        '    message: {fr: "{stor}"}\n',
    )
    assert [(int(f.split(":")[0]), f.split(": ", 1)[1].split(" ")[0]) for f in told] == [
        (2, "store"),
        (2, "store"),
        (3, "`nam`"),
        (4, "hours"),
        (5, "id"),
        (8, "on"),
        (9, "tag"),
        (10, "levers"),
        (11, "audience"),
        (12, "placeholder"),
    ]


def test_a_fault_of_a_store_is_not_told_again_of_those_who_name_it(tmp_path: Path):
    text = store("hours: 8-20") + CAMPAIGN + "    zones: {stores: [opera]}\n"
    assert len(faults(tmp_path, text)) == 1


def test_an_engine_key_in_two_files_names_both(tmp_path: Path):
    write(tmp_path, {"b.yaml": "engine: {max_age: 10m}\n"})
    (fault,) = faults(tmp_path, "engine: {max_age: 5m, state: 'local:x.db'}\n")
    assert fault.startswith("b.yaml:1:10: engine.max_age stands in ")
    assert "a.yaml:1 too" in fault


def test_engine_keys_of_several_files_make_one_engine(tmp_path: Path):
    write(tmp_path, {"b.yaml": "engine: {visit_group: 1h}\n"})
    engine = reading(tmp_path, f"{STORES}engine: {{max_age: 10m}}\n").book.engine
    assert (engine.max_age_ms, engine.visit_group_ms) == (600_000, 3_600_000)


@pytest.mark.parametrize("text", ["", "stores: []\n", "engine: {max_age: 10m}\n"])
def test_a_catalogue_without_a_store_or_zone_is_a_fault(tmp_path: Path, text: str):
    write(tmp_path, {"half-written.yaml": text})
    with pytest.raises(ConfigurationError, match=r"half-written.yaml:1:1: nothing to be near"):
        load(tmp_path)


def test_a_directory_without_yaml_is_a_fault(tmp_path: Path):
    write(tmp_path, {"README.md": "nothing"})
    with pytest.raises(ConfigurationError, match="no catalogue here"):
        load(tmp_path)
