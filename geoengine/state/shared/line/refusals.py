"""What a server's refusal means for whoever sent the call: a table."""

from __future__ import annotations

from enum import Enum
from typing import Final


class Verdict(Enum):
    """What to do about it."""

    MOVED = "read anew who serves what, then send it there"
    ASK = "send it there this once"
    LOAD = "load the library, then send it again"
    AGAIN = "send it again after a while"
    REFUSED = "only an operator can help"
    FAULT = "what was sent makes no sense"


_BY_CODE: Final = {
    "MOVED": Verdict.MOVED,
    "ASK": Verdict.ASK,
    "TRYAGAIN": Verdict.AGAIN,  # a slot on the move, some of its keys here and some there
    "CLUSTERDOWN": Verdict.AGAIN,
    "LOADING": Verdict.AGAIN,
    "MASTERDOWN": Verdict.AGAIN,
    "READONLY": Verdict.AGAIN,  # demoted: the topology tells who is promoted
    "UNBLOCKED": Verdict.AGAIN,  # demoted while we waited for its replicas
    "BUSY": Verdict.AGAIN,
    "OOM": Verdict.REFUSED,
    "MISCONF": Verdict.REFUSED,
    "NOREPLICAS": Verdict.REFUSED,
    "NOAUTH": Verdict.REFUSED,
    "NOPERM": Verdict.REFUSED,
    "WRONGPASS": Verdict.REFUSED,
}
_BY_TEXT: Final = {
    "ERR Function not found": Verdict.LOAD,
    "ERR WAIT cannot be used with replica": Verdict.AGAIN,
    "ERR max number of clients": Verdict.AGAIN,
}


def judge(text: str) -> Verdict:
    """The verdict on a refusal.

    >>> judge("MOVED 3999 127.0.0.1:7001").name, judge("ERR user_script:1: nil").name
    ('MOVED', 'FAULT')
    """
    for start, verdict in _BY_TEXT.items():
        if text.startswith(start):
            return verdict
    return _BY_CODE.get(text.partition(" ")[0], Verdict.FAULT)


class LibraryFault(AssertionError):
    """Our fault: a function failed, or a server makes no sense of what it was sent."""
