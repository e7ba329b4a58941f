-- The number of the key that seals from now on. One row.
CREATE TABLE sealing_key (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    number INTEGER NOT NULL
) STRICT;
INSERT INTO sealing_key (id, number) VALUES (1, 1);

-- The numbers of the sealing keys that a server has, with commas between them, as it last said.
ALTER TABLE fleet_server ADD COLUMN sealing_keys TEXT;
