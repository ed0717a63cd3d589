"""The running service: starts its parts in order, watches them, stops them in order.

Stopping loses nothing that was acknowledged: first the socket closes, then requests in hand end
while the worker still serves them, then the worker commits what waits, then messages under way
end, then the state writes what is not yet on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from geoengine.core.book import Book
from geoengine.core.engine import Outcome
from geoengine.core.errors import StateError
from geoengine.core.judging.caps import release
from geoengine.core.offers.coupons import drop
from geoengine.core.record import Event, Record, Send
from geoengine.core.telling.news import news
from geoengine.levers.base import Lever
from geoengine.service import clock
from geoengine.service.app import in_front, make_app, make_osmand_app
from geoengine.service.auth import Keys
from geoengine.service.brokers.making import subscribers, wanted
from geoengine.service.consent.gone import gone
from geoengine.service.consent.keeping import look_through, trim
from geoengine.service.context import Context
from geoengine.service.coupons.desk import Desk
from geoengine.service.coupons.office import Office
from geoengine.service.devices import devices_from
from geoengine.service.dispatcher import OVERRUN_S, Dispatcher, Hooks
from geoengine.service.heritage import inherit, leave
from geoengine.service.http.hall import Hall
from geoengine.service.http.lean import Connection
from geoengine.service.http.listener import Listener
from geoengine.service.http.problems import Problem
from geoengine.service.intake import Intake
from geoengine.service.logs import logger
from geoengine.service.metrics import Metrics
from geoengine.service.native.credentials import Credentials
from geoengine.service.native.listening import Listening
from geoengine.service.reload import Reloader
from geoengine.service.routes import ROUTES
from geoengine.service.routes.arriving.ingest import TAKES
from geoengine.service.routes.operate import own_page
from geoengine.service.sending.preparers import preparers
from geoengine.service.sending.senders import lacking, senders, unsent
from geoengine.service.sending.trials import Trials
from geoengine.service.settings import Settings
from geoengine.service.siblings import Siblings, berth_of
from geoengine.service.streaming.hub import Hub
from geoengine.service.wallet.telling import Wallets
from geoengine.service.worker import Worker
from geoengine.state.amending import amend
from geoengine.state.base import Commit, Settlement, State
from geoengine.state.copying import require_whole

if TYPE_CHECKING:
    from geoengine.service.brokers.subscriber import Subscriber

_LOG = logger("service")
INGEST = {route.path: (TAKES[route.path], route.who) for route in ROUTES if route.path in TAKES}


@dataclass
class Service:
    """Everything that runs, made by `assemble`."""

    context: Context
    dispatcher: Dispatcher
    reloader: Reloader
    runner: web.AppRunner
    levers: dict[str, Lever]
    environ: Mapping[str, str]
    osmand_runner: web.AppRunner | None = None  # of Traccar Client's own door, where there is one
    hall: Hall | None = None  # of the lean ingest listener, where there is one
    port: int = 0  # where it listens, once started
    ingest_port: int = 0  # where the lean listener does, if there is one
    osmand_port: int = 0  # where Traccar Client's own door is, if there is one
    retiring: set[asyncio.Task[None]] = field(default_factory=set)  # closing replaced levers
    subscribers: list[Subscriber] = field(default_factory=list)  # one a broker, once started

    async def start(self) -> None:
        """Open the state, then the socket; neither, where one of them fails."""
        context = self.context
        await context.state.open()
        if context.siblings is None or context.siblings.berth.number == 1:  # the others share it
            for why in context.state.concerns:
                _LOG.warning("state_concern", why=why)
        try:
            await require_whole(context.state)
            book, has_lost = await inherit(context.state, context.book, context.clock())
            context.worker.begin(book, is_sweep=has_lost)
            await leave(context.state, context.book)
            context.metrics.shows_book(context.book.version)
            await self.runner.setup()
            self.port = await self._listen()
            self.subscribers = subscribers(context, self.port)
            context.brokers = self.subscribers
        except BaseException:
            await self._close_doors()
            await self.context.state.close()
            raise

    async def run(self, stop: asyncio.Event) -> bool:
        """Serve until told to stop; False when a part failed instead."""
        parts = [
            asyncio.create_task(work, name=name)
            for name, work in (
                ("worker", self.context.worker.run()),
                ("dispatcher", self.dispatcher.run()),
                ("reloader", self.reloader.run()),
                ("housekeeping", self._keep_house()),
                ("listening", Listening(self.context).run()),
                ("wallets", Wallets(self.context).run()),
                ("coupons", self.context.coupons.run(self.context.worker, self.context.metrics)),
                *((f"mqtt {one.text}", one.run()) for one in self.subscribers),
            )
        ]
        told = asyncio.create_task(stop.wait())
        await asyncio.wait([told, *parts], return_when=asyncio.FIRST_COMPLETED)
        failed = [part for part in parts if part.done()]
        for part in failed:
            _LOG.critical("part_failed", part=part.get_name(), exc_info=part.exception())
        told.cancel()
        await self._stop(parts)
        return not failed

    async def _stop(self, parts: list[asyncio.Task[None]]) -> None:
        worker, dispatcher, *others = parts
        self.context.is_stopping = True
        _LOG.info("stopping", waiting=len(self.context.intake))
        self.reloader.stop()
        if worker.done():
            self._refuse_waiting()
        await self._close_doors()
        self.context.intake.close()
        await _ended(worker)
        await self.dispatcher.stop(self.context.settings.stop_s)
        await _ended(dispatcher)
        for part in [*others, *self.retiring]:
            part.cancel()
            await _ended(part)
        for lever in self.levers.values():
            await lever.close()
        with contextlib.suppress(StateError):
            await self.context.state.close()
        _LOG.info("stopped")

    def _refuse_waiting(self) -> None:
        """Nobody is left to serve what waits: tell its senders."""
        intake = self.context.intake
        intake.close()
        for post in intake.take(intake.ping_count):
            post.refuse(Problem("stopping"))

    def _listener(
        self, runner: web.AppRunner, port: int, stream_count: Callable[[], int] = lambda: 0
    ) -> Listener:
        settings = self.context.settings
        return Listener(
            runner,
            settings.host,
            port,
            max_connections=settings.max_connections,
            stream_count=stream_count,
            reuse_port=settings.workers > 1,
            keepalive_timeout=settings.keepalive_s,
            lingering_time=2.0,  # a refused body is read this long, so that its sender hears why
            auto_decompress=False,
            access_log=None,  # paths and queries hold people and positions
        )

    async def _listen(self) -> int:
        settings = self.context.settings
        listener = self._listener(self.runner, settings.port, partial(len, self.context.hub))
        if (server := self.runner.server) is not None:
            server.request_handler = in_front(self.context, INGEST, server.request_handler)
        await listener.start()
        hall = self.hall = Hall(self.context, INGEST)
        self.context.connection_count = lambda: listener.connection_count() + hall.guest_count()
        if settings.ingest_port is not None:
            self.ingest_port = await hall.open(
                Connection, settings.host, settings.ingest_port, reuse_port=settings.workers > 1
            )
        if self.osmand_runner is not None:
            await self._listen_for_osmand(self.osmand_runner)
        if self.context.siblings is not None:
            await self.context.siblings.open()
        return listener.port

    async def _listen_for_osmand(self, runner: web.AppRunner) -> None:
        """Open Traccar Client's own door; who comes in by it counts with the others."""
        await runner.setup()
        listener = self._listener(runner, self.context.settings.osmand_port or 0)
        await listener.start()
        self.osmand_port = listener.port
        others = self.context.connection_count
        self.context.connection_count = lambda: others() + listener.connection_count()

    async def _close_doors(self) -> None:
        """Let nobody in any more, and answer who waits."""
        waiting = [self.runner.cleanup()]
        if self.osmand_runner is not None:
            waiting.append(self.osmand_runner.cleanup())
        if self.hall is not None:
            waiting.append(self.hall.close(self.context.settings.stop_s))
        await asyncio.gather(*waiting)
        if self.context.siblings is not None:
            self.context.siblings.close()

    async def _keep_house(self) -> None:
        """Write what is not yet on disk every few seconds, drop what is too old every hour."""
        settings, state = self.context.settings, self.context.state
        next_trim_s = clock.elapsed_s() + settings.trim_s
        while True:
            await asyncio.sleep(settings.checkpoint_s)
            await _later(state.checkpoint())
            if clock.elapsed_s() >= next_trim_s:
                next_trim_s = clock.elapsed_s() + settings.trim_s
                await _later(self._trim())

    async def _trim(self) -> int:
        return await trim(self.context) + await look_through(self.context)

    def adopt(self, book: Book) -> None:
        """Take over the levers and gateways of a Book that came into force."""
        for subscriber in self.subscribers:
            subscriber.adopt()
        try:
            levers = senders(book, self.environ)
        except ValueError as error:
            self.context.reload_error = str(error)
            _LOG.error("lever_unusable", why=str(error))
            return
        before = self.levers
        self.levers = levers
        self.dispatcher.use(levers)
        warn_unsent(book, levers)
        for lever in before.values():
            self.retiring.add(task := asyncio.create_task(_retire(lever)))
            task.add_done_callback(self.retiring.discard)


async def _retire(lever: Lever) -> None:
    """Close a lever that was replaced, once what started on it has had its time."""
    try:
        # The dispatcher cuts a send off after one overrun: by the second it has let go.
        await asyncio.sleep(lever.timeout_s + 2 * OVERRUN_S)
    finally:
        await lever.close()


async def _ended(task: asyncio.Task[None]) -> None:
    """Wait for a part to end, however it ends; how was logged already."""
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()


async def _later(work: Awaitable[object]) -> None:
    """Do what can as well be done next time, if the state cannot be written now."""
    try:
        await work
    except StateError as error:
        _LOG.warning("postponed", why=str(error))


def _released(state: State, worker: Worker, desk: Desk) -> Callable[[Send], Awaitable[None]]:
    """What to do when a message never left: give its place under the caps and its coupon back."""

    async def on_unsent(send: Send) -> None:
        def change(record: Record) -> None:
            release(record, send.trigger_id)
            drop(record, send.trigger_id)

        await _later(desk.release(send))
        if await state.load([send.person_id]):  # not somebody who was erased meanwhile
            await _later(amend(state, worker.book, send.person_id, change, clock.now_ms()))

    return on_unsent


def _counted(metrics: Metrics, trials: Trials) -> Callable[[Send, Settlement, int], None]:
    def on_settled(send: Send, settlement: Settlement, _took_ms: int) -> None:
        metrics.sends.add((send.lever, settlement.status))
        trials.heard(send, settlement)

    return on_settled


def _committed(dispatcher: Dispatcher, hub: Hub) -> Callable[[Outcome], None]:
    """What to do with what is durable: see to its messages, tell the streams."""

    def on_commit(outcome: Outcome) -> None:
        if outcome.sends:
            dispatcher.wake()
        hub.publish(outcome.events)

    return on_commit


def _told(state: State, worker: Worker, hub: Hub, desk: Desk) -> Callable[[Event], Awaitable[None]]:
    """What to do with the news of a message: tell the retailer's systems, if they asked for it."""

    async def on_event(event: Event) -> None:
        hub.publish([event])
        await _later(desk.on_event(event))
        book = worker.book
        if not book.endpoints.takers(event):
            return
        record = (await state.load([event.person_id])).get(event.person_id)
        if record is not None:
            rows = tuple(news(event, record, book))
            await _later(
                state.commit(Commit(f"news:{event.id}", sends=rows, now_ms=clock.now_ms()))
            )

    return on_event


def warn_unsent(book: Book, levers: Mapping[str, Lever]) -> None:
    """Say which campaigns name a lever that nothing here can pull, and what the others lack."""
    for lever, campaigns in unsent(book, levers).items():
        _LOG.warning("no_sender", lever=lever, campaigns=campaigns)
    for lever, why in lacking(levers.values()):
        _LOG.warning("cannot_send", lever=lever, why=why)


def assemble(
    settings: Settings, keys: Keys, book: Book, state: State, environ: Mapping[str, str]
) -> Service:
    """Put the parts together.

    Raises `ValueError` when the webhook cannot be used as configured, `SettingsError` when the
    secret of devices can be guessed or a broker cannot be used.
    """
    wanted(settings)  # to hear now if one of them cannot be used
    metrics = Metrics()
    intake = Intake(settings.queue_pings, settings.queue_bytes)
    worker = Worker(state, intake, book, settings, metrics, clock.now_ms)
    hub = Hub(settings.stream_ring, settings.stream_follows)
    levers = senders(book, environ)
    office = Office(state, lambda: worker.book, clock.now_ms)
    ready = preparers(state, lambda: worker.book, environ, office.desk)
    trials = Trials(
        state,
        lambda: worker.book,
        lambda: service.levers,
        ready,
        clock.now_ms,
        lambda: dispatcher.wake(),
    )
    dispatcher = Dispatcher(
        state,
        lambda: worker.book,
        levers,
        clock.now_ms,
        random.Random(),
        f"{os.uname().nodename}:{os.getpid()}",
        hooks=Hooks(
            _released(state, worker, office.desk),
            _told(state, worker, hub, office.desk),
            _counted(metrics, trials),
            lambda send, receipt: gone(context, send, receipt),
        ),
        preparers=ready,
    )
    worker.on_commit = office.on_outcome = _committed(dispatcher, hub)
    context = Context(settings, keys, state, worker, intake, metrics, dispatcher, hub, clock.now_ms)
    context.credentials = Credentials(keys, devices_from(environ), environ)
    context.environ, context.trials, context.coupons = environ, trials, office
    if (berth := berth_of(environ)) is not None:
        context.siblings = Siblings(berth, partial(own_page, context))
    runner = web.AppRunner(make_app(context), shutdown_timeout=settings.stop_s)
    reloader = Reloader(Path(settings.config), context)
    service = Service(context, dispatcher, reloader, runner, levers, environ)
    if settings.osmand_port is not None:
        service.osmand_runner = web.AppRunner(
            make_osmand_app(context), shutdown_timeout=settings.stop_s
        )
    reloader.on_book = service.adopt
    warn_unsent(book, levers)
    return service
