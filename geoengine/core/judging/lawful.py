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

An SMS is bound by the country of the shop that invites and by that of the number it goes to, where
both are known: it leaves when it may in each. A Belgian in Lille has the public holidays of both.
"""

from __future__ import annotations

from typing import Final

from geoengine.core.model import EngineSpec

STRICTEST: Final = "Mo-Sa 08:00-20:00; PH off"
SMS_HOURS: Final = {"FR": STRICTEST, "US": "Mo-Su 08:00-20:00"}
# What an operator may widen to: beyond it the networks hold a message until their next morning, and
# an invitation to come in arrives a day late.
SMS_BOUNDS: Final = {"FR": "Mo-Sa 08:00-22:00; PH off"}
# Country codes (ITU-T E.164, its list of assigned codes) by the country whose they are: France's
# neighbours and theirs, and those of its overseas departments, where its rules hold. Codes that
# countries share (+1, +7, +39) tell none. A wrong one goes by another country's hours and holidays.
CODES: Final = {
    "31": "NL",
    "32": "BE",
    "33": "FR",
    "34": "ES",
    "351": "PT",
    "352": "LU",
    "353": "IE",
    "376": "AD",
    "377": "MC",
    "41": "CH",
    "43": "AT",
    "44": "GB",
    "45": "DK",
    "49": "DE",
    "262": "FR",
    "590": "FR",
    "594": "FR",
    "596": "FR",
}
_CODE_DIGITS: Final = (2, 3)  # no code begins another


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


def country_of(number: str) -> str:
    """The country that an E.164 number tells by its code; "" where it tells none that we know.

    >>> country_of("+32470123456"), country_of("+12025550123"), country_of("")
    ('BE', '', '')
    """
    codes = (number[1 : 1 + digits] for digits in _CODE_DIGITS if number.startswith("+"))
    return next((CODES[code] for code in codes if code in CODES), "")


def hours_that_bind(
    engine: EngineSpec, lever: str, country: str, address: str
) -> list[tuple[str, str]]:
    """Every rule of hours on a message to an address: an OSM expression, and whose holidays it has.

    It may leave when all of them are open. ``country`` is the shop's.

    >>> hours_that_bind(EngineSpec(), "sms", "US", "+32470123456")
    [('Mo-Su 08:00-20:00', 'US'), ('Mo-Sa 08:00-20:00; PH off', 'BE')]
    """
    told = country_of(address) if lever == "sms" else ""
    if told in ("", country):
        hours = lawful_hours(engine, lever, country)
        return [(hours, country)] if hours else []
    found = [(lawful_hours(engine, lever, one), one) for one in (country, told) if one]
    # One text for all countries was checked against those of the shops only.
    return [*found, (SMS_BOUNDS[told], told)] if told in SMS_BOUNDS else found
