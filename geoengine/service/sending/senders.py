"""Which levers this process can pull: what the catalogue asks for and the environment allows."""

from __future__ import annotations

from collections.abc import Mapping

from geoengine.core.book import Book
from geoengine.levers.base import Lever
from geoengine.levers.log import LogLever
from geoengine.levers.webhook import WebhookLever

SECRET_VARIABLE = "GEOENGINE_WEBHOOK_SECRET"  # noqa: S105 - the name of the variable


def senders(book: Book, environ: Mapping[str, str]) -> dict[str, Lever]:
    """The levers by name. Raises `ValueError` where the webhook's address or secret is unusable."""
    levers: dict[str, Lever] = {"log": LogLever()}
    if (webhook := book.engine.spec.webhook) is not None:
        levers["webhook"] = WebhookLever(webhook, environ.get(SECRET_VARIABLE, ""))
    return levers


def unsent(book: Book, levers: Mapping[str, Lever]) -> dict[str, list[str]]:
    """Levers that campaigns name and nothing here can pull, with those campaigns' ids."""
    missing: dict[str, list[str]] = {}
    for plan in book.campaigns:
        for lever in plan.spec.levers:
            if lever not in levers:
                missing.setdefault(lever, []).append(plan.id)
    return missing
