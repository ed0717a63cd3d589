"""How many segments an SMS takes: what it costs, and whether it arrives in one piece.

3GPP TS 23.038 gives the default alphabet (7 bits a sign) and its extension table (two places a
sign); one sign of neither, and the whole message is UCS-2 at 16 bits. TS 23.040 gives a segment 140
octets, of which a message of several loses six to the header that joins them. A sign of two places
is not cut in two, so that a segment may end one place early.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION: Final = frozenset("\f^{}\\[~]|€")

# Places in a message of one segment, and in each of several.
GSM_ONE, GSM_EACH = 160, 153
UCS2_ONE, UCS2_EACH = 70, 67
_BEYOND = 0x10000  # signs from here on take two places in UTF-16, which phones read UCS-2 as


# In capitals, as networks and people write the word; a tram's stop is none.
_SAYS_STOP = re.compile(r"\bSTOP\b")
# Brevo's word for a number of its own: five digits in France, where the word would be 13 places.
_BREVOS_NUMBER = re.compile(r"\[STOP[ _]CODE\]")


class Segments(NamedTuple):
    """The size of a text as an SMS."""

    segment_count: int
    place_count: int  # taken, in all
    one_holds: int  # places in a message of one segment
    foreign: str  # the signs that no alphabet of 7 bits has, each once; "" for none

    @property
    def is_gsm(self) -> bool:
        """Whether it goes in the default alphabet."""
        return not self.foreign


def segments(text: str) -> Segments:
    """The size of a text as an SMS.

    >>> segments("Bonjour")
    Segments(segment_count=1, place_count=7, one_holds=160, foreign='')
    >>> segments("Une fête " * 9)
    Segments(segment_count=2, place_count=81, one_holds=70, foreign='ê')
    """
    foreign = "".join(dict.fromkeys(sign for sign in text if not _is_gsm(sign)))
    if foreign:
        widths = [1 + (ord(sign) >= _BEYOND) for sign in text]
        one, each = UCS2_ONE, UCS2_EACH
    else:
        widths = [1 + (sign in EXTENSION) for sign in text]
        one, each = GSM_ONE, GSM_EACH
    places = sum(widths)
    return Segments(1 if places <= one else _filled(widths, each), places, one, foreign)


def _is_gsm(sign: str) -> bool:
    return sign in BASIC or sign in EXTENSION


def _filled(widths: list[int], each: int) -> int:
    """How many segments of so many places the signs fill, none of them cut in two."""
    count, left = 1, each
    for width in widths:
        if width > left:
            count, left = count + 1, each
        left -= width
    return count


def says_stop(text: str) -> bool:
    """Whether a text tells how to opt out.

    >>> says_stop("À tout de suite ! STOP au 36180"), says_stop("Next stop: us")
    (True, False)
    """
    return _SAYS_STOP.search(text) is not None


def with_stop(text: str, stop: str | None) -> str:
    """A text that tells how to opt out: as it is if it does, else with these words after it.

    >>> with_stop("À tout de suite !", "STOP au 36180")
    'À tout de suite !\\nSTOP au 36180'
    """
    return text if not stop or says_stop(text) else f"{text}\n{stop}"


def segments_sent(text: str) -> Segments:
    """The size of a text once its provider has filled in what is left to it.

    >>> segments_sent("STOP [STOP_CODE]").place_count
    10
    """
    return segments(_BREVOS_NUMBER.sub("36000", text))
