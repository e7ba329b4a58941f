-- On a server: the host of the fleet that reported the device; NULL: it is one of this machine's. It ends with the host.
ALTER TABLE device ADD COLUMN host TEXT REFERENCES host (id) ON DELETE CASCADE;
CREATE INDEX device_of_host ON device (host) WHERE host IS NOT NULL;

DROP VIEW granted_device;
CREATE VIEW granted_device AS
    SELECT id, user, kind, hash, label, service, generation, password, granted_at, used_at,
        min(until, granted_at + ifnull(
            (SELECT min(seconds) FROM trust_lowering
             WHERE trust_lowering.kind = device.kind AND trust_lowering.id > device.lowering
             AND (trust_lowering.class IS NULL OR device.class IS NULL OR trust_lowering.class = device.class)),
            until - granted_at)) AS until,
        host
    FROM device;
