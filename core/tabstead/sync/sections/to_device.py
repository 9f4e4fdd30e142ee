"""To-device messages, in portions. What the client's `since` acknowledges was deleted before (`sync.long_poll`)."""

from typing import Final

from tabstead.protocol.canonical_json import JsonDict
from tabstead.storage.database import Db
from tabstead.storage.to_device import select_to_device_messages
from tabstead.sync.view import SyncView

_PORTION: Final = 100


def changes(db: Db, view: SyncView) -> tuple[list[JsonDict], int]:
    """The next messages, and the position up to which the device has them all then."""
    after = 0 if view.since is None else view.since.to_device
    messages = select_to_device_messages(
        db, view.user_id, view.device_id, after=after, up_to=view.up_to, limit=_PORTION + 1
    )
    portion = messages[:_PORTION]
    position = portion[-1].stream_position if len(messages) > _PORTION else view.up_to
    events = [{"sender": message.sender, "type": message.type, "content": message.content} for message in portion]
    return events, position
