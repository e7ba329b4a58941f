-- The login uid of the person who acted, if root reported it. Until now it was the actor of what root did on the command line.
ALTER TABLE event ADD COLUMN login_uid INTEGER;
