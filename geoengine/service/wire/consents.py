"""Consents, their proof, and who said STOP."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from geoengine.service.http.wire import Locale, Name, Text, Time

Hash = Annotated[str, Meta(pattern="^[0-9a-fA-F]{64}$", description="SHA-256, hexadecimal.")]
LongText = Annotated[str, Meta(max_length=20_000)]


class ConsentBody(Struct):
    """How a consent was given; whatever else is told is kept beside it as evidence."""

    source: Text | UnsetType = UNSET  # app:settings, web:signup, till ...
    text_version: Text | UnsetType = UNSET
    text: Annotated[LongText, Meta(description="What they saw; its hash is kept.")] | UnsetType = (
        UNSET
    )
    text_hash: Hash | UnsetType = UNSET
    locale: Locale | UnsetType = UNSET
    at: Time | UnsetType = UNSET  # when the person said so; now, where it is not told
    evidence: dict[str, Any] | UnsetType = UNSET


class EntryOut(Struct):
    """One entry of the ledger, to read, and as it was packed: that is what the hashes are of."""

    purpose: str
    what: str
    at: str
    said: str
    source: str
    text_version: str
    text_hash: str
    locale: str
    by: str
    evidence: dict[str, Any]
    hash: str
    before: str
    packed: str  # base64


class ProofOut(Struct):
    """Everything a person agreed to and took back; `head` is the hash over all of it."""

    person_id: str
    made: str
    consents: dict[str, dict[str, Any]]  # as they stand
    entries: list[EntryOut]
    head: str
    whole: bool  # from the first entry on; the oldest of very many may have been dropped
    broken: str  # where the chain does not hold; "" where it does
    erased: bool = False  # the person was erased: this is what the law has kept


class IdentifyBody(Struct, forbid_unknown_fields=True):
    """What else a person is known by."""

    loyalty: Name | UnsetType = UNSET
    phone: (
        Annotated[str, Meta(pattern=r"^\+[1-9][0-9]{6,14}$", description="E.164.")] | UnsetType
    ) = UNSET
    email: (
        Annotated[str, Meta(max_length=254, pattern=r"^[^\s@]+@[^\s@]+\.[^\s@]+$")] | UnsetType
    ) = UNSET
    devices: Annotated[list[Name], Meta(max_length=20)] | UnsetType = UNSET


class IdentifiedOut(Struct):
    """Whose records the person's has taken over, the others who share something, new devices."""

    person_id: str
    merged: list[str]
    shared: dict[str, list[str]]  # kind -> people who have the same and are not taken for the same
    devices: list[str]  # those named that were not theirs before, with what was kept of each


class SmsBody(Struct):
    """An answer to a message, from whichever provider."""

    sender: Annotated[str, Meta(min_length=3, max_length=40, description="Who wrote.")]
    text: Annotated[str, Meta(max_length=2_000)]
    source: Annotated[str, Meta(max_length=64)] = "sms:inbound"


class OptedOut(Struct):
    """What was made of it."""

    meaning: Literal["stop", "start", ""]
    withdrawn: int  # people whose consent ended with it


class SuppressBody(Struct, forbid_unknown_fields=True):
    """Addresses to which nothing more is to be sent."""

    lever: Literal["sms", "email"]
    addresses: Annotated[
        list[Annotated[str, Meta(min_length=3, max_length=254)]],
        Meta(min_length=1, max_length=1_000),
    ]
    source: Annotated[str, Meta(max_length=64)] = "operator"


class SuppressedOut(Struct):
    """How many addresses were taken onto the list or off it, and how many consents ended."""

    addresses: int
    withdrawn: int


class StopOut(Struct):
    """One address that said STOP; nobody can tell whose it was."""

    lever: str
    mark: str
    at: str
    source: str


class StopsOut(Struct):
    """The list, or a page of it; `next` begins the next one."""

    stops: list[StopOut]
    next: str


class StopsQuery(Struct):
    """Where to go on."""

    start: Annotated[str, Meta(max_length=200)] = ""
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 100
