-- The machine that a session is on, where several use one database. NULL: it began before that was known.
ALTER TABLE session ADD COLUMN machine TEXT;
