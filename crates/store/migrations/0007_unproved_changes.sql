-- Changes within the last hour that nothing had proved: their user has no method yet.
CREATE TABLE unproved_change (
    id   INTEGER PRIMARY KEY,
    at   INTEGER NOT NULL,
    name TEXT NOT NULL,
    uid  INTEGER NOT NULL
) STRICT;

CREATE INDEX unproved_change_of_user ON unproved_change (name, uid, at);
CREATE INDEX unproved_change_at ON unproved_change (at);
