"""The settings of levers that reach people, checked: what belongs together, and lawful hours."""

from __future__ import annotations

from collections.abc import Iterator, Set

import geoengine.catalog.hours as hours
from geoengine.catalog.reading.gather import Gathered
from geoengine.core import calendar
from geoengine.core.judging.lawful import SMS_BOUNDS
from geoengine.core.model import SmsSpec
from geoengine.core.units import DAY_MS

# A country's widest time zone does not matter here: bounds and hours are read in the same one.
_ZONE = "Europe/Paris"
_YEAR_MS = 366 * DAY_MS


def check_levers(found: Gathered, countries: Set[str]) -> None:
    """Check `engine.push`, `sms`, `email` and `lawful_hours`; countries are those of the stores."""
    engine = found.engine
    if engine.push is not None and engine.push.fcm is None and engine.push.apns is None:
        found.engine_fault("push names no service: expected fcm, apns or both", "push")
    if engine.sms is not None:
        for what, key in _sms_faults(engine.sms):
            found.engine_fault(f"sms: {what}", "sms", *key)
    if engine.email is not None:
        _check_email(found)
    _check_lawful(found, countries)


def _sms_faults(spec: SmsSpec) -> Iterator[tuple[str, tuple[str, ...]]]:
    if spec.provider == "twilio":
        if spec.account is None:
            yield "twilio needs `account`: expected its SID, AC and 32 digits", ()
        if (spec.sender is None) == (spec.messaging_service is None):
            yield "expected one of `sender` and `messaging_service`", ()
    else:
        for key in ("account", "messaging_service"):
            if getattr(spec, key) is not None:
                yield f"`{key}` is Twilio's, and the provider is {spec.provider}", (key,)
        if spec.sender is None:
            yield f"{spec.provider} needs `sender`: expected 3 to 11 letters and digits", ()
    if spec.daily_spend is not None and not spec.segment_cost:
        yield "`daily_spend` counts nothing: expected a `segment_cost`", ("daily_spend",)


def _check_email(found: Gathered) -> None:
    """The way out of an e-mail is a link to this service (RFC 8058)."""
    url = found.engine.public_url
    if url is None:
        what = "email needs `engine.public_url`: its readers unsubscribe there"
        found.engine_fault(what, "email")
    elif not url.startswith("https://"):
        what = f"public_url {url}: mail programs unsubscribe by https only"
        found.engine_doubt(what, "public_url")


def _check_lawful(found: Gathered, countries: Set[str]) -> None:
    for lever, told in found.engine.lawful_hours.items():
        if isinstance(told, str):
            bounded = SMS_BOUNDS.keys() & countries
            _check_hours(found, told, sorted(bounded), lever)
        else:
            for country, text in told.items():
                _check_hours(found, text, [country], lever, country)


def _check_hours(found: Gathered, text: str, countries: list[str], *path: str) -> None:
    name = ".".join(("lawful_hours", *path))
    if problem := hours.problem(text):
        found.engine_fault(f"{name} {problem}", "lawful_hours", *path)
        return
    if not hours.opens_ever(text, "UTC", ""):
        what = f"{name} `{text}` is never open: expected some"
        found.engine_fault(what, "lawful_hours", *path)
        return
    for country in countries if path[0] == "sms" else []:
        bound = SMS_BOUNDS.get(country)
        if bound is not None and (beyond := _beyond(text, bound, country)):
            what = (
                f"{name} `{text}` is open on {beyond}: expected nothing beyond `{bound}` for "
                f"marketing SMS in {country}"
            )
            found.engine_fault(what, "lawful_hours", *path)


def _beyond(text: str, bound: str, country: str) -> str:
    """A moment of a year at which one expression is open and the other is not; "" for none."""
    rules, limits = (calendar.hours(each, _ZONE, country) for each in (text, bound))
    at_ms, end_ms = hours.REFERENCE_MS, hours.REFERENCE_MS + _YEAR_MS
    while at_ms < end_ms:
        if rules.is_open(at_ms) and not limits.is_open(at_ms):
            return f"{calendar.local_time(at_ms, calendar.time_zone(_ZONE)):%a %Y-%m-%d at %H:%M}"
        at_ms = min(rules.until_ms(at_ms), limits.until_ms(at_ms))
    return ""
