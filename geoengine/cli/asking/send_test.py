"""`geoengine send-test LEVER PERSON`: one marked message through the real lever, step by step.

While the service runs it sends it, by its outbox; else the message leaves from here, with the same
questions asked. What stands against it is told and cannot be overruled.
"""

from __future__ import annotations

import os

import click
import msgspec

from geoengine.cli.asking.place import Place, PlaceError, Service, placed
from geoengine.core.book import Book
from geoengine.core.model import LEVERS
from geoengine.service.clock import now_ms
from geoengine.service.coupons.office import Office
from geoengine.service.sending.preparers import preparers
from geoengine.service.sending.senders import senders
from geoengine.service.sending.trials import MESSAGE, Asked, Check, Trial, Trials
from geoengine.service.wire.sending import TrialBody, TrialOut
from geoengine.state import State


@click.command()
@click.argument("lever", type=click.Choice(LEVERS))
@click.argument("person_id", metavar="PERSON")
@click.option("--message", default=MESSAGE, show_default=True, help="What it says, after [TEST].")
@click.option("--endpoint", default="", metavar="ID", help="Of webhooks; by default the first.")
@placed
def command(place: Place, lever: str, person_id: str, message: str, endpoint: str) -> None:
    """Send PERSON one marked test message by LEVER, if nothing stands against it.

    Exit 0 if it was delivered, 1 if it was stopped or failed.
    """
    asked = Asked(person_id, lever, message, endpoint)
    trial = place.ask(lambda holder: _test(holder, asked, place))
    for check in trial.checks:
        click.echo(line(check))
    click.echo(outcome(trial))
    if trial.status != "delivered":
        raise SystemExit(1)


def line(check: Check) -> str:
    """One question to read.

    >>> line(Check("consent to sms", "no_consent:sms"))
    'no  consent to sms: no_consent:sms'
    """
    return f"no  {check.what}: {check.why_not}" if check.why_not else f"ok  {check.what}"


def outcome(trial: Trial) -> str:
    """What became of it, in a line."""
    if not trial.status:
        return "Stopped: nothing was sent."
    why = f": {trial.reason}" if trial.reason else ""
    return f"{trial.status}{why}  ({trial.send_id})"


async def _test(holder: State | Service, asked: Asked, place: Place) -> Trial:
    if isinstance(holder, Service):
        return await _by_service(holder, asked)
    if others := await holder.served_by():
        raise PlaceError(f"{', '.join(others)} serves this state: say --url of it")
    return await _here(holder, place.book, asked)


async def _by_service(service: Service, asked: Asked) -> Trial:
    body = TrialBody(asked.person_id, asked.lever, asked.message, asked.endpoint)  # type: ignore[arg-type]
    said = await service.ask("POST", "/v1/send-tests", json=msgspec.to_builtins(body))
    told = msgspec.json.decode(said, type=TrialOut)
    checks = [Check(check.what, check.why_not) for check in told.checks]
    return Trial(told.send_id, checks, told.status, told.reason)


async def _here(state: State, book: Book, asked: Asked) -> Trial:
    try:
        levers = senders(book, os.environ)
    except ValueError as error:
        raise PlaceError(str(error)) from error
    desk = Office(state, lambda: book, now_ms).desk
    ready = preparers(state, lambda: book, os.environ, desk)
    try:
        return await Trials(state, lambda: book, lambda: levers, ready, now_ms).directly(asked)
    finally:
        for lever in levers.values():
            await lever.close()
