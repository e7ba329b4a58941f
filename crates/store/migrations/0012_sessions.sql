-- Login sessions, as the module's session hook reported them. A session is known by the process that opened it; whether
-- it still has processes is not known here.
CREATE TABLE session (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL,
    uid         INTEGER NOT NULL,
    boot        TEXT NOT NULL,
    pid         INTEGER NOT NULL,
    start       INTEGER NOT NULL,
    login_uid   INTEGER,
    service     TEXT NOT NULL,
    remote_host TEXT,
    remote_user TEXT,
    terminal    TEXT,
    proof       TEXT,    -- JSON; NULL: no second factor was asked for
    started_at  INTEGER NOT NULL,
    until       INTEGER, -- when it is over its lifetime; NULL: never
    scope       TEXT,    -- the id that systemd-logind gave it, once somebody looked
    closed_at   INTEGER, -- when its program closed it; processes may have stayed
    ended_at    INTEGER, -- when it was found to have no processes
    UNIQUE (boot, pid, start)
) STRICT;
CREATE INDEX session_of_user ON session (name, uid, id);
CREATE INDEX open_session ON session (boot) WHERE ended_at IS NULL;
