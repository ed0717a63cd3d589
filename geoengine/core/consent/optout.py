"""What people write back: whether it means STOP, or START, or neither.

Where the first word is one of STOP it is meant, whatever follows: somebody who is stopped by
mistake misses an offer, somebody who is not is written to against their will. START undoes it only
where it stands alone.

The English words are those that Twilio and the American carriers act upon, the French ones those of
the French operators' charter and of Twilio's proxy; an operator adds those of other languages.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from typing import Final, Literal

Meaning = Literal["stop", "start", ""]

STOP: Final = frozenset(
    {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"}
    | {"ARRET", "ARRETE", "ARRETER", "ARRETT", "ARRETEZ", "DESABONNER", "DESINSCRIRE"}
)
START: Final = frozenset({"START", "UNSTOP"})
NUMBER_CHARS: Final = 8  # with the plus; the shortest numbers of E.164 in use
_TEXT_MAX: Final = 1_600  # characters; ten SMS in one, more is none
_NO_LETTERS: Final = re.compile(r"[^A-Z0-9]+")
_FRENCH_STOP: Final = re.compile(r"^STOP[0-9]{4,6}$")  # STOP36180: the short code written along


def meaning(text: str, more: Collection[str] = ()) -> Meaning:
    """What an answer means; ``more`` words mean STOP as well.

    >>> meaning("Arrêt svp"), meaning(" stop. "), meaning("start"), meaning("where are you?")
    ('stop', 'stop', 'start', '')
    """
    words = _words(text)
    if not words:
        return ""
    stops = STOP | {word for phrase in more for word in _words(phrase)}
    if words[0] in stops or _FRENCH_STOP.match(words[0]):
        return "stop"
    return "start" if len(words) == 1 and words[0] in START else ""


def _words(text: str) -> list[str]:
    """The words in capitals, without accents or punctuation."""
    plain = unicodedata.normalize("NFKD", text[:_TEXT_MAX]).upper()
    letters = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return [word for word in _NO_LETTERS.split(letters) if word]


def lever_of(address: str) -> str:
    """The lever of an address, by what it looks like; "" for what is none.

    A number needs its country: without, it would be taken for one of another country.

    >>> lever_of("+33 6 12 34 56 78"), lever_of("ann@example.org"), lever_of("06 12 34 56 78")
    ('sms', 'email', '')
    """
    if "@" in address.strip("@ "):
        return "email"
    is_number = address.strip().startswith(("+", "00"))
    return "sms" if is_number and len(normalised("sms", address)) >= NUMBER_CHARS else ""


def normalised(lever: str, address: str) -> str:
    """An address as the same one is always written: numbers as E.164, e-mail in small letters.

    The part of an e-mail address before the @ may tell capitals apart and nobody's does.

    >>> normalised("sms", "0033 6 12 34 56 78"), normalised("email", " Ann@Example.ORG ")
    ('+33612345678', 'ann@example.org')
    """
    if lever != "sms":
        return address.strip().casefold()
    digits = "".join(sign for sign in address if sign.isascii() and sign.isdigit())
    return "+" + digits.removeprefix("00")
