"""What Twilio posts, and how we know that it is Twilio.

The signature is HMAC-SHA1 with the account's token over the URL that Twilio was told to call,
followed by every parameter of the form, names sorted, each with its values, sorted and each once.
The URL is the public one, which is not the one that reaches us behind a proxy; with and without the
scheme's own port it counts as the same, because Twilio signs either.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final
from urllib.parse import parse_qs, parse_qsl, urlsplit, urlunsplit

TOKEN_VARIABLE: Final = "GEOENGINE_TWILIO_TOKEN"  # noqa: S105 - the name of the variable
_FIELDS_MAX: Final = 200
_PORTS: Final = {"https": 443, "http": 80}
_BODY_HASH: Final = "bodySHA256"  # in the query where the body is no form

Params = Sequence[tuple[str, str]]


def params_of(body: bytes) -> list[tuple[str, str]]:
    """The parameters of a form, in their order; none of one that has too many to be Twilio's."""
    try:
        return parse_qsl(body.decode("utf-8", "replace"), True, max_num_fields=_FIELDS_MAX)
    except ValueError:
        return []


def signature(token: str, url: str, params: Params) -> str:
    """The signature of one request.

    >>> signature("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", [
    ...     ("Digits", "1234"), ("To", "+18005551212"), ("From", "+14158675309"),
    ...     ("Caller", "+14158675309"), ("CallSid", "CA1234567890ABCDE")])
    'RSOYDt4T1cUTdK1PDd93/VVr8B8='
    """
    pairs = "".join(name + value for name, value in sorted(set(params)))
    return b64encode(hmac.digest(token.encode(), (url + pairs).encode(), "sha1")).decode()


def is_signed(token: str, url: str, body: bytes, shown: str) -> bool:
    """Whether a request to this URL, with this body, shows the right signature."""
    told = parse_qs(urlsplit(url).query).get(_BODY_HASH)
    if told is not None:
        if not hmac.compare_digest(told[0].lower().encode(), sha256(body).hexdigest().encode()):
            return False
        params: Params = []
    else:
        params = params_of(body)
    given = shown.encode("utf-8", "replace")
    fits = [
        hmac.compare_digest(signature(token, each, params).encode(), given)
        for each in _spellings(url)
    ]
    return any(fits)


def _spellings(url: str) -> Iterator[str]:
    """The URL with the scheme's own port and without; another port is always there."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    own = _PORTS.get(parts.scheme)
    yield url
    if parts.port in (None, own):
        bare = f"[{host}]" if ":" in host else host
        yield urlunsplit(parts._replace(netloc=f"{bare}:{own}"))
        yield urlunsplit(parts._replace(netloc=bare))
