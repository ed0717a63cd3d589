"""What a mail server's answer means (RFC 5321, with the status codes of RFC 3463).

===================================  =========  ===================================================
answer                               receipt    why
===================================  =========  ===================================================
250 to the message                   delivered  the server has it; a bounce may still come
550 5.1.1, 5.1.3, 5.1.10             gone       no such mailbox, no such address, no mail there
any other 5xx                        refused    it never will, as it is
4xx                                  retry      greylisting and the like
535, 534, 530                        retry      our credentials: somebody may mend them in time
lost before the message was handed   retry      nothing has left
lost while it was                    ambiguous  RFC 1047: the server may have taken it; sent again,
                                                it would arrive twice
===================================  =========  ===================================================

Of a server's text only the codes are kept: it repeats addresses.
"""

from __future__ import annotations

import re
from typing import Final

from geoengine.levers.base import Receipt

_ENHANCED = re.compile(r"^\s*([245]\.[0-9]{1,3}\.[0-9]{1,3})\b")
# RFC 3463: bad mailbox, bad syntax; RFC 7505: the domain takes no mail.
_NO_MAILBOX: Final = {"5.1.1", "5.1.3", "5.1.10"}
_LOGIN: Final = {530, 534, 535, 538}  # RFC 4954


def receipt_of(code: int, text: str) -> Receipt:
    """The receipt for an answer that is no success.

    >>> receipt_of(550, "5.1.1 <ada@example.org>: unknown").reason
    'address_dead'
    >>> receipt_of(451, "4.7.1 greylisted").text
    'smtp_451 (4.7.1)'
    """
    found = _ENHANCED.match(text)
    detail = found[1] if found else ""
    if code in _LOGIN:
        return Receipt("retry", "bad_credentials", detail=f"smtp_{code}", has_left=False)
    if 400 <= code < 500:
        return Receipt("retry", f"smtp_{code}", detail=detail)
    if detail in _NO_MAILBOX:
        return Receipt("gone", "address_dead", detail=f"smtp_{code} {detail}")
    return Receipt("refused", f"smtp_{code}", detail=detail)
