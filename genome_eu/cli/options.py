"""Options that several commands take."""

from __future__ import annotations

from collections.abc import Sequence

from genome_eu.errors import UsageError


def pairs(given: Sequence[str] | None) -> dict[str, str]:
    """`NAME=VALUE` options of the exchange's client as a dictionary.

    Raises
    ------
    UsageError
        One is not of that form.
    """
    options = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise UsageError(f"--exchange-option {text}: write NAME=VALUE")
        options[name] = value
    return options
