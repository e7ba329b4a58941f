-- On a server: whom a host may ask about, and what it said and did.
ALTER TABLE host ADD COLUMN people TEXT;          -- the group whose members it may ask about; NULL: everybody
ALTER TABLE host ADD COLUMN version TEXT;         -- the version of the twofa there, as the host says
ALTER TABLE host ADD COLUMN people_alarm_at INTEGER; -- when it last asked about too many people
ALTER TABLE host ADD COLUMN cut_off_at INTEGER;   -- since when it may ask only about people who have passed there
ALTER TABLE host ADD COLUMN unlocked_at INTEGER;  -- when an administrator last ended that

ALTER TABLE host_attempts ADD COLUMN passes INTEGER NOT NULL DEFAULT 0 CHECK (passes >= 0);
ALTER TABLE host_attempts ADD COLUMN passed_at INTEGER;
ALTER TABLE host_attempts ADD COLUMN wrong_at INTEGER;

-- The people that a host asked about within the last hour, whether they exist or not.
CREATE TABLE host_person (
    host     TEXT NOT NULL REFERENCES host (id) ON DELETE CASCADE,
    name     TEXT NOT NULL,
    uid      INTEGER NOT NULL,
    asked_at INTEGER NOT NULL,
    PRIMARY KEY (host, name, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX host_person_asked ON host_person (host, asked_at);

-- The host of the fleet that asked for the code; NULL: this machine.
ALTER TABLE send ADD COLUMN host TEXT;
CREATE INDEX send_of_host ON send (host, at) WHERE host IS NOT NULL;
