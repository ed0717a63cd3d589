"""``geoengine serve``: the service, by itself or as one of several workers."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Mapping
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

import click
import uvloop
from msgspec.structs import replace

from geoengine.catalog import Reading
from geoengine.cli.running import ports
from geoengine.cli.running.crew import CONFIGURATION_EXIT, Crew
from geoengine.cli.running.greeting import greeting
from geoengine.core.errors import ConfigurationError, GeoengineError
from geoengine.core.quiet import IS_COMPILED
from geoengine.service.auth import SHORT_KEY, Keys, keys_from
from geoengine.service.brokers.making import wanted
from geoengine.service.logs import configure, logger
from geoengine.service.reload import build
from geoengine.service.sending.senders import senders
from geoengine.service.service import assemble
from geoengine.service.settings import Settings, SettingsError, from_environment, is_loopback
from geoengine.service.siblings import Berth, berth_of
from geoengine.state import is_shared, open_state
from geoengine.state.collector import rare_collection


@click.command(name="serve")
@click.option("--config", metavar="DIR", help="The catalogue.  [default: config]")
@click.option("--state", metavar="URL", help="Overrules the catalogue's engine.state.")
@click.option("--cache", metavar="DIR", help="Compiled catalogues.  [default: ~/.cache/geoengine]")
@click.option("--host", metavar="HOST", help="Where to listen.  [default: 127.0.0.1]")
@click.option("--port", type=int, metavar="N", help="0 takes a free one.  [default: 8080]")
@click.option(
    "--ingest-port",
    type=int,
    metavar="N",
    help="A second, leaner door for pings, sightings and gateways.",
)
@click.option(
    "--osmand-port", type=int, metavar="N", help="A door for Traccar Client, which expects 5055."
)
@click.option(
    "--workers", metavar="N", help="Processes on one port; auto is one a core.  [default: 1]"
)
@click.option(
    "--mqtt",
    metavar="URL",
    multiple=True,
    help="Take messages from this broker too, mqtt://USER:PASSWORD@HOST; may be given again.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="What is worth a line.  [default: info]",
)
def command(**flags: Any) -> None:
    """Serve a catalogue over HTTP until told to stop.

    Keys come from GEOENGINE_APP_KEYS, GEOENGINE_GATEWAY_KEYS and GEOENGINE_SERVER_KEYS (comma
    separated), or from the file that GEOENGINE_KEYS_FILE names. Without any, everybody on this
    machine may do everything, and nobody else can connect.
    """
    flags["mqtt"] = " ".join(flags["mqtt"]) or None
    raise SystemExit(serve(flags, os.environ))


def serve(flags: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    """Serve until told to stop; the exit code."""
    try:
        if (berth := berth_of(environ)) is not None:
            return _work(berth, environ)
        settings = from_environment(environ, flags)
        configure(settings.log_level)
        keys = keys_from(environ)
        refuse_open_door(settings, keys)
        wanted(settings)
        if settings.workers > 1:
            return _lead(settings, keys, environ)
        return _run(settings, keys, environ, None)
    except ConfigurationError as error:
        click.echo(str(error), err=True)
    except (GeoengineError, ValueError, OSError) as error:
        click.echo(f"geoengine: {error}", err=True)
    return CONFIGURATION_EXIT


def _run(settings: Settings, keys: Keys, environ: Mapping[str, str], berth: Berth | None) -> int:
    """Serve in this process."""
    return 0 if uvloop.run(_serve(settings, keys, build(settings), environ, berth)) else 1


def _work(berth: Berth, environ: Mapping[str, str]) -> int:
    """Serve as one of several workers."""
    end_with_parent(berth.parent_pid)
    configure(berth.settings.log_level, worker=berth.number)
    return _run(berth.settings, keys_from(environ), environ, berth)


def _lead(settings: Settings, keys: Keys, environ: Mapping[str, str]) -> int:
    """Have workers serve. What cannot be served is found out here, and told once."""
    reading = build(settings)
    url = settings.state or reading.book.engine.spec.state
    open_state(url, last_fix_capacity=1)  # only to hear now if there is no such state
    refuse_unshared(url, settings.workers)
    with ports.held(settings) as found, TemporaryDirectory(prefix="geoengine-") as folder:
        facts = _facts(found, reading, keys)
        text = greeting(found, reading, keys, senders(reading.book, environ))
        del reading  # the workers have theirs
        return asyncio.run(Crew(found, environ, folder, partial(_announce, facts, text)).run())


def refuse_open_door(settings: Settings, keys: Keys) -> None:
    """Without a key only this machine may connect. Raises `SettingsError` for anything wider."""
    if keys.is_empty and not is_loopback(settings.host):
        raise SettingsError(
            f"host {settings.host} is reachable from elsewhere, and no key is configured: set "
            "GEOENGINE_APP_KEYS and GEOENGINE_SERVER_KEYS, or serve on 127.0.0.1"
        )


def refuse_unshared(url: str, worker_count: int) -> None:
    """Workers need a state to share. Raises `SettingsError` for one that lives in a process."""
    if not is_shared(url):
        raise SettingsError(
            f"a {url.partition(':')[0]}: state lives in one process and cannot be shared by "
            f"{worker_count} workers: name one that can, with --state redis://HOST, or serve with "
            "--workers 1"
        )


PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def end_with_parent(parent_pid: int) -> None:
    """See that this process is killed when its parent ends, however that ends.

    A worker without one could stay on the port, unwatched, for as long as it likes; what it had
    acknowledged is kept, killed or not.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        raise SettingsError("the process that started this worker is gone")


# Python hands its lock to another thread only this often when the loop is busy, and the writer of
# the state asks for it several times a commit: at the usual 5 ms a busy service would commit late.
SWITCH_S = 0.0005


async def _serve(
    settings: Settings,
    keys: Keys,
    reading: Reading,
    environ: Mapping[str, str],
    berth: Berth | None,
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
    if berth is None:
        found = replace(
            settings,
            port=service.port,
            ingest_port=service.ingest_port or None,
            osmand_port=service.osmand_port or None,
        )
        _announce(_facts(found, reading, keys), greeting(found, reading, keys, service.levers))
    else:
        os.write(berth.ready_fd, b"!")
        os.close(berth.ready_fd)
    with rare_collection():
        return await service.run(stop)


def _facts(settings: Settings, reading: Reading, keys: Keys) -> dict[str, Any]:
    """What is served, for the log."""
    book = reading.book
    return {
        "host": settings.host,
        "port": settings.port,
        "ingest_port": settings.ingest_port,
        "osmand_port": settings.osmand_port,
        "workers": settings.workers,
        "book_version": book.version,
        "stores": len(book.stores),
        "campaigns": len(book.campaigns),
        "has_keys": not keys.is_empty,
        "short_keys": keys.short_count,
        "is_compiled": IS_COMPILED,
    }


def _announce(facts: Mapping[str, Any], text: str) -> None:
    """Say that requests are served."""
    logger("serve").info("serving", **facts)
    if not facts["has_keys"]:
        logger("serve").warning("no_keys", why="anybody on this machine may do everything")
    if facts["short_keys"]:
        logger("serve").warning("short_keys", why=f"{SHORT_KEY} characters cannot be guessed")
    click.echo(text, err=True)
