"""When a lever may be used at all, by country."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from geoengine.core.judging.lawful import CODES, country_of, lawful_hours
from geoengine.core.judging.questions import Spot, unlawful
from geoengine.core.model import EngineSpec
from geoengine.core.record import Record
from geoengine.core.rules import may_send
from tests.core.world import NOON_MS, Walk, World, a_campaign, a_store, bare

PARIS, NEW_YORK = "Europe/Paris", "America/New_York"


FRENCH, BELGIAN, AMERICAN = "+33612345678", "+32470123456", "+12025550123"


def why_not(
    lever: str, at: str, country: str, zone: str = PARIS, number: str = "", **engine: object
) -> str:
    """Why a lever must not speak at a person's local time; of 2026 and 2027."""
    book = bare(World([a_store()]).book(), **engine)
    at_ms = round(datetime.fromisoformat(at).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)
    record = Record("ada", addresses={lever: number} if number else {})
    return unlawful(lever, record, book, Spot(a_store(), zone, country, zone), at_ms)


WEEK = [
    ("2026-11-23T07:59", False),  # a Monday
    ("2026-11-23T08:00", True),
    ("2026-11-23T19:59", True),
    ("2026-11-23T20:00", False),
    ("2026-11-28T12:00", True),  # a Saturday
    ("2026-11-22T12:00", False),  # a Sunday
]
HOLIDAYS = [
    ("2026-12-25T12:00", False),  # Christmas, a Friday
    ("2027-05-06T12:00", False),  # Ascension, a Thursday
    ("2027-07-14T12:00", False),  # France's own, a Wednesday
]


@pytest.mark.parametrize(("at", "is_lawful"), WEEK + HOLIDAYS)
def test_sms_in_france_go_by_day_and_neither_on_sundays_nor_on_holidays(at, is_lawful):
    assert (why_not("sms", at, "FR") == "") is is_lawful


@pytest.mark.parametrize(("at", "is_lawful"), WEEK)
@pytest.mark.parametrize("country", ["BE", "DE", ""])
def test_where_nothing_is_known_sms_keep_to_the_strictest_hours(at, is_lawful, country):
    assert (why_not("sms", at, country) == "") is is_lawful


def test_each_country_keeps_its_own_holidays():
    assert why_not("sms", "2027-07-14T12:00", "BE") == ""
    assert why_not("sms", "2027-07-21T12:00", "BE") == "lawful_hours:sms"


@pytest.mark.parametrize(
    ("at", "is_lawful"),
    [("2026-11-22T12:00", True), ("2026-11-22T08:00", True), ("2026-11-22T20:00", False)],
)
def test_sms_in_the_united_states_go_on_sundays_too(at, is_lawful):
    assert (why_not("sms", at, "US", NEW_YORK) == "") is is_lawful


def test_hours_said_for_one_country_leave_the_others_theirs():
    said = {"lawful_hours": {"sms": {"FR": "Mo-Sa 08:00-22:00; PH off"}}}
    assert why_not("sms", "2026-11-23T21:00", "FR", **said) == ""
    assert why_not("sms", "2026-11-23T21:00", "BE", **said) == "lawful_hours:sms"


def test_hours_said_for_all_countries_hold_in_all():
    said = EngineSpec(lawful_hours={"sms": "Mo-Fr 09:00-18:00", "push": "Mo-Su 08:00-22:00"})
    assert {lawful_hours(said, "sms", c) for c in ("FR", "US", "")} == {"Mo-Fr 09:00-18:00"}
    assert lawful_hours(said, "push", "FR") == "Mo-Su 08:00-22:00"


def test_hours_said_of_another_lever_do_not_free_sms():
    said = {"lawful_hours": {"push": "Mo-Su 08:00-22:00"}}
    assert why_not("sms", "2026-11-22T12:00", "FR", **said) == "lawful_hours:sms"
    assert why_not("push", "2026-11-22T12:00", "FR", **said) == ""


@pytest.mark.parametrize("lever", ["push", "email", "wallet", "webhook", "log"])
def test_other_levers_have_no_hours_of_their_own(lever):
    assert why_not(lever, "2026-11-22T03:00", "FR") == ""


# A store's country, a number, noon of a day, whether an SMS may leave; in its own country's rules.
OF_BOTH = [
    ("US", FRENCH, "2026-11-22", False),  # a Sunday: France's rule binds in New York
    ("US", AMERICAN, "2026-11-22", True),
    ("FR", AMERICAN, "2026-11-22", False),  # a number from anywhere frees no French shop
    ("FR", BELGIAN, "2027-07-21", False),  # Belgium's day, a Wednesday
    ("FR", BELGIAN, "2027-07-14", False),  # France's
    ("BE", FRENCH, "2027-07-14", False),
    ("FR", FRENCH, "2027-07-21", True),
    ("FR", "", "2027-07-21", True),
    ("", BELGIAN, "2027-07-21", False),  # a place of no country: the number's alone
    ("", BELGIAN, "2027-07-14", True),
    ("", AMERICAN, "2026-11-22", False),  # +1 tells no country: as where nothing is known
]


@pytest.mark.parametrize(("country", "number", "day", "is_lawful"), OF_BOTH)
def test_an_sms_leaves_when_it_may_where_the_shop_is_and_where_the_number_is_from(
    country, number, day, is_lawful
):
    told = why_not("sms", f"{day}T12:00", country, NEW_YORK, number)
    assert told == ("" if is_lawful else "lawful_hours:sms")


def test_hours_said_for_the_number_s_country_bind_beside_those_of_the_shop():
    said = {"lawful_hours": {"sms": {"BE": "Mo-Sa 10:00-18:00", "FR": "Mo-Sa 09:00-20:00"}}}
    at = {hour: f"2026-11-23T{hour}:30" for hour in ("08", "09", "10", "18")}
    for number, hours in ((FRENCH, {"09", "10", "18"}), (BELGIAN, {"10"})):
        assert {h for h in at if not why_not("sms", at[h], "FR", PARIS, number, **said)} == hours


def test_one_text_for_all_countries_widens_no_french_number_beyond_its_networks():
    said = {"lawful_hours": {"sms": "Mo-Su 08:00-23:00"}}
    sunday, late = "2026-11-22T12:00", "2026-11-23T22:30"
    assert why_not("sms", sunday, "US", NEW_YORK, AMERICAN, **said) == ""
    for at in (sunday, late):
        assert why_not("sms", at, "US", NEW_YORK, FRENCH, **said) == "lawful_hours:sms"
    assert why_not("sms", "2026-11-23T21:30", "US", NEW_YORK, FRENCH, **said) == ""


def test_no_code_begins_another_and_what_is_no_number_tells_no_country():
    for code, country in CODES.items():
        assert country_of(f"+{code}612345678") == country
        assert not [other for other in CODES if other != code and other.startswith(code)]
    assert {country_of(one) for one in ("", "assumed", "33612345678", "+7", "+39347")} == {""}


def test_what_an_e_mail_address_begins_with_tells_no_country():
    said = {"lawful_hours": {"email": {"BE": "Mo-Fr 09:00-10:00"}}}
    assert why_not("email", "2026-11-23T12:00", "FR", PARIS, "+32@example.com", **said) == ""


async def test_what_was_decided_in_time_is_not_sent_when_the_number_s_hours_are_over():
    said = {"sms": {"FR": "Mo-Su 08:00-20:00", "BE": "Mo-Su 14:00-14:05"}}  # noon is 14:00 here
    campaign = a_campaign("ad", levers=["sms"])
    book = World([a_store()], campaigns=[campaign], engine=EngineSpec(lawful_hours=said)).book()
    for number, told in ((BELGIAN, "lawful_hours:sms"), (FRENCH, "")):
        walk = Walk(book)
        await walk.agree("ann", "location", "sms", addresses={"sms": number})
        await walk.agree("bob", "location", "sms", addresses={"sms": number}, locale="fr")
        await walk.post((0, 2000), (120, 0))
        (row,) = await walk.state.lease(NOON_MS + 121_000, 10, "me", 1_000)
        record = (await walk.state.load(["ann"]))["ann"]
        assert may_send(row.send, record, walk.book, NOON_MS + 299_000) == ""
        assert may_send(row.send, record, walk.book, NOON_MS + 300_000) == told
        await walk.post((480, 2000), (600, 0), device="bob")
        (decision,) = walk.outcomes[-1].decisions
        assert decision.reason == (told or "ok")
