"""What can be wrong in a catalogue: the text, where it is told, and words of what is told."""

from __future__ import annotations

from tests.catalog.writing import CAMPAIGN, SHOP, STORES, campaign, store

SECOND = SHOP.replace("rivoli", "opera").replace("minor: 1", "minor: 2")

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
