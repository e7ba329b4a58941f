-- What an administrator set; a key that is not here has its default.
CREATE TABLE setting (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A person something is known of. Name and uid together are the identity.
-- AUTOINCREMENT: an id is never given to another row, because sealed keys are bound to it.
CREATE TABLE user (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT NOT NULL,
    uid          INTEGER NOT NULL,
    required     INTEGER NOT NULL DEFAULT 0 CHECK (required IN (0, 1)),
    failures     INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
    locked_until INTEGER,
    UNIQUE (name, uid)
) STRICT;

-- An authenticator app or token. `key` is sealed; `used` is the highest step or counter accepted.
CREATE TABLE app (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    user        INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    label       TEXT NOT NULL,
    period      INTEGER CHECK (period > 0), -- NULL: it counts presses (HOTP)
    algorithm   TEXT NOT NULL,
    digits      INTEGER NOT NULL,
    key         BLOB NOT NULL,
    used        INTEGER,
    enrolled_at INTEGER NOT NULL,
    UNIQUE (user, label)
) STRICT;

-- A user's set of backup codes and the codes of it that were not used yet.
CREATE TABLE backup_set (
    user       INTEGER PRIMARY KEY REFERENCES user (id) ON DELETE CASCADE,
    salt       BLOB NOT NULL,
    memory_kib INTEGER NOT NULL,
    passes     INTEGER NOT NULL
) STRICT;

CREATE TABLE backup_code (
    user   INTEGER NOT NULL REFERENCES backup_set (user) ON DELETE CASCADE,
    digest BLOB NOT NULL,
    PRIMARY KEY (user, digest)
) STRICT, WITHOUT ROWID;

-- What happened. Only the oldest are ever removed, so that ids rise.
CREATE TABLE event (
    id          INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    name        TEXT,
    uid         INTEGER,
    actor       INTEGER NOT NULL,
    service     TEXT,
    remote_host TEXT,
    terminal    TEXT,
    detail      TEXT
) STRICT;

CREATE INDEX event_of_user ON event (name, id);
