# Captured tables in dumps and restores, by roles that have no right on the spine, in bulk, and where capture does not see.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Spine;

my $node = spine_node('capture', conf => "work_mem = 1MB\nmax_prepared_transactions = 2\n");
my $mine = org(1);
my $set  = "SET people_os_spine.actor_id = '$mine'; SET people_os_spine.organization_id = '$mine'; SET client_min_messages = warning;";

# [events of that type, …] of a database, in the order of their chain.
sub events
{
	my ($db, $where) = @_;
	return $node->safe_psql($db, "SELECT string_agg(concat_ws(' ', action, payload->>'table', coalesce(payload->'after', payload->'before')->>'id'), ', ' ORDER BY organization_id, sequence) FROM spine.events WHERE $where");
}

my $triggers = q{SELECT tgrelid::regclass, tgname, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname LIKE 'spine\_capture\_%' ORDER BY tgrelid::regclass::text, tgname};

$node->safe_psql('postgres', $set . q{
	CREATE TABLE employee (id int PRIMARY KEY, "the name" text, "it's" text);
	CREATE TABLE leave (id int, year int, note text) PARTITION BY LIST (year);
	CREATE TABLE leave_2025 PARTITION OF leave FOR VALUES IN (2025);
	SELECT spine.capture_changes('employee', 'hcm', 'employee', 'id', mask => ARRAY['the name'], exclude => ARRAY['it''s']);
	SELECT spine.capture_changes('leave', 'hcm', 'leave', 'id');
	CREATE TABLE leave_2026 PARTITION OF leave FOR VALUES IN (2026);
	-- Restored before its parent's.
	CREATE TABLE a_leave PARTITION OF leave FOR VALUES IN (1999);
	ALTER TABLE leave ENABLE ALWAYS TRIGGER spine_capture_insert;
	ALTER TABLE a_leave ENABLE ALWAYS TRIGGER spine_capture_insert;
	INSERT INTO employee VALUES (1, 'Ada', 'x'), (2, 'Bob', 'y');
	INSERT INTO leave VALUES (1, 2025), (2, 2026);
});
is(events('postgres', 'true'), 'created public.employee 1, created public.employee 2, created public.leave 1, created public.leave 2', 'rows are captured');

# Restores: the rows come back without an event, the capture with its table.
my $dir     = PostgreSQL::Test::Utils::tempdir();
my @connect = ('-h', $node->host, '-p', $node->port);
my $before  = $node->safe_psql('postgres', $triggers);
my $chains  = $node->safe_psql('postgres', 'SELECT * FROM spine.verify_chain()');
my $watches = 'SELECT * FROM spine.watches ORDER BY kind, table_name';
my $in_force = q{SELECT string_agg(concat_ws(' ', guard, ok, found), ', ') FROM spine.verify_guards() WHERE guard ~ '^(capture|rule of)'};
my $watched = $node->safe_psql('postgres', $watches);
is($watched, "capture|public.employee|{hcm,employee,id,\"\",low,\"exclude it's\",\"mask the name\"}|t\ncapture|public.leave|{hcm,leave,id,\"\",low}|t", 'what is captured is remembered');
like($before, qr/leave_2026\|spine_capture_update\|O\|.*'inherited'/, 'a partition made later is captured');
foreach my $how ([ 'plain', [] ], [ 'custom', ['-Fc'] ])
{
	my ($db, $options) = @$how;
	$node->command_ok([ 'pg_dump', @connect, @$options, '-f', "$dir/$db", 'postgres' ], "pg_dump, $db");
	$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE template0");
	my @restore = $db eq 'plain' ? ('psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/$db", '-d', $db) : ('pg_restore', '--exit-on-error', '-j2', '-d', $db, "$dir/$db");
	$node->command_ok([ @restore, @connect ], "restored, $db");
	is($node->safe_psql($db, $triggers), $before, "$db: the capture is there");
	is($node->safe_psql($db, $watches), $watched, "$db: and remembered");
	is($node->safe_psql($db, $in_force), 'captures and rules t all of spine.watches in force', "$db: and in force");
	is($node->safe_psql($db, 'SELECT * FROM spine.verify_chain()'), $chains, "$db: no event of restoring rows");
	$node->safe_psql($db, "ALTER DATABASE $db SET people_os_spine.environment = 'test'");
	$node->safe_psql($db, $set . q{UPDATE employee SET "the name" = 'Eve', "it's" = 'z' WHERE id = 1; CREATE TABLE leave_2027 PARTITION OF leave FOR VALUES IN (2027); INSERT INTO leave_2027 VALUES (3, 2027)});
	is(events($db, 'sequence > 4'), 'updated public.employee 1, created public.leave 3', "$db: and works, for a further partition too");
	is($node->safe_psql($db, q{SELECT payload->'after' FROM spine.events WHERE sequence = 5}), '{"id": 1, "the name": "***"}', "$db: with what is masked and left out");
}

# What capture does not see: a replica's work. DDL in such a session is followed all the same.
$node->safe_psql('postgres', $set . q{
	SET session_replication_role = replica;
	UPDATE employee SET "the name" = 'unseen';
	CREATE TABLE leave_2028 PARTITION OF leave FOR VALUES IN (2028);
	RESET session_replication_role;
	INSERT INTO leave_2028 VALUES (4, 2028);
});
is(events('postgres', 'sequence > 4'), 'created public.leave 4', 'a replica emits nothing, and its DDL is followed');

# A role with rights on the table alone writes; its binding says for whom.
$node->safe_psql('postgres', "CREATE ROLE clerk LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON employee TO clerk");
is_allowed($node, 'postgres', "$set INSERT INTO employee VALUES (5, 'Cy')", 'a writer needs no right on the spine', role => 'clerk');
is_refused($node, 'postgres', "$set SELECT spine.emit_event('a.b.c', entity_id => '$mine')", '42501', 'and gets none by it', role => 'clerk');
$node->safe_psql('postgres', "INSERT INTO spine.role_bindings VALUES ('clerk', 'emit', '" . org(2) . "')");
is_refused($node, 'postgres', "$set UPDATE employee SET \"the name\" = 'D' WHERE id = 5", '42501', 'a binding holds for capture', role => 'clerk');
is_allowed($node, 'postgres', "$set SET people_os_spine.organization_id = '" . org(2) . "'; UPDATE employee SET \"the name\" = 'D' WHERE id = 5", 'and lets through', role => 'clerk');
is($node->safe_psql('postgres', "SELECT count(*), min(recorded_by) FROM spine.events WHERE organization_id = '" . org(2) . "'"), '1|clerk', 'the writer is who recorded it');
is_allowed($node, 'postgres', 'CREATE TABLE own (id int) PARTITION BY LIST (id); CREATE TABLE own_1 PARTITION OF own FOR VALUES IN (1); ALTER TABLE own ADD x int; DROP TABLE own',
	'whoever has no right on the spine makes tables', role => $node->safe_psql('postgres', 'CREATE ROLE maker LOGIN; GRANT CREATE ON SCHEMA public TO maker') . 'maker');

# Both modes; prepared transactions.
$node->safe_psql('postgres', $set . q{SET people_os_spine.chain_at = commit; BEGIN; INSERT INTO employee VALUES (6); DELETE FROM employee WHERE id = 6; PREPARE TRANSACTION 'p'});
$node->safe_psql('postgres', "COMMIT PREPARED 'p'");
like(events('postgres', "organization_id = '$mine'"), qr/created public.employee 6, deleted public.employee 6$/, 'chained at the commit, and prepared');
$node->psql('postgres', $set . q{BEGIN; INSERT INTO employee VALUES (7); ROLLBACK});
is(events('postgres', q{payload->'after'->>'id' = '7'}), '', 'a rollback leaves nothing');

# Memory does not grow with what a statement changes, in either mode.
foreach my $mode ('insert', 'commit')
{
	my $grown = $node->safe_psql('postgres', $set . qq{
		SET people_os_spine.chain_at = $mode;
		CREATE TABLE bulk_$mode (id int, text text);
		SELECT spine.capture_changes('bulk_$mode', 'a', 'bulk', 'id');
		INSERT INTO bulk_$mode SELECT i, repeat('x', 300) FROM generate_series(1, 1000) i;
		SELECT substring(pg_read_file('/proc/self/status') from 'VmPeak:\\s+(\\d+)') AS before \\gset
		INSERT INTO bulk_$mode SELECT i, repeat('x', 300) FROM generate_series(1, 100000) i;
		SELECT substring(pg_read_file('/proc/self/status') from 'VmPeak:\\s+(\\d+)')::int - :before;
	});
	cmp_ok((split /\n/, $grown)[-1], '<', 48 * 1024, "memory of 100,000 events, chained at $mode, in kB");
}
is($node->safe_psql('postgres', 'SELECT bool_and(intact), sum(events) > 202000 FROM spine.verify_chain()'), 't|t', 'the chains are right');

# Whoever verifies the guards needs no right on what is remembered, nor has an owner of a captured table one.
$node->safe_psql('postgres', "CREATE ROLE auditor LOGIN; SELECT spine.grant_auditor('auditor'); ALTER TABLE employee DISABLE TRIGGER spine_capture_delete");
is((run_sql($node, 'postgres', $in_force, role => 'auditor'))[1], 'capture of public.employee f trigger spine_capture_delete is disabled', 'an auditor is told where capture ended');
$node->safe_psql('postgres', 'ALTER TABLE employee ENABLE TRIGGER spine_capture_delete');
is_refused($node, 'postgres', $_, '42501', 'an auditor does not write what is remembered', role => 'auditor')
	foreach 'DELETE FROM spine.watches', q{SELECT spine.forget_watch('capture', 'public.employee')};

# Guards: the event trigger is one.
is($node->safe_psql('postgres', "SELECT ok FROM spine.verify_guards() WHERE guard = 'event trigger people_os_spine_partitions'"), 't', 'the event trigger is a guard');
is_refused($node, 'postgres', q{SELECT spine.entity_uuid('a', 'b', 'c'); ALTER EVENT TRIGGER people_os_spine_partitions DISABLE}, 'SP024', 'which cannot be disabled');
$node->safe_psql('postgres', UNGUARD . "SET people_os_spine.actor_id = '$mine'; ALTER EVENT TRIGGER people_os_spine_partitions ENABLE");
is($node->safe_psql('postgres', "SELECT found FROM spine.verify_guards() WHERE guard = 'event trigger people_os_spine_partitions'"), 'not ENABLE ALWAYS', 'without leave');

done_testing;
