"""What a catalogue was read from."""

from __future__ import annotations

from pathlib import Path

from geoengine.catalog.reading.sources import UNREAD, Sources, digest_of

LARGE = 4 << 20


def bytes_read() -> int:
    """By this process so far, as the kernel counts."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("rchar:"))


def test_what_was_added_is_read_once_and_again_when_it_was_touched(tmp_path: Path) -> None:
    file = tmp_path / "buildings" / "outlines"
    file.parent.mkdir()
    file.write_bytes(b"a" * LARGE)
    sources, before = Sources(), bytes_read()
    sources.read_folders(tmp_path)
    first = bytes_read()
    sources.read_folders(tmp_path)
    assert first - before > LARGE > bytes_read() - first
    assert sources.digests[str(file)] == digest_of(file)
    new = file.with_name(".new")
    new.write_bytes(b"b" * LARGE)
    new.replace(file)
    sources.read_folders(tmp_path)
    assert sources.digests[str(file)] == UNREAD, "it was one thing and then another"


def test_what_comes_while_a_catalogue_is_read_belongs_to_another(tmp_path: Path) -> None:
    folder = tmp_path / "density"
    folder.mkdir()
    sources = Sources()
    sources.read_folders(tmp_path)
    (folder / "late").write_bytes(b"x")
    sources.read_folders(tmp_path)
    assert sources.digests[str(folder)] == UNREAD
