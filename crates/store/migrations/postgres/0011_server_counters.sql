-- What has happened between a server and this database since it was started, as JSON, as it last said.
ALTER TABLE fleet_server ADD COLUMN counters text COLLATE "C";
