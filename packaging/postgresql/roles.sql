-- Roles for a store of twofa in PostgreSQL, see twofa-fleet(7):
--
--   twofa_owner  owns the tables: for 'twofa store move' and 'twofa store upgrade';
--   twofa        is what servers log in as: it can change no table, and can neither change nor delete an event of the log,
--                except for what functions of the owner do by the rules of the log.
--
-- Run it as a superuser, in the database of the store, before the store is moved there, after that, and after each upgrade:
--
--   psql -v ON_ERROR_STOP=1 -d twofa -f roles.sql

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'twofa_owner') THEN
        CREATE ROLE twofa_owner LOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'twofa') THEN
        CREATE ROLE twofa LOGIN;
    END IF;
END $$;

-- So that 'twofa doctor' sees whether standbys are connected.
GRANT pg_monitor TO twofa;

REVOKE CREATE ON SCHEMA public FROM PUBLIC, twofa;
GRANT USAGE, CREATE ON SCHEMA public TO twofa_owner;
GRANT USAGE ON SCHEMA public TO twofa;

DO $$
BEGIN
    IF to_regclass('public.twofa_schema') IS NULL THEN
        RAISE NOTICE 'There is no store here yet: run this again when it was moved here.';
        RETURN;
    END IF;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO twofa;
    GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO twofa;
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO twofa;
    -- The log.
    REVOKE UPDATE, DELETE ON new_event, event, dropped_event, checkpoint FROM twofa;
    REVOKE INSERT, UPDATE, DELETE ON journal FROM twofa;
    GRANT UPDATE (pruned_at) ON journal TO twofa;
    -- Which version the tables have, and whether the store was moved.
    REVOKE INSERT, UPDATE, DELETE ON twofa_schema FROM twofa;
END $$;
