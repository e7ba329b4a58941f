-- The server that a session is on: no other one can tell whether it has ended. NULL: the release before has recorded it.
ALTER TABLE session ADD COLUMN machine text COLLATE "C";
