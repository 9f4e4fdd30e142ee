-- How far the jobs of the compaction are.
CREATE TABLE compaction (
    job TEXT PRIMARY KEY,
    position TEXT NOT NULL,                       -- JSON: where its next slice begins
    due_ts INTEGER NOT NULL                       -- when its next slice may begin
) WITHOUT ROWID;

-- Whether anything still names a content.
CREATE INDEX media_by_blob ON media (blob_nid) WHERE blob_nid IS NOT NULL;
CREATE INDEX media_thumbnails_by_thumbnail ON media_thumbnails (thumbnail_nid);

-- Which snapshots of a segment events refer to, as far as events were looked at: bit n is snapshot 64 * segment + n.
CREATE TABLE state_references (
    segment INTEGER PRIMARY KEY,
    referred INTEGER NOT NULL
);

-- How many of an epoch's snapshots were in use when it was last swept; NULL: never was.
ALTER TABLE state_epochs ADD COLUMN swept_for INTEGER;
CREATE INDEX state_epochs_by_ground ON state_epochs (ground) WHERE ground <> 0;
