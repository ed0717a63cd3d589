"""When a lever may be used at all, by country; in the person's own time.

=======  =========================  ==============================================================
country  SMS                        source
=======  =========================  ==============================================================
FR       Mo-Sa 08:00-20:00; PH off  operators and providers; Brevo, for one, hands marketing to the
                                    networks from 8 to 22 and neither on Sundays nor on public
                                    holidays, and several senders stop at 20. No text of the law was
                                    found that says so
US       Mo-Su 08:00-20:00          47 CFR 64.1200(c)(1): not before 8 nor after 21 where the person
                                    is; some states, Florida among them, stop at 20
others   as FR                      the strictest of those known
=======  =========================  ==============================================================

Wider is the operator's to say, country by country, and in France no wider than its networks carry.
"""

from __future__ import annotations

from typing import Final

from geoengine.core.model import EngineSpec

STRICTEST: Final = "Mo-Sa 08:00-20:00; PH off"
SMS_HOURS: Final = {"FR": STRICTEST, "US": "Mo-Su 08:00-20:00"}
# What an operator may widen to: beyond it the networks hold a message until their next morning, and
# an invitation to come in arrives a day late.
SMS_BOUNDS: Final = {"FR": "Mo-Sa 08:00-22:00; PH off"}


def lawful_hours(engine: EngineSpec, lever: str, country: str) -> str:
    """The hours of a lever in a country, an OSM expression; "" where it has none.

    >>> lawful_hours(EngineSpec(), "sms", "US"), lawful_hours(EngineSpec(), "push", "US")
    ('Mo-Su 08:00-20:00', '')
    >>> lawful_hours(EngineSpec(lawful_hours={"sms": {"US": "Mo-Su 09:00-19:00"}}), "sms", "BE")
    'Mo-Sa 08:00-20:00; PH off'
    """
    told = engine.lawful_hours.get(lever)  # type: ignore[call-overload]
    if isinstance(told, str):
        return told
    if told is not None and country in told:
        return str(told[country])
    return SMS_HOURS.get(country, STRICTEST) if lever == "sms" else ""
