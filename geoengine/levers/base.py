"""How a message leaves: a lever is given a `Send` and answers with a `Receipt`.

A lever knows one road and its provider's manners. It does not decide whether, when or how often:
that is the dispatcher's, so that consent, caps and back-off exist once for all roads.
"""

from __future__ import annotations

from typing import Literal, Protocol

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

    @property
    def text(self) -> str:
        """The reason with its detail, as an operator reads it."""
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


class Lever(Protocol):
    """A road to a person or a system."""

    @property
    def name(self) -> str:
        """The lever's name, as campaigns write it."""
        ...

    @property
    def timeout_s(self) -> float:
        """How long one attempt may take, in all."""
        ...

    async def send(self, send: Send, now_ms: int) -> Receipt:
        """Make one attempt. What a provider or a network does wrong is a receipt, no exception."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
