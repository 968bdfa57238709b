-- Brings the history of another audit trail into the spine: docs/adopting.md. A view says what the old entries are, with the columns
--   organization_id uuid, number bigint (the order; no two entries share one), occurred_at timestamptz, event_type text,
--   entity_id uuid, actor_id uuid (NULL: the old trail does not know), entry jsonb (the old entry, whole)
BEGIN;

CREATE TABLE history_imports (
  source          text COLLATE "C" NOT NULL,
  organization_id uuid NOT NULL,
  imported_id     uuid NOT NULL,
  PRIMARY KEY (source, organization_id)
);
COMMENT ON TABLE history_imports IS 'The event platform.history.imported of each source and organization';

CREATE TABLE history_progress (
  source      text COLLATE "C" PRIMARY KEY,
  done_number bigint NOT NULL,
  last_number bigint NOT NULL
);
COMMENT ON TABLE history_progress IS 'Up to which entry each source is imported, and up to which it is to be';

-- SHA-256 of one entry, as RFC 8785 writes it.
CREATE FUNCTION history_digest(entry jsonb) RETURNS bytea LANGUAGE sql STABLE AS
  $$ SELECT sha256(convert_to(spine.canonical_json(entry), 'UTF8')) $$;

-- A table's or a class's name as a part of an event's name: Admin::LineItem gives admin_line_item.
CREATE FUNCTION history_name(name text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT left(regexp_replace(regexp_replace(lower(regexp_replace(name, '([a-z0-9])([A-Z])', '\1_\2', 'g')), '[^a-z0-9_]+', '_', 'g'), '^(?![a-z])', 'x'), 63)
$$;

-- A row's key as an entity, as capture would have it: a uuid is one, and another text goes through spine.entity_uuid.
CREATE FUNCTION history_entity(domain text, entity_type text, key text) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN key ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN key::uuid ELSE spine.entity_uuid(domain, entity_type, key) END
$$;

-- Imports what is not imported yet, and commits behind each step; a further call goes on where one was cut short. importer is the
-- actor of platform.history.imported, and of entries whose own is not known; about says what else is to be known of the source.
CREATE PROCEDURE import_history(source text, history regclass, importer uuid, step integer DEFAULT 1000, about jsonb DEFAULT '{}')
LANGUAGE plpgsql AS $procedure$
#variable_conflict use_column
DECLARE
  this CONSTANT text := import_history.source;
  done bigint;
  last bigint;
  announced RECORD;
  taken bigint;
  emitted bigint;
  id uuid;
BEGIN
  LOOP
    -- What an entry's text, and so the digest, would depend on. It ends with the transaction.
    PERFORM set_config('TimeZone', 'UTC', true), set_config('IntervalStyle', 'iso_8601', true), set_config('bytea_output', 'hex', true);

    SELECT done_number, last_number INTO done, last FROM history_progress WHERE source = this FOR UPDATE;
    IF NOT FOUND THEN
      -- The first call announces the import. Another one that comes at the same time waits at the INSERT.
      EXECUTE format('SELECT max(number) FROM %s', history) INTO last;
      IF last IS NULL THEN
        RAISE EXCEPTION 'history "%" has no entries', history USING HINT = 'Pass the view that shows the old entries.';
      END IF;
      INSERT INTO history_progress VALUES (this, -9223372036854775808, last) ON CONFLICT DO NOTHING;
      CONTINUE WHEN NOT FOUND;
      FOR announced IN EXECUTE format($$
        SELECT organization_id, count(*) = count(DISTINCT number) AS are_numbered, jsonb_build_object(
                 'source', $1, 'events', count(*), 'first_number', min(number), 'last_number', max(number),
                 'first_occurred_at', min(occurred_at), 'last_occurred_at', max(occurred_at), 'about', $3,
                 'digest', encode(sha256(string_agg(history_digest(entry), ''::bytea ORDER BY number)), 'hex'),
                 'digest_is', 'SHA-256 over the SHA-256 of each entry in the order of number; an entry is its text by RFC 8785') AS payload
          FROM %s WHERE number <= $2 GROUP BY organization_id ORDER BY organization_id $$, history)
        USING this, last, about
      LOOP
        IF announced.organization_id IS NULL OR NOT announced.are_numbered THEN
          RAISE EXCEPTION 'history "%" has entries % (organization %)', history,
            CASE WHEN announced.are_numbered THEN 'without an organization' ELSE 'of one number' END, announced.organization_id
            USING HINT = 'The view gives each entry an organization_id, and a number of its own.';
        END IF;
        id := spine.emit_event('platform.history.imported', entity_id => spine.entity_uuid('platform', 'history', this),
          organization_id => announced.organization_id, actor_id => importer, actor_type => 'pipeline', severity => NULL,
          payload => announced.payload);
        INSERT INTO history_imports VALUES (this, announced.organization_id, id);
      END LOOP;
      COMMIT;
      CONTINUE;
    END IF;
    EXIT WHEN done >= last;

    EXECUTE format($$
      WITH slice AS MATERIALIZED (SELECT * FROM %s WHERE number > $1 AND number <= $2 ORDER BY number LIMIT $3),
      elements AS (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
                 'event_type', event_type, 'entity_id', entity_id, 'organization_id', organization_id, 'occurred_at', occurred_at,
                 'actor_id', coalesce(actor_id, $5), 'actor_type', CASE WHEN actor_id IS NULL THEN 'pipeline' ELSE 'human' END,
                 'causation_id', imported_id, 'payload', jsonb_build_object('source', $4, 'number', number),
                 'personal', jsonb_build_object('entry', entry)) ORDER BY number), '[]') AS events
          FROM slice JOIN history_imports i USING (organization_id) WHERE i.source = $4)
      SELECT max(number), count(*), (SELECT count(*) FROM elements, spine.emit_events(events)) FROM slice $$, history)
      INTO done, taken, emitted USING done, last, step, this, importer;
    IF taken <> emitted THEN
      RAISE EXCEPTION 'history "%" has entries of organizations that the import did not announce', history
        USING HINT = 'Nobody may write to the old trail while it is imported.';
    END IF;
    UPDATE history_progress SET done_number = coalesce(done, last) WHERE source = this;
    COMMIT;
  END LOOP;
END
$procedure$;

-- Whether each import is whole: as many events as were announced, and their entries, in their order, give the announced digest.
CREATE VIEW history_checks AS
  SELECT i.source, i.organization_id, a.payload ->> 'events' AS announced, count(h.id) AS imported,
         coalesce(encode(sha256(string_agg(history_digest(h.personal -> 'entry'), ''::bytea ORDER BY h.sequence)), 'hex') = a.payload ->> 'digest', false)
           AS is_whole
    FROM history_imports i
    JOIN spine.events a ON a.organization_id = i.organization_id AND a.id = i.imported_id
    LEFT JOIN spine.events h ON h.organization_id = i.organization_id AND h.causation_id = i.imported_id
   GROUP BY i.source, i.organization_id, a.payload;

COMMIT;
