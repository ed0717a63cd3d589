"""A compiled catalogue into columns and back: the same Book, the same warnings.

What is few (campaigns, policies, gateways, faults) is one msgpack; what there is of every store
and zone is columns. Audiences are compiled again from their text, polygons read from WKB. What an
index over polygons is made of goes along: to make it anew takes twenty times as long as to read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np
import shapely
from msgspec import Struct

from geoengine.catalog.building.compile import Reading
from geoengine.catalog.keeping.container import Damaged, Parts
from geoengine.catalog.keeping.packed import (
    Structs,
    Words,
    pack_blobs,
    pack_structs,
    pack_texts,
    pack_words,
    unpack_blobs,
    unpack_texts,
)
from geoengine.core.book import Book, CampaignPlan, EnginePlan
from geoengine.core.errors import Fault
from geoengine.core.index import ZoneIndex
from geoengine.core.judging.audience import Audience
from geoengine.core.model import Gateway, Store
from geoengine.core.places.policy import Policy
from geoengine.core.places.zones import Zones
from geoengine.core.space.kept import named, named_of

# The columns of `Zones` that are arrays and go as they are.
_ARRAYS: Final = (
    "kind",
    "lon_deg",
    "lat_deg",
    "radius_m",
    "store_ix",
    "policy_ix",
    "mode",
    "minutes",
    "prints",
    "born_ms",
)
_SOME_ZONES: Final = ("places", "names", "time_zones")  # texts of some zones, by zone_ix
_INDEX: Final = "index"  # whose columns these are
_BETWEEN_TAGS = "\n"  # no tag has one


class _Few(Struct):
    """Everything of which a catalogue has few."""

    version: str
    policies: tuple[Policy, ...]
    campaigns: tuple[CampaignPlan, ...]
    engine: EnginePlan
    gateways: dict[str, Gateway]
    warnings: tuple[Fault, ...]
    skipped_count: int
    zone_counts: dict[str, int]
    why_words: list[str]


class Origin(Struct):
    """What a catalogue was compiled from: as in `Reading`."""

    documents: tuple[str, ...]
    digests: dict[str, str]


def pack(reading: Reading, is_indexed: bool = True) -> dict[str, Any]:
    """The columns of a compiled catalogue, by name; with its index, or smaller without."""
    book, zones = reading.book, reading.book.zones
    why_words, why_ix = pack_words(zones.why)
    few = _Few(
        book.version,
        book.policies,
        book.campaigns,
        book.engine,
        dict(book.gateways),
        reading.warnings,
        reading.skipped_count,
        reading.zone_counts,
        why_words,
    )
    origin = Origin(reading.documents, reading.digests)
    parts: dict[str, Any] = {name: getattr(zones, name) for name in _ARRAYS}
    parts["few"] = np.frombuffer(msgspec.msgpack.encode(few, enc_hook=_text_of), np.uint8)
    parts["origin"] = np.frombuffer(msgspec.msgpack.encode(origin), np.uint8)
    parts["why"] = why_ix
    parts["marks"] = book.marks
    parts |= _pair("stores", pack_structs(book.stores))
    parts |= _pair("ids", pack_texts(zones.ids))
    parts |= _pair("polygons", pack_blobs(map(shapely.to_wkb, zones.polygons.values())))
    parts["polygons.zones"] = np.fromiter(zones.polygons, np.int32)
    for name in _SOME_ZONES:
        parts |= _pack_some(name, getattr(zones, name))
    parts |= _pack_some("tags", {ix: _BETWEEN_TAGS.join(tags) for ix, tags in zones.tags.items()})
    parts |= _pair("beacons", pack_texts(uuid for uuid, _major, _minor in book.beacons))
    for at, name in enumerate(("major", "minor"), 1):
        parts[f"beacons.{name}"] = np.fromiter((key[at] for key in book.beacons), np.int32)
    parts["beacons.zones"] = np.fromiter(book.beacons.values(), np.int32)
    return parts | named(_INDEX, book.index.arrays) if is_indexed and zones.polygons else parts


def origin_of(parts: Parts) -> Origin:
    """What the packed catalogue was compiled from. Raises `Damaged`."""
    try:
        return _ORIGIN.decode(parts["origin"].data)
    except (KeyError, ValueError) as error:
        raise Damaged(f"the compiled catalogue does not read: {error!r}") from error


def unpack(parts: Parts) -> Reading:
    """The catalogue that was packed. Raises `Damaged` where a column lacks or makes no sense."""
    try:
        few, origin = _FEW.decode(parts["few"].data), origin_of(parts)
        zones = _zones(parts, few.why_words)
        book = Book(
            version=few.version,
            stores=Structs(Store, parts["stores"], parts["stores.ends"]),
            zones=zones,
            policies=few.policies,
            campaigns=few.campaigns,
            engine=few.engine,
            beacons=_beacons(parts),
            gateways=few.gateways,
        ).marked(parts["marks"])
        if of_index := named_of(_INDEX, parts):
            book = book.indexed(ZoneIndex(zones, of_index))
    except (KeyError, ValueError) as error:
        raise Damaged(f"the compiled catalogue does not read: {error!r}") from error
    return Reading(
        book, few.warnings, few.skipped_count, few.zone_counts, origin.documents, origin.digests
    )


def _zones(parts: Parts, why_words: list[str]) -> Zones:
    areas = shapely.from_wkb(unpack_blobs(parts["polygons"], parts["polygons.ends"]))
    tags = {
        ix: tuple(text.split(_BETWEEN_TAGS)) if text else ()
        for ix, text in _some(parts, "tags").items()
    }
    columns: dict[str, Any] = {name: parts[name] for name in _ARRAYS}
    columns |= {name: _some(parts, name) for name in _SOME_ZONES}
    return Zones(
        ids=unpack_texts(parts["ids"], parts["ids.ends"]),
        why=Words(why_words, parts["why"]),
        polygons=dict(zip(parts["polygons.zones"].tolist(), areas, strict=True)),
        tags=tags,
        **columns,
    )


def _beacons(parts: Parts) -> dict[tuple[str, int, int], int]:
    uuids = unpack_texts(parts["beacons"], parts["beacons.ends"])
    keys = zip(uuids, parts["beacons.major"].tolist(), parts["beacons.minor"].tolist(), strict=True)
    return dict(zip(keys, parts["beacons.zones"].tolist(), strict=True))


def _pair(name: str, packed: tuple[Any, Any]) -> dict[str, Any]:
    return {name: packed[0], f"{name}.ends": packed[1]}


def _pack_some(name: str, texts: Mapping[int, str]) -> dict[str, Any]:
    return {
        **_pair(name, pack_texts(texts.values())),
        f"{name}.zones": np.fromiter(texts, np.int32),
    }


def _some(parts: Parts, name: str) -> dict[int, str]:
    texts = unpack_texts(parts[name], parts[f"{name}.ends"])
    return dict(zip(parts[f"{name}.zones"].tolist(), texts, strict=True))


def _text_of(value: Any) -> str:
    assert isinstance(value, Audience), type(value)
    return value.text


def _compiled(_kind: type, text: str) -> Audience:
    return Audience(text)


_ORIGIN: Final = msgspec.msgpack.Decoder(Origin)
_FEW: Final = msgspec.msgpack.Decoder(_Few, dec_hook=_compiled)
