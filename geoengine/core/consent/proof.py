"""A ledger as it is handed out: to be read by people, and checked without us.

Each entry is told in words and as it was packed, in base64. Whoever checks hashes what was packed,
walks the chain, and compares the words with what is in it; nothing secret is needed.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from hashlib import sha256
from typing import Any

import msgspec

from geoengine.core.calendar import rfc3339
from geoengine.core.consent import ledger
from geoengine.core.consent.ledger import Entry


def told(packed: bytes) -> dict[str, Any]:
    """One entry, in words and as it was packed."""
    (entry,) = ledger.entries([packed])
    return _words(entry) | {
        "hash": sha256(packed).hexdigest(),
        "packed": b64encode(packed).decode(),
    }


def _words(entry: Entry) -> dict[str, Any]:
    return {
        "purpose": entry.purpose,
        "what": entry.what,
        "at": rfc3339(entry.at_ms),
        "said": rfc3339(entry.said_ms),
        "source": entry.source,
        "text_version": entry.text_version,
        "text_hash": entry.text_hash,
        "locale": entry.locale,
        "by": entry.by,
        "evidence": msgspec.to_builtins(entry.evidence),
        "before": entry.before.hex(),
    }


def fault_of(proof: dict[str, Any]) -> str:
    """What is wrong with a proof; "" for nothing: it says what was written down then."""
    try:
        rows: list[dict[str, Any]] = list(proof["entries"])
        packed = [b64decode(row["packed"], validate=True) for row in rows]
        head = str(proof["head"])
    except (KeyError, TypeError, ValueError):
        return "not a proof: expected the answer of GET /v1/people/{id}/consents"
    if why := ledger.broken(packed):
        return why
    if head != ledger.head(packed):
        return "the last entries are missing: the hash over all is another one"
    for number, (row, raw) in enumerate(zip(rows, packed, strict=True)):
        differing = [name for name, value in told(raw).items() if row.get(name) != value]
        if differing:
            return f"entry {number} says another {', '.join(differing)} than it was packed with"
    return ""
