"""A process that answers for Valhalla: JSON lines in, JSON lines out.

It is run as a file by the interpreter that has the package ``valhalla``, which may be another than
ours: nothing but that package and the standard library may be used here. Valhalla logs where it
likes, so what is said goes out by a descriptor of its own, and standard output to nowhere.

In: first the tiles, then one question a line::

    {"tiles": "/folder/or/tiles.tar"}
    {"action": "isochrone", "body": {...}}

Out, a line for each: ``{"answer": ...}`` as Valhalla wrote it, or ``{"code": 171, "error": "…"}``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, TextIO

CACHE_BYTES = (
    512 * 1024 * 1024
)  # of tiles that stay unpacked: those of a large city; each has its own


def main() -> None:
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        serve(sys.stdin, out)


def serve(questions: TextIO, out: TextIO) -> None:
    """Open the tiles that the first line names, and answer until the last."""
    actor: Any = None
    for line in questions:
        question = json.loads(line)
        try:
            if actor is None:
                actor, answer = opened(Path(question["tiles"]))
            else:
                answer = getattr(actor, question["action"])(json.dumps(question["body"]))
            said = f'{{"answer":{answer}}}'
        except Exception as error:
            code = getattr(error, "code", 0)
            said = json.dumps({"code": code, "error": str(error) or type(error).__name__})
        out.write(said + "\n")
        out.flush()


def opened(tiles: Path) -> tuple[Any, str]:
    """Valhalla over these tiles, a folder or a tar of them, and what it is, as JSON."""
    import valhalla

    extract, folder = (tiles, "") if tiles.is_file() else ("", tiles)
    config = valhalla.get_config(tile_extract=extract, tile_dir=folder)
    config["mjolnir"]["max_cache_size"] = CACHE_BYTES
    config["service_limits"]["status"]["allow_verbose"] = True
    return valhalla.Actor(config), json.dumps({"python": sys.version.split()[0]})


if __name__ == "__main__":
    main()
