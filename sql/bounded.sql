-- An error that quotes what a caller gave does not grow with it: each of these is given 100,000 characters that it refuses.
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
SET people_os_spine.organization_id = '00000000-0000-4000-8000-0000000b0001';
CREATE TABLE bounded_calls (call text);
INSERT INTO bounded_calls VALUES
  ('spine.emit_event($1)'),
  ('spine.emit_event(''a.b.c'', entity_type => $1)'),
  ('spine.emit_event(''a.b.c'', action => $1)'),
  ('spine.emit_event(''a.b.c'', entity_id => gen_random_uuid(), payload => to_jsonb($1))'),
  ('spine.emit_event(''a.b.c'', entity_id => gen_random_uuid(), payload => jsonb_build_object($1, (''1'' || repeat(''0'', 400))::numeric))'),
  ('spine.emit_event(''a.b.c'', entity_id => gen_random_uuid(), payload => jsonb_build_object(''x'', repeat($1, 11)))'),
  ('spine.emit_events(jsonb_build_array(jsonb_build_object($1, 1)))'),
  ('spine.emit_events(jsonb_build_array(jsonb_build_object(''event_type'', $1)))'),
  ('spine.emit_events(jsonb_build_array(jsonb_build_object(''entity_id'', $1)))'),
  ('spine.emit_events(jsonb_build_array(jsonb_build_object(''severity'', $1)))'),
  ('spine.emit_events(jsonb_build_array(jsonb_build_object(''payload'', $1)))'),
  ('spine.entity_uuid($1, ''b'', ''c'')'),
  ('spine.entity_uuid(''a'', $1, ''c'')'),
  ('spine.register_event_type($1, ''d'')'),
  ('spine.capture_changes(''bounded_calls'', $1, ''b'', ''id'')'),
  ('spine.capture_changes(''bounded_calls'', ''a'', $1, ''id'')'),
  ('spine.require_events(''bounded_calls'', ''call'', domain => $1, entity_type => ''b'')'),
  ('spine.create_subscription($1)'),
  ('spine.create_subscription(''bounded'', domains => ARRAY[$1])'),
  ('spine.create_subscription(''bounded'', event_types => ARRAY[$1])'),
  ('spine.next_batch($1)'),
  ('spine.drop_subscription($1)');
CREATE FUNCTION bounded_error(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  message text;
  detail text;
  hint text;
  context text;
BEGIN
  EXECUTE 'SELECT ' || call USING repeat('x', 100000);
  RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT;
  RETURN SQLSTATE || CASE WHEN length(message || detail || hint || context) > 1500 THEN ' and ' || length(message || detail || hint || context) || ' characters' ELSE '' END;
END
$$;
SELECT call, bounded_error(call) FROM bounded_calls;
DROP FUNCTION bounded_error;
DROP TABLE bounded_calls;
