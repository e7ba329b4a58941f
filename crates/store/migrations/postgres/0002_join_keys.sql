-- On a server: keys with which many hosts may join.
CREATE TABLE join_key (
    name       text COLLATE "C" PRIMARY KEY,
    digest     bytea NOT NULL UNIQUE, -- SHA-256 of the secret
    names      text COLLATE "C" NOT NULL, -- the pattern that the names of its hosts match
    services   text COLLATE "C" NOT NULL, -- as in host, and so are the next two
    people     text COLLATE "C",
    may_enrol  bigint NOT NULL CHECK (may_enrol IN (0, 1)),
    uses       bigint NOT NULL, -- how many hosts may join with it
    hourly     bigint NOT NULL, -- and how many within an hour
    host_lives bigint,          -- seconds of silence after which a host of it is removed; NULL: it never is
    added_at   bigint NOT NULL,
    until      bigint NOT NULL,
    used       bigint NOT NULL DEFAULT 0,
    used_at    bigint,
    hour_at    bigint,          -- when the hour began in which hosts are counted
    hour_used  bigint NOT NULL DEFAULT 0
);

ALTER TABLE host ADD COLUMN join_key text COLLATE "C"; -- the name of the key with which it joined; NULL: it had a token of its own
ALTER TABLE host ADD COLUMN lives bigint;    -- seconds of silence after which it is removed; NULL: it never is
ALTER TABLE host ADD COLUMN heard_at bigint; -- when it last asked about itself; kept where it has lives
-- How it joined: SHA-256 of the token's secret, the address it came from, and SHA-256 of its public key then.
ALTER TABLE host ADD COLUMN used_token bytea;
ALTER TABLE host ADD COLUMN joined_from text COLLATE "C";
ALTER TABLE host ADD COLUMN joined_key bytea;
CREATE INDEX host_of_used_token ON host (used_token) WHERE used_token IS NOT NULL;
CREATE INDEX host_that_lives ON host (joined_at) WHERE lives IS NOT NULL;
