"""What people said, as a database has it.

    .venv/bin/python tests/helpers/stored_messages.py DATABASE

Prints JSON: a list of [event id, text of the message]. The core's own storage reads it, for the rows are compact.
"""

import json
import sqlite3
import sys
from pathlib import Path

from tabstead.storage.events import select_events


def main(path: Path) -> None:
    with sqlite3.connect(path) as db:
        event_nids = [event_nid for (event_nid,) in db.execute("SELECT event_nid FROM events").fetchall()]
        events = [stored.event for stored in select_events(db, event_nids).values()]
        messages = [event for event in events if event.type == "m.room.message"]
        print(json.dumps([[message.event_id, message.content.get("body")] for message in messages]))
    db.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
