# A hot standby verifies, refuses to emit, and when promoted continues the chains.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Spine;

my $primary = spine_node('primary', allows_streaming => 1);
my @orgs = map { org($_) } 1 .. 4;
emit_chain($primary, 10, @orgs);
$primary->safe_psql('postgres', "SELECT spine.create_subscription('consumer')");
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
emit_chain($primary, 10, @orgs);
$primary->wait_for_catchup($standby);

is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 't', 'the standby recovers');
my $healthy = join "\n", @{ summaries_of($primary) };
is(scalar(my @intact = $healthy =~ /\|true\|20\|1\|20\|/g), 4, 'four chains of 20 on the primary');
is(join("\n", @{ summaries_of($standby) }), $healthy, 'the standby verifies them alike');
is_deeply(faults_of($standby), [], 'and finds no fault');
agrees_with_model($standby, rows_of($standby), 'with the model, from 5 to 15', from => 5, to => 15);
is(join("\n", @{ summaries_of($standby, settings => "SET default_transaction_isolation = 'repeatable read';") }), $healthy, 'also under REPEATABLE READ');

my $call = "spine.emit_event('a.b.c', entity_id => '$orgs[0]', actor_id => '$orgs[0]', organization_id => '$orgs[0]')";
is_refused($standby, 'postgres', "SELECT $call", '25006', 'emit_event', hint => 'primary');
is_refused($standby, 'postgres', "SELECT spine.emit_events('[]')", '25006', 'emit_events', hint => 'primary');
is_refused($standby, 'postgres', "INSERT INTO spine.events (event_type, entity_id, actor_id, organization_id) SELECT 'a.b.c', u, u, u FROM (SELECT '$orgs[0]'::uuid) AS t(u)",
	'25006', 'INSERT');
is_refused($primary, 'postgres', "BEGIN READ ONLY; SELECT $call", '25006', 'emit_event in a read-only transaction', hint => 'READ WRITE');
is($standby->safe_psql('postgres', "SELECT octet_length(spine.event_digest(e)) = 32 AND spine.event_digest(e) = event_hash FROM spine.events e LIMIT 1"), 't', 'event_digest works there');

# What else reads works there, and what writes does not.
foreach my $read ("spine.read_events('$orgs[0]')", "spine.audit_log WHERE organization_id = '$orgs[0]'", "spine.entity_history('employee', '00000000-0000-4000-8000-0000000000e1')",
	'spine.chain_status', 'spine.totals_by_day', 'spine.subscription_lag', 'spine.verify_since_checkpoint()')
{
	cmp_ok($standby->safe_psql('postgres', "SELECT count(*) FROM $read"), '>', 0, "$read works");
}
foreach my $write ('refresh_dashboards()', 'record_verification()', "next_batch('consumer')", "acknowledge('consumer', 1)", 'run_watch()', 'take_checkpoint()', 'wipe_erased()',
	"erase_entity('$orgs[0]', 'hcm', 'employee', '00000000-0000-4000-8000-0000000000e1', 'a request')")
{
	is_refused($standby, 'postgres', "SELECT * FROM spine.$write", '25006', $write);
}

# What is altered on the primary the standby reports too, with duplicates, gaps and all.
$primary->safe_psql('postgres', GUARDS_OFF . <<SQL);
ALTER TABLE spine.events DISABLE TRIGGER ALL; ALTER TABLE spine.events_default DISABLE TRIGGER ALL;
ALTER TABLE spine.events DROP CONSTRAINT events_pkey;
CREATE TABLE aside AS TABLE spine.events;
DELETE FROM spine.events WHERE organization_id = '$orgs[0]' AND sequence IN (4, 9);
UPDATE spine.events SET payload = '{}' WHERE organization_id = '$orgs[1]' AND sequence = 7;
INSERT INTO spine.events SELECT * FROM spine.events WHERE organization_id = '$orgs[2]' AND sequence = 11;
SQL
$primary->wait_for_catchup($standby);
my $found = agrees_with_model($standby, rows_of($standby), 'faults on the standby are those of the model');
is(scalar @$found, 4, 'four of them');
is_deeply(faults_of($primary), $found, 'the primary reports the same');
is(join("\n", @{ summaries_of($standby) }), join("\n", @{ summaries_of($primary) }), 'and verify_chain agrees');
$primary->safe_psql('postgres', <<SQL . TRIGGERS_ON);
TRUNCATE spine.events_default;
INSERT INTO spine.events TABLE aside;
ALTER TABLE spine.events ADD CONSTRAINT events_pkey PRIMARY KEY (organization_id, sequence, "timestamp");
SQL

# Verifying while events arrive: always a prefix of the chain, never a fault.
my @seen;
foreach my $round (1 .. 5)
{
	emit_chain($primary, 20, @orgs);
	push @seen, grep { !/\|true\|/ } @{ summaries_of($standby) };
}
is("@seen", '', 'a standby that lags shows whole chains');
$primary->wait_for_catchup($standby);
my $last = join "\n", @{ summaries_of($primary) };
$primary->stop;
$standby->promote;
is(join("\n", @{ summaries_of($standby) }), $last, 'promoted: the chains are those of the primary');
emit_chain($standby, 2, @orgs);
my @after = @{ summaries_of($standby) };
is(scalar(grep { /\|true\|122\|1\|122\|/ } @after), 4, 'promoted: it continues each of them') or diag(join "\n", @after);
is_refused($standby, 'postgres', 'DELETE FROM spine.events', 'SP013', 'promoted: immutable');
$standby->stop;
done_testing;
