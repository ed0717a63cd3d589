"""The endpoints of webhooks, checked: an address, a name each, a secret, known campaigns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set
from urllib.parse import urlsplit

from geoengine.catalog.reading.gather import Gathered
from geoengine.core.model import WebhookSpec

SCHEMES = ("http", "https")


def check_webhooks(found: Gathered) -> None:
    """Check `engine.webhook` and `engine.webhooks`."""
    engine = found.engine
    campaigns = {campaign.id for _ix, campaign in found.campaigns}
    stores = {store.id for _ix, store in found.stores}
    if engine.webhook is not None:
        _check(found, engine.webhook, ("webhook",), campaigns, stores)
        if engine.webhook.id is not None:
            found.engine_fault("`webhook` has no id: those in `webhooks` do", "webhook", "id")
    times = Counter(webhook.id for webhook in engine.webhooks)
    for ix, webhook in enumerate(engine.webhooks):
        _check(found, webhook, ("webhooks", ix), campaigns, stores)
        _check_name(found, webhook, ix, times[webhook.id])


def _check_name(found: Gathered, webhook: WebhookSpec, ix: int, times: int) -> None:
    if webhook.id is None:
        found.engine_fault(f"webhooks[{ix}] has no id: expected id: crm", "webhooks", ix)
    elif times > 1:
        what = f"{times} webhooks have the id `{webhook.id}`: expected one of its own for each"
        found.engine_fault(what, "webhooks", ix, "id")
    if webhook.secret is None:
        what = (
            f"webhook `{webhook.id or ix}` has no secret: expected secret: {{env: NAME}}, so that "
            "no receiver can sign for another"
        )
        found.engine_fault(what, "webhooks", ix)


def _check(
    found: Gathered,
    webhook: WebhookSpec,
    path: tuple[str, *tuple[str | int, ...]],
    campaigns: Set[str],
    stores: Set[str],
) -> None:
    if not _is_web(webhook.url):
        what = f"webhook url {webhook.url!r}: expected https://… or http://…"
        found.engine_fault(what, *path, "url")
    for key, named, known in (
        ("campaigns", webhook.campaigns, campaigns),
        ("stores", webhook.stores, stores),
    ):
        for ix, name in enumerate(named):
            if name not in known:
                what = f"webhook: there is no {key[:-1]} `{name}`"
                found.engine_doubt(what, *path, key, ix)


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in SCHEMES and bool(parts.hostname)
    except ValueError:
        return False
