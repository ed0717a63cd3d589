"""Keeps what is configured to be kept, and nothing longer: once an hour, in small pieces.

What was decided and what happened, ended messages and cards with an end go by their age in the
state. People have to be looked at one by one: consents that ran out before deadlines were kept for
them, people of whom nothing was heard for years, and, once in the life of a state, whose addresses
are whose.
"""

from __future__ import annotations

import asyncio
from typing import Final

from geoengine.core.consent.lapsing import lapsed
from geoengine.core.consent.retention import ages_of, is_stale
from geoengine.core.record import Record
from geoengine.service.consent.erasing import erase, known_by
from geoengine.service.context import Context
from geoengine.service.logs import logger
from geoengine.service.wallet.ending import keep_one, others_of
from geoengine.state import amending

KNOWN_NOTE: Final = "addresses_known"
RETENTION: Final = "retention"  # what one process of all does
PAUSE_S: Final = 0.01  # between two pages: what arrives meanwhile goes first
_LOG = logger("keeping")


async def trim(context: Context) -> int:
    """Drop what is older than it is kept; how many rows."""
    now_ms, ages = context.clock(), ages_of(context.book.engine.spec)
    facts_before_ms = now_ms - ages.facts_ms if ages.facts_ms else 0
    settled_before_ms = now_ms - ages.messages_ms
    return await context.state.trim(
        now_ms, now_ms - ages.decisions_ms, facts_before_ms, settled_before_ms
    )


async def look_through(context: Context) -> int:
    """Look at everybody; how many were erased."""
    if not context.state.serves(RETENTION):
        return 0
    is_first = await context.state.noted(KNOWN_NOTE) is None
    start, erased = "", 0
    while True:
        page = await context.state.people(start, context.settings.sweep_people)
        for record in (await context.state.load(page.names)).values():
            erased += await _look_at(context, record, is_first=is_first)
        if not page.next:
            break
        start = page.next
        await asyncio.sleep(PAUSE_S)
    if is_first:
        await context.state.note(KNOWN_NOTE, b"1")
    if erased:
        _LOG.info("forgotten_by_age", people=erased)
    return erased


async def _look_at(context: Context, record: Record, *, is_first: bool) -> bool:
    """See to one person; whether they were erased."""
    book, now_ms, person_id = context.book, context.clock(), record.person_id
    if is_stale(record, ages_of(book.engine.spec), now_ms):
        told = {"source": "retention"}
        await erase(context.state, context.suppression, book, person_id, told, now_ms)
        context.hub.forget(person_id)
        return True
    if lapsed(record, book.consent_terms, now_ms):
        done = await amending.lapse(context.state, book, person_id, now_ms)
        context.hub.publish(done.events)
    if others_of(record):  # what made two people one was cut short, or was long ago
        await keep_one(context, person_id)
    if is_first:
        for kind, value in known_by(record):
            await context.suppression.learn(person_id, kind, value)
    return False
