"""One coupon at many tills, a pool under many claimants: each code once, whoever is first.

``python -m tests.faults.coupon_races [--rounds 10000] [--seed N] [--state local|memory|valkey]``

A *redemption round* is a code that ten tills bring at the same moment, some of them twice with
the same receipt. Wrong is every round in which not exactly one of them was first, in which two were
told of different redemptions, or which left another number of facts than one.

A *claim round* is one claim. They come in pools of 1,000 codes with fifty claimants at once, who
claim for 1,100 triggers, each of them two or three times, at once or one after the other; some
give theirs back and others claim on. Wrong is every code with two triggers, every trigger with two
codes, and every code that is neither held nor free in the end.

With ``memory`` nothing is on disk, and a round takes a tenth of the time. With ``valkey`` two
processes do it, over one state; each holds half of the tills and claimants.
Exits 1 where anything was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from geoengine.core.errors import StateUnavailable
from geoengine.core.model import EngineSpec, MeasureSpec
from geoengine.core.offers import coupons, redeeming
from geoengine.core.offers.redeeming import Issued
from geoengine.core.record import Consent, HeldCoupon, Record
from geoengine.service.coupons.pools import Pools
from geoengine.service.coupons.till import Asked, Till
from geoengine.state.base import Card, Change, Commit, State
from geoengine.state.local import LocalState
from geoengine.state.redis import RedisState
from tests.core.world import NOON_MS, World, a_campaign, a_store
from tests.servers.server import Server, needed

TILLS, POOL_CODES, CLAIMANTS, TRIGGERS = 10, 1_000, 50, 1_100
AT_ONCE = 100  # coupons under way: their writes share the disk's syncs
GIVEN_BACK = 40  # triggers whose message never left
KEY = b"a key of the races"
TELL_EVERY = 2_000
BOOK = World(
    stores=[a_store()],
    campaigns=[a_campaign()],
    engine=EngineSpec(measure=MeasureSpec(consent="location")),
).book()
CLOCK: Callable[[], int] = lambda: NOON_MS  # noqa: E731 - nothing here takes time


# --- one coupon, many tills ---------------------------------------------------------------------


async def put_coupon(state: State, number: int) -> str:
    """A code in somebody's hands."""
    person, trigger = f"p{number}", f"t{number}"
    code = coupons.unique_code(trigger, KEY)
    until_ms = NOON_MS + 3_600_000
    issued = Issued(code, "unique", "hello", trigger, "shop", "store", NOON_MS, until_ms)
    await state.put_card(
        Card(coupons.card_name(code), redeeming.packed(issued), 0, person), NOON_MS
    )
    record = Record(person, consents={"location": Consent(True, 1, 0)})
    record.coupons = [HeldCoupon(trigger, "hello", "shop", code, NOON_MS, until_ms)]
    await state.commit(Commit(f"give {number}", (Change(record, None),)))
    return code


def asks(code: str, rng: random.Random) -> list[Asked]:
    """What the tills say of a code; some say it twice."""
    told = [Asked(code, "shop", NOON_MS, f"{ix}.00", "EUR", f"r{ix}") for ix in range(TILLS)]
    return rng.sample(told + told[:3], TILLS + 3)


async def bring(state: State, told: list[Asked]) -> list[tuple[str, str, bool]]:
    """Bring a code to tills at once; whose redemption counts, of whom, and whether theirs."""
    till = Till(state, lambda: BOOK, CLOCK)

    async def one(asked: Asked) -> tuple[str, str, bool]:
        answer = await _again(lambda: till.redeem(asked))
        return asked.redemption_id, answer.redemption.redemption_id, answer.is_first

    return await asyncio.gather(*(one(asked) for asked in told))


async def faults_of_round(
    state: State, number: int, answers: list[tuple[str, str, bool]]
) -> list[str]:
    """What was wrong with how a code was redeemed."""
    winners = {counting for _asked, counting, _first in answers}
    mistaken = [one for one in answers if one[2] != (one[0] == one[1])]
    facts = [fact.kind for fact in await state.facts(f"p{number}")]
    (held,) = (await state.load([f"p{number}"]))[f"p{number}"].coupons
    seen = {
        "redemptions": (len(winners), 1),
        "answers to the wrong till": (len(mistaken), 0),
        "facts": (facts.count("redeemed"), 1),
        "holders told": (int(held.is_redeemed), 1),
    }
    return [
        f"coupon {number}: {count} {what}" for what, (count, due) in seen.items() if count != due
    ]


async def redeem_race(state: State, rounds: int, seed: int) -> list[str]:
    """So many coupons, each at many tills; what was wrong."""
    rng, faults = random.Random(seed), list[str]()
    queue = iter(range(rounds))

    async def work() -> None:
        for number in queue:
            answers = await bring(state, asks(await put_coupon(state, number), rng))
            faults.extend(await faults_of_round(state, number, answers))
            if (number + 1) % TELL_EVERY == 0:
                print(f"redemption {number + 1}: {len(faults)} faults so far", flush=True)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return faults


# --- one pool, many claimants -------------------------------------------------------------------


@dataclass
class Claimed:
    """What claimants were told."""

    codes: dict[str, set[str]]  # by trigger
    claims: int


async def claim_all(state: State, pool_id: str, triggers: list[str], seed: int) -> Claimed:
    """Fifty claimants for these triggers; some triggers come to two of them at once."""
    rng, pools = random.Random(seed), Pools(state, CLOCK)
    told, claims = dict[str, set[str]](), 0
    waiting = [trigger for trigger in triggers for _ in range(rng.choice((2, 3)))]
    rng.shuffle(waiting)
    queue = iter(waiting)

    async def claimant() -> None:
        nonlocal claims
        for trigger in queue:
            code = await _again(lambda trigger=trigger: pools.claim(pool_id, trigger))  # type: ignore[misc]
            claims += 1
            if code:
                told.setdefault(trigger, set()).add(code)

    await asyncio.gather(*(claimant() for _ in range(CLAIMANTS)))
    return Claimed(told, claims)


async def faults_of_pool(state: State, pool_id: str, told: list[Claimed]) -> list[str]:
    """What was wrong with how a pool's codes went."""
    held = dict[str, set[str]]()
    for one in told:
        for trigger, codes in one.codes.items():
            held.setdefault(trigger, set()).update(codes)
    given = Counter(code for codes in held.values() for code in codes)
    pools = Pools(state, CLOCK)
    left = (await pools.shelf(pool_id)).free_count
    seen = {
        "triggers with two codes": (sum(len(codes) > 1 for codes in held.values()), 0),
        "codes with two triggers": (sum(count > 1 for count in given.values()), 0),
        "codes given": (len(given), POOL_CODES),
        "codes left": (left, 0),
    }
    return [f"{pool_id}: {count} {what}" for what, (count, due) in seen.items() if count != due]


async def give_back(state: State, pool_id: str, told: list[Claimed], seed: int) -> list[str]:
    """Some give theirs back, and others who went without claim on; what was wrong with that."""
    rng, pools = random.Random(seed), Pools(state, CLOCK)
    holders = sorted({trigger for one in told for trigger in one.codes})
    leaving = rng.sample(holders, GIVEN_BACK)
    freed = {await pools.claimed(trigger) for trigger in leaving}
    late = [f"{pool_id}-late{ix}" for ix in range(GIVEN_BACK)]
    codes = await asyncio.gather(
        *(pools.release(trigger) for trigger in leaving), return_exceptions=False
    )
    assert len(codes) == GIVEN_BACK
    taken = await asyncio.gather(*(pools.claim(pool_id, trigger) for trigger in late))
    return [] if sorted(taken) == sorted(freed) else [f"{pool_id}: freed codes went astray"]


async def fill(state: State, pool_id: str) -> None:
    """A pool of a thousand codes."""
    await Pools(state, CLOCK).upload(pool_id, [f"{pool_id}-{ix:04}" for ix in range(POOL_CODES)])


async def claim_race(state: State, rounds: int, seed: int) -> list[str]:
    """Pools until there were so many claims; what was wrong."""
    faults, claims, number = list[str](), 0, 0
    while claims < rounds:
        pool_id = f"POOL{number}"
        await fill(state, pool_id)
        triggers = [f"{pool_id}-t{ix}" for ix in range(TRIGGERS)]
        told = [await claim_all(state, pool_id, triggers, seed + number)]
        faults += await faults_of_pool(state, pool_id, told)
        faults += await give_back(state, pool_id, told, seed + number)
        claims, number = claims + told[0].claims, number + 1
        print(f"claim {claims}: {len(faults)} faults so far", flush=True)
    return faults


# --- two processes ------------------------------------------------------------------------------


def _in_a_process(url: str, work: str, what: list[Asked] | list[str], seed: int) -> object:
    async def run() -> object:
        state = RedisState(url)
        await state.open()
        try:
            if work == "bring":
                told: list[Asked] = what  # type: ignore[assignment]
                return await bring(state, told)
            pool_id, *triggers = what
            return await claim_all(state, pool_id, triggers, seed)  # type: ignore[arg-type]
        finally:
            await state.close()

    return asyncio.run(run())


async def shared_races(url: str, rounds: int, seed: int) -> list[str]:
    """The same over a shared state, by two processes; what was wrong."""
    rng, faults = random.Random(seed), list[str]()
    state = RedisState(url)
    await state.open()
    loop = asyncio.get_running_loop()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as processes:

        async def halves(work: str, *parts: list[Asked] | list[str]) -> list[object]:
            jobs: list[Awaitable[object]] = [
                loop.run_in_executor(processes, _in_a_process, url, work, part, seed + ix)
                for ix, part in enumerate(parts)
            ]
            return await asyncio.gather(*jobs)

        for number in range(rounds):
            told = asks(await put_coupon(state, number), rng)
            answers = await halves("bring", told[::2], told[1::2])
            both = [one for answer in answers for one in answer]  # type: ignore[attr-defined]
            faults += await faults_of_round(state, number, both)
        await fill(state, "POOL")
        triggers = [f"t{ix}" for ix in range(TRIGGERS)]
        claimed = await halves("claim", ["POOL", *triggers], ["POOL", *triggers])
        faults += await faults_of_pool(state, "POOL", claimed)  # type: ignore[arg-type]
    await state.close()
    return faults


async def _again(work: Callable[[], Awaitable[object]]):  # type: ignore[no-untyped-def]
    """As a till does: what is refused with 503 is sent again."""
    for _ in range(20):
        with suppress(StateUnavailable):
            return await work()
        await asyncio.sleep(0.1)
    raise StateUnavailable("20 times")


async def main(rounds: int, seed: int, where: str) -> bool:
    """Run the campaign; whether nothing was found."""
    print(f"seed {seed}", flush=True)
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        if where == "valkey":
            with Server(directory=Path(directory), binary=needed("valkey")) as server:
                faults = await shared_races(server.url, rounds, seed)
        else:
            state = LocalState(None if where == "memory" else Path(directory) / "state.db")
            await state.open()
            faults = await redeem_race(state, rounds, seed)
            faults += await claim_race(state, rounds, seed)
            await state.close()
    took_s = time.monotonic() - began_s
    print(f"coupon races: {rounds} rounds each, {len(faults)} faults, {took_s:.0f} s")
    print(*faults[:20], sep="\n")
    return not faults


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--state", choices=("local", "memory", "valkey"), default="local")
    arguments = parser.parse_args()
    sys.exit(0 if asyncio.run(main(arguments.rounds, arguments.seed, arguments.state)) else 1)
