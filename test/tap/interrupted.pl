# Whatever ends a statement or a session, wherever it waits or works: a clear error, nothing of it is stored, what was
# acknowledged is there, the chains are right, and the next event is emitted.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Test::More;
use Time::HiRes qw(time);

my $seed = $ENV{SPINE_SEED} // 20260119;
srand($seed);
note "seed $seed";

my $node = spine_node('interrupted', conf => "log_statement = none\nmax_wal_size = 1GB\ndeadlock_timeout = 100s\n");
$node->safe_psql('postgres', q{
  ALTER DATABASE postgres SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
  CREATE FUNCTION emit(action text, organization int) RETURNS uuid LANGUAGE sql AS $$
    SELECT spine.emit_event('hcm.employee.' || action, entity_id => gen_random_uuid(),
             organization_id => ('00000000-0000-4000-8000-' || lpad(organization::text, 12, '0'))::uuid)
  $$;
  -- events of so many organizations, the first being this
  CREATE FUNCTION emit_many(action text, events int, organization int, organizations int) RETURNS SETOF uuid LANGUAGE sql AS $$
    SELECT spine.emit_events((SELECT jsonb_agg(jsonb_build_object('event_type', 'hcm.employee.' || action, 'entity_id', gen_random_uuid(),
             'organization_id', '00000000-0000-4000-8000-' || lpad((organization + n % organizations)::text, 12, '0'))) FROM generate_series(1, events) n))
  $$;
});
my $postmaster = postmaster_of($node);
my $folder = PostgreSQL::Test::Utils::tempdir();
my $uuid = qr/[0-9a-f]{8}-[0-9a-f-]{27}/;

sub chains_are_right
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($node->safe_psql('postgres', 'SELECT bool_and(intact AND events = last_sequence), sum(faults) FROM spine.verify_chain()'), 't|0', "$name: the chains are intact and without a gap");
	is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), 0, "$name: no chain is locked");
	return;
}

# At each wait ------------------------------------------------------------------------------------------------------------
# How a wait, or work, ends: what the session sets before, what is done to it, and its error.
my %ends = (
	pg_cancel_backend => [ '', 'SELECT pg_cancel_backend', '57014' ],
	pg_terminate_backend => [ '', 'SELECT pg_terminate_backend', '57P01' ],
	lock_timeout => [ "SET lock_timeout = '300ms'", undef, '55P03' ],
	statement_timeout => [ "SET statement_timeout = '300ms'", undef, '57014' ]);
my $organization = 100;

# A session begins the statement; once the server says that it waits so, it is ended.
sub ends_it
{
	my ($name, $how, $before, $statement, $wait) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($set, $call, $state) = @{ $ends{$how} };
	my $out = '';
	my $err = '';
	unlink "$folder/victim";
	append_to_file("$folder/victim", "$before\n$set;\n$statement;\nSELECT 'goes on';\n");
	my $run = IPC::Run::start([ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres') . ' application_name=victim', '-f', "$folder/victim" ],
		'>', \$out, '2>', \$err);
	if (defined $call)
	{
		ok($node->poll_query_until('postgres', "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'victim' AND $wait"), "$name, $how: it is there");
		$node->safe_psql('postgres', "$call(pid) FROM pg_stat_activity WHERE application_name = 'victim'");
	}
	$run->finish;
	like($err, qr/(?:ERROR|FATAL):  $state:/, "$name, $how: the error");
	is($out =~ s/\s+\z//r, $how eq 'pg_terminate_backend' ? '' : 'goes on', "$name, $how: " . ($how eq 'pg_terminate_backend' ? 'the session is gone' : 'the session goes on'));
	is($node->safe_psql('postgres', "SELECT count(*) FROM spine.events WHERE action = 'doomed'"), 0, "$name, $how: nothing of it is stored");
	return;
}
my $waits = "wait_event_type = 'Lock' AND query ~ 'doomed|pending'";
foreach my $how (sort keys %ends)
{
	foreach my $case (
		[ 'the chain', 'emit(%s)', "SELECT emit('doomed', %s)" ],
		[ 'the chain, of a direct INSERT', 'emit(%s)', "INSERT INTO spine.events (event_type, entity_id, organization_id) SELECT 'hcm.employee.doomed', gen_random_uuid(), ('00000000-0000-4000-8000-' || lpad('%s', 12, '0'))::uuid" ],
		[ 'the chains of a batch', 'emit(%s)', "SELECT count(*) FROM emit_many('doomed', 20, %s - 5, 10)" ],
		[ 'the table, in a bulk', 'emit(%s)', "SELECT count(*) FROM emit_many('doomed', 200, %s, 100)" ],
		[ 'a bulk', 'bulk', "SELECT emit('doomed', %s)" ],
		[ 'chain_pending', 'emit(%s)', "SET people_os_spine.chain_at = commit; BEGIN; SELECT emit('doomed', %s) \\g /dev/null\nSELECT spine.chain_pending(); ROLLBACK" ])
	{
		my ($what, $held, $statement) = @$case;
		$organization += 300;
		$statement = sprintf $statement, $organization;
		# It waits behind one that holds, and another waits behind it.
		my $holder = $node->background_psql('postgres');
		$holder->query_safe('BEGIN; SELECT count(*) FROM ' . ($held eq 'bulk' ? "emit_many('holder', 200, $organization, 100)" : "emit('holder', $organization)"));
		ends_it("waiting for $what", $how, '', $statement, $waits);
		$holder->query_safe('COMMIT');
		$holder->quit;
		is($node->safe_psql('postgres', "SET lock_timeout = '10s'; SELECT count(emit('next', $organization))"), 1, "waiting for $what, $how: the next event");
	}
}
chains_are_right('waits');

# A forgetful one is ended, and who waits goes on.
foreach my $chain_at ('insert', 'commit')
{
	my $holder = $node->background_psql('postgres', on_error_stop => 0);
	$holder->query_safe("SET idle_in_transaction_session_timeout = '300ms'; SET people_os_spine.chain_at = $chain_at");
	$holder->query_safe("BEGIN; SELECT emit('doomed', 50); SELECT spine.chain_pending()");
	is($node->safe_psql('postgres', "SET lock_timeout = '60s'; SELECT count(emit('waited', 50))"), 1, "$chain_at: when the forgetful one is ended, who waits goes on");
	like(slurp_file($node->logfile), qr/terminating connection due to idle-in-transaction timeout/, "$chain_at: it was ended for that");
	is($node->safe_psql('postgres', "SELECT count(*) FROM spine.events WHERE action = 'doomed'"), 0, "$chain_at: it stored nothing");
	eval { $holder->quit };
}

# In the middle of work -------------------------------------------------------------------------------------------------------
foreach my $how ('pg_cancel_backend', 'pg_terminate_backend', 'statement_timeout')
{
	foreach my $chain_at ('insert', 'commit')
	{
		my $before = $node->safe_psql('postgres', "SELECT pg_relation_size('spine.events_default')");
		ends_it("50,000 events, $chain_at", $how, "SET people_os_spine.chain_at = $chain_at;", "BEGIN;\nSELECT count(*) FROM emit_many('doomed', 50000, 60, 3) \\g /dev/null\nCOMMIT",
			"query ~ 'doomed|COMMIT' AND pg_relation_size('spine.events_default') > $before + 500000");
	}
}
chains_are_right('work');

# At any moment ---------------------------------------------------------------------------------------------------------------
# Some work, on few organizations, so that they wait for each other too; one more ends their statements or sessions again
# and again, after a random while. An id that is answered outside of a transaction, or echoed behind its COMMIT, is
# acknowledged.
$node->safe_psql('postgres', "SELECT count(*) FROM emit_many('many', 20000, 70, 5)");
my @work = (
	"SELECT emit('single', 71);",
	"INSERT INTO spine.events (event_type, entity_id, organization_id) VALUES ('hcm.employee.single', gen_random_uuid(), '@{[ org(72) ]}') RETURNING id;",
	# b is there if all before it went well: else the COMMIT is a rollback, and no error.
	"\\unset b\nBEGIN;\nSELECT emit('pair', 71) AS a \\gset\nSAVEPOINT s;\nSELECT emit('lost', 72) AS lost \\gset\nROLLBACK TO s;\nSELECT emit('pair', 72) AS b \\gset\nCOMMIT;\n"
	  . "\\if :ERROR\n\\elif :{?b}\n\\echo :a\n\\echo :b\n\\endif\n",
	"SELECT * FROM emit_many('single', 300, 71, 2);",
	"SELECT count(*) FROM spine.verify_chain();",
	"SET max_parallel_maintenance_workers = 2; SET min_parallel_table_scan_size = 0;\nSELECT count(*) FROM spine.find_chain_faults();\nSET max_parallel_maintenance_workers = 0;",
	"SELECT count(*) FROM spine.read_events('@{[ org(71) ]}', 0);");
my $clients = 4;
foreach my $client (1 .. $clients)
{
	my $script = "\\set VERBOSITY verbose\nSET client_min_messages = error; SET people_os_spine.chain_at = " . ($client % 2 ? 'insert' : 'commit') . ";\n"
	  . "SET people_os_spine.early_lock_release = " . ($client > 2 ? 'on' : 'off') . ";\n";
	$script .= $work[ rand @work ] . "\n" for 1 .. 400;
	append_to_file("$folder/script.$client", $script);
}
my %acknowledged;
my %state;
foreach my $how ('pg_cancel_backend', 'pg_terminate_backend')
{
	my $end = time + 8;
	my (@runs, $ender, $ignored);
	my @out = ('') x ($clients + 1);
	my @err = ('') x ($clients + 1);
	my $begin = sub {
		my ($client) = @_;
		return IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') . " application_name=victim", '-f', "$folder/script.$client" ],
			'>>', \$out[$client], '2>>', \$err[$client]);
	};
	$runs[$_] = $begin->($_) foreach 1 .. $clients;
	# Its own transaction for each, or it would not see who came since.
	my $ends = "SELECT pg_sleep(0.02 * random() ^ 2);\nSELECT $how(pid) FROM pg_stat_activity WHERE application_name = 'victim' ORDER BY random() LIMIT 1;\n" x 900;
	append_to_file("$folder/$how", $ends);
	$ender = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', "$folder/$how" ], '>', \$ignored, '2>', \$ignored);
	my $sessions = $clients;
	while (time < $end)
	{
		foreach my $client (1 .. $clients)
		{
			$runs[$client]->pump_nb if $runs[$client]->pumpable;
			next if $runs[$client]->pumpable;
			$runs[$client]->finish;
			if (time < $end - 1) { $runs[$client] = $begin->($client); $sessions++ }
		}
		$ender->pump_nb if $ender->pumpable;
		select undef, undef, undef, 0.005;
	}
	$ender->finish;
	$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim'");
	eval { $_->finish } foreach grep { defined $_ } @runs[ 1 .. $clients ];
	foreach my $client (1 .. $clients)
	{
		$acknowledged{$_} = 1 foreach $out[$client] =~ /^($uuid)$/mg;
		$state{$how}{$1}++ while $err[$client] =~ /(?:ERROR|FATAL):  ([0-9A-Z]{5}):/g;
	}
	my $wanted = $how eq 'pg_cancel_backend' ? '57014' : '57P01';
	cmp_ok($state{$how}{$wanted} // 0, '>', 50, "$how at any moment: " . ($state{$how}{$wanted} // 0) . " times, $sessions sessions");
	# After an error a transaction is over, and perhaps without its savepoint. In the end all are terminated.
	is(join(' ', grep { !/^($wanted|25P02|3B001|57P01)$/ } sort keys %{ $state{$how} }), '', "$how: no other error");
	my $values = join ',', map { "('$_'::uuid)" } keys %acknowledged;
	is($node->safe_psql('postgres', "SELECT count(*) FROM (VALUES $values) a (id) LEFT JOIN spine.events e USING (id) WHERE e.id IS NULL"), 0, "$how: all " . keys(%acknowledged) . ' acknowledged events are there');
	my $more = $node->safe_psql('postgres', "SELECT count(*) FROM spine.events WHERE action IN ('single', 'pair') AND id NOT IN (VALUES $values)");
	# Who is terminated after the commit may not hear of it. A batch is 300 events.
	cmp_ok($more, '<=', $how eq 'pg_cancel_backend' ? 0 : 300 * $sessions, "$how: nothing else is there");
	$acknowledged{$_} = 1 foreach split /\n/, $node->safe_psql('postgres', "SELECT id FROM spine.events WHERE action IN ('single', 'pair')");
	is($node->safe_psql('postgres', "SELECT count(*) FROM (SELECT FROM spine.events WHERE action = 'pair' GROUP BY transaction_id HAVING count(*) <> 2) t"), 0, "$how: transactions are there whole");
	is($node->safe_psql('postgres', "SELECT count(*) FROM spine.events WHERE action = 'lost'"), 0, "$how: nothing of what was rolled back");
	is($node->safe_psql('postgres', "SELECT count(emit('next', n)) FROM generate_series(70, 75) n"), 6, "$how: the next events");
	$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'parallel worker'");
	chains_are_right($how);
	is(join(' ', glob($node->data_dir . '/base/pgsql_tmp/*'), glob($node->data_dir . '/pg_stat_tmp/people_os_spine*')), '', "$how: no file is left");
}
agrees_with_model($node, rows_of($node, "organization_id = '@{[ org($_) ]}'"), "organization $_, says a second opinion", org => org($_)) foreach 71, 72;
alive($node, $postmaster, 'the server went on');
unlike(slurp_file($node->logfile), qr/leak|still referenced|TRAP/, 'no resource is left');
$node->stop;
done_testing();
