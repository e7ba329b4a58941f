-- The method a login begins with, where its owner said so.
ALTER TABLE user ADD COLUMN preferred TEXT CHECK (preferred IN ('app', 'email', 'sms'));

-- Whose a verified address is. Upper and lower case make no other mailbox in practice.
CREATE INDEX user_of_email ON user (email COLLATE NOCASE) WHERE email_verified = 1;
CREATE INDEX user_of_phone ON user (phone) WHERE phone_verified = 1;

-- Codes that began to be sent within the last day. Rows are added at the end and removed at the beginning only, so that
-- numbers have no gaps; and `at` never falls from one number to the next.
CREATE TABLE send (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    name    TEXT NOT NULL,
    uid     INTEGER NOT NULL,
    address TEXT NOT NULL, -- in lower case
    is_notice INTEGER NOT NULL CHECK (is_notice IN (0, 1))
) STRICT;

CREATE INDEX send_of_user ON send (name, uid);
CREATE INDEX send_to_address ON send (address);

-- What carries codes. AUTOINCREMENT: an id is never given to another row, because sealed settings are bound to it.
CREATE TABLE provider (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL UNIQUE,
    kind       TEXT NOT NULL,
    title      TEXT,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;

-- What a provider was told; what is secret is sealed.
CREATE TABLE provider_setting (
    provider INTEGER NOT NULL REFERENCES provider (id) ON DELETE CASCADE,
    key      TEXT NOT NULL,
    value    TEXT,
    sealed   BLOB,
    PRIMARY KEY (provider, key),
    CHECK ((value IS NULL) <> (sealed IS NULL))
) STRICT, WITHOUT ROWID;

-- Which providers serve a method, in the order in which they are tried.
CREATE TABLE method_provider (
    method   TEXT NOT NULL CHECK (method IN ('email', 'sms')),
    position INTEGER NOT NULL,
    provider INTEGER NOT NULL REFERENCES provider (id) ON DELETE CASCADE,
    PRIMARY KEY (method, position),
    UNIQUE (method, provider)
) STRICT, WITHOUT ROWID;

-- Rises with every change of providers or their order. One row.
CREATE TABLE provider_version (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL
) STRICT;

INSERT INTO provider_version (id, version) VALUES (1, 0);

-- What people are still to be told. It stays when the user is removed: that is told as well.
-- AUTOINCREMENT: who says of one that it was sent must not mean another.
CREATE TABLE notice (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    name    TEXT NOT NULL,
    uid     INTEGER NOT NULL,
    method  TEXT NOT NULL CHECK (method IN ('email', 'sms')),
    address TEXT NOT NULL,
    what    TEXT NOT NULL,
    source  TEXT,
    at      INTEGER NOT NULL,
    due_at  INTEGER NOT NULL,
    tries   INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX notice_due ON notice (due_at, id);
CREATE INDEX notice_of_user ON notice (name, uid, id);
