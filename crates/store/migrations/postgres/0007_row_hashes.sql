-- Keyed hashes of rows, by which a server notices that another program has written them: the number of the key, and an HMAC. That of
-- a class covers its settings, and that of the version covers the hashes of all settings and classes. 'twofa store upgrade' fills
-- them in the transaction of this step.
--
-- Servers of the release before go on beside, but can add none of these rows, and change no key or token of a host: they do not know
-- the hash.
ALTER TABLE setting ADD COLUMN seal bytea NOT NULL DEFAULT '';
ALTER TABLE setting ALTER COLUMN seal DROP DEFAULT;
ALTER TABLE class ADD COLUMN seal bytea NOT NULL DEFAULT '';
ALTER TABLE class ALTER COLUMN seal DROP DEFAULT;
ALTER TABLE policy_version ADD COLUMN seal bytea NOT NULL DEFAULT '';
ALTER TABLE policy_version ALTER COLUMN seal DROP DEFAULT;
ALTER TABLE exemption ADD COLUMN seal bytea NOT NULL DEFAULT '';
ALTER TABLE exemption ALTER COLUMN seal DROP DEFAULT;
ALTER TABLE host ADD COLUMN seal bytea NOT NULL DEFAULT '';
ALTER TABLE host ALTER COLUMN seal DROP DEFAULT;
ALTER TABLE join_key ADD COLUMN seal bytea NOT NULL DEFAULT '';
ALTER TABLE join_key ALTER COLUMN seal DROP DEFAULT;

CREATE FUNCTION twofa_refuse_old_hash() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'twofa: a host is changed without its keyed hash, by a server of an older release or another program';
END $$;
CREATE TRIGGER old_hash BEFORE UPDATE OF token, key, previous_key, copied_at, join_key ON host FOR EACH ROW
    WHEN (NEW.seal = OLD.seal AND OLD.seal <> '') EXECUTE FUNCTION twofa_refuse_old_hash();
