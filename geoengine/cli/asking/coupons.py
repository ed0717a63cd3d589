"""`geoengine coupons`: fill pools with codes, see what is left, check codes as a till does.

Like the outbox: the state where nobody holds it, else the service that does.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from typing import BinaryIO, Final

import click
import msgspec

from geoengine.cli.asking.place import Place, PlaceError, Service, placed
from geoengine.core.offers import coupons
from geoengine.service.clock import now_ms
from geoengine.service.coupons.pools import Pools
from geoengine.service.coupons.vouchers import opened, public_key
from geoengine.service.heritage import COUPON_KEY
from geoengine.service.wire.coupons import PoolOut, PoolsOut, TillKeyOut, UploadedOut
from geoengine.state import State

UPLOAD_CODES: Final = 10_000  # at once: a body of some 200 kB
REFUSED_SHOWN: Final = 5
# What spreadsheets write above a column of codes; uploaded, somebody would be given it for a code.
HEADINGS: Final = frozenset(
    {"code", "codes", "coupon", "coupon_code", "coupons", "promo_code", "voucher", "voucher_code"}
)
_CELL: Final = re.compile(r'\s*(?:"([^"]*)"|([^,;]*))')  # the first of a line of CSV
CHECK_KEY_BYTES: Final = 16
PUBLIC_KEY_BYTES: Final = 32


@click.group()
@placed
@click.pass_context
def command(context: click.Context, place: Place) -> None:
    """Fill pools with codes, see what is left, check codes as a till does."""
    context.obj = place


# --- pools --------------------------------------------------------------------------------------


@command.command()
@click.argument("pool")
@click.argument("file", type=click.File("rb"))
@click.pass_obj
def upload(place: Place, pool: str, file: BinaryIO) -> None:
    """Add the codes of FILE (- for standard input) to POOL, one a line.

    Of a CSV file the first column counts, below its heading (code, coupon, voucher ...). Codes that
    the pool has already are left out, so that a file can be uploaded again.
    """
    codes = list(_codes(_text_of(file)))
    if not codes:
        raise click.ClickException("no codes: expected one a line")
    lots = [codes[ix : ix + UPLOAD_CODES] for ix in range(0, len(codes), UPLOAD_CODES)]
    added = doubles = 0
    refused: list[int] = []
    for number, lot in enumerate(lots):
        told = place.ask(lambda holder, lot=lot: _uploaded(holder, pool, lot))  # type: ignore[misc]
        added, doubles = added + told.added, doubles + told.doubles
        refused += [number * UPLOAD_CODES + row for row in told.refused]
        left = told.left
    click.echo(f"{pool}: {added} added, {doubles} known already, {left} left to give")
    if refused:
        shown = ", ".join(repr(codes[row][:40]) for row in refused[:REFUSED_SHOWN])
        more = f" and {len(refused) - REFUSED_SHOWN} more" if len(refused) > REFUSED_SHOWN else ""
        expected = "expected 3 to 64 letters, digits and _ * + : $ -"
        raise click.ClickException(f"no codes: {shown}{more}; {expected}")


def _text_of(file: BinaryIO) -> str:
    raw = file.read()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise click.ClickException(
            f"line {line}: expected text in UTF-8, one code a line; save the file as UTF-8"
        ) from None


def _codes(text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines()):
        cell = _CELL.match(line)
        code = "" if cell is None else (cell[1] or cell[2] or "").strip()
        is_heading = number == 0 and code.lower().replace(" ", "_") in HEADINGS
        if code and not is_heading:
            yield code


async def _uploaded(holder: State | Service, pool: str, codes: list[str]) -> UploadedOut:
    if isinstance(holder, Service):
        body = await holder.ask("POST", f"/v1/pools/{pool}/codes", json={"codes": codes})
        return msgspec.json.decode(body, type=UploadedOut)
    pools = Pools(holder, now_ms)
    try:
        told = await pools.upload(pool, codes)
    except ValueError as error:
        raise PlaceError(str(error)) from error
    shelf = await pools.shelf(pool)
    left, total = shelf.free_count, shelf.code_count
    return UploadedOut(pool, told.added, told.doubles, told.refused, left, total)


@command.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def pools(place: Place, as_json: bool) -> None:
    """List pools and what is left of each."""
    told = place.ask(_all_pools)
    for pool in told:
        line = f"{pool.pool_id}  {pool.left} of {pool.total} left"
        click.echo(msgspec.json.encode(pool).decode() if as_json else line)
    if not told and not as_json:
        click.echo("No pools: see `geoengine coupons upload --help`.", err=True)


async def _all_pools(holder: State | Service) -> list[PoolOut]:
    if isinstance(holder, Service):
        return msgspec.json.decode(await holder.ask("GET", "/v1/pools"), type=PoolsOut).pools
    found = Pools(holder, now_ms)
    shelves = [(name, await found.shelf(name)) for name in await found.names()]
    return [PoolOut(name, shelf.free_count, shelf.code_count) for name, shelf in shelves]


# --- as a till ----------------------------------------------------------------------------------


@command.command()
@click.pass_obj
def key(place: Place) -> None:
    """Print what tills check codes with when they cannot ask.

    The public key tells genuine vouchers and can make none: every till may have it. The check key
    tells typed codes that were misread or made up: keep it to the tills.
    """
    told = place.ask(_till_key)
    click.echo(f"public key (Ed25519): {told.public_key}\ncheck key: {told.check_key}")


async def _till_key(holder: State | Service) -> TillKeyOut:
    if isinstance(holder, Service):
        return msgspec.json.decode(await holder.ask("GET", "/v1/till-key"), type=TillKeyOut)
    secret = await holder.noted(COUPON_KEY)
    if secret is None:
        raise PlaceError("no key yet: the service makes it when it starts first")
    return TillKeyOut("Ed25519", public_key(secret), _text(coupons.check_key(secret)))


@command.command()
@click.argument("code")
@click.option("--public-key", metavar="KEY", help="Of vouchers: what `coupons key` prints.")
@click.option("--check-key", metavar="KEY", help="Of typed codes: what `coupons key` prints.")
@click.option("--store", default="", metavar="STORE", help="Where it is to be good.")
def check(code: str, public_key: str | None, check_key: str | None, store: str) -> None:
    """Check CODE as a till does that cannot ask; exit 1 where it is not good.

    Whether it has been redeemed elsewhere only the service knows.
    """
    if public_key:
        _bytes(public_key, PUBLIC_KEY_BYTES)
        voucher = opened(code, public_key)
        why = "not genuine" if voucher is None else voucher.why_not(store, now_ms())
        shown = "" if voucher is None else f"{voucher.code} of {voucher.campaign_id}"
    elif check_key:
        is_sound = coupons.is_sound(code, _bytes(check_key, CHECK_KEY_BYTES))
        why = "" if is_sound else "misread or made up"
        shown = coupons.normalised(code)
    else:
        raise click.UsageError("say --public-key for a voucher or --check-key for a typed code")
    if why:
        raise click.ClickException(why)
    click.echo(shown)


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: str, length: int) -> bytes:
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raw = b""
    if len(raw) != length or _text(raw) != text:
        raise click.ClickException("the key is not what `coupons key` prints for such codes")
    return raw
