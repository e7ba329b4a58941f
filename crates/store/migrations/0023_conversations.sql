-- A login of a host that waits for an answer, so that any server goes on with it.
CREATE TABLE conversation (
    id      BLOB PRIMARY KEY CHECK (length(id) = 16),
    host    TEXT NOT NULL REFERENCES host (id) ON DELETE CASCADE,
    account TEXT NOT NULL,    -- the name of whom it is about
    login   TEXT NOT NULL,    -- what the host said of it, as JSON
    state   TEXT NOT NULL,    -- what the next answer needs, as JSON: of a code that was sent, a keyed hash
    number  INTEGER NOT NULL, -- of the last answer; 0: none yet
    hash    BLOB,             -- of that answer, keyed
    verdict TEXT,             -- on that answer, as JSON; NULL: it was not verified
    reply   TEXT,             -- to that answer, as JSON; NULL: made again from the verdict
    is_over INTEGER NOT NULL CHECK (is_over IN (0, 1)),
    until   INTEGER NOT NULL
) STRICT;
CREATE INDEX conversation_until ON conversation (until);
CREATE INDEX conversation_of_host ON conversation (host) WHERE is_over = 0;
CREATE INDEX conversation_of_account ON conversation (account) WHERE is_over = 0;
