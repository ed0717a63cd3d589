"""Every command can be asked what it does."""

from __future__ import annotations

from collections.abc import Iterator

import click

from geoengine.cli import main


def commands(command: click.Command, words: str) -> Iterator[tuple[str, click.Command]]:
    """A command and all below it, with the words that call it."""
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None, f"{words} {name}"
            yield from commands(found, f"{words} {name}")


def test_every_command_says_what_it_does() -> None:
    said = {
        words: one.get_help(click.Context(one, info_name=words))
        for words, one in commands(main, "geoengine")
    }
    assert "geoengine zones build" in said
    assert "geoengine outbox retry" in said
    assert [words for words, text in said.items() if len(text.split("\n\n")) < 3] == []


def test_every_option_says_what_it_is_for() -> None:
    mute = [
        f"{words} {option.opts[0]}"
        for words, one in commands(main, "geoengine")
        for option in one.params
        if isinstance(option, click.Option) and not option.help
    ]
    assert mute == []
