"""What providers tell of messages they have taken: that the network delivered one, or could not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from geoengine.core.ids import digest
from geoengine.core.record import Fact
from geoengine.levers.sms import brevo
from geoengine.levers.sms.twilio import NO_NUMBER, STOPPED
from geoengine.service.consent.gone import drop_address
from geoengine.service.context import Context
from geoengine.service.http.bodies import body_of
from geoengine.service.http.problems import Problem
from geoengine.service.sending.ending.statuses import PATH, Sent, opened
from geoengine.state.base import Commit

_FIELDS_MAX: Final = 200
# https://www.twilio.com/docs/messaging/guides/track-outbound-message-status
_TWILIO: Final = {"delivered": "delivered", "undelivered": "failed", "failed": "failed"}
_TWILIO_STOPPED: Final = frozenset(map(str, STOPPED))
# 30003, 30005, 30007 and 30008 may also be a phone that is off, or the text.
_TWILIO_DEAD: Final = frozenset(map(str, NO_NUMBER))
_TWILIO_LANDLINE: Final = "30006"  # or, by a short code, a network that this code does not reach
# https://developers.brevo.com/docs/transactional-webhooks
_BREVO: Final = {"delivered": "delivered", "soft_bounce": "failed", "hard_bounce": "failed"}
_BREVO_DEAD: Final = "hard_bounce"
_WORD = re.compile(r"^[A-Za-z0-9_]{1,40}$")


class Told(msgspec.Struct, frozen=True):
    """What became of a message."""

    kind: str  # delivered or failed; "" for a step on the way
    reason: str = ""
    stopped: str = ""  # the number, where its owner has said STOP to this sender
    dead: str = ""  # the number, where no SMS will ever reach it


class _Brevo(msgspec.Struct):
    msg_status: str = ""
    to: str = ""


def _of_twilio(body: bytes) -> Told:
    try:
        form = dict(parse_qsl(body.decode("utf-8", "replace"), max_num_fields=_FIELDS_MAX))
    except ValueError:
        raise Problem("malformed", "Not a form: expected MessageStatus.") from None
    status = form.get("MessageStatus") or form.get("SmsStatus") or ""
    code = form.get("ErrorCode", "")
    reason = f"twilio_{code}" if _WORD.match(code) else f"twilio_{status}"
    # By a messaging service a message is taken before it is known who sends it, whether the person
    # has said STOP to that one, and whether there is such a number.
    number = form.get("To", "")
    stopped = number if code in _TWILIO_STOPPED else ""
    is_dead = code in _TWILIO_DEAD or (code == _TWILIO_LANDLINE and _is_no_short_code(form))
    return Told(_TWILIO.get(status, ""), reason, stopped, number if is_dead else "")


def _is_no_short_code(form: Mapping[str, str]) -> bool:
    sender = form.get("From", "")
    return bool(sender) and not sender.isdigit()


def _of_brevo(body: bytes) -> Told:
    try:
        said = msgspec.json.decode(body, type=_Brevo)
    except (ValueError, RecursionError):
        raise Problem("malformed", "Not what Brevo posts: expected msg_status.") from None
    status = said.msg_status
    stopped = said.to if status.casefold().startswith(brevo.STOPPED) else ""
    dead = f"+{said.to.lstrip('+')}" if status == _BREVO_DEAD else ""
    return Told(_BREVO.get(status, ""), f"brevo_{status}", stopped, dead)


_READERS: Final[dict[str, Callable[[bytes], Told]]] = {"twilio": _of_twilio, "brevo": _of_brevo}


async def take_status(context: Context, request: web.Request) -> web.Response:
    """Keep what a provider tells of one message; the address it posts to says of which. A STOP that
    it tells of is effective before this answers; a number that takes no SMS is forgotten.
    """
    read = _READERS.get(request.match_info["provider"])
    sent = opened(request.match_info["token"], context.book.coupon_key)
    if read is None or sent is None:
        raise Problem("not_found", "This address is not ours, or not whole.")
    told = read(await body_of(request, context.settings.body_timeout_s))
    if told.stopped:
        await context.suppression.stop("sms", told.stopped, {"source": "sms:provider"})
    # Of somebody who was erased meanwhile nothing is written down again.
    if told.kind and await context.state.load([sent.person_id]):
        fact = fact_of(sent, told, context.clock())
        await context.state.commit(
            Commit(op_id=f"fact:{fact.id}", facts=(fact,), now_ms=fact.at_ms)
        )
        if told.dead:
            await drop_address(context, sent.person_id, "sms", told.dead)
    return web.Response(body=b"")


def fact_of(sent: Sent, told: Told, at_ms: int) -> Fact:
    """What reports count of it, once a trigger."""
    said = {"lever": "sms", "variant": sent.variant}
    if told.kind == "failed":
        said |= {"status": "undelivered", "reason": told.reason}
    return Fact(
        id=digest("fact", sent.trigger_id or sent.send_id, told.kind),
        kind=told.kind,
        person_id=sent.person_id,
        at_ms=at_ms,
        store_id=sent.store_id,
        campaign_id=sent.campaign_id,
        trigger_id=sent.trigger_id,
        visit_id=sent.visit_id,
        data=said,
    )


def add_receipts(app: web.Application, context: Context) -> None:
    """The path that providers post to."""

    async def handle(request: web.Request) -> web.Response:
        return await take_status(context, request)

    app.router.add_post(f"{PATH}/{{provider}}/{{token}}", handle)
