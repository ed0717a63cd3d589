"""What a post is told: written out at once for the many to whom nothing happened."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from geoengine.core.events import cloud_event
from geoengine.core.record import Event
from geoengine.ingest.wire import Reject
from geoengine.service.http.wire import Rejected, Taken

_ENCODER = msgspec.json.Encoder()
_HOLE = _ENCODER.encode(Taken(0, [], [])).partition(b"0")
# What a post of one ping is told, of two, ...: nearly every answer is one of these.
_NOTHING = tuple(b"%s%d%s" % (_HOLE[0], count, _HOLE[2]) for count in range(1_001))


def taken(accepted: int, rejects: Sequence[Reject], events: Sequence[Event]) -> bytes:
    """The body of the answer: a `Taken`.

    >>> taken(500, [], [])
    b'{"accepted":500,"rejected":[],"events":[]}'
    """
    if not rejects and not events and accepted < len(_NOTHING):
        return _NOTHING[accepted]
    return _ENCODER.encode(
        Taken(
            accepted,
            [Rejected(reject.index, reject.reason) for reject in rejects],
            [cloud_event(event) for event in events],
        )
    )
