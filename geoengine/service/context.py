"""What a route is given: the running parts, and one call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import Struct

from geoengine.core.book import Book
from geoengine.core.errors import StateConflict, StateUnavailable
from geoengine.service.auth import Caller, Keys
from geoengine.service.consent.suppression import Suppression
from geoengine.service.coupons.office import Office
from geoengine.service.devices import Devices
from geoengine.service.http.problems import Problem
from geoengine.service.intake import Intake, OnAnswer, Post
from geoengine.service.logs import logger
from geoengine.service.metrics import Metrics
from geoengine.service.native.advising import Advisor
from geoengine.service.native.credentials import Credentials
from geoengine.service.reports.desk import Desk
from geoengine.service.sending.trials import Trials
from geoengine.service.settings import Settings
from geoengine.service.siblings import Siblings
from geoengine.service.streaming.hub import Hub
from geoengine.service.worker import Worker
from geoengine.state import amending
from geoengine.state.base import State

JSON = "application/json"
_LOG = logger("app")
T = TypeVar("T")


class Sender(Protocol):
    """What routes need of the dispatcher."""

    async def quiesce(self, person_id: str, timeout_s: float) -> bool:
        """Wait until no message to the person is on its way; cut off what is after a while."""
        ...

    def wake(self) -> None:
        """Look at the outbox now."""
        ...


class Broker(Protocol):
    """What is told of a broker that messages are taken from."""

    text: str  # its URL without what is secret
    why_not: str  # why it is not heard just now; empty while it is


@dataclass
class Context:
    """The running parts of the service."""

    settings: Settings
    keys: Keys
    state: State
    worker: Worker
    intake: Intake
    metrics: Metrics
    sender: Sender
    hub: Hub
    clock: Callable[[], int]
    openapi: bytes = b""
    reload_error: str = ""  # why the catalogue on disk is not the one in force
    is_stopping: bool = False
    siblings: Siblings | None = None  # where this process is one of several workers
    brokers: Sequence[Broker] = ()
    connection_count: Callable[[], int] = lambda: 0
    credentials: Credentials = field(default_factory=lambda: Credentials(Keys(()), Devices(), {}))
    advisor: Advisor = field(default_factory=Advisor)
    reports: Desk = field(default_factory=Desk)
    drawings: dict[str, tuple[str, bytes]] = field(default_factory=dict)  # name -> version, JSON
    environ: Mapping[str, str] = field(default_factory=dict)  # where secrets stand
    trials: Trials | None = None  # once the levers are there
    suppression: Suppression = field(init=False)
    coupons: Office = field(init=False)

    def __post_init__(self) -> None:
        self.coupons = Office(self.state, lambda: self.book, self.clock)
        self.suppression = Suppression(
            self.state,
            lambda: self.book,
            self.clock,
            self.quiesce,
            lambda outcome: self.hub.publish(outcome.events),
        )

    @property
    def book(self) -> Book:
        """The catalogue in force."""
        return self.worker.book

    async def quiesce(self, person_id: str, names: Sequence[str] = ()) -> None:
        """Wait until no message to a person is on its way, under any of their names; those of
        somebody who is not there any more have to be told.
        """
        called = names or await amending.names(self.state, person_id)
        wait_s = self.settings.quiesce_s
        await asyncio.gather(*(self.sender.quiesce(name, wait_s) for name in called))

    def queue(self, post: Post) -> None:
        """Have a post served; raises a `Problem` when there is no room for it."""
        if post.row_count:
            self.intake.put(post)
        else:  # nothing in it is worth a turn of the worker
            self.metrics.count_rejects(post.resolve())

    def problem_of(self, error: BaseException, route: str) -> Problem:
        """What went wrong with a request as a problem: counted, and logged where it is our fault.

        ``route`` is the template: paths hold names of people and stay out of logs.
        """
        if isinstance(error, Problem):
            problem = error
        elif isinstance(error, StateUnavailable | StateConflict):
            problem = Problem("state_unavailable")
        else:
            self.metrics.failures.add(("request",))
            _LOG.error("request_failed", route=route, exc_info=error)
            problem = Problem("internal")
        self.metrics.problems.add((problem.kind,))
        return problem


@dataclass(frozen=True, slots=True)
class Call:
    """One request: who sent it, which resource, what it says."""

    caller: Caller
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = ""

    def read(self, shape: type[T]) -> T:
        """The body as this type; a 400 `Problem` tells where it is not."""
        try:
            return msgspec.json.decode(self.body, type=shape)
        except RecursionError:
            raise Problem("malformed", "Nested too deep.") from None
        except ValueError as error:
            raise Problem("malformed", str(error)) from None

    def ask(self, shape: type[T]) -> T:
        """The query as this type; a 400 `Problem` tells which parameter is not."""
        try:
            return msgspec.convert(dict(self.query), shape, strict=False)
        except ValueError as error:
            raise Problem("bad_parameter", str(error)) from None


class Answer(Struct, frozen=True):
    """An answer that is not simply 200 and a value to be written as JSON."""

    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: Mapping[str, str] = {}


# From a body to a post that is not queued yet; raises a `Problem` where it makes no sense.
Read = Callable[[Context, Caller, bytes, OnAnswer], Post]
Handler = Callable[[Context, Call], Awaitable[Any]]
