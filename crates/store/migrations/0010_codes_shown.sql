-- When backup codes were shown that their owner has not confirmed: until then they do not work. NULL: there are none.
ALTER TABLE user ADD COLUMN codes_shown_at INTEGER;
