"""Whom a path names."""

from __future__ import annotations

from geoengine.core.record import Record
from geoengine.ingest.names import is_name
from geoengine.service.context import Call, Context
from geoengine.service.http.problems import Problem


async def owner_of(context: Context, call: Call) -> str:
    """The person in the path; a device that belongs to somebody stands for its owner."""
    (person_id,) = await context.state.owners([name_in(call, "person_id")])
    return person_id


def name_in(call: Call, parameter: str) -> str:
    """A name in the path; a 400 `Problem` for what is none."""
    name = call.path[parameter]
    if not is_name(name):
        raise Problem("bad_parameter", f"{parameter}: 1 to 128 characters, no control characters.")
    return name


async def record_of(context: Context, person_id: str) -> Record:
    """What is remembered of a person; an empty record where nothing is."""
    loaded = await context.state.load([person_id])
    return loaded.get(person_id) or Record(person_id=person_id)
