"""Which levers this process can pull: what the catalogue asks for and the environment allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from geoengine.core.book import Book
from geoengine.core.model import WebhookSpec
from geoengine.core.telling.endpoints import all_webhooks
from geoengine.levers.base import Lever, cannot
from geoengine.levers.log import LogLever
from geoengine.levers.webhook import Endpoint, WebhookLever
from geoengine.service.sending import makers

SECRET_VARIABLE = "GEOENGINE_WEBHOOK_SECRET"  # noqa: S105 - the name of the variable

Environ = Mapping[str, str]
# Makes a lever; None where the catalogue does not ask for it. What it lacks to be used, the lever
# says itself (`cannot`).
Maker = Callable[[Book, Environ], Lever | None]


def _log(_book: Book, _environ: Environ) -> Lever:
    return LogLever()


def _webhook(book: Book, environ: Environ) -> Lever | None:
    webhooks = all_webhooks(book.engine.spec)
    endpoints = [_endpoint(name, webhook, environ) for name, webhook in webhooks.items()]
    return WebhookLever(endpoints) if endpoints else None


def _endpoint(name: str, webhook: WebhookSpec, environ: Environ) -> Endpoint:
    variable = webhook.secret.env if webhook.secret is not None else SECRET_VARIABLE
    try:
        return Endpoint(webhook, environ.get(variable, ""))
    except ValueError as error:
        which = f"webhook {name}" if name else "webhook"
        raise ValueError(f"{which}: {error}; its secret is ${variable}") from error


MAKERS: tuple[Maker, ...] = (_log, _webhook, makers.push, makers.sms, makers.email, makers.wallet)


def senders(book: Book, environ: Environ) -> dict[str, Lever]:
    """The levers by name. Raises `ValueError` where a webhook's address or secret is unusable."""
    made = (make(book, environ) for make in MAKERS)
    return {lever.name: lever for lever in made if lever is not None}


def unsent(book: Book, levers: Mapping[str, Lever]) -> dict[str, list[str]]:
    """Levers that campaigns name and nothing here can pull, with those campaigns' ids."""
    missing: dict[str, list[str]] = {}
    for plan in book.campaigns:
        for lever in plan.spec.levers:
            if lever not in levers:
                missing.setdefault(lever, []).append(plan.id)
    return missing


def lacking(levers: Iterable[Lever]) -> Iterator[tuple[str, str]]:
    """The levers that cannot be used as configured, or not all of them, and what is missing."""
    for lever in levers:
        if why := cannot(lever):
            yield lever.name, why


def shortcomings(book: Book, environ: Environ) -> list[str]:
    """What stands against sending as configured, in this environment."""
    try:
        levers = senders(book, environ)
    except ValueError as error:
        return [str(error)]
    nowhere = [
        f"no sender for {lever} (engine.{lever}): {', '.join(campaigns)}"
        for lever, campaigns in unsent(book, levers).items()
    ]
    return nowhere + [f"{lever}: {why}" for lever, why in lacking(levers.values())]
