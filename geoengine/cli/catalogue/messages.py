"""`geoengine messages DIR`: what campaigns will say, in every language, as people will read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from geoengine.cli.catalogue.check import read_or_exit
from geoengine.core.book import MODES, Book, CampaignPlan
from geoengine.core.ids import digest
from geoengine.core.model import LEVERS, Message
from geoengine.core.offers import coupons
from geoengine.core.saying.actions import PLATFORMS
from geoengine.core.saying.links import links_of
from geoengine.core.saying.message import spoken
from geoengine.core.saying.segments import segments_sent, with_stop
from geoengine.core.saying.templates import NO_LINKS, Scene
from geoengine.core.saying.variants import messages_of
from geoengine.core.telling import staff
from geoengine.core.units import MINUTE_MS

# Stands in for what only a person has. Nobody's: RFC 2606 keeps example.com for examples.
PERSON = {"name": "Camille", "city": "Lyon"}
ORDER, BASKET = "A17", "https://shop.example.com/basket/1"
ARRIVAL_LEFT_MS = 4 * MINUTE_MS
ARRIVAL_MS = 1_798_110_000_000 + ARRIVAL_LEFT_MS  # 2026-12-24T11:00:00Z: any day would do
KEY = b"preview"  # of codes and links that look like real ones and are worth nothing


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be shown."""

    campaign: str
    store: str
    locale: str
    lever: str


@click.command()
@click.argument("directory", type=click.Path(exists=True, path_type=Path))
@click.option("--campaign", default="", metavar="ID", help="Only of this campaign.")
@click.option("--store", default="", metavar="ID", help="As said at this store.")
@click.option("--locale", default="", metavar="fr-FR", help="As read by people of this locale.")
@click.option("--lever", type=click.Choice(LEVERS), default=None, help="Only of this lever.")
def command(directory: Path, campaign: str, store: str, locale: str, lever: str | None) -> None:
    """Show what the campaigns in DIRECTORY say: filled in, with lengths, in every language.

    Each is shown at the first store that it is about, to somebody invented.
    """
    book = read_or_exit(directory).book
    if campaign and campaign not in (plan.id for plan in book.campaigns):
        raise click.BadParameter(f"no campaign `{campaign}`", param_hint="--campaign")
    if store and store not in book.store_ix_of:
        raise click.BadParameter(f"no store `{store}`", param_hint="--store")
    shown = 0
    for line in preview(book, Choice(campaign, store, locale, lever or "")):
        click.echo(line)
        shown += 1
    if not shown:
        raise click.ClickException("no campaign says anything of that: expected another choice")


def preview(book: Book, choice: Choice) -> Iterator[str]:
    """Everything that is said, in lines."""
    for plan in book.campaigns:
        if choice.campaign not in ("", plan.id):
            continue
        if choice.lever and choice.lever not in plan.spec.levers:
            continue
        zone_ix = _zone_ix(plan, book, choice.store)
        if zone_ix is not None:
            yield from _campaign(plan, zone_ix, book, choice)
    if not choice.campaign and choice.lever in ("", "push") and book.engine.spec.push is not None:
        yield from _staff(book, choice)


def _staff(book: Book, choice: Choice) -> Iterator[str]:
    """What a store's own devices say of somebody who comes for an order."""
    if not book.stores:
        return
    store = book.stores[book.store_ix_of[choice.store] if choice.store else 0]
    spec = book.engine.spec.orders.staff
    words = staff.words_of(store, ORDER, PERSON["name"], ARRIVAL_MS, ARRIVAL_LEFT_MS)
    yield f"staff  at {store.id}  by push, to its own devices"
    for locale in [choice.locale] if choice.locale else list(spec.message):
        yield from _texts(staff.spoken(spec, words, locale), "")
    yield ""


def _zone_ix(plan: CampaignPlan, book: Book, store_id: str) -> int | None:
    """The first zone that a campaign is about, of this store if one is named."""
    for zone_ix in range(len(book.zones)):
        if plan in book.plans_on(plan.spec.on, zone_ix):
            store = book.store_of(zone_ix)
            if not store_id or (store is not None and store.id == store_id):
                return zone_ix
    return None


def _campaign(plan: CampaignPlan, zone_ix: int, book: Book, choice: Choice) -> Iterator[str]:
    scene = scene_at(plan, zone_ix, book)
    where = scene.store.id if scene.store else book.zones.ids[zone_ix]
    levers = [choice.lever] if choice.lever else plan.spec.levers
    yield f"{plan.id}  at {where}  by {', '.join(levers)}"
    every = languages(plan)
    for message in messages_of(plan.spec):
        name = f"  message {message.id}" if message.id else ""
        for locale in [choice.locale] if choice.locale else list(message.message):
            yield from _said(plan, message, scene, locale, name, book, levers)
        if missing := [one for one in every if one not in message.message]:
            yield f"  {name.strip() or 'message'}: not in {', '.join(missing)}"
        titles = [one for one in message.message if message.title and one not in message.title]
        if titles:
            yield f"  {name.strip() or 'message'}: no title in {', '.join(titles)}"
    yield f"  button {plan.spec.call_to_action}"
    for platform, url in buttons(plan, scene).items():
        yield f"    {platform:8}{url or '(leads nowhere)'}"
    yield ""


def _said(
    plan: CampaignPlan,
    message: Message,
    scene: Scene,
    locale: str,
    name: str,
    book: Book,
    levers: Sequence[str],
) -> Iterator[str]:
    said = spoken(plan, message, scene, locale)["message"]
    yield from _texts(said, name)
    if "sms" in levers:
        sms = book.engine.spec.sms
        stop = sms.stop if sms is not None and not plan.is_transactional else None
        size = segments_sent(with_stop(said["body"], stop))
        because = f", because of {size.foreign[:10]}" if size.foreign else ""
        yield f"    sms     {size.segment_count} of up to {size.one_holds} signs{because}"


def _texts(said: Mapping[str, str], name: str) -> Iterator[str]:
    yield f"  [{said['locale']}]{name}"
    if said["title"]:
        yield f"    title   {said['title']}  ({len(said['title'])} signs)"
    yield f"    text    {said['body']}  ({len(said['body'])} signs)"


def languages(plan: CampaignPlan) -> list[str]:
    """Every language that any message of a campaign is written in."""
    return list(dict.fromkeys(one for each in messages_of(plan.spec) for one in each.message))


def scene_at(plan: CampaignPlan, zone_ix: int, book: Book) -> Scene:
    """Somebody invented, at a real store."""
    zones, store = book.zones, book.store_of(zone_ix)
    mode, trigger_id = MODES[zones.mode.item(zone_ix)], digest("preview", plan.id)
    links, public_url = NO_LINKS, book.engine.spec.public_url
    if plan.spec.track_clicks and store is not None and public_url is not None:
        links = links_of(public_url, KEY, mode, trigger_id, store.id)
    return Scene(
        store=store,
        zone_name=zones.names.get(zone_ix, ""),
        mode=mode,
        minutes=zones.minutes.item(zone_ix),
        code=_code(plan, trigger_id),
        attributes=PERSON,
        order=ORDER if plan.spec.about else "",
        basket=BASKET,
        links=links,
    )


def _code(plan: CampaignPlan, trigger_id: str) -> str:
    coupon = plan.spec.coupon
    if coupon is None and plan.spec.on != "coupon_expiring":
        return ""
    return (coupon.code if coupon else None) or coupons.unique_code(trigger_id, KEY)


def buttons(plan: CampaignPlan, scene: Scene) -> dict[str, str]:
    """Where the button leads, by platform; under one name where it is the same everywhere."""
    first = messages_of(plan.spec)[0]
    action = spoken(plan, first, scene, "")["call_to_action"]
    urls: dict[str, str] = action.get("urls", {})
    return {one: urls[one] for one in PLATFORMS} if urls else {"all": action["url"]}
