"""Of several phones' and wallets' answers one counts."""

from __future__ import annotations

from itertools import permutations

from geoengine.levers.base import Receipt
from geoengine.levers.wallet.lever import best

ALL_WAIT = Receipt("retry", "http_503")
ONE_WAITS = Receipt("retry", "TooManyRequests", is_of_one=True)


def test_a_busy_phone_does_not_hide_that_a_whole_wallet_is_down():
    for told in permutations([ONE_WAITS, ALL_WAIT, Receipt("refused")]):
        assert best(list(told)) == ALL_WAIT
