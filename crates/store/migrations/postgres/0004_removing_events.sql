-- What removes events, so that the role that servers log in as needs no right to: packaging/postgresql/roles.sql. Each does as its
-- owner only what the rules of the journal allow.

-- Has the content of an event give way to a later one that sums it up.
CREATE FUNCTION twofa_drop_event(bigint, bigint) RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $$
    WITH old AS (
        DELETE FROM event WHERE id = $1 AND $1 < $2
            AND EXISTS (SELECT 1 FROM event AS sum WHERE sum.id = $2 AND sum.kind = 'summed-up')
            RETURNING id, leaf
    ), kept AS (
        INSERT INTO dropped_event (id, leaf, instead) SELECT id, leaf, $2 FROM old RETURNING 1
    )
    SELECT count(*) FROM kept
$$;

-- Deletes the checkpoints up to this one, which are older than a day, the shortest log.keep, and never the last. The event that
-- says so has been written.
CREATE FUNCTION twofa_delete_checkpoints(bigint) RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $$
    WITH gone AS (
        DELETE FROM checkpoint WHERE number <= $1 AND number < (SELECT max(number) FROM checkpoint)
            AND latest_event_at < greatest((SELECT at FROM new_event ORDER BY id DESC LIMIT 1),
                                           CAST(extract(epoch FROM clock_timestamp()) AS bigint)) - 86400
            RETURNING 1
    )
    SELECT count(*) FROM gone
$$;

-- Deletes at most so many of the events before the first checkpoint.
CREATE FUNCTION twofa_delete_pruned(bigint) RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $$
    WITH gone AS (
        DELETE FROM event WHERE id IN (
            SELECT id FROM event WHERE id < (SELECT first FROM checkpoint ORDER BY number LIMIT 1) ORDER BY id LIMIT $1
        ) RETURNING 1
    )
    SELECT count(*) FROM gone
$$;

-- Deletes what is known of events that were summed up before the first checkpoint.
CREATE FUNCTION twofa_delete_dropped() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $$
    WITH gone AS (
        DELETE FROM dropped_event WHERE instead < (SELECT first FROM checkpoint ORDER BY number LIMIT 1) RETURNING 1
    )
    SELECT count(*) FROM gone
$$;

-- Deletes the events of this JSON list that have their place in the journal.
CREATE FUNCTION twofa_delete_entered(json) RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $$
    WITH gone AS (
        DELETE FROM new_event WHERE id IN (
            SELECT place.written FROM json_to_recordset($1) AS place (written bigint) JOIN event USING (written)
        ) RETURNING 1
    )
    SELECT count(*) FROM gone
$$;

-- They are their owner's: nobody else's tables are taken for those of the journal.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['twofa_drop_event(bigint, bigint)', 'twofa_delete_checkpoints(bigint)',
        'twofa_delete_pruned(bigint)', 'twofa_delete_dropped()', 'twofa_delete_entered(json)'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', name, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', name);
    END LOOP;
END $$;
