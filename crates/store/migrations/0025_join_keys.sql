-- On a server: keys with which many hosts may join.
CREATE TABLE join_key (
    name       TEXT PRIMARY KEY,
    digest     BLOB NOT NULL UNIQUE, -- SHA-256 of the secret
    names      TEXT NOT NULL,        -- the pattern that the names of its hosts match
    services   TEXT NOT NULL,        -- as in host, and so are the next two
    people     TEXT,
    may_enrol  INTEGER NOT NULL CHECK (may_enrol IN (0, 1)),
    uses       INTEGER NOT NULL,     -- how many hosts may join with it
    hourly     INTEGER NOT NULL,     -- and how many within an hour
    host_lives INTEGER,              -- seconds of silence after which a host of it is removed; NULL: it never is
    added_at   INTEGER NOT NULL,
    until      INTEGER NOT NULL,
    used       INTEGER NOT NULL DEFAULT 0,
    used_at    INTEGER,
    hour_at    INTEGER,              -- when the hour began in which hosts are counted
    hour_used  INTEGER NOT NULL DEFAULT 0
) STRICT;

ALTER TABLE host ADD COLUMN join_key TEXT;      -- the name of the key with which it joined; NULL: it had a token of its own
ALTER TABLE host ADD COLUMN lives INTEGER;      -- seconds of silence after which it is removed; NULL: it never is
ALTER TABLE host ADD COLUMN heard_at INTEGER;   -- when it last asked about itself; kept where it has lives
-- How it joined: SHA-256 of the token's secret, the address it came from, and SHA-256 of its public key then.
ALTER TABLE host ADD COLUMN used_token BLOB;
ALTER TABLE host ADD COLUMN joined_from TEXT;
ALTER TABLE host ADD COLUMN joined_key BLOB;
CREATE INDEX host_of_used_token ON host (used_token) WHERE used_token IS NOT NULL;
CREATE INDEX host_that_lives ON host (joined_at) WHERE lives IS NOT NULL;
