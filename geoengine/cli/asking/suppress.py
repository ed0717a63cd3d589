"""`geoengine suppress`: addresses to which nothing is sent, whosever they are.

While the service runs it is asked; else the state itself is, which nobody else may hold.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final

import click
import msgspec

from geoengine.cli.asking.place import Place, Service, placed
from geoengine.core.calendar import rfc3339
from geoengine.core.consent.optout import lever_of
from geoengine.service.clock import now_ms
from geoengine.service.consent.suppression import Suppression
from geoengine.service.wire.consents import StopOut, StopsOut, SuppressedOut
from geoengine.state import State

LEVERS: Final = ("sms", "email")
PER_REQUEST: Final = 500
_PATH: Final = "/v1/suppressions"


class List:
    """The list, wherever it is."""

    def __init__(self, place: Place, holder: State | Service) -> None:
        self._service = holder if isinstance(holder, Service) else None
        if not isinstance(holder, Service):
            book = place.book
            self._own = Suppression(holder, lambda: book, now_ms, _nobody_is_sending)

    async def put(self, lever: str, addresses: list[str], source: str) -> SuppressedOut:
        """Take addresses onto the list."""
        return await self._all("POST", lever, addresses, source)

    async def take(self, lever: str, addresses: list[str]) -> SuppressedOut:
        """Take addresses off it."""
        return await self._all("DELETE", lever, addresses, "operator")

    async def _all(
        self, method: str, lever: str, addresses: list[str], source: str
    ) -> SuppressedOut:
        total = SuppressedOut(0, 0)
        for first in range(0, len(addresses), PER_REQUEST):
            some = addresses[first : first + PER_REQUEST]
            if self._service is None:
                done = await self._here(method, lever, some, source)
            else:
                said = {"lever": lever, "addresses": some, "source": source}
                body = await self._service.ask(method, _PATH, json=said)
                done = msgspec.json.decode(body, type=SuppressedOut)
            total.addresses += done.addresses
            total.withdrawn += done.withdrawn
        return total

    async def _here(
        self, method: str, lever: str, addresses: list[str], source: str
    ) -> SuppressedOut:
        if method == "DELETE":
            freed = [await self._own.start(lever, address) for address in addresses]
            return SuppressedOut(sum(freed), 0)
        told = {"source": f"suppressed:{source}", "by": "command"}
        withdrawn = [await self._own.stop(lever, address, told) for address in addresses]
        return SuppressedOut(len(addresses), sum(map(len, withdrawn)))

    async def all(self) -> AsyncIterator[StopOut]:
        """Everything on it."""
        if self._service is None:
            async for one in self._own.listed():
                yield StopOut(one.lever, one.mark, rfc3339(one.at_ms), one.source)
            return
        start = ""
        while True:
            params = {"limit": "1000"} | ({"start": start} if start else {})
            body = await self._service.ask("GET", _PATH, params=params)
            page = msgspec.json.decode(body, type=StopsOut)
            for stop in page.stops:
                yield stop
            if not page.next:
                return
            start = page.next


async def _nobody_is_sending(_person_id: str) -> None:
    """Nobody serves this state: nothing is on its way."""


@click.group()
@placed
@click.pass_context
def command(context: click.Context, place: Place) -> None:
    """Addresses that said STOP: nothing is sent to them, whosever they are."""
    context.obj = place


_LEVER = click.option(
    "--lever", type=click.Choice(LEVERS), help="By default by what it looks like."
)


@command.command()
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@_LEVER
@click.option("--source", default="operator", show_default=True, help="Where it comes from.")
@click.pass_obj
def add(place: Place, addresses: tuple[str, ...], lever: str | None, source: str) -> None:
    """Put phone numbers and e-mail addresses on the list."""
    _put(place, list(addresses), lever, source)


@command.command(name="import")
@click.argument("file", type=click.File("r", encoding="utf-8-sig"))
@_LEVER
@click.option("--source", default="import", show_default=True, help="Where it comes from.")
@click.pass_obj
def import_command(place: Place, file: Any, lever: str | None, source: str) -> None:
    """Put those of a file on the list: one a line, or the first column of a CSV; - reads standard
    input. A heading and empty lines are passed over.
    """
    found = [line.split(",")[0].split(";")[0].strip().strip('"') for line in file]
    rows = [(number, text) for number, text in enumerate(found, 1) if text]
    if rows and not lever_of(rows[0][1]):
        rows = rows[1:]
    if bad := [number for number, text in rows if not lever_of(text)]:
        raise click.ClickException(f"line {bad[0]}: expected a phone number or an e-mail address")
    _put(place, [text for _, text in rows], lever, source)


@command.command()
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@_LEVER
@click.pass_obj
def remove(place: Place, addresses: tuple[str, ...], lever: str | None) -> None:
    """Take addresses off the list; no consent comes back with it."""
    for each, some in _by_lever(list(addresses), lever).items():
        done = _ask(place, lambda told, e=each, s=some: told.take(e, s))  # type: ignore[misc]
        click.echo(f"{done.addresses} of {len(some)} {each} addresses were on the list")


@command.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_command(place: Place, as_json: bool) -> None:
    """Tell who said STOP: a hash, since when, where from; whose it was nobody can tell."""

    async def tell(found: List) -> int:
        count = 0
        async for one in found.all():
            count += 1
            text = f"{one.at}  {one.lever:<5}  {one.mark}  {one.source}"
            click.echo(msgspec.json.encode(one).decode() if as_json else text)
        return count

    if not _ask(place, tell) and not as_json:
        click.echo("Nobody has said STOP.", err=True)


def _put(place: Place, addresses: list[str], lever: str | None, source: str) -> None:
    for each, some in _by_lever(addresses, lever).items():
        done = _ask(place, lambda told, e=each, s=some: told.put(e, s, source))  # type: ignore[misc]
        click.echo(f"{done.addresses} {each} addresses; {done.withdrawn} consents ended with it")


def _by_lever(addresses: list[str], lever: str | None) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for address in addresses:
        own = lever_of(address)
        if not own or (lever and lever != own):
            expected = {"sms": "a phone number, +33612345678", "email": "an e-mail address"}
            text = expected.get(lever or "", "a phone number or an e-mail address")
            raise click.ClickException(f"{address}: expected {text}")
        found.setdefault(own, []).append(address)
    return found


def _ask(place: Place, question: Callable[[List], Coroutine[Any, Any, Any]]) -> Any:
    return place.ask(lambda holder: question(List(place, holder)))
