"""What an HTTP answer means for a webhook.

===========================  =========  ============================================================
answer                       receipt    why
===========================  =========  ============================================================
2xx                          delivered  the status is the answer; the body is not read for meaning
410 Gone                     gone       Standard Webhooks: the endpoint wants to hear no more
429, 503, 502, 504           retry      with ``Retry-After`` where it is given
3xx                          retry      never followed: a redirect is how one is led inside
any other                    retry      Standard Webhooks retries all: a 401 or 404 is most often
                                        a deployment going on at the other end
===========================  =========  ============================================================
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from geoengine.core.units import HOUR_MS, SECOND_MS
from geoengine.levers.base import DETAIL_MAX_CHARS, Receipt

GONE = "endpoint_gone"
_GONE_STATUS = 410
# A receiver may ask for this much patience and no more: a slip of its clock must not end a message.
RETRY_AFTER_MAX_MS = 24 * HOUR_MS


def receipt_of(status: int, retry_after: str, body: bytes, now_ms: int) -> Receipt:
    """The receipt for an answer's status, ``Retry-After`` header and the beginning of its body."""
    if 200 <= status < 300:
        return Receipt("delivered")
    detail = readable(body)
    if status == _GONE_STATUS:
        return Receipt("gone", GONE, detail=detail)
    return Receipt("retry", f"http_{status}", retry_after_ms(retry_after, now_ms), detail)


def retry_after_ms(header: str, now_ms: int) -> int:
    """Milliseconds asked for by ``Retry-After``, in seconds or as an HTTP date; 0 for nonsense.

    >>> retry_after_ms("120", 0), retry_after_ms("soon", 0)
    (120000, 0)
    >>> retry_after_ms("Thu, 01 Jan 1970 00:01:00 GMT", 15_000)
    45000
    """
    text = header.strip()
    if text.isascii() and text.isdigit():
        wait_ms = int(text[:12]) * SECOND_MS
    else:
        wait_ms = _until_date_ms(text, now_ms)
    return min(max(wait_ms, 0), RETRY_AFTER_MAX_MS)


def _until_date_ms(text: str, now_ms: int) -> int:
    try:
        return round(parsedate_to_datetime(text).timestamp() * SECOND_MS) - now_ms
    except (ValueError, OverflowError):
        return 0


def readable(body: bytes) -> str:
    """The beginning of a body as one printable line, for an operator's eyes."""
    text = body[:DETAIL_MAX_CHARS].decode("utf-8", "replace")
    return "".join(char if char.isprintable() else " " for char in text).strip()
