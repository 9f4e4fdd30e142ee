-- Places in rooms' timelines where events of others are missing, and the free positions there.
CREATE TABLE gaps (
    room_nid INTEGER NOT NULL,
    top INTEGER NOT NULL,                         -- the position of the event above the gap
    bottom INTEGER NOT NULL,                      -- the next free position: above it is what was found of the gap's events
    floor INTEGER NOT NULL,                       -- the last of the free positions
    missing TEXT NOT NULL,                        -- JSON array: the events to ask for next; what is above refers to them
    PRIMARY KEY (room_nid, top)
) WITHOUT ROWID;
