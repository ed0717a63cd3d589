"""Who is the same person: records that share a loyalty number and the like become one.

A number of the loyalty scheme is one person's, so it is enough by itself. A phone number or an
e-mail address often is a family's: two records that share one are told of and left alone, unless
the operator says (`engine.consent.identify`) that the retailer's own are personal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from geoengine.core.consent.merging import keep_former
from geoengine.core.record import Record
from geoengine.service.context import Context
from geoengine.service.wallet.ending import keep_one
from geoengine.state import amending

KIND_OF: Final = {"phone": "sms"}  # as the catalogue says it -> as addresses are kept


async def identify(
    context: Context, person_id: str, known: Mapping[str, str], devices: Sequence[str], by: str
) -> tuple[list[str], dict[str, list[str]], list[str]]:
    """Note what a person is known by, and take over whoever is the same.

    Returns whose records were taken over, by kind the others who share something, and the devices
    that have become theirs.
    """
    state, book, now_ms = context.state, context.book, context.clock()
    personal = {KIND_OF.get(kind, kind) for kind in book.engine.spec.consent.identify}
    for kind, value in known.items():
        await context.suppression.learn(person_id, kind, value)
    await amending.amend(state, book, person_id, _known(known), now_ms)
    merged: list[str] = []
    shared: dict[str, list[str]] = {}
    for kind, value in known.items():
        for other in await context.suppression.holders(kind, value):
            if other == person_id:
                continue
            if kind in personal:
                await _take_over(context, person_id, other, {"because": kind, "by": by})
                merged.append(other)
            else:
                shared.setdefault(kind, []).append(other)
    joined: list[str] = []
    for device_id in devices:
        told = {"because": "device", "by": by}
        if (await amending.identify(state, book, device_id, person_id, now_ms, told)).changes:
            joined.append(device_id)
    await keep_one(context, person_id)
    return merged, shared, joined


async def _take_over(context: Context, person_id: str, other: str, told: dict[str, str]) -> None:
    """One record in place of two; messages to the other are refused from then on."""
    now_ms = context.clock()
    await amending.identify(context.state, context.book, other, person_id, now_ms, told)
    await context.quiesce(person_id)


def _known(known: Mapping[str, str]) -> Callable[[Record], None]:
    def change(record: Record) -> None:
        for kind, value in known.items():
            names = record.identifiers if kind == "loyalty" else record.addresses
            before = names.get(kind, value)
            names[kind] = value
            keep_former(record, kind, before)

    return change
