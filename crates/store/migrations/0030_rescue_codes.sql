-- On a server: the rescue codes of hosts. A host has the hashes of the set that it has confirmed; another may be on its way.
CREATE TABLE rescue_set (
    number       INTEGER PRIMARY KEY, -- random
    host         TEXT NOT NULL REFERENCES host (id) ON DELETE CASCADE,
    salt         BLOB NOT NULL,
    memory_kib   INTEGER NOT NULL,
    passes       INTEGER NOT NULL,
    codes        BLOB NOT NULL,       -- sealed
    digests      BLOB NOT NULL,       -- 32 bytes of each
    made_at      INTEGER NOT NULL,
    confirmed_at INTEGER,             -- when the host first said that it has them
    shown        INTEGER NOT NULL DEFAULT 0, -- so many were shown to administrators, from the first one on
    shown_at     INTEGER,             -- the last of them
    used_at      INTEGER              -- when the host first said that one was used
) STRICT;
CREATE INDEX rescue_set_of_host ON rescue_set (host);
CREATE UNIQUE INDEX confirmed_rescue_set ON rescue_set (host) WHERE confirmed_at IS NOT NULL;
CREATE UNIQUE INDEX next_rescue_set ON rescue_set (host) WHERE confirmed_at IS NULL;

-- On a host: the hashes of its rescue codes, the newest last, until servers know that it has that one.
CREATE TABLE own_rescue_set (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    number     INTEGER NOT NULL UNIQUE, -- what the servers call it
    salt       BLOB NOT NULL,
    memory_kib INTEGER NOT NULL,
    passes     INTEGER NOT NULL,
    digests    BLOB NOT NULL,
    used       INTEGER NOT NULL DEFAULT 0 -- one bit for each code, the lowest for the first
) STRICT;

-- On a host: how many wrong rescue codes there were for an account since the host has the codes.
CREATE TABLE own_rescue_guard (
    name  TEXT NOT NULL,
    uid   INTEGER NOT NULL,
    wrong INTEGER NOT NULL,
    PRIMARY KEY (name, uid)
) STRICT;

-- On a host: uses of rescue codes of which servers do not know.
CREATE TABLE own_rescue_use (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    name    TEXT NOT NULL,
    uid     INTEGER NOT NULL,
    service TEXT NOT NULL,
    at      INTEGER NOT NULL
) STRICT;
