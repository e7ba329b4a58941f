-- The gid of a group when an administrator named it (NULL: the name service could not tell, or it was named before this
-- was kept). A login compares gids, so that it need not look up the group.
ALTER TABLE class ADD COLUMN unix_gid INTEGER CHECK (unix_gid BETWEEN 0 AND 4294967295);
ALTER TABLE exemption ADD COLUMN unix_gid INTEGER CHECK (unix_gid BETWEEN 0 AND 4294967295);
