"""The scene as one page: map, lists and reasons in a single file that asks no network for anything.

The page may load nothing and run nothing but what stands in it: its policy names the digests of its
own style and script, and a store's name stays text whatever it looks like.
"""

from __future__ import annotations

import math
from base64 import b64encode
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any

import msgspec
import numpy as np
import shapely

from geoengine.catalog.preview.packing import packed, steps
from geoengine.catalog.preview.scene import SETTINGS, Scene
from geoengine.core.book import MODES
from geoengine.core.columns import Floats
from geoengine.core.units import DEGREE_M

# In this order: each may use what those before it have made.
SCRIPTS = (
    "scene.js", "projection.js", "sheet.js", "furniture.js", "chart.js", "lists.js", "main.js"
)  # fmt: skip
_ASSETS = files("geoengine.catalog.preview").joinpath("assets")


def page(scene: Scene, title: str, is_compared: bool = False) -> bytes:
    """The page, UTF-8; ``is_compared`` opens it with circle and reach side by side."""
    style, script = _asset("page.css"), "".join(map(_asset, SCRIPTS))
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; "
        f"style-src {_digest(style)}; script-src {_digest(script)}"
    )
    data = msgspec.json.encode(_told(scene, title, is_compared)).decode()
    filled = {
        "title": escape(title),
        "policy": escape(policy),
        "style": style,
        "script": script,
        "scene": data.replace("<", "\\u003c"),  # or a name could end the element it stands in
    }
    text = _asset("page.html")
    pieces = [
        filled.get(piece, piece) if ix % 2 else piece for ix, piece in enumerate(text.split("@@"))
    ]
    return "".join(pieces).encode()


def _asset(name: str) -> str:
    return _ASSETS.joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _told(scene: Scene, title: str, is_compared: bool) -> dict[str, Any]:
    """What the script reads; columns of one row an area, and null for what is not known."""
    reasons: dict[str, int] = {}
    overlaps = scene.overlaps
    return {
        "title": title,
        "version": scene.version,
        "isCompared": is_compared,
        "settings": SETTINGS,
        "modes": MODES,
        "ids": scene.ids,
        "names": scene.names,
        "storeIds": scene.store_ids,
        "setting": [SETTINGS.index(setting) for setting in scene.settings],
        "mode": [MODES.index(mode) for mode in scene.modes],
        "minutes": _numbers(scene.minutes),
        "whyIx": [reasons.setdefault(why, len(reasons)) for why in scene.why],
        "reasons": list(reasons),
        "lon": steps(scene.lon_deg).tolist(),
        "lat": steps(scene.lat_deg).tolist(),
        "circleM": _numbers(scene.circle_m),
        "areaKm2": _numbers(scene.area_km2),
        "extentM": _numbers(_extents_m(scene)),
        "agreement": _numbers(scene.agreement),
        "people": _numbers(scene.people),
        "shapes": _outlines(scene),
        "overlaps": {
            "first": overlaps.first_ix.tolist(),
            "second": overlaps.second_ix.tolist(),
            "firstShare": _numbers(overlaps.first_share),
            "secondShare": _numbers(overlaps.second_share),
            "unlistedCount": overlaps.unlisted_count,
            "unmeasuredCount": overlaps.unmeasured_count,
        },
        "towns": {
            "lon": steps(scene.towns.lon_deg).tolist(),
            "lat": steps(scene.towns.lat_deg).tolist(),
            "radiusM": _numbers(scene.towns.radius_m),
        },
        "warnings": scene.warnings,
        "unshownCount": scene.unshown_count,
    }


def _outlines(scene: Scene) -> list[str]:
    """The outline of each reach that is no circle; of a circle nothing: its radius says it all."""
    rows = np.flatnonzero(~scene.is_circle)
    texts = [""] * len(scene)
    outlines = packed(scene.shapes[rows], scene.lon_deg[rows], scene.lat_deg[rows])
    for row, text in zip(rows.tolist(), outlines, strict=True):
        texts[row] = text
    return texts


def _extents_m(scene: Scene) -> Floats:
    """How far the reach goes at its farthest, and the circle if that goes farther; good to 1 %."""
    corners, row = shapely.get_coordinates(scene.shapes, return_index=True)
    shrink = np.cos(np.radians(scene.lat_deg[row]))
    away_m = DEGREE_M * np.hypot(
        (corners[:, 0] - scene.lon_deg[row]) * shrink, corners[:, 1] - scene.lat_deg[row]
    )
    farthest_m = np.nan_to_num(scene.circle_m)
    np.maximum.at(farthest_m, row, away_m)
    return farthest_m


def _numbers(column: Floats) -> list[float | None]:
    """Four digits of each, which is more than anything here is known to."""
    return [_rounded(number) for number in column.tolist()]


def _rounded(number: float) -> float | None:
    """A number to four digits; none of what is not known.

    >>> [_rounded(number) for number in (0.0, 2962.96, 0.283941, float("nan"))]
    [0, 2963, 0.2839, None]
    """
    if math.isnan(number):
        return None
    rounded = float(f"{number:.4g}")
    return int(rounded) if rounded.is_integer() else rounded
