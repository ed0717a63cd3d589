"""The ledger of consents: what somebody agreed to and took back, one entry after the other.

Who asks for consent must be able to prove it (GDPR, article 7; CNIL 2020-091): when, where, by
which text, who wrote it down. Entries are only ever added, and each holds the SHA-256 of the one
before: an entry that is changed, left out or put in between later breaks the chain, and whoever
once noted the last hash elsewhere can tell. The chain is part of the record, so that it is written
in the same stroke as the consent it tells of.

A ledger is a list of packed entries, oldest first. Nothing here reads a clock or a secret.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

What = Literal["granted", "withdrawn", "expired", "carried", "erased"]

# As many as a person may have in twenty years of changing their mind every fortnight. The oldest
# leave first; without a bound a loop in a CRM would make the record too large to be written.
ENTRIES_MAX: Final = 512
# Told of a consent beside whatever else proves it; each has a field of its own.
LIFTED: Final = ("source", "text_version", "text_hash", "locale", "by")
BEFORE_LEDGER: Final = "before_ledger"  # source of what was known when the ledger was begun


class Entry(Struct, frozen=True, array_like=True, gc=False):
    """One change of one consent. ``carried`` came along with another record that was merged."""

    purpose: str
    what: What
    at_ms: int  # when it was written down
    said_ms: int  # when the person said it
    before: bytes  # SHA-256 of the entry before; empty for the first
    source: str = ""  # api:app, sms:stop, email:one_click, wallet:removed, expiry, ...
    text_version: str = ""
    text_hash: str = ""  # SHA-256 of the text the person saw, hexadecimal
    locale: str = ""
    by: str = ""  # who wrote it down: kind and id of a key
    evidence: dict[str, Any] = {}


_ENCODER = msgspec.msgpack.Encoder(order="deterministic")
_DECODER = msgspec.msgpack.Decoder(Entry)


def append(
    ledger: list[bytes],
    purpose: str,
    what: What,
    told: dict[str, Any],
    at_ms: int,
    said_ms: int | None = None,
) -> None:
    """Add an entry; what is ``told`` of where it comes from has fields, the rest is evidence."""
    before = sha256(ledger[-1]).digest() if ledger else b""
    fields, evidence = _lifted(told)
    said_ms = at_ms if said_ms is None else said_ms
    entry = Entry(purpose, what, at_ms, said_ms, before, evidence=evidence, **fields)
    ledger.append(_ENCODER.encode(entry))
    del ledger[:-ENTRIES_MAX]


def _lifted(told: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """What is told, as an entry has it: what has a field of its own, and the evidence."""
    fields = {name: str(told[name]) for name in LIFTED if told.get(name) is not None}
    return fields, {name: value for name, value in told.items() if name not in LIFTED}


def holds(
    ledger: list[bytes], purpose: str, what: What, told: dict[str, Any], said_ms: int
) -> bool:
    """Whether there is an entry that tells just this, whoever wrote it down and when."""
    fields, evidence = _lifted(told)
    fields.pop("by", None)
    same = Entry(purpose, what, 0, said_ms, b"", evidence=evidence, **fields)
    blank = {"at_ms": 0, "before": b"", "by": ""}
    return any(msgspec.structs.replace(one, **blank) == same for one in entries(ledger))


def carry(ledger: list[bytes], other: list[bytes], at_ms: int) -> None:
    """Add what another ledger holds, each entry whole, in its order."""
    for packed in other:
        entry = _DECODER.decode(packed)
        if entry.what == "carried":  # once is enough: its own evidence is the entry
            evidence = entry.evidence
        else:
            evidence = {"what": entry.what, "entry": packed}
        told = {name: getattr(entry, name) for name in LIFTED} | evidence
        append(ledger, entry.purpose, "carried", told, at_ms, entry.said_ms)


def entries(ledger: list[bytes]) -> list[Entry]:
    """What it holds, oldest first."""
    return [_DECODER.decode(packed) for packed in ledger]


def head(ledger: list[bytes]) -> str:
    """The hash over all of it, hexadecimal; "" for an empty one. To be noted elsewhere."""
    return sha256(ledger[-1]).hexdigest() if ledger else ""


def broken(ledger: list[bytes]) -> str:
    """Where the chain does not hold, and how; "" where it does.

    >>> told: list[bytes] = []
    >>> for what in ("granted", "withdrawn"):
    ...     append(told, "sms", what, {"source": "till"}, at_ms=1)
    >>> broken(told), broken([told[0] + b" ", told[1]])
    ('', 'entry 0 is not an entry')
    """
    before = b""
    for number, packed in enumerate(ledger):
        try:
            entry = _DECODER.decode(packed)
        except (msgspec.MsgspecError, ValueError):  # the latter for text that is no UTF-8
            return f"entry {number} is not an entry"
        if number and entry.before != before:
            return f"entry {number} does not follow entry {number - 1}"
        before = sha256(packed).digest()
    return ""


def is_whole(ledger: list[bytes]) -> bool:
    """Whether the first entry is the first that there was."""
    return not ledger or not _DECODER.decode(ledger[0]).before


def text_hash(text: str) -> str:
    """SHA-256 of a text that somebody agreed to, hexadecimal.

    >>> text_hash("I agree")[:8]
    '99955b75'
    """
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
