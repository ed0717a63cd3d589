"""Refusals: RFC 9457 problem documents, one kind each, listed here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
from msgspec import Struct

CONTENT_TYPE = "application/problem+json"
URN = "urn:geoengine:problem:"

# kind -> (status, title). The kind is stable; the detail is for people.
KINDS: dict[str, tuple[int, str]] = {
    "malformed": (400, "The body is not what this route takes"),
    "bad_parameter": (400, "A parameter is not what this route takes"),
    "bad_request": (400, "This is not HTTP as we understand it"),
    "unauthorized": (401, "A key is needed"),
    "forbidden": (403, "This key may not do that"),
    "not_found": (404, "There is nothing here"),
    "method_not_allowed": (405, "This route does not take that method"),
    "outdated": (409, "What the person said then does not stand any more"),
    "coupon_unknown": (404, "Nobody was given this code"),
    "redemption_unknown": (404, "This code was not redeemed so"),
    "coupon_expired": (409, "This code has ended"),
    "coupon_not_yet": (409, "This code is not good yet"),
    "coupon_released": (409, "This code was taken back before anybody saw it"),
    "coupon_wrong_store": (409, "This code is not good at this store"),
    "coupon_used_up": (409, "This code was redeemed as often as it may be"),
    "too_many_devices": (409, "This store has as many devices as it may have"),
    "body_too_slow": (408, "The body did not arrive in time"),
    "body_too_large": (413, "The body is too large"),
    "encoding_not_supported": (415, "Only identity encoding is taken"),
    "upgrade_required": (426, "This route takes a WebSocket"),
    "queue_full": (429, "More is waiting than we hold"),
    "internal": (500, "Our fault; nothing was committed"),
    "state_unavailable": (503, "The state cannot be written; nothing was committed"),
    "too_many_connections": (503, "Too many connections"),
    "again": (503, "Not now: send the same again"),
    "stopping": (503, "The service is stopping"),
}

RETRY_AFTER_S = {
    "queue_full": 1,
    "state_unavailable": 2,
    "again": 1,
    "too_many_connections": 5,
    "stopping": 5,
}
KIND_OF_STATUS = {400: "bad_request", 404: "not_found", 405: "method_not_allowed"}


class ProblemDocument(Struct, omit_defaults=True):
    """What is wrong, as RFC 9457 writes it; `type` is stable, `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str = ""


@dataclass
class Problem(Exception):
    """A refusal on its way to the caller."""

    kind: str
    detail: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return KINDS[self.kind][0]

    def all_headers(self) -> dict[str, str]:
        """Headers to send: the caller's own, and Retry-After where waiting helps."""
        wait_s = RETRY_AFTER_S.get(self.kind)
        return ({} if wait_s is None else {"Retry-After": str(wait_s)}) | dict(self.headers)

    def body(self) -> bytes:
        """The document."""
        status, title = KINDS[self.kind]
        return msgspec.json.encode(ProblemDocument(URN + self.kind, title, status, self.detail))
