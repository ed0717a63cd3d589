"""Reports as tables: a row a part, for spreadsheets (CSV) and for what reads columns (Parquet)."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from geoengine.core.errors import GeoengineError
from geoengine.service.wire.reports import CampaignsReport, StoresReport

Row = dict[str, Any]
ENDINGS: Final = (".csv", ".parquet", ".json")
# What begins so is a formula to a spreadsheet (OWASP, CSV injection); ids may hold a message's
# variant or a beacon's place, which others write.
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")


class ExportError(GeoengineError):
    """A table cannot be written; the text says what to do."""


def write(report: CampaignsReport | StoresReport, path: Path) -> None:
    """Write a report to a file, by its ending. Raises `ExportError`."""
    if path.suffix == ".json":
        path.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    elif path.suffix == ".csv":
        _write_csv(rows(report), path)
    elif path.suffix == ".parquet":
        _write_parquet(rows(report), path)
    else:
        raise ExportError(f"{path.name}: expected a name that ends in {', '.join(ENDINGS)}")


def rows(report: CampaignsReport | StoresReport) -> list[Row]:
    """A row for each part; what is in another is joined to its name: lift_low, revenue_EUR."""
    if isinstance(report, CampaignsReport):
        return _rows_of_campaigns(report)
    return _rows_of_stores(report)


def _rows_of_campaigns(report: CampaignsReport) -> list[Row]:
    """A row with part ``all`` for each campaign, and one for each of its parts."""
    found = []
    for campaign in report.campaigns:
        parts = [("all", campaign.figures)]
        parts += [(f"{report.by}={cell.cell}", cell.figures) for cell in campaign.cells]
        for part, figures in parts:
            head = {"campaign_id": campaign.campaign_id, "part": part, "hidden": figures is None}
            found.append(head | _flat(figures))
    return found


def _rows_of_stores(report: StoresReport) -> list[Row]:
    """A row for each store and for each of its days, places and ways; ``what`` tells which."""
    found: list[Row] = []
    for store in report.stores:
        figures = msgspec.to_builtins(store.figures) if store.figures else {}
        parts = {name: figures.pop(name, []) for name in ("days", "places", "paths")}
        head = {"store_id": store.store_id, "what": "store", "hidden": store.figures is None}
        found.append(head | _flat(figures))
        for name, more in parts.items():
            for one in more:
                is_hidden = one.get("visits", one.get("count")) is None
                what = {"what": name.removesuffix("s"), "hidden": is_hidden}
                found.append({"store_id": store.store_id} | what | one)
    return found


def _flat(value: object, name: str = "") -> Row:
    """What is nested, side by side.

    >>> _flat({"revenue": {"EUR": 3.5}, "people": 20})
    {'revenue_EUR': 3.5, 'people': 20}
    """
    told = msgspec.to_builtins(value)
    if not isinstance(told, dict):
        return {name: told} if name else {}
    found: Row = {}
    for key, inner in told.items():
        found |= _flat(inner, f"{name}_{key}" if name else str(key))
    return found


def _columns(table: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in table for name in row))


def _write_csv(table: list[Row], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _columns(table))
        writer.writeheader()
        for row in table:
            writer.writerow({name: _safe(value) for name, value in row.items()})


def _safe(value: object) -> object:
    is_formula = isinstance(value, str) and value.startswith(_FORMULAS)
    return f"'{value}" if is_formula else value


def _write_parquet(table: list[Row], path: Path) -> None:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ExportError("Parquet needs pyarrow: pip install geoengine[export]") from error
    names = _columns(table)
    columns = pyarrow.table({name: [row.get(name) for row in table] for name in names})
    pyarrow.parquet.write_table(columns, path)
