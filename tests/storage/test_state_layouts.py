"""Each layout of the state history that is measured, held to the plain map at every snapshot of random histories."""

import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from state_layouts import LAYOUTS, Layout
from state_layouts.layout import Addition, difference
from state_layouts.workloads import History, Step, apply, churn, order_hazard

TUPLES = 8
CHOICES = st.lists(
    st.tuples(
        st.sampled_from(["next", "fork", "merge", "return", "remove"]),
        st.integers(0, 1000),
        st.integers(1, TUPLES),
        st.integers(0, 1000),
    ),
    max_size=40,
)


def history_of(choices: list[tuple[str, int, int, int]]) -> History:
    """A new event sets a tuple each time, on the last state or an earlier one; or a state takes something from another.

    What brings back old events is the outcome of a resolution: in a state after one event, that event is new.
    """
    history = History(tuples=[("type", str(number)) for number in range(1, TUPLES + 1)])
    states: list[dict[int, int]] = []
    for event, (what, earlier, number, other) in enumerate(choices, 1):
        base = None if not states else len(states) - 1
        if states and what == "fork":
            base = earlier % len(states)
        state = {} if base is None else states[base]
        changes = {number: event}
        resolved = bool(states) and what in ("merge", "return", "remove")
        if resolved:
            wanted = states[other % len(states)]
            if what == "merge":
                wanted = {**state, **{key: wanted[key] for key in wanted if key <= number}}
            elif what == "remove":
                wanted = {key: nid for key, nid in state.items() if key != number}
            changes = {key: wanted.get(key, 0) for key in state.keys() | wanted if state.get(key) != wanted.get(key)}
        if changes:
            history.steps.append(Step(base, changes, resolved))
            states.append(apply(state, changes))
    return history


def kept_by(layout_name: str, history: History) -> tuple[Layout, list[int]]:
    """The history in a layout, and its snapshots."""
    layout = LAYOUTS[layout_name](sqlite3.connect(":memory:", isolation_level=None), history.tuples)
    snapshots: list[int] = []
    for step, before, after in history.states():
        base = None if step.base is None else snapshots[step.base]
        snapshots.append(
            layout.add(Addition(base=base, changes=step.changes, before=before, after=after, resolved=step.resolved))
        )
    return layout, snapshots


def wrong_states(layout: Layout, snapshots: list[int], history: History) -> Iterator[int]:
    for number, (snapshot, (_, _, state)) in enumerate(zip(snapshots, history.states(), strict=True)):
        if layout.read(snapshot) != state:
            yield number


@pytest.mark.parametrize("name", LAYOUTS)
@settings(max_examples=50, deadline=None)
@given(choices=CHOICES)
def test_every_layout_equals_the_plain_map_at_every_snapshot(
    name: str, choices: list[tuple[str, int, int, int]]
) -> None:
    history = history_of(choices)
    layout, snapshots = kept_by(name, history)

    states = [history.state_of(number) for number in range(len(history.steps))]
    for snapshot, state in zip(snapshots, states, strict=True):
        assert layout.read(snapshot) == state
        assert {key: layout.find(snapshot, key) for key in range(1, TUPLES + 1)} == {
            key: state.get(key) for key in range(1, TUPLES + 1)
        }
        assert layout.diff(snapshots[0], snapshot) == difference(states[0], state)
    layout.db.close()


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_long_history_with_many_forks_is_right(name: str) -> None:
    """Long enough for whole states in between, for full segments, for several epochs."""
    history = churn(members=20, events=900, forked=0.3)
    layout, snapshots = kept_by(name, history)

    assert list(wrong_states(layout, snapshots, history)) == []
    layout.db.close()


def test_returning_to_an_older_event_is_right_here_and_wrong_where_sharing_decides() -> None:
    history = order_hazard(members=10, events=500)
    wrong = {}
    for name in LAYOUTS:
        layout, snapshots = kept_by(name, history)
        wrong[name] = len(list(wrong_states(layout, snapshots, history)))
        layout.db.close()

    assert wrong.pop("dendrite") > 0
    assert wrong == {"tabstead": 0, "synapse": 0, "conduit": 0}


def test_equal_states_share_a_snapshot_in_histories_of_any_length() -> None:
    history = churn(members=20, events=900, forked=0.3)
    layout, snapshots = kept_by("tabstead", history)
    by_state = {}
    for snapshot, (_, _, state) in zip(snapshots, history.states(), strict=True):
        assert by_state.setdefault(frozenset(state.items()), snapshot) == snapshot
    for number in (100, 500, len(snapshots) - 1):
        earlier, base = history.state_of(number // 2), history.state_of(number)
        back = {key: event for key, (event, _) in difference(earlier, base).items()}
        addition = Addition(base=snapshots[number], changes=back, before=base, after=earlier, resolved=True)
        assert layout.add(addition) == snapshots[number // 2]
    layout.db.close()
