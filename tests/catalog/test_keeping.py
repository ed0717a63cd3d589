"""Compiled catalogues that are kept: the same answer as compiling, or compiled again."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from hashlib import blake2b
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoengine.catalog import Reading, obtain, read
from geoengine.catalog.keeping import columns, container
from geoengine.catalog.keeping.cache import KEPT_MAX, KEPT_MAX_BYTES, Cache
from geoengine.catalog.keeping.compiler import SMALL_BYTES, is_small
from geoengine.catalog.keeping.container import Damaged
from geoengine.catalog.keeping.identity import fingerprint, taken_in
from geoengine.catalog.keeping.packed import Structs
from geoengine.core.book import Book
from geoengine.core.errors import ConfigurationError
from geoengine.core.places.births import marks
from tests.catalog.drawn import catalogues
from tests.catalog.test_compile import DESIGN_EXAMPLE
from tests.catalog.writing import CAMPAIGN, STORES, write
from tests.service.serving import until

YARD = '{"type":"Polygon","coordinates":[[[2,48],[2.1,48],[2.1,48.1],[2,48.1],[2,48]]]}'
FILES = {
    "a.yaml": "stores:\n  - import: s.csv\nzones:\n  - {id: yard, polygon: yard.geojson}\n"
    + CAMPAIGN,
    "s.csv": "id,name,lat,lon,radius_m\na,Été,48.8,2.3,90\nb,B,48.9,2.4,300\nc,C,x,2.4,\n",
    "yard.geojson": YARD,
}


def as_data(book: Book) -> dict[str, object]:
    """Everything a Book says, in values that compare."""
    zones = {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name in book.zones.__dataclass_fields__
        if (value := getattr(book.zones, name)) is not None
    }
    zones["why"] = list(book.zones.why)
    zones["minutes"] = np.nan_to_num(book.zones.minutes, nan=-1).tolist()
    zones["polygons"] = {ix: area.wkb for ix, area in book.zones.polygons.items()}
    types = [
        value.dtype.str
        for name in book.zones.__dataclass_fields__
        if isinstance(value := getattr(book.zones, name), np.ndarray)
    ]
    plans = [
        {
            name: getattr(plan, name)
            if name != "audience"
            else plan.audience and plan.audience.text
            for name in plan.__dataclass_fields__
        }
        for plan in book.campaigns
    ]
    return {
        "version": book.version,
        "stores": list(book.stores),
        "zones": zones,
        "types": types,
        "policies": book.policies,
        "plans": plans,
        "engine": book.engine,
        "beacons": dict(book.beacons),
        "gateways": dict(book.gateways),
        "marks": marks(book.zones.ids, book.zones.prints).tolist(),
    }


def assert_same(kept: Reading, made: Reading) -> None:
    """Both say the same, down to the warnings."""
    assert as_data(kept.book) == as_data(made.book)
    assert kept.book.marks.tolist() == made.book.marks.tolist()
    assert list(kept.book.beacons) == list(made.book.beacons), "in the same order"
    for name in ("warnings", "skipped_count", "zone_counts", "documents", "digests"):
        assert getattr(kept, name) == getattr(made, name), name
    one, other = kept.book.index.arrays, made.book.index.arrays
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert array.dtype == other[name].dtype, name
        np.testing.assert_array_equal(array, other[name], name)


def kept_and_made(folder: Path, directory: Path) -> tuple[Reading, Reading]:
    made, cache = read(directory), Cache(folder)
    cache.keep(directory, made)
    kept = cache.find(directory)
    assert kept is not None
    return kept, made


@settings(max_examples=25, deadline=None)
@given(catalogues())
def test_what_was_kept_is_what_compiling_makes(files: dict[str, str]):
    with TemporaryDirectory() as name:
        directory = write(Path(name) / "config", files)
        assert_same(*kept_and_made(Path(name) / "cache", directory))


@pytest.mark.parametrize("files", [FILES, {"a.yaml": DESIGN_EXAMPLE}, {"a.yaml": STORES}])
def test_a_catalogue_with_everything_is_kept_whole(tmp_path: Path, files: dict[str, str]):
    write(tmp_path / "config", {"zones/rivoli.geojson": YARD, **files})
    kept, made = kept_and_made(tmp_path / "cache", tmp_path / "config")
    assert_same(kept, made)


def test_warnings_and_left_out_rows_are_kept(tmp_path: Path):
    kept, _made = kept_and_made(tmp_path / "cache", write(tmp_path / "config", FILES))
    assert kept.skipped_count == 1
    assert any("phones miss circles" in fault.what for fault in kept.warnings)


def test_stores_of_a_kept_catalogue_are_objects_only_when_asked_for(tmp_path: Path):
    kept, made = kept_and_made(tmp_path / "cache", write(tmp_path / "config", FILES))
    stores = kept.book.stores
    assert isinstance(stores, Structs)
    assert (stores[-1], stores[:1]) == (made.book.stores[-1], list(made.book.stores[:1]))
    assert stores[0] is stores[0], "what was asked for of late is not made again"
    with pytest.raises(IndexError):
        stores[2]
    assert kept.book.store_of(0) == made.book.store_of(0)


def test_an_index_over_polygons_is_kept_with_its_catalogue(tmp_path: Path):
    kept, made = kept_and_made(tmp_path / "cache", write(tmp_path / "config", FILES))
    assert kept.book.__dict__["index"].arrays, "it is there before anybody asks"
    later = kept.book.succeeding(made.book.births(), 1).keyed(b"key")
    assert later.index is kept.book.index, "and a service that reloads has it"
    lon_deg, lat_deg = np.random.default_rng(4).uniform((2.0, 48.0), (2.4, 49.0), (2_000, 2)).T
    found, expected = (book.index.match(lon_deg, lat_deg) for book in (later, made.book))
    assert len(found.fix_ix) > 30
    for name in ("fix_ix", "zone_ix", "edge_m"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_an_index_over_circles_is_made_and_not_kept(tmp_path: Path):
    directory = write(tmp_path / "config", {"a.yaml": STORES})
    assert not [name for name in columns.pack(read(directory)) if name.startswith("index")]


def test_kept_edges_lie_by_lines_of_the_processors_cache(tmp_path: Path):
    kept, _made = kept_and_made(tmp_path / "cache", write(tmp_path / "config", FILES))
    tables = kept.book.index.polygons.edges.arrays
    assert [table.ctypes.data % 128 for table in tables.values()] == [0] * len(tables)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_a_changed_byte_of_any_file_is_noticed(name: str, where: float, change: int):
    with TemporaryDirectory() as folder:
        directory, cache = write(Path(folder) / "config", FILES), Cache(Path(folder) / "cache")
        cache.keep(directory, read(directory))
        content = bytearray((directory / name).read_bytes())
        content[int(where * len(content))] ^= change
        (directory / name).write_bytes(content)
        assert cache.find(directory) is None


@pytest.mark.parametrize("name", ["b.yaml", "deep/c.yml"])
def test_a_yaml_file_that_came_or_went_is_noticed(tmp_path: Path, name: str):
    directory, cache = write(tmp_path / "config", FILES), Cache(tmp_path / "cache")
    cache.keep(directory, read(directory))
    write(directory, {name: "# nothing\n"})
    assert cache.find(directory) is None
    cache.keep(directory, read(directory))
    (directory / name).unlink()
    assert cache.find(directory) is not None, "as it was at first"


def test_a_polygon_that_was_missing_is_noticed_when_it_comes(tmp_path: Path):
    rows = '{"id":"z","polygon":"later.geojson"}\n'
    files = {"a.yaml": STORES + "zones:\n  - import: z.ndjson\n", "z.ndjson": rows}
    directory, cache = write(tmp_path / "config", files), Cache(tmp_path / "cache")
    cache.keep(directory, read(directory))
    found = cache.find(directory)
    assert found is not None and found.skipped_count == 1
    write(directory, {"later.geojson": YARD})
    assert cache.find(directory) is None


def test_another_version_of_the_code_or_its_data_is_another_catalogue(tmp_path: Path):
    directory = write(tmp_path / "config", FILES)
    Cache(tmp_path / "cache").keep(directory, read(directory))
    assert Cache(tmp_path / "cache", fingerprint()).find(directory) is not None
    assert Cache(tmp_path / "cache", b"another").find(directory) is None


@pytest.mark.parametrize("name", ["x.py", "x.npz", "deep/x" + EXTENSION_SUFFIXES[0]])
def test_other_code_whether_compiled_or_not_is_another_version(tmp_path: Path, name: str):
    before, after = (taken_in(write(tmp_path, {name: text})) for text in ("one", "two"))
    assert before != after
    assert after == taken_in(write(tmp_path, {"deep/notes.txt": "not code"}))


def test_what_an_earlier_version_was_given_is_read(tmp_path: Path):
    path, parts = tmp_path / "x.bin", {"numbers": np.arange(5)}
    container.write(path, parts)
    body = path.read_bytes()[48:]
    first = b"geoengine book 1" + blake2b(body, digest_size=32).digest()
    path.write_bytes(first + body)
    assert container.read(path)["numbers"].tolist() == [0, 1, 2, 3, 4]
    path.write_bytes(first[:-1] + b"?" + body)
    with pytest.raises(Damaged):
        container.read(path)


@settings(max_examples=80, deadline=None)
@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255), st.booleans())
def test_a_file_that_is_not_as_it_was_written_is_found_out(where: float, change: int, is_cut: bool):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.book"
        parts = {"numbers": np.arange(5), "bytes": np.arange(9, dtype=np.uint8)}
        container.write(path, parts)
        content = bytearray(path.read_bytes())
        at = int(where * len(content))
        if is_cut:
            del content[at:]
        else:
            content[at] ^= change
        path.write_bytes(content)
        with pytest.raises(Damaged):
            container.read(path)


def test_a_column_that_is_missing_is_damage_and_not_a_crash(tmp_path: Path):
    directory = write(tmp_path / "config", FILES)
    parts = columns.pack(read(directory))
    for name in parts:
        with pytest.raises(Damaged):
            columns.unpack({other: part for other, part in parts.items() if other != name})


def test_so_many_are_kept_and_the_latest_used_stay(tmp_path: Path):
    directory, cache = tmp_path / "config", Cache(tmp_path / "cache")
    for turn in range(KEPT_MAX + 3):
        write(directory, {"a.yaml": f"# {turn}\n{STORES}"})
        path = cache.keep(directory, read(directory))
        os.utime(path, ns=(turn, turn))
    assert len(list(cache.folder.iterdir())) <= KEPT_MAX + 1
    assert cache.find(directory) is not None
    write(directory, {"a.yaml": f"# 0\n{STORES}"})
    assert cache.find(directory) is None


def test_so_many_bytes_are_kept_and_the_latest_used_stay(tmp_path: Path):
    directory, cache = write(tmp_path / "config", {"a.yaml": STORES}), Cache(tmp_path / "cache")
    kept = cache.keep(directory, read(directory))
    others = [cache.folder / f"{nth}.book" for nth in range(3)]
    for nth, path in enumerate(others):
        path.touch()
        os.truncate(path, KEPT_MAX_BYTES // 2 - 10_000)  # holes, which take no room on a disk
        os.utime(path, ns=(nth, nth))
    cache.keep(directory, read(directory))
    assert set(cache.folder.glob("*.book")) == {kept, *others[1:]}


async def test_what_another_process_compiled_is_what_this_one_would(tmp_path: Path):
    directory, folder = write(tmp_path / "config", FILES), tmp_path / "cache"
    first = await obtain(directory, folder)
    again = await obtain(directory, folder)
    assert (first.is_cached, again.is_cached) == (False, True)
    assert (first.remarks, again.remarks) == ((), ())
    assert_same(first.reading, read(directory))
    assert_same(again.reading, read(directory))
    assert repr(again) == "Obtained(is_cached=True, remarks=())", "in no time"


async def test_all_faults_come_from_the_other_process(tmp_path: Path):
    directory = write(tmp_path / "config", FILES | {"b.yaml": "stores:\n  - {id: one, nam: x}\n"})
    with pytest.raises(ConfigurationError) as here:
        read(directory)
    with pytest.raises(ConfigurationError) as there:
        await obtain(directory, tmp_path / "cache")
    assert there.value.faults == here.value.faults
    assert len(there.value.faults) > 1


async def test_a_damaged_one_is_compiled_again_and_told_of(tmp_path: Path):
    directory, folder = write(tmp_path / "config", FILES), tmp_path / "cache"
    await obtain(directory, folder)
    (path,) = folder.glob("*.book")
    path.write_bytes(path.read_bytes()[:-1])
    mended = await obtain(directory, folder)
    assert not mended.is_cached
    assert "compiled again" in mended.remarks[0]
    assert_same(mended.reading, read(directory))
    assert (await obtain(directory, folder)).is_cached


async def test_a_folder_that_cannot_be_written_is_told_of_and_does_without(tmp_path: Path):
    directory = write(tmp_path / "config", FILES)
    (tmp_path / "file").write_text("in the way")
    found = await obtain(directory, tmp_path / "file" / "cache")
    assert "cannot be written" in found.remarks[0]
    assert_same(found.reading, read(directory))


async def test_two_at_once_leave_one_whole_file(tmp_path: Path):
    directory, folder = write(tmp_path / "config", FILES), tmp_path / "cache"
    one, two = await asyncio.gather(obtain(directory, folder), obtain(directory, folder))
    assert_same(one.reading, two.reading)
    (path,) = folder.iterdir()
    assert path.suffix == ".book"
    assert (await obtain(directory, folder)).is_cached


async def test_a_little_yaml_is_compiled_here_and_not_kept(tmp_path: Path):
    directory, folder = write(tmp_path / "config", {"a.yaml": STORES}), tmp_path / "cache"
    found = await obtain(directory, folder)
    assert_same(found.reading, read(directory))
    assert not folder.exists()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a.yaml": STORES}, True),
        (FILES, False),
        ({"a.yaml": STORES + "    reach: {polygon: yard.geojson}\n", "yard.geojson": YARD}, False),
        ({"a.yaml": STORES + "#" * SMALL_BYTES}, False),
    ],
)
def test_small_is_a_little_yaml_that_names_no_file(
    tmp_path: Path, files: dict[str, str], expected: bool
):
    assert is_small(write(tmp_path, files)) is expected


async def test_a_compiler_ends_when_nobody_waits_for_it_any_more(tmp_path: Path):
    rows = "".join(f"s{ix},S,{44 + ix % 100 * 0.05},{ix // 100 * 0.05}\n" for ix in range(20_000))
    files = {"a.yaml": "stores:\n  - import: s.csv\n", "s.csv": "id,name,lat,lon\n" + rows}
    before = children()

    async def compiles() -> bool:
        return children() > before

    async def compiles_no_more() -> bool:
        return children() <= before

    asking = asyncio.create_task(obtain(write(tmp_path / "config", files), tmp_path / "cache"))
    await until(compiles, 30)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await until(compiles_no_more, 30)
    assert not list((tmp_path / "cache").glob("*.book"))


def children() -> set[int]:
    """The processes that this one started and has not waited for."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # gone meanwhile
            if int(path.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.add(int(path.parent.name))
    return found
