"""Which commit was measured, for the pages of results."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def commit() -> str:
    """The commit that is checked out; ``unknown`` where git, or its history, is not there."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    asked = [git, "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
