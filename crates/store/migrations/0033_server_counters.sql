-- What has happened between a server and its database since it was started, as JSON, as it last said.
ALTER TABLE fleet_server ADD COLUMN counters TEXT;
