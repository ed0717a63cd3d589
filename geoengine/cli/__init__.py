"""The command line: one file a verb, loaded only when it is asked for."""

from __future__ import annotations

from importlib import import_module

import click

VERBS = {  # by the room that their file is in, in the order in which one meets them
    "serve": "running",
    "check": "catalogue",
    "data": "catalogue",
    "replay": "catalogue",
    "zones": "catalogue",
    "messages": "catalogue",
    "schema": "catalogue",
    "pair": "catalogue",
    "decode": "catalogue",
    "outbox": "asking",
    "send-test": "asking",
    "state": "asking",
    "proof": "asking",
    "suppress": "asking",
    "report": "asking",
    "coupons": "asking",
}


class Verbs(click.Group):
    """Verbs by name of their file, so that `--help` of one does not import all."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, in the order in which one meets them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command in the verb's file."""
        if name not in VERBS:
            return None
        file = f"geoengine.cli.{VERBS[name]}.{name.replace('-', '_')}"
        command: click.Command = import_module(file).command
        return command


def _tell_version(ctx: click.Context, _option: click.Parameter, is_asked: bool) -> None:
    if is_asked and not ctx.resilient_parsing:
        click.echo(import_module("geoengine.cli.version").line())
        ctx.exit()


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_tell_version,
    help="Show the version, whether the compiled part is there, and exit.",
)
def main() -> None:
    """geoengine: who comes near a shop, and the right word at the right moment."""
