"""What a campaign says to somebody: the message chosen, filled in, with its button and its code."""

from __future__ import annotations

from typing import Any

from geoengine.core.book import MODES, Book, CampaignPlan
from geoengine.core.judging.standing import basket_url
from geoengine.core.model import Message
from geoengine.core.offers import coupons, orders
from geoengine.core.record import Record, Transition
from geoengine.core.saying.actions import call_to_action
from geoengine.core.saying.links import links_of
from geoengine.core.saying.templates import NO_LINKS, Scene, in_language, render
from geoengine.core.saying.variants import chosen


def compose(
    plan: CampaignPlan, transition: Transition, record: Record, book: Book, trigger_id: str
) -> dict[str, Any]:
    """Everything a lever needs to say it: title, body, locale, call to action, coupon.

    The trigger is counted in the record: several messages go by how many were heard.
    """
    coupon = coupons.told(plan, transition, trigger_id, book.coupon_key)
    scene = scene_of(plan, transition, record, book, trigger_id, coupon.get("code", ""))
    said = spoken(plan, chosen(plan.spec, record), scene, record.locale)
    if coupon:
        said["coupon"] = coupon
    if plan.is_transactional:
        said["legal_basis"] = plan.spec.legal_basis  # levers tell advertisements how to opt out
    return said


def scene_of(
    plan: CampaignPlan,
    transition: Transition,
    record: Record,
    book: Book,
    trigger_id: str,
    code: str,
) -> Scene:
    """What the campaign's templates can ask for at this moment."""
    zone_ix, zones = transition.zone_ix, book.zones
    store, mode = book.store_of(zone_ix), MODES[zones.mode.item(zone_ix)]
    links = NO_LINKS
    public_url = book.engine.spec.public_url
    if plan.spec.track_clicks and store is not None and public_url is not None:
        links = links_of(public_url, book.coupon_key, mode, trigger_id, store.id)
    ready = orders.ready(record, store.id, transition.now_ms) if store and record.orders else {}
    return Scene(
        store=store,
        zone_name=zones.names.get(zone_ix, ""),
        mode=mode,
        minutes=zones.minutes.item(zone_ix),
        code=code,
        attributes=record.attributes,
        order=", ".join(ready),
        basket=basket_url(record, transition.now_ms),
        platform=platform_of(record, transition.device_id),
        links=links,
    )


def spoken(plan: CampaignPlan, message: Message, scene: Scene, locale: str) -> dict[str, Any]:
    """One message of a campaign, filled in for one language, with its button."""
    locale, body = in_language(message.message, locale)
    title = in_language(message.title, locale)[1] if message.title else ""
    said: dict[str, Any] = {
        "message": {"locale": locale, "title": render(title, scene), "body": render(body, scene)},
        "call_to_action": _action(plan.spec.call_to_action, scene),
    }
    if message.id:
        said["variant"] = message.id
    return said


def _action(kind: str, scene: Scene) -> dict[str, Any]:
    action = call_to_action(kind, scene.store, scene.mode, scene.platform)
    if kind == "basket":
        action["url"] = scene.basket
    if action["url"] and kind in scene.links:
        return call_to_action(kind, scene.store, scene.mode, url=scene.links[kind])
    return action


def platform_of(record: Record, device_id: str) -> str:
    """The platform of the person's phone, as its push token told; "" where none did."""
    token = record.push_tokens.get(device_id) or next(iter(record.push_tokens.values()), None)
    return token[0] if token else ""
