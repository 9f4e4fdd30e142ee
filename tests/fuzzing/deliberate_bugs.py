"""Mistakes that a federating server could make, put in by name: what finds none of them is no test."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from tabstead.federation import inbound
from tabstead.federation.sending import Sending
from tabstead.rooms import persist, receive


def tell_nobody_later() -> None:
    """A server that can't be reached is owed nothing any more."""
    original = Sending._send

    async def send(sending: Sending, *arguments: Any) -> bool:
        await original(sending, *arguments)
        return True

    Sending._send = send  # type: ignore[method-assign]


def forget_what_waits() -> None:
    """An event that must wait for others is acknowledged, and not kept."""
    inbound.insert_staged_pdu = lambda *_: None  # type: ignore[attr-defined, assignment]


def take_the_first_state() -> None:
    """Where the states after several events differ, one of them wins as a whole."""

    def resolve(db: Any, room: Any, snapshots: Any) -> int:
        return int(snapshots[0])

    receive.resolve_snapshots = persist.resolve_snapshots = resolve  # type: ignore[attr-defined]


BUGS: Final[Mapping[str, Callable[[], None]]] = {
    "forget-what-waits": forget_what_waits,
    "take-the-first-state": take_the_first_state,
    "tell-nobody-later": tell_nobody_later,
}
