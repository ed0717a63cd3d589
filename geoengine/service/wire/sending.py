"""Test messages as they go over the wire."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from geoengine.core.model import LeverName
from geoengine.service.http.wire import Name
from geoengine.service.sending.trials import MESSAGE


class TrialBody(Struct, forbid_unknown_fields=True):
    """Whom to send a marked test message, and by which lever."""

    person_id: Name
    lever: LeverName
    message: Annotated[str, Meta(min_length=1, max_length=1_000)] = MESSAGE
    endpoint: Annotated[
        str, Meta(max_length=128, description="Of webhooks: its id; by default the first.")
    ] = ""


class CheckOut(Struct):
    """One question that stands before a message, and what stands against it, "" for nothing."""

    what: str
    why_not: str


class TrialOut(Struct):
    """What was asked, and what became of the first attempt: "" where none was made."""

    send_id: str
    checks: list[CheckOut]
    status: str
    reason: str
