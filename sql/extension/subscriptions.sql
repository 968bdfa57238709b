-- Subscriptions

CREATE TABLE spine.subscriptions (
  name             text COLLATE "C" NOT NULL,
  owner            regrole     NOT NULL,
  organizations    uuid[],
  domains          text[],
  event_types      text[],
  entity_types     text[],
  actors           uuid[],
  minimum_severity spine.severity,
  redeliver_after  interval    NOT NULL,
  created_at       timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  max_deliveries   integer,
  from_snapshot    pg_snapshot,
  from_system      bigint,
  CONSTRAINT subscriptions_pkey PRIMARY KEY (name)
);
COMMENT ON TABLE spine.subscriptions IS
  'Who is to get which events: written by spine.create_subscription and drop_subscription. A filter that is NULL lets everything through';
COMMENT ON COLUMN spine.subscriptions.name IS 'What the functions know it by';
COMMENT ON COLUMN spine.subscriptions.owner IS 'The role that created it: its members consume';
COMMENT ON COLUMN spine.subscriptions.organizations IS 'Only events of these organizations';
COMMENT ON COLUMN spine.subscriptions.domains IS 'Only events of these domains';
COMMENT ON COLUMN spine.subscriptions.event_types IS 'Only events of these names';
COMMENT ON COLUMN spine.subscriptions.entity_types IS 'Only events of entities of these types';
COMMENT ON COLUMN spine.subscriptions.actors IS 'Only events of these actors';
COMMENT ON COLUMN spine.subscriptions.minimum_severity IS 'Only events that matter as much or more';
COMMENT ON COLUMN spine.subscriptions.redeliver_after IS 'A batch that is not acknowledged within that is given again';
COMMENT ON COLUMN spine.subscriptions.created_at IS 'When it was created';
COMMENT ON COLUMN spine.subscriptions.max_deliveries IS 'A batch that was given so often is set aside; NULL: never';
COMMENT ON COLUMN spine.subscriptions.from_snapshot IS
  'In an organization without a position only events of transactions that this does not show; NULL: all';
COMMENT ON COLUMN spine.subscriptions.from_system IS 'The cluster (pg_control_system) whose transactions from_snapshot counts';
COMMENT ON CONSTRAINT subscriptions_pkey ON spine.subscriptions IS 'A name is one subscription''s';
COMMENT ON INDEX spine.subscriptions_pkey IS 'Finds a subscription by its name';

-- Each batch updates rows: room on the page keeps the index out of it.
CREATE TABLE spine.subscription_positions (
  subscription    text COLLATE "C" NOT NULL,
  organization_id uuid   NOT NULL,
  sequence        bigint NOT NULL,
  CONSTRAINT subscription_positions_pkey PRIMARY KEY (subscription, organization_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE spine.subscription_positions IS
  'How far each subscription is in each organization. Without a row it is at the chain''s beginning, or where from_snapshot says';
COMMENT ON COLUMN spine.subscription_positions.subscription IS 'Name of the subscription';
COMMENT ON COLUMN spine.subscription_positions.organization_id IS 'The organization';
COMMENT ON COLUMN spine.subscription_positions.sequence IS 'All events up to this one were given out, or do not match the filters';
COMMENT ON CONSTRAINT subscription_positions_pkey ON spine.subscription_positions IS 'One position in each organization';
COMMENT ON INDEX spine.subscription_positions_pkey IS 'Finds the positions of a subscription, by organization';

CREATE TABLE spine.subscription_batches (
  subscription    text COLLATE "C" NOT NULL,
  batch           bigint      NOT NULL,
  organizations   uuid[]      NOT NULL,
  first_sequences bigint[]    NOT NULL,
  last_sequences  bigint[]    NOT NULL,
  events          bigint      NOT NULL,
  taken_by        text        NOT NULL,
  taken_at        timestamptz NOT NULL,
  delivery        integer     NOT NULL,
  previous_batch  bigint,
  set_aside_at    timestamptz,
  CONSTRAINT subscription_batches_pkey PRIMARY KEY (subscription, batch)
);
COMMENT ON TABLE spine.subscription_batches IS 'Batches that were given out and not acknowledged yet';
COMMENT ON COLUMN spine.subscription_batches.subscription IS 'Name of the subscription';
COMMENT ON COLUMN spine.subscription_batches.batch IS 'The number to acknowledge, from the sequence spine.subscription_batch';
COMMENT ON COLUMN spine.subscription_batches.organizations IS 'The organizations of which it holds events';
COMMENT ON COLUMN spine.subscription_batches.first_sequences IS 'For each of them, its first event in the batch';
COMMENT ON COLUMN spine.subscription_batches.last_sequences IS 'For each of them, its last: of those from first to last, the ones that match the filters are in the batch';
COMMENT ON COLUMN spine.subscription_batches.events IS 'How many events that are';
COMMENT ON COLUMN spine.subscription_batches.taken_by IS 'The role that it was given to';
COMMENT ON COLUMN spine.subscription_batches.taken_at IS 'When that was';
COMMENT ON COLUMN spine.subscription_batches.delivery IS '1 the first time, one more each time it is given again';
COMMENT ON COLUMN spine.subscription_batches.previous_batch IS 'The number under which it was given the time before; NULL the first time';
COMMENT ON COLUMN spine.subscription_batches.set_aside_at IS 'When it was set aside, after max_deliveries; NULL: it is outstanding';
COMMENT ON CONSTRAINT subscription_batches_pkey ON spine.subscription_batches IS 'A number is one batch''s';
COMMENT ON INDEX spine.subscription_batches_pkey IS 'Finds a batch, and the outstanding ones of a subscription';

-- Where to look for news. Neither table is dumped: without a row, a subscription looks at each organization once.
CREATE TABLE spine.subscription_progress (
  subscription      text COLLATE "C" NOT NULL,
  system            bigint      NOT NULL,
  seen              pg_snapshot NOT NULL,
  is_walking        boolean     NOT NULL,
  walked            uuid,
  part_transaction  xid8,
  part_organization uuid,
  CONSTRAINT subscription_progress_pkey PRIMARY KEY (subscription)
) WITH (fillfactor = 10);
COMMENT ON TABLE spine.subscription_progress IS
  'Which transactions'' events each subscription has looked at: in the organizations of those it has passed all events, or '
  'spine.subscription_news names the organization';
COMMENT ON COLUMN spine.subscription_progress.subscription IS 'Name of the subscription';
COMMENT ON COLUMN spine.subscription_progress.system IS 'The cluster (pg_control_system) that counts the transactions; in another one this row says nothing';
COMMENT ON COLUMN spine.subscription_progress.seen IS 'The transactions that it shows were looked at';
COMMENT ON COLUMN spine.subscription_progress.is_walking IS 'Until each organization was looked at once, whatever seen shows';
COMMENT ON COLUMN spine.subscription_progress.walked IS 'While walking: up to this organization; NULL: none yet';
COMMENT ON COLUMN spine.subscription_progress.part_transaction IS 'A transaction of many organizations that was looked at in part; NULL: none';
COMMENT ON COLUMN spine.subscription_progress.part_organization IS 'Up to this organization';
COMMENT ON CONSTRAINT subscription_progress_pkey ON spine.subscription_progress IS 'One a subscription';
COMMENT ON INDEX spine.subscription_progress_pkey IS 'Finds the progress of a subscription';

CREATE TABLE spine.subscription_news (
  subscription    text COLLATE "C" NOT NULL,
  queued          xid8 NOT NULL,
  organization_id uuid NOT NULL,
  restored_from   bigint,
  CONSTRAINT subscription_news_pkey PRIMARY KEY (subscription, queued, organization_id)
);
CREATE INDEX subscription_news_restored_idx ON spine.subscription_news (subscription, organization_id) WHERE restored_from IS NOT NULL;
COMMENT ON TABLE spine.subscription_news IS
  'Organizations in which a subscription has, or may have, events behind its position: they did not fit into a batch, another consumer was '
  'at work there, or rows were restored';
COMMENT ON COLUMN spine.subscription_news.subscription IS 'Name of the subscription';
COMMENT ON COLUMN spine.subscription_news.queued IS 'The transaction that says so: those of older ones come first';
COMMENT ON COLUMN spine.subscription_news.organization_id IS 'The organization';
COMMENT ON COLUMN spine.subscription_news.restored_from IS 'The first event that was restored; NULL: none was';
COMMENT ON CONSTRAINT subscription_news_pkey ON spine.subscription_news IS 'A transaction says it once';
COMMENT ON INDEX spine.subscription_news_pkey IS 'Finds those of a subscription in their order';
COMMENT ON INDEX spine.subscription_news_restored_idx IS 'Finds what was restored of an organization';

CREATE SEQUENCE spine.subscription_batch;
COMMENT ON SEQUENCE spine.subscription_batch IS 'Numbers batches, those of all subscriptions; some are never given out';

-- Not those of a dropped role, whose number may be another's where they are restored.
SELECT pg_catalog.pg_extension_config_dump('spine.subscriptions', 'WHERE EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = owner)');
SELECT pg_catalog.pg_extension_config_dump('spine.subscription_positions',
  'WHERE subscription IN (SELECT s.name FROM spine.subscriptions s JOIN pg_catalog.pg_roles r ON r.oid = s.owner)');
SELECT pg_catalog.pg_extension_config_dump('spine.subscription_batches',
  'WHERE subscription IN (SELECT s.name FROM spine.subscriptions s JOIN pg_catalog.pg_roles r ON r.oid = s.owner)');
SELECT pg_catalog.pg_extension_config_dump('spine.subscription_batch', '');

CREATE FUNCTION spine.create_subscription(
  name             text,
  organizations    uuid[]         DEFAULT NULL,
  domains          text[]         DEFAULT NULL,
  event_types      text[]         DEFAULT NULL,
  entity_types     text[]         DEFAULT NULL,
  actors           uuid[]         DEFAULT NULL,
  minimum_severity spine.severity DEFAULT NULL,
  from_now         boolean        DEFAULT false,
  redeliver_after  interval       DEFAULT '5 minutes',
  max_deliveries   integer        DEFAULT 16
) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_create_subscription';
COMMENT ON FUNCTION spine.create_subscription(text, uuid[], text[], text[], text[], uuid[], spine.severity, boolean, interval, integer) IS
  'Makes a subscription of the events that pass all filters, from each organization''s first event on, or with from_now from '
  'the one after its last. A batch that was given max_deliveries times and not acknowledged is set aside; NULL: never. The current '
  'role owns it. Raises SP031 for a name that is taken or none, a filter, a redeliver_after or max_deliveries that can be none, 42501 without SELECT on spine.events, 25006';

CREATE FUNCTION spine.next_batch(name text, max_events integer DEFAULT 1000)
RETURNS TABLE (
  batch    bigint,
  delivery integer,
  event    spine.events
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1000 SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_next_batch';
COMMENT ON FUNCTION spine.next_batch(text, integer) IS
  'The next events of a subscription, of organizations that the role may read: in order within each, all under one batch '
  'number. No row: there is nothing to do. A batch that was not acknowledged in time comes first, whole, with delivery 2 or '
  'more, or is set aside with a WARNING. What another consumer''s open transaction was given in an organization, and what follows there, waits for its end. '
  'SELECT batch, (event).* FROM … gives columns. Raises SP029 for an unknown name, SP031 for max_events below 1, SP045 for a '
  'damaged event, SP046 for a damaged row of the subscription''s own, 42501 for a role that is no member of the owner or may not read spine.events, 25006, and 40001 in REPEATABLE READ and SERIALIZABLE';

CREATE FUNCTION spine.acknowledge(name text, batch bigint) RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_acknowledge';
COMMENT ON FUNCTION spine.acknowledge(text, bigint) IS
  'Says that the events of a batch are dealt with, and returns how many they were. Raises SP029 for an unknown name, SP030 '
  'for a batch that is not outstanding: acknowledged, or given again under another number; 42501, 25006, 40001';

CREATE FUNCTION spine.retry_batch(name text, batch bigint) RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_retry_batch';
COMMENT ON FUNCTION spine.retry_batch(text, bigint) IS
  'Gives a batch back that was set aside: it comes with the next call of spine.next_batch, as its first delivery. Returns how many events it '
  'holds. Raises SP029 for an unknown name, SP110 for a batch that is not set aside, 42501, 25006, 40001';

CREATE FUNCTION spine.read_set_aside_batches() RETURNS TABLE (
  subscription    text,
  batch           bigint,
  events          bigint,
  deliveries      integer,
  taken_by        text,
  taken_at        timestamptz,
  set_aside_at    timestamptz,
  organizations   uuid[],
  first_sequences bigint[],
  last_sequences  bigint[]
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_read_set_aside_batches';
COMMENT ON FUNCTION spine.read_set_aside_batches() IS 'What spine.set_aside_batches shows. Raises 42501 without SELECT on spine.events';

CREATE VIEW spine.set_aside_batches WITH (security_invoker = true) AS SELECT * FROM spine.read_set_aside_batches();
COMMENT ON VIEW spine.set_aside_batches IS
  'Batches of the subscriptions that the role may consume which were given max_deliveries times and never acknowledged, of organizations that '
  'it may read: spine.retry_batch gives one back, spine.acknowledge says that it is dealt with. Needs SELECT, and EXECUTE on spine.read_set_aside_batches';
COMMENT ON COLUMN spine.set_aside_batches.subscription IS 'Name of the subscription';
COMMENT ON COLUMN spine.set_aside_batches.batch IS 'Its number';
COMMENT ON COLUMN spine.set_aside_batches.events IS 'How many events it holds';
COMMENT ON COLUMN spine.set_aside_batches.deliveries IS 'How often it was given';
COMMENT ON COLUMN spine.set_aside_batches.taken_by IS 'The role that it was given to last';
COMMENT ON COLUMN spine.set_aside_batches.taken_at IS 'When that was';
COMMENT ON COLUMN spine.set_aside_batches.set_aside_at IS 'When it was set aside';
COMMENT ON COLUMN spine.set_aside_batches.organizations IS 'The organizations of which it holds events';
COMMENT ON COLUMN spine.set_aside_batches.first_sequences IS 'For each of them, its first event in the batch';
COMMENT ON COLUMN spine.set_aside_batches.last_sequences IS 'For each of them, its last';

CREATE FUNCTION spine.drop_subscription(name text) RETURNS void
  LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_drop_subscription';
COMMENT ON FUNCTION spine.drop_subscription(text) IS
  'Removes a subscription, its positions and its batches, once the transactions that consume it have ended. Raises SP029 for '
  'an unknown name, 42501, 25006';

CREATE FUNCTION spine.read_subscriptions() RETURNS TABLE (
  name                text,
  owner               regrole,
  is_filtered         boolean,
  redeliver_after     interval,
  created_at          timestamptz,
  events_behind       bigint,
  organizations_behind bigint,
  oldest_unread       timestamptz,
  batches_outstanding bigint,
  oldest_taken_at     timestamptz,
  redeliveries        bigint,
  batches_set_aside   bigint,
  counts_all          boolean
)
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'spine_read_subscriptions';
COMMENT ON FUNCTION spine.read_subscriptions() IS
  'What spine.subscription_lag shows, by name. Raises 42501 without SELECT on '
  'spine.events';

CREATE VIEW spine.subscription_lag WITH (security_invoker = true) AS
  SELECT s.name, s.owner, s.is_filtered, s.redeliver_after, s.created_at, s.events_behind, s.organizations_behind, s.oldest_unread,
         s.batches_outstanding, s.oldest_taken_at, s.redeliveries, s.batches_set_aside, s.counts_all
    FROM spine.read_subscriptions() s;
COMMENT ON VIEW spine.subscription_lag IS
  'The subscriptions that the current role may consume, and how far each is behind in the organizations that the role may '
  'read. Needs SELECT, and EXECUTE on spine.read_subscriptions';
COMMENT ON COLUMN spine.subscription_lag.name IS 'Name of the subscription';
COMMENT ON COLUMN spine.subscription_lag.owner IS 'The role that created it: its members consume';
COMMENT ON COLUMN spine.subscription_lag.is_filtered IS 'Whether it has any filter';
COMMENT ON COLUMN spine.subscription_lag.redeliver_after IS 'A batch that is not acknowledged within that is given again';
COMMENT ON COLUMN spine.subscription_lag.created_at IS 'When it was created';
COMMENT ON COLUMN spine.subscription_lag.events_behind IS
  'How many events are stored behind its positions: an upper bound of those to come, for only reading them tells which match the filters';
COMMENT ON COLUMN spine.subscription_lag.organizations_behind IS 'In how many organizations';
COMMENT ON COLUMN spine.subscription_lag.oldest_unread IS 'The timestamp of the oldest of them; NULL where there is none';
COMMENT ON COLUMN spine.subscription_lag.batches_outstanding IS 'How many batches were given out and not acknowledged yet';
COMMENT ON COLUMN spine.subscription_lag.oldest_taken_at IS 'When the oldest of those was given out';
COMMENT ON COLUMN spine.subscription_lag.batches_set_aside IS 'How many batches were set aside: spine.set_aside_batches lists them';
COMMENT ON COLUMN spine.subscription_lag.counts_all IS
  'False: there were more than the 10,000 organizations that are looked at, so it is behind at least that much';
COMMENT ON COLUMN spine.subscription_lag.redeliveries IS 'How often those were given again';
