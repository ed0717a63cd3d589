"""Reports as tables on a terminal."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table

from geoengine.service.wire.reports import (
    CampaignReport,
    CampaignsReport,
    Figures,
    LiftOut,
    StoreReport,
    StoresReport,
)

_WIDE = 200  # columns of a table that goes to a file


def print_report(report: CampaignsReport | StoresReport, terminal: Console) -> None:
    """A report as a table; as wide as it is where nobody is looking."""
    console = terminal
    if not terminal.is_terminal:
        console = Console(stderr=terminal.stderr, width=_WIDE)
    if isinstance(report, CampaignsReport):
        console.print(_campaigns_table(report))
    else:
        console.print(_stores_table(report))
    few = f"- is fewer than {report.people_min} people"
    click.echo(f"{report.from_} to {report.to}; {few}", err=terminal.stderr)


_HEADS = ("people", "entries", "eligible", "sent", "delivered", "opened", "clicked", "visits",
          "redeemed", "revenue", "cost", "opt-outs")  # fmt: skip


def _campaigns_table(report: CampaignsReport) -> Table:
    table = Table("campaign", report.by or "part", *_HEADS, "lift", "ratio")
    for campaign in report.campaigns:
        for part, figures in _parts(campaign):
            table.add_row(campaign.campaign_id, part, *_figures(figures), *_lift(figures))
    if report.lift is not None:
        table.add_row("all campaigns", "", *[""] * len(_HEADS), *_lift_words(report.lift))
    return table


def _parts(campaign: CampaignReport) -> list[tuple[str, Figures | None]]:
    return [("all", campaign.figures), *((cell.cell, cell.figures) for cell in campaign.cells)]


def _figures(one: Figures | None) -> list[str]:
    if one is None:
        return ["-"] * len(_HEADS)
    counts = (one.people, one.entries, one.eligible, one.sent, one.delivered, one.opened,
              one.clicked, one.visits, one.redemptions)  # fmt: skip
    told = [f"{count:,.1f}".removesuffix(".0") for count in counts]
    return [*told, _money(one.revenue), _money(one.cost), f"{one.opt_outs:,}"]


def _money(amounts: dict[str, float] | None) -> str:
    """Amounts of each currency; what few people paid is not told.

    >>> _money({"CHF": 7.5, "EUR": 1_234_567.0}), _money(None)
    ('7.50 CHF, 1,234,567.00 EUR', '-')
    """
    if amounts is None:
        return "-"
    return ", ".join(f"{amount:,.2f} {currency}" for currency, amount in amounts.items())


def _lift(one: Figures | None) -> tuple[str, str]:
    return ("", "") if one is None or one.lift is None else _lift_words(one.lift)


def _lift_words(lift: LiftOut) -> tuple[str, str]:
    """The lift in points of a hundred people, with its interval, or that none is shown."""
    if lift.difference is None or lift.low is None or lift.high is None:
        return lift.verdict.replace("_", " "), ""
    scale, unit = (1.0, "") if lift.outcome == "revenue" else (100.0, " of 100")
    span = f"{lift.low * scale:+.1f} to {lift.high * scale:+.1f}"
    told = f"{lift.difference * scale:+.1f}{unit} ({span})"
    if lift.verdict == "not_shown":
        return f"not shown ({span})", ""
    return told, "" if lift.ratio is None else f"{lift.ratio:.2f}"


def _stores_table(report: StoresReport) -> Table:
    table = Table("store", "visits", "people", "a day", "median stay", "came again", "hottest")
    for store in report.stores:
        table.add_row(store.store_id, *_store_words(store))
    return table


def _store_words(store: StoreReport) -> list[str]:
    one = store.figures
    if one is None:
        return ["-"] * 6
    hottest = one.places[0].place if one.places and one.places[0].heat else ""
    return [
        f"{one.visits:,}",
        f"{one.people:,}",
        f"{one.visits / max(len(one.days), 1):,.1f}",
        f"{one.dwell.median / 60:,.0f} min",
        f"{one.return_rate:.0%}",
        hottest,
    ]
