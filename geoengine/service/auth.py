"""Bearer keys of three kinds: who is calling, and for which store.

Only digests are held, made with a secret that dies with the process. A presented key is looked up
by its digest: how long that takes may tell something of the digest, and nobody can choose or know
one without the secret. So neither the answer's time nor a log or a memory dump tells a key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from secrets import token_bytes
from typing import Literal

from geoengine.service.http.problems import Problem
from geoengine.service.settings import SettingsError

Kind = Literal["app", "gateway", "server"]
KINDS: tuple[Kind, ...] = ("app", "gateway", "server")
VARIABLES: dict[str, Kind] = {f"GEOENGINE_{kind.upper()}_KEYS": kind for kind in KINDS}
FILE_VARIABLE = "GEOENGINE_KEYS_FILE"
SHORT_KEY = 16  # characters; anything shorter can be guessed

# `store=key`; a key that merely ends in the padding of base64 names no store.
_BOUND = re.compile(r"^(?P<store>[A-Za-z0-9][A-Za-z0-9._:-]{0,127})=(?P<key>[^=].*)$")
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="geoengine"'}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request comes from: a kind of key, and the store a gateway's key is bound to."""

    kind: Kind
    store_id: str | None = None
    key_id: str = field(default="", compare=False)  # which of the keys; tells nothing of it

    @property
    def name(self) -> str:
        """Who it is, for whoever asks later who wrote something down: kind and key."""
        return f"{self.kind}:{self.key_id}" if self.key_id else self.kind


ANYONE = Caller("server")  # on loopback, with no key configured, everybody is trusted


class Keys:
    """Everything that opens a door."""

    def __init__(self, keys: Iterable[tuple[str, Caller]]) -> None:
        self._secret = token_bytes(32)
        keys = list(keys)
        self.short_count = sum(len(key) < SHORT_KEY for key, _caller in keys)
        self._known = {
            self._digest(key): replace(caller, key_id=key_id_of(key)) for key, caller in keys
        }

    @property
    def is_empty(self) -> bool:
        """Whether no key is configured at all."""
        return not self._known

    def caller(self, authorization: str | None) -> Caller:
        """Who sent this ``Authorization`` header; raises a 401 `Problem` for nobody we know."""
        if not self._known:
            return ANYONE
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Problem("unauthorized", "Authorization: Bearer KEY", _CHALLENGE)
        caller = self.known(key.strip())
        if caller is None:
            raise Problem("unauthorized", "This key is not known.", _CHALLENGE)
        return caller

    def known(self, key: str) -> Caller | None:
        """Whose key this is, however it was shown; None for nobody we know."""
        return self._known.get(self._digest(key))

    def _digest(self, key: str) -> bytes:
        text = key.encode("utf-8", "surrogateescape")
        return blake2b(text, digest_size=32, key=self._secret).digest()


def key_id_of(key: str) -> str:
    """Which key it was, the same in every process: 32 bits, from which no key can be found again.

    >>> len(key_id_of("server-key-0123456789"))
    8
    """
    text = key.encode("utf-8", "surrogateescape")
    return blake2b(text, digest_size=4, person=b"key id").hexdigest()


def demand(caller: Caller, who: frozenset[str]) -> None:
    """Let a caller through whose kind is named; a server's key opens everything."""
    if caller.kind != "server" and caller.kind not in who:
        kinds = ", ".join(sorted(who | {"server"}))
        raise Problem("forbidden", f"This takes a key of kind {kinds}.")


def keys_from(environ: Mapping[str, str]) -> Keys:
    """The keys of the environment and of the file that it names.

    The file has one key a line: ``app KEY``, ``gateway KEY``, ``gateway STORE=KEY`` or
    ``server KEY``; empty lines and lines starting with ``#`` are skipped.

    Raises
    ------
    SettingsError
        When the file cannot be read or a line of it makes no sense; the line's text is not told.
    """
    found = [
        _parsed(kind, text.strip())
        for variable, kind in VARIABLES.items()
        for text in environ.get(variable, "").split(",")
        if text.strip()
    ]
    if path := environ.get(FILE_VARIABLE):
        found += _keys_of_file(Path(path))
    return Keys(found)


def _keys_of_file(path: Path) -> list[tuple[str, Caller]]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{FILE_VARIABLE}: cannot read {path}: {error}") from None
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        kind, _, key = line.strip().partition(" ")
        if kind not in KINDS or not key.strip():
            raise SettingsError(f"{path}:{number}: expected KIND KEY, KIND one of {KINDS}")
        found.append(_parsed(kind, key.strip()))
    return found


def _parsed(kind: Kind, text: str) -> tuple[str, Caller]:
    bound = _BOUND.match(text) if kind == "gateway" else None
    if bound is None:
        return text, Caller(kind)
    return bound["key"], Caller(kind, bound["store"])
