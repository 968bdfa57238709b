# The rule and migrations where the regression tests do not reach: prepared transactions, 100,000 rows in one transaction,
# dump and restore, sessions without triggers, an extension that goes.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Test::More;

my $node = spine_node('rule', conf => "log_statement = none\nmax_prepared_transactions = 16\nfsync = off\n");
my $org = org(1);
$node->safe_psql('postgres', qq{
  ALTER DATABASE postgres SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
  ALTER DATABASE postgres SET people_os_spine.organization_id = '$org';
});
$node->safe_psql('postgres', q{
  CREATE FUNCTION id(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid $$;
  CREATE FUNCTION emit(first int, last int) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM spine.emit_events((SELECT jsonb_agg(jsonb_build_object('event_type', 'hcm.employee.updated', 'entity_id', id(n))) FROM generate_series(first, last) n)) $$;
  CREATE TABLE employee (id uuid PRIMARY KEY, n int, seen int DEFAULT 0);
  INSERT INTO employee SELECT id(n), n FROM generate_series(1, 100000) n;
  CREATE TABLE place (id uuid, region int) PARTITION BY LIST (region);
  CREATE TABLE place1 PARTITION OF place FOR VALUES IN (1);
  SELECT spine.require_events('employee', 'id'), spine.require_events('place', 'id', domain => 'hcm', entity_type => 'employee');
});
my $seen = sub { $node->safe_psql('postgres', 'SELECT count(*) FROM employee WHERE seen > 0') };

for my $mode ('insert', 'commit')
{
	my $at = "SET people_os_spine.chain_at = '$mode'; ";

	# Prepared.
	is_refused($node, 'postgres', "$at BEGIN; UPDATE employee SET seen = seen + 1 WHERE n = 1; PREPARE TRANSACTION 'one'", 'SP028', "$mode: what lacks its event is not prepared");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts'), 0, "$mode: indeed not");
	is_allowed($node, 'postgres', "$at BEGIN; UPDATE employee SET seen = 1 WHERE n = 1; SELECT emit(1, 1); PREPARE TRANSACTION 'one'; COMMIT PREPARED 'one'", "$mode: what has it is");
	is($seen->(), 1, "$mode: and is committed");
	is_refused($node, 'postgres', "$at BEGIN; SELECT emit(1, 1); PREPARE TRANSACTION 'one'; BEGIN; UPDATE employee SET seen = 0 WHERE n = 1; COMMIT", 'SP028', "$mode: a prepared event is another transaction's");
	$node->safe_psql('postgres', "ROLLBACK PREPARED 'one'");

	# Many rows.
	my ($state, undef, $err) = run_sql($node, 'postgres', "$at BEGIN; UPDATE employee SET seen = 2; SELECT emit(1, 77776), emit(77778, 100000); COMMIT");
	is($state, 'SP028', "$mode: one row of 100,000 without its event is found");
	like($err, qr/entity 00000000-0000-4000-8000-000000077777$/m, "$mode: and named");
	is_allowed($node, 'postgres', "$at BEGIN; UPDATE employee SET seen = 2; SELECT emit(1, 100000); COMMIT", "$mode: 100,000 rows with their events");
	is($seen->(), 100_000, "$mode: are stored");
	is_refused($node, 'postgres', "$at BEGIN; DELETE FROM employee WHERE n > 99990; SELECT emit(99991, 99999); COMMIT", 'SP028', "$mode: the last is deleted");

	# Savepoints, thousands of them, of which every other is rolled back.
	my $loop = sub {
		my ($last) = @_;
		return "$at DO \$\$ BEGIN FOR i IN 1 .. 2000 LOOP
		  BEGIN UPDATE employee SET seen = seen - 10 WHERE id = id(i); IF i % 2 = 0 THEN RAISE 'no'; END IF;
		    IF i < $last THEN PERFORM spine.emit_event('hcm.employee.updated', entity_id => id(i)); END IF;
		  EXCEPTION WHEN raise_exception THEN NULL; END; END LOOP; END \$\$";
	};
	is_allowed($node, 'postgres', $loop->(2001), "$mode: thousands of savepoints");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM employee WHERE seen = -8'), 1000, "$mode: half of them stay");
	is_refused($node, 'postgres', $loop->(1999), 'SP028', "$mode: the last one's event is missing");
	$node->safe_psql('postgres', "BEGIN; SET session_replication_role = replica; UPDATE employee SET seen = 0; COMMIT");
}
is($seen->(), 0, 'session_replication_role = replica: no trigger, no rule');
$node->safe_psql('postgres', "BEGIN; ALTER TABLE employee DISABLE TRIGGER spine_require_events; UPDATE employee SET seen = 0 WHERE n = 1; ALTER TABLE employee ENABLE TRIGGER spine_require_events; COMMIT");
is_refused($node, 'postgres', 'UPDATE employee SET seen = 5 WHERE n = 1', 'SP028', 'enabled again it holds again');
my $last = $node->safe_psql('postgres', 'SELECT max(sequence) FROM spine.events');
is($last, 2 * (1 + 100_000 + 1_000), 'what was emitted is in the chain, what was refused is not');
agrees_with_model($node, rows_of($node, "sequence >= $last - 1000"), 'which is right, says a second opinion', from => $last - 999);

# Partitions that are being detached ------------------------------------------------------------------------------
# A reader, as a prepared transaction, holds DETACH … CONCURRENTLY in its second phase; what gives up there leaves it pending.
my $detach = sub {
	my ($table, $partition) = @_;
	$node->safe_psql('postgres', "BEGIN; LOCK TABLE $table IN ACCESS SHARE MODE; PREPARE TRANSACTION 'reader'");
	is_refused($node, 'postgres', "SET lock_timeout = '20ms'; ALTER TABLE $table DETACH PARTITION $partition CONCURRENTLY", '55P03', "$partition: detaching it waits");
	is($node->safe_psql('postgres', "SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = '$partition'::regclass"), 't', "$partition: and is pending");
};
my $finish = sub {
	my ($table, $partition) = @_;
	$node->safe_psql('postgres', "COMMIT PREPARED 'reader'; ALTER TABLE $table DETACH PARTITION $partition FINALIZE");
};
$node->safe_psql('postgres', q{
  CREATE TABLE site (id uuid, region int) PARTITION BY LIST (region);
  CREATE TABLE site1 PARTITION OF site FOR VALUES IN (1);
  CREATE TABLE site2 PARTITION OF site FOR VALUES IN (2) PARTITION BY LIST (region);
  CREATE TABLE site21 PARTITION OF site2 FOR VALUES IN (2);
  SELECT spine.require_events('site', 'id');
  CREATE TABLE parts (LIKE spine.events, PRIMARY KEY (id, severity)) PARTITION BY LIST (severity);
  CREATE TABLE parts_low PARTITION OF parts FOR VALUES IN ('low');
  CREATE TABLE parts_rest PARTITION OF parts FOR VALUES IN ('medium', 'high', 'critical');
  CREATE UNIQUE INDEX ON parts_low (organization_id, sequence);
  CREATE UNIQUE INDEX ON parts_rest (organization_id, sequence);
  CREATE TRIGGER zz_chain_event BEFORE INSERT ON parts FOR EACH ROW EXECUTE FUNCTION spine.chain_event();
});
for ([ 'site1', 'site1' ], [ 'site2', 'site21' ])
{
	my ($partition, $leaf) = @$_;
	$detach->('site', $partition);
	(my $code, undef, my $message) = run_sql($node, 'postgres', "INSERT INTO $leaf VALUES (id(1), right('$partition', 1)::int)");
	is($code, 'SP028', "$partition: what is written to it is held to the rule while that is pending");
	like($message, qr/table public.site was changed/, "$partition: that of the table above");
	is_allowed($node, 'postgres', "BEGIN; INSERT INTO $leaf VALUES (id(1), right('$partition', 1)::int); SELECT emit(1, 1); COMMIT", "$partition: with its event it is written");
	$finish->('site', $partition);
	is_allowed($node, 'postgres', "UPDATE $leaf SET id = id(2)", "$partition: detached it is free");
	is_refused($node, 'postgres', "TRUNCATE $leaf", 'SP028', "$partition: but from TRUNCATE");
	is_allowed($node, 'postgres', "SELECT spine.stop_requiring_events('$partition'); TRUNCATE $leaf", "$partition: until the rule is taken off it");
}
my $insert = sub { my ($table, $severity) = @_; "INSERT INTO $table (event_type, entity_id, severity) VALUES ('a.b.c', id(1), '$severity')" };
$node->safe_psql('postgres', $insert->('parts', 'high') . ';' . $insert->('parts', 'low'));
my $chain = q{SELECT string_agg(concat(sequence, right(t, 4)), ' ' ORDER BY sequence), bool_and(linked) FROM (SELECT t, sequence,
  previous_hash = lag(event_hash, 1, decode(repeat('00', 32), 'hex')) OVER (ORDER BY sequence) AS linked
  FROM (SELECT 'parts_low' AS t, * FROM parts_low UNION ALL SELECT 'parts_rest', * FROM parts_rest) e) e};
$detach->('parts', 'parts_low');
is($node->safe_psql('postgres', 'BEGIN; ' . $insert->('parts_low', 'low') . '; ' . $insert->('parts', 'high') . "; SELECT count(*) FROM pg_locks WHERE objsubid = 21328 AND pid = pg_backend_pid(); COMMIT"),
	1, 'a partition of events that is being detached goes by the lock of the chain that it belongs to');
$node->safe_psql('postgres', $insert->('parts_low', 'low'));
$node->safe_psql('postgres', $insert->('parts_rest', 'high'));
is($node->safe_psql('postgres', $chain), '1rest 2_low 3_low 4rest 5_low 6rest|t', 'which is one chain all the while');
$finish->('parts', 'parts_low');
is_allowed($node, 'postgres', 'CREATE TRIGGER zz_chain_event BEFORE INSERT ON parts_low FOR EACH ROW EXECUTE FUNCTION spine.chain_event(); ' . $insert->('parts_low', 'low'), 'afterwards it has its own');
$node->safe_psql('postgres', 'DROP TABLE site, site1, site2, parts, parts_low');

# Dump and restore ----------------------------------------------------------------------------------------------
$node->safe_psql('postgres', 'SELECT spine.capture_migrations()');
$node->safe_psql('postgres', 'CREATE TABLE noted (id int)');
my $dump = $node->basedir . '/dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, 'postgres' ], 'dumped');
my $triggers = q{SELECT string_agg(t, E'\n' ORDER BY t) FROM (SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname LIKE 'spine_%'
  UNION ALL SELECT concat_ws(' ', evtname, evtevent, evtenabled, evtfoid::regprocedure) FROM pg_event_trigger) x(t)};
my $state = q{SELECT count(*), (SELECT count(*) FROM employee), (SELECT string_agg(v::text, ' ' ORDER BY organization_id) FROM spine.verify_chain() v) FROM spine.events};
for my $how ([ 'plain', [] ], [ 'jobs', [ '-j', '2' ] ], [ 'one transaction', [ '-1' ] ])
{
	my ($name, $options) = @$how;
	$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
	$node->command_ok([ 'pg_restore', '-e', '-d', 'restored', @$options, $dump ], "$name: restored, without an environment");
	is($node->safe_psql('restored', $state), $node->safe_psql('postgres', $state), "$name: as it was, and nothing was emitted");
	is($node->safe_psql('restored', $triggers), $node->safe_psql('postgres', $triggers), "$name: with its triggers");
	is_refused($node, 'restored', 'UPDATE employee SET seen = 5 WHERE n = 1', 'SP028', "$name: the rule holds");
	is_refused($node, 'restored', 'CREATE TABLE t (id int)', 'SP006', "$name: DDL asks for the environment", hint => 'ALTER DATABASE restored SET');
	$node->safe_psql('postgres', "ALTER DATABASE restored SET people_os_spine.environment = 'test'");
	$node->safe_psql('restored', 'CREATE TABLE place2 PARTITION OF place FOR VALUES IN (2)');
	is_refused($node, 'restored', 'INSERT INTO place VALUES (id(1), 2)', 'SP028', "$name: also for a partition that came later");
	is($node->safe_psql('restored', "SELECT payload->>'command' FROM spine.events WHERE event_type = 'platform.migration.applied' ORDER BY sequence DESC LIMIT 1"), 'CREATE TABLE', "$name: which was captured");
	$node->safe_psql('postgres', 'DROP DATABASE restored') if $name ne 'one transaction';
}

# Without the extension ----------------------------------------------------------------------------------------
is_refused($node, 'restored', UNGUARD . ' DROP EXTENSION people_os_spine', '2BP01', 'the extension does not go while tables and migrations need it');
is_allowed($node, 'restored', UNGUARD . ' DROP EXTENSION people_os_spine CASCADE', 'it goes with their triggers');
is_allowed($node, 'restored', 'UPDATE employee SET seen = 5; CREATE TABLE free (id int); DROP TABLE free', 'and all is free');
is($node->safe_psql('restored', $triggers), '', 'nothing is left');

$node->stop;
done_testing();
