"""What a phone's own geofencing says of a zone is decisive, unless its fix contradicts it."""

from __future__ import annotations

import pytest

from tests.core.world import Walk, World, a_store

COARSE_M = 400.0  # nobody enters a zone of 100 m with that
BOOK = World(stores=[a_store("shop"), a_store("far", 5_000.0)]).book()


async def near() -> Walk:
    """Somebody who has been seen outside."""
    walk = Walk(BOOK)
    await walk.post((0, 600))
    return walk


@pytest.mark.parametrize("fix", [(60, 95, 10.0), (60, 120, 60.0), (60, 300, COARSE_M)])
async def test_one_report_of_having_entered_enters(fix: tuple[float, ...]) -> None:
    unsaid = await near()
    await unsaid.post(fix)
    assert unsaid.told("zone.entered") == []
    walk = await near()
    await walk.post(fix, entered="shop")
    assert walk.told("zone.entered") == [("zone.entered", 60)]
    assert not walk.events[-1].data["initial"]


async def test_a_fix_far_outside_contradicts_it() -> None:
    walk = await near()
    await walk.post((60, 400, 10.0), entered="shop")
    assert walk.told("zone.entered") == []


@pytest.mark.parametrize("fix", [(120, 110, 10.0), (120, 150, 60.0), (120, 0, COARSE_M)])
async def test_one_report_of_having_left_leaves(fix: tuple[float, ...]) -> None:
    for says in ("", "shop"):
        walk = await near()
        await walk.post((60, 0))
        assert walk.told("zone.entered") == [("zone.entered", 60)]
        await walk.post(fix, left=says)
        assert walk.told("zone.exited") == ([("zone.exited", 120)] if says else [])


async def test_a_fix_well_inside_contradicts_having_left() -> None:
    walk = await near()
    await walk.post((60, 0))
    await walk.post((120, 20, 10.0), left="shop")
    assert walk.told("zone.exited") == []


async def test_what_it_says_of_a_zone_that_is_none_is_as_if_unsaid() -> None:
    walk = await near()
    await walk.post((60, 95, 10.0), entered="gone")
    assert walk.told() == []


async def test_having_entered_while_inside_or_told_late_tells_nothing_twice() -> None:
    walk = await near()
    await walk.post((60, 95, 10.0), entered="shop")
    await walk.post((90, 95, 10.0), entered="shop")
    await walk.post((70, 95, 10.0), entered="far")
    assert walk.told() == [("zone.entered", 60)]


async def test_the_first_a_device_ever_says_is_initial() -> None:
    walk = Walk(BOOK)
    await walk.post((60, 95, 10.0), entered="shop")
    assert walk.told("zone.entered") == [("zone.entered", 60)] and walk.events[-1].data["initial"]


async def test_among_many_fixes_it_is_as_decisive_as_alone() -> None:
    walk = Walk(BOOK)
    others = [(f"p{number}", second, 9_000) for number in range(20) for second in (0, 60)]
    await walk.post(*others, ("ann", 0, 600))
    await walk.post(
        *((name, s + 60, e) for name, s, e in others), ("ann", 60, 120, 60.0), entered="shop"
    )
    assert [(event.type, event.person_id) for event in walk.events] == [("zone.entered", "ann")]
