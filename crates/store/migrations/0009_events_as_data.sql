-- Events and notices are kept as data: the name of a kind and a JSON object of its fields (NULL: it has none). What was
-- written in words until now stays in `detail` and `what`.
ALTER TABLE event ADD COLUMN fields TEXT;
-- Where an event was asked for. Until now the command line was a PAM service called 'twofa'.
ALTER TABLE event ADD COLUMN source TEXT NOT NULL DEFAULT 'login';
UPDATE event SET source = 'command-line', service = NULL WHERE service = 'twofa';

-- Without lists of what there is: methods and channels are known to the program.
CREATE TABLE new_notice (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    name    TEXT NOT NULL,
    uid     INTEGER NOT NULL,
    channel TEXT NOT NULL,
    address TEXT NOT NULL,
    kind    TEXT,
    fields  TEXT,
    what    TEXT, -- a sentence, where an earlier version queued it; else NULL
    source  TEXT NOT NULL,
    place   TEXT, -- host or terminal of a login
    at      INTEGER NOT NULL,
    due_at  INTEGER NOT NULL,
    tries   INTEGER NOT NULL DEFAULT 0,
    CHECK ((kind IS NULL) <> (what IS NULL))
) STRICT;

INSERT INTO new_notice (id, name, uid, channel, address, what, source, place, at, due_at, tries)
    SELECT id, name, uid, method, address, what,
           CASE source WHEN 'the command line of this machine' THEN 'command-line' ELSE 'login' END,
           CASE source WHEN 'the command line of this machine' THEN NULL ELSE source END,
           at, due_at, tries
    FROM notice;
-- Numbers are not given out again.
DELETE FROM sqlite_sequence WHERE name = 'new_notice';
INSERT INTO sqlite_sequence (name, seq) SELECT 'new_notice', seq FROM sqlite_sequence WHERE name = 'notice';
DROP TABLE notice;
ALTER TABLE new_notice RENAME TO notice;
CREATE INDEX notice_due ON notice (due_at, id);
CREATE INDEX notice_of_user ON notice (name, uid, id);

CREATE TABLE channel_provider (
    channel  TEXT NOT NULL,
    position INTEGER NOT NULL,
    provider INTEGER NOT NULL REFERENCES provider (id) ON DELETE CASCADE,
    PRIMARY KEY (channel, position),
    UNIQUE (channel, provider)
) STRICT, WITHOUT ROWID;
INSERT INTO channel_provider (channel, position, provider) SELECT method, position, provider FROM method_provider;
DROP TABLE method_provider;

CREATE TABLE new_sms_alarm (
    what TEXT PRIMARY KEY,
    at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO new_sms_alarm (what, at) SELECT what, at FROM sms_alarm;
DROP TABLE sms_alarm;
ALTER TABLE new_sms_alarm RENAME TO sms_alarm;

-- Not by making the table again: what refers to a user would go with the old one.
ALTER TABLE user RENAME COLUMN preferred TO old_preferred;
ALTER TABLE user ADD COLUMN preferred TEXT;
UPDATE user SET preferred = old_preferred WHERE old_preferred IS NOT NULL;
ALTER TABLE user DROP COLUMN old_preferred;

-- Attempts are numbered; those up to `cleared_through` are no failures.
ALTER TABLE user RENAME COLUMN counted TO attempts;
ALTER TABLE user RENAME COLUMN forgiven TO cleared_through;
ALTER TABLE unproved RENAME COLUMN counted TO attempts;
ALTER TABLE unproved RENAME COLUMN forgiven TO cleared_through;

-- Limits on what is sent are found by time, not by the numbers of rows.
DROP INDEX send_of_user;
DROP INDEX send_to_address;
DROP INDEX send_of_kind;
DROP INDEX send_of_sms;
DROP INDEX send_of_unverified_sms;
CREATE INDEX send_of_user ON send (name, uid, is_notice, at);
CREATE INDEX send_to_address ON send (address, is_notice, at);
CREATE INDEX send_of_kind ON send (is_notice, at);
CREATE INDEX send_of_sms ON send (at) WHERE is_sms = 1;
CREATE INDEX send_of_unverified_sms ON send (at) WHERE is_sms = 1 AND is_verified = 0;
