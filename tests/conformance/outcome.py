"""What came of an operation's case, and the table of all of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import pytest

from helpers.homeserver import Answer


@dataclass(frozen=True)
class Outcome:
    """The row of an operation."""

    operation_id: str
    good: str
    bad: str
    problems: tuple[str, ...]
    """Wrong statuses, error codes and bodies; none: the operation is as it is specified."""

    @property
    def is_right(self) -> bool:
        return not self.problems


OUTCOMES: Final = pytest.StashKey[dict[str, Outcome]]()
"""What a run has found so far, by the operations' names."""


def shown(answer: Answer) -> str:
    """An answer as the table has it."""
    errcode = error_code(answer)
    return f"{answer.status} {errcode}" if errcode else str(answer.status)


def error_code(answer: Answer) -> str | None:
    if answer.status < 400 or not answer.headers.get("content-type", "").startswith("application/json"):
        return None
    body = answer.json
    return body.get("errcode") if isinstance(body, dict) else None


def format_table(outcomes: Iterable[Outcome]) -> list[str]:
    """`operation | good | bad | schema`, a line each."""
    rows = [("operation", "good", "bad", "schema")]
    rows += [
        (outcome.operation_id, outcome.good, outcome.bad, "; ".join(outcome.problems) or "valid")
        for outcome in sorted(outcomes, key=lambda each: each.operation_id)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return [
        " | ".join((*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3])) for row in rows
    ]
