-- Attempts on hosts of the fleet are counted for each host by itself, so that one host locks nobody out on the others.
CREATE TABLE host_attempts (
    user            INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    host            TEXT NOT NULL REFERENCES host (id) ON DELETE CASCADE,
    attempts        INTEGER NOT NULL CHECK (attempts >= 0),
    cleared_through INTEGER NOT NULL CHECK (cleared_through >= 0),
    locked_until    INTEGER,
    PRIMARY KEY (user, host)
) STRICT;
CREATE INDEX host_attempts_of_host ON host_attempts (host);
