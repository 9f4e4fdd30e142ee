-- What an mxc:// URI of this server names. Uploaded once, never changed.
CREATE TABLE media (
    media_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    created_ts INTEGER NOT NULL,
    expires_ts INTEGER,                           -- the content must have come by then; NULL: it came
    content_type TEXT,
    filename TEXT,
    blob_nid INTEGER                              -- NULL: the content has not come yet
) WITHOUT ROWID;
CREATE INDEX media_pending ON media (user_id, expires_ts) WHERE blob_nid IS NULL;

-- Contents, each stored once however often it was uploaded. Numbers are never used again.
CREATE TABLE media_blobs (
    blob_nid INTEGER PRIMARY KEY AUTOINCREMENT,
    sha256 BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    written INTEGER NOT NULL DEFAULT 0,           -- how many chunks are there, from the first on
    is_complete INTEGER NOT NULL DEFAULT 0,
    touched_ts INTEGER NOT NULL                   -- when a chunk was last written
);
CREATE INDEX media_blobs_incomplete ON media_blobs (touched_ts) WHERE NOT is_complete;

CREATE TABLE media_chunks (
    chunk_nid INTEGER PRIMARY KEY,                -- blob_nid * 65536 + the chunk's number
    data BLOB NOT NULL
);

CREATE TABLE media_thumbnails (
    blob_nid INTEGER NOT NULL,                    -- of the image
    method TEXT NOT NULL,                         -- crop, scale
    width INTEGER NOT NULL,                       -- of the box that it was made for
    height INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    thumbnail_nid INTEGER NOT NULL,               -- blob_nid of the thumbnail
    PRIMARY KEY (blob_nid, method, width, height)
) WITHOUT ROWID;
