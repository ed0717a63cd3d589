"""A person's pass, for the retailer's own systems."""

from __future__ import annotations

from typing import Final

from geoengine.core.calendar import rfc3339
from geoengine.service.context import Call, Context
from geoengine.service.http.problems import Problem
from geoengine.service.routes.offering.passkit import LINK
from geoengine.service.routes.persons.naming import owner_of, record_of
from geoengine.service.routes.table import Route
from geoengine.service.wallet import holding
from geoengine.service.wallet.names import wallets_of
from geoengine.service.wire.wallet import PassOut

_PATH: Final = "/v1/people/{person_id}/pass"


async def put_pass(context: Context, call: Call) -> PassOut:
    """Make a person's pass, where there is none yet, and tell the link to it."""
    person_id, engine = await owner_of(context, call), context.book.engine.spec
    if engine.wallet is None or engine.public_url is None:
        raise Problem("not_found", "The catalogue has no engine.wallet, or no engine.public_url.")
    keys = await holding.keys_of(context.state)
    record = await record_of(context, person_id)
    serial, one = await holding.pass_of(context.state, keys, record, context.clock())
    link = engine.public_url.rstrip("/") + LINK + keys.link(serial)
    wallets = [wallet for wallet, _ in wallets_of(record.addresses.get("wallet", ""))]
    return PassOut(person_id, link, wallets, len(one.phones), rfc3339(one.updated_ms))


ROUTES_WALLET: Final = (Route("PUT", _PATH, put_pass, gives=PassOut, problems=frozenset({503})),)
