"""Words from an address as numbers."""

from __future__ import annotations

from minicnn.errors import OptionError, explain

MOST_DIGITS = 9


def whole_word(word: str, name: str) -> int:
    """ "12" -> 12: plain digits, not too many of them. Raises OptionError for anything else.

    >>> whole_word("12", "row")
    12
    """
    if not (word.isascii() and word.isdigit() and len(word) <= MOST_DIGITS):
        raise OptionError(explain(f"{name} as a whole number from 0 on", repr(word[:40])))
    return int(word)
