-- Keys in FIDO2 authenticators, with which users log in by ssh. `identity` is the public key on the wire, its application
-- included: a certificate and its renewal are the same key.
CREATE TABLE security_key (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    user          INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    label         TEXT NOT NULL,
    identity      BLOB NOT NULL,
    fingerprint   TEXT NOT NULL,
    enrolled_at   INTEGER NOT NULL,
    confirmed_at  INTEGER, -- sshd proved that the user holds it; NULL: not yet
    without_touch INTEGER NOT NULL CHECK (without_touch IN (0, 1)),
    UNIQUE (user, identity),
    UNIQUE (user, label)
) STRICT;
