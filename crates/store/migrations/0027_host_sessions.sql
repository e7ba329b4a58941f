-- On a server: the login sessions on hosts, which report them. A host reports only those of logins that a server decided about.
CREATE TABLE host_session (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    host         TEXT NOT NULL REFERENCES host (id) ON DELETE CASCADE,
    conversation BLOB NOT NULL CHECK (length(conversation) = 16), -- in which the server decided
    number       INTEGER NOT NULL, -- what the host calls it
    name         TEXT NOT NULL,
    uid          INTEGER NOT NULL,
    service      TEXT NOT NULL,
    remote_host  TEXT,
    remote_user  TEXT,
    terminal     TEXT,
    method       TEXT,             -- the name of what was shown; NULL: no second factor was asked for
    started_at   INTEGER NOT NULL,
    ended_at     INTEGER,
    end_order    INTEGER,          -- the last order to end it
    UNIQUE (host, conversation)
) STRICT;
CREATE INDEX open_host_session ON host_session (host) WHERE ended_at IS NULL;
CREATE INDEX host_session_of_order ON host_session (end_order) WHERE end_order IS NOT NULL;
CREATE INDEX host_session_of_user ON host_session (name, uid, id);

-- On a server: what a host is to do, and when it has said that it is done.
CREATE TABLE host_order (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    host         TEXT NOT NULL REFERENCES host (id) ON DELETE CASCADE,
    asked_at     INTEGER NOT NULL,
    confirmed_at INTEGER
) STRICT;
CREATE INDEX open_host_order ON host_order (host) WHERE confirmed_at IS NULL;

-- On a host: the login that a server decided about, what servers know of its session, and their order to end it.
ALTER TABLE session ADD COLUMN conversation BLOB;
ALTER TABLE session ADD COLUMN reported INTEGER NOT NULL DEFAULT 0; -- 1: that it began; 2: all
ALTER TABLE session ADD COLUMN end_order INTEGER;
CREATE INDEX unreported_session ON session (id) WHERE conversation IS NOT NULL AND reported < 2;

-- On a host: the orders of servers that they do not know to be done.
CREATE TABLE server_order (
    id          INTEGER PRIMARY KEY,
    received_at INTEGER NOT NULL
) STRICT;
