-- Proof against tampering. An event's number is its place in the journal, without gaps. `leaf` is a keyed hash of the
-- journal, the number and all columns; older events have none. `unsynced` is 1 where the commit did not wait for the disk.
ALTER TABLE event ADD COLUMN leaf BLOB;
ALTER TABLE event ADD COLUMN unsynced INTEGER;

-- Events whose content gave way to event `instead`, which sums them up.
CREATE TABLE dropped_event (
    id      INTEGER PRIMARY KEY,
    leaf    BLOB, -- NULL: it is older than the journal
    instead INTEGER NOT NULL
) STRICT;

-- The journal of this store. One row.
CREATE TABLE journal (
    id        TEXT PRIMARY KEY,
    pruned_at INTEGER -- when events past `log.keep` were removed for the last time
) STRICT, WITHOUT ROWID;
INSERT INTO journal (id) VALUES (lower(hex(randomblob(8))));

-- What the journal held up to event `last`. Number 0 stands for the events before there was a journal, which nothing proves.
CREATE TABLE checkpoint (
    number          INTEGER PRIMARY KEY,
    first           INTEGER NOT NULL,
    last            INTEGER NOT NULL,
    count           INTEGER NOT NULL,
    at              INTEGER NOT NULL,
    latest_event_at INTEGER NOT NULL,
    root            BLOB NOT NULL, -- Merkle root of the leaves
    previous        BLOB NOT NULL, -- the link of the checkpoint before
    link            BLOB NOT NULL, -- keyed hash of all of the above
    seal            BLOB           -- keyed hash of the link with a key that was erased since
) STRICT;
CREATE INDEX checkpoint_at ON checkpoint (latest_event_at, first, number);
INSERT INTO checkpoint (number, first, last, count, at, latest_event_at, root, previous, link)
    SELECT 0, coalesce((SELECT min(id) FROM event), 1), coalesce(max(id), 0), (SELECT count(*) FROM event), coalesce(at, 0),
           coalesce(at, 0), x'', x'', x''
    FROM (SELECT max(id) AS id, at FROM event);
