-- Partitions

INSERT INTO spine.event_types (name, description, default_severity) VALUES
  ('platform.partition.created', 'A partition for coming events was made', 'low');

CREATE FUNCTION spine.create_partitions(every interval, ahead integer) RETURNS SETOF regclass
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_create_partitions';
COMMENT ON FUNCTION spine.create_partitions(interval, integer) IS
  'Makes the partitions of the interval that is running and of so many ahead, where there are none, and returns those made. '
  'Intervals are cut in UTC: months, days (seven: from Monday) or hours. What has events in the default partition is left there. '
  'Emits platform.partition.created. For the owner of spine.events and superusers. Raises SP085 for what is no interval of '
  'partitions, SP086 where others use the default partition for too long, SP087, 42501, and what emitting raises';
