"""Erasing a person, and what the law asks to be kept of one.

Who asked for consent must be able to show it for as long as somebody may sue over it: five years
(French civil code, article 2224). So the ledger outlives the person, under a keyed hash of their
name and with an entry that tells of the erasure; nothing else does, beside the addresses that said
STOP. It is written before anything is erased: cut short, the erasure is simply asked for again.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from geoengine.core.book import Book
from geoengine.core.calendar import duration_ms
from geoengine.core.consent import ledger
from geoengine.core.consent.merging import kind_of
from geoengine.core.consent.people import begin_ledger
from geoengine.core.record import Json, Record
from geoengine.service.consent.cards import body_of, rewrite
from geoengine.service.consent.marks import marks_of
from geoengine.service.consent.suppression import ADDRESSED, Suppression
from geoengine.service.wallet.holding import forget_passes
from geoengine.state import amending
from geoengine.state.base import State

_LEDGER = list[bytes]


class Receipt(NamedTuple):
    """What became of somebody."""

    was_there: bool
    proof: str = ""  # the mark under which the ledger is kept; "" where there was none
    proof_head: str = ""  # the hash over it
    proof_until_ms: int = 0


async def erase(
    state: State, suppression: Suppression, book: Book, person_id: str, told: Json, now_ms: int
) -> Receipt:
    """Forget a person everywhere; ``told`` is who asked. Nothing is on its way to them any more
    once the caller has waited for it.
    """
    record = (await state.load([person_id])).get(person_id)
    receipt = Receipt(False)
    if record is not None:
        receipt = await _keep_proof(state, book, record, told, now_ms)
        for kind, value in known_by(record):
            await suppression.forget(person_id, kind, value)
    for name in await amending.names(state, person_id):
        await forget_passes(state, name, now_ms)
    was_there = await amending.erase(state, person_id, now_ms)
    return receipt._replace(was_there=was_there)


def known_by(record: Record) -> list[tuple[str, str]]:
    """The addresses and identifiers by which somebody is looked up: kind, value; also those that
    gave way when records were merged.
    """
    addresses = [(kind, record.addresses[kind]) for kind in ADDRESSED if kind in record.addresses]
    former = [(kind_of(name), value) for name, value in record.identifiers.items()]
    return [*former, *addresses]


async def _keep_proof(state: State, book: Book, record: Record, told: Json, now_ms: int) -> Receipt:
    begin_ledger(record)
    if not record.ledger:
        return Receipt(False)
    ledger.append(record.ledger, "all", "erased", told, now_ms)
    mark = (await marks_of(state)).person(record.person_id)
    until_ms = now_ms + duration_ms(book.engine.spec.retention.proofs)

    def change(body: bytes) -> bytes:
        before = _unpacked(body)
        if not before:
            return msgspec.msgpack.encode(record.ledger)
        # Erased before, or half: what is not in there yet comes behind it.
        had = set(before)
        ledger.carry(before, [one for one in record.ledger if one not in had], now_ms)
        return msgspec.msgpack.encode(before)

    body = await rewrite(state, _name(mark), change, now_ms, until_ms=until_ms)
    return Receipt(False, mark, ledger.head(_unpacked(body)), until_ms)


async def kept_proof(state: State, person_id: str) -> list[bytes]:
    """The ledger of somebody who was erased; empty where none is kept."""
    mark = (await marks_of(state)).person(person_id)
    return _unpacked(await body_of(state, _name(mark)))


def _name(mark: str) -> str:
    return f"proof/{mark}"


def _unpacked(body: bytes) -> list[bytes]:
    return msgspec.msgpack.decode(body, type=_LEDGER) if body else []
