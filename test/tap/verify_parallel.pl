# Verification with parallel workers, where it takes a server: a large table, a standby, no worker to be had,
# damaged out-of-line values, cancels and terminations, memory, and what other sessions see of it.
use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep time);
use Spine;

my $alone    = 'SET max_parallel_maintenance_workers = 0; ';
my $together = 'SET min_parallel_table_scan_size = 0; SET max_parallel_maintenance_workers = 2; ';
my $verify   = 'SELECT count(*), sum(events), sum(faults), bool_and(intact) FROM spine.verify_chain()';

my $node = spine_node('main', allows_streaming => 1, conf => "max_wal_size = 2GB\nshared_buffers = 256MB\n");

# A session of its own: start_sql(SQL) … finish_sql, which answers the output and the messages.
sub start_sql
{
	my ($server, $sql) = @_;
	my %session = (out => '', err => '');
	$session{run} = IPC::Run::start([ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $server->connstr('postgres'), '-c', $sql ],
		'<', \undef, '>', \$session{out}, '2>', \$session{err});
	return \%session;
}

sub finish_sql
{
	my ($session) = @_;
	$session->{run}->finish;
	return ($session->{out}, $session->{err});
}

# What a verification leaves behind when it is gone: nothing.
sub leaves_nothing
{
	my ($server, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$server->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'parallel worker'");
	my $data = $server->data_dir;
	my @left = (glob("$data/pg_stat_tmp/people_os_spine*"), glob("$data/base/pgsql_tmp/*"));
	is("@left", '', "$name: no file is left");
	unlike(slurp_file($server->logfile), qr/leak|still referenced|TRAP/, "$name: no resource is left");
	return;
}

sub messages
{
	my ($server, $sql) = @_;
	my ($state, $out, $err) = run_sql($server, 'postgres', "SET client_min_messages = debug1; $sql");
	return ($out, $err, $state);
}

# Real events of many organizations, then their rows under other organizations, whose hashes do not fit: a million
# rows, and a fault in nine of ten.
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE auditor;
CREATE ROLE stranger;
CREATE ROLE monitor IN ROLE pg_read_all_stats;
CREATE ROLE reader LOGIN;
SELECT spine.grant_auditor('auditor'), spine.grant_reader('reader', ARRAY['00000000-0000-4000-8000-000000000007', '00000000-0000-4000-8000-000000000008']::uuid[]);
GRANT USAGE ON SCHEMA spine TO stranger, monitor;
GRANT EXECUTE ON FUNCTION spine.read_verify_progress() TO stranger, monitor;
GRANT SELECT ON spine.verify_progress TO stranger, monitor;
SELECT count(spine.emit_event('hcm.employee.updated', entity_id => '00000000-0000-4000-8000-0000000000e1',
         actor_id => '00000000-0000-4000-8000-0000000000a1',
         payload => jsonb_build_object('name', 'Ada Lovelace', 'salary', 120000.5, 'n', i, 'since', '2026-01-19', 'active', true),
         organization_id => ('00000000-0000-4000-8000-' || lpad((i % 1000)::text, 12, '0'))::uuid))
  FROM generate_series(1, 100000) i;
SQL
my $sound = $node->safe_psql('postgres', $alone . $verify);
is($sound, '1001|100002|0|t', 'alone, all chains are intact, and the platform\'s with its two grants');
is($node->safe_psql('postgres', $together . $verify), $sound, 'with workers, they are too');
my ($out, $err) = messages($node, $together . $verify);
like($err, qr/verifying with 2 parallel workers/, 'two workers were there');
leaves_nothing($node, 'a verification');
foreach my $set ('max_parallel_workers = 0', "work_mem = '64kB'", "maintenance_work_mem = '1MB'")
{
	is($node->safe_psql('postgres', "$together SET $set; $verify"), $sound, "$set: the same");
}
my $one = "$together SELECT events, faults, intact FROM spine.verify_chain('00000000-0000-4000-8000-000000000007', thorough => true)";
is($node->safe_psql('postgres', $one), '100|0|t', 'one organization, with workers');

# A standby.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
($out, $err) = messages($standby, $together . $verify);
like($err, qr/verifying with 2 parallel workers/, 'a standby verifies with workers');
is($out, $sound, 'and all chains are intact there');
leaves_nothing($standby, 'a standby');
$standby->stop;

# No worker to be had: the one slot that there is belongs to logical replication.
$node->append_conf('postgresql.conf', "max_worker_processes = 1\n");
$node->restart;
($out, $err) = messages($node, $together . $verify);
like($err, qr/verifying with 0 parallel workers/, 'no worker can be had');
is($out, $sound, 'and still all is verified');
$node->append_conf('postgresql.conf', "max_worker_processes = 8\n");
$node->restart;

$node->safe_psql('postgres', GUARDS_OFF . <<'SQL');
ALTER TABLE spine.events DISABLE TRIGGER ALL;
DROP INDEX spine.events_entity_id_sequence_idx;
INSERT INTO spine.events (id, event_type, domain, entity_type, entity_id, action, actor_id, actor_type, organization_id, environment,
                          "timestamp", severity, payload, sequence, transaction_id, recorded_by, previous_hash, event_hash, payload_salt)
SELECT gen_random_uuid(), event_type, domain, entity_type, entity_id, action, actor_id, actor_type,
       ('00000000-0000-4000-8000-' || right(organization_id::text, 3)::int + 1000 * copy + 1e11::bigint)::uuid, environment,
       "timestamp", severity, payload, sequence, transaction_id, recorded_by, previous_hash, event_hash, payload_salt
  FROM spine.events, generate_series(1, 9) copy WHERE organization_id <> '00000000-0000-0000-0000-000000000000';
SQL
my $large = '10001|1000002|900000|f';

# Memory, and what others see, while it runs. Resident memory that is a process's own, in kB.
sub own_memory
{
	my ($pid) = @_;
	open(my $status, '<', "/proc/$pid/status") or return undef;
	foreach my $line (<$status>) { return $1 if $line =~ /^RssAnon:\s+(\d+) kB/ }
	return undef;
}

SKIP: {
	skip 'no /proc here', 1 unless defined own_memory($$);
	my $idle = start_sql($node, "SELECT pg_backend_pid(), pg_sleep(2)");
	usleep(500_000);
	my $idle_pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_sleep(2)%' AND pid <> pg_backend_pid()");
	my $fresh = own_memory($idle_pid);
	finish_sql($idle);

	my $session = start_sql($node, "SET people_os_spine.progress_interval = '200ms'; SET work_mem = '4MB'; $together $verify");
	my ($most, $processes, %seen) = (0, 0);
	my $watcher = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \(my $ask = ''), '>', \(my $answers = ''));
	my $until = time + 180;
	while ($session->{run}->pumpable && time < $until)
	{
		$ask .= <<'SQL';
SELECT 'process', pid FROM pg_stat_activity WHERE query LIKE '%spine.verify_chain%' AND pid <> pg_backend_pid();
SELECT 'progress', pid, datname, usename, organization_id IS NULL, blocks_total > 0, blocks_done BETWEEN 0 AND blocks_total, events_done > 0,
       share BETWEEN 0 AND 1, events_per_second > 0, seconds_left >= 0, started < clock_timestamp() FROM spine.verify_progress;
SET ROLE stranger; SELECT 'stranger', count(*) FROM spine.verify_progress; RESET ROLE;
SET ROLE monitor; SELECT 'monitor', count(*) FROM spine.verify_progress; RESET ROLE;
SELECT 'done';
SQL
		$answers = '';
		$watcher->pump until $answers =~ /^done$/m;
		my ($sum, $count) = (0, 0);
		foreach my $pid ($answers =~ /^process\|(\d+)$/mg)
		{
			my $memory = own_memory($pid) // next;
			$sum += $memory - $fresh if $memory > $fresh;
			$count++;
		}
		$most = $sum if $sum > $most;
		$processes = $count if $count > $processes;
		$seen{$_}++ foreach grep { !/^process|^done/ } split /\n/, $answers;
		$session->{run}->pump_nb;
		usleep(10_000);
	}
	$ask = "\\q\n";
	$watcher->finish;
	my ($result, $messages) = finish_sql($session);
	is($result, "$large\n", 'a million events, nine of ten at fault');
	like($messages, qr/NOTICE:  00000: verifying: \d+ % read, \d+ events a second, about \d+ s left/, 'it says how far it is');
	is($processes, 3, 'three processes verified');
	note("$most kB above fresh backends, $processes processes");
	cmp_ok($most, '<=', 64 * 1024, 'they took at most 64 MiB');
	my @progress = grep { /^progress/ } keys %seen;
	ok(@progress > 0 && !grep({ !/^progress\|\d+\|postgres\|[^|]+\|t\|t\|t\|t\|t\|t\|t\|t$/ } @progress), 'another session sees how far it is')
	  or diag(join "\n", @progress);
	ok($seen{'monitor|1'}, 'so does a member of pg_read_all_stats');
	ok(!$seen{'stranger|1'}, 'and nobody else');
	leaves_nothing($node, 'a large verification');
}

# The caller sees its own.
my $own = start_sql($node, "SET ROLE auditor; SET people_os_spine.progress_interval = '1h'; $together SELECT count(*) FROM spine.verify_chain()");
my $seen = $node->poll_query_until('postgres', "SELECT count(*) = 1 FROM spine.verify_progress");
ok($seen, 'a verification of any role is seen');
($out, $err) = finish_sql($own);
is($out, "10001\n", 'a role with SELECT verifies with workers');
unlike($err, qr/NOTICE/, 'without notices before the interval is over');
($out, $err) = messages($node, "SET people_os_spine.progress_interval = 0; $together $verify");
unlike($err, qr/verifying: /, 'notices can be switched off');
is($out, $large, 'with the same result');
(undef, $out, $err) = run_sql($node, 'postgres', "SET people_os_spine.progress_interval = '10ms'; $alone $verify");
like($err, qr/verifying: /, 'alone it says how far it is, too');
is($out, $large, 'alone, the result is the same');

# A reader of two organizations: the same with workers and alone, and no count of others.
my $two = 'SELECT count(*), sum(events), sum(faults), bool_and(intact) FROM spine.verify_chain()';
foreach my $how ([ 'alone', $alone ], [ 'with workers', $together ])
{
	my ($state, $answer, $said) = run_sql($node, 'postgres', "SET client_min_messages = debug1; SET people_os_spine.progress_interval = '10ms'; $how->[1] $two", role => 'reader');
	is($answer, '2|200|0|t', "$how->[0], a reader verifies its organizations");
	like($said, qr/with 2 parallel workers/, 'workers were there') if $how->[0] ne 'alone';
	like($said, qr/NOTICE:  00000: verifying: \d+ % read, about \d+ s left/, "$how->[0], it hears how far it is");
	unlike($said, qr/events a second/, "$how->[0], but not at which pace events go by");
}
# One verification after the other, until both have looked.
my $theirs = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') . ' user=reader', '-c', 'DO $$BEGIN LOOP PERFORM count(*) FROM spine.verify_chain(); END LOOP; END$$' ],
	'<', \undef, '>', \(my $ignored = ''), '2>', \(my $ended = ''));
my $counts = sub {
	my $answer = '';
	for (1 .. 1000)
	{
		(undef, $answer) = run_sql($node, 'postgres', 'SELECT blocks_done > 0, events_done, events_per_second FROM spine.verify_progress', @_);
		last if $answer =~ /^t/;
	}
	return $answer;
};
is($counts->(role => 'reader'), 't||', 'in the view, it does not see how many either');
like($counts->(), qr/^t\|\d+\|\d+/, 'as a superuser does');
$node->safe_psql('postgres', q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'reader'));
eval { $theirs->finish };

# Ended at any moment.
my %ends;
foreach my $ms (1, 5, 10, 20, 30, 50, 80, 120, 200, 300, 500, 800, 1200)
{
	my $state = sqlstate($node, 'postgres', "SET statement_timeout = $ms; $together $verify");
	$ends{$state}++;
}
ok(($ends{'57014'} // 0) > 5 && !grep({ $_ ne '57014' && $_ ne '' } keys %ends), 'a cancel at any moment is a cancel') or diag(join ' ', %ends);
leaves_nothing($node, 'a cancel');
# The session goes on, outside a transaction and inside one.
sub goes_on
{
	my ($settings, $name, @after) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($stopped, @wrong) = (0);
	foreach my $ms (@after)
	{
		my ($rc, $out, $err) = $node->psql('postgres', <<"SQL", on_error_stop => 0);
$settings
SET statement_timeout = $ms;
SELECT count(*) FROM spine.verify_chain();
BEGIN;
SAVEPOINT s;
SELECT count(*) FROM spine.find_chain_faults();
ROLLBACK TO s;
COMMIT;
RESET statement_timeout;
SELECT 'here', count(*) FROM pg_settings WHERE name = 'statement_timeout';
SQL
		$stopped++ while $err =~ /canceling statement due to statement timeout/g;
		push @wrong, "$ms ms: $out $err" unless $out =~ /^here\|1$/m && $err !~ /aborted/;
	}
	ok($stopped > 0 && !@wrong, "$name: the session goes on after each of $stopped cancels") or diag(join "\n", @wrong);
	return;
}
goes_on($together, 'with workers', 1, 5, 10, 20, 40, 80, 150, 300);
goes_on($alone, 'alone', 1, 10, 100);
foreach my $whom ('client backend', 'parallel worker')
{
	foreach my $function ('pg_cancel_backend', 'pg_terminate_backend')
	{
		my $victim = start_sql($node, "$together $verify");
		my $query = "SELECT count($function(pid)) > 0 FROM pg_stat_activity
		  WHERE query LIKE '%spine.verify_chain%' AND backend_type = '$whom' AND pid <> pg_backend_pid()";
		$query .= ' AND pid IN (SELECT pid FROM spine.verify_progress)' if $whom eq 'client backend';
		ok($node->poll_query_until('postgres', $query), "$function of a $whom");
		(undef, $err) = finish_sql($victim);
		like($err, qr/57014|57P01|server closed the connection/, "$function of a $whom ends the verification");
		leaves_nothing($node, "$function of a $whom");
	}
}
# In a transaction that goes on.
is($node->safe_psql('postgres', <<"SQL"), "failed\n1", 'a transaction goes on after a failure');
$together
BEGIN; SAVEPOINT s; SET LOCAL temp_file_limit = '1MB';
\\set ON_ERROR_STOP off
SELECT count(*) FROM spine.find_chain_faults();
\\if :ERROR
\\echo failed
\\endif
ROLLBACK TO s;
SELECT 1;
COMMIT;
SQL
leaves_nothing($node, 'a failure of temporary files');

# Large out-of-line values: most cancels come while one is fetched.
$node->safe_psql('postgres', 'ALTER TABLE spine.events DISABLE TRIGGER ALL; ALTER TABLE spine.events_default DISABLE TRIGGER ALL; TRUNCATE spine.events_default; ALTER TABLE spine.events ENABLE TRIGGER ALL, ALTER payload SET STORAGE EXTERNAL');
$node->safe_psql('postgres', <<'SQL');
SELECT count(spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', 'c'), actor_id => '00000000-0000-4000-8000-0000000000a1',
         payload => jsonb_build_object('text', repeat(md5(i::text), 30000)), organization_id => '00000000-0000-4000-8000-000000000001'))
  FROM generate_series(1, 50) i;
SQL
goes_on($alone, 'fetching alone', 1 .. 40);
goes_on($together, 'fetching with workers', 5, 10, 15, 20, 25, 30);
leaves_nothing($node, 'a cancelled fetch');

# Damaged out-of-line values: workers meet them, and all faults are found, once.
$node->safe_psql('postgres', 'ALTER TABLE spine.events DISABLE TRIGGER ALL; ALTER TABLE spine.events_default DISABLE TRIGGER ALL; TRUNCATE spine.events_default; ALTER TABLE spine.events ENABLE TRIGGER ALL, ALTER payload SET STORAGE EXTERNAL');
$node->safe_psql('postgres', <<'SQL');
SELECT count(spine.emit_event('a.b.c', entity_id => spine.entity_uuid('a', 'b', 'c'), actor_id => '00000000-0000-4000-8000-0000000000a1',
         payload => CASE WHEN i % 3 = 0 THEN jsonb_build_object('text', repeat(md5(i::text), 150)) ELSE '{}' END,
         organization_id => ('00000000-0000-4000-8000-00000000000' || i % 2)::uuid))
  FROM generate_series(1, 300) i;
ALTER TABLE spine.events DISABLE TRIGGER ALL;
UPDATE spine.events SET payload = '{"salary": 1}' WHERE sequence = 140;
DELETE FROM spine.events WHERE sequence IN (2, 100);
CHECKPOINT;
SQL
my $toast = $node->safe_psql('postgres', "SELECT pg_relation_filepath(reltoastrelid) FROM pg_class WHERE oid = 'spine.events_default'::regclass");
$node->stop;
open(my $file, '+<', $node->data_dir . "/$toast") or die $!;
binmode $file;
seek($file, 8192, 0);
print $file "\xff" x 24;    # a page's header, which the server itself refuses
close $file;
$node->start;
my $faults = "SELECT sequence, event_id, fault, expected, found, detail FROM spine.find_chain_faults()";
my $expected = $node->safe_psql('postgres', $alone . $faults);
like($expected, qr/unreadable\|.*invalid page/, 'alone: a damaged out-of-line value');
like($expected, qr/^140\|.*content_altered/m, 'alone: altered content elsewhere');
like($expected, qr/^100\|.*event_missing/m, 'alone: missing events elsewhere');
($out, $err) = messages($node, $together . $faults);
like($err, qr/verifying again without parallel workers: invalid page/, 'workers gave up on it');
is($out, $expected, 'and the same faults are found');
is($node->safe_psql('postgres', "$together BEGIN; SAVEPOINT s; CREATE TEMP TABLE f AS $faults; RELEASE s; COMMIT; SELECT count(*) FROM f"),
	scalar(() = $expected =~ /^\d+\|/mg), 'in a transaction, too');
leaves_nothing($node, 'damaged values');

$node->stop;
done_testing();
