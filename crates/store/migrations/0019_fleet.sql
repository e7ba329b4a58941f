-- On a server: the hosts of the fleet. One without a key has not joined yet.
CREATE TABLE host (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    services    TEXT NOT NULL, -- names of PAM services, with commas between them; empty: all
    may_enrol   INTEGER NOT NULL CHECK (may_enrol IN (0, 1)),
    added_at    INTEGER NOT NULL,
    token       BLOB UNIQUE,   -- SHA-256 of the secret with which it may join
    token_until INTEGER,
    key         BLOB UNIQUE,   -- SHA-256 of the public key of its certificate
    key_until   INTEGER,
    joined_at   INTEGER,
    seen_at     INTEGER
) STRICT;

-- On a host: the fleet that it has joined.
CREATE TABLE joined_fleet (
    id        INTEGER PRIMARY KEY CHECK (id = 1),
    fleet     TEXT NOT NULL,
    host      TEXT NOT NULL,
    name      TEXT NOT NULL,
    joined_at INTEGER NOT NULL
) STRICT;

-- On a host: the rules of its fleet that it was last given. They are never older than those that it had before.
CREATE TABLE fleet_policy (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL,
    since   INTEGER NOT NULL,
    rules   TEXT NOT NULL
) STRICT;

-- The number of policy and classes, raised by each change of them. One row.
CREATE TABLE policy_version (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO policy_version (id, version) VALUES (1, 1);

-- The host of the fleet on which it happened; NULL: this machine.
ALTER TABLE event ADD COLUMN host TEXT;
