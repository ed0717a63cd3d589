"""Everything that is done about a message before it leaves, in the order in which it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from geoengine.core.book import Book
from geoengine.service.consent.suppression import Stopper
from geoengine.service.links import Linker
from geoengine.service.sending.preparing import Preparer
from geoengine.service.sending.spending import Spending
from geoengine.service.sending.statuses import StatusUrls
from geoengine.state.base import State


def preparers(
    state: State, book_of: Callable[[], Book], environ: Mapping[str, str]
) -> tuple[Preparer, ...]:
    """First what may stop a message, then what takes something for it, last what writes it."""
    return (
        Stopper(state, book_of),
        Spending(state, book_of),
        Linker(state, book_of),
        StatusUrls(book_of),
    )
