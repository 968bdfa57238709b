# The server's clock is set back and forth: timestamps never go back within a chain, which takes its head's until the clock
# has caught up; chains are right, ids are version 7 and unique; a clock beyond the years that are stored is an error.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Test::More;
use Time::HiRes qw(usleep);

my $folder = PostgreSQL::Test::Utils::tempdir();
my $node = clock_node('clock', 0, conf => "log_statement = none\ncheckpoint_timeout = 1d\n");
my $postmaster = postmaster_of($node);
$node->safe_psql('postgres', "ALTER DATABASE postgres SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1'");

my $fresh = 100;
my $step = 0;
my $emit = sub { "spine.emit_event('hcm.employee.step_$step', entity_id => gen_random_uuid(), organization_id => '@{[ org($_[0]) ]}')" };
my ($hour, $year) = (3600, 365.25 * 86400);
# A session that is there all along, and one of its own for each step.
my $session = $node->background_psql('postgres', on_error_stop => 0);
my $seconds_now = 'extract(epoch FROM clock_timestamp())';
my $future = 0;    # the furthest that the clock has been
foreach my $offset (0, -60, -$hour, 0, -10 * $year, 0, 10 * $year, 10 * $year - 60, 10 * $year - $hour, 0, -60 * $year, 11 * $year)
{
	$step++;
	$fresh++;
	set_clock($offset);
	my $name = sprintf 'the clock off by %.0f s', $offset;
	$session->query_safe("SET people_os_spine.chain_at = $_; BEGIN; SELECT @{[ $emit->(1) ]}, @{[ $emit->(2) ]}; COMMIT") foreach 'insert', 'commit';
	$node->safe_psql('postgres', "SELECT @{[ $emit->(1) ]}; SELECT @{[ $emit->($fresh) ]};"
		  . "SELECT count(*) FROM spine.emit_events('[{\"event_type\": \"a.b.step_$step\", \"organization_id\": \"@{[ org(2) ]}\", \"entity_id\": \"@{[ org(1) ]}\"}]')");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM (SELECT "timestamp" < lag("timestamp") OVER (PARTITION BY organization_id ORDER BY sequence) AS back FROM spine.events) t WHERE back'),
		0, "$name: no timestamp goes back");
	is($node->safe_psql('postgres', "SELECT count(DISTINCT \"timestamp\") FROM spine.events WHERE organization_id = '@{[ org(1) ]}' AND action = 'step_$step'") == 1, $offset < $future,
		"$name: " . ($offset < $future ? 'a chain whose head is ahead takes its timestamp' : 'a chain goes with the clock'));
	is($node->safe_psql('postgres', "SELECT abs(extract(epoch FROM \"timestamp\") - $seconds_now) < 300 FROM spine.events WHERE organization_id = '@{[ org($fresh) ]}'"), 't',
		"$name: a new chain begins with the clock's");
	is($node->safe_psql('postgres', 'SELECT bool_and(intact AND events = last_sequence), sum(faults) FROM spine.verify_chain()'), 't|0', "$name: the chains are intact");
	is($node->safe_psql('postgres', 'SELECT more FROM spine.refresh_dashboards(); SELECT (SELECT sum(events) FROM spine.totals_by_day) = count(*), (SELECT sum(events) FROM spine.events_by_day) = count(*) FROM spine.events'),
		"f\nt|t", "$name: the counts are right after they were refreshed");
	$node->safe_psql('postgres', "SELECT @{[ $emit->(3) ]}");
	is($node->safe_psql('postgres', 'SELECT (SELECT sum(events) FROM spine.totals_by_day) = count(*) FROM spine.events'), 't', "$name: and with what comes then");
	$future = $offset if $offset > $future;
}
is($node->safe_psql('postgres', q{SELECT count(*) FROM spine.events WHERE substr(id::text, 15, 1) <> '7' OR substr(id::text, 20, 1) !~ '[89ab]'}), 0, 'ids are version 7');

# Beyond what is stored: the years 1 to 9999.
foreach my $beyond (8000 * $year, -2100 * $year)
{
	my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM spine.events');
	set_clock($beyond);
	foreach my $chain_at ('insert', 'commit')
	{
		$fresh++;
		is_refused($node, 'postgres', "SET people_os_spine.chain_at = $chain_at; SELECT @{[ $emit->($fresh) ]}", '23514', sprintf('a clock %.0f years off, %s', $beyond / $year, $chain_at));
	}
	set_clock(0);
	is($node->safe_psql('postgres', 'SELECT count(*) FROM spine.events'), $before, 'nothing is stored');
	is($node->safe_psql('postgres', "SELECT count(@{[ $emit->($fresh) ]})"), 1, 'and with a clock that is right it is');
}
$session->quit;

# With partitions of an hour: a session that found no event in later ones hears of the first that is.
set_clock(-$hour);
$node->safe_psql('postgres', 'CREATE DATABASE cut');
$node->safe_psql('cut', "CREATE EXTENSION people_os_spine; ALTER DATABASE cut SET people_os_spine.environment = 'test'; ALTER DATABASE cut SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1'");
$node->safe_psql('cut', "SELECT spine.create_partitions('1 hour', 4)");
set_clock(0);
my $places = sub { $node->safe_psql('cut', "SELECT string_agg(sequence || CASE tableoid WHEN (SELECT tableoid FROM spine.events WHERE organization_id = '@{[ org(9) ]}') THEN ' now' ELSE ' later' END, ', ' ORDER BY sequence) FROM spine.events WHERE organization_id = '@{[ org($_[0]) ]}'") };
$session = $node->background_psql('cut', on_error_stop => 0);
my $other = $node->background_psql('cut', on_error_stop => 0);
$session->query_safe("SELECT @{[ $emit->($_) ]}") foreach 9, 1, 2, 3;
set_clock($hour);
$other->query_safe("SELECT @{[ $emit->(1) ]}");
set_clock(0);
$session->query_safe("SELECT @{[ $emit->(1) ]}");
is($places->(1), '1 now, 2 later, 3 later', 'another session has stored an event in a later partition: it goes on there');
set_clock(2 * $hour);
$other->query_safe("BEGIN; SAVEPOINT a; SELECT @{[ $emit->(2) ]}; ROLLBACK TO a");
set_clock(0);
$session->query_safe("SELECT @{[ $emit->(2) ]}");
set_clock(2 * $hour);
$other->query_safe("SELECT @{[ $emit->(3) ]}; COMMIT");
set_clock(0);
$session->query_safe("SELECT @{[ $emit->(3) ]}");
is($places->(2) . '; ' . $places->(3), '1 now, 2 now; 1 now, 2 later, 3 later', 'also where it had been rolled back to a savepoint before');
$session->quit;
$other->quit;
is($node->safe_psql('cut', 'SELECT bool_and(intact AND events = last_sequence), sum(faults) FROM spine.verify_chain()'), 't|0', 'the chains are intact');

# The clock jumps while many emit, into partitions and none.
append_to_file("$folder/emit.sql", "\\set o random(1, 4)\nSELECT spine.emit_event('hcm.employee.jumped', entity_id => gen_random_uuid(), organization_id => ('00000000-0000-4000-8000-00000000001' || :o)::uuid);\n");
foreach my $db ('postgres', 'cut')
{
	my $out = '';
	my $err = '';
	my $run = IPC::Run::start([ 'pgbench', '--no-vacuum', '--client=8', '--jobs=2', '--transactions=400', '-h', $node->host, '-p', $node->port, '-f', "$folder/emit.sql", $db ], '>', \$out, '2>', \$err);
	for (1 .. 1000)
	{
		last unless $run->pumpable;
		set_clock((0, -1, -$hour, 2, $hour, $db eq 'cut' ? 2 * $hour : -10 * $year, 5)[ rand 7 ]);
		$run->pump_nb;
		usleep(2000);
	}
	set_clock(0);
	$run->finish;
	like($out, qr{processed: 3200/3200\n.*number of failed transactions: 0 }s, "$db: the clock jumps under eight clients: no emission fails") or diag($err);
	is($node->safe_psql($db, "SELECT count(*), count(DISTINCT id) FROM spine.events WHERE action = 'jumped'"), '3200|3200', "$db: all events are there");
	agrees_with_model($node, rows_of($node, undef, $db), "$db: all chains, says a second opinion");
	is($node->safe_psql($db, 'SELECT bool_and(intact AND events = last_sequence), sum(faults) FROM spine.verify_chain()'), 't|0', "$db: the chains are intact");
}
alive($node, $postmaster, 'the server went on');
$node->stop;
done_testing();
