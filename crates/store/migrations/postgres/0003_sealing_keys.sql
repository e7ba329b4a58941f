-- The number of the key that seals from now on. One row.
CREATE TABLE sealing_key (
    id     bigint PRIMARY KEY CHECK (id = 1),
    number bigint NOT NULL
);
INSERT INTO sealing_key (id, number) VALUES (1, 1);

-- The numbers of the sealing keys that a server has, with commas between them, as it last said.
ALTER TABLE fleet_server ADD COLUMN sealing_keys text COLLATE "C";
