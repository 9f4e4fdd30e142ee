-- For who fades: those last active between two times (`storage.presence`).
CREATE INDEX presence_by_activity ON presence (last_active_ts);
