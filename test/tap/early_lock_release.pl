# people_os_spine.early_lock_release: locks go before the wait for the disk and for standbys (until these have applied it
# excepted), and the client hears of the commit after it. What is acknowledged survives a crash, what is read through the spine does too, and the
# session's synchronous_commit is what it was, however the commit ends.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Test::More;
use Time::HiRes qw(usleep);

my $seed = $ENV{SPINE_SEED} // 20260119;
srand($seed);
note "seed $seed";

my $slow_flush = build_preload('bench/slow_flush.c');

my $actor = "ALTER DATABASE postgres SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1'";
my $emit = sub {
	my ($action, $organization) = @_;
	$organization //= 1;
	return "spine.emit_event('hcm.employee.$action', entity_id => gen_random_uuid(), organization_id => '@{[ org($organization) ]}')";
};

# Crashes -------------------------------------------------------------------------------------------------------------
# What is committed asynchronously stays in memory as long as the WAL writer sleeps, so a commit acknowledged too soon
# is lost.
my $node = spine_node('crash', conf => "log_statement = none\nfsync = on\nwal_writer_delay = 10s\nmax_prepared_transactions = 8\n");
$node->safe_psql('postgres', $actor);
$node->stop;
sub start_slowly
{
	# Each flush takes a millisecond longer: more is under way when the server is killed.
	local $ENV{LD_PRELOAD} = $slow_flush;
	$node->start;
	return;
}
start_slowly();

my $rounds = 12;
my $clients = 8;
my $folder = PostgreSQL::Test::Utils::tempdir();
my $transactions = 3000;    # of each client, more than it ever gets to
my $uuid = qr/[0-9a-f]{8}-[0-9a-f-]{27}/;
# Answers "organization id" of each event, when its transaction is acknowledged. Pairs are there whole or not at all.
my %ways = (
	autocommit => sub { "SELECT 'done $_[0] ' || @{[ $emit->('single', $_[0]) ]};" },
	savepoints => sub {
		join "\n", 'BEGIN;', "SAVEPOINT a;", "SELECT @{[ $emit->('pair', $_[0]) ]} AS first \\gset", 'RELEASE a;',
		  'SAVEPOINT b;', "SELECT 'lost' WHERE @{[ $emit->('lost', $_[0]) ]} IS NULL;", 'ROLLBACK TO b;',
		  "SELECT @{[ $emit->('pair', $_[0]) ]} AS second \\gset", 'COMMIT;',
		  "\\echo done $_[0] :first", "\\echo done $_[0] :second";
	},
);
my @modes = ('insert autocommit', 'insert savepoints', 'commit autocommit', 'commit savepoints');
for my $client (1 .. $clients)
{
	my ($chain_at, $way) = split / /, $modes[ $client % @modes ];
	my $script = "SET people_os_spine.chain_at = $chain_at;\n";
	$script .= $ways{$way}->(1 + int rand 2) . "\n" for 1 .. $transactions;
	append_to_file("$folder/script.$client", $script);
}
# Runs the clients until the server is killed under them; answers how many acknowledged events are lost.
my $acknowledged;
sub crash
{
	my ($name, $settings) = @_;
	my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM spine.events');
	my @runs;
	for my $client (1 .. $clients)
	{
		unlink "$folder/out.$client";
		local $ENV{PGOPTIONS} = $settings;
		push @runs, IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', "$folder/script.$client" ],
			'>', "$folder/out.$client", '2>', "$folder/err.$client");
	}
	my $enough = $before + 40 + int rand 400;
	$node->poll_query_until('postgres', "SELECT count(*) > $enough FROM spine.events") or die 'nobody emits';
	usleep(int rand 50_000);
	kill_server($node);
	$_->finish for @runs;
	start_slowly();
	my @seen = map { slurp_file("$folder/out.$_") =~ /^done \d ($uuid)$/mg } 1 .. $clients;
	$acknowledged = @seen;
	my $values = join ',', map { "('$_'::uuid)" } @seen;
	return $node->safe_psql('postgres', "SELECT count(*) FROM (VALUES $values) a (id) LEFT JOIN spine.events e USING (id) WHERE e.id IS NULL");
}
sub chains_are_right
{
	my ($name) = @_;
	is($node->safe_psql('postgres', 'SELECT bool_and(intact AND events = last_sequence), sum(faults) FROM spine.verify_chain()'), 't|0', "$name: the chains are intact and without a gap");
	is($node->safe_psql('postgres', "SELECT count(*) FROM spine.events WHERE action = 'lost'"), 0, "$name: nothing that was rolled back is there");
	is($node->safe_psql('postgres', "SELECT count(*) FROM (SELECT FROM spine.events WHERE action = 'pair' GROUP BY transaction_id HAVING count(*) <> 2) t"), 0,
		"$name: transactions are there whole");
	return;
}
{
	# Else what follows could not fail.
	my $lost = 0;
	for (1 .. $rounds) { last if $lost = crash('asynchronous', '-c synchronous_commit=off') }
	cmp_ok($lost, '>', 0, 'with synchronous_commit = off, a crash loses acknowledged events');
	chains_are_right('asynchronous');
}
$node->safe_psql('postgres', 'ALTER DATABASE postgres SET people_os_spine.early_lock_release = on');
for my $round (1 .. $rounds)
{
	is(crash("round $round", '-c synchronous_commit=on'), 0, "round $round: all $acknowledged acknowledged events are there");
	cmp_ok($acknowledged, '>', 0, "round $round: there are some");
	chains_are_right("round $round");
}
agrees_with_model($node, rows_of($node), 'all of it, says a second opinion');

# Together with require_durable_commit ----------------------------------------------------------------------------------
$node->restart;    # flushing at its own pace
sub flushed
{
	my ($way, $settings) = @_;
	my $sql = "SET synchronous_commit = off; $settings;\n"
	  . "BEGIN; $way; SELECT pg_current_wal_insert_lsn() AS before \\gset\nCOMMIT;\nSELECT 'flushed ' || (pg_current_wal_flush_lsn() > :'before'), current_setting('synchronous_commit');\n" x $rounds;
	return scalar(() = $node->safe_psql('postgres', $sql) =~ /^flushed true\|off$/mg);
}
for my $chain_at ('insert', 'commit')
{
	my $set = "SET people_os_spine.chain_at = $chain_at; SET people_os_spine.require_durable_commit";
	my $one = "SELECT @{[ $emit->('durable') ]}";
	cmp_ok(flushed($one, "$set = off"), '<', $rounds, "chain_at = $chain_at: synchronous_commit = off is acknowledged before it is flushed");
	is(flushed($one, "$set = on"), $rounds, "chain_at = $chain_at: with require_durable_commit it is flushed before");
	is(flushed("SAVEPOINT a; $one; RELEASE a", "$set = on"), $rounds, "chain_at = $chain_at: in a savepoint, too");
}

# Who reads through the spine waits for the flush -----------------------------------------------------------------------
sub commit_asynchronously    # and say where the log stood just before the commit
{
	return $node->safe_psql('postgres', "SET synchronous_commit = off; BEGIN; SELECT @{[ $emit->('asynchronous', 7) ]} AS id \\gset\nSELECT pg_current_wal_insert_lsn(); COMMIT");
}
# The first event's commit is not flushed. The second one is not committed, but it makes its page newer than that
# commit, and then the server may note on the page that the first is committed.
for my $second (0, 1)
{
	for my $read ("count(*) FROM spine.read_events('@{[ org(7) ]}')", "count(*) FROM spine.verify_chain('@{[ org(7) ]}')", "count(*) FROM spine.find_chain_faults('@{[ org(7) ]}')")
	{
		my $held = $node->background_psql('postgres');
		my $durable = 0;
		for (1 .. $rounds)
		{
			my $before = commit_asynchronously();
			$held->query_safe("BEGIN; SELECT @{[ $emit->('uncommitted', 7) ]}") if $second;
			$durable += $node->safe_psql('postgres', "SELECT $read \\gset\nSELECT (pg_current_wal_flush_lsn() > '$before')::int");
			$held->query_safe('ROLLBACK') if $second;
		}
		is($durable, $rounds, ($second ? 'with a newer, uncommitted event on the page: ' : '') . "what $read has read is flushed");
		$held->quit;
	}
}
{
	my $durable = 0;
	for (1 .. $rounds)
	{
		my $before = commit_asynchronously();
		$durable += $node->safe_psql('postgres', "SELECT count(*) FROM spine.events \\gset\nSELECT (pg_current_wal_flush_lsn() > '$before')::int");
	}
	cmp_ok($durable, '<', $rounds, 'who reads the table itself does not wait');
}

# An aborted commit -------------------------------------------------------------------------------------------------------
$node->safe_psql('postgres', 'CREATE TABLE duty (id int PRIMARY KEY, doctors int); INSERT INTO duty VALUES (1, 1), (2, 1)');
for my $level ('on', 'local', 'off')
{
	my $one = $node->background_psql('postgres', on_error_stop => 0);
	my $two = $node->background_psql('postgres', on_error_stop => 0);
	$_->query_safe("SET synchronous_commit = $level; BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT sum(doctors) FROM duty") for $one, $two;
	$one->query_safe("UPDATE duty SET doctors = 0 WHERE id = 1; SELECT @{[ $emit->('skewed', 8) ]}");
	$two->query_safe("UPDATE duty SET doctors = 0 WHERE id = 2; SELECT @{[ $emit->('skewed', 9) ]}");
	$one->query_safe('COMMIT');
	$two->query('COMMIT');
	like($two->{stderr}, qr/could not serialize access/, "$level: the commit fails");
	$two->{stderr} = '';
	is($two->query_safe('SHOW synchronous_commit'), $level, "$level: synchronous_commit is what it was");
	like($two->query_safe("SELECT @{[ $emit->('after', 9) ]}"), qr/$uuid/, "$level: the session goes on");
	is($two->query_safe('SHOW synchronous_commit'), $level, "$level: and synchronous_commit is still that");
	is($two->query_safe("SELECT count(*) FROM spine.events WHERE action = 'skewed' AND organization_id = '@{[ org(9) ]}'"), 0, "$level: nothing of it is there");
	$_->quit for $one, $two;
}
chains_are_right('in the end');

# Whose setting it is -------------------------------------------------------------------------------------------------------
$node->safe_psql('postgres', q{
  CREATE ROLE app LOGIN;
  SELECT spine.grant_emitter('app');
  ALTER DATABASE postgres RESET people_os_spine.early_lock_release;
});
is($node->safe_psql('postgres', "SELECT @{[ $emit->('loads') ]} AS id \\gset\nSHOW people_os_spine.early_lock_release"), 'off', 'off by default');
my $loads = "SELECT @{[ $emit->('loads') ]}";
is_refused($node, 'postgres', "$loads; $_", '42501', "a plain user: $_", role => 'app')
  for 'SET people_os_spine.early_lock_release = on', "SELECT set_config('people_os_spine.early_lock_release', 'on', true)",
  'ALTER ROLE app SET people_os_spine.early_lock_release = on';
{
	my (undef, $out) = run_sql($node, 'postgres', "SET people_os_spine.early_lock_release = on; $loads; SHOW people_os_spine.early_lock_release", role => 'app');
	is((split /\n/, $out)[-1], 'off', 'set before the library is loaded it does not count');
	local $ENV{PGOPTIONS} = '-c people_os_spine.early_lock_release=on';
	is_refused($node, 'postgres', $loads, '42501', 'a plain user: PGOPTIONS', role => 'app');
}
is_allowed($node, 'postgres', "$loads; SET people_os_spine.early_lock_release = on", 'a superuser may');
$node->stop;

# Synchronous standbys ---------------------------------------------------------------------------------------------------------
my $primary = spine_node('primary', allows_streaming => 1,
	conf => "log_statement = none\nmax_connections = 50\nmax_prepared_transactions = 8\nwal_sender_timeout = 0\nwal_receiver_timeout = 0\nwal_receiver_status_interval = 1s\n");
$primary->safe_psql('postgres', "$actor; ALTER DATABASE postgres SET people_os_spine.early_lock_release = on; ALTER DATABASE postgres SET lock_timeout = 0");
$primary->safe_psql('postgres', "SELECT @{[ $emit->('first') ]}");
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);
$primary->append_conf('postgresql.conf', "synchronous_standby_names = 'standby'\n");
$primary->reload;
$primary->poll_query_until('postgres', q{SELECT sync_state = 'sync' FROM pg_stat_replication}) or die 'no synchronous standby';
my $postmaster = postmaster_of($primary);

# Nothing reaches the standby, or is acknowledged by it, while this process is stopped.
my $receiver;
sub stop_standby
{
	$primary->wait_for_catchup($standby);
	$receiver = $standby->safe_psql('postgres', 'SELECT pid FROM pg_stat_wal_receiver');
	is(kill('STOP', $receiver), 1, 'the standby is stopped') or die;
	return;
}
sub resume_standby { kill 'CONT', $receiver; return }
END { kill 'CONT', $receiver if $receiver }

my $number = 0;
# A session, with a name to look it up by.
sub session
{
	my ($sql, %opt) = @_;
	my $s = $primary->background_psql('postgres', on_error_stop => 0, %opt);
	$s->query_safe("SET application_name = 'session @{[ ++$number ]}'; $sql");
	$s->{number} = $number;
	return $s;
}
sub begin
{
	my ($s, $sql) = @_;
	$s->{stdin} .= "\\echo begun\n$sql;\n\\echo ended\n";
	pump_until($s->{run}, $s->{timeout}, \$s->{stdout}, qr/^begun$/m);
	return;
}
sub ended
{
	my ($s) = @_;
	pump_until($s->{run}, $s->{timeout}, \$s->{stdout}, qr/^ended$/m);
	die "session $s->{number} does not end" if $s->{timeout}->is_expired;
	my $out = $s->{stdout};
	$s->{stdout} = '';
	return $out;
}
# Until what was begun has ended, or waits: which of them.
sub comes_to
{
	my ($s) = @_;
	while (!$s->{timeout}->is_expired)
	{
		$s->{run}->pump_nb;
		return 'end' if $s->{stdout} =~ /^ended$/m;
		my $waits = $primary->safe_psql('postgres', "SELECT CASE WHEN wait_event = 'SyncRep' THEN wait_event ELSE wait_event_type END FROM pg_stat_activity WHERE application_name = 'session $s->{number}'");
		return $waits if $waits eq 'SyncRep' || $waits eq 'Lock';
		usleep(10_000);
	}
	die "session $s->{number} neither ends nor waits";
}
sub chain_locks
{
	my ($s) = @_;
	return $primary->safe_psql('postgres', "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity USING (pid) WHERE application_name = 'session $s->{number}' AND objsubid = 21328 AND granted");
}
sub last_sequence { return $primary->safe_psql('postgres', "SELECT max(sequence) FROM spine.events WHERE organization_id = '@{[ org(1) ]}'") }
my $what_it_is = q{SELECT setting || ' by ' || source || ', else ' || reset_val FROM pg_settings WHERE name = 'synchronous_commit'};

my @levels = ('off', 'local', 'remote_write', 'on', 'remote_apply');
# How the level is said: before, in the transaction around an emit, and who says what holds after it.
my %sayings = (
	'SET' => [ sub { "SET synchronous_commit = $_[0]" }, sub { "BEGIN; SELECT $_[1]" } ],
	'SET LOCAL' => [ sub { "SET synchronous_commit = " . ($_[0] eq 'off' ? 'on' : 'off') }, sub { "BEGIN; SELECT $_[1]; SET LOCAL synchronous_commit = $_[0]" } ],
	'SET in the transaction' => [ sub { "SET synchronous_commit = " . ($_[0] eq 'off' ? 'on' : 'off') }, sub { "BEGIN; SET synchronous_commit = $_[0]; SELECT $_[1]" } ],
	'SET, then SET LOCAL' => [ sub { "SET synchronous_commit = local" }, sub { "BEGIN; SET synchronous_commit = remote_write; SELECT $_[1]; SET LOCAL synchronous_commit = $_[0]" } ],
	'SET in a savepoint' => [ sub { "SET synchronous_commit = local" }, sub { "BEGIN; SAVEPOINT a; SET LOCAL synchronous_commit = $_[0]; SELECT $_[1]; RELEASE a" } ],
	'ALTER ROLE' => [ sub { 'SELECT' }, sub { "BEGIN; SELECT $_[1]" } ],
	'function' => [ sub { "SET synchronous_commit = $_[0]" }, sub { "BEGIN; SELECT set_and_emit()" } ],
);
$primary->safe_psql('postgres', "CREATE FUNCTION set_and_emit() RETURNS uuid LANGUAGE sql SET synchronous_commit = remote_write AS \$\$ SELECT @{[ $emit->('in_function') ]} \$\$");
# What the server does with the same transaction when early_lock_release is off says what synchronous_commit must be.
my %afterwards;
for my $early ('off', 'on')
{
	for my $saying (sort keys %sayings)
	{
		my ($before, $transaction) = @{ $sayings{$saying} };
		for my $level (@levels)
		{
			$primary->safe_psql('postgres', "ALTER ROLE CURRENT_USER SET synchronous_commit = $level") if $saying eq 'ALTER ROLE';
			my $s = session("@{[ $before->($level) ]}; SET people_os_spine.early_lock_release = $early");
			$primary->safe_psql('postgres', 'ALTER ROLE CURRENT_USER RESET synchronous_commit');
			$s->query_safe($transaction->($level, $emit->('said')) . '; COMMIT');
			my $is = $s->query_safe($what_it_is);
			if ($early eq 'off') { $afterwards{"$saying $level"} = $is }
			else { is($is, $afterwards{"$saying $level"}, "$saying $level: synchronous_commit is what it is without early_lock_release") }
			$s->quit;
		}
	}
}

# Which levels wait for a standby that is stopped, and what they hold meanwhile.
stop_standby();
for my $saying (sort keys %sayings)
{
	my ($before, $transaction) = @{ $sayings{$saying} };
	my %sessions;
	my $sequence = last_sequence();
	for my $level (@levels)
	{
		$primary->safe_psql('postgres', "SET synchronous_commit = local; ALTER ROLE CURRENT_USER SET synchronous_commit = $level") if $saying eq 'ALTER ROLE';
		my $s = $sessions{$level} = session($before->($level));
		$primary->safe_psql('postgres', 'SET synchronous_commit = local; ALTER ROLE CURRENT_USER RESET synchronous_commit') if $saying eq 'ALTER ROLE';
		begin($s, $transaction->($level, $emit->('waits')) . '; COMMIT');
		is(comes_to($s), $level =~ /^(off|local)$/ ? 'end' : 'SyncRep', "$saying $level: " . ($level =~ /^(off|local)$/ ? 'does not wait for the standby' : 'waits for the standby'));
		# remote_apply, the last of them, waits with its locks, as without early_lock_release.
		is(chain_locks($s), $level eq 'remote_apply' ? 1 : 0, "$saying $level: " . ($level eq 'remote_apply' ? 'holds the chain' : 'holds no chain'));
		is(last_sequence(), ++$sequence, "$saying $level: its event is the chain's next") unless $level eq 'remote_apply';
	}
	resume_standby();
	for my $level (@levels)
	{
		ended($sessions{$level});
		is($sessions{$level}->query_safe($what_it_is), $afterwards{"$saying $level"}, "$saying $level: returns with the standby, and synchronous_commit is what it was");
		$sessions{$level}->quit;
	}
	stop_standby();
}

# Without early_lock_release the second waits for the first, which is how the above would fail.
{
	my ($one, $two) = map { session('SET synchronous_commit = on; SET people_os_spine.early_lock_release = off') } 1, 2;
	begin($one, "SELECT @{[ $emit->('off') ]}");
	is(comes_to($one), 'SyncRep', 'early_lock_release = off: the first waits for the standby');
	is(chain_locks($one), 1, 'early_lock_release = off: and holds the chain');
	begin($two, "SELECT @{[ $emit->('off') ]}");
	is(comes_to($two), 'Lock', 'early_lock_release = off: the second waits for the first');
	resume_standby();
	ended($_), $_->quit for $one, $two;
	stop_standby();
}

# chain_at = commit, emit_events and direct INSERTs wait alike.
{
	my %how = (
		'chain_at = commit' => "SET people_os_spine.chain_at = commit; SELECT @{[ $emit->('how') ]}",
		emit_events => "SELECT count(*) FROM spine.emit_events('[{\"event_type\": \"hcm.employee.how\", \"entity_id\": \"@{[ org(5) ]}\", \"organization_id\": \"@{[ org(1) ]}\"}]')",
		INSERT => "INSERT INTO spine.events (event_type, entity_id, organization_id) VALUES ('hcm.employee.how', gen_random_uuid(), '@{[ org(1) ]}')");
	my @all;
	for my $how (sort keys %how)
	{
		push @all, my $s = session('SET synchronous_commit = on');
		begin($s, $how{$how});
		is(comes_to($s), 'SyncRep', "$how: waits for the standby");
		is(chain_locks($s), 0, "$how: and holds no chain");
	}
	resume_standby();
	ended($_), $_->quit for @all;
}

# The level decides what of the standby is waited for: replay is paused, writing and flushing is not.
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
$standby->poll_query_until('postgres', q{SELECT pg_get_wal_replay_pause_state() = 'paused'}) or die 'replay goes on';
{
	my $waits = session('SET synchronous_commit = remote_apply');
	begin($waits, "SELECT @{[ $emit->('applied', 2) ]}");
	is(comes_to($waits), 'SyncRep', 'remote_apply waits until it is applied');
	for my $level ('remote_write', 'on')
	{
		my $s = session("SET synchronous_commit = $level");
		begin($s, "SELECT @{[ $emit->('flushed') ]}");
		ended($s);
		pass("$level does not");
		$s->quit;
	}
	is(comes_to($waits), 'SyncRep', 'it still does');
	$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
	ended($waits);
	$waits->quit;
}

# The standby says at once what it has applied, not with its next status report, which never comes here.
$standby->safe_psql('postgres', 'ALTER SYSTEM SET wal_receiver_status_interval = 2147483');
$standby->reload;
$standby->poll_query_until('postgres', q{SELECT setting = '2147483' FROM pg_settings WHERE name = 'wal_receiver_status_interval'}) or die 'no reload';
{
	my $s = session('SET synchronous_commit = remote_apply');
	$s->query_safe("SELECT @{[ $emit->('applied') ]}");
	pass('a commit with remote_apply ends without a status report');
	$s->quit;
}
$standby->safe_psql('postgres', 'ALTER SYSTEM RESET wal_receiver_status_interval');
$standby->reload;

# Readers ----------------------------------------------------------------------------------------------------------------------
my %reads = (
	read_events => "SELECT count(*) FROM spine.read_events('@{[ org(1) ]}')",
	verify_chain => "SELECT count(*) FROM spine.verify_chain('@{[ org(1) ]}')",
	find_chain_faults => 'SELECT count(*) FROM spine.find_chain_faults()');
stop_standby();
{
	my $on_standby = $standby->safe_psql('postgres', 'SELECT count(*) FROM spine.events');
	my $commits = session('SET synchronous_commit = on');
	begin($commits, "SELECT @{[ $emit->('read') ]}");
	is(comes_to($commits), 'SyncRep', 'a commit waits for the standby');
	my %readers;
	for my $read (sort keys %reads)
	{
		for my $level (@levels)
		{
			my $s = session("SET synchronous_commit = $level");
			begin($s, $reads{$read});
			my $waits = $level !~ /^(off|local)$/;
			is(comes_to($s), $waits ? 'SyncRep' : 'end', "$read, synchronous_commit = $level: " . ($waits ? 'waits' : 'does not wait'));
			if ($waits) { $readers{"$read $level"} = $s }
			else { ended($s); $s->quit }
		}
		my $canceled = session('SET synchronous_commit = on; \set VERBOSITY verbose');
		begin($canceled, $reads{$read});
		is(comes_to($canceled), 'SyncRep', "$read: waits");
		$primary->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'session $canceled->{number}'");
		ended($canceled);
		$canceled->query('SELECT');
		like($canceled->{stderr}, qr/ERROR:  57014:/, "$read: is canceled");
		$canceled->{stderr} = '';
		is($canceled->query_safe('SELECT 1'), 1, "$read: its session goes on");
		$canceled->quit;
		is($standby->safe_psql('postgres', $reads{$read} =~ s/count\(\*\)/'read'/r . ' LIMIT 1'), $read eq 'find_chain_faults' ? '' : 'read', "$read: does not wait on the standby");
	}
	is($primary->safe_psql('postgres', 'SELECT count(*) FROM spine.events') - $on_standby, 1, 'who reads the table itself sees it before');
	resume_standby();
	for my $reader (sort keys %readers)
	{
		like(ended($readers{$reader}), qr/^\d+$/m, "$reader: returns with the standby");
		$readers{$reader}->quit;
	}
	ended($commits);
	$commits->quit;
}

# Cancelled and terminated in the wait -----------------------------------------------------------------------------------------
stop_standby();
for my $way ('cancel', 'terminate')
{
	for my $level ('remote_write', 'on', 'remote_apply')
	{
		my $sequence = last_sequence();
		my $s = session("SET synchronous_commit = $level");
		my $was = $s->query_safe($what_it_is);
		begin($s, "SELECT @{[ $emit->($way) ]}");
		is(comes_to($s), 'SyncRep', "$way, $level: it waits");
		$primary->safe_psql('postgres', "SELECT pg_${way}_backend(pid) FROM pg_stat_activity WHERE application_name = 'session $s->{number}'");
		if ($way eq 'cancel')
		{
			ended($s);
			$s->query('SELECT');
			like($s->{stderr}, qr/WARNING:.*canceling wait for synchronous replication/, "cancel, $level: it is warned, and no more");
			unlike($s->{stderr}, qr/ERROR|FATAL/, "cancel, $level: without an error");
			$s->{stderr} = '';
			is($s->query_safe($what_it_is), $was, "cancel, $level: synchronous_commit is what it was");
			$s->query_safe("BEGIN; SELECT @{[ $emit->('lost') ]}; ROLLBACK");
			begin($s, "SELECT @{[ $emit->('again') ]}");
			is(comes_to($s), 'SyncRep', "cancel, $level: and the next commit waits anew");
			# That of remote_apply, which waits before it releases anything, is not yet seen.
			is(last_sequence(), $sequence + ($level eq 'remote_apply' ? 1 : 2), "cancel, $level: the events are there");
			resume_standby();
			ended($s);
			$s->quit;
			stop_standby();
		}
		else
		{
			ok($primary->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'session $s->{number}'"), "terminate, $level: it is gone");
			is(last_sequence(), $sequence + 1, "terminate, $level: its event is there");
			eval { $s->quit };
		}
	}
}
alive($primary, $postmaster, 'the server went on all the time');
resume_standby();

# Prepared transactions are not affected: both steps wait as they always do, and the chain is held until the second ends.
for my $early ('off', 'on')
{
	my $s = session("SET synchronous_commit = on; SET people_os_spine.early_lock_release = $early");
	stop_standby();
	begin($s, "BEGIN; SELECT @{[ $emit->('prepared') ]}; PREPARE TRANSACTION 'one'");
	is(comes_to($s), 'SyncRep', "early_lock_release = $early: PREPARE TRANSACTION waits for the standby");
	resume_standby();
	ended($s);
	is($primary->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE objsubid = 21328 AND pid IS NULL"), 1, "early_lock_release = $early: what is prepared holds the chain");
	stop_standby();
	begin($s, "COMMIT PREPARED 'one'");
	is(comes_to($s), 'SyncRep', "early_lock_release = $early: COMMIT PREPARED waits for the standby");
	my $second = session('SET synchronous_commit = on');
	begin($second, "SELECT @{[ $emit->('after_prepared') ]}");
	is(comes_to($second), 'Lock', "early_lock_release = $early: and others for it");
	resume_standby();
	ended($_) for $s, $second;
	is($s->query_safe('SHOW synchronous_commit'), 'on', "early_lock_release = $early: synchronous_commit is what it was");
	$_->quit for $s, $second;
}

is($primary->safe_psql('postgres', 'SELECT bool_and(intact AND events = last_sequence), sum(faults) FROM spine.verify_chain()'), 't|0', 'the chain is intact');
is($primary->safe_psql('postgres', "SELECT count(*) FROM spine.events WHERE action = 'lost'"), 0, 'and holds nothing that was rolled back');
$primary->wait_for_catchup($standby);
is(join("\n", @{ summaries_of($standby) }), join("\n", @{ summaries_of($primary) }), 'the standby has the same');
alive($primary, $postmaster, 'the server is the one that was started');
$primary->stop;
$standby->stop;
done_testing();
