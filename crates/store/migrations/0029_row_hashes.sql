-- Keyed hashes of rows, on PostgreSQL: who writes a file has its sealing key as well.
ALTER TABLE setting ADD COLUMN seal BLOB NOT NULL DEFAULT x'';
ALTER TABLE class ADD COLUMN seal BLOB NOT NULL DEFAULT x'';
ALTER TABLE policy_version ADD COLUMN seal BLOB NOT NULL DEFAULT x'';
ALTER TABLE exemption ADD COLUMN seal BLOB NOT NULL DEFAULT x'';
ALTER TABLE host ADD COLUMN seal BLOB NOT NULL DEFAULT x'';
ALTER TABLE join_key ADD COLUMN seal BLOB NOT NULL DEFAULT x'';
