# Patroni, etcd and three nodes in synchronous mode, under clients that emit: what is acknowledged stays, chains stay intact, and the
# notary tells the former primary that goes on alone. script/operate runs this; lines with "figure:" are what was measured.
use strict;
use warnings;

use lib 'test/operate';
use IPC::Run ();
use List::Util qw(max min);
use Notary;
use Patroni;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Test::More;
use Time::HiRes qw(sleep time);

use constant CLIENTS => 6;

my @nodes = start_cluster(3, shared_preload_libraries => 'people_os_spine,pg_cron', 'cron.database_name' => 'payroll', 'cron.use_background_workers' => 'on', max_worker_processes => 16, max_connections => 50, shared_buffers => '32MB', max_wal_size => '256MB',
	wal_keep_size => '1GB');    # pg_rewind reads back to where the fork begins
my $primary = leader_of();
is($primary->name, $nodes[0]->name, 'a primary');
$primary->safe_psql('postgres', 'CREATE DATABASE payroll');
spine_database($primary, 'payroll');
$primary->safe_psql('payroll', 'CREATE EXTENSION pg_cron');
my $share = $primary->config_data('--sharedir');
IPC::Run::run([ 'psql', '-XqAt', '-d', $primary->connstr('payroll'), '-v', 'database=payroll', '-f', "$share/extension/people_os_spine_schedule.sql" ], '>', \my $jobs, '2>', \my $warnings);
is(scalar(() = $jobs =~ /^spine payroll: /mg), 6, 'jobs are scheduled') or diag($warnings);
sub synchronous { return wait_until('a synchronous standby', 60, sub { (grep { $_->{role} eq 'Sync Standby' && $_->{state} =~ /running|streaming/ } members_of())[0] })->{name} }
note('synchronous is ' . synchronous());

my $notary = new_notary($primary, 'payroll', 'spine.example/patroni');
sub at { my ($node, $of) = @_; return { %{ $of // $notary }, database => $node->connstr('payroll') . ' user=notary' } }
emit_in($primary, 'payroll', 10, map { org($_) } 1 .. 3);
notary_is($notary, 'init', DONE, 'the first checkpoint');

# The clients.
my ($stop, $told, $failed) = ('', $primary->basedir . '/told', '');
my $clients = IPC::Run::start([ 'python3', 'test/operate/emit.py', 'payroll', CLIENTS, map { join ',', $_->{patroni_port}, $_->host, $_->port } @nodes ],
	'<', \$stop, '>', $told, '2>', \$failed);
sub acknowledged { return [ map { { at => (split)[1], id => (split)[4] } } slurp_file($told) =~ /^(acked .*)\n/mg ] }

# The longest time without an acknowledgement since then.
sub longest_gap
{
	my ($since) = @_;
	my @at = ($since, sort { $a <=> $b } grep { $_ >= $since } map { $_->{at} } @{ acknowledged() });
	return max(map { $at[$_] - $at[ $_ - 1 ] } 1 .. $#at);
}

# Each event of which a client was told is there.
sub nothing_lost
{
	my ($node, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @ids = map { $_->{id} } @{ acknowledged() };
	my $file = $node->basedir . '/acknowledged';
	put_file($file, join '', map { "$_\n" } @ids);
	my $missing = $node->safe_psql('payroll', "CREATE TEMP TABLE told (id uuid);\n\\copy told FROM '$file'\nSELECT count(*) FROM told WHERE id NOT IN (SELECT id FROM spine.events)");
	cmp_ok(scalar @ids, '>', 0, "$name: clients were told of events");
	is($missing, 0, "$name: of " . scalar(@ids) . ' acknowledged events none is lost');
	return;
}

sub all_intact
{
	my ($node, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is($node->safe_psql('payroll', 'SELECT count(*), bool_and(intact) FROM spine.verify_chain() WHERE organization_id::text ~ $$^0{8}-0000-4$$'), '3|t', "$name: chains are intact");
}

# The ends of the chains on a node. The table itself is read: the spine's functions would wait for standbys that are not there.
sub heads { my ($node) = @_; return $node->safe_psql('payroll', 'SELECT DISTINCT ON (organization_id) organization_id, sequence, encode(event_hash, $$hex$$) FROM spine.events ORDER BY 1, 2 DESC') }

# One test: a node follows another one, has all that it has, and its chains are intact.
sub follows
{
	my ($node, $of, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $name_of = $node->name;
	wait_until("$name_of streams", 120, sub { $of->safe_psql('postgres', "SELECT count(*) FROM pg_stat_replication WHERE application_name = '$name_of' AND state = 'streaming'") });
	my $target = $of->safe_psql('postgres', 'SELECT pg_current_wal_lsn()');
	wait_until("$name_of replays", 120, sub { $node->safe_psql('postgres', "SELECT pg_last_wal_replay_lsn() >= '$target'") eq 't' });
	return all_intact($node, $name);
}

sleep(5);
my $rate = @{ acknowledged() } / 5;
note(sprintf 'figure: %d clients, one synchronous standby of two: %.0f events a second', CLIENTS, $rate);
cmp_ok($rate, '>', 1, 'clients emit');
notary_is($notary, 'once', DONE, 'signed under load');

# Planned.
my $before = time;
my $was    = $primary;
my ($code, $out, $err) = patronictl('switchover', '--master', $primary->name, '--candidate', synchronous(), '--force');
is($code, 0, 'switchover') or diag("$out\n$err");
$primary = wait_until('another primary', 60, sub { my $l = leader_of(); $l && $l->name ne $was->name ? $l : undef });
sleep(8);
note(sprintf 'figure: switchover: %.1f s without an acknowledged event', longest_gap($before));
nothing_lost($primary, 'switchover');
my @messages = notary_is(at($primary), 'once', DONE, 'switchover: the notary signs');
is_deeply([ @{ message_of('promoted', @messages) }{qw(timeline signed_timeline)} ], [ 2, 1 ], 'switchover: and tells of the promotion');
follows($was, $primary, 'switchover: the former primary follows');

# The primary's machine goes.
synchronous();
sleep(3);
$before = time;
$was    = $primary;
kill_machine($was);
$primary = wait_until('another primary', 120, sub { my $l = leader_of(); $l && $l->name ne $was->name ? $l : undef });
sleep(8);
note(sprintf 'figure: the primary\'s machine goes, ttl %d s: %.1f s without an acknowledged event', TTL, longest_gap($before));
nothing_lost($primary, 'failover');
all_intact($primary, 'failover');
@messages = notary_is(at($primary), 'once', DONE, 'failover: the notary signs');
is_deeply([ @{ message_of('promoted', @messages) }{qw(timeline signed_timeline)} ], [ 3, 2 ], 'failover: and tells of the promotion');
start_patroni($was);
follows($was, $primary, 'failover: the machine comes back, and follows');

# Patroni dies on the primary, and its server goes on, with clients that do not ask which is the primary.
synchronous();
sleep(3);
$before = time;
$was    = $primary;
kill_patroni($was);
$primary = wait_until('another primary', 120, sub { my $l = leader_of(); $l && $l->name ne $was->name ? $l : undef });
sleep(8);
note(sprintf 'figure: Patroni alone dies on the primary, ttl %d s: %.1f s without an acknowledged event', TTL, longest_gap($before));
my $promoted = $primary->safe_psql('payroll', 'SELECT clock_timestamp()');
nothing_lost($primary, 'two primaries');
is($was->safe_psql('payroll', 'SELECT pg_is_in_recovery()'), 'f', 'two primaries: the former one goes on');
my $heads = heads($was);
my $emit  = sub { my ($o) = @_; "SELECT spine.emit_event('hcm.employee.fired', entity_id => '$o', actor_id => '$o', organization_id => '$o')" };
# Its standbys follow another one, so it acknowledges nothing: this client gives up without an answer.
my ($answer, $timed_out) = ('');
$was->psql('payroll', $emit->(org(1)), stdout => \$answer, timeout => 5, timed_out => \$timed_out);
ok($timed_out && $answer eq '', 'two primaries: in synchronous mode it acknowledges no event');
is(heads($was), $heads, 'two primaries: and shows none');
# Until somebody has it go on alone.
$was->safe_psql('postgres', q(ALTER SYSTEM SET synchronous_standby_names = ''));
$was->reload;
$was->poll_query_until('postgres', q(SELECT current_setting('synchronous_standby_names') = ''));
$was->safe_psql('payroll', $emit->(org($_))) foreach 1, 1, 2;
notary_is(at($primary), 'once', DONE, 'two primaries: the notary signs the one that Patroni keeps');
foreach my $how ('less', 'more')
{
	# More WAL than the other one has, too.
	$was->safe_psql('payroll', 'CREATE TABLE ballast AS SELECT repeat(md5(i::text), 30) FROM generate_series(1, 300000) i') if $how eq 'more';
	@messages = notary_is(at($was, copy_state($notary)), 'once', CLONED, "two primaries: the other one is refused, where it wrote $how");
	my $refused = message_of('refused', @messages);
	like($refused->{looks_like}, qr/^a former primary/, 'two primaries: and told to be a former primary') or diag(join "\n", map { "$_->{message}: $_->{text}" } @messages);
	is_deeply([ @$refused{qw(timeline signed_timeline)} ], [ 3, 4 ], 'two primaries: by its timeline');
	my @chains = map { $_->{organization_id} } grep { $_->{message} =~ /^chain_/ } @messages;
	is_deeply([ sort @chains ], [ map { org($_) } 1 .. 3 ], 'two primaries: with the chains that are others there');
	is(scalar(grep { $_->{message} =~ /^chain_/ && $_->{agreed_at} && $_->{agreed_size} } @messages), 3, 'two primaries: and since when');
	is($refused->{exit_code}, CLONED, 'two primaries: as a clone');
}
my $forked = $was->safe_psql('payroll', q(SELECT count(*) FROM spine.events WHERE event_type = 'hcm.employee.fired'));
cmp_ok($forked, '>=', 3, 'two primaries: the fork has events of its own');
all_intact($was, 'two primaries: the fork, by itself');

# It comes back: pg_rewind undoes the fork.
$was->safe_psql('postgres', 'ALTER SYSTEM RESET synchronous_standby_names');
start_patroni($was);
follows($was, $primary, 'rejoined: the former primary follows');
like(slurp_file(patroni_log($was)), qr/running pg_rewind/, 'rejoined: by pg_rewind');
is($was->safe_psql('payroll', q(SELECT count(*) FROM spine.events WHERE event_type = 'hcm.employee.fired')), 0, 'rejoined: the fork is gone');
ok($primary->poll_query_until('payroll', q(SELECT count(*) > 0 FROM cron.job_run_details JOIN cron.job USING (jobid)
	WHERE jobname = 'spine payroll: counts' AND status = 'succeeded' AND start_time > ') . "$promoted'"),
	'the jobs go on where the primary is now');
$stop = "\n";
$clients->finish;
is($failed, '', 'the clients ended well');
nothing_lost($primary, 'at the end');
note('figure: ' . ($primary->safe_psql('payroll', q(SELECT count(*) FROM spine.events WHERE event_type = 'hcm.employee.updated')) - @{ acknowledged() })
	. ' events are there of which no client was told, of ' . @{ acknowledged() });
follows($_, $primary, 'at the end: ' . $_->name) foreach grep { $_->name ne $primary->name } @nodes;
is(heads($_), heads($primary), 'at the end: ' . $_->name . ' has the same heads') foreach grep { $_->name ne $primary->name } @nodes;
notary_is(at($primary), 'once', DONE, 'at the end: the notary signs');
done_testing;
