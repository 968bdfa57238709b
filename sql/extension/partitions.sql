-- Partitions

INSERT INTO spine.event_types (name, description, default_severity) VALUES
  ('platform.partition.attached', 'A table with events became a partition again', 'medium'),
  ('platform.partition.created', 'A partition for coming events was made', 'low'),
  ('platform.partition.filled', 'Events were moved from the default partition into a new one', 'low'),
  ('platform.partition.retired', 'A partition was verified and taken out with its events', 'high');

CREATE FUNCTION spine.create_partitions(every interval, ahead integer) RETURNS SETOF regclass
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_create_partitions';
COMMENT ON FUNCTION spine.create_partitions(interval, integer) IS
  'Makes the partitions of the interval that is running and of so many ahead, where there are none, and returns those made. '
  'Intervals are cut in UTC: months, days (seven: from Monday) or hours. What has events in the default partition is left there. '
  'Emits platform.partition.created. For the owner of spine.events and superusers. Raises SP085 for what is no interval of '
  'partitions, SP086 where others use the default partition for too long, SP087, 42501, and what emitting raises';

CREATE FUNCTION spine.move_from_default(every interval, partitions integer DEFAULT 1) RETURNS TABLE (partition regclass, events bigint)
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_move_from_default';
COMMENT ON FUNCTION spine.move_from_default(interval, integer) IS
  'Moves the events of the oldest interval that has ended from the default partition into a partition of its own, as they are, '
  'and so on for so many intervals; returns what was filled. Emitters and readers wait no longer than it takes to attach the '
  'partition. Emits platform.partition.filled. For the owner of spine.events and superusers. Raises what create_partitions does, '
  'SP018';

CREATE FUNCTION spine.attach_partition(partition regclass, starts timestamptz, ends timestamptz) RETURNS void
  LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_attach_partition';
COMMENT ON FUNCTION spine.attach_partition(regclass, timestamptz, timestamptz) IS
  'Attaches a table of schema spine that was detached, with its events, to spine.events, from starts to before ends. Emitters and '
  'readers wait no longer than that takes. Of one that was retired, the anchors go. Emits platform.partition.attached. For the owner of spine.events and superusers. Raises '
  'SP088 where the table, or the default partition, holds what is against it, SP085, SP086, 42501, and what emitting raises';

CREATE FUNCTION spine.retire_events(before timestamptz, reason text)
  RETURNS TABLE (partition regclass, events bigint, chains bigint, retirement_id uuid)
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'spine_retire_events';
COMMENT ON FUNCTION spine.retire_events(timestamptz, text) IS
  'Takes the partitions that end at that time or earlier out of spine.events, after it has verified them: each stays a table of schema '
  'spine, its chains go on from spine.anchors. All of them, or by an error none; one row each. Emits platform.partition.retired. For '
  'the owner of spine.events and superusers. Raises SP072 where a legal hold holds some of it, SP079 where a retention policy keeps it, SP089 for a time to come and where the '
  'default partition has older events, SP090 where an event is not intact, SP086, SP018, 22004, 42501, and what emitting raises';
