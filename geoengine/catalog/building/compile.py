"""A directory into a Book: gather, check everything, compile; or every fault at once."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import msgspec

import geoengine.catalog.hours as hours
from geoengine.catalog.building import (
    beacons,
    footprints,
    gateways,
    policies,
    targets,
    zone_rows,
    zones,
)
from geoengine.catalog.building.campaigns import plans
from geoengine.catalog.building.levers import check_levers
from geoengine.catalog.building.reaches import take_roads
from geoengine.catalog.building.staff import check_staff
from geoengine.catalog.building.stores import Shops, complete
from geoengine.catalog.building.webhooks import check_webhooks
from geoengine.catalog.reading.gather import Gathered, gather
from geoengine.catalog.reading.sources import Progress
from geoengine.core.book import Book, CampaignPlan, EnginePlan
from geoengine.core.calendar import duration_ms
from geoengine.core.consent.retention import too_short
from geoengine.core.errors import ConfigurationError, Fault
from geoengine.core.places.zones import Zones


@dataclass(frozen=True, slots=True)
class Reading:
    """A Book, and what deserves a second look in what it was made from."""

    book: Book
    warnings: tuple[Fault, ...]
    skipped_count: int  # rows of imported files that have a fault and were left out
    zone_counts: dict[str, int]  # how many zones each campaign is about
    documents: tuple[str, ...]  # the YAML files, in order
    digests: dict[str, str]  # of the bytes of every file that was read, by path


def load(directory: Path) -> Book:
    """The Book that a directory describes. Raises `ConfigurationError` with all its faults."""
    return read(directory).book


def read(directory: Path, tell: Progress | None = None, *, by_roads: bool = True) -> Reading:
    """The Book of a directory, with warnings. Raises `ConfigurationError` with all its faults.

    ``tell(file, read_bytes, all_bytes)`` hears of the progress through imported files. Not
    ``by_roads``, every reach in minutes is its circle, whatever a road network has answered.
    """
    with _collector_paused():
        found = gather(Path(directory), tell or _silent)
        book, zone_counts = _compile(found, by_roads)
    report = found.report
    if report.errors:
        raise ConfigurationError(list(dict.fromkeys(report.errors)))
    warnings = sorted(dict.fromkeys(report.warnings))
    return Reading(
        book,
        tuple(warnings),
        report.skipped_count,
        zone_counts,
        tuple(found.documents),
        report.sources.digests,
    )


def _compile(found: Gathered, by_roads: bool) -> tuple[Book, dict[str, int]]:
    data, sources = Path(found.engine.data), found.report.sources
    sources.read_folders(data)
    outlined = footprints.check(found.stores, data)
    shops = complete(found.stores, data)
    sources.read_folders(data)  # what came meanwhile belongs to another catalogue
    if by_roads:
        take_roads(found, shops)
    areas = zones.check_zones(found.zones, found.stores)
    policies.check_presence(found.stores, found.engine.presence)
    policies.check_presence(found.zones, found.engine.presence)
    _check_engine(found, {store.country or "" for store in shops.stores})
    check_staff(found, shops.stores)
    rows, in_use = zone_rows.Rows(), policies.Policies(found.engine.presence)
    zones.add_reaches(rows, shops, in_use)
    zones.add_drawn(rows, found.zones, areas, shops, in_use)
    footprints.add_footprints(rows, found.stores, outlined, shops, in_use)
    heard_whole = gateways.heard_whole(found.gateways)
    zone_ix_of, keys_of = beacons.add_places(rows, found.stores, shops, in_use, heard_whole)
    names = targets.names_of(found.stores, found.zones, heard_whole)
    planned = plans(found.campaigns, found.engine, names, rows, shops)
    campaigns = tuple(plan for plan, _count in planned)
    boxes = gateways.by_id(found.gateways, found.stores)
    columns = zone_rows.columns(rows, keys_of)
    book = Book(
        version=_version(found, shops, columns, campaigns),
        stores=tuple(shops.stores),
        zones=columns,
        policies=tuple(in_use.values),
        campaigns=campaigns,
        engine=EnginePlan(
            found.engine,
            duration_ms(found.engine.max_age),
            duration_ms(found.engine.visit_group),
        ),
        beacons=zone_ix_of,
        gateways=boxes,
    )
    return book, {plan.id: count for plan, count in planned}


def _check_engine(found: Gathered, countries: Set[str]) -> None:
    engine = found.engine
    why = policies.contradiction(policies.merged(engine.presence))
    if why is not None:
        found.engine_fault(why, "presence")
    if engine.quiet_hours is not None and (problem := hours.problem(engine.quiet_hours)):
        found.engine_fault(f"quiet_hours {problem}", "quiet_hours")
    for key, what in too_short(engine):
        found.engine_fault(f"retention: {what}", "retention", key)
    check_levers(found, countries)
    check_webhooks(found)


def _version(
    found: Gathered, shops: Shops, columns: Zones, planned: tuple[CampaignPlan, ...]
) -> str:
    """Twelve hex digits of everything that was compiled: other content, other version."""
    digest = blake2b(digest_size=6)
    encode = msgspec.msgpack.Encoder(order="deterministic").encode
    for part in (
        shops.stores,
        [zone for _ix, zone in found.zones],
        [plan.spec for plan in planned],
        [gateway for _ix, gateway in found.gateways],
        found.engine,
        columns.radius_m.tobytes() + columns.prints.tobytes(),
    ):
        digest.update(encode(part))
    return digest.hexdigest()


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Without the cyclic collector: it would walk a million young rows again and again.

    Measured on a million rows of CSV: 9 s instead of 14.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _silent(_file: str, _read: int, _all: int) -> None:
    """Nobody watches."""
