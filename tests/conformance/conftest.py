"""Prints what came of the operations: how many are right, each that isn't, and with `pytest -v` the whole table."""

import pytest

from conformance.outcome import OUTCOMES, format_table


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    outcomes = config.stash.get(OUTCOMES, {})
    if not outcomes:
        return
    right = sum(outcome.is_right for outcome in outcomes.values())
    terminalreporter.section("Client-Server API")
    shown = [outcome for outcome in outcomes.values() if config.option.verbose >= 0 or not outcome.is_right]
    for line in format_table(shown) if shown else ():
        terminalreporter.line(line)
    terminalreporter.line(f"{right} of {len(outcomes)} operations are answered as the specification has it.")
