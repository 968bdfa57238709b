# Subscriptions come through what befalls a server and its clients: a consumer that is killed, a crash between taking and
# acknowledging, and a dump that is restored into a younger cluster, whose transactions have smaller numbers.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Test::More;

my $node = spine_node('subscriptions', conf => "max_prepared_transactions = 4\n");
my ($one, $two, $three) = map { org($_) } 1 .. 3;
my $connect = $node->connstr('postgres');

# The numbers of the events that a call gives, by organization, and which delivery it is.
sub take
{
	my ($there, $name, $most) = @_;
	$most //= 1000;
	return $there->safe_psql('postgres', "SELECT max(delivery), string_agg(right((event).organization_id::text, 1) || ':' || (event).sequence, ' '
		ORDER BY (event).organization_id, (event).sequence) FROM spine.next_batch('$name', $most) HAVING count(*) > 0");
}
sub newest { return $_[0]->safe_psql('postgres', "SELECT max(batch) FROM spine.subscription_batches WHERE subscription = '$_[1]'") }
sub expire { $_[0]->safe_psql('postgres', "UPDATE spine.subscription_batches SET taken_at = taken_at - interval '1 hour'"); return }

# A younger cluster's transactions begin below these.
$node->safe_psql('postgres', 'CREATE PROCEDURE burn() LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1 .. 5000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$; CALL burn()');
emit_chain($node, 4, $one, $two);
$node->safe_psql('postgres', "CREATE ROLE keeper LOGIN; SELECT spine.grant_auditor('keeper')");
$node->safe_psql('postgres', "SELECT spine.create_subscription('s', domains => '{hcm}'), spine.create_subscription('short', ARRAY['$one']::uuid[], minimum_severity => 'low', redeliver_after => '100 milliseconds')",
	connstr => "$connect user=keeper");

# A consumer is killed, with a transaction open and without.
my $session = $node->background_psql('postgres');
my $client = 'SELECT count(*) FROM spine.next_batch(\'short\', 3)';
$session->query_until(qr/3/, "BEGIN; $client;\n");
is(take($node, 'short'), '', 'what an open transaction took is nobody else\'s');
my $backend = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE query LIKE '%next_batch%' AND pid <> pg_backend_pid() AND state = 'idle in transaction'");
my ($psql) = $session->{run}{KIDS}[0]{PID};
kill 'KILL', $psql;
eval { $session->{run}->finish };
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $backend");
is(take($node, 'short', 3), '1|1:1 1:2 1:3', 'a consumer killed in its transaction leaves everything as it was');
$node->poll_query_until('postgres', "SELECT now() - taken_at > '100 milliseconds' FROM spine.subscription_batches");
is(take($node, 'short', 1), '2|1:1 1:2 1:3', 'what one took that is gone comes again, after its time');
$node->safe_psql('postgres', "SELECT spine.acknowledge('short', @{[ newest($node, 'short') ]})");
is(take($node, 'short'), '1|1:4', 'and then what follows');
$node->safe_psql('postgres', "SELECT spine.acknowledge('short', @{[ newest($node, 'short') ]})");

# A crash: what was taken is outstanding, what was being taken is not, and what was prepared is as it was.
is(take($node, 's', 3) =~ s/\d:/o:/gr, '1|o:1 o:2 o:3', 'taken');
$session = $node->background_psql('postgres');
$session->query_until(qr/5/, "BEGIN; SELECT count(*) FROM spine.next_batch('s');\n");
emit_chain($node, 1, $three);
$node->safe_psql('postgres', "BEGIN; SELECT count(*) FROM spine.next_batch('s'); PREPARE TRANSACTION 'consumer'");
kill_server($node);
eval { $session->{run}->finish };
$node->start;
is($node->safe_psql('postgres', 'SELECT subscription, events FROM spine.subscription_batches'), 's|3', 'after a crash: one batch is outstanding');
like(take($node, 's'), qr/^1\|(1:4 2:1 2:2 2:3 2:4|1:1 1:2 1:3 1:4 2:4)$/, 'after a crash: what was being taken comes, without what the prepared transaction has');
$node->safe_psql('postgres', "COMMIT PREPARED 'consumer'");
is($node->safe_psql('postgres', 'SELECT events FROM spine.subscription_batches ORDER BY batch'), "3\n1\n5", 'which is outstanding once that is committed');
$node->safe_psql('postgres', "SELECT spine.acknowledge('s', max(batch)) FROM spine.subscription_batches");
is(take($node, 's'), '', 'nothing is left');

# One that may not consume it keeps nobody waiting who may.
$node->safe_psql('postgres', "CREATE ROLE stranger LOGIN; SELECT spine.grant_reader('stranger')");
$session = $node->background_psql('postgres');
$session->query_until(qr/done/, "BEGIN; SELECT count(*) FROM spine.next_batch('short'); SELECT 'done';\n");
is_refused($node, 'postgres', "SET lock_timeout = '2s'; SELECT spine.drop_subscription('short')", '42501', 'no wait for a stranger who would drop it', role => 'stranger');
is_refused($node, 'postgres', "SET lock_timeout = '2s'; SELECT spine.create_subscription('short')", 'SP031', 'nor for one who would make it', role => 'stranger');
$session->query_safe('ROLLBACK');
$session->quit;

# A consumer that commits with its work, and whose work on a late batch fails each time, gets on with the others.
$node->safe_psql('postgres', "SELECT spine.create_subscription('stuck', ARRAY['$one', '$two']::uuid[])");
is(take($node, 'stuck', 2) =~ s/\d:/o:/gr, '1|o:1 o:2', 'a batch that will be late');
$node->safe_psql('postgres', "UPDATE spine.subscription_batches SET taken_at = taken_at - interval '1 hour' WHERE subscription = 'stuck'");
my $failing = "BEGIN; SELECT max(delivery), count(*) FROM spine.next_batch('stuck'); ROLLBACK;";
is($node->safe_psql('postgres', "$failing $failing $failing"), "2|2\n1|6\n2|2", 'comes again, then what follows it, then it again');

# Who may not read all of a batch does not acknowledge it, and does not see that it is there.
$node->safe_psql('postgres', "CREATE ROLE partial LOGIN; SELECT spine.grant_reader('partial', ARRAY['$three']::uuid[]); UPDATE spine.subscriptions SET owner = 'partial' WHERE name = 'stuck'");
is_refused($node, 'postgres', "SELECT spine.acknowledge('stuck', @{[ newest($node, 'stuck') ]})", 'SP030', 'others\' batch is as if it were not there', role => 'partial');
is($node->safe_psql('postgres', "SELECT batches_outstanding FROM spine.subscription_lag WHERE name = 'stuck'", connstr => "$connect user=partial"), 0, 'in what is told of it too');
is($node->safe_psql('postgres', "SELECT batches_outstanding FROM spine.subscription_lag WHERE name = 'stuck'"), 1, 'and is there');
$node->safe_psql('postgres', "SELECT spine.acknowledge('stuck', @{[ newest($node, 'stuck') ]})");

# A dropped role's are not dumped: its number may be another's there.
$node->safe_psql('postgres', "SELECT spine.drop_subscription('stuck'); CREATE ROLE gone; SELECT spine.grant_reader('gone'); SET ROLE gone; SELECT spine.create_subscription('orphan', ARRAY['$one', '$two', '$three']::uuid[]); RESET ROLE;
	REVOKE ALL ON ALL TABLES IN SCHEMA spine FROM gone; REVOKE ALL ON ALL FUNCTIONS IN SCHEMA spine FROM gone; REVOKE ALL ON SCHEMA spine FROM gone; REVOKE ALL ON TYPE spine.actor_type, spine.environment, spine.severity FROM gone;
	DROP ROLE gone; SELECT spine.revoke_all('stranger'), spine.revoke_all('partial'); DROP ROLE stranger, partial");
is($node->safe_psql('postgres', "SELECT count(*) FROM spine.subscription_positions WHERE subscription = 'orphan'"), 3, 'a subscription whose owner is gone');

# A dump, into a cluster whose transactions have smaller numbers.
emit_chain($node, 1, $one);
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok([ 'pg_dump', '-h', $node->host, '-p', $node->port, '-f', $dump, 'postgres' ], 'pg_dump');
my $younger = PostgreSQL::Test::Cluster->new('younger');
$younger->init(extra => [ '-E', 'UTF8', '--locale=C.UTF-8' ]);
$younger->start;
$younger->safe_psql('postgres', 'CREATE ROLE keeper LOGIN');
$younger->command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $younger->connstr('postgres'), '-f', $dump ], 'restored');
is($node->safe_psql('postgres', 'SELECT count(*) FROM spine.subscriptions s FULL JOIN spine.role_bindings b ON false WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid IN (s.owner, b.role))'), 2, 'there are a subscription and a binding of nobody');
is($younger->safe_psql('postgres', "SELECT (SELECT count(*) FROM spine.subscriptions WHERE name = 'orphan'), (SELECT count(*) FROM spine.subscription_positions WHERE subscription = 'orphan'), (SELECT count(*) FROM spine.role_bindings)"), '0|0|1', 'which are not restored');
$node->safe_psql('postgres', "SELECT spine.drop_subscription('orphan'); DELETE FROM spine.role_bindings b WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = b.role)");
foreach my $table ('spine.subscriptions', 'spine.subscription_positions', 'spine.subscription_batches', 'spine.subscription_batch')
{
	my $rows = "SELECT t FROM $table t ORDER BY t::text COLLATE \"C\"";
	$rows = "SELECT last_value, is_called FROM $table" if $table =~ /batch$/;
	is($younger->safe_psql('postgres', $rows), $node->safe_psql('postgres', $rows), "$table is the same");
}
$younger->safe_psql('postgres', "ALTER DATABASE postgres SET people_os_spine.environment = 'test'");
emit_chain($younger, 1, $two);
is($younger->safe_psql('postgres', "SELECT count(DISTINCT transaction_id > '5000'::xid8) FROM spine.events"), 2, 'transactions have smaller numbers there');
is(take($younger, 's'), '1|1:5 2:5', 'the events that were not taken come, and new ones');
is(take($younger, 'short'), '1|1:5', 'and to the other subscription');
is(take($younger, 's'), '', 'what is outstanding does not come yet');
$node->stop;
expire($younger);
my @again = map { take($younger, 's') } 1 .. 4;
is(join("\n", map { (split /\|/)[0] } grep { $_ ne '' } @again), "2\n2\n2", 'after its time it does: three batches');
is($younger->safe_psql('postgres', q(SELECT count(*) FROM spine.subscription_batches WHERE subscription = 's' AND delivery = 2 AND batch > previous_batch)), 3, 'under numbers that follow those before');
is_refused($younger, 'postgres', "SELECT spine.acknowledge('s', 1)", 'SP030', 'a number from before', hint => 'acknowledged already');
is_refused($younger, 'postgres', 'SELECT * FROM spine.next_batch($$S$$)', 'SP029', 'a name that is none', hint => 'subscription_lag', role => 'keeper');
is($younger->safe_psql('postgres', 'SELECT name, events_behind, batches_outstanding FROM spine.subscription_lag', connstr => $younger->connstr('postgres') . ' user=keeper'),
	"s|0|3\nshort|0|1", 'the owner has them still');
$younger->stop;
done_testing();
