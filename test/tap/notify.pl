# people_os_spine.notify where the server preloads the library: a process of the database wakes the listeners after each commit with
# events, and what befalls that process loses nothing: it is terminated, killed, leaves because it has nothing to do, or cannot be had.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Test::More;

my $node = spine_node('notify', conf => "shared_preload_libraries = people_os_spine\nmax_connections = 40\nmax_prepared_transactions = 2\nrestart_after_crash = on\n");
$node->safe_psql('postgres', 'ALTER DATABASE postgres SET people_os_spine.notify = on');
my $workers = q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'people_os_spine notifier');
my $next = 0;
sub emit { emit_chain($node, 1, org(++$next)); return }

# The process that notified: waits until a listener is woken; '' after a minute without.
sub woken
{
	my ($listener) = @_;
	foreach (1 .. 600)
	{
		my $said = $listener->query('SELECT pg_sleep(0.1)');
		return $1 if $said =~ /Asynchronous notification "people_os_spine" received from server process with PID (\d+)/;
	}
	return '';
}
# Until nothing comes any more.
sub settle { my ($listener) = @_; $node->poll_query_until('postgres', $workers, '0') or die; $listener->query('SELECT 1') foreach 1 .. 2; return }
sub listener { my $session = $node->background_psql('postgres'); $session->query('LISTEN people_os_spine'); return $session }

my $listener = listener();
emit();
my $pid = woken($listener);
ok($pid, 'a listener is woken');
my ($own) = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'people_os_spine notifier'") || '';
is($pid, $own, 'by the process of the database') if $own;
my @missed = grep { emit(); !woken($listener) } 1 .. 20;
is("@missed", '', 'after each commit, whenever the next comes');

# Every event is read, by a listener that looks only when it is woken.
settle($listener);
$node->safe_psql('postgres', 'CREATE FUNCTION read_all() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM spine.events $$');
my $dir = PostgreSQL::Test::Utils::tempdir();
put_file("$dir/emit.sql", "\\set o random(1, 1000)\nSELECT spine.emit_event('hcm.employee.created', entity_id => gen_random_uuid(), actor_id => gen_random_uuid(), organization_id => spine.entity_uuid('a', 'b', :o::text));\n");
my $seen = 0;
my $run = IPC::Run::start([ 'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-c', '8', '-j', '1', '-t', '200', '-f', "$dir/emit.sql", 'postgres' ], '>', \my $out, '2>', \my $err);
while (woken($listener))
{
	$seen = $listener->query_safe('SELECT read_all()');
	last if $seen >= 1600 + $next;
}
$run->finish;
like($out, qr/number of transactions actually processed: 1600\/1600/, 'eight emit') or diag($err);
is($seen, 1600 + $next, 'and whoever looks only when it is woken has seen all');

# Nothing wakes for what did not happen.
settle($listener);
$node->safe_psql('postgres', "BEGIN; SELECT spine.emit_event('a.b.c', entity_id => '@{[ org(1) ]}', actor_id => '@{[ org(1) ]}', organization_id => '@{[ org(1) ]}'); ROLLBACK");
$node->safe_psql('postgres', "BEGIN; SAVEPOINT s; SELECT spine.emit_event('a.b.c', entity_id => '@{[ org(1) ]}', actor_id => '@{[ org(1) ]}', organization_id => '@{[ org(1) ]}'); ROLLBACK TO s; COMMIT");
is($node->safe_psql('postgres', $workers), 0, 'what was rolled back needs no process');

# It is terminated, again and again, while events are emitted; and killed, which takes the server's other processes with it.
foreach my $n (1 .. 3)
{
	emit();
	$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'people_os_spine notifier'");
	emit();
	ok(woken($listener), "terminated: a listener is woken all the same ($n)");
	settle($listener);
}
emit();
$node->poll_query_until('postgres', $workers, '1') or die;
kill 'KILL', $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'people_os_spine notifier'");
eval { $listener->{run}->finish };
$node->poll_query_until('postgres', 'SELECT true') or die;
$listener = listener();
emit();
ok(woken($listener), 'killed: who listens anew is woken');

# A database that has one can be dropped and made again.
$node->safe_psql('postgres', 'CREATE DATABASE other');
spine_database($node, 'other');
$node->safe_psql('other', "ALTER DATABASE other SET people_os_spine.notify = on");
$node->safe_psql('other', "SELECT spine.emit_event('a.b.c', entity_id => '@{[ org(1) ]}', actor_id => '@{[ org(1) ]}', organization_id => '@{[ org(1) ]}')");
$node->safe_psql('postgres', 'DROP DATABASE other');
pass('a database is dropped');
$node->safe_psql('postgres', 'CREATE DATABASE other');
spine_database($node, 'other');
$node->safe_psql('other', "ALTER DATABASE other SET people_os_spine.notify = on");
$node->safe_psql('other', "SELECT spine.emit_event('a.b.c', entity_id => '@{[ org(1) ]}', actor_id => '@{[ org(1) ]}', organization_id => '@{[ org(1) ]}')");
$node->safe_psql('postgres', 'DROP DATABASE other WITH (FORCE)');
emit();
ok(woken($listener), 'one that is dropped by force does not stop the others');
$listener->quit;

# No process is to be had: each transaction notifies itself.
$node->append_conf('postgresql.conf', "max_worker_processes = 0\n");
$node->restart;
$listener = listener();
emit();
ok(woken($listener), 'without a process to be had, a listener is woken too');
is($node->safe_psql('postgres', $workers), 0, 'there was none');
$listener->quit;
is($node->safe_psql('postgres', 'SELECT bool_and(intact) FROM spine.verify_chain()'), 't', 'the chains are intact');
$node->stop;
done_testing();
