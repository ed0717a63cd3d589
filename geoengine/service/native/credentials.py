"""On whose word a message of a client or gateway comes in.

These clients show what they have been given wherever their own protocol has room for it: as a
bearer key, as the password of HTTP Basic, in the path, in the query, or as the device's name. So
everything that could be a credential is tried, and the first that is known counts. There are four:

- a key of an app or a server: the device is whom the body says;
- a device's own password (`devices`): the device is the password's, whatever the body says;
- the secret of a listed gateway: the gateway is the secret's;
- a gateway's or a server's key: the gateway is whom the path or the body says, if it is listed.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from secrets import token_bytes
from typing import Final

from geoengine.core.book import Book
from geoengine.core.model import Gateway, SecretFrom
from geoengine.service.auth import ANYONE, Caller, Keys
from geoengine.service.devices import PASSPHRASE_VARIABLE, Devices
from geoengine.service.logs import logger

_LOG = logger("native")
_APPS: Final = frozenset({"app", "server"})
_HEARERS: Final = frozenset({"gateway", "server"})


@dataclass(frozen=True, slots=True)
class Principal:
    """Whose word it is: anybody's that the body names, or one device's."""

    device_id: str | None = None


@dataclass(frozen=True, slots=True)
class Ears:
    """The gateways that a message may speak for, and the one it is of where it does not say."""

    gateway_id: str | None = None
    known: Mapping[str, str] = field(default_factory=dict)  # plain name -> id

    def whose(self, named: str | None) -> str | None:
        """The listed gateway that a message means; None for one that it may not speak for."""
        found = None if named is None else self.known.get(plain(named))
        return self.gateway_id if found is None else found

    @property
    def only(self) -> str | None:
        """The gateway, where it can be no other."""
        return self.gateway_id if len(self.known) <= 1 else None


@lru_cache(maxsize=4_096)
def plain(name: str) -> str:
    """A gateway's name as far as everybody writes it alike: firmware differs in colons and case.

    >>> plain("AC:23:3F:C0:36:41"), plain("Living Room") == plain("living-room")
    ('ac233fc03641', True)
    """
    return "".join(letter for letter in name.lower() if letter.isalnum())


def presented(authorization: str | None, *others: str | None) -> list[str]:
    """Every text of a request that may be a credential, in the order in which they are tried."""
    scheme, _, text = (authorization or "").strip().partition(" ")
    text = text.strip()
    found: list[str] = []
    if scheme.lower() == "bearer":
        found.append(text)
    elif scheme.lower() == "basic":
        found += _of_basic(text)
    found += [other for other in others if other]
    return [text for text in found if text]


def _of_basic(text: str) -> Iterator[str]:
    """``user:password`` may be a device's; the password alone a key. Overland, where it speaks
    OwnTracks, sends ``TOKEN:`` as it is, without base64.
    """
    try:
        pair = b64decode(text, validate=True).decode()
    except ValueError:  # not base64, or not text in it
        pair = ""
    if pair:
        yield pair
        yield pair.partition(":")[2]
        yield pair.partition(":")[0]
    yield text.removesuffix(":")


class Credentials:
    """Everything that opens the native routes."""

    def __init__(self, keys: Keys, devices: Devices, environ: Mapping[str, str]) -> None:
        self._keys = keys
        self._devices = devices
        self._environ = environ
        self.passphrase = environ.get(PASSPHRASE_VARIABLE, "")  # of clients that encrypt
        self.has_devices = devices.have_passwords
        self._listed = _Listed([])
        self._book: Book | None = None
        self._pepper = token_bytes(32)

    def principal(self, shown: Iterable[str]) -> Principal | None:
        """Who sends what a phone says; None for nobody we know."""
        for text in shown:
            if (device_id := self._devices.holder(text)) is not None:
                return Principal(device_id)
            caller = self._keys.known(text)
            if caller is not None and caller.kind in _APPS:
                return Principal()
        return Principal() if self._keys.is_empty else None

    def holder(self, text: str) -> str | None:
        """The device whose password stands in this text."""
        return self._devices.holder(text)

    def ears(self, kind: str, shown: Iterable[str], named: str, book: Book) -> Ears | None:
        """Who sends what a gateway of a kind heard; ``named`` is what the path calls it."""
        listed, shown = self._of(book), list(shown)
        for text in shown:
            found = listed.ears.get((kind, self._digest(text)))
            if found is not None:
                return found
        for text in shown:
            caller = self._keys.known(text)
            if caller is not None and caller.kind in _HEARERS:
                return listed.ears_for(caller, kind, named)
        return listed.ears_for(ANYONE, kind, named) if self._keys.is_empty else None

    def gateway(self, kind: str, named: str, book: Book) -> Gateway | None:
        """The listed gateway that a path means, by its secret or its name."""
        listed = self._of(book)
        owners = listed.by_secret.get((kind, self._digest(named)))
        return owners[0] if owners else listed.by_name.get((kind, plain(named)))

    def _of(self, book: Book) -> _Listed:
        """The gateways of the Book in force; worked out once for each."""
        if book is not self._book:
            self._listed, self._book = self._made(book.gateways.values()), book
        return self._listed

    def _made(self, gateways: Iterable[Gateway]) -> _Listed:
        listed = _Listed(list(gateways))
        for gateway in listed.gateways:
            if gateway.kind is None:
                continue
            listed.by_name[gateway.kind, plain(gateway.id)] = gateway
            if secret := self.secret(gateway):
                name = (gateway.kind, self._digest(secret))
                listed.by_secret.setdefault(name, []).append(gateway)
            elif isinstance(gateway.secret, SecretFrom):
                _LOG.warning("no_gateway_secret", gateway=gateway.id, variable=gateway.secret.env)
        for found, owners in listed.by_secret.items():
            listed.ears[found] = listed.ears_of(owners)
        return listed

    def secret(self, gateway: Gateway) -> str:
        """What the catalogue says, or the variable that it names; "" for nothing."""
        if isinstance(gateway.secret, SecretFrom):
            return self._environ.get(gateway.secret.env, "")
        return gateway.secret or ""

    def _digest(self, text: str) -> bytes:
        """Looked up by this, how long a look-up takes tells nothing of a secret: see `auth`."""
        raw = text.encode("utf-8", "surrogateescape")
        return blake2b(raw, digest_size=32, key=self._pepper).digest()


@dataclass(frozen=True, slots=True)
class _Listed:
    """The gateways of a catalogue, by what may be said of them."""

    gateways: list[Gateway]
    by_name: dict[tuple[str, str], Gateway] = field(default_factory=dict)
    by_secret: dict[tuple[str, bytes], list[Gateway]] = field(default_factory=dict)
    ears: dict[tuple[str, bytes], Ears] = field(default_factory=dict)  # by secret, too

    def ears_of(self, owners: list[Gateway]) -> Ears:
        """A secret's: its gateways, and others of their kind in the same store."""
        stores, kind = {owner.store for owner in owners}, owners[0].kind
        beside = [other for other in self.gateways if other.kind == kind and other.store in stores]
        return Ears(owners[0].id, _by_name([*beside, *owners]))

    def ears_for(self, caller: Caller, kind: str, named: str) -> Ears:
        """A key's: all listed gateways of that kind, of the key's store if it is bound to one."""
        known = [
            gateway
            for gateway in self.gateways
            if gateway.kind in (kind, None) and caller.store_id in (None, gateway.store)
        ]
        names = _by_name(known)
        return Ears(names.get(plain(named)) if named else None, names)


def _by_name(gateways: Iterable[Gateway]) -> dict[str, str]:
    return {plain(gateway.id): gateway.id for gateway in gateways}
