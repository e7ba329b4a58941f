-- When the code was right that the session's login rests on, also through a trusted device. NULL: no second factor was shown, or
-- the session is older than this column. Screen lockers are believed for some time after it.
ALTER TABLE session ADD COLUMN code_at INTEGER;
