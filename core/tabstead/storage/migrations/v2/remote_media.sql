-- Media of other servers that somebody here asked for. Kept for a while after the last use.
CREATE TABLE remote_media (
    server_name TEXT NOT NULL,
    media_id TEXT NOT NULL,
    used_ts INTEGER NOT NULL,                     -- the day, roughly, on which somebody last asked for it
    content_type TEXT NOT NULL,
    filename TEXT,
    blob_nid INTEGER NOT NULL,
    PRIMARY KEY (server_name, media_id)
) WITHOUT ROWID;
CREATE INDEX remote_media_by_use ON remote_media (used_ts);
CREATE INDEX remote_media_by_blob ON remote_media (blob_nid);
