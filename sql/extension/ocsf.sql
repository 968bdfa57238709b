-- OCSF: events for tools of security

CREATE FUNCTION spine.to_ocsf(event spine.events, as_compliance boolean DEFAULT false) RETURNS jsonb
  LANGUAGE c STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_to_ocsf';
COMMENT ON FUNCTION spine.to_ocsf(spine.events, boolean) IS
  'The event in OCSF 1.5: a finding of the watch as Detection Finding (class 2004), or with as_compliance, where its rule names controls, as '
  'Compliance Finding (2003); any other event as Entity Management (3004). raw_data is what the event''s hash is of, and raw_data_hash '
  'that hash; unmapped holds the payload with its salt, null where it was erased. Nothing of the personal part';
