"""Several messages of one campaign: each person in turn, or each person one, to compare them.

In *rotation* a person hears the messages in the order in which they are written, and none again
before all were heard: what is counted is what fired for that person, less what certainly reached
nobody. In a *test* a person always hears the same: a share of people each, by weight; with
weights or messages changed, some people change over.
"""

from __future__ import annotations

from geoengine.core.ids import share_of
from geoengine.core.model import Campaign, Message
from geoengine.core.record import Record


def messages_of(spec: Campaign) -> tuple[Message, ...]:
    """What a campaign may say; the only one of a campaign that has no `messages` has no id."""
    if spec.messages:
        return tuple(spec.messages)
    return (Message(id="", message=spec.message, title=spec.title),)


def chosen(spec: Campaign, record: Record) -> Message:
    """The message that this person hears, once the trigger is counted in the record."""
    messages = messages_of(spec)
    if len(messages) == 1:
        return messages[0]
    if spec.choose == "test":
        return _of_share(messages, share_of("variant", spec.id, record.person_id))
    heard_count = max(record.fired_total.get(spec.id, 0) - 1, 0)
    return messages[heard_count % len(messages)]


def _of_share(messages: tuple[Message, ...], share: float) -> Message:
    """The message whose part of all weights a share from 0 up to 1 falls in."""
    left = share * sum(one.weight for one in messages)
    for one in messages:
        left -= one.weight
        if left < 0:
            return one
    return messages[-1]
