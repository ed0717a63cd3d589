"""`geoengine outbox`: messages that wait, how others ended, and another try for dead ones.

The outbox is asked wherever it is (`place`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import click
import msgspec

from geoengine.cli.asking.place import Place, Service, placed
from geoengine.service.clock import now_ms
from geoengine.service.http.wire import OutboxOut, RetryOut, SendOut
from geoengine.service.routes.operate import REVIVED_FOR_MS
from geoengine.service.routes.rows import shown
from geoengine.state import State

STATUSES = ("pending", "leased", "delivered", "expired", "refused", "dead")
LIMIT_MAX = 1_000  # what the service gives at once


class Rows(Protocol):
    """An outbox that can be asked, wherever it is."""

    async def sends(self, status: str, limit: int) -> list[SendOut]:
        """Rows with this status, newest first; "" is every status."""
        ...

    async def revive(self, send_ids: list[str]) -> list[str]:
        """Make dead rows pending again; those that were."""
        ...


@dataclass(frozen=True, slots=True)
class StateRows:
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
class ServiceRows:
    """The outbox of a running service."""

    service: Service

    async def sends(self, status: str, limit: int) -> list[SendOut]:
        """Rows with this status, newest first."""
        params = {"limit": str(limit)} | ({"status": status} if status else {})
        body = await self.service.ask("GET", "/v1/outbox", params=params)
        return msgspec.json.decode(body, type=OutboxOut).sends

    async def revive(self, send_ids: list[str]) -> list[str]:
        """Make dead rows pending again; the service sends them at once."""
        body = await self.service.ask("POST", "/v1/outbox/retry", json={"send_ids": send_ids})
        return msgspec.json.decode(body, type=RetryOut).send_ids


def _rows(holder: State | Service) -> Rows:
    return ServiceRows(holder) if isinstance(holder, Service) else StateRows(holder)


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
        rows = place.ask(lambda holder: _rows(holder).sends(status or "", limit))
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
    revived = place.ask(
        lambda holder: (
            _revive_all(_rows(holder)) if all_dead else _revive(_rows(holder), list(send_ids))
        )
    )
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
