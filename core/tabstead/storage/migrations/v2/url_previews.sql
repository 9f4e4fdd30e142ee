-- What was found at addresses that clients asked to preview.
CREATE TABLE url_previews (
    url TEXT PRIMARY KEY,
    fetched_ts INTEGER NOT NULL,
    preview TEXT                                  -- JSON; NULL: there was nothing to be had
) WITHOUT ROWID;
CREATE INDEX url_previews_by_age ON url_previews (fetched_ts);
