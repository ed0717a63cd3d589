"""Makes passes: of what is kept of them, of the catalogue, and of the operator's certificates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from geoengine.core.book import Book
from geoengine.core.model import WalletSpec
from geoengine.core.record import Record
from geoengine.levers.secrets import CredentialError, document
from geoengine.levers.wallet import face
from geoengine.levers.wallet.bundle import Names, Signer, bundle
from geoengine.levers.wallet.images import ImageError, images_in
from geoengine.service.wallet.holding import Held, Keys

SERVICE: Final = "/in/wallet"  # below engine.public_url; phones add /v1/…
ENDED: Final = {
    "en": face.Said("No longer valid", "This pass has ended. Your other pass goes on."),
    "fr": face.Said("Plus valable", "Cette carte a pris fin. Votre autre carte continue."),
}
_LOOKED_AT: Final = 60  # zones nearest to where somebody shops, several of which may be one store's


class Press:
    """What passes are made with. Raises `CredentialError` and `ImageError`."""

    def __init__(self, spec: WalletSpec, public_url: str, environ: Mapping[str, str]) -> None:
        assert spec.apple is not None
        apple = spec.apple
        names = Names(apple.certificate.env, apple.key.env, apple.intermediate.env)
        self.signer = Signer(
            document(apple.certificate, environ),
            document(apple.key, environ),
            document(apple.intermediate, environ),
            names,
        )
        if self.signer.pass_type not in ("", apple.pass_type):
            raise CredentialError(
                f"{names.certificate} is for {self.signer.pass_type}, not for {apple.pass_type}"
            )
        colour = tuple(bytes.fromhex(spec.colour[1:]))
        folder = None if apple.images is None else Path(apple.images)
        self._images = images_in(folder, (colour[0], colour[1], colour[2]))
        self._spec = spec
        self._url = public_url.rstrip("/") + SERVICE

    def print(self, keys: Keys, serial: str, one: Held, record: Record, book: Book) -> bytes:
        """The ``.pkpass`` of a pass as it is by now."""
        issue = face.Issue(
            serial,
            keys.token(serial),
            self._url,
            holder=str(record.attributes.get("name", "")),
            is_void=one.is_void,
        )
        said = said_on(one, record)
        store_ids = stores_near(one, record, book)
        places, signals = places_of(store_ids, one, book), signals_of(store_ids, book)
        return bundle(
            face.pass_json(self._spec, issue, said, places, signals), self._images, self.signer
        )


def press_of(book: Book, environ: Mapping[str, str]) -> Press | None:
    """What Apple's passes are made with; None where the catalogue asks for none.

    Raises `CredentialError` where something is missing.
    """
    spec, public_url = book.engine.spec.wallet, book.engine.spec.public_url
    if spec is None or spec.apple is None:
        return None
    if public_url is None or not public_url.startswith("https://"):
        raise CredentialError("engine.public_url must be an https address: phones ask there")
    try:
        return Press(spec, public_url, environ)
    except ImageError as error:
        raise CredentialError(f"engine.wallet.apple.images: {error}") from None


def said_on(one: Held, record: Record) -> face.Said:
    """What a pass says: its message, or that it has ended."""
    if one.is_void:
        return ENDED["fr" if record.locale.lower().startswith("fr") else "en"]
    return face.Said(one.title, one.body, one.code, one.until_ms, one.updated_ms)


def stores_near(one: Held, record: Record, book: Book) -> list[str]:
    """The ten stores nearest to the one that somebody was last told of or last came into.

    No position of theirs is needed for it, and none is kept. Empty for who was never heard of.
    """
    last = max(record.visited.items(), key=lambda item: item[1].last_ms, default=("", None))[0]
    anchor = next((i for i in (one.store_id, last) if i in book.store_ix_of), "")
    if not anchor:
        return []
    at = book.stores[book.store_ix_of[anchor]].location
    found = {anchor: None}
    for zone_ix, _ in book.index.nearest(at.lon, at.lat, _LOOKED_AT):
        store = book.store_of(zone_ix)
        if store is not None:
            found[store.id] = None
    return list(found)[: face.PLACES_MAX]


def places_of(store_ids: list[str], one: Held, book: Book) -> list[face.Place]:
    """Stores as a pass knows them; what was said last stands where it was about."""
    places = []
    for store_id in store_ids:
        store_ix = book.store_ix_of[store_id]
        store = book.stores[store_ix]
        reach_m = max((book.radius_m(ix) for ix in book.areas_of_store(store_ix)), default=0.0)
        text = one.title or one.body if store_id == one.store_id else ""
        at = store.location
        places.append(face.Place(store.name, at.lat, at.lon, text, reach_m))
    return places


def signals_of(store_ids: list[str], book: Book) -> list[face.Signal]:
    """The beacons of these stores, the first store's first."""
    stores = (book.stores[book.store_ix_of[store_id]] for store_id in store_ids)
    return [
        face.Signal(_dashed(beacon.uuid), beacon.major, beacon.minor, store.name)
        for store in stores
        for beacon in store.beacons
        if beacon.uuid is not None and beacon.major is not None and beacon.minor is not None
    ][: face.PLACES_MAX]


def _dashed(uuid: str) -> str:
    """A uuid as Apple writes it.

    >>> _dashed("f7826da64fa24e988024bc5b71e0893e")
    'F7826DA6-4FA2-4E98-8024-BC5B71E0893E'
    """
    bare = uuid.replace("-", "").upper()
    return "-".join((bare[:8], bare[8:12], bare[12:16], bare[16:20], bare[20:]))
