"""`geoengine outbox`: messages that wait, how others ended, and another try for dead ones.

The embedded state belongs to one process. While the service runs it is locked, and the command
asks the service instead.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Protocol, TypeVar

import aiohttp
import click
import msgspec

from geoengine.catalog import read
from geoengine.core.errors import GeoengineError, StateLocked
from geoengine.service.clock import now_ms
from geoengine.service.http.wire import OutboxOut, RetryOut, SendOut
from geoengine.service.routes.operate import REVIVED_FOR_MS
from geoengine.service.routes.rows import shown
from geoengine.state import State, open_state

STATUSES = ("pending", "leased", "delivered", "expired", "refused", "dead")
LIMIT_MAX = 1_000  # what the service gives at once
REQUEST_TIMEOUT_S = 30.0
T = TypeVar("T")


class OutboxError(GeoengineError):
    """The outbox cannot be asked; the text says what to do."""


class Rows(Protocol):
    """An outbox that can be asked, wherever it is."""

    async def sends(self, status: str, limit: int) -> list[SendOut]:
        """Rows with this status, newest first; "" is every status."""
        ...

    async def revive(self, send_ids: list[str]) -> list[str]:
        """Make dead rows pending again; those that were."""
        ...


@dataclass(frozen=True, slots=True)
class OpenState:
    """The outbox of a state that nobody else holds."""

    state: State

    async def sends(self, status: str, limit: int) -> list[SendOut]:
        """Rows with this status, newest first."""
        return [shown(row) for row in await self.state.sends(status, limit)]

    async def revive(self, send_ids: list[str]) -> list[str]:
        """Make dead rows pending again; they go when the service starts."""
        at_ms = now_ms()
        return await self.state.revive(send_ids, at_ms, at_ms + REVIVED_FOR_MS)


@dataclass(frozen=True, slots=True)
class Service:
    """The outbox of a running service."""

    session: aiohttp.ClientSession
    url: str

    async def sends(self, status: str, limit: int) -> list[SendOut]:
        """Rows with this status, newest first."""
        params = {"limit": str(limit)} | ({"status": status} if status else {})
        body = await self.ask("GET", "/v1/outbox", params=params)
        return msgspec.json.decode(body, type=OutboxOut).sends

    async def revive(self, send_ids: list[str]) -> list[str]:
        """Make dead rows pending again; the service sends them at once."""
        body = await self.ask("POST", "/v1/outbox/retry", json={"send_ids": send_ids})
        return msgspec.json.decode(body, type=RetryOut).send_ids

    async def ask(self, method: str, path: str, **what: Any) -> bytes:
        try:
            async with self.session.request(method, self.url + path, **what) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise OutboxError(f"{self.url} does not answer: {error}; say --url") from error
        if answer.status != 200:
            raise OutboxError(f"{self.url} answers {answer.status}: {_detail(body)}")
        return body


def _detail(body: bytes) -> str:
    """What a problem document says."""
    try:
        problem = msgspec.json.decode(body, type=dict[str, Any])
    except ValueError:
        return "not a geoengine service"
    return str(problem.get("detail") or problem.get("title") or "no reason given")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the outbox is to be looked for."""

    config: Path
    state: str
    url: str
    key: str

    def ask(self, question: Callable[[Rows], Awaitable[T]]) -> T:
        """The answer, from the state if it is free, else from the service that holds it."""
        try:
            return asyncio.run(self._ask(question))
        except GeoengineError as error:
            raise click.ClickException(str(error)) from error

    async def _ask(self, question: Callable[[Rows], Awaitable[T]]) -> T:
        if self.url:
            return await self._ask_service(self.url, question)
        state_url = self.state or read(self.config).book.engine.spec.state
        if state_url.partition(":")[0] == "memory":
            return await self._ask_service(_default_url(), question)
        _require_file(state_url)
        state = open_state(state_url)
        try:
            await state.open()
        except StateLocked:
            return await self._ask_service(_default_url(), question)
        try:
            return await question(OpenState(state))
        finally:
            await state.close()

    async def _ask_service(self, url: str, question: Callable[[Rows], Awaitable[T]]) -> T:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
            return await question(Service(session, url.rstrip("/")))


def _require_file(state_url: str) -> None:
    """Opening a state makes one where there is none; to look is not to make."""
    scheme, _, path = state_url.partition(":")
    if scheme == "local" and not Path(path).exists():
        raise OutboxError(f"no state at {path}: say --state local:PATH, or --url of a service")


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


@click.group(invoke_without_command=True)
@placed
@click.option("--status", type=click.Choice(STATUSES), help="Only these.")
@click.option(
    "--limit",
    type=click.IntRange(1, LIMIT_MAX),
    default=100,
    show_default=True,
    help="How many, at the most.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def command(
    context: click.Context,
    place: Place,
    status: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List messages that wait or have ended, newest first."""
    context.obj = place
    if context.invoked_subcommand is None:
        rows = context.obj.ask(lambda outbox: outbox.sends(status or "", limit))
        show(rows, as_json)


def show(rows: list[SendOut], as_json: bool) -> None:
    """Rows on standard output."""
    for row in rows:
        click.echo(msgspec.json.encode(row).decode() if as_json else line(row))
    if not rows and not as_json:
        click.echo("No such messages.", err=True)


def line(row: SendOut) -> str:
    """One row to read: how it stands, its lever and tries, when, which, why."""
    why = row.reason or row.last_error
    told = (
        f"{row.status:<9}  {row.lever:<7}  {row.attempts:>2}  {row.created}  {row.send_id}  {why}"
    )
    return told.rstrip()


@command.command()
@click.argument("send_ids", nargs=-1, metavar="ID...")
@click.option("--all-dead", is_flag=True, help="Every dead message.")
@click.pass_obj
def retry(place: Place, send_ids: tuple[str, ...], all_dead: bool) -> None:
    """Try dead messages again; prints the ids of those that will be."""
    if bool(send_ids) == all_dead:
        raise click.UsageError("name the messages, or say --all-dead")
    revived = place.ask(_revive_all if all_dead else lambda rows: _revive(rows, list(send_ids)))
    for send_id in revived:
        click.echo(send_id)
    if missing := set(send_ids) - set(revived):
        raise click.ClickException(f"not dead: {', '.join(sorted(missing))}")


async def _revive(rows: Rows, send_ids: list[str]) -> list[str]:
    revived: list[str] = []
    for first in range(0, len(send_ids), LIMIT_MAX):
        revived += await rows.revive(send_ids[first : first + LIMIT_MAX])
    return revived


async def _revive_all(rows: Rows) -> list[str]:
    """All that are dead now; one that dies again meanwhile is left for next time."""
    revived: dict[str, None] = {}
    while dead := await rows.sends("dead", LIMIT_MAX):
        fresh = [row.send_id for row in dead if row.send_id not in revived]
        if not fresh:
            break
        again = await rows.revive(fresh)
        if not again:
            break
        revived |= dict.fromkeys(again)
    return list(revived)
