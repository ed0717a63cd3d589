"""``geoengine serve``: the service, and where to look next."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

import click
import uvloop

from geoengine.catalog import Reading
from geoengine.cli.demo import demo_command
from geoengine.core.book import Book
from geoengine.core.errors import ConfigurationError, GeoengineError
from geoengine.core.quiet import IS_COMPILED
from geoengine.service.auth import Keys, keys_from
from geoengine.service.logs import configure, logger
from geoengine.service.reload import build
from geoengine.service.sending.senders import SECRET_VARIABLE, unsent
from geoengine.service.service import Service, assemble
from geoengine.service.settings import Settings, SettingsError, from_environment, is_loopback
from geoengine.state import open_state
from geoengine.state.collector import rare_collection

CONFIGURATION_EXIT = 2  # what is configured cannot be served; a part that failed exits with 1


@click.command(name="serve")
@click.option("--config", metavar="DIR", help="The catalogue.  [default: config]")
@click.option("--state", metavar="URL", help="Overrules the catalogue's engine.state.")
@click.option("--cache", metavar="DIR", help="Compiled catalogues.  [default: ~/.cache/geoengine]")
@click.option("--host", metavar="HOST", help="Where to listen.  [default: 127.0.0.1]")
@click.option("--port", type=int, metavar="N", help="0 takes a free one.  [default: 8080]")
@click.option(
    "--ingest-port", type=int, metavar="N", help="A second, leaner door for pings and sightings."
)
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]))
def command(**flags: Any) -> None:
    """Serve a catalogue over HTTP until told to stop.

    Keys come from GEOENGINE_APP_KEYS, GEOENGINE_GATEWAY_KEYS and GEOENGINE_SERVER_KEYS (comma
    separated), or from the file that GEOENGINE_KEYS_FILE names. Without any, everybody on this
    machine may do everything, and nobody else can connect.
    """
    try:
        settings = from_environment(os.environ, flags)
        configure(settings.log_level)
        keys = keys_from(os.environ)
        refuse_open_door(settings, keys)
        reading = build(settings)
        is_clean = uvloop.run(_serve(settings, keys, reading, os.environ))
    except ConfigurationError as error:
        click.echo(str(error), err=True)
        raise SystemExit(CONFIGURATION_EXIT) from None
    except (GeoengineError, ValueError, OSError) as error:
        click.echo(f"geoengine: {error}", err=True)
        raise SystemExit(CONFIGURATION_EXIT) from None
    raise SystemExit(0 if is_clean else 1)


def refuse_open_door(settings: Settings, keys: Keys) -> None:
    """Without a key only this machine may connect. Raises `SettingsError` for anything wider."""
    if keys.is_empty and not is_loopback(settings.host):
        raise SettingsError(
            f"host {settings.host} is reachable from elsewhere, and no key is configured: set "
            "GEOENGINE_APP_KEYS and GEOENGINE_SERVER_KEYS, or serve on 127.0.0.1"
        )


# Python hands its lock to another thread only this often when the loop is busy, and the writer of
# the state asks for it several times a commit: at the usual 5 ms a busy service would commit late.
SWITCH_S = 0.0005


async def _serve(
    settings: Settings, keys: Keys, reading: Reading, environ: Mapping[str, str]
) -> bool:
    sys.setswitchinterval(SWITCH_S)
    book = reading.book
    spec = book.engine.spec
    state = open_state(settings.state or spec.state, last_fix_capacity=spec.last_fixes)
    service = assemble(settings, keys, book, state, environ)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    await service.start()
    loop.add_signal_handler(signal.SIGHUP, service.reloader.ask)
    logger("serve").info(
        "serving",
        host=settings.host,
        port=service.port,
        ingest_port=service.ingest_port or None,
        book_version=book.version,
        stores=len(book.stores),
        campaigns=len(book.campaigns),
        has_keys=not keys.is_empty,
        is_compiled=IS_COMPILED,
    )
    if keys.is_empty:
        logger("serve").warning("no_keys", why="anybody on this machine may do everything")
    _greet(service, reading, keys)
    with rare_collection():
        return await service.run(stop)


def _greet(service: Service, reading: Reading, keys: Keys) -> None:
    """For a human at a terminal: what is served, where to look, one command that shows it work."""
    settings, book = service.context.settings, reading.book
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{service.port}"
    lines = [
        "",
        f"  geoengine serves {settings.config} on {url}",
        f"  {len(book.stores)} stores, {len(book.zones)} zones, {len(book.campaigns)} campaigns",
        *_concerns(book, service, reading, keys),
        "",
        f"  health    {url}/healthz",
        f"  zones     {url}/v1/zones",
        f"  metrics   {url}/metrics",
        *([f"  ingest    http://{host}:{service.ingest_port}"] if service.ingest_port else []),
        f"  contract  {url}/openapi.json",
        "",
        *_demo(book, url, keys),
    ]
    click.echo("\n".join(lines), file=sys.stderr)


def _concerns(book: Book, service: Service, reading: Reading, keys: Keys) -> list[str]:
    told = []
    if keys.is_empty:
        told.append("  NO KEY IS CONFIGURED: anybody on this machine may do everything.")
    if reading.warnings:
        told.append(f"  {len(reading.warnings)} warnings: see `geoengine check`.")
    for lever, campaigns in unsent(book, service.levers).items():
        why = f"set engine.webhook and {SECRET_VARIABLE}" if lever == "webhook" else "not yet"
        told.append(f"  No sender for {lever} ({why}): {', '.join(campaigns)}")
    return told


def _demo(book: Book, url: str, keys: Keys) -> list[str]:
    text = demo_command(book, url, has_keys=not keys.is_empty)
    return ["  See a trigger:", "", text, ""] if text else []
