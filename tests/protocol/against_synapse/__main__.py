"""Compares histories, with progress: python -m against_synapse HISTORIES SEED [FIRST]

History NUMBER of a SEED is always the same one: `… 1 SEED NUMBER` compares it alone. Ends with the counts, and exits
with 1 if anything differs for which `explained` has no entry. The last line is one line of JSON.
"""

import json
import sys
import time
from collections import Counter

from against_synapse.comparison import compare_history
from against_synapse.explained import explain

PROGRESS_SECONDS = 5


def main(histories: int, seed: str, first: int) -> int:
    began = said = time.monotonic()
    counts: Counter[str] = Counter()
    versions: Counter[str] = Counter()
    explained: Counter[str] = Counter()
    unexplained = 0
    for number in range(first, first + histories):
        comparison = compare_history(f"{seed}/{number}")
        counts.update(comparison.counts)
        versions[comparison.history.room_version.name] += 1
        for difference in comparison.differences:
            explanation = explain(difference)
            if explanation is None:
                unexplained += 1
                print(f"history {number}: {difference}", flush=True)
            else:
                explained[explanation.synapse] += 1
        if time.monotonic() - said > PROGRESS_SECONDS:
            said = time.monotonic()
            print(f"{number - first + 1} of {histories} histories", file=sys.stderr, flush=True)
    print("\nSynapse, unlike the specification, …")
    for synapse, count in explained.most_common():
        print(f"  {count:6}  {synapse}")
    result = {
        "histories": histories,
        "seed": seed,
        "by version": {name: versions[name] for name in sorted(versions, key=int)},
        **counts,
        "explained differences": explained.total(),
        "unexplained differences": unexplained,
        "seconds": round(time.monotonic() - began, 1),
    }
    print()
    for what, count in result.items():
        print(f"{what:24} {count}")
    print(json.dumps(result))
    return 1 if unexplained else 0


if __name__ == "__main__":
    amount, name, *rest = sys.argv[1:]
    sys.exit(main(int(amount), name, int(rest[0]) if rest else 0))
