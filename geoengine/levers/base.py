"""How a message leaves: a lever is given a `Send` and answers with a `Receipt`.

A lever knows one road and its provider's manners. It does not decide whether, when or how often:
that is the dispatcher's, so that consent, caps and back-off exist once for all roads.

Three parts every lever has: a name with its time limit, ``send``, ``close``. It may say more:

``limits``
    what its provider bears; else `Limits()`.
``lane(send)``
    for a road with several providers or endpoints (`Laned`): which of them this message takes and
    what that one bears. Each lane is counted, limited and left alone by itself.
``cannot``
    a text: what of it cannot be used as configured, naming what is missing. Operators are warned of
    it, by `geoengine check` and when the service starts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from msgspec import Struct

from geoengine.core.record import Send

Answer = Literal["delivered", "retry", "refused", "ambiguous", "gone"]

DETAIL_MAX_CHARS = 1_024  # of a provider's answer kept for the operator; the rest is its business


class Receipt(Struct, frozen=True):
    """What became of one attempt.

    ``delivered``: the provider has it. ``retry``: it has not, or it knows the same message by its
    id, so that asking again is harmless. ``refused``: it never will. ``ambiguous``: it may have it
    and would take a second one for another message, so nobody tries again. ``gone``: whoever we
    speak to wants to hear no more, of this or anything else.
    """

    status: Answer
    reason: str = ""  # a stable code: http_500, timeout, endpoint_gone
    retry_after_ms: int = 0  # how long the provider asks to be left alone, counted from the answer
    detail: str = ""  # for a human reader: the beginning of what the provider said
    has_left: bool = True  # whether anything can have reached the provider
    parts: int = 0  # how many the provider counts it as: segments of an SMS; 0 where none are told
    cost: float = 0.0  # of all its parts, in units of the currency
    currency: str = ""  # ISO 4217; "" where the cost is not known
    since_ms: int = 0  # of `gone`: since when, as far as the provider says; 0 where it does not
    dead: tuple[str, ...] = ()  # of one message's several addresses those that are gone
    is_of_one: bool = False  # of `retry`: only this receiver is to be left alone, the lane goes on

    @property
    def text(self) -> str:
        """The reason with its detail, as an operator reads it."""
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


# Longer is cut off: a withdrawal waits 20 s (`quiesce_s`) for what other processes send, and this,
# an overrun and the time to prepare a message must fit in.
TIMEOUT_MAX_S = 15.0
WIDTH = 16  # messages at once; more would be a flood to a small receiver


class Limits(Struct, frozen=True):
    """What a provider bears of one account."""

    width: int = WIDTH  # messages at once
    per_s: float = 0.0  # messages a second, in the long run; 0 for as many as go
    burst: int = 0  # so many of which at the same moment; 0 for a tenth of a second's worth


class Lane(NamedTuple):
    """One provider or endpoint of a lever."""

    name: str  # "" for the only one
    limits: Limits


class Lever(Protocol):
    """A road to a person or a system."""

    @property
    def name(self) -> str:
        """The lever's name, as campaigns write it."""
        ...

    @property
    def timeout_s(self) -> float:
        """How long one attempt may take, in all: `TIMEOUT_MAX_S` at most."""
        ...

    async def send(self, send: Send, now_ms: int) -> Receipt:
        """Make one attempt. What a provider or a network does wrong is a receipt, no exception."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


@runtime_checkable
class Laned(Protocol):
    """A lever with more than one provider or endpoint behind it."""

    def lane(self, send: Send) -> Lane:
        """Which of them takes this message: the same one whenever it is asked."""
        ...


def lanes_of(lever: Lever) -> Callable[[Send], Lane]:
    """What tells which lane a message takes on a lever."""
    if isinstance(lever, Laned):
        return lever.lane
    only = Lane("", getattr(lever, "limits", None) or Limits())
    return lambda _send: only


def cannot(lever: Lever) -> str:
    """What of a lever cannot be used as configured; "" for nothing."""
    return str(getattr(lever, "cannot", ""))
