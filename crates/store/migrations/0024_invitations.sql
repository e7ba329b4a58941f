-- One-time codes with which users set up their first method in a login on a host of the fleet; the last one of each user.
CREATE TABLE invitation (
    user    INTEGER PRIMARY KEY REFERENCES user (id) ON DELETE CASCADE,
    digest  BLOB NOT NULL,    -- SHA-256 of the code
    made_at INTEGER NOT NULL,
    until   INTEGER NOT NULL,
    used_at INTEGER           -- when the first method was set up
) STRICT;
