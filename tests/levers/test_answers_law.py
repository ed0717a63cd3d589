"""Whatever a provider answers, it is a receipt, and nobody's address is in it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoengine.core.model import SmsSpec
from geoengine.levers import apns
from geoengine.levers.base import Receipt
from geoengine.levers.email import answers as smtp
from geoengine.levers.push import fcm
from geoengine.levers.sms.brevo import Brevo
from geoengine.levers.sms.twilio import Twilio
from geoengine.levers.web import Answered
from tests.levers.sending import NOW_MS

STATUS = st.sampled_from([100, 199, 200, 201, 204, 299, 301, 400, 401, 402, 403, 404, 408, 410,
                          413, 422, 429, 500, 501, 502, 503, 504, 599])  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["error", "details", "errorCode", "fieldViolations", "field", "code",
                         "reason", "timestamp", "message", "status"]),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip
BODIES = st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode())
DEEP = b"[" * 60_000
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "x-sib-ratelimit-reset"]), st.text(max_size=12)
)
READERS = {
    "fcm": lambda answer, now_ms: fcm.receipt_of(answer, "token", now_ms),
    "apns": apns.receipt_of,
    "twilio": Twilio(SmsSpec(provider="twilio"), "token").receipt_of,
    "brevo": Brevo(SmsSpec(provider="brevo"), "key").receipt_of,
}


@pytest.mark.parametrize("name", READERS)
@given(status=STATUS, body=BODIES, headers=HEADERS)
def test_whatever_a_provider_answers_is_a_receipt(name, status, body, headers):
    receipt = READERS[name](Answered(status, headers, body), NOW_MS)
    assert isinstance(receipt, Receipt)
    assert 0 <= receipt.retry_after_ms <= 24 * 3_600_000
    assert (receipt.status == "delivered") == (status in _TAKEN[name])


_TAKEN = {
    "fcm": {200},
    "apns": {200},
    "twilio": {200, 201, 204, 299},
    "brevo": {200, 201, 204, 299},
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("status", [200, 400, 404, 429, 500])
def test_an_answer_nested_too_deep_is_one_without_words(name, status):
    deep = READERS[name](Answered(status, {}, DEEP), NOW_MS)
    bare = READERS[name](Answered(status, {}, b""), NOW_MS)
    assert (deep.status, deep.reason) == (bare.status, bare.reason)


@pytest.mark.parametrize("name", ["twilio", "brevo"])
@given(status=STATUS, where=st.sampled_from(["code", "message", "status"]))
def test_a_number_that_a_provider_repeats_is_not_kept(name, status, where):
    body = json.dumps({where: "+33612345678"}).encode()
    assert "33612345678" not in READERS[name](Answered(status, {}, body), NOW_MS).text


@given(st.integers(400, 599), st.text(max_size=60))
def test_whatever_a_mail_server_answers_is_a_receipt_without_its_words(code, text):
    receipt = smtp.receipt_of(code, f"{text} <ada@example.org>")
    assert receipt.status != "delivered"
    assert "ada@" not in receipt.text


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500])
def test_no_token_is_thrown_away_for_an_answer_without_words(status):
    for name in ("fcm", "apns"):
        assert READERS[name](Answered(status, {}, b"<html>"), NOW_MS).status != "gone"
