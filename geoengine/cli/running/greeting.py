"""For a human at a terminal: what is served, where to look, one command that shows it work."""

from __future__ import annotations

from collections.abc import Mapping

from geoengine.catalog import Reading
from geoengine.cli.running.demo import demo_command
from geoengine.core.judging.pausing import pauses
from geoengine.levers.base import Lever
from geoengine.service.auth import Keys
from geoengine.service.sending.senders import lacking, unsent
from geoengine.service.settings import Settings


def greeting(settings: Settings, reading: Reading, keys: Keys, levers: Mapping[str, Lever]) -> str:
    """What to print once requests are served; the ports of ``settings`` are those listened on."""
    book = reading.book
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{settings.port}"
    crew = f", {settings.workers} workers" if settings.workers > 1 else ""
    lines = [
        "",
        f"  geoengine serves {settings.config} on {url}{crew}",
        f"  {len(book.stores)} stores, {len(book.zones)} zones, {len(book.campaigns)} campaigns",
        *_concerns(reading, keys, levers),
        "",
        f"  health    {url}/healthz",
        f"  zones     {url}/v1/zones",
        f"  metrics   {url}/metrics",
        *([f"  ingest    http://{host}:{settings.ingest_port}"] if settings.ingest_port else []),
        *([f"  osmand    http://{host}:{settings.osmand_port}"] if settings.osmand_port else []),
        f"  contract  {url}/openapi.json",
        "",
    ]
    if demo := demo_command(book, url, has_keys=not keys.is_empty):
        lines += ["  See a trigger:", "", demo, ""]
    return "\n".join(lines)


def _concerns(reading: Reading, keys: Keys, levers: Mapping[str, Lever]) -> list[str]:
    told = []
    if keys.is_empty:
        told.append("  NO KEY IS CONFIGURED: anybody on this machine may do everything.")
    told += [f"  {line}" for line in pauses(reading.book)]
    if reading.warnings:
        told.append(f"  {len(reading.warnings)} warnings: see `geoengine check`.")
    for lever, campaigns in unsent(reading.book, levers).items():
        told.append(f"  No sender for {lever} (set engine.{lever}): {', '.join(campaigns)}")
    told += [f"  {lever}: {why}" for lever, why in lacking(levers.values())]
    return told
