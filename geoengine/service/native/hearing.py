"""What gateways post, whichever door it comes in by: on whose word, and what follows of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Final, NamedTuple, get_args
from urllib.parse import parse_qs, unquote

import msgspec
from msgspec import Struct

from geoengine.core.book import Book
from geoengine.core.model import GatewayKind
from geoengine.ingest.reports import Origin
from geoengine.service.context import Context
from geoengine.service.http.problems import Problem
from geoengine.service.intake import OnAnswer
from geoengine.service.native.answering import GATEWAY_DONE
from geoengine.service.native.credentials import Ears, presented
from geoengine.service.native.entering import decoded_of, enter, says_nothing

GATEWAYS: Final = "/in/gw/"
KINDS: Final = frozenset(get_args(GatewayKind))
ALIASES: Final = {"minew_g1": "minew", "theengs_omg": "theengs"}
CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="geoengine", charset="UTF-8"'}
SHOWS_IN_BODY: Final = "meraki"  # its cloud's credential is in what it posts
WHO: Final = "The secret of a listed gateway of this kind, or a key of kind gateway."
_METHODS: Final = (b"POST", b"PUT")


class Knock(NamedTuple):
    """The head of a post: which kind of gateway, what it calls itself, what it shows."""

    kind: str
    named: str
    shown: tuple[str, ...]
    query: str


class _Sealed(Struct):
    """Where Meraki's cloud shows what it was given."""

    secret: str | None = None


_SEALED = msgspec.json.Decoder(_Sealed)


def knock_of(raw_path: str, query: str, authorization: str | None) -> Knock:
    """Who knocks; raises `Problem` for a kind that there is not."""
    kind, _, named = unquote(raw_path.removeprefix(GATEWAYS)).partition("/")
    kind, named = kind.replace("-", "_"), named.strip("/")
    kind = ALIASES.get(kind, kind)
    if kind not in KINDS:
        raise Problem("not_found", f"Kinds are {', '.join(sorted(KINDS))}.")
    return Knock(kind, named, tuple(presented(authorization, named)), query)


def demand_ears(context: Context, knock: Knock, body: bytes | None) -> Ears | None:
    """Whose ears they are, by the Book in force; raises `Problem` for nobody's.

    Without a body None is who may yet show in it that he is somebody.
    """
    ears = context.credentials.ears(knock.kind, knock.shown, knock.named, context.book)
    if ears is None and knock.kind == SHOWS_IN_BODY:
        if body is None:
            return None
        ears = context.credentials.ears(knock.kind, _sealed(body), knock.named, context.book)
    if ears is None:
        raise Problem("unauthorized", WHO, CHALLENGE)
    return ears


async def hear(context: Context, knock: Knock, body: bytes) -> None:
    """Take in what a gateway heard; returns when what follows of it is durable.

    Raises `Problem` or `StateError` where it should come again.
    """
    ears = demand_ears(context, knock, body)
    origin = _origin(context, knock, ears)
    decoded = decoded_of(context, knock.kind, body, origin)
    await enter(context, knock.kind, decoded, origin, body_bytes=len(body), ears=ears)


def softened(problem: Problem) -> Problem:
    """Where there is no room, a refusal that no client takes for a no to what it says: OwnTracks
    throws away what is answered with 429.
    """
    return Problem("again", problem.detail) if problem.kind == "queue_full" else problem


class Ajar:
    """The lean door's gap for gateways: a post from which nothing follows makes no task."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._entering: set[asyncio.Task[None]] = set()

    def let_in(
        self, method: bytes, raw_path: bytes, query: bytes, fields: Mapping[bytes, bytes]
    ) -> Callable[[bytes, OnAnswer], None]:
        """What takes the body of a post with this head; raises `Problem` where nothing does."""
        if method not in _METHODS:
            raise Problem("method_not_allowed", headers={"Allow": "POST, PUT"})
        shown = fields.get(b"authorization", b"").decode("utf-8", "surrogateescape")
        knock = knock_of(raw_path.decode("latin-1"), query.decode("latin-1"), shown)
        book = self._context.book
        return partial(self._take, knock, book, demand_ears(self._context, knock, None))

    def _take(
        self, knock: Knock, book: Book, ears: Ears | None, body: bytes, on_answer: OnAnswer
    ) -> None:
        context = self._context
        if ears is None or book is not context.book:  # another catalogue than at the first post
            ears = demand_ears(context, knock, body)
        origin = _origin(context, knock, ears)
        decoded = decoded_of(context, knock.kind, body, origin)
        if says_nothing(context, knock.kind, decoded):
            on_answer(GATEWAY_DONE.body)
            return
        entering = enter(context, knock.kind, decoded, origin, body_bytes=len(body), ears=ears)
        task = asyncio.get_running_loop().create_task(_told(entering, on_answer))
        self._entering.add(task)
        task.add_done_callback(self._entering.discard)


def _origin(context: Context, knock: Knock, ears: Ears | None) -> Origin:
    topic = parse_qs(knock.query).get("topic", [""])[0] if knock.query else ""
    gateway_id = None if ears is None else ears.only
    return Origin(context.clock(), gateway_id=gateway_id, topic=topic, query=knock.query)


async def _told(entering: Coroutine[None, None, None], on_answer: OnAnswer) -> None:
    """Tell the caller what became of it."""
    try:
        await entering
    except Problem as problem:
        on_answer(softened(problem))
    except Exception as error:
        on_answer(error)
    else:
        on_answer(GATEWAY_DONE.body)


def _sealed(body: bytes) -> list[str]:
    """What Meraki's cloud was told to show."""
    try:
        secret = _SEALED.decode(body).secret
    except (ValueError, RecursionError):
        return []
    return [secret] if secret else []
