"""A consent taken back, from wherever: written down, told, and effective before this returns."""

from __future__ import annotations

from geoengine.core.record import Json
from geoengine.service.context import Context
from geoengine.state import amending


async def take_back(context: Context, person_id: str, purpose: str, told: Json) -> bool:
    """Withdraw a consent; once this returns no message starts that needed it. Whether it stood.

    ``told`` says where from, for the ledger: ``{"source": "wallet:removed"}``.
    """
    now_ms = context.clock()
    done = await amending.withdraw(context.state, context.book, person_id, purpose, told, now_ms)
    context.hub.publish(done.events)
    await context.quiesce(person_id)
    return bool(done.events)
