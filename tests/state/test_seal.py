"""Where devices were last is not to be read from the servers' files."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from geoengine.state.redis import RedisState
from geoengine.state.shared.seal import UNSEALED, Seal
from tests.servers.server import Server, needed
from tests.state.samples import commit_of, fixes, last

PASSWORD = "correct horse"
PLACE = struct.pack("<dd", 2.25, 48.0)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[RedisState]:
    state = RedisState(url, partition_count=2)
    await state.open()
    try:
        yield state
    finally:
        await state.close()


def test_a_place_comes_back_as_it_was_hidden():
    rng = np.random.default_rng(1)
    seal = Seal(PASSWORD, "geoengine")
    places, at_ms = rng.uniform(-90, 90, (50, 2)), rng.integers(0, 1 << 41, 50)
    hidden = seal.hide(places, at_ms)
    marks = np.full(50, seal.mark, np.uint8)
    assert not (hidden == places).any()
    assert (seal.show(hidden, at_ms, marks) == places).all()


def test_the_same_place_at_another_time_looks_different():
    seal = Seal(PASSWORD, "geoengine")
    hidden = seal.hide(np.full((2, 2), 48.0), np.array([1, 2]))
    assert hidden[0].tobytes() != hidden[1].tobytes()


def test_under_another_password_a_place_is_nowhere():
    seal, other = Seal(PASSWORD, "geoengine"), Seal("another", "geoengine")
    hidden = seal.hide(np.full((1, 2), 48.0), np.array([1]))
    assert seal.mark != other.mark  # these two; one pair of passwords in 255 has one mark
    assert np.isnan(other.show(hidden, np.array([1]), np.array([seal.mark], np.uint8))).all()


def test_without_a_password_nothing_is_hidden():
    seal = Seal("", "geoengine")
    places = np.full((1, 2), 48.0)
    assert seal.mark == UNSEALED
    assert (seal.hide(places, np.array([1])) == places).all()


@pytest.mark.parametrize("password", ["", PASSWORD])
async def test_a_snapshot_tells_a_place_only_where_there_is_no_password(
    tmp_path: Path, password: str
):
    with Server(
        directory=tmp_path,
        binary=needed("valkey"),
        password=password,
        options={"rdbcompression": "no"},
    ) as server:
        async with opened(server.url) as state:
            await state.commit(commit_of(last=last(10, "phone", lon_deg=2.25, suspects=1)))
            server.call("SAVE")
            snapshot = (tmp_path / "dump.rdb").read_bytes()
            assert b"phone" in snapshot
            assert (PLACE in snapshot) == (not password)
            assert (struct.pack("<dd", 3.0, 49.0) in snapshot) == (not password)
            known = await state.known(fixes("phone"))
            assert (known.lon_deg[0], known.lat_deg[0]) == (2.25, 48.0)
            (spot,) = known.suspects.values()
            assert (spot.lon_deg, spot.lat_deg) == (3.0, 49.0)
            told = [what for what in state.concerns if "(I9)" in what]
            assert bool(told) == (not password)
