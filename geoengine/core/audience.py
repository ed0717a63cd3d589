"""Audience expressions: ``status == "premium" and points >= 300``.

The language is rule-engine's: comparisons, ``and``, ``or``, ``not``, ``in``, lists, ``=~``. It has
no way to reach Python. It is compiled when the catalogue is read, and asked about a person's
attributes; an attribute that is missing is null, and an expression that cannot be answered (null
compared with a number) means no.

The library builds its parser's tables when it is imported, most of a second: it is imported with
the first expression, and a catalogue without any never waits for it.
"""

from __future__ import annotations

from typing import Any

# The library's own clock is out of bounds: the same trace must always give the same answer.
_CLOCK_WORDS = ("$now", "$today")


class AudienceError(ValueError):
    """The expression does not compile; the text says what is wrong with it."""


class Audience:
    """A compiled expression."""

    __slots__ = ("_fault", "_rule", "text")

    def __init__(self, text: str) -> None:
        import rule_engine

        for word in _CLOCK_WORDS:
            if word in text:
                raise AudienceError(f"{word} is not available: use live_from, window or attributes")
        try:
            context = rule_engine.Context(default_value=None)
            self._rule = rule_engine.Rule(text, context=context)
        except rule_engine.errors.EngineError as error:
            raise AudienceError(str(error.message)) from error
        self._fault = rule_engine.errors.EngineError
        self.text = text

    def includes(self, attributes: dict[str, Any]) -> bool:
        """Whether a person with these attributes belongs to the audience.

        >>> Audience('status == "premium" and points >= 300').includes({"status": "premium"})
        False
        """
        try:
            return bool(self._rule.matches(attributes))
        except (self._fault, TypeError, ValueError):
            return False
