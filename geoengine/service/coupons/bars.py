"""Linear barcodes as bars and gaps: Code 128 for any code, EAN-13 for codes of thirteen digits.

A barcode is a text of ``1`` (a bar one module wide) and ``0`` (a gap), quiet zones not included.
"""

from __future__ import annotations

from typing import Final

# ISO/IEC 15417, table 1: the widths of bars and gaps, by value; eleven modules each, the stop 13.
_TABLE: Final = (
    "212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 "
    "122132 122231 113222 123122 123221 223211 221132 221231 213212 223112 312131 311222 321122 "
    "321221 312212 322112 322211 212123 212321 232121 111323 131123 131321 112313 132113 132311 "
    "211313 231113 231311 112133 112331 132131 113123 113321 133121 313121 211331 231131 213113 "
    "213311 213131 311123 311321 331121 312113 312311 332111 314111 221411 431111 111224 111422 "
    "121124 121421 141122 141221 112214 112412 122114 122411 142112 142211 241211 221114 413111 "
    "241112 134111 111242 121142 121241 114212 124112 124211 411212 421112 421211 212141 214121 "
    "412121 111143 111341 131141 114113 114311 411113 411311 113141 114131 311141 411131 211412 "
    "211214 211232 2331112"
)
_WIDTHS: Final = _TABLE.split()
_START_B, _START_C, _TO_C, _TO_B, _STOP, _MODULUS = 104, 105, 99, 100, 106, 103
_FIRST, _LAST = 32, 126  # of code set B: ASCII that can be seen
_PAIRS_MIN: Final = 2  # two digits a sign is worth a change of sets from four digits on

# ISO/IEC 15420: seven modules a digit; set A, its mirror image as gaps B, and R, A's negative.
_EAN_TABLE: Final = (
    "0001101 0011001 0010011 0111101 0100011 0110001 0101111 0111011 0110111 0001011"
)
_EAN_A: Final = _EAN_TABLE.split()
_EAN_R: Final = [digit.translate(str.maketrans("01", "10")) for digit in _EAN_A]
_EAN_B: Final = [digit[::-1] for digit in _EAN_R]
_FIRST_TABLE: Final = "AAAAAA AABABB AABBAB AABBBA ABAABB ABBAAB ABBBAA ABABAB ABABBA ABBABA"
_EAN_SETS: Final = _FIRST_TABLE.split()  # of the left half, by the first digit
EAN_CHARS: Final = 13


def code128(text: str) -> str:
    """A text as Code 128. Raises `ValueError` for signs that it does not have.

    >>> len(code128("A"))  # start, A, check and stop
    46
    """
    if not text or not all(_FIRST <= ord(sign) <= _LAST for sign in text):
        raise ValueError("Code 128 holds visible ASCII")
    values = _values(text)
    check = (values[0] + sum(place * value for place, value in enumerate(values))) % _MODULUS
    return "".join(_drawn(_WIDTHS[value]) for value in (*values, check, _STOP))


def _values(text: str) -> list[int]:
    """The text's values with its start: in pairs of digits where that is shorter."""
    values: list[int] = []
    is_pairs, place = False, 0
    while place < len(text):
        digits = 0
        while place + digits < len(text) and text[place + digits] in "0123456789":
            digits += 1
        wants_pairs = digits >= 2 * _PAIRS_MIN or (is_pairs and digits >= 2)
        if not values:
            values.append(_START_C if wants_pairs else _START_B)
        elif wants_pairs != is_pairs:
            values.append(_TO_C if wants_pairs else _TO_B)
        is_pairs = wants_pairs
        if is_pairs:
            values.append(int(text[place : place + 2]))
        else:
            values.append(ord(text[place]) - _FIRST)
        place += 2 if is_pairs else 1
    return values


def _drawn(widths: str) -> str:
    return "".join(("1", "0")[place % 2] * int(width) for place, width in enumerate(widths))


def ean13(text: str) -> str:
    """Thirteen digits as EAN-13. Raises `ValueError` where they are not, or the last is wrong.

    >>> len(ean13("4006381333931"))
    95
    """
    is_digits = len(text) == EAN_CHARS and set(text) <= set("0123456789")
    if not is_digits or int(text[-1]) != _ean_check(text[:-1]):
        raise ValueError("EAN-13 holds thirteen digits of which the last is a check")
    digits = [int(sign) for sign in text]
    sets = _EAN_SETS[digits[0]]
    left = [
        (_EAN_A if kind == "A" else _EAN_B)[d] for kind, d in zip(sets, digits[1:7], strict=True)
    ]
    right = [_EAN_R[digit] for digit in digits[7:]]
    return "".join(["101", *left, "01010", *right, "101"])


def _ean_check(digits: str) -> int:
    weighed = sum(int(sign) * (1, 3)[place % 2] for place, sign in enumerate(digits))
    return -weighed % 10
