-- CloudEvents

CREATE FUNCTION spine.to_cloudevent(event spine.events) RETURNS jsonb
  LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'spine_to_cloudevent';
COMMENT ON FUNCTION spine.to_cloudevent(spine.events) IS
  'The event in CloudEvents 1.0 JSON: every column is in an attribute or is the data, but personal and its salt, for which '
  'their hash stands, so that the event''s hash can be checked from that alone. A column that is NULL has no attribute. '
  'Depends on no setting. Raises 54000 above 256 MB';
