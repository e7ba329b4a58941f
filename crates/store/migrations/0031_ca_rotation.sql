-- On a server: rotations of the fleet's certificate authority.
CREATE TABLE ca_rotation (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    servers     TEXT NOT NULL, -- SHA-256 of the new authority for servers, hexadecimal
    hosts       TEXT NOT NULL, -- likewise of the one for hosts
    started_at  INTEGER NOT NULL,
    opened_at   INTEGER,       -- since when it signs the certificates of hosts
    finished_at INTEGER,
    kept_until  INTEGER        -- until when hosts that slept can renew a certificate of the old one; NULL: not at all
) STRICT;
-- As of which version a host knows the authorities, and SHA-256 of the one that signed the certificate that it last showed.
ALTER TABLE host ADD COLUMN ca_version INTEGER;
ALTER TABLE host ADD COLUMN issuer TEXT;
-- SHA-256 of the authorities for servers that a server has, the one in use first, with commas between them, as it last said.
ALTER TABLE fleet_server ADD COLUMN authorities TEXT;
-- On a host: the fleet's authorities since a rotation, as PEM, their version, and from when on it asks for a certificate of the new one.
ALTER TABLE joined_fleet ADD COLUMN ca_version INTEGER;
ALTER TABLE joined_fleet ADD COLUMN servers_ca TEXT;
ALTER TABLE joined_fleet ADD COLUMN hosts_ca TEXT;
ALTER TABLE joined_fleet ADD COLUMN ca_renew_at INTEGER;
