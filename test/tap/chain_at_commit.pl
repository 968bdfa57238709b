# people_os_spine.chain_at = commit where the regression and isolation tests do not reach: prepared
# transactions, what bounds the wait at COMMIT, deadlocks under load, roles, memory.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Test::More;

my $node = spine_node('chain_at_commit',
	conf => "log_statement = none\nfsync = on\nmax_prepared_transactions = 8\nrestart_after_crash = on\ndeadlock_timeout = 100ms\n");
$node->safe_psql('postgres', q{
  ALTER DATABASE postgres SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
  ALTER DATABASE postgres SET people_os_spine.chain_at = commit;
  CREATE FUNCTION emit(action text, organization int DEFAULT 1) RETURNS uuid LANGUAGE sql AS $$
    SELECT spine.emit_event('hcm.employee.' || action, entity_id => gen_random_uuid(),
             organization_id => ('00000000-0000-4000-8000-' || lpad(organization::text, 12, '0'))::uuid)
  $$;
});

sub actions
{
	my ($organization) = @_;
	return $node->safe_psql('postgres', "SELECT string_agg(sequence || ' ' || action, ', ' ORDER BY sequence) FROM spine.events WHERE organization_id = '@{[ org($organization) ]}'");
}
sub all_intact
{
	my ($test) = @_;
	is($node->safe_psql('postgres', 'SELECT bool_and(intact AND events = last_sequence), sum(faults) FROM spine.verify_chain()'), 't|0', "$test: the chains are intact");
	return;
}
my $postmaster;
sub note_postmaster { $postmaster = postmaster_of($node); return }
note_postmaster();

# Until a session's statement waits for a lock; its process.
sub waits
{
	my ($statement, $test) = @_;
	ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ '^$statement'"), "$test: it waits");
	return $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ '^$statement'");
}

# What bounds the wait at COMMIT ------------------------------------------------------------------------------------
{
	my $holder = $node->background_psql('postgres');
	$holder->query_safe("BEGIN; SELECT emit('holder'); SELECT spine.chain_pending()");
	my $s = $node->background_psql('postgres', on_error_stop => 0);
	$s->query_safe('\set VERBOSITY verbose');

	$s->query_safe("BEGIN; SET LOCAL lock_timeout = '10ms'; SELECT emit('timed_out')");
	$s->query('COMMIT');
	like($s->{stderr}, qr/ERROR:  55P03:/, 'lock_timeout ends the wait');
	$s->{stderr} = '';
	is($s->query_safe('SELECT pg_current_xact_id_if_assigned() IS NULL'), 't', 'and the transaction');

	$s->query_safe("BEGIN; SELECT emit('canceled')");
	begin_query($s, 'COMMIT');
	my $pid = waits('COMMIT', 'canceled');
	$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
	like((finish_query($s))[1], qr/ERROR:  57014:/, 'a cancel ends the wait');

	# It has run out long before the holder goes.
	$s->query_safe("BEGIN; SET LOCAL statement_timeout = '50ms'; SELECT emit('not_timed_out')");
	begin_query($s, 'COMMIT');
	waits('COMMIT', 'statement_timeout');
	$node->safe_psql('postgres', 'SELECT pg_sleep(0.5)');
	waits('COMMIT', 'statement_timeout, after it has passed');

	my $doomed = $node->background_psql('postgres', on_error_stop => 0);
	$doomed->query_safe("BEGIN; SELECT emit('terminated')");
	begin_query($doomed, 'COMMIT  ');
	my $victim = waits('COMMIT  ', 'terminated');
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($victim)");
	ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $victim"), 'terminated: it is gone');
	eval { $doomed->quit };

	$holder->query_safe('COMMIT');
	is((finish_query($s))[1], '', 'statement_timeout: it commits when it gets the chain');
	$s->query_safe("SELECT emit('next')");
	is(actions(1), '1 holder, 2 not_timed_out, 3 next', 'of what failed there is nothing, and the session goes on');
	$_->quit for $holder, $s;
	alive($node, $postmaster, 'the server went on');
	all_intact('bounded');
}

# Prepared ------------------------------------------------------------------------------------------------------------
for my $end ('COMMIT', 'ROLLBACK')
{
	my $organization = $end eq 'COMMIT' ? 2 : 3;
	my $is_locked = sub {
		is_refused($node, 'postgres', "SET lock_timeout = '10ms'; SELECT emit('excluded', $organization)", '55P03', "$end PREPARED: $_[0]");
	};
	$node->safe_psql('postgres', "SELECT emit('before', $organization)");
	$node->safe_psql('postgres', qq{
	  BEGIN;
	  SELECT emit('prepared', $organization);
	  SAVEPOINT a;
	  SELECT emit('undone', $organization);
	  ROLLBACK TO a;
	  SELECT emit('prepared_last', $organization);
	  PREPARE TRANSACTION 'one';
	});
	$is_locked->('what is prepared has its chain');
	is(actions($organization), '1 before', "$end PREPARED: it is not seen");
	$node->stop('immediate');
	$node->start;
	$is_locked->('has it after a crash, too');
	$node->safe_psql('postgres', "$end PREPARED 'one'; SELECT emit('after', $organization)");
	is(actions($organization), $end eq 'COMMIT' ? '1 before, 2 prepared, 3 prepared_last, 4 after' : '1 before, 2 after', "$end PREPARED: the chain goes on where it should");
	all_intact("$end PREPARED");
}
# PREPARE waits for the chain as COMMIT does.
{
	my $holder = $node->background_psql('postgres');
	$holder->query_safe("BEGIN; SELECT emit('holder', 4); SELECT spine.chain_pending()");
	is_refused($node, 'postgres', "BEGIN; SET LOCAL lock_timeout = '10ms'; SELECT emit('excluded', 4); PREPARE TRANSACTION 'two'", '55P03', 'PREPARE waits');
	$holder->query_safe('ROLLBACK');
	$holder->quit;
	is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts'), 0, 'and is not there when it failed');
}

# Who emitted, not who commits ------------------------------------------------------------------------------------------
$node->safe_psql('postgres', q{
  CREATE ROLE writer;
  CREATE ROLE nobody;
  CREATE ROLE app LOGIN;
  GRANT writer, nobody TO app;
  SELECT spine.grant_emitter('writer');
});
is_allowed($node, 'postgres', "BEGIN; SET ROLE writer; SELECT emit('by_writer', 5); SET ROLE nobody; COMMIT", 'who commits needs no right', role => 'app');
is_allowed($node, 'postgres', "BEGIN; SET LOCAL ROLE writer; SELECT emit('by_writer', 5); RESET ROLE; COMMIT; SELECT current_user", 'nor the one who connected', role => 'app');
is_refused($node, 'postgres', "BEGIN; SET ROLE nobody; SELECT emit('by_nobody', 5)", '42501', 'who emits does', role => 'app');
is_allowed($node, 'postgres', "BEGIN; SET ROLE app; SET LOCAL ROLE writer; SELECT emit('by_superuser', 5); SET SESSION AUTHORIZATION app; SET ROLE nobody; COMMIT", 'a session that changes hands');
is($node->safe_psql('postgres', "SELECT string_agg(action || ' ' || (CASE recorded_by WHEN 'app' THEN 'app' ELSE 'superuser' END), ', ' ORDER BY sequence) FROM spine.events WHERE organization_id = '@{[ org(5) ]}'"),
	'by_writer app, by_writer app, by_superuser superuser', 'recorded_by is whose session it was when it emitted');
like(is_allowed($node, 'postgres', "BEGIN; SET ROLE writer; SELECT emit('by_writer', 5); SET ROLE nobody; COMMIT; SELECT 'then ' || current_user", 'the role at COMMIT', role => 'app'),
	qr/^then nobody$/m, 'is the role after it');
{
	my $s = $node->background_psql('postgres', on_error_stop => 0);
	$s->query_safe("SET people_os_spine.actor_type = 'system'; BEGIN; SELECT emit('settings', 6); SET people_os_spine.actor_type = 'human'; SET people_os_spine.actor_id = '@{[ org(77) ]}'; COMMIT");
	is($s->query_safe("SELECT actor_type || ' ' || right(actor_id::text, 2) FROM spine.events WHERE action = 'settings'"), 'system a1', 'settings, too, are those of the moment of emitting');
	$s->quit;
}

# Nobody deadlocks ------------------------------------------------------------------------------------------------------
# Three organizations and two rows, in any order. Rows are taken in one order, or they would deadlock on their own.
my $clients = 16;
my $transactions = 60;
$node->safe_psql('postgres', 'CREATE TABLE business (id int PRIMARY KEY, value int); INSERT INTO business SELECT n, 0 FROM generate_series(1, 3) n');
my $emit_one = sub { "SELECT emit('loaded', :o$_[0]);\n" };
my $update = sub { "UPDATE business SET value = value + 1 WHERE id = :row;\n" };
my %load;
for my $n (0 .. 2)
{
	my @steps = map { $emit_one->($_) } 1 .. 3;
	splice @steps, (0, 3, 1)[$n], 0, $update->();
	$load{"order_$n"} = join '', map({ "\\set o$_ random(21, 24)\n" } 1 .. 3), "\\set row random(1, 3)\n", "BEGIN;\n", @steps, "COMMIT;\n";
}
my $all = $clients * $transactions;
{
	local $ENV{PGOPTIONS} = '-c people_os_spine.chain_at=commit';
	$node->pgbench("--no-vacuum --client=$clients --jobs=2 --transactions=$transactions --max-tries=1", 0,
		[ qr{processed: $all/$all\n}, qr{number of failed transactions: 0 } ], [qr{^$}], 'chain_at = commit: no transaction fails', \%load);
	is($node->safe_psql('postgres', "SELECT count(*) FROM spine.events WHERE action = 'loaded'"), 3 * $all, 'and all their events are there');
	is($node->safe_psql('postgres', 'SELECT sum(value) FROM business'), $all, 'with their other work');
	all_intact('chain_at = commit');
}
{
	local $ENV{PGOPTIONS} = '-c people_os_spine.chain_at=insert';
	my ($out, $err) = run_command([ 'pgbench', '-h', $node->host, '-p', $node->port, '--no-vacuum', "--client=$clients", '--jobs=2', "--transactions=$transactions", '--max-tries=1',
		$node->_pgbench_make_files({ map { ("insert_$_" => $load{$_}) } keys %load }), 'postgres' ]);
	my ($failed) = $out =~ /number of failed transactions: (\d+)/;
	cmp_ok($failed // -1, '>', 0, 'chain_at = insert: the same load deadlocks') or diag("$out\n$err");
	all_intact('chain_at = insert');
}

# Memory ------------------------------------------------------------------------------------------------------------------
{
	my $s = $node->background_psql('postgres');
	my $pid = $s->query_safe('SELECT pg_backend_pid()');
	$s->query_safe(q{BEGIN; SELECT count(spine.emit_event('a.b.small', entity_id => spine.entity_uuid('a', 'b', '1'), organization_id => '00000000-0000-4000-8000-000000000031')) FROM generate_series(1, 200000)});
	my ($anonymous) = slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m;
	cmp_ok($anonymous, '<', 64 * 1024, "after 200,000 small events the process has $anonymous kB of its own");
	is($s->query_safe("SELECT count(*) < 200000 FROM spine.events WHERE action = 'small'"), 't', 'though some are still pending');
	$s->query_safe('COMMIT');
	($anonymous) = slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m;
	cmp_ok($anonymous, '<', 64 * 1024, "and $anonymous kB after COMMIT");
	is($s->query_safe("SELECT count(*), max(sequence) FROM spine.events WHERE action = 'small'"), '200000|200000', 'all are there');
	$s->quit;
}

$node->stop;
done_testing();
