"""Records, sends, fixes and commits for the contract suite."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np

from geoengine.core.columns import Fixes, LastFixes, Spot
from geoengine.core.record import Consent, Decision, Presence, Record, Send
from geoengine.state.base import Change, Commit, State

_ops = count()


def op() -> str:
    """An operation id never used before."""
    return f"op-{next(_ops)}"


def change(record: Record, due_ms: int | None = None, **options: Any) -> Change:
    return Change(record, due_ms, **options)


def commit_of(*changes: Change, **parts: Any) -> Commit:
    return Commit(parts.pop("op_id", None) or op(), changes=changes, **parts)


async def write(state: State, *records: Record, **parts: Any) -> None:
    """Commit records durably, without deadlines."""
    await state.commit(commit_of(*(change(record) for record in records), **parts))


async def everybody(state: State, limit: int = 1_000) -> list[str]:
    """Everybody with a record, in order."""
    names, start = set(), ""
    while True:
        page = await state.people(start, limit)
        names.update(page.names)
        if not (start := page.next):
            return sorted(names)


async def one(state: State, person_id: str) -> Record:
    return (await state.load([person_id]))[person_id]


def located(person_id: str, **parts: Any) -> Record:
    return Record(person_id, consents={"location": Consent(True, 1, 0)}, **parts)


def present(person_id: str, **parts: Any) -> Record:
    return located(person_id, presences={"z": Presence(True, 7, person_id, 1_000, 2_000)}, **parts)


def send(send_id: str, person_id: str = "ann", due_ms: int = 1_000, **parts: Any) -> Send:
    return Send(
        send_id=send_id,
        kind="trigger",
        person_id=person_id,
        lever=parts.pop("lever", "sms"),
        created_ms=parts.pop("created_ms", due_ms),
        expires_ms=parts.pop("expires_ms", due_ms + 900_000),
        due_ms=due_ms,
        event={"id": send_id},
        **parts,
    )


def decision(person_id: str, at_ms: int, campaign_id: str = "c") -> Decision:
    return Decision(person_id, at_ms, campaign_id, "s", "z", "v", "suppressed", "quiet_hours")


def fixes(*device_ids: str, fix_ms: int = 0) -> Fixes:
    blank = np.zeros(len(device_ids))
    return Fixes.of(list(device_ids), blank, blank, np.full(len(device_ids), fix_ms, np.int64))


def last(fix_ms: int, *device_ids: str, lon_deg: float = 2.0, suspects: int = 0) -> LastFixes:
    n = len(device_ids)
    rows = LastFixes.up_to(list(device_ids), np.full(n, fix_ms, np.int64))
    suspect = Spot(3.0, 49.0, 5.0, fix_ms + 1)
    return replace(
        rows,
        lon_deg=np.full(n, lon_deg),
        lat_deg=np.full(n, 48.0),
        accuracy_m=np.full(n, 12.0),
        suspect_count=np.full(n, suspects, np.int32),
        suspects=dict.fromkeys(rows.device_keys.tolist(), suspect) if suspects else {},
    )
