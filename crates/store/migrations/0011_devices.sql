-- Devices that a code made trusted. `hash` is a keyed hash of what tells the device from others; nothing leads back from it.
CREATE TABLE device (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    user       INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    kind       TEXT NOT NULL,
    hash       BLOB NOT NULL,
    label      TEXT NOT NULL,
    service    TEXT,
    generation INTEGER NOT NULL, -- of the user's methods; a different one ends the trust
    password   BLOB,             -- a keyed hash that changes with the password; NULL: not known
    granted_at INTEGER NOT NULL,
    until      INTEGER NOT NULL,
    used_at    INTEGER NOT NULL,
    lowering   INTEGER NOT NULL DEFAULT 0, -- the last trust_lowering before the grant; 0: there was none
    class      TEXT,             -- the class whose policy gave the duration; NULL: not known
    UNIQUE (user, kind, hash)
) STRICT;
CREATE INDEX device_of_hash ON device (kind, hash);

-- Policy changes that lowered the trust in a kind of devices for a class (NULL: for everybody), to `seconds`. They end the grants
-- before them earlier, without a write to each of what may be millions of rows. Which came first is a matter of numbers, not of
-- clocks.
CREATE TABLE trust_lowering (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    kind    TEXT NOT NULL,
    class   TEXT,
    seconds INTEGER NOT NULL
) STRICT;
CREATE INDEX trust_lowering_of_kind ON trust_lowering (kind, id);

-- The devices with the end of their grants as the lowerings since then leave it. `until` is read only from here.
CREATE VIEW granted_device AS
    SELECT id, user, kind, hash, label, service, generation, password, granted_at, used_at,
        min(until, granted_at + ifnull(
            (SELECT min(seconds) FROM trust_lowering
             WHERE trust_lowering.kind = device.kind AND trust_lowering.id > device.lowering
             AND (trust_lowering.class IS NULL OR device.class IS NULL OR trust_lowering.class = device.class)),
            until - granted_at)) AS until
    FROM device;

-- What root's module learned in `auth` about a login that the account phase has not confirmed yet, or that the session hook
-- has not picked up. Found by the process, or by its parent where sshd's session is opened by another process.
CREATE TABLE ticket (
    id           INTEGER PRIMARY KEY,
    boot         TEXT NOT NULL,
    pid          INTEGER NOT NULL,
    start        INTEGER NOT NULL,
    parent       INTEGER,
    parent_start INTEGER,
    name         TEXT NOT NULL,
    uid          INTEGER NOT NULL,
    is_confirmed INTEGER NOT NULL CHECK (is_confirmed IN (0, 1)),
    at           INTEGER NOT NULL,
    login        TEXT NOT NULL, -- JSON
    UNIQUE (boot, pid, start)
) STRICT;
CREATE INDEX ticket_of_parent ON ticket (boot, parent, parent_start);
CREATE INDEX ticket_at ON ticket (at);

-- Services whose programs were seen to come to the account phase: only there are devices trusted.
CREATE TABLE confirming_service (
    service TEXT PRIMARY KEY,
    at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
