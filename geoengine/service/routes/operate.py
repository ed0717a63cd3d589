"""For operators: health, metrics, the outbox, the contract."""

from __future__ import annotations

from importlib.metadata import version
from typing import Literal

import msgspec

from geoengine.core.errors import StateUnavailable
from geoengine.service.context import Answer, Call, Context
from geoengine.service.http.wire import (
    BrokerOut,
    Health,
    OutboxOut,
    OutboxQuery,
    RetryBody,
    RetryOut,
    Welcome,
)
from geoengine.service.metrics import CONTENT_TYPE, gathered
from geoengine.service.routes.rows import shown

REVIVED_FOR_MS = 86_400_000  # a message tried again by hand has a day

LINKS = {
    "health": "/healthz",
    "readiness": "/readyz",
    "metrics": "/metrics",
    "contract": "/openapi.json",
    "zones": "/v1/zones",
    "stores": "/v1/stores",
    "campaigns": "/v1/campaigns",
}


async def get_root(_context: Context, _call: Call) -> Welcome:
    """Where to look."""
    return Welcome("geoengine", version("geoengine"), LINKS)


async def get_healthz(context: Context, _call: Call) -> Answer:
    """Whether the process does its work at all."""
    return _health(context, "ok")


async def get_readyz(context: Context, _call: Call) -> Answer:
    """Whether to send it requests: not while it stops, nor while it cannot commit."""
    if context.is_stopping:
        return _health(context, "stopping")
    return _health(context, "failing" if context.worker.trouble else "ok")


async def get_metrics(context: Context, _call: Call) -> Answer:
    """Prometheus: of one process, or of all workers, whichever was asked."""
    page = own_page(context)
    if (siblings := context.siblings) is not None:
        pages = await siblings.pages()
        context.metrics.workers_missing.set(siblings.berth.count - 1 - len(pages))
        page = gathered(pages | {siblings.berth.number: page})
    return Answer(page + await _shared_page(context), content_type=CONTENT_TYPE)


def own_page(context: Context) -> bytes:
    """The metrics of this process alone."""
    metrics = context.metrics
    metrics.queue_pings.set(context.intake.ping_count)
    metrics.queue_bytes.set(context.intake.body_bytes)
    metrics.connections.set(context.connection_count())
    metrics.streams.set(len(context.hub))
    return metrics.own_page()


async def _shared_page(context: Context) -> bytes:
    """The metrics of the state."""
    metrics = context.metrics
    try:
        stats = await context.state.stats()
    except StateUnavailable:
        return b""  # and all the rest of the page is wanted most just then
    metrics.outbox_pending.set(stats.pending_count)
    metrics.outbox_dead.set(stats.dead_count)
    oldest_ms = stats.oldest_pending_ms
    age_ms = 0 if oldest_ms is None else max(context.clock() - oldest_ms, 0)
    metrics.outbox_age.set(age_ms / 1_000)
    metrics.people.set(stats.record_count)
    metrics.devices.set(stats.device_count)
    return metrics.shared_page()


async def get_openapi(context: Context, _call: Call) -> Answer:
    """This contract."""
    return Answer(context.openapi)


async def get_outbox(context: Context, call: Call) -> OutboxOut:
    """Messages waiting, and how others ended."""
    query = call.ask(OutboxQuery)
    rows = await context.state.sends(query.status, query.limit)
    return OutboxOut([shown(row) for row in rows])


async def post_retry(context: Context, call: Call) -> RetryOut:
    """Try dead messages again."""
    now_ms = context.clock()
    ids = call.read(RetryBody).send_ids
    revived = await context.state.revive(ids, now_ms, now_ms + REVIVED_FOR_MS)
    context.sender.wake()
    return RetryOut(revived)


def _health(context: Context, status: Literal["ok", "failing", "stopping"]) -> Answer:
    book = context.book
    health = Health(
        status,
        book.version,
        len(book.stores),
        len(book.zones),
        len(book.campaigns),
        context.reload_error,
        context.worker.trouble,
    )
    if (siblings := context.siblings) is not None:
        health.worker, health.workers = siblings.berth.number, siblings.berth.count
    health.brokers = [
        BrokerOut(broker.text, not broker.why_not, broker.why_not) for broker in context.brokers
    ]
    health.pause = book.engine.spec.pause or ""
    return Answer(msgspec.json.encode(health), 200 if status == "ok" else 503)
