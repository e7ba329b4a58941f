-- What people set for themselves, and where codes could be sent.
ALTER TABLE user ADD COLUMN verify TEXT NOT NULL DEFAULT 'new-device';
ALTER TABLE user ADD COLUMN email TEXT;
ALTER TABLE user ADD COLUMN email_verified INTEGER NOT NULL DEFAULT 0 CHECK (email_verified IN (0, 1));
ALTER TABLE user ADD COLUMN phone TEXT;
ALTER TABLE user ADD COLUMN phone_verified INTEGER NOT NULL DEFAULT 0 CHECK (phone_verified IN (0, 1));

-- Attempts are numbered; those up to `forgiven` are no failures any more.
ALTER TABLE user RENAME COLUMN failures TO counted;
ALTER TABLE user ADD COLUMN forgiven INTEGER NOT NULL DEFAULT 0 CHECK (forgiven >= 0);

-- Rises with every change of methods: what was begun before one is not finished after it.
ALTER TABLE user ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;

CREATE INDEX user_of_uid ON user (uid);

-- When a code was right for the last time, and the event of it: failures after it have not been told yet.
ALTER TABLE user ADD COLUMN passed_at INTEGER;
ALTER TABLE user ADD COLUMN passed_event INTEGER NOT NULL DEFAULT 0;

-- An app whose key was shown and whose first code has not come back yet. `key` is sealed.
CREATE TABLE pending_app (
    user      INTEGER PRIMARY KEY REFERENCES user (id) ON DELETE CASCADE,
    period    INTEGER CHECK (period > 0),
    algorithm TEXT NOT NULL,
    digits    INTEGER NOT NULL,
    key       BLOB NOT NULL,
    shown_to  TEXT NOT NULL, -- where it was shown; nowhere else it is shown again
    made_at   INTEGER NOT NULL
) STRICT;

-- Rules for the members of a group; the first that fits holds.
CREATE TABLE class (
    name       TEXT PRIMARY KEY,
    position   INTEGER NOT NULL UNIQUE,
    unix_group TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE class_setting (
    class TEXT NOT NULL REFERENCES class (name) ON DELETE CASCADE,
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (class, key)
) STRICT, WITHOUT ROWID;

-- Who is spared the second factor, why, by whom and until when (NULL: never ends).
CREATE TABLE exemption (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT,
    uid        INTEGER,
    unix_group TEXT,
    network    TEXT,
    service    TEXT,
    reason     TEXT NOT NULL CHECK (reason <> ''),
    granted_by INTEGER NOT NULL,
    granted_at INTEGER NOT NULL,
    until      INTEGER,
    CHECK ((name IS NULL) = (uid IS NULL)),
    CHECK ((name IS NULL) <> (unix_group IS NULL))
) STRICT;
