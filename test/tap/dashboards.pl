# What is counted and verified outlives a dump; and a replay says how far it is.
use strict;
use warnings;

use lib 'test/tap';
use Spine;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = spine_node('dashboards');
emit_chain($node, 200, org(1), org(2));
$node->safe_psql('postgres', "SELECT spine.refresh_dashboards(); SELECT count(*) FROM spine.record_verification('" . org(2) . "')");
emit_chain($node, 10, org(2), org(3));

my $shown = join ' UNION ALL ', map { "SELECT '$_', md5(string_agg(v::text, E'\\n' ORDER BY v::text)) FROM spine.$_ v" }
  qw(events_by_day events_by_domain events_by_type events_by_severity events_by_actor totals_by_day totals_by_domain totals_by_type totals_by_severity totals_by_actor_type
	counted_chains dashboard_progress daily_totals verifications uncounted_events);
my $status = 'SELECT organization_id, events, head_hash, verified_at, intact, verified_sequence FROM spine.chain_status ORDER BY 1';
my $before = $node->safe_psql('postgres', "$shown; $status");
like($before, qr/\|210\|/, 'there is something to see');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
foreach my $how ('plain', 'custom')
{
	$node->safe_psql('postgres', "CREATE DATABASE $how");
	$node->command_ok([ 'pg_dump', '-F', $how, '-f', $dump, 'postgres' ], "$how: dumped");
	my @restore = $how eq 'plain' ? ('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump) : ('pg_restore', '-j', 2, $dump);
	$node->command_ok([ @restore, '-d', $how ], "$how: restored");
	is($node->safe_psql($how, "$shown; $status"), $before, "$how: the views show the same");
	is($node->safe_psql($how, 'SELECT * FROM spine.refresh_dashboards()'), '20|f', "$how: and counting goes on where it was");
	is($node->safe_psql($how, 'SELECT sum(events) FROM spine.events_by_day'), '420', "$how: with the same sum");
}

# Rows that come later than their ids say: they are shown once they were counted, chain by chain or by the moment that is named.
my $sums = 'SELECT sum(events), (SELECT sum(events) FROM spine.totals_by_day), (SELECT sum(events) FROM spine.events_by_actor), (SELECT count(*) FROM spine.events) FROM spine.events_by_day';
my $late = PostgreSQL::Test::Utils::tempdir() . '/late';
emit_chain($node, 30, org(4), org(5));
$node->safe_psql('postgres', "COPY (SELECT * FROM spine.events WHERE organization_id IN ('@{[org(4)]}', '@{[org(5)]}') ORDER BY organization_id, sequence) TO '$late'");
foreach my $step ('plain: 1000, NULL', "custom: 7, '2000-01-01'")
{
	my ($how, $arguments) = split /: /, $step;
	is($node->safe_psql($how, 'SELECT * FROM spine.refresh_dashboards()'), '0|f', "$how: all is counted");
	$node->safe_psql($how, "COPY spine.events FROM '$late'");
	is($node->safe_psql($how, $sums), '420|420|420|480', "$how: rows that came late are not shown");
	my ($counted, $more) = (0, 't');
	for (my $i = 0; $more eq 't' && $i < 200; $i++)
	{
		(my $some, $more) = split /\|/, $node->safe_psql($how, "SELECT * FROM spine.refresh_dashboards($arguments)");
		$counted += $some;
		$arguments =~ s/,.*//;
	}
	is($counted, 60, "$how: until they are counted");
	is($node->safe_psql($how, $sums), '480|480|480|480', "$how: and then they are");
	is($node->safe_psql($how, 'SELECT * FROM spine.refresh_dashboards()'), '0|f', "$how: once");
}

my $replay = "CREATE FUNCTION pg_temp.wait(spine.events) RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(0.002)'; SELECT spine.replay('pg_temp.wait(spine.events)', '" . org(1) . "', 51, 150)";
my (undef, $last, $said) = run_sql($node, 'postgres', "SET people_os_spine.progress_interval = '1ms'; $replay");
is($last, '150', 'a replay says where it arrived');
like($said, qr/NOTICE:  00000: replaying: 1 % of the events, sequence 51, \d+ events a second, about \d+ s left/, 'how far it is');
like($said, qr/replaying: 100 % of the events, sequence 150, \d+ events a second, about 0 s left/, 'to the end');
(undef, undef, $said) = run_sql($node, 'postgres', "SET people_os_spine.progress_interval = 0; $replay");
unlike($said, qr/replaying/, 'or nothing, where nothing is asked for');
($last, undef, $said) = run_sql($node, 'postgres', "CREATE FUNCTION pg_temp.fail(e spine.events) RETURNS int LANGUAGE sql AS 'SELECT 1 / (7 - e.sequence)::int'; SELECT spine.replay('pg_temp.fail(spine.events)', '" . org(1) . "', 3)");
is($last, '22012', 'an error of the handler is its own');
like($said, qr/replay of event [0-9a-f-]{36} \(hcm\.employee\.created\), sequence 7 of organization \Q@{[ org(1) ]}\E; .* from_sequence => 3$/m, 'and names the event');

unlike(slurp_file($node->logfile), qr/(?:reference|refcount) leak|was not closed|still referenced|TRAP|terminated by signal/, 'no resource is left');
$node->stop;
done_testing;
