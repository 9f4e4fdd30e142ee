"""What is kept of notifications, in the table that counts them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tabstead.storage.database import Database, Db
from tabstead.storage.push_actions import (
    MAIN,
    delete_old_push_actions,
    insert_push_action,
    select_notifications,
    select_unread_counts,
)

BOB = "@bob:tab.test"


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    database = await Database.open(":memory:")
    yield database
    await database.close()


def notify(db: Db, position: int, thread_id: str = MAIN, actions: Any = ("notify",)) -> None:
    insert_push_action(
        db, BOB, room_nid=1, event_position=position, thread_id=thread_id, highlights=False, actions=actions
    )


def positions(db: Db) -> list[int]:
    found = select_notifications(db, BOB, before=None, limit=100, only_highlights=False)
    return [notification.event_position for notification in found]


async def test_what_lies_far_behind_a_receipt_goes(database: Database) -> None:
    def live(db: Db) -> tuple[list[int], list[int]]:
        for position, thread_id in ((1, MAIN), (2, "$root"), (29_000, MAIN), (30_000, MAIN)):
            notify(db, position, thread_id)
        delete_old_push_actions(db, BOB, 1, MAIN, 30_000)
        threaded = positions(db)
        delete_old_push_actions(db, BOB, 1, "", 30_000)
        return threaded, positions(db)

    assert await database.write(live) == ([30_000, 29_000, 2], [30_000, 29_000])


@pytest.mark.parametrize(
    "actions",
    [
        ["notify"],
        ["notify", {"set_tweak": "sound", "value": "default"}],
        ["notify", {"set_tweak": "highlight"}],
        ["notify", {"set_tweak": "sound", "value": "cakealarm.wav"}, {"set_tweak": "own", "value": {"a": [1]}}],
    ],
)
async def test_actions_are_kept_as_they_were(database: Database, actions: list[Any]) -> None:
    def live(db: Db) -> list[Any]:
        notify(db, 1, actions=actions)
        (notification,) = select_notifications(db, BOB, before=None, limit=1, only_highlights=False)
        return notification.actions

    assert await database.write(live) == actions


async def test_a_repeated_event_counts_once(database: Database) -> None:
    def live(db: Db) -> int:
        notify(db, 1)
        notify(db, 1)
        return select_unread_counts(db, BOB, 1)[MAIN].notifications

    assert await database.write(live) == 1
