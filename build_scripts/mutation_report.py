"""Tells what a mutation run found: each mutant that no test noticed, why that is, and the share of those that were.

    python mutation_report.py FOLDER    the folder `mutants` of mutmut; run where it lies

Ends with 1 if fewer than 90 % were noticed. mutmut changes the bodies of functions; a module's tables and properties it
leaves alone.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

WANTED: Final = 0.9
NOTICED: Final = {1, 3, 36, 24, -24, 152, 255}
"""How pytest ends when a test fails, and what ends it where a mutant goes on for ever."""
UNNOTICED: Final = {0, 5, 33}
"""All tests pass, or no test comes that way."""

EXPLAINED: Final = {
    "or True else difference": "asks about an empty difference, and gets an empty one",
    "visited.add(None)": "visits what was visited once more: slower, never different",
    "named.add(None)": "visits what was visited once more: slower, never different",
    "step = None": "looks at each entry instead of comparing them at a stroke: slower",
    "islice(one.values(), None)": "the comparison ends with the shorter of the two in any case",
    "if len(other) >= len(one) - missing:": "looks for more keys where there are none: slower",
    "            position = None": "the way that is taken where the shortcut does not apply: slower",
    "self._agreed.get(None)": "an entry that is looked up again: slower",
    'self.turn: Event | None = ""': "it is set before it is asked for",
    "state[CREATE] = None": "a create event is no power event: what its sender's level is orders nothing",
    "if event.type == CREATE[1]:": "a create event is no power event: what its sender's level is orders nothing",
    "if len(event_ids) >= 1": "an only candidate wins as one of one, too",
    "digest(), )": "big-endian is the default",
    "positions[power_levels] = None": "matters in a cycle alone, which event IDs that are hashes rule out",
    "(len(state_set) > len(unconflicted)) or True": "goes through a state that has nothing in conflict: slower",
    "if len(state_set) >= len(unconflicted)": "goes through a state that has nothing in conflict: slower",
    "if (math.isfinite(value)) or True": "JSON has no infinity; parse_json refuses it",
    "_Change(None,": "a group that is no object is refused, whatever its change is called",
    "_Change(group, None,": "a group that is no object is refused, whatever its change is called",
    '_Change(group, "XXXX",': "a group that is no object is refused, whatever its change is called",
    "is_readable=None": "None is as false as False",
    "        None,": "the name of no group is only ever asked whether it is empty",
    "old.get(group, None)": "what is no object is taken for an empty one in the next line but one",
    "old.get(group, )": "what is no object is taken for an empty one in the next line but one",
    "old = None": "unreadable old levels with nothing new: there is no key to look at",
    "if (isinstance(creator, str)) or True else None": "a creator that is no text equals no user ID",
    "if (creator is None) and False": "None in the set of creators equals no user ID",
}
"""What a line of a mutant's difference contains, and why the mutant behaves the same."""


def read_exit_codes(folder: Path) -> dict[str, int | None]:
    """How the tests ended for each mutant; None where they did not run."""
    codes: dict[str, int | None] = {}
    for path in sorted(folder.rglob("*.meta")):
        codes |= json.loads(path.read_text())["exit_code_by_key"]
    return codes


def changed_lines(mutant: str) -> Iterator[str]:
    command = [str(Path(sys.executable).with_name("mutmut")), "show", mutant]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for line in shown.splitlines():
        if line.startswith(("+", "-")) and not line.startswith(("+++", "---")):
            yield line


def explain(lines: list[str]) -> str:
    for part, reason in EXPLAINED.items():
        if any(part in line for line in lines if line.startswith("+")):
            return reason
    return "NOT EXPLAINED: a test is missing"


def main(folder: str) -> int:
    codes = read_exit_codes(Path(folder))
    survivors = [mutant for mutant, code in codes.items() if code in UNNOTICED]
    unknown = [mutant for mutant, code in codes.items() if code not in NOTICED | UNNOTICED]
    for mutant in survivors:
        lines = list(changed_lines(mutant))
        print(mutant, *lines, f"    {explain(lines)}", "", sep="\n")
    noticed = len(codes) - len(survivors) - len(unknown)
    share = noticed / len(codes) if codes else 0
    print(f"{len(codes)} mutants, {noticed} noticed ({share:.1%}), {len(survivors)} not, {len(unknown)} not run")
    return 0 if share >= WANTED and not unknown else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
