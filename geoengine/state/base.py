"""The state contract: what every back end promises, and nothing about how.

What may live here: the protocol; the shapes that cross the border between the loop and a back end
are in `shapes`. Business rules live in the core; a back end compares, swaps, appends and leases.

Theory of operation
-------------------
A *record* holds everything remembered of one person. It is loaded, replaced by the pure step, and
committed whole, with the version it was loaded at. What a commit says of one person (record, last
fixes, outbox rows, decisions, facts) happens whole or not at all. Of somebody whose record has
another version than the one loaded, or whose device was heard of meanwhile, nothing happens, and
`StateConflict` names them; everybody else's part has happened then. The caller loads, steps and
commits again for those named: one person whom many write to holds nobody else up. A commit that
binds names to a person, or drops a record, is one part, however many people it is about.

*Durable* changes survive a power cut once `commit` has returned. A change that is not durable (a
fresh sign of life inside a zone, a half-confirmed entry) is visible to the next `load` at once and
reaches the disk with the next durable commit, or within seconds, or at a graceful stop.

The *last fix* of a device is kept in a bounded table beside the records; the device seen least
recently leaves first. Positions in it never reach a disk that others can read: the embedded state
writes none, a shared one seals them. Times are written now and then.

The *outbox* is leased: a row leased by one worker is nobody else's until the lease runs out.
`begin` says that a row is about to be sent and reads, in the same stroke, what its person agrees
to; `settle` ends or postpones it. Who commits a withdrawal and then sees nothing begun (`is_begun`)
knows that no message starts any more that was allowed before. The *alias* of a device (or of a
beacon somebody carries) is the person it belongs to.

A back end that several processes share divides people into *partitions*. Their deadlines and rows
of the outbox are served by one process at a time, which holds a lease on the partition; `due` and
`lease` tell of those only that this process holds. The embedded state is one partition.

Invariants, each a test of the contract suite
---------------------------------------------
1. A commit is all or nothing for each person, also over a crash.
2. A commit repeated with the same ``op_id`` changes nothing more.
3. Of two commits of one version of a record, one raises `StateConflict`.
4. What a returned durable commit wrote is there after a power cut.
5. A row is leased by at most one owner at a time; after ``lease_ms`` it is free again.
6. A settled row is never leased again; a ``send_id`` ever appended is never appended twice.
7. An erased person leaves no row and no byte behind.

A *card* is compared and written by itself, not with a commit: of two puts of one version one wins.
Whoever changes a record and a card makes the second change one that may be done again. A *fact* is
written with a commit, and may be written twice: readers count the first of an id.

A state *tells* everything it keeps, in the same words whatever keeps it, and *takes in* what
another one told: so it moves from one back end to another (`copying`). Nobody serves either then.

What it does not do: read a clock (times are arguments), decide anything, know what a campaign is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence, Set
from typing import Protocol

from geoengine.core.book import Book
from geoengine.core.columns import Fixes, Known, Longs
from geoengine.core.record import Change as Change
from geoengine.core.record import Decision, Fact, Record
from geoengine.state.shapes import CARD_BYTES_MAX as CARD_BYTES_MAX
from geoengine.state.shapes import CARDS_MAX as CARDS_MAX
from geoengine.state.shapes import SETTLED_KEPT_MS as SETTLED_KEPT_MS
from geoengine.state.shapes import Ages as Ages
from geoengine.state.shapes import Alias as Alias
from geoengine.state.shapes import Card as Card
from geoengine.state.shapes import CardPage as CardPage
from geoengine.state.shapes import Commit as Commit
from geoengine.state.shapes import History as History
from geoengine.state.shapes import Kept as Kept
from geoengine.state.shapes import LastTime as LastTime
from geoengine.state.shapes import Leased as Leased
from geoengine.state.shapes import Note as Note
from geoengine.state.shapes import Page as Page
from geoengine.state.shapes import Person as Person
from geoengine.state.shapes import SentRow as SentRow
from geoengine.state.shapes import Settlement as Settlement
from geoengine.state.shapes import Stats as Stats
from geoengine.state.shapes import Told as Told
from geoengine.state.shapes import require_card as require_card


class Records(Protocol):
    """People, what is remembered of them, and their deadlines."""

    async def note_quiet(
        self, fixes: Fixes, book: Book, busy: Set[str], *, is_assumed: bool, now_ms: int
    ) -> Longs:
        """Note the fixes that change nothing but when and where a device was last; `core.quiet`.

        Returns the rows of all others, ascending, for `known` and a commit. A back end may leave
        any fix, and leaves those of ``busy`` people.
        """
        ...

    async def known(self, fixes: Fixes) -> Known:
        """What is known of the sender of each fix: one row per row of ``fixes``."""
        ...

    async def owners(self, names: list[str]) -> list[str]:
        """The person each device (or ``uuid:major:minor``) belongs to; itself if to nobody."""
        ...

    async def load(self, person_ids: list[str]) -> dict[str, Record]:
        """The records of those who have one, each a copy the caller may change."""
        ...

    async def commit(self, commit: Commit) -> None:
        """Write it. Raises `StateConflict`, naming those whose part has not happened, while all
        others' has; or `StateUnavailable`, when it is not sure that anything has.
        """
        ...

    async def due(self, now_ms: int, limit: int = 1_000) -> list[str]:
        """People whose next deadline is at or before ``now_ms``, the longest overdue first."""
        ...


class Outbox(Protocol):
    """Messages on their way."""

    async def lease(self, now_ms: int, limit: int, owner: str, lease_ms: int) -> list[Leased]:
        """Take rows that are due and free, the oldest due first, until ``now_ms + lease_ms``."""
        ...

    async def begin(self, rows: list[Leased]) -> dict[str, Record]:
        """Say that these rows are about to be sent; the records of their people, read in the same
        stroke. People without a record, and rows that are not the owner's any more, are left out.
        """
        ...

    async def is_begun(self, person_id: str, owner: str, now_ms: int) -> bool:
        """Whether anybody else than this owner has begun to send to a person and not settled."""
        ...

    async def settle(self, settlements: list[Settlement], owner: str, now_ms: int) -> list[str]:
        """End or postpone rows this owner holds; the send_ids settled, in order. Rows whose lease
        ran out and went to another are left out.
        """
        ...

    async def next_due(self) -> int | None:
        """When the next pending row falls due or the next lease runs out; None when empty."""
        ...

    async def sends(self, status: str = "", limit: int = 100) -> list[SentRow]:
        """Rows of the outbox and, while kept, how they ended; newest first. "" is every status."""
        ...

    async def sends_of(self, person_id: str, limit: int = 1_000) -> list[SentRow]:
        """A person's rows under this name, also how they ended; what was appended last first."""
        ...

    async def revive(self, send_ids: list[str], now_ms: int, expires_ms: int) -> list[str]:
        """Make dead rows pending again, due now; the send_ids revived."""
        ...


class Cards(Protocol):
    """What is known by name and is no person."""

    async def cards(self, names: Sequence[str]) -> dict[str, Card]:
        """Those of them that there are."""
        ...

    async def put_card(self, card: Card, now_ms: int) -> Card:
        """Write it; durable on return. As it is now. An empty body takes it away.

        Raises `StateConflict`, naming it, where it has another version than the one given.
        """
        ...

    async def cards_from(self, prefix: str, start: str = "", limit: int = 1_000) -> CardPage:
        """A page of about so many cards whose names begin so, from where the last page said.

        Whatever is there throughout is on one of the pages; the order is the state's.
        """
        ...

    async def cards_of(self, owner: str) -> list[Card]:
        """All that somebody owns under this name, by name; what `erase` would take."""
        ...


class Past(Protocol):
    """What was decided and what happened, of everybody."""

    async def history(
        self, since_ms: int, until_ms: int, start: str = "", limit: int = 10_000
    ) -> History:
        """A page of about so many decisions and facts of a time, from where the last page said.

        ``until_ms`` is not among them. The order is the state's; a fact may come twice.
        """
        ...

    async def facts(self, person_id: str, limit: int = 1_000) -> list[Fact]:
        """What happened to a person, newest first; of one id what was written first."""
        ...


class Archive(Protocol):
    """What was decided, and everything about a person."""

    async def decisions(self, person_id: str, limit: int = 100) -> list[Decision]:
        """The decisions about a person, newest first."""
        ...

    async def note(self, name: str, value: bytes, *, is_first: bool = False) -> bytes:
        """Keep something of the service's own under a name; durable on return. What is kept there
        now: what was there before, where only the first counts.
        """
        ...

    async def noted(self, name: str) -> bytes | None:
        """What is kept under a name; None for nothing."""
        ...

    async def people(self, start: str = "", limit: int = 1_000) -> Page:
        """A page of about so many ids of people with a record, from where the last page said.

        Whoever has one throughout is on one of the pages, perhaps on two; the order is the state's.
        """
        ...

    async def erase(self, person_id: str, now_ms: int) -> bool:
        """Forget a person: record, aliases, last fixes, outbox rows, decisions, facts, the cards
        that they own, bytes on disk.
        """
        ...

    async def trim(
        self,
        now_ms: int,
        decisions_before_ms: int,
        facts_before_ms: int | None = None,
        settled_before_ms: int | None = None,
    ) -> int:
        """Drop settled rows, operation ids, decisions and facts older than they are kept (facts as
        long as decisions and settled rows for a week, unless told), and cards that have had their
        day; how many.
        """
        ...

    async def stats(self) -> Stats:
        """Sizes."""
        ...


class Whole(Protocol):
    """All that is kept, on its way from one state to another."""

    async def served_by(self) -> list[str]:
        """The processes that serve this state beside this one."""
        ...

    def tell(self) -> AsyncIterator[Told]:
        """Everything kept, kind by kind in the order of `Kept`; of one person's decisions and
        facts the first ones first. Leased rows are told as pending ones, cards as new ones,
        operation ids not at all.
        """
        ...

    async def take_in(self, items: Sequence[Kept]) -> None:
        """Keep what another state told, in its order; durable at `close`. For a state that was
        empty before, and is opened anew before it is served.
        """
        ...

    async def wipe(self) -> None:
        """Forget everything, also on disk."""
        ...


class State(Records, Outbox, Cards, Past, Archive, Whole, Protocol):
    """A back end."""

    concerns: list[str]  # what it cannot keep of what is promised, known once it is open
    look_again_s: float  # how long what other processes did may go unseen by `due` and `lease`

    def serves(self, name: str) -> bool:
        """Whether it is this process that does what one of all has to do for this name."""
        ...

    @property
    def failed(self) -> Exception | None:
        """Why nothing can be committed any more, until the process starts again; else None."""
        ...

    async def open(self) -> None:
        """Take hold of the state and read what it has. Raises `StateLocked`, `StateUnavailable`."""
        ...

    async def checkpoint(self) -> None:
        """Write what is not yet durable; the service asks for it every few seconds."""
        ...

    async def close(self) -> None:
        """Write what is not yet durable and let go."""
        ...
