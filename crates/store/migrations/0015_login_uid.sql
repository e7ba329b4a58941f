-- The login uid of who acted, where root told it. Until now it was the actor of what root did on the command line.
ALTER TABLE event ADD COLUMN login_uid INTEGER;
