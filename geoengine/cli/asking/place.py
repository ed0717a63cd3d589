"""Where commands look: in a state that nobody holds, or by asking the service that holds it.

The embedded state belongs to one process. While a service runs it is locked, and a command asks
the service over HTTP instead, with a server key.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import click
import msgspec

from geoengine.catalog import load
from geoengine.core.book import Book
from geoengine.core.errors import GeoengineError, StateLocked
from geoengine.state import State, open_state

REQUEST_TIMEOUT_S = 30.0
T = TypeVar("T")


class PlaceError(GeoengineError):
    """What was asked is not to be had there; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Service:
    """A running service, asked over HTTP."""

    session: aiohttp.ClientSession
    url: str

    async def ask(self, method: str, path: str, **what: Any) -> bytes:
        """The body of its answer. Raises `PlaceError` where it has none, or refuses."""
        try:
            async with self.session.request(method, self.url + path, **what) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise PlaceError(f"{self.url} does not answer: {error}; say --url") from error
        if answer.status != 200:
            raise PlaceError(f"{self.url} answers {answer.status}: {_detail(body)}")
        return body


Question = Callable[[State | Service], Awaitable[T]]


def _detail(body: bytes) -> str:
    """What a problem document says."""
    try:
        problem = msgspec.json.decode(body, type=dict[str, Any])
    except ValueError:
        return "not a geoengine service"
    return str(problem.get("detail") or problem.get("title") or "no reason given")


@dataclass(frozen=True)
class Place:
    """Where somebody's command is to look: a state, or the service that holds it."""

    config: Path
    state: str
    url: str
    key: str

    @cached_property
    def book(self) -> Book:
        """The catalogue's, read once."""
        return load(self.config)

    def ask(self, question: Question[T], timeout_s: float = REQUEST_TIMEOUT_S) -> T:
        """The answer, from the state if it is free, else from the service that holds it."""
        try:
            return asyncio.run(self._ask(question, timeout_s))
        except GeoengineError as error:
            raise click.ClickException(str(error)) from error

    async def _ask(self, question: Question[T], timeout_s: float) -> T:
        if self.url:
            return await self._ask_service(self.url, question, timeout_s)
        state_url = self.state or self.book.engine.spec.state
        if state_url.partition(":")[0] == "memory":
            return await self._ask_service(_default_url(), question, timeout_s)
        _require_file(state_url)
        state = open_state(state_url)
        try:
            await state.open()
        except StateLocked:
            return await self._ask_service(_default_url(), question, timeout_s)
        try:
            return await question(state)
        finally:
            await state.close()

    async def _ask_service(self, url: str, question: Question[T], timeout_s: float) -> T:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
            return await question(Service(session, url.rstrip("/")))


def _require_file(state_url: str) -> None:
    """Opening a state makes one where there is none; to look is not to make."""
    scheme, _, path = state_url.partition(":")
    if scheme == "local" and not Path(path).exists():
        raise PlaceError(f"no state at {path}: say --state local:PATH, or --url of a service")


def _default_url() -> str:
    return f"http://127.0.0.1:{os.environ.get('GEOENGINE_PORT') or 8080}"


def first_key(_context: object, _option: object, keys: str) -> str:
    """The first of several keys, as the environment lists them."""
    return keys.split(",")[0].strip()


def placed(function: Callable[..., None]) -> Callable[..., None]:
    """A command that is told where the state is, and is given the ``place``."""

    @click.option(
        "--config", type=click.Path(path_type=Path), default="config", envvar="GEOENGINE_CONFIG",
        show_default=True, metavar="DIR", help="The catalogue that says where the state is.",
    )  # fmt: skip
    @click.option("--state", default="", envvar="GEOENGINE_STATE", metavar="URL", help="The state.")
    @click.option("--url", default="", metavar="URL", help="Ask this service, not the state.")
    @click.option(
        "--key", default="", envvar="GEOENGINE_SERVER_KEYS", callback=first_key, metavar="KEY",
        help="The service's server key.  [default: the first of GEOENGINE_SERVER_KEYS]",
    )  # fmt: skip
    @wraps(function)
    def wrapped(
        *args: object, config: Path, state: str, url: str, key: str, **others: object
    ) -> None:
        function(*args, place=Place(config, state, url, key), **others)

    return wrapped
