# Where the library is preloaded, a chain's last event is found by a note in shared memory. Whatever happens to the row that
# the note means, and whatever rows come behind it by another way, the next event is chained to the last one that there is.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Test::More;

my $preload = "shared_preload_libraries = 'people_os_spine'\nmax_prepared_transactions = 4\n";
my $node = spine_node('heads', conf => $preload);
$node->safe_psql('postgres', "SELECT count(*) FROM spine.create_partitions('1 day', 2)");
# What is restored below was emitted here.
my $source = spine_node('source', conf => "max_prepared_transactions = 4\n");
my $org = org(1);
my $emit = "SELECT num_nulls(spine.emit_event('hcm.employee.updated', entity_id => '$org', actor_id => '$org', organization_id => '$org'))";
my $place = sub { $node->safe_psql('postgres', "SELECT tableoid::regclass || ctid::text FROM spine.events WHERE organization_id = '$org' ORDER BY sequence DESC LIMIT 1") };
my $events = 0;
# The chain as it must be, after one session more has emitted.
sub goes_on
{
	my ($added, $name) = @_;
	$events += $added + 1;
	$node->safe_psql('postgres', $emit);
	is($node->safe_psql('postgres', "SELECT intact, events, last_sequence, faults FROM spine.verify_chain('$org')"), "t|$events|$events|0", "$name: the chain goes on");
	return;
}
my @sessions = map { $node->background_psql('postgres') } 1 .. 2;

goes_on(0, 'the first event');
goes_on(0, 'the second');
$_->query_safe($emit) foreach @sessions, @sessions;
goes_on(4, 'sessions in turn');

# The row is not there any more, or not committed.
$sessions[0]->query_safe("BEGIN; $emit; $emit; ROLLBACK;");
goes_on(0, 'a transaction was rolled back');
$sessions[0]->query_safe("BEGIN; $emit; SAVEPOINT s; $emit; ROLLBACK TO s; COMMIT;");
goes_on(1, 'a savepoint was rolled back');
$sessions[0]->query_safe("BEGIN; SAVEPOINT s; $emit; ROLLBACK TO s;");
goes_on(0, 'the savepoint that locked the chain was rolled back');
$sessions[0]->query_safe("$emit; COMMIT;");
goes_on(1, 'and its transaction went on');
$node->safe_psql('postgres', "BEGIN; $emit; PREPARE TRANSACTION 'p'");
$node->safe_psql('postgres', "COMMIT PREPARED 'p'");
goes_on(1, 'a transaction was prepared and committed');
$node->safe_psql('postgres', "BEGIN; $emit; PREPARE TRANSACTION 'p'");
$node->safe_psql('postgres', "ROLLBACK PREPARED 'p'");
goes_on(0, 'a transaction was prepared and rolled back');
$node->safe_psql('postgres', "BEGIN; SELECT count(spine.emit_event('hcm.employee.updated', entity_id => '$org', actor_id => '$org', organization_id => '$org', payload => jsonb_build_object('n', repeat(n::text, 500)))) FROM generate_series(1, 200) n; ROLLBACK; VACUUM spine.events");
goes_on(0, 'the end of the table, where it was, is gone');
$node->safe_psql('postgres', 'SELECT count(*) FROM spine.erase_entity(' . "'$org', 'hcm', 'employee', '$org', 'a request', '{payload,personal}')");
my $erasures = $node->safe_psql('postgres', "SELECT count(*) FROM spine.events WHERE organization_id = '$org' AND event_type LIKE 'platform.%'");
goes_on($erasures, 'it was erased');
my $before = $place->();
$node->safe_psql('postgres', "BEGIN; $emit; ROLLBACK; VACUUM FULL spine.events");
goes_on(0, 'the table was written anew');
isnt($place->(), $before, 'and rows lie elsewhere');
my ($leaf) = $before =~ /^(spine\.\w+)/;

# Other ways in.
my $insert = "INSERT INTO spine.events (event_type, entity_id, actor_id, organization_id) VALUES ('hcm.employee.updated', '$org', '$org', '$org')";
$node->safe_psql('postgres', $insert);
goes_on(1, 'a direct INSERT');
$node->safe_psql('postgres', "BEGIN; $emit; $insert; COMMIT");
goes_on(2, 'an event and a direct INSERT in a transaction');
$node->safe_psql('postgres', "$insert ON CONFLICT DO NOTHING");
goes_on(1, 'ON CONFLICT');
$node->safe_psql('postgres', "BEGIN; $emit; SAVEPOINT s; $insert; ROLLBACK TO s; COMMIT");
goes_on(1, 'a direct INSERT that was rolled back');
is($node->safe_psql('postgres', "SELECT count(*) FROM spine.emit_events((SELECT jsonb_agg(jsonb_build_object('event_type', 'a.b.c', 'entity_id', '$org', 'actor_id', '$org', 'organization_id', '$org')) FROM generate_series(1, 5)))"), 5, 'emit_events');
goes_on(5, 'many events in a call');

# Restored rows come without the chain's lock.
my $file = PostgreSQL::Test::Utils::tempdir() . '/events';
sub carry_over
{
	my ($from, $to, $after) = @_;
	$from->safe_psql('postgres', "COPY (SELECT * FROM spine.events WHERE organization_id = '$org' AND sequence > $after ORDER BY sequence) TO '$file' WITH (FORMAT binary)");
	$to->safe_psql('postgres', "COPY spine.events FROM '$file' WITH (FORMAT binary)");
	return;
}
carry_over($node, $source, 0);
$source->safe_psql('postgres', "$emit; $emit; $emit");
carry_over($source, $node, $events);
goes_on(3, 'rows were restored behind it');
carry_over($node, $source, $events - 1);
$source->safe_psql('postgres', "$emit; $emit");
$source->safe_psql('postgres', "COPY (SELECT * FROM spine.events WHERE organization_id = '$org' AND sequence > $events ORDER BY sequence) TO '$file' WITH (FORMAT binary)");
$node->safe_psql('postgres', "BEGIN; COPY spine.events FROM '$file' WITH (FORMAT binary); PREPARE TRANSACTION 'p'");
$node->safe_psql('postgres', "COMMIT PREPARED 'p'");
goes_on(2, 'rows were restored by a prepared transaction');

# A partition goes, gets more, and comes back.
carry_over($node, $source, $events - 1);
$source->safe_psql('postgres', "$emit; $emit");
$source->safe_psql('postgres', "COPY (SELECT * FROM spine.events WHERE organization_id = '$org' AND sequence > $events ORDER BY sequence) TO '$file' WITH (FORMAT binary)");
my $bounds = join ', ', $node->safe_psql('postgres', "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = '$leaf'::regclass") =~ /('[^']+')/g;
$node->safe_psql('postgres', GUARDS_OFF . "ALTER TABLE spine.events DETACH PARTITION $leaf; ALTER TABLE $leaf DISABLE TRIGGER USER; COPY $leaf FROM '$file' WITH (FORMAT binary);
	ALTER TABLE $leaf ENABLE ALWAYS TRIGGER refuse_change; " . GUARDS_ON . "SELECT spine.attach_partition('$leaf', $bounds)");
goes_on(2, 'rows came into its partition while that was detached');

# Databases and tables have their own.
$node->safe_psql('postgres', 'CREATE DATABASE other');
spine_database($node, 'other');
$node->safe_psql('other', "SET people_os_spine.environment = 'test'; $emit");
is($node->safe_psql('other', "SELECT intact, last_sequence FROM spine.verify_chain('$org')"), 't|1', 'a chain of the same organization in another database begins at 1');
goes_on(0, 'and this one goes on');

# A server that stopped knows nothing.
$_->quit foreach @sessions;
$node->restart;
goes_on(0, 'after a restart');
kill_server($node);
$node->start;
goes_on(0, 'after a crash');
is($node->safe_psql('postgres', 'SELECT bool_and(intact), sum(faults) FROM spine.verify_chain()'), 't|0', 'all chains are intact');

done_testing();
