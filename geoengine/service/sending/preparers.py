"""Everything that is done about a message before it leaves, in the order in which it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from geoengine.core.book import Book
from geoengine.service.consent.suppression import Stopper
from geoengine.service.coupons.desk import Desk
from geoengine.service.links import Linker
from geoengine.service.sending.ending.statuses import StatusUrls
from geoengine.service.sending.pacing.spending import Spending
from geoengine.service.sending.preparing import Preparer
from geoengine.service.sending.rosters import Roster
from geoengine.service.wallet.linking import PassLinker
from geoengine.service.wallet.preparing import PassWriter
from geoengine.state.base import State


def preparers(
    state: State, book_of: Callable[[], Book], environ: Mapping[str, str], desk: Desk
) -> tuple[Preparer, ...]:
    """First what may stop a message, then what takes something for it, last what writes it.

    `Spending` counts a text as it leaves: whoever writes into texts comes before it.
    """
    return (
        Stopper(state, book_of),
        Roster(state),
        desk,
        Linker(state, book_of),
        PassLinker(state, book_of),
        PassWriter(state, book_of),
        Spending(state, book_of),
        StatusUrls(book_of),
    )
