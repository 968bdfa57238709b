# The matrix of attacks: for each attack and actor, what must come of it and what came of it, with the library
# preloaded and without. An attack is prevented (an error, and nothing is changed), detected (done, and a function
# says so) or outside (nothing in the server can tell). What is outside of the server's sight, a notary and the offline
# verifier detect: that is at the end. What other tests show at length is not done again here: bits flipped in files
# (tamper_heap.pl), locks (isolation), the install (install.pl), tenants (tenants.pl), servers (notary_servers.pl).
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Notary;
use Spine;
use Test::More;

# app may emit for one organization; tenant emits and reads for one organization; writer has pg_write_all_data; owner installed the extension and is no superuser any more.
my @actors = qw(app writer owner su);
my ($mine, $other) = (org(1), org(2));
my $of_events = 'tgrelid = $$spine.events$$::regclass OR tgrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = $$spine.events$$::regclass)';
my $disabled_in_catalog = 'SET allow_system_table_mods = on; UPDATE pg_trigger SET tgenabled = $$D$$ WHERE ' . $of_events;
my $enabled_in_catalog = 'SET allow_system_table_mods = on; UPDATE pg_trigger SET tgenabled = $$A$$ WHERE ' . $of_events;
# A row like the last one of an organization, with some columns set and its hash right.
sub forged
{
	my ($set) = @_;
	return "INSERT INTO spine.events SELECT (jsonb_populate_record(f, jsonb_build_object('event_hash', '\\x' || encode(spine.event_digest(f), 'hex')))).*
	  FROM spine.events e, jsonb_populate_record(e, jsonb_build_object('id', '00000000-0000-7000-8000-0000000000ff', $set)) f
	 WHERE e.organization_id = '$mine' AND e.sequence = 5";
}
sub insert { my ($column, $value) = @_; return "INSERT INTO spine.events (event_type, entity_id, organization_id, \"$column\") VALUES ('a.b.c', '$mine', '$mine', $value)" }

sub prevented { return { map { $_ => 'prevented' } @_ } }
# Partitions: of now, with all events; of a coming time, empty; and the default one.
my ($leaf, $coming) = ('spine.events_20200101', 'spine.events_21000101');
my $attach_coming = "ALTER TABLE spine.events ATTACH PARTITION spine.events_22000101 FOR VALUES FROM ('2200-01-01') TO ('2300-01-01')";
my $make_coming = 'CREATE TABLE spine.events_22000101 (LIKE spine.events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)';
my ($all, $powerful, $su) = (prevented(@actors), prevented(qw(owner su)), prevented('su'));
my $none = {};

# Row of the matrix, attack, what must come of it by actor, and the sessions that it takes. Where the outcome differs
# with the library preloaded, the second hash says how.
my @attacks = (
	[ 1, 'UPDATE', $all, $none, "UPDATE spine.events SET payload = '{}'" ],
	[ 1, 'UPDATE of no row', $all, $none, "UPDATE spine.events SET payload = '{}' WHERE false" ],
	[ 1, 'DELETE', $all, $none, 'DELETE FROM spine.events' ],
	[ 1, 'TRUNCATE', $all, $none, 'TRUNCATE spine.events' ],
	[ 1, 'TRUNCATE CASCADE', $all, $none, 'TRUNCATE spine.events CASCADE' ],
	[ 1, 'MERGE', $all, $none, "MERGE INTO spine.events e USING (SELECT 1) s ON true WHEN MATCHED THEN UPDATE SET payload = '{}'" ],
	[ 1, 'ON CONFLICT DO UPDATE', $all, $none, insert('severity', q('low')) . " ON CONFLICT (organization_id, sequence, \"timestamp\") DO UPDATE SET payload = '{}'" ],
	[ 1, 'FOR UPDATE, then UPDATE', $all, $none, "BEGIN; SELECT 1 FROM spine.events FOR UPDATE; UPDATE spine.events SET payload = '{}'; COMMIT" ],
	[ 1, 'WHERE CURRENT OF', $all, $none, 'BEGIN; DECLARE c CURSOR FOR SELECT * FROM spine.events FOR UPDATE; FETCH c; DELETE FROM spine.events WHERE CURRENT OF c; COMMIT' ],
	[ 1, 'DELETE in a query', $all, $none, 'WITH gone AS (DELETE FROM spine.events RETURNING 1) SELECT count(*) FROM gone' ],
	[ 2, 'UPDATE as a replica', $su, $none, "SET session_replication_role = replica; UPDATE spine.events SET payload = '{}'" ],
	[ 2, 'DELETE as a replica', $su, $none, 'SET session_replication_role = replica; DELETE FROM spine.events' ],
	[ 2, 'TRUNCATE as a replica', $su, $none, 'SET session_replication_role = replica; TRUNCATE spine.events' ],
	[ 3, 'UPDATE after DISABLE TRIGGER ALL', $powerful, $none, 'ALTER TABLE spine.events DISABLE TRIGGER ALL', "UPDATE spine.events SET payload = '{}'" ],
	[ 3, 'DELETE after DISABLE TRIGGER ALL as a replica', $powerful, $none, 'SET session_replication_role = replica; ALTER TABLE spine.events DISABLE TRIGGER ALL', 'DELETE FROM spine.events' ],
	[ 3, 'DISABLE TRIGGER after the event trigger', { su => 'detected' }, $su, 'ALTER EVENT TRIGGER people_os_spine_guard DISABLE', 'ALTER TABLE spine.events DISABLE TRIGGER ALL',
		"UPDATE spine.events SET payload = '{}' WHERE sequence = 2" ],
	[ 3, 'UPDATE, triggers disabled in the catalog', { su => 'detected' }, $su, $disabled_in_catalog, "UPDATE spine.events SET payload = '{}' WHERE sequence = 2" ],
	[ 3, 'the tail removed, triggers disabled in the catalog', { su => 'detected' }, $su, $disabled_in_catalog, 'DELETE FROM spine.events WHERE sequence > 3' ],
	[ 3, 'the tail removed, triggers put back', { su => 'detected' }, $su, $disabled_in_catalog, 'DELETE FROM spine.events WHERE sequence > 3', $enabled_in_catalog ],
	[ 3, 'a chain removed, triggers put back', { su => 'detected' }, $su, $disabled_in_catalog, "DELETE FROM spine.events WHERE organization_id = '$mine'", $enabled_in_catalog ],
	(map { [ 4, "INSERT with a given $_->[0]", prevented(qw(app writer)), $none, insert(@$_) ] } [ 'sequence', 6 ], [ 'event_hash', 'sha256($$x$$)' ], [ 'previous_hash', 'sha256($$x$$)' ], [ 'timestamp', 'now()' ],
		[ 'recorded_by', '$$me$$' ], [ 'id', 'gen_random_uuid()' ], [ 'transaction_id', '$$1$$' ]),
	[ 5, 'a fork', $powerful, $none, forged(q('payload', '{"x": 1}')) ],
	[ 5, 'a fork at another moment', { owner => 'detected', su => 'detected' }, $none, forged(q('timestamp', now())) ],
	[ 5, 'an event far ahead', { owner => 'detected', su => 'detected' }, $none, forged(q('sequence', 90)) ],
	[ 5, 'an event in another chain', { owner => 'detected', su => 'detected' }, $none, forged("'sequence', 6, 'organization_id', '$other'") ],
	[ 5, 'the next event, hash and link right', { owner => 'outside', su => 'outside' }, $none, forged(q('sequence', 6, 'previous_hash', '\x' || encode(e.event_hash, 'hex'))) ],
	(map { [ 6, $_->[0], $powerful, $none, $_->[1] ] }
		[ 'a trigger that swallows', 'CREATE TRIGGER a BEFORE INSERT ON spine.events FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()' ],
		[ 'a trigger behind the chain\'s', 'CREATE TRIGGER zzz BEFORE INSERT ON spine.events FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()' ],
		[ 'a rule', 'CREATE RULE nothing AS ON INSERT TO spine.events DO INSTEAD NOTHING' ]),
	[ 7, 'a child', prevented(qw(app owner su)), $none, 'CREATE TEMP TABLE child () INHERITS (spine.events)' ],
	[ 7, 'a partition of a foreign table', prevented(qw(app owner su)), $none, 'CREATE TEMP TABLE child (LIKE spine.events); ALTER TABLE child INHERIT spine.events' ],
	[ 7, 'a function that catches calls', prevented(qw(app owner su)), $none, 'CREATE FUNCTION spine.emit_event(integer) RETURNS uuid LANGUAGE sql AS $$SELECT gen_random_uuid()$$' ],
	(map { [ 8, $_, $powerful, $none, "ALTER TABLE spine.events $_" ] } q(ALTER payload TYPE jsonb USING '{}'), 'DROP COLUMN payload', 'ADD COLUMN x int DEFAULT 1', 'SET UNLOGGED', 'RENAME TO other',
		'RENAME COLUMN payload TO other', 'SET SCHEMA public', 'SET ACCESS METHOD heap', 'DISABLE RULE x', 'OWNER TO app', 'DROP CONSTRAINT events_pkey',
		'ALTER payload DROP NOT NULL', 'DISABLE ROW LEVEL SECURITY', 'ENABLE REPLICA TRIGGER zz_chain_event'),
	(map { [ 8, $_, $powerful, $none, $_ ] } 'ALTER TRIGGER zz_chain_event ON spine.events RENAME TO a', q(ALTER TYPE spine.severity RENAME VALUE 'low' TO 'none'), 'CREATE POLICY p ON spine.events',
		'ALTER SCHEMA spine RENAME TO other', 'ALTER SCHEMA spine OWNER TO app', 'ALTER EXTENSION people_os_spine DROP TABLE spine.events'),
	(map { [ 9, $_, $powerful, $none, $_ ] } 'DROP TABLE spine.events', 'DROP TABLE spine.events CASCADE', 'DROP SCHEMA spine CASCADE', 'DROP EXTENSION people_os_spine', 'DROP EXTENSION people_os_spine CASCADE',
		'DROP OWNED BY owner', 'DROP TRIGGER refuse_change ON spine.events', 'DROP TYPE spine.severity CASCADE', 'DROP FUNCTION spine.chain_event() CASCADE',
		'DROP EVENT TRIGGER people_os_spine_guard', 'DO $$BEGIN EXECUTE \'DROP EXTENSION people_os_spine\'; END$$'),
	# No event trigger fires for it.
	[ 9, 'REASSIGN OWNED', { owner => 'prevented', su => 'detected' }, $su, 'REASSIGN OWNED BY owner TO app' ],
	(map { [ 10, $_, $powerful, $none, $_ ] } 'CREATE OR REPLACE FUNCTION spine.chain_event() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$', 'ALTER FUNCTION spine.chain_event() OWNER TO app',
		'ALTER FUNCTION spine.chain_event() RENAME TO other', 'ALTER FUNCTION spine.verify_chain SECURITY DEFINER'),
	(map { [ $_->[0], $_->[1], { %{ prevented(qw(app writer owner)) }, su => 'detected' }, $su, "SET allow_system_table_mods = on; $_->[2]" ] }
		[ 10, 'a function replaced in the catalog', 'UPDATE pg_proc SET prosrc = $$spine_entity_uuid$$ WHERE proname = $$verify_chain$$' ],
		[ 10, 'a library replaced in the catalog', 'UPDATE pg_proc SET probin = $$/tmp/other$$ WHERE proname = $$chain_pending$$' ],
		[ 11, 'a trigger disabled', 'UPDATE pg_trigger SET tgenabled = $$D$$ WHERE tgname = $$refuse_row_change$$' ],
		[ 11, 'a trigger deleted', 'DELETE FROM pg_trigger WHERE tgname = $$refuse_row_change$$' ],
		[ 11, 'a trigger for another function', 'UPDATE pg_trigger SET tgfoid = $$suppress_redundant_updates_trigger$$::regproc WHERE tgname = $$refuse_row_change$$' ],
		[ 11, 'no triggers', 'UPDATE pg_class SET relhastriggers = false WHERE oid = $$spine.events$$::regclass' ],
		[ 11, 'no checks', 'UPDATE pg_class SET relchecks = 0 WHERE oid = $$spine.events$$::regclass' ],
		[ 11, 'another owner', 'UPDATE pg_class SET relowner = (SELECT oid FROM pg_roles WHERE rolname = $$app$$) WHERE oid = $$spine.events$$::regclass' ],
		[ 11, 'no row security', 'UPDATE pg_class SET relrowsecurity = false WHERE oid = $$spine.events$$::regclass' ],
		[ 11, 'an index that is not unique', 'UPDATE pg_index SET indisunique = false WHERE indexrelid = $$spine.events_pkey$$::regclass' ],
		[ 11, 'a column that may be null', 'UPDATE pg_attribute SET attnotnull = false WHERE attrelid = $$spine.events$$::regclass AND attname = $$action$$' ],
		[ 11, 'another label', 'UPDATE pg_enum SET enumlabel = $$none$$ WHERE enumlabel = $$low$$' ],
		[ 11, 'the extension renamed', 'UPDATE pg_extension SET extname = $$x$$ WHERE extname = $$people_os_spine$$' ],
		[ 11, 'the event trigger disabled', 'UPDATE pg_event_trigger SET evtenabled = $$D$$' ],
		[ 11, 'a grant to PUBLIC', 'UPDATE pg_class SET relacl = relacl || $$=r/owner$$::aclitem WHERE oid = $$spine.events$$::regclass' ]),
	# Before the first row of the file is read, an index is made of what is left.
	[ 11, 'the file swapped for a shorter one', { su => 'detected' }, $su, 'CREATE TABLE public.shorter AS SELECT * FROM spine.events WHERE sequence <= 3',
		'UPDATE pg_class SET relfilenode = (SELECT relfilenode FROM pg_class WHERE oid = $$public.shorter$$::regclass) WHERE oid = $$spine.events_20200101$$::regclass', 'REINDEX TABLE spine.events_20200101' ],
	[ 32, 'erasing without the right', prevented(qw(app writer)), $none, "SELECT spine.erase_events('$mine', (SELECT array_agg(id) FROM spine.events WHERE organization_id = '$mine'), 'x', '{payload,personal}')" ],
	[ 32, 'a hold without the right', prevented(qw(app writer)), $none, "SELECT spine.place_hold('$mine', 'x')" ],
	[ 32, 'a hold deleted', $all, $none, 'DELETE FROM spine.legal_holds' ],
	[ 32, 'an erasure event by hand', $all, $none, "SELECT spine.emit_event('platform.personal.erased', entity_id => spine.entity_uuid('platform', 'personal', '$mine'), organization_id => '$mine')" ],
	[ 32, 'an erasure event inserted', $all, $none, "INSERT INTO spine.events (event_type, entity_id, organization_id) VALUES ('platform.personal.erased', spine.entity_uuid('platform', 'personal', '$mine'), '$mine')" ],
	[ 32, 'a part taken out, triggers disabled in the catalog', { su => 'detected' }, $su, $disabled_in_catalog,
		"UPDATE spine.events SET payload = NULL, payload_salt = NULL, payload_hash = sha256(payload_salt || convert_to(spine.canonical_json(payload), 'UTF8')) WHERE sequence = 2" ],
	(map { [ 34, $_, { %{ prevented(qw(app owner su)) } }, $none, $_ ] } 'ALTER VIEW spine.audit_log SET (security_invoker = false)', 'GRANT SELECT ON spine.role_bindings TO app',
		'ALTER DEFAULT PRIVILEGES IN SCHEMA spine GRANT SELECT ON TABLES TO app', 'ALTER INDEX spine.events_pkey RENAME TO other', 'DROP INDEX spine.events_entity_id_sequence_idx'),
	# What the notary's records say, and who may write them.
	[ 35, 'a checkpoint taken without the right', prevented(qw(app writer)), $none, 'SELECT spine.take_checkpoint()' ],
	[ 35, 'a note stored without the right', prevented(qw(app writer)), $none, "SELECT spine.store_note('x')" ],
	[ 35, 'evidence of what one may not read', prevented(qw(app writer)), $none, "SELECT spine.export_evidence('$mine', reason => 'x')" ],
	(map { my $table = $_; (
		[ 35, "a row of $table forged", prevented(qw(app writer)), $none, "INSERT INTO spine.$table SELECT * FROM spine.$table" ],
		(map { [ 35, "$_->[0] of $table", $all, $none, "$_->[1] spine.$table$_->[2]" ] } [ 'UPDATE', 'UPDATE', ' SET ' . ($table eq 'checkpoint_notes' ? 'note_hash' : $table eq 'tree_nodes' ? 'hash' : 'root') . ' = sha256($$x$$)' ],
			[ 'DELETE', 'DELETE FROM', '' ], [ 'TRUNCATE', 'TRUNCATE', '' ])) } qw(checkpoints tree_nodes directory_checkpoints checkpoint_notes)),
	[ 11, 'SET on a superuser\'s setting granted', { su => 'detected' }, $su, 'GRANT SET ON PARAMETER people_os_spine.unguard TO app' ],
	[ 11, 'a right to UPDATE granted', $all, $none, 'GRANT UPDATE ON spine.events TO app' ],
	[ 13, 'LOCK TABLE', { app => 'prevented', writer => 'no effect', owner => 'no effect', su => 'no effect' }, $none, 'BEGIN; LOCK TABLE spine.events IN ACCESS EXCLUSIVE MODE; COMMIT' ],
	(map { [ 15, "SET $_", { map { $_ => 'no effect' } @actors }, { map { $_ => 'prevented' } qw(app writer owner) }, "SET people_os_spine.$_" ] } "environment = 'prod'", 'max_payload_size = 2048', 'require_durable_commit = off', "unguard = 'x'", 'early_lock_release = on', 'require_registered_types = off', 'notify = on'),
	# A partition by its own name
	(map { [ 33, "$_->[0] of a partition", $all, $none, $_->[1] ] }
		[ 'UPDATE', "UPDATE $leaf SET payload = '{}'" ], [ 'UPDATE of no row', "UPDATE $leaf SET payload = '{}' WHERE false" ], [ 'DELETE', "DELETE FROM $leaf" ], [ 'TRUNCATE', "TRUNCATE $leaf" ],
		[ 'MERGE', "MERGE INTO $leaf e USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE" ],
		[ 'ON CONFLICT', "INSERT INTO $leaf (event_type, entity_id, organization_id) VALUES ('a.b.c', '$mine', '$mine') ON CONFLICT (organization_id, sequence, \"timestamp\") DO UPDATE SET payload = '{}'" ],
		[ 'WHERE CURRENT OF', "BEGIN; DECLARE c CURSOR FOR SELECT * FROM $leaf FOR UPDATE; FETCH c; DELETE FROM $leaf WHERE CURRENT OF c; COMMIT" ]),
	[ 33, 'DELETE of a partition as a replica', $su, $none, "SET session_replication_role = replica; DELETE FROM $leaf" ],
	[ 33, 'TRUNCATE of a partition as a replica', $su, $none, "SET session_replication_role = replica; TRUNCATE $leaf" ],
	[ 33, 'INSERT of given columns into a partition', prevented(qw(app writer)), $none,
		"INSERT INTO $leaf (event_type, entity_id, organization_id, sequence, recorded_by) VALUES ('a.b.c', '$mine', '$mine', 6, 'me')" ],
	[ 33, 'INSERT into a partition for an organization that one was not given', prevented(qw(app writer)), $none, "INSERT INTO $leaf (event_type, entity_id, organization_id) VALUES ('a.b.c', '$other', '$other')" ],
	[ 33, 'INSERT of a fork into a partition', $powerful, $none, forged(q('payload', '{"x": 1}')) =~ s/INTO spine\.events/INTO $leaf/r ],
	[ 33, 'INSERT into another partition', $powerful, $none, "INSERT INTO $coming SELECT * FROM $leaf" ],
	[ 33, 'COPY into a partition', $su, $none, "COPY $leaf FROM PROGRAM 'echo'" ],
	(map { [ 33, "ALTER TABLE partition $_", $powerful, $none, "ALTER TABLE $leaf $_" ] } 'DISABLE TRIGGER ALL', 'ENABLE REPLICA TRIGGER refuse_change', 'DISABLE ROW LEVEL SECURITY', 'SET UNLOGGED', 'OWNER TO app',
		'RENAME TO other', 'SET SCHEMA public', 'ALTER "timestamp" DROP DEFAULT', 'ADD CHECK (sequence < 9)', 'DROP CONSTRAINT events_20200101_pkey', 'INHERIT public.parent', 'NO INHERIT spine.events'),
	(map { [ 33, $_, $powerful, $none, $_ ] } "ALTER TABLE spine.events DETACH PARTITION $leaf", "ALTER TABLE spine.events DETACH PARTITION $leaf CONCURRENTLY", "ALTER TABLE spine.events DETACH PARTITION $coming FINALIZE",
		"DROP TABLE $leaf", "DROP TABLE $coming CASCADE", 'DROP TABLE spine.events_default CASCADE', "DROP TRIGGER refuse_change ON $leaf", "DROP TRIGGER refuse_row_change ON $leaf", "CREATE RULE r AS ON INSERT TO $leaf DO INSTEAD NOTHING",
		"CREATE TRIGGER a BEFORE INSERT ON $leaf FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()", "CREATE POLICY p ON $leaf", "GRANT SELECT ON $leaf TO app",
		"CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON $leaf FOR EACH STATEMENT WHEN (false) EXECUTE FUNCTION spine.refuse_change()",
		"CREATE UNIQUE INDEX once ON $leaf (entity_id)", "ALTER TABLE spine.events DETACH PARTITION $coming; DROP TABLE $coming"),
	# What is to be a partition is none of the spine's until it has all of its guards, and no row.
	(map { [ 7, "a partition with $_->[0]", prevented(qw(owner su)), $none, "BEGIN; $make_coming; $_->[1]; $attach_coming; COMMIT" ] }
		[ 'rows', "INSERT INTO spine.events_22000101 SELECT * FROM $leaf" ], [ 'a trigger', 'CREATE TRIGGER a BEFORE INSERT ON spine.events_22000101 FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()' ],
		[ 'a rule', 'CREATE RULE r AS ON INSERT TO spine.events_22000101 DO INSTEAD NOTHING' ], [ 'a check', 'ALTER TABLE spine.events_22000101 ADD CHECK (sequence < 9)' ], [ 'a right', 'GRANT UPDATE ON spine.events_22000101 TO app' ],
		[ 'no check', 'ALTER TABLE spine.events_22000101 DROP CONSTRAINT events_sequence_check' ], [ 'a policy', 'CREATE POLICY p ON spine.events_22000101' ]),
	[ 7, 'a partition of another shape', prevented(qw(app owner su)), $none, 'CREATE TABLE spine.events_22000101 (id integer)' ],
	[ 7, 'a partition that is a table of one\'s own', prevented(qw(app owner su)), $none, "CREATE TABLE public.own (LIKE spine.events INCLUDING ALL); ALTER TABLE spine.events ATTACH PARTITION public.own FOR VALUES FROM ('2200-01-01') TO ('2300-01-01')" ],
	[ 7, 'a partition that another name is swapped for', $su, $none,
		"CREATE SCHEMA attic; CREATE TABLE attic.events_22000101 (LIKE spine.events INCLUDING ALL); $make_coming;
		 CREATE FUNCTION attic.swap() RETURNS event_trigger LANGUAGE plpgsql AS \$\$BEGIN PERFORM set_config(\$q\$search_path\$q\$, \$q\$attic\$q\$, false); END\$\$;
		 CREATE EVENT TRIGGER z_swap ON ddl_command_start WHEN TAG IN (\$q\$ALTER TABLE\$q\$) EXECUTE FUNCTION attic.swap(); SET search_path = spine;
		 ALTER TABLE spine.events ATTACH PARTITION events_22000101 FOR VALUES FROM ('2200-01-01') TO ('2300-01-01')" ],
	(map { [ 33, $_->[0], { %{ prevented(qw(app writer owner)) }, su => 'detected' }, $su, "SET allow_system_table_mods = on; $_->[1]" ] }
		[ 'a partition\'s trigger disabled in the catalog', "UPDATE pg_trigger SET tgenabled = 'D' WHERE tgname = 'refuse_change' AND tgrelid = '$leaf'::regclass" ],
		[ 'a partition without row security in the catalog', "UPDATE pg_class SET relrowsecurity = false WHERE oid = '$leaf'::regclass" ],
		[ 'a partition unhinged in the catalog', "DELETE FROM pg_inherits WHERE inhrelid = '$coming'::regclass" ],
		[ 'a partition\'s index not unique in the catalog', "UPDATE pg_index SET indisunique = false WHERE indexrelid = 'spine.events_20200101_pkey'::regclass" ]),
	# Between a statement's judgement and its work somebody's function changes what its names mean.
	[ 8, 'a partition bound that changes search_path', $powerful, $none,
		'CREATE TEMP TABLE parent (LIKE spine.events) PARTITION BY LIST (environment);
		 CREATE FUNCTION pg_temp.swap() RETURNS spine.environment LANGUAGE plpgsql AS $$BEGIN PERFORM set_config($q$search_path$q$, $q$spine$q$, false); RETURN $q$test$q$; END$$;
		 SET search_path = pg_temp; ALTER TABLE pg_temp.parent ATTACH PARTITION events FOR VALUES IN (pg_temp.swap())' ],
	(map { [ 8, "an event trigger that changes search_path: $_", $su, $none,
		'CREATE SCHEMA attic; CREATE TABLE attic.events (payload int);
		 CREATE FUNCTION attic.swap() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN PERFORM set_config($q$search_path$q$, $q$spine$q$, false); END$$;
		 CREATE EVENT TRIGGER z_swap ON ddl_command_start WHEN TAG IN ($q$ALTER TABLE$q$, $q$CREATE FUNCTION$q$) EXECUTE FUNCTION attic.swap(); SET search_path = attic; ' . $_ ] }
		'ALTER TABLE events DISABLE TRIGGER ALL', 'ALTER TABLE events RENAME TO other', 'CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$'),
	[ 0, 'an administrator\'s way to alter', { su => 'detected' }, $none, q(SET people_os_spine.unguard = 'a reason'; CREATE TRIGGER a AFTER INSERT ON spine.events FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()) ],
);

# By which the library is there.
my $load = 'DO $$ BEGIN PERFORM spine.canonical_json($q${}$q$); END $$';
# What must not be seen, or not come out otherwise: each query gives a row for what went wrong.
my @looks = (
	(map { [ 14, $_->[0], [qw(app tenant)], $_->[1] ] }
		[ 'the table', "SELECT 1 FROM spine.events WHERE organization_id = '$other'" ],
		[ 'all of the table', "SELECT 1 FROM spine.events WHERE organization_id <> '$mine'" ],
		[ 'a count', 'SELECT 1 FROM spine.events HAVING count(*) > 5' ],
		[ 'read_events', "SELECT 1 FROM spine.read_events('$other')" ],
		[ 'verify_chain', "SELECT 1 FROM spine.verify_chain('$other') WHERE events > 0 OR intact IS NOT NULL OR last_sequence IS NOT NULL" ],
		[ 'verify_chain of all', "SELECT 1 FROM spine.verify_chain() WHERE organization_id <> '$mine'" ],
		[ 'find_chain_faults', "SELECT 1 FROM spine.find_chain_faults() WHERE organization_id IS DISTINCT FROM '$mine'" ],
		[ 'may_read', "SELECT 1 WHERE spine.may_read('$other')" ],
		[ 'the setting', "SET people_os_spine.organization_id = '$other'; SELECT 1 FROM spine.events; SELECT 1 FROM spine.verify_chain() WHERE events > 0" ],
		[ 'EXPLAIN', "EXPLAIN SELECT 1 FROM spine.events WHERE organization_id = '$other'" ],
		[ 'EXPLAIN ANALYZE', "EXPLAIN ANALYZE SELECT 1 FROM spine.events WHERE organization_id = '$other'" ],
		[ 'pg_stats', "SELECT 1 FROM pg_stats WHERE schemaname = 'spine' AND tablename = 'events'" ],
		[ 'a function that tells what it is asked', "CREATE FUNCTION pg_temp.tell(o uuid) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS \$\$ BEGIN IF o <> '$mine' THEN RAISE NOTICE 'told'; END IF; RETURN true; END \$\$; SELECT 1 FROM spine.events WHERE pg_temp.tell(organization_id) AND false" ],
		[ 'the bindings', 'SELECT 1 FROM spine.role_bindings' ]),
	# The base's events speak of Ada, and tenant may read them without that.
	(map { [ 34, "the personal part: $_->[0]", ['tenant'], "$load; $_->[1]" ] }
		[ 'the table', 'SELECT 1 FROM spine.events WHERE personal IS NOT NULL OR personal_salt IS NOT NULL' ],
		[ 'a whole row', "SELECT 1 FROM spine.events e WHERE e::text LIKE '%Ada%' OR to_json(e)::text LIKE '%Ada%'" ],
		[ 'every column', "SELECT 1 FROM (SELECT * FROM spine.events) e WHERE e::text LIKE '%Ada%'" ],
		[ 'COPY', 'CREATE TEMP TABLE c (p jsonb); COPY (SELECT personal FROM spine.events WHERE personal IS NOT NULL) TO STDOUT' ],
		[ 'a cursor', 'BEGIN; DECLARE c CURSOR FOR SELECT 1 FROM spine.events WHERE personal IS NOT NULL; FETCH ALL FROM c; COMMIT' ],
		[ 'a prepared query', 'PREPARE p AS SELECT 1 FROM spine.events WHERE personal IS NOT NULL; EXECUTE p' ],
		[ 'a view of its own', 'CREATE TEMP VIEW v AS SELECT * FROM spine.events; SELECT 1 FROM v WHERE personal IS NOT NULL' ],
		[ 'a function in the query', 'CREATE FUNCTION pg_temp.f() RETURNS SETOF jsonb LANGUAGE sql STABLE AS $$SELECT personal FROM spine.events$$; SELECT 1 FROM pg_temp.f() f WHERE f IS NOT NULL' ],
		[ 'a function that tells what it is asked', 'CREATE FUNCTION pg_temp.tell(p jsonb) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN IF p IS NOT NULL THEN RAISE NOTICE $q$told$q$; END IF; RETURN false; END $$;
			SELECT 1 FROM spine.events WHERE pg_temp.tell(personal)' ],
		[ 'an error', 'SELECT 1 FROM spine.events WHERE (personal ->> $$name$$)::integer = 1' ],
		[ 'EXPLAIN', 'EXPLAIN ANALYZE SELECT personal FROM spine.events' ],
		[ 'RETURNING', "WITH i AS (INSERT INTO spine.events (event_type, entity_id, organization_id, personal) VALUES ('a.b.c', '$mine', '$mine', '{\"name\": \"Ada\"}') RETURNING personal) SELECT 1 FROM i WHERE personal IS NOT NULL" ],
		[ 'read_events', "SELECT 1 FROM spine.read_events('$mine') e WHERE e::text LIKE '%Ada%'" ],
		[ 'entity_history', "SELECT 1 FROM spine.entity_history('employee', '$mine') e WHERE e::text LIKE '%Ada%'" ],
		[ 'replay', "CREATE FUNCTION pg_temp.tell(e spine.events) RETURNS void LANGUAGE plpgsql AS \$\$ BEGIN IF e::text LIKE '%Ada%' THEN RAISE NOTICE 'told'; END IF; END \$\$;
			CREATE TEMP TABLE gone AS SELECT spine.replay('pg_temp.tell(spine.events)', '$mine')" ],
		[ 'a subscription', "CREATE TEMP TABLE made AS SELECT spine.create_subscription('s'); SELECT 1 FROM spine.next_batch('s') WHERE (event)::text LIKE '%Ada%'" ],
		[ 'as of a moment', "SELECT 1 WHERE spine.entity_as_of('employee', '$mine', 'infinity')::text LIKE '%Ada%'" ],
		[ 'the hashed form', "SELECT 1 FROM spine.events e WHERE spine.canonical_event(e) LIKE '%Ada%' OR spine.to_cloudevent(e)::text LIKE '%Ada%'" ],
		[ 'the views', "SELECT 1 FROM spine.audit_log a WHERE a::text LIKE '%Ada%'; SELECT 1 FROM spine.activity_feed a WHERE a::text LIKE '%Ada%'" ]),
	[ 15, 'emit_event for another organization', ['tenant'], "SELECT spine.emit_event('a.b.c', entity_id => '$mine', organization_id => '$other')" ],
	[ 15, 'emit_events for one among others', ['tenant'], "SELECT spine.emit_events('[{\"event_type\": \"a.b.c\", \"entity_id\": \"$mine\", \"organization_id\": \"$mine\"}, {\"event_type\": \"a.b.c\", \"entity_id\": \"$mine\", \"organization_id\": \"$other\"}]')" ],
	[ 15, 'by the setting', ['tenant'], "SET people_os_spine.organization_id = '$other'; SELECT spine.emit_event('a.b.c', entity_id => '$mine')" ],
	[ 15, 'at the commit', ['tenant'], "SET people_os_spine.chain_at = commit; BEGIN; SELECT spine.emit_event('a.b.c', entity_id => '$mine', organization_id => '$other'); COMMIT" ],
	(map { [ 16, $_->[0], ['tenant'], "BEGIN; $_->[1]; RESET ROLE; SELECT 1 FROM public.last_recorded_by() WHERE last_recorded_by IS DISTINCT FROM 'tenant'; ROLLBACK" ] }
		[ 'another actor', "CREATE TEMP TABLE gone AS SELECT spine.emit_event('a.b.c', entity_id => '$mine', actor_id => '$other', actor_type => 'system', organization_id => '$mine')" ],
		[ 'SET ROLE', "SET ROLE app; CREATE TEMP TABLE gone AS SELECT spine.emit_event('a.b.c', entity_id => '$mine', organization_id => '$mine')" ],
		[ 'a function with its owner\'s rights', 'CREATE TEMP TABLE gone AS SELECT public.emit_for_others()' ]),
	(map { [ 19, $_, [qw(tenant su)], "$load; SET $_; SELECT 1 FROM spine.events e WHERE event_hash <> spine.event_digest(e); SELECT 1 FROM spine.verify_chain() WHERE NOT intact" ] }
		"TimeZone = 'Asia/Kathmandu'", "DateStyle = 'SQL, DMY'", "IntervalStyle = 'sql_standard'", 'extra_float_digits = -15', "lc_time = 'C'", "lc_numeric = 'C'", "bytea_output = 'escape'",
		"search_path = pg_temp, public", "client_encoding = 'LATIN1'", 'quote_all_identifiers = on', "xmloption = 'document'", "default_transaction_isolation = 'serializable'"));

my ($node, $db, %at_first);
my $number = 0;
sub fresh
{
	$db = 'm' . ++$number;
	# What belongs to all databases is put back.
	$node->safe_psql('template1', 'REVOKE ALL ON PARAMETER people_os_spine.unguard FROM app');
	$node->safe_psql('template1', "CREATE DATABASE $db TEMPLATE base");
	return;
}
# The events, and what is wrong with guards and chains: by a superuser, in a session of its own, in one call.
sub look
{
	my ($rc, $out, $err) = $node->psql($db, q(
	  SELECT 'rows ' || coalesce(md5(string_agg(e::text, ',' ORDER BY id)), 'none') FROM spine.events e;
	  SELECT 'verify_guards: ' || guard || coalesce('#' || md5(found), '') FROM spine.verify_guards() WHERE ok IS NOT TRUE;
	  SELECT DISTINCT 'verify_chain: ' || fault FROM spine.find_chain_faults();
	), on_error_stop => 0);
	my ($rows) = $out =~ /^rows (\w+)$/m;
	my @said = grep { !$at_first{$_} } $out =~ /^(verify_.*)$/mg;
	push @said, 'verification: an error' if $err =~ /ERROR/;
	return ($rows // 'unreadable', join ', ', map { s/#\w+$//r } @said);
}
sub happened
{
	my ($actor, $was, @sessions) = @_;
	my $refused = '';
	foreach my $session (@sessions)
	{
		my ($state) = run_sql($node, $db, $session, role => $actor eq 'su' ? undef : $actor);
		$refused = $state if $state ne '';
	}
	my ($rows, $said) = look();
	my $changed = $rows ne $was;
	return ('prevented', "by $refused", $said ne '') if $refused ne '' && !$changed;
	return ('detected', "by $said", 1) if $said ne '';
	return ('outside', '', 1) if $changed;
	return ('no effect', '', 0);
}

foreach my $preloaded (0, 1)
{
	$node = PostgreSQL::Test::Cluster->new($preloaded ? 'preloaded' : 'not_preloaded');
	$node->init(extra => [ '-E', 'UTF8', '--locale=C.UTF-8' ]);
	$node->append_conf('postgresql.conf', "autovacuum = off\nfsync = on\nlog_statement = none\npeople_os_spine.environment = 'test'\npeople_os_spine.actor_id = '$mine'\n"
		  . ($preloaded ? "shared_preload_libraries = people_os_spine\n" : ''));
	$node->start;
	$node->safe_psql('postgres', 'CREATE ROLE owner SUPERUSER LOGIN; CREATE ROLE app LOGIN; CREATE ROLE writer LOGIN; GRANT pg_write_all_data TO writer; CREATE DATABASE base');
	$node->safe_psql('base', 'SET SESSION AUTHORIZATION owner; CREATE EXTENSION people_os_spine');
	foreach my $partition ([ $leaf, '2020', '2100' ], [ $coming, '2100', '2200' ])
	{
		my ($name, $from, $to) = @$partition;
		$node->safe_psql('base', "SET SESSION AUTHORIZATION owner; CREATE TABLE $name (LIKE spine.events INCLUDING DEFAULTS INCLUDING CONSTRAINTS); ALTER TABLE spine.events ATTACH PARTITION $name FOR VALUES FROM ('$from-01-01') TO ('$to-01-01')");
	}
	$node->safe_psql('base', GUARDS_OFF . 'ALTER EVENT TRIGGER people_os_spine_guard OWNER TO CURRENT_USER; ALTER EVENT TRIGGER people_os_spine_partitions OWNER TO CURRENT_USER;' . GUARDS_ON . 'ALTER ROLE owner NOSUPERUSER; ');
	$node->safe_psql('base', "CREATE ROLE tenant LOGIN; GRANT app TO tenant; SELECT spine.grant_emitter('app', ARRAY['$mine']::uuid[]), spine.grant_emitter('tenant', ARRAY['$mine']::uuid[]), spine.grant_reader('tenant', ARRAY['$mine']::uuid[]);
		CREATE FUNCTION last_recorded_by() RETURNS text LANGUAGE sql SECURITY DEFINER AS \$\$ SELECT recorded_by FROM spine.events WHERE action = 'c' ORDER BY id DESC LIMIT 1 \$\$;
		CREATE FUNCTION emit_for_others() RETURNS uuid LANGUAGE sql SECURITY DEFINER AS \$\$ SELECT spine.emit_event('a.b.c', entity_id => '$mine', organization_id => '$mine') \$\$");
	emit_base();
	$node->safe_psql('base', 'SELECT count(*) FROM spine.record_verification()');
	fresh();
	is($node->safe_psql($db, 'SELECT string_agg(guard, $$, $$) FROM spine.verify_guards() WHERE NOT ok'), '', 'no false alarm');
	# What is not in force to begin with, as checksums; and the owner, who is no superuser.
	%at_first = map { $_ => 1 } split /\n/, $node->safe_psql($db, q(SELECT 'verify_guards: ' || guard || '#' || md5(found) FROM spine.verify_guards() WHERE ok IS NULL));
	my ($was) = look();
	foreach my $attack (@attacks)
	{
		my ($row, $name, $plain, $with, @sessions) = @$attack;
		foreach my $actor (grep { exists $plain->{$_} } @actors)
		{
			my $declared = $preloaded && exists $with->{$actor} ? $with->{$actor} : $plain->{$actor};
			my ($what, $how, $is_spent) = happened($actor, $was, @sessions);
			is($what, $declared, sprintf '%s row %d, %s, %s: declared %s, happened %s %s', $preloaded ? 'preloaded' : 'not preloaded', $row, $actor, $name, $declared, $what, $how);
			fresh() if $is_spent || $what ne 'prevented' && $what ne 'no effect';
		}
	}
	fresh();
	foreach my $look (@looks)
	{
		my ($row, $name, $who, $sql) = @$look;
		foreach my $actor (@$who)
		{
			my ($state, $out, $err) = run_sql($node, $db, $sql, role => $actor eq 'su' ? undef : $actor);
			my $what = $out eq '' && $err !~ /NOTICE/ ? 'prevented' : 'seen';
			my $expected = $row == 16 || $row == 19 ? '' : $row == 15 ? '42501' : $state;
			is("$what $state", "prevented $expected", sprintf '%s row %d, %s, %s: declared prevented, happened %s%s', $preloaded ? 'preloaded' : 'not preloaded', $row, $actor, $name, $what, $state ? " by $state" : '')
			  or diag("$out $err");
		}
	}
	is((look())[0], $was, 'none of that changed an event');
	$node->stop;
}

sub emit_base
{
	my $list = join ',', map { "'$_'" } $mine, $other;
	$node->safe_psql('base', "SELECT count(spine.emit_event('hcm.employee.created', entity_id => o, organization_id => o, payload => jsonb_build_object('n', n), personal => '{\"name\": \"Ada\"}')) FROM generate_series(1, 5) n, unnest(ARRAY[$list]::uuid[]) o");
	return;
}

# Rows 31 and 35: detected from outside. Each attack is declared with what the notary says, and how its program ends. A superuser, or root, has
# altered everything in the server that could tell, so nothing there does. Then he signs it himself, with a key of his own, or with the
# notary's, which he stole: the verifier believes neither.
$node = spine_node('signed', allows_streaming => 1);
my $signed = new_notary($node, 'postgres', 'spine.example/matrix');
my $forget = "DELETE FROM spine.checkpoint_notes; DELETE FROM spine.directory_checkpoints WHERE number > 1; DELETE FROM spine.checkpoints WHERE directory_number > 1";
my $forget_all = join '; ', map { "DELETE FROM spine.$_" } qw(checkpoint_notes directory_checkpoints checkpoints);
emit_in($node, 'postgres', 5, $mine, $other);
notary_is($signed, 'init', DONE, 'signed: the first checkpoint');
$node->backup('early');
my $early = copy_state($signed);
emit_in($node, 'postgres', 5, $mine, $other);
notary_is($signed, 'once', DONE, 'signed: the second');
append_to_file("$signed->{folder}/policy", "log $signed->{public_key}\nquorum none\n");
my ($exported) = run_notary('export', '--database', $node->connstr('postgres'), '--organization', $mine, '--reason', 'a test', '--output', "$signed->{folder}/evidence");
is($exported, DONE, 'signed: evidence');
$node->backup('late');

# How the verifier ends, and the reasons that it names.
sub verifier
{
	my ($what) = @_;
	my $out = '';
	IPC::Run::run([ program('spine-verify'), '--json', '--policy', "$signed->{folder}/policy", $what ], '>', \$out);
	my $code = $? >> 8;
	return join ' ', $code, sort keys %{ { map { $_ => 1 } $out =~ /"reason":"(\w+)"/g } };
}

# What the server itself says is wrong: guards that are not in force, chains and records that are not intact.
sub server_says
{
	return $node->safe_psql($db, q{SELECT guard FROM spine.verify_guards() WHERE NOT ok AND guard <> 'setting fsync'
		UNION ALL SELECT fault FROM spine.find_chain_faults() UNION ALL SELECT first_fault FROM spine.verify_since_checkpoint() WHERE NOT intact});
}

# What the notary says of the database at $node, $db, and what the verifier says of what its administrator signs; or that nobody signs it,
# for what is left of its records contradicts itself.
sub detected_is
{
	my ($row, $name, $code, $message, $organization, $contradicts) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(server_says(), '', "row $row, $name: nothing in the server tells");
	my $there = $node->connstr($db) . ' user=notary';
	my @messages = notary_is({ %{ copy_state($signed) }, database => $there }, 'once', $code, "row $row, $name: detected by the notary");
	is(message_of($message, @messages)->{organization_id}, $organization, "row $row, $name: it says of whom, by $message") if $organization;
	is(verifier("$signed->{folder}/evidence"), '0', "row $row, $name: the evidence of before is proved");
	tamper($node, $db, tamper_with_records('DELETE FROM spine.checkpoint_notes'));
	# The next checkpoint, where it took none of its own.
	emit_in($node, $db, 1, $other) if $node->safe_psql($db, 'SELECT count(*) FROM spine.directory_checkpoints') < 2;
	my $forger = new_notary($node, $db, $signed->{origin});
	if ($contradicts) { notary_is($forger, 'init', REWRITTEN, "row $row, $name: a new notary does not sign it, either"); return }
	my $thief = { %$signed, state => "$forger->{folder}/stolen", database => $there };
	notary_is($thief, 'init', DONE, "row $row, $name: the notary's own key signs it");
	my ($of_thief) = glob "$thief->{state}/*.checkpoint";
	my $both = "$forger->{folder}/both";
	mkdir $both or die $!;
	system_or_bail('cp', (glob "$signed->{state}/*.checkpoint"), $both);
	system_or_bail('cp', $of_thief, "$both/1000.checkpoint");
	like(verifier($both), qr/^1 (?:root_differs|size_shrank)$/, "row $row, $name: that two lines were signed is detected by the verifier");
	tamper($node, $db, tamper_with_records('DELETE FROM spine.checkpoint_notes'));
	notary_is($forger, 'init', DONE, "row $row, $name: another key signs it");
	my ($made) = run_notary('export', '--database', $node->connstr($db), '--organization', $other, '--reason', 'a test', '--output', "$forger->{folder}/evidence");
	is($made, DONE, "row $row, $name: and evidence is made of it");
	is(verifier("$forger->{folder}/evidence"), '1 checkpoint_untrusted', "row $row, $name: detected by the verifier");
	return;
}

# A copy of the signed database in the same server: a database of the cluster that takes its place.
my $copies = 0;
sub copy_of_database
{
	$db = 'signed' . ++$copies;
	$node->safe_psql('template1', "CREATE DATABASE $db TEMPLATE postgres");
	$node->safe_psql('template1', "ALTER DATABASE $db SET people_os_spine.environment = 'test'");
	return;
}

my $chain = "organization_id = '$mine'";
foreach my $attack (
	[ 31, 'the tail removed', REWRITTEN, 'chain_shrunken', "DELETE FROM spine.events WHERE $chain AND sequence > 5", $forget ],
	[ 31, 'a chain removed', REWRITTEN, 'chain_removed', "DELETE FROM spine.events WHERE $chain", "$forget; DELETE FROM spine.checkpoints WHERE $chain" ],
	[ 31, 'a chain removed, and the log begun anew', REWRITTEN, 'chain_removed', "DELETE FROM spine.events WHERE $chain", $forget_all ],
	[ 31, 'a chain rewritten with fresh hashes', REWRITTEN, 'chain_rewritten', "UPDATE spine.events SET payload = '{\"n\": 0}' WHERE $chain AND sequence = 7; " . rewrite($mine), $forget ],
	[ 35, 'a chain and its checkpoints forged', REWRITTEN, 'chain_rewritten', "UPDATE spine.events SET payload = '{\"n\": 0}' WHERE $chain AND sequence = 1; " . rewrite($mine),
		"$forget; DELETE FROM spine.checkpoints WHERE $chain" ])
{
	my ($row, $name, $code, $message, $events, $records) = @$attack;
	copy_of_database();
	tamper($node, $db, $events);
	tamper($node, $db, tamper_with_records($records));
	# An older entry of the log, which was left, speaks of the chain that has no checkpoint any more.
	detected_is($row, $name, $code, $message, $mine, $records =~ /checkpoints WHERE \Q$chain\E/);
}

# Whole servers: an old backup that takes the database's place, and one that goes on beside it.
my $original = $node;
$db = 'postgres';
foreach my $server ([ 'rolled back, an old backup is served', 'early', RESTORED ], [ 'a clone goes on', 'late', CLONED ])
{
	my ($name, $backup, $code) = @$server;
	$node = PostgreSQL::Test::Cluster->new($backup);
	$node->init_from_backup($original, $backup);
	$node->start;
	if ($code == CLONED)
	{
		# It takes a checkpoint of its own before the original's next one is signed.
		emit_in($node, $db, 1, $mine);
		$node->safe_psql($db, 'SELECT FROM spine.take_checkpoint()');
		emit_in($original, $db, 2, $other);
		notary_is($signed, 'once', DONE, "row 31, $name: the original is signed");
	}
	detected_is(31, $name, $code, 'refused');
	$node->stop;
}
$node = $original;

# Postings that the notary lost are told from those that the database lost.
my @messages = notary_is($early, 'once', NOTARY_LOST, 'row 31, the notary was set back: it says so of itself');
is_deeply([ @{ message_of('notary_lost', @messages) }{qw(number signed_number)} ], [ 1, 3 ], 'and which notes it lost');
copy_of_database();
tamper($node, $db, "DELETE FROM spine.events WHERE sequence > 5 AND organization_id IN ('$mine', '$other')");
tamper($node, $db, tamper_with_records($forget));
@messages = notary_is({ %{ copy_state($signed) }, database => $node->connstr($db) . ' user=notary' }, 'once', REWRITTEN, 'row 31, the database was set back: it says so of the database');
is_deeply([ @{ message_of('refused', @messages) }{qw(signed_number agreed_number events_missing)} ], [ 3, 1, 13 ], 'and what that lost');
is_deeply(message_of('notary_lost', @messages), {}, 'and not of itself');
copy_of_database();
tamper($node, $db, tamper_with_records('DELETE FROM spine.checkpoint_notes'));
notary_is({ %{ copy_state($signed) }, database => $node->connstr($db) . ' user=notary' }, 'once', DONE, 'row 31, the database lost the notes alone');
is($node->safe_psql($db, 'SELECT number FROM spine.checkpoint_notes'), '3', 'and gets the newest again');
$node->stop;
done_testing;
