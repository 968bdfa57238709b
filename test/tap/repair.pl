# What docs/operations.md says to do when verify_chain reports a fault: each fault is made, found and mended that way.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Restored;
use Spine;
use Test::More;

my $node = spine_node('repair');
my @orgs = map { org($_) } 1 .. 3;
emit_chain($node, 10, @orgs);
$node->safe_psql('postgres', "CREATE ROLE app LOGIN; SELECT spine.grant_emitter('app', ARRAY['$orgs[0]']::uuid[])");
my $dir     = PostgreSQL::Test::Utils::tempdir;
my @connect = ('-h', $node->host, '-p', $node->port);
my $healthy = chains();

# The good copy: a backup, restored beside.
$node->command_ok([ 'pg_dump', @connect, '-Fc', 'postgres', '-f', "$dir/backup" ], 'a backup');
$node->safe_psql('postgres', 'CREATE DATABASE good TEMPLATE template0');
$node->command_ok([ 'pg_restore', @connect, '--exit-on-error', '-d', 'good', "$dir/backup" ], 'restored beside');

# Heads and rows.
sub chains
{
	my ($db) = @_;
	my $state = state_of($node, $db // 'postgres');
	return [ @$state{qw(verify_chain rows)} ];
}
sub faults { return join ', ', map { "$_->[3] $_->[1]" } @{ faults_of($node) } }

# COPY the events that meet a condition from one database into another.
sub copy_events
{
	my ($from, $where, $to) = @_;
	local %ENV = $node->_get_env;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(run_log([ 'psql', '-XAtq', '-d', $from, '-c', "COPY (SELECT * FROM spine.events WHERE $where) TO STDOUT" ],
		'|', [ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $to, '-c', 'COPY spine.events FROM STDIN' ]), "the events with $where from $from");
}

# Missing events are put back as they were.
tamper($node, 'postgres', "DELETE FROM spine.events WHERE organization_id = '$orgs[1]' AND sequence BETWEEN 4 AND 6");
is(faults(), 'event_missing 4', 'event_missing');
copy_events('good', "organization_id = '$orgs[1]' AND sequence BETWEEN 4 AND 6", 'postgres');
is_deeply(chains(), $healthy, 'event_missing: as before');

# A tail that was cut off is no fault, and the heads that were kept outside tell. Put back likewise.
tamper($node, 'postgres', "DELETE FROM spine.events WHERE organization_id = '$orgs[2]' AND sequence > 8");
is(faults(), '', 'a tail that was cut off is no fault');
isnt(chains()->[0], $healthy->[0], 'and its head is not the one that was kept');
copy_events('good', "organization_id = '$orgs[2]' AND sequence > 8", 'postgres');
is_deeply(chains(), $healthy, 'tail: as before');

# All else stands in the way of the good row, and nothing that is stored can be removed: the extension is made anew
# from what is good.
my %of = (
	content_altered  => "UPDATE spine.events SET payload = '{}' WHERE organization_id = '$orgs[0]' AND sequence = 3",
	link_broken      => "UPDATE spine.events SET previous_hash = sha256('x') WHERE organization_id = '$orgs[0]' AND sequence = 3",
	order_violated   => qq(UPDATE spine.events SET "timestamp" = '2001-01-01' WHERE organization_id = '$orgs[0]' AND sequence = 3),
	malformed        => "ALTER TABLE spine.events DROP CONSTRAINT events_event_type_check; UPDATE spine.events SET event_type = 'a.b.c' WHERE organization_id = '$orgs[0]' AND sequence = 3");
foreach my $fault (sort keys %of)
{
	tamper($node, 'postgres', $of{$fault});
	like(faults(), qr/\b$fault 3\b/, "$fault is found");
	my $bad = "organization_id = '$orgs[0]' AND sequence = 3";
	# The evidence, and what is good.
	$node->command_ok([ 'pg_dump', @connect, '-Fc', 'postgres', '-f', "$dir/evidence.$fault" ], "$fault: the evidence");
	$node->safe_psql('postgres', "COPY (SELECT * FROM spine.events WHERE NOT ($bad)) TO '$dir/good.$fault'; COPY spine.role_bindings TO '$dir/bindings.$fault';
		COPY (SELECT * FROM spine.event_types WHERE NOT built_in) TO '$dir/types.$fault'");
	is_allowed($node, 'postgres', UNGUARD . "BEGIN; DROP EXTENSION people_os_spine CASCADE; CREATE EXTENSION people_os_spine;
		COPY spine.events FROM '$dir/good.$fault'; COPY spine.role_bindings FROM '$dir/bindings.$fault'; COPY spine.event_types FROM '$dir/types.$fault'; COMMIT", "$fault: the extension made anew");
	copy_events('good', $bad, 'postgres');
	is_deeply(chains(), $healthy, "$fault: as before");
}

# Where the index is gone too, nothing can be chained, not even the record of what the guard would let through. Then it
# is the database that is made anew: all but the events from its dump, and these from what is good.
tamper($node, 'postgres', "ALTER TABLE spine.events DROP CONSTRAINT events_pkey;
	INSERT INTO spine.events SELECT (jsonb_populate_record(e, jsonb_build_object('id', gen_random_uuid()))).* FROM spine.events e WHERE organization_id = '$orgs[0]' AND sequence = 3");
like(faults(), qr/\bevent_duplicated 3\b/, 'event_duplicated is found');
is_refused($node, 'postgres', UNGUARD . 'DROP EXTENSION people_os_spine', 'SP018', 'the extension cannot be dropped');
$node->safe_psql('postgres', 'CREATE DATABASE anew TEMPLATE template0');
ok(run_log([ 'pg_dump', @connect, '--exclude-table-data=spine.events', 'postgres' ], '|', [ 'psql', '-XAtq', @connect, '-v', 'ON_ERROR_STOP=1', '-d', 'anew' ], '>', \my $out), 'all but the events');
copy_events('postgres', "NOT (organization_id = '$orgs[0]' AND sequence = 3)", 'anew');
copy_events('good', "organization_id = '$orgs[0]' AND sequence = 3", 'anew');
is_deeply(chains('anew'), $healthy, 'event_duplicated: as before');
is($node->safe_psql('anew', 'SELECT count(*) FROM spine.role_bindings'), 1, 'with the bindings');
is(state_of($node, 'anew')->{guards}, '', 'every guard is there');
$node->stop;
done_testing;
