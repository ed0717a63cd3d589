"""Who agreed to what, and what is known of people, from files beside a trace."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from geoengine.core.errors import TraceError
from geoengine.core.model import PURPOSES
from geoengine.core.record import Consent, Json, Record
from geoengine.ingest.names import is_name
from geoengine.state.base import Change, Commit, State


def read_people(consents: Path | None, attributes: Path | None) -> dict[str, Record]:
    """Records of the people that the files tell of, by id; raises `TraceError`.

    ``consents``: CSV or NDJSON of ``person_id``, ``purpose`` and, where the lever needs one,
    ``address``. ``attributes``: NDJSON of ``person_id`` and anything an audience may ask about,
    beside it or in ``attributes``; ``locale`` and ``time_zone`` are the person's own.
    """
    people: dict[str, Record] = {}
    try:
        for where, row in _rows(consents):
            _agree(_person(people, where, row), where, row)
        for where, row in _rows(attributes):
            _describe(_person(people, where, row), row)
    except OSError as error:
        raise TraceError(str(error)) from error
    return people


async def settle_in(state: State, people: dict[str, Record]) -> None:
    """Put the records into an empty state, before anything happens."""
    changes = tuple(Change(record, None) for record in people.values())
    if changes:
        await state.commit(Commit(op_id="people of a replay", changes=changes))


def _rows(path: Path | None) -> Iterator[tuple[str, Json]]:
    """Rows of a file as objects, each with its place."""
    if path is None:
        return
    body = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    if body.lstrip()[:1] != b"{":
        text = body.decode("utf-8", "replace").splitlines()
        for number, cells in enumerate(csv.DictReader(text), 2):
            yield f"{path}:{number}", {key: value for key, value in cells.items() if value}
        return
    for number, line in enumerate(body.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            yield f"{path}:{number}", msgspec.json.decode(line, type=dict[str, Any])
        except (ValueError, RecursionError) as error:
            raise TraceError(f"{path}:{number}: {error}") from error


def _person(people: dict[str, Record], where: str, row: Json) -> Record:
    person_id = row.get("person_id")
    if not isinstance(person_id, str) or not is_name(person_id):
        raise TraceError(f"{where}: person_id is missing or no name")
    return people.setdefault(person_id, Record(person_id))


def _agree(record: Record, where: str, row: Json) -> None:
    purpose, address = row.get("purpose"), row.get("address")
    if purpose not in PURPOSES:
        raise TraceError(f"{where}: purpose must be one of {', '.join(sorted(PURPOSES))}")
    record.consents[purpose] = Consent(is_granted=True, epoch=1, at_ms=0)
    if isinstance(address, str):
        record.addresses[purpose] = address


def _describe(record: Record, row: Json) -> None:
    known = {key: value for key, value in row.items() if key not in ("person_id", "attributes")}
    record.locale = str(known.pop("locale", record.locale))
    record.time_zone = str(known.pop("time_zone", record.time_zone))
    record.attributes |= known
    if isinstance(inner := row.get("attributes"), dict):
        record.attributes |= inner
