-- Every setting was written down with the first that was set, so that 'on' was nobody's word. Unset, it follows methods.
UPDATE setting SET value = '' WHERE key = 'fallback.sms-to-email' AND value = 'on';

-- Text messages with codes cost money; few go to addresses that nobody has verified.
ALTER TABLE send ADD COLUMN is_sms INTEGER NOT NULL DEFAULT 0 CHECK (is_sms IN (0, 1));
ALTER TABLE send ADD COLUMN is_verified INTEGER NOT NULL DEFAULT 1 CHECK (is_verified IN (0, 1));

CREATE INDEX send_of_kind ON send (is_notice);
CREATE INDEX send_of_sms ON send (is_sms) WHERE is_sms = 1;
CREATE INDEX send_of_unverified_sms ON send (is_sms) WHERE is_sms = 1 AND is_verified = 0;

-- When an administrator was told last.
CREATE TABLE sms_alarm (
    what TEXT PRIMARY KEY CHECK (what IN ('unverified', 'most', 'all')),
    at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
