"""`geoengine proof`: check the proof of somebody's consents, without the service that made it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from geoengine.core.consent.proof import fault_of


@click.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE..."
)
@click.option("--head", default="", metavar="HASH", help="The hash over all, as noted elsewhere.")
def command(files: tuple[Path, ...], head: str) -> None:
    """Check proofs of consents: answers of GET /v1/people/ID/consents, a file each.

    Each entry must hold the hash of the one before, and say what it was packed with. Exit 1 where
    one does not. A proof that is whole says what was written down; to know that nothing was
    written anew since, compare its head with one noted elsewhere at the time.
    """
    faults = [f"{path}: {why}" for path in files if (why := _fault(path, head))]
    for fault in faults:
        click.echo(fault, err=True)
    if faults:
        raise SystemExit(1)


def _fault(path: Path, head: str) -> str:
    try:
        proof = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, ValueError, RecursionError) as error:
        return f"cannot be read: {error}"
    if why := fault_of(proof):
        return why
    if head and proof["head"] != head.lower():
        return f"the hash over all is {proof['head']}, not the one given"
    entries, cut = len(proof["entries"]), "" if proof.get("whole", True) else ", the oldest dropped"
    click.echo(f"{path}: {entries} entries hold{cut}; head {proof['head'] or '-'}")
    return ""
