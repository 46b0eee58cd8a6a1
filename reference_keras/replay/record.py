"""What happened while one test ran: did minicnn compute anything, and was it asked for something it does not have?"""

from __future__ import annotations

from dataclasses import dataclass, field


class NotApplicableError(Exception):
    """A test asks for an option that minicnn does not have. The message says which."""


@dataclass
class Record:
    """Counted by the shims, read by the runner, emptied before each test."""

    computed: int = 0  # calls in which the numbers were minicnn's
    reasons: list[str] = field(default_factory=list)  # what minicnn does not have
    others: list[str] = field(default_factory=list)  # Keras's classes and functions that minicnn does not have, as met

    def clear(self) -> None:
        self.computed = 0
        self.reasons = []
        self.others = []

    def refuse(self, reason: str) -> NotApplicableError:
        """The error to raise; remembered, because a test may expect an exception and swallow it."""
        self.reasons.append(reason)
        return NotApplicableError(reason)


RECORD = Record()
