"""Who listens to what: events on their way to streams, and those that a stream missed.

Everything that happens in this process gets a number, and the latest of it stays in a ring. A
*session* is what outlives a connection: the names it spoke for, and where it stopped listening. Its
id is a secret that only its client was told, so that nobody else can ask what happened to them.

Until the first stream comes nothing is kept, as nobody can have missed anything.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from secrets import token_urlsafe
from typing import Final, Protocol

from geoengine.core.record import Event
from geoengine.core.telling.events import PREFIX
from geoengine.service.auth import Caller
from geoengine.service.streaming.words import told

SLICES: Final = 30  # of a heartbeat: so many parts of the streams take turns, and none waits long
# How a message fared on its way to a person: nothing that happened where their phone is.
NEWS: Final = frozenset({f"trigger.{how}" for how in ("sent", "delivered", "failed", "expired")})
PAGE: Final = 50  # events that are looked at before others have their turn
AWAY_MAX: Final = 20_000  # sessions without a connection that are remembered; some 15 MB
AWAY_NAMES_MAX: Final = 100_000  # whom they spoke for, together; as much again
_TOKEN = re.compile(r"([A-Za-z0-9_-]{16})\.([0-9]{1,18})", re.ASCII)


class Listener(Protocol):
    """What the hub needs of a connection."""

    def tell(self, text: bytes) -> None:
        """Send the start of a text; the place to resume from is added."""
        ...

    def beat(self) -> None:
        """A heartbeat is due."""
        ...

    def leave(self, code: int, why: str) -> None:
        """Close, once nothing is owed any more."""
        ...

    def abort(self) -> None:
        """Close at once: the client has come back over another connection."""
        ...


@dataclass(slots=True, eq=False)
class Session:
    """A client that may come back: who, whom it spoke for, what it wants to hear."""

    caller: Caller
    hears_all: bool = False  # of everybody; else of the names it spoke for
    types: frozenset[str] = frozenset()  # of events; empty: any
    id: str = field(default_factory=lambda: token_urlsafe(12))
    names: dict[str, None] = field(default_factory=dict)
    listener: Listener | None = None
    is_live: bool = False  # it has been told what it missed
    is_full: bool = False  # it spoke for more than are followed

    def wants(self, event: Event) -> bool:
        """Whether an event is for it, who- or whatever caused it."""
        if not self.hears(event.type):
            return False
        return self.hears_all or any(name in self.names for name in _names(event))

    def hears(self, type_: str) -> bool:
        """Whether events of a type are for it; news of messages are for who asks for them."""
        return type_ in self.types if self.types else self.hears_all or type_ not in NEWS


class Hub:
    """All streams of this process."""

    def __init__(self, ring_size: int, names_max: int) -> None:
        self.seq = 0  # of the last event
        self._ring: deque[tuple[int, Event | None]] = deque(maxlen=ring_size)
        self._names_max = names_max
        self._followers: dict[str, set[Session]] = {}
        self._hears_all: set[Session] = set()
        self._slices: tuple[dict[Session, None], ...] = tuple({} for _ in range(SLICES))
        self._next_slice = 0
        self._away: dict[str, Session] = {}  # by id, who left first first
        self._away_names = 0
        self._here: dict[str, Session] = {}
        self._has_begun = False
        self._is_empty = asyncio.Event()
        self.is_closed = False

    def __len__(self) -> int:
        return len(self._here)

    # --- coming and going ------------------------------------------------------------------------

    def attend(self, session: Session, listener: Listener) -> None:
        """A session has a connection now; it hears of nothing before it is `is_live`."""
        self._has_begun = True
        session.listener = listener
        self._here[session.id] = session
        min(self._slices, key=len)[session] = None
        if session.hears_all:
            self._hears_all.add(session)
        for name in session.names:
            self._followers.setdefault(name, set()).add(session)

    def part(self, session: Session, listener: Listener) -> None:
        """The connection is gone; the session may come back."""
        if session.listener is not listener:
            return  # it has come back already
        self._withdraw(session)
        self._away[session.id] = session
        self._away_names += len(session.names)
        while self._away_names > AWAY_NAMES_MAX or len(self._away) > AWAY_MAX:
            forgotten = self._away.pop(next(iter(self._away)))
            self._away_names -= len(forgotten.names)

    def _withdraw(self, session: Session) -> None:
        session.listener, session.is_live = None, False
        del self._here[session.id]
        if not self._here:
            self._is_empty.set()
        self._hears_all.discard(session)
        for part in self._slices:
            part.pop(session, None)
        for name in session.names:
            self._drop(session, name)

    def resume(self, token: str, session: Session) -> tuple[Session, int | None]:
        """A client is back with a place it was told: its session as it now is, and the place.

        There is none when it is not known here, or not to this caller.
        """
        found = _TOKEN.fullmatch(token)
        known = (self._here.get(found[1]) or self._away.get(found[1])) if found else None
        if found is None or known is None or known.caller != session.caller:
            return session, None
        self._take_back(known)
        known.hears_all, known.types = session.hears_all, session.types
        return known, int(found[2])

    @property
    def oldest(self) -> int:
        """The first place from which all that happened is still known."""
        return self.seq - len(self._ring)

    def missed(self, session: Session, since: int) -> tuple[int, list[tuple[int, Event]]]:
        """Some of the events for a session since a place, numbered, and the place after them."""
        skipped = max(since - self.oldest, 0)
        page = list(islice(self._ring, skipped, skipped + PAGE))
        wanted = [(seq, event) for seq, event in page if event and session.wants(event)]
        return page[-1][0] if page else self.seq, wanted

    def _take_back(self, session: Session) -> None:
        if session.listener is not None:  # the old connection is dead, and does not know it yet
            before = session.listener
            self._withdraw(session)
            before.abort()
        elif self._away.pop(session.id, None) is not None:
            self._away_names -= len(session.names)

    # --- events ----------------------------------------------------------------------------------

    def follow(self, session: Session, names: Iterable[str]) -> None:
        """From now on tell a session what time does to these, as far as it may follow more."""
        own = session.names
        for name in names:
            if name in own:
                continue
            if len(own) >= self._names_max:
                session.is_full = True
                return
            own[name] = None
            self._followers.setdefault(name, set()).add(session)

    def publish(self, events: Iterable[Event]) -> None:
        """Tell who listens what has happened, durably.

        What a post caused its sender reads in the answer; followers hear what no post caused.
        """
        if not self._has_begun:
            return
        for event in events:
            self.seq += 1
            self._ring.append((self.seq, event))
            hearers = self._hearers(event)
            text = told(event) if hearers else b""
            for session in hearers:
                if session.listener is not None:
                    session.listener.tell(text)

    def forget(self, person_id: str) -> None:
        """Keep nothing of what happened to somebody, under whatever name of theirs it is kept."""
        names = {person_id}
        for _, event in self._ring:
            if event is not None and event.person_id == person_id:
                names.update(_names(event))
        for ix, (seq, event) in enumerate(self._ring):
            if event is not None and not names.isdisjoint(_names(event)):
                self._ring[ix] = seq, None
        for session in (*self._here.values(), *self._away.values()):
            for name in names & session.names.keys():
                self._unfollow(session, name)

    def _unfollow(self, session: Session, name: str) -> None:
        """Until it speaks for that name again."""
        del session.names[name]
        if session.listener is None:
            self._away_names -= 1
        else:
            self._drop(session, name)

    def _drop(self, session: Session, name: str) -> None:
        followers = self._followers[name]
        followers.discard(session)
        if not followers:
            del self._followers[name]

    def _hearers(self, event: Event) -> list[Session]:
        sessions = set(self._hears_all)
        if event.post_ix < 0:
            sessions.update(*(self._followers.get(name, ()) for name in _names(event)))
        return [one for one in sessions if one.is_live and one.hears(event.type)]

    # --- life ------------------------------------------------------------------------------------

    async def beat(self, heartbeat_s: float) -> None:
        """See that everybody is still there, a slice of them at a time."""
        while True:
            await asyncio.sleep(heartbeat_s / SLICES)
            self._next_slice = (self._next_slice + 1) % SLICES
            for session in tuple(self._slices[self._next_slice]):
                if session.listener is not None:
                    session.listener.beat()

    async def close(self, code: int, why: str, timeout_s: float) -> None:
        """Let nobody in any more, and have all leave once they are owed nothing."""
        self.is_closed = True
        for session in tuple(self._here.values()):
            if session.listener is not None:
                session.listener.leave(code, why)
        self._is_empty.clear()
        if self._here:
            await asyncio.wait([asyncio.ensure_future(self._is_empty.wait())], timeout=timeout_s)


def types_of(text: str) -> frozenset[str]:
    """Types of events as a query names them, with or without their prefix.

    >>> sorted(types_of("zone.dwelled, geoengine.zone.exited"))
    ['zone.dwelled', 'zone.exited']
    """
    return frozenset(name.strip().removeprefix(PREFIX) for name in text.split(",") if name.strip())


def _names(event: Event) -> tuple[str, ...]:
    """Whom an event is about, by every name."""
    device_id = event.data.get("device_id")
    return (event.person_id, device_id) if isinstance(device_id, str) else (event.person_id,)
