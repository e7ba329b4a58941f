-- Attempts of people who may not have shown the first factor. They are counted apart, so that a stranger locks nobody's
-- account.
CREATE TABLE unproved (
    user         INTEGER PRIMARY KEY REFERENCES user (id) ON DELETE CASCADE,
    counted      INTEGER NOT NULL CHECK (counted >= 0),
    forgiven     INTEGER NOT NULL CHECK (forgiven >= 0),
    locked_until INTEGER
) STRICT;

-- Who asked for a login as somebody else: PAM_RUSER of su and sudo.
ALTER TABLE event ADD COLUMN remote_user TEXT;

-- From where a code was asked for that nobody has typed yet; NULL: it was typed, or is a notice.
ALTER TABLE send ADD COLUMN place TEXT;
