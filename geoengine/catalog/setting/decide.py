"""The setting of every store that leaves it to us: which source is asked, and what it says."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from geoengine.catalog.setting import fallback
from geoengine.core.columns import Floats
from geoengine.core.model import Decided


class Verdict(NamedTuple):
    """What a place is, and why; and what deserves a second look."""

    setting: Decided
    why: str
    doubts: tuple[str, ...] = ()


def decide(lon_deg: Floats, lat_deg: Floats, data: Path) -> list[Verdict]:
    """The setting of each position.

    Parameters
    ----------
    lon_deg, lat_deg : float64, shape (P,)
        WGS 84.
    data : folder
        Where `geoengine data add` puts what it was given; need not exist.

    Returns
    -------
    verdicts : P of them
    """
    is_city, people = fallback.settings(lon_deg, lat_deg)
    return [
        Verdict("city" if city else "countryside", fallback.reason(city, count))
        for city, count in zip(is_city.tolist(), people.tolist(), strict=True)
    ]
