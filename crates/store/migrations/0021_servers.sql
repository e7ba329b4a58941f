-- On a server: the servers of the fleet. One without the time at which it joined may join with its token.
CREATE TABLE fleet_server (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    addresses   TEXT NOT NULL, -- where hosts reach it, with commas between them
    added_at    INTEGER NOT NULL,
    token       BLOB UNIQUE,   -- SHA-256 of the secret with which it may join
    token_until INTEGER,
    package     BLOB,          -- its certificate and key, sealed with that secret
    joined_at   INTEGER,
    seen_at     INTEGER
) STRICT;

-- The key that a host had before it renewed its certificate; until then, what it has begun with it goes on.
ALTER TABLE host ADD COLUMN previous_key BLOB;
ALTER TABLE host ADD COLUMN previous_until INTEGER;
ALTER TABLE host ADD COLUMN renewals INTEGER NOT NULL DEFAULT 0;
-- When two machines turned out to have the key of this host.
ALTER TABLE host ADD COLUMN copied_at INTEGER;
CREATE UNIQUE INDEX host_of_previous_key ON host (previous_key);

-- What a host was given after it joined: where servers are (with commas between them), and a certificate with its key (sealed).
ALTER TABLE joined_fleet ADD COLUMN servers TEXT;
ALTER TABLE joined_fleet ADD COLUMN certificate TEXT;
ALTER TABLE joined_fleet ADD COLUMN key BLOB;
-- The key (sealed) for which it has asked for a certificate.
ALTER TABLE joined_fleet ADD COLUMN next_key BLOB;
