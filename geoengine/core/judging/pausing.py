"""The operator's pause: nothing is said for now, of one campaign or of all.

For the day on which something is wrong: a text, an audience, a shop on fire. It is about messages
that reach people; news to the retailer's systems goes on, or they would miss what happened. Nobody
knows its end beforehand, so what holds is looked at again and again.
"""

from __future__ import annotations

from typing import Final

from geoengine.core.book import Book, CampaignPlan
from geoengine.core.model import PERSON_LEVERS
from geoengine.core.telling import staff

ENGINE: Final = "paused:engine"
CAMPAIGN: Final = "paused:campaign"


def paused(book: Book, plan: CampaignPlan | None, lever: str) -> str:
    """Why nothing is said by this lever now, of a campaign or of none; "" where it may be.

    A shop's devices are people too, but they are told of an order: what is transactional.
    """
    if plan is not None and plan.spec.paused:
        return CAMPAIGN
    pause = book.engine.spec.pause
    if pause is None or (lever not in PERSON_LEVERS and lever != staff.LEVER):
        return ""
    is_marketing = lever != staff.LEVER and not (plan is not None and plan.is_transactional)
    return ENGINE if pause == "everything" or is_marketing else ""


def pauses(book: Book) -> list[str]:
    """What is silenced, in lines for whoever runs it."""
    pause, silent = book.engine.spec.pause, [plan.id for plan in book.campaigns if plan.spec.paused]
    lines = [f"PAUSED: engine.pause is {pause}"] if pause else []
    return lines + ([f"paused campaigns: {', '.join(silent)}"] if silent else [])
