"""`geoengine decode KIND FILE`: what a decoder makes of one raw message."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import replace
from typing import Any, BinaryIO, Final

import click
import msgspec

from geoengine.core.calendar import rfc3339
from geoengine.ingest.adverts import dashed
from geoengine.ingest.kinds import KINDS
from geoengine.ingest.reports import Origin, Report, Sighted
from geoengine.ingest.sightings import uuid_key
from geoengine.ingest.times import MISSING_MS, time_ms
from geoengine.service.clock import now_ms

NOTHING: Final = "nothing in it"
_YEAR_10000_MS: Final = 253_402_300_800_000  # from here on there is no way to write it
_NAMESPACE_DIGITS: Final = 20

# How a message looks that was kept as text: a request with its head, a request's target alone, or
# what `mosquitto_sub -v` prints.
_REQUEST = re.compile(
    rb"(?:GET|POST|PUT) (\S+)(?: HTTP/[\d.]+)?"
    rb"(?:\r?\n((?:[\w-]+:[^\n]*(?:\n|\Z))*)(?:\r?\n)?(.*))?",
    re.DOTALL,
)
_TARGET = re.compile(rb"(?:https?://|/)\S*\?\S*")
_PUBLISHED = re.compile(rb"([^\s{}\[\]\"]{0,200}/[^\n{}\[\]\"]{1,400}) (?=[{\[$])")


def _arrival(_: click.Context, __: click.Parameter, text: str | None) -> int:
    if text is None:
        return now_ms()
    at_ms = time_ms(text)
    if at_ms <= MISSING_MS:
        raise click.BadParameter(f"{text}: not an instant such as 2026-01-01T00:00:00Z")
    return at_ms


def _headers(_: click.Context, __: click.Parameter, lines: tuple[str, ...]) -> dict[str, str]:
    pairs = [line.partition(":") for line in lines]
    if any(not colon for _name, colon, _value in pairs):
        raise click.BadParameter('write "Name: value"')
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _passphrase(_: click.Context, __: click.Parameter, variable: str | None) -> str:
    if variable is None:
        return ""
    if variable not in os.environ:
        raise click.BadParameter(f"{variable}: no such variable")
    return os.environ[variable]


@click.command(
    short_help="Show what is made of one raw message.", epilog=f"KIND: {', '.join(sorted(KINDS))}."
)
@click.argument("kind", type=click.Choice(sorted(KINDS)), metavar="KIND")
@click.argument("file", type=click.File("rb"))
@click.option("--device", metavar="ID", help="The device that the credential would stand for.")
@click.option("--gateway", metavar="ID", help="The gateway that the credential would stand for.")
@click.option("--topic", default="", help="The MQTT topic that it came by.")
@click.option("--query", default="", help="The query of the URL that it was sent to.")
@click.option(
    "--header",
    "headers",
    multiple=True,
    callback=_headers,
    metavar='"Name: value"',
    help="A header that it was sent with; as often as there were.",
)
@click.option(
    "--passphrase-env",
    "passphrase",
    callback=_passphrase,
    metavar="VAR",
    help="The environment variable with the passphrase of a client that encrypts.",
)
@click.option(
    "--at", "recv_ms", callback=_arrival, metavar="TIME", help="When it arrived; now unless said."
)
def command(
    kind: str,
    file: BinaryIO,
    device: str | None,
    gateway: str | None,
    topic: str,
    query: str,
    headers: dict[str, str],
    passphrase: str,
    recv_ms: int,
) -> None:
    """Decode the message in FILE (- is stdin) as the service would, and print each report of it.

    One JSON object a line, in our own field names; what is unknown is left out. What is dropped
    prints nothing, and the reason on stderr. FILE is the body as it was sent; a request with its
    head, a URL, or a line of `mosquitto_sub -v` will do, and hex digits where it is of bytes.
    """
    origin = Origin(
        recv_ms=recv_ms,
        device_id=device,
        gateway_id=gateway,
        topic=topic,
        query=query,
        headers=headers,
        passphrase=passphrase,
    )
    decoded = KINDS[kind](*unwrapped(_content(file), origin))
    for report in decoded.reports:
        click.echo(msgspec.json.encode(shown(report)))
    reasons = decoded.drops if decoded.reports else decoded.drops or [NOTHING]
    for reason, count in Counter(reasons).items():
        click.echo(f"dropped: {reason}" + (f" ({count} times)" if count > 1 else ""), err=True)


def _content(file: BinaryIO) -> bytes:
    try:
        return file.read()
    except OSError as error:
        raise click.BadParameter(f"{file.name}: {error.strerror}", param_hint="FILE") from error


def unwrapped(raw: bytes, origin: Origin) -> tuple[bytes, Origin]:
    """The body as it was sent, taken out of the text that it was kept in, and what was beside it.

    An option outranks what the text says.
    """
    text = raw.strip()
    if request := _REQUEST.fullmatch(raw.lstrip()):
        target, head, body = request.groups(default=b"")
        headers = _told_headers(head) | dict(origin.headers)
        return body, _with_query(replace(origin, headers=headers), target)
    if _TARGET.fullmatch(text):
        return b"", _with_query(origin, text)
    if published := _PUBLISHED.match(text):
        topic = origin.topic or published[1].decode(errors="replace")
        return text[published.end() :], replace(origin, topic=topic)
    return raw, origin


def _told_headers(head: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in head.decode(errors="replace").splitlines())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _with_query(origin: Origin, target: bytes) -> Origin:
    return replace(origin, query=origin.query or target.decode(errors="replace").partition("?")[2])


def shown(report: Report) -> dict[str, Any]:
    """A report as it is printed: times as text, no name for what is unknown."""
    told = {"type": report.__struct_config__.tag}
    for name in report.__struct_fields__:
        value = getattr(report, name)
        if name.endswith("_ms"):
            told[name.removesuffix("_ms") + "_time"] = _instant(value)
        else:
            told[name] = value
    if isinstance(report, Sighted):
        told |= {"seen_time": _instant(report.seen_time)} | _identity(report)
    return {name: value for name, value in told.items() if value is not None}


def _identity(heard: Sighted) -> dict[str, str | None]:
    """Who a beacon is, as its own world writes that."""
    key = uuid_key(heard.uuid or "")
    if not key:
        return {"scheme": None}
    told: dict[str, str | None] = {"uuid": dashed(key), "scheme": heard.scheme.replace("_", "-")}
    if heard.scheme == "eddystone_uid":
        told |= {"namespace": key[:_NAMESPACE_DIGITS], "instance": key[_NAMESPACE_DIGITS:]}
    return told


def _instant(at_ms: Any) -> str | None:
    is_writable = isinstance(at_ms, int) and 0 <= at_ms < _YEAR_10000_MS
    return rfc3339(at_ms) if is_writable else None
