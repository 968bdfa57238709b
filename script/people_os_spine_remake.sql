-- Makes the extension anew in its database, with all that it held but the events that are to go: when verify_chain
-- reports a fault that cannot be mended otherwise (docs/operations.md). As a superuser, in a maintenance window, with a dump at hand:
--
--   psql -X -d DATABASE -v reason='incident 12: one event was altered' -f people_os_spine_remake.sql \
--     -v without="organization_id = '…' AND sequence = …"
--
-- reason is recorded as an event. without: a condition on spine.events, for those that are left out; none without it.
--
-- It is one transaction: what fails changes nothing. Rows are kept as values in temporary tables, so no setting can make
-- them others on the way; this needs room for the events once more. Kept are the rows of each table that the extension marks for dumps,
-- rights on its objects, triggers and event triggers that run its functions (captured tables, required events), what
-- was added to its tables (indexes, triggers, policies), and their places in publications. Where anything else depends on
-- the extension, a view say, the server refuses to drop it and says what that is: drop it before, and create it afterwards.
\set ON_ERROR_STOP on
\if :{?reason}
\else
\set reason ''
\endif
\if :{?without}
\else
\set without false
\endif
LOAD 'people_os_spine';
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL row_security = off;
SET LOCAL client_min_messages = warning;
SELECT set_config('people_os_spine.unguard', :'reason', true), set_config('people_os_spine.chain_at', 'insert', true) \g /dev/null

-- What the extension is, and by whose rights.
CREATE TEMP TABLE remade ON COMMIT DROP AS
  SELECT oid AS extension, extowner AS owner, extversion AS version,
         -- The events of all partitions: they are kept, and come back, through their table.
         array_replace(extconfig, 'spine.events_default'::regclass::oid, 'spine.events'::regclass::oid) AS tables, extcondition AS conditions, :'without'::text AS without
    FROM pg_extension WHERE extname = 'people_os_spine';
CREATE TEMP VIEW member AS
  SELECT classid, objid FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
     AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'people_os_spine');
DO $$
DECLARE
  r remade;
  t regclass;
  other text;
BEGIN
  SELECT * INTO r FROM remade;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'database "%" has no extension people_os_spine', current_database() USING HINT = 'Connect to the database that has it.';
  END IF;
  IF current_setting('people_os_spine.unguard') = '' THEN
    RAISE EXCEPTION 'no reason is given' USING HINT = 'psql -v reason=''incident 12: …'' says it. It is recorded as an event.';
  END IF;
  -- What is made anew is to belong to whom it belongs now.
  EXECUTE format('SET LOCAL ROLE %s', r.owner::regrole);
  SELECT c.oid::regclass INTO other FROM pg_class c JOIN member ON classid = 'pg_class'::regclass AND objid = c.oid WHERE relowner <> r.owner LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION '% does not belong to the owner of the extension', other USING HINT = format('ALTER … OWNER TO %s first.', r.owner::regrole);
  END IF;
  FOREACH t IN ARRAY r.tables LOOP
    IF (SELECT relkind FROM pg_class WHERE oid = t) IN ('r', 'p') THEN EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', t); END IF;
  END LOOP;
END
$$;

-- What is to be run again, where it is not there by then: of triggers on the tables of others those too that a partition
-- has from its parent, for their states.
CREATE TEMP TABLE kept_ddl ON COMMIT DROP AS
  SELECT CASE WHEN tgparentid = 0 THEN 1 ELSE 2 END AS step, 'trigger' AS kind, tgrelid::regclass::text AS place, tgname::text AS name,
         pg_get_triggerdef(t.oid) AS statement, tgenabled::text AS state, obj_description(t.oid, 'pg_trigger') AS comment,
         tgrelid NOT IN (SELECT objid FROM member WHERE classid = 'pg_class'::regclass) AS foreign_table
    FROM pg_trigger t
   WHERE NOT tgisinternal AND (tgfoid IN (SELECT objid FROM member WHERE classid = 'pg_proc'::regclass)
                               OR tgrelid IN (SELECT objid FROM member WHERE classid = 'pg_class'::regclass))
  UNION ALL
  SELECT 1, 'event trigger', '', evtname::text,
         format('CREATE EVENT TRIGGER %I ON %s %s EXECUTE FUNCTION %s()', evtname, evtevent,
                'WHEN TAG IN (' || (SELECT string_agg(quote_literal(tag), ', ') FROM unnest(evttags) tag) || ')',
                (SELECT format('%I.%I', n.nspname, p.proname) FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE p.oid = evtfoid)),
         evtenabled::text, obj_description(e.oid, 'pg_event_trigger'), true
    FROM pg_event_trigger e
   WHERE evtfoid IN (SELECT objid FROM member WHERE classid = 'pg_proc'::regclass)
     AND oid NOT IN (SELECT objid FROM member WHERE classid = 'pg_event_trigger'::regclass)
  UNION ALL
  SELECT 1, 'index', '', indexrelid::regclass::text, pg_get_indexdef(indexrelid), NULL, obj_description(indexrelid, 'pg_class'), false
    FROM pg_index WHERE indrelid IN (SELECT objid FROM member WHERE classid = 'pg_class'::regclass)
  UNION ALL
  SELECT 1, 'policy', polrelid::regclass::text, polname::text,
         format('CREATE POLICY %I ON %s AS %s FOR %s TO %s', polname, polrelid::regclass, CASE WHEN polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                (SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE role::regrole::text END, ', ') FROM unnest(polroles) role))
           || coalesce(' USING (' || pg_get_expr(polqual, polrelid) || ')', '') || coalesce(' WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')', ''),
         NULL, obj_description(p.oid, 'pg_policy'), false
    FROM pg_policy p WHERE polrelid IN (SELECT objid FROM member WHERE classid = 'pg_class'::regclass)
  UNION ALL
  SELECT 1, 'publication', prrelid::regclass::text, pubname::text,
         format('ALTER PUBLICATION %I ADD TABLE ONLY %s', pubname, prrelid::regclass)
           || coalesce((SELECT ' (' || string_agg(quote_ident(attname), ', ' ORDER BY attnum) || ')' FROM pg_attribute
                         WHERE attrelid = prrelid AND attnum = ANY (prattrs)), '')
           || coalesce(' WHERE (' || pg_get_expr(prqual, prrelid) || ')', ''),
         NULL, NULL, false
    FROM pg_publication_rel JOIN pg_publication p ON p.oid = prpubid WHERE prrelid IN (SELECT objid FROM member WHERE classid = 'pg_class'::regclass);

-- Who may do what with the extension's objects, as it is at the moment.
CREATE TEMP VIEW given AS
  SELECT kind, object, part, grantee, privilege_type, is_grantable
    FROM (SELECT 'SCHEMA' AS kind, quote_ident(nspname) AS object, NULL AS part, coalesce(nspacl, acldefault('n', nspowner)) AS acl, nspowner AS owner
            FROM pg_namespace WHERE nspname = 'spine'
          UNION ALL
          SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass::text, NULL,
                 coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)), relowner
            FROM pg_class c JOIN member ON classid = 'pg_class'::regclass AND objid = c.oid
          UNION ALL
          SELECT 'TABLE', c.oid::regclass::text, quote_ident(attname), attacl, relowner
            FROM pg_class c JOIN member ON classid = 'pg_class'::regclass AND objid = c.oid JOIN pg_attribute ON attrelid = c.oid WHERE attacl IS NOT NULL
          UNION ALL
          SELECT 'ROUTINE', p.oid::regprocedure::text, NULL, coalesce(proacl, acldefault('f', proowner)), proowner
            FROM pg_proc p JOIN member ON classid = 'pg_proc'::regclass AND objid = p.oid
          UNION ALL
          SELECT 'TYPE', t.oid::regtype::text, NULL, coalesce(typacl, acldefault('T', typowner)), typowner
            FROM pg_type t JOIN member ON classid = 'pg_type'::regclass AND objid = t.oid WHERE typtype IN ('e', 'd')) o,
         aclexplode(acl) a
   WHERE a.grantee <> owner;
CREATE TEMP TABLE kept_rights ON COMMIT DROP AS TABLE given;

-- Event triggers first: they would record what comes.
DO $$
DECLARE
  k kept_ddl;
BEGIN
  FOR k IN SELECT * FROM kept_ddl WHERE foreign_table AND step = 1 ORDER BY kind LOOP
    EXECUTE CASE k.kind WHEN 'trigger' THEN format('DROP TRIGGER %I ON %s', k.name, k.place) ELSE format('DROP EVENT TRIGGER %I', k.name) END;
  END LOOP;
END
$$;

-- Partitions that are not the extension's go with its table.
CREATE TEMP TABLE kept_partitions ON COMMIT DROP AS
  SELECT c.oid::regclass::text AS place, pg_get_expr(relpartbound, c.oid) AS bound
    FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
   WHERE inhparent = 'spine.events'::regclass AND c.oid NOT IN (SELECT objid FROM member WHERE classid = 'pg_class'::regclass);

-- The rows, as values; those of the extension's own types, which go with it, as their labels.
CREATE TEMP TABLE kept_rows (number int, place text, kind "char", names text, rows bigint, last bigint, is_called boolean) ON COMMIT DROP;
CREATE TEMP TABLE left_out (event jsonb) ON COMMIT DROP;
DO $$
DECLARE
  r remade;
  t regclass;
  k kept_rows;
  condition text;
  columns text;
BEGIN
  SELECT * INTO r FROM remade;
  EXECUTE format($q$INSERT INTO left_out SELECT jsonb_build_object('event_id', id, 'organization_id', organization_id, 'sequence', sequence,
    'event_hash', encode(event_hash, 'hex')) FROM spine.events WHERE %s$q$, r.without);
  FOR i IN 1 .. cardinality(r.tables) LOOP
    t := r.tables[i];
    SELECT i, t::text, relkind INTO k.number, k.place, k.kind FROM pg_class WHERE oid = t;
    IF k.kind = 'S' THEN
      EXECUTE format('SELECT last_value, is_called FROM %s', t) INTO k.last, k.is_called;
    ELSE
      SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum),
             string_agg(format(CASE WHEN EXISTS (SELECT FROM member WHERE classid = 'pg_type'::regclass AND objid IN (y.oid, y.typelem))
                                    THEN '%1$I::text%2$s AS %1$I' ELSE '%1$I' END, attname, CASE WHEN typcategory = 'A' THEN '[]' ELSE '' END), ', ' ORDER BY attnum)
        INTO k.names, columns
        FROM pg_attribute JOIN pg_type y ON y.oid = atttypid WHERE attrelid = t AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
      condition := coalesce(nullif(r.conditions[i], ''), 'WHERE true');
      IF t = 'spine.events'::regclass THEN condition := format('%s AND (%s) IS NOT TRUE', condition, r.without); END IF;
      EXECUTE format('CREATE TEMP TABLE kept_rows_%s ON COMMIT DROP AS SELECT %s FROM %s %s', i, columns, t, condition);
      GET DIAGNOSTICS k.rows = ROW_COUNT;
    END IF;
    INSERT INTO kept_rows VALUES (k.*);
  END LOOP;
END
$$;

DROP EXTENSION people_os_spine;
DO $$ BEGIN EXECUTE (SELECT format('CREATE EXTENSION people_os_spine VERSION %I', version) FROM remade); END $$;
-- Empty, they are attached as those of a dump are.
DO $$
DECLARE
  k record;
BEGIN
  FOR k IN SELECT * FROM kept_partitions ORDER BY place LOOP
    EXECUTE format('CREATE TABLE %s (LIKE spine.events INCLUDING COMPRESSION INCLUDING CONSTRAINTS INCLUDING DEFAULTS INCLUDING STORAGE)', k.place);
    EXECUTE format('ALTER TABLE spine.events ATTACH PARTITION %s %s', k.place, k.bound);
  END LOOP;
END
$$;

DO $$
DECLARE
  k kept_rows;
  put bigint;
  columns text;
BEGIN
  FOR k IN SELECT * FROM kept_rows ORDER BY number LOOP
    IF k.kind = 'S' THEN
      PERFORM setval(k.place::regclass, k.last, k.is_called);
      CONTINUE;
    END IF;
    SELECT string_agg(format('%I::%s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum) INTO columns
      FROM pg_attribute WHERE attrelid = k.place::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
    EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM kept_rows_%s', k.place, k.names, columns, k.number);
    GET DIAGNOSTICS put = ROW_COUNT;
    IF put <> k.rows THEN RAISE EXCEPTION '% of % rows came back into %', put, k.rows, k.place; END IF;
  END LOOP;
END
$$;

-- Rights, and what else there was, where the new extension has not brought it.
DO $$
DECLARE
  k record;
BEGIN
  FOR k IN SELECT * FROM (TABLE given EXCEPT TABLE kept_rights) g LOOP
    EXECUTE format('REVOKE %s%s ON %s %s FROM %s', k.privilege_type, ' (' || k.part || ')', k.kind, k.object, CASE k.grantee WHEN 0 THEN 'PUBLIC' ELSE k.grantee::regrole::text END);
  END LOOP;
  FOR k IN SELECT * FROM (TABLE kept_rights EXCEPT TABLE given) g LOOP
    CONTINUE WHEN k.grantee <> 0 AND NOT EXISTS (SELECT FROM pg_roles WHERE oid = k.grantee);
    EXECUTE format('GRANT %s%s ON %s %s TO %s%s', k.privilege_type, ' (' || k.part || ')', k.kind, k.object, CASE k.grantee WHEN 0 THEN 'PUBLIC' ELSE k.grantee::regrole::text END,
                   CASE WHEN k.is_grantable THEN ' WITH GRANT OPTION' END);
  END LOOP;
  -- Event triggers last: they would record the rest.
  FOR k IN SELECT * FROM kept_ddl ORDER BY kind = 'event trigger', step LOOP
    IF k.step = 1 AND NOT (CASE k.kind
         WHEN 'trigger' THEN EXISTS (SELECT FROM pg_trigger WHERE tgrelid = k.place::regclass AND tgname = k.name)
         WHEN 'policy' THEN EXISTS (SELECT FROM pg_policy WHERE polrelid = k.place::regclass AND polname = k.name)
         WHEN 'index' THEN to_regclass(k.name) IS NOT NULL
         ELSE false END) THEN
      EXECUTE k.statement;
      IF k.comment IS NOT NULL THEN
        EXECUTE format('COMMENT ON %s %s IS %L', upper(k.kind), CASE k.kind WHEN 'index' THEN k.name WHEN 'event trigger' THEN quote_ident(k.name)
                       ELSE format('%I ON %s', k.name, k.place) END, k.comment);
      END IF;
    END IF;
    -- A guard that was disabled is what the new extension has again.
    CONTINUE WHEN k.state IS NULL OR NOT k.foreign_table;
    EXECUTE format(CASE k.kind WHEN 'trigger' THEN 'ALTER TABLE ONLY %2$s %3$s TRIGGER %1$I' ELSE 'ALTER EVENT TRIGGER %1$I %3$s' END, k.name, k.place,
                   CASE k.state WHEN 'O' THEN 'ENABLE' WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' WHEN 'A' THEN 'ENABLE ALWAYS' END);
  END LOOP;
END
$$;

-- What was done, and of what it left out the hashes (of the first thousand).
SELECT spine.emit_event('platform.spine.remade', entity_id => spine.entity_uuid('platform', 'spine', 'people_os_spine'),
         organization_id => '00000000-0000-0000-0000-000000000000', actor_id => '00000000-0000-0000-0000-000000000000', actor_type => 'system', severity => 'critical',
         payload => jsonb_build_object('reason', :'reason'::text, 'without', :'without'::text, 'events_left_out', (SELECT count(*) FROM left_out),
           'left_out', (SELECT coalesce(jsonb_agg(event), '[]') FROM (SELECT event FROM left_out LIMIT 1000) l),
           'rows', (SELECT jsonb_object_agg(place, rows) FROM kept_rows WHERE kind <> 'S'))) AS remade \gset
SELECT place AS "table", rows FROM kept_rows WHERE kind <> 'S' ORDER BY number;
DROP VIEW given, member;
COMMIT;
SELECT * FROM spine.verify_guards() WHERE NOT ok;
SELECT * FROM spine.verify_chain() WHERE intact IS NOT TRUE;
