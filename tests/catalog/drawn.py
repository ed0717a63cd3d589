"""Catalogues that Hypothesis draws."""

from __future__ import annotations

import csv
import io

from hypothesis import strategies as st

from tests.catalog.test_compile import SQUARE

IDS = st.integers(0, 999).map("x{}".format)
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=9)
LATS, LONS = (
    st.floats(44, 50).map(lambda x: round(x, 5)),
    st.floats(0, 6).map(lambda x: round(x, 5)),
)
HOURS = st.sampled_from(["", "Mo-Fr 09:00-18:00", "24/7"])
REACHES = st.sampled_from(
    [
        "",
        "    reach: {minutes: 7}\n",
        "    reach: {radius_m: 80}\n",
        f"    reach: {{polygon: {SQUARE}}}\n",
    ]
)
EXTRAS = st.sampled_from(
    [
        "",
        "    tags: [a, b]\n",
        "    presence: {dwell_s: 61}\n",
        "    setting: city\n    phone: '1'\n",
    ]
)
CAMPAIGNS = st.sampled_from(
    [
        "    audience: status == 'premium' and points >= 3\n",
        "    window: {days: Mo-Fr, hours: '17:30-18:00', except_dates: ['2026-12-24']}\n",
        "    caps: [{max: 1, per: day}, {max: 3, per: 24h}]\n    cooldown: 2h\n    hold_out: 12%\n",
        "    coupon: {kind: unique, valid: 2h}\n",
        "    live_from: 2026-11-21\n    zones: {tags: [a]}\n",
    ]
)


@st.composite
def catalogues(draw: st.DrawFn) -> dict[str, str]:
    """A YAML file, and rows beside it."""
    ids = draw(st.lists(IDS, min_size=2, max_size=6, unique=True))
    text = "stores:\n"
    for ix, store_id in enumerate(ids):
        text += f"  - id: {store_id}\n    name: 'S{ix}'\n"
        text += f"    location: {{lat: {draw(LATS)}, lon: {draw(LONS)}}}\n"
        text += draw(REACHES) + draw(EXTRAS)
        if hours := draw(HOURS):
            text += f"    hours: {hours}\n"
        if draw(st.booleans()):
            uuid = "f7826da6-4fa2-4e98-8024-bc5b71e0893e"
            text += "    beacons:\n"
            text += f"      - {{id: one, uuid: {uuid}, major: 1, minor: {ix}, place: door}}\n"
    text += "  - import: rows.csv\n"
    text += "zones:\n  - {id: drawn, center: {lat: 48, lon: 2}, radius_m: 99.5, tags: [a]}\n"
    text += f"  - {{id: yard, store: {ids[0]}, name: The yard, polygon: {SQUARE}}}\n"
    text += "campaigns:\n"
    for ix, lines in enumerate(draw(st.lists(CAMPAIGNS, max_size=4))):
        text += f"  - id: c{ix}\n    on: enter\n    levers: [log]\n    message: {{en: Hi}}\n{lines}"
    rows = io.StringIO()
    writer = csv.writer(rows)
    writer.writerow(["name", "lat", "lon", "tags"])
    for _ in range(draw(st.integers(0, 4))):
        writer.writerow([draw(NAMES), draw(LATS), draw(LONS), draw(st.sampled_from(["", "a|b"]))])
    return {"a.yaml": text, "rows.csv": rows.getvalue()}
