"""Audience expressions: ``status == "premium" and points >= 300``.

The language is rule-engine's: comparisons, ``and``, ``or``, ``not``, ``in``, lists, ``=~``. It has
no way to reach Python. It is compiled when the catalogue is read, and asked about a person's
attributes and what the engine knows of them (`standing`); what is missing is null, and an
expression that cannot be answered (null compared with a number) means no.

Asking the library takes about ten microseconds, so answers are remembered by the values of the
attributes that the expression names: people with the same ones get the same answer.

The library builds its parser's tables when it is imported, most of a second: it is imported with
the first expression, and a catalogue without any never waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

# The library's own clock is out of bounds: the same trace must always give the same answer.
_CLOCK_WORDS = ("$now", "$today")
_BUILT_IN = "$"  # what begins with it may depend on more than the attributes
ANSWERS_KEPT = 1_024  # a quarter of a megabyte an expression


class AudienceError(ValueError):
    """The expression does not compile; the text says what is wrong with it."""


class Audience:
    """A compiled expression."""

    __slots__ = ("_answer", "_fault", "_names", "_rule", "asks", "text")

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
        self._names = () if _BUILT_IN in text else tuple(sorted(context.symbols))
        # What it asks about; None for an expression that may ask about anything.
        self.asks = None if _BUILT_IN in text else frozenset(self._names)
        # By type as well: the language tells 1 from true, which are one key to Python.
        self._answer: Callable[..., bool] = lru_cache(ANSWERS_KEPT, typed=True)(self._ask_of)

    def includes(self, attributes: dict[str, Any]) -> bool:
        """Whether a person with these attributes belongs to the audience.

        >>> Audience('status == "premium" and points >= 300').includes({"status": "premium"})
        False
        """
        if not self._names:
            return self._ask(attributes)
        try:
            return self._answer(*map(attributes.get, self._names))
        except TypeError:  # a list or an object among the values: no key to remember it by
            return self._ask(attributes)

    def _ask_of(self, *values: Any) -> bool:
        """The answer for the values of the attributes named; one that is missing is null."""
        return self._ask(dict(zip(self._names, values, strict=True)))

    def _ask(self, attributes: dict[str, Any]) -> bool:
        try:
            return bool(self._rule.matches(attributes))
        except (self._fault, TypeError, ValueError):
            return False
