-- A login is recognised in the account phase by a number that the module keeps, not by its process: a process can serve several
-- logins at once, and another one may reach that phase. Tickets live for minutes, so none is carried over.
DROP TABLE ticket;
CREATE TABLE ticket (
    id           INTEGER PRIMARY KEY,
    number       INTEGER NOT NULL UNIQUE,
    boot         TEXT NOT NULL,
    pid          INTEGER NOT NULL,
    start        INTEGER NOT NULL,
    parent       INTEGER,
    parent_start INTEGER,
    name         TEXT NOT NULL,
    uid          INTEGER NOT NULL,
    is_confirmed INTEGER NOT NULL CHECK (is_confirmed IN (0, 1)),
    at           INTEGER NOT NULL,
    login        TEXT NOT NULL -- JSON
) STRICT;
CREATE INDEX ticket_of_process ON ticket (boot, pid, start);
CREATE INDEX ticket_of_parent ON ticket (boot, parent, parent_start);
CREATE INDEX ticket_of_user ON ticket (name, uid);
CREATE INDEX ticket_at ON ticket (at);
