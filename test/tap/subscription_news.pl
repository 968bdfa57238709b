# A subscription to all organizations finds what is new by the transactions that stored it: each event comes once, however long its
# transaction takes, whatever the clock says, and also where rows are restored, whose transactions are others' or long past.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Test::More;

my $folder = PostgreSQL::Test::Utils::tempdir();
my $node = clock_node('subscription_news', 0, conf => "max_prepared_transactions = 8\n");
my $sql = sub { return $node->safe_psql('postgres', $_[0]) };
$sql->("ALTER DATABASE postgres SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1'");
sub emits { my ($n, $count) = @_; return "SELECT count(spine.emit_event('a.b.c', entity_id => gen_random_uuid(), organization_id => '@{[ org($n) ]}')) FROM generate_series(1, @{[ $count // 1 ]})" }

# What a call gives: "organization:sequence …".
sub take
{
	my ($name, $most, $there) = @_;
	return ($there // $node)->safe_psql('postgres', "SELECT coalesce(string_agg(ltrim(right((event).organization_id::text, 12), '0') || ':' || (event).sequence, ' '
		ORDER BY (event).organization_id, (event).sequence), '') FROM spine.next_batch('$name', @{[ $most // 1000 ]})");
}
# Everything that there is to take, in portions.
sub take_all
{
	my ($name, $most, $there) = @_;
	my @all;
	while ((my $some = take($name, $most, $there)) ne '') { push @all, split / /, $some }
	return join ' ', sort { my ($o, $s) = split /:/, $a; my ($p, $t) = split /:/, $b; $o <=> $p || $s <=> $t } @all;
}
sub gives { my ($wanted, $name, $most) = @_; local $Test::Builder::Level = $Test::Builder::Level + 1; is(take_all('s', $most), $wanted, $name); return }
# Time goes by: transactions that have nothing to do with it, and polls.
sub go_by { $sql->('SELECT pg_current_xact_id()') foreach 1 .. 3; is(take('s'), '', 'nothing yet'); return }

# From the beginning: each organization is looked at once.
$sql->(emits($_, 2)) foreach 1 .. 5;
$sql->("SELECT spine.create_subscription('s')");
is($sql->("SELECT counts_all, organizations_behind >= 5, events_behind >= 10 FROM spine.subscription_lag"), 't|t|t', 'all are behind');
my $first = take_all('s', 3);
like($first, qr/^(0:\d+ )*1:1 1:2 2:1 2:2 3:1 3:2 4:1 4:2 5:1 5:2$/, 'all from the beginning, in portions');
$sql->(emits(3) . '; ' . emits(6));
gives('3:3 6:1', 'what is new, of one that it knows and one that it does not');
is($sql->("BEGIN; SELECT count(*) FROM spine.next_batch('s'); SELECT pg_current_xact_id_if_assigned() IS NULL; COMMIT"), "0\nt", 'with nothing to do it writes nothing');

# Transactions that take long, of every kind.
my @long = map { $node->background_psql('postgres') } 1 .. 3;
$long[0]->query_safe('BEGIN; ' . emits(1));
$long[1]->query_safe("BEGIN; SET LOCAL people_os_spine.chain_at = commit; " . emits(2));
$long[2]->query_safe('BEGIN; SELECT pg_current_xact_id()');
go_by();
$sql->('BEGIN; ' . emits(4) . "; PREPARE TRANSACTION 'late'");
$sql->(emits(5));
gives('5:3', 'what others store meanwhile');
go_by();
$long[0]->query_safe('COMMIT');
gives('1:3', 'one that was open, with its event in the table');
$long[1]->query_safe('COMMIT');
gives('2:3', 'one whose event was made long before it was chained');
$long[2]->query_safe(emits(3));
go_by();
$long[2]->query_safe('COMMIT');
gives('3:4', 'one that was there long before it emitted');
$node->restart;
go_by();
$sql->("COMMIT PREPARED 'late'");
gives('4:3', 'one that was prepared, and a restart');
$sql->('BEGIN; SAVEPOINT a; ' . emits(1) . '; ROLLBACK TO a; ' . emits(1) . '; SAVEPOINT b; ' . emits(2) . '; RELEASE b; COMMIT');
gives('1:4 2:4', 'savepoints');

# A consumer's own transaction.
is($sql->('BEGIN; ' . emits(1) . "; SELECT count(*) FROM spine.next_batch('s'); " . emits(1) . '; ' . emits(7) . "; SELECT count(*) FROM spine.next_batch('s'); " . emits(2) . '; COMMIT'),
	"1\n1\n1\n1\n2\n1", 'of its own transaction it gets what is there');
gives('2:5', 'and later what came later');
$sql->("BEGIN; SELECT count(*) FROM spine.next_batch('s'); " . emits(1) . "; SAVEPOINT a; SELECT count(*) FROM spine.next_batch('s'); ROLLBACK TO a; COMMIT");
gives('1:7', 'what a savepoint took that was rolled back');

# The clock.
foreach my $offset (-3600, -1, 10 * 365 * 86400, 0)
{
	set_clock($offset);
	$sql->(emits(8));
	my ($last) = $sql->("SELECT max(sequence) FROM spine.events WHERE organization_id = '@{[ org(8) ]}'");
	gives("8:$last", "the clock is off by $offset seconds");
}

# One transaction of many organizations, in portions smaller than it; and many transactions of one.
$sql->("SELECT count(spine.emit_event('a.b.c', entity_id => gen_random_uuid(), organization_id => ('00000000-0000-4000-8000-' || lpad((1000 + n % 500)::text, 12, '0'))::uuid)) FROM generate_series(0, 1499) n");
gives(join(' ', map { my $o = $_; map { "$o:$_" } 1 .. 3 } 1000 .. 1499), 'one transaction of 500 organizations, in portions of 7', 7);
$sql->(emits(9)) foreach 1 .. 40;
$sql->(emits(9, 100));
gives(join(' ', map { "9:$_" } 1 .. 140), 'many transactions of one organization', 7);
is($sql->('SELECT count(*) FROM spine.subscription_news'), 0, 'nothing is queued in the end');

# From now on.
my $waiting = $node->background_psql('postgres');
$waiting->query_safe('BEGIN; ' . emits(1));
$sql->('BEGIN; ' . emits(11) . "; SELECT spine.create_subscription('now', from_now => true); " . emits(2) . '; ' . emits(12) . '; COMMIT');
is(take_all('now'), '2:6 12:1', 'from now: what the transaction that made it emitted after that');
$waiting->query_safe('COMMIT');
is(take_all('now'), '1:8', 'and what was under way');
$sql->("SELECT spine.create_subscription('later', from_now => true)");
is($sql->("SELECT count(*) FROM spine.subscription_positions WHERE subscription = 'later'"), 0, 'no organization was looked at for that');
$sql->(emits(3, 3) . '; ' . emits(13, 2));
is($sql->("SELECT events_behind, organizations_behind, counts_all FROM spine.subscription_lag WHERE name = 'later'"), '5|2|t', 'behind by what came since');
my $three = $sql->("SELECT max(sequence) FROM spine.events WHERE organization_id = '@{[ org(3) ]}'");
is(take_all('later', 2), join(' ', (map { "3:$_" } $three - 2 .. $three), '13:1', '13:2'), 'which comes');
take_all('s');
take_all('now');

# Restored rows: of transactions long past here, of a number that is to come, and of some that were looked at.
$sql->('CREATE DATABASE elsewhere');
spine_database($node, 'elsewhere');
$node->safe_psql('elsewhere', "ALTER DATABASE elsewhere SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1'");
$node->safe_psql('elsewhere', emits($_, 3)) foreach 20, 21, 22;
sub bring
{
	my ($rows, $change) = @_;
	my $file = "$folder/rows";
	$node->safe_psql('elsewhere', "COPY (SELECT * FROM spine.events WHERE $rows) TO '$file'");
	put_file($file, join '', map { $change ? $change->($_) : $_ } split /^/, slurp_file($file));
	$sql->("SET client_min_messages = error; COPY spine.events FROM '$file'");
	return;
}
go_by();
bring("organization_id = '@{[ org(20) ]}' AND sequence < 3");
gives('20:1 20:2', 'restored rows, of transactions of the past');
bring("organization_id = '@{[ org(20) ]}' AND sequence = 3");
gives('20:3', 'and more of them');
my ($number) = split /\|/, $node->safe_psql('elsewhere', "SELECT transaction_id FROM spine.events WHERE organization_id = '@{[ org(21) ]}' LIMIT 1");
bring("organization_id = '@{[ org(21) ]}'", sub { $_[0] =~ s/\t$number\t/\t99999999\t/r });
gives('21:1 21:2 21:3', 'of a transaction that is to come');
is(take_all('later'), '20:1 20:2 20:3 21:1 21:2 21:3', 'also to one from now on');
my $busy = $node->background_psql('postgres');
$busy->query_safe("BEGIN; SELECT count(*) FROM spine.next_batch('s')");
$busy->query_safe(emits(1) . "; SELECT count(*) FROM spine.next_batch('s')");
bring("organization_id = '@{[ org(22) ]}'");
gives('22:1 22:2 22:3', 'while another consumer is at work');
$busy->query_safe('COMMIT');
take_all('s');
is($sql->('SELECT count(*) FROM spine.subscription_news WHERE subscription = \'s\''), 0, 'nothing is queued in the end') or diag($sql->('TABLE spine.subscription_news'));
$sql->("SELECT spine.create_subscription('whole', from_now => true)");
is($sql->("SELECT count(*) > 500 FROM spine.subscription_positions WHERE subscription = 'whole'"), 't', 'where rows name transactions to come, each organization is looked at');
is(take_all('whole'), '', 'and from now on is from now on');
$sql->(emits(21));
is(take_all('whole'), '21:4', 'there too');
gives('21:4', 'and for the others');

# Another cluster, whose transactions have smaller numbers.
$sql->("SELECT spine.create_subscription('moved', from_now => true); SELECT spine.drop_subscription(name) FROM spine.subscriptions WHERE name NOT IN ('s', 'moved')");
$sql->("SELECT spine.create_subscription('unmet'); UPDATE spine.subscriptions u SET from_snapshot = m.from_snapshot, from_system = m.from_system, created_at = m.created_at
	FROM spine.subscriptions m WHERE u.name = 'unmet' AND m.name = 'moved'; INSERT INTO spine.subscription_positions VALUES ('unmet', '@{[ org(21) ]}', 4)");
$sql->(emits(2) . '; ' . emits(30));
my $two = $sql->("SELECT max(sequence) FROM spine.events WHERE organization_id = '@{[ org(2) ]}'");
$sql->("SET client_min_messages = error; ALTER DATABASE postgres RESET people_os_spine.environment");
my $dump = "$folder/dump.sql";
$node->command_ok([ 'pg_dump', '-h', $node->host, '-p', $node->port, '-f', $dump, 'postgres' ], 'pg_dump');
my $younger = PostgreSQL::Test::Cluster->new('younger_news');
$younger->init(extra => [ '-E', 'UTF8', '--locale=C.UTF-8' ]);
$younger->start;
$younger->command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $younger->connstr('postgres'), '-f', $dump ], 'restored');
$younger->safe_psql('postgres', "ALTER DATABASE postgres SET people_os_spine.environment = 'test'; ALTER DATABASE postgres SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1'");
$younger->safe_psql('postgres', emits(3) . '; ' . emits(31));
$three = $younger->safe_psql('postgres', "SELECT max(sequence) FROM spine.events WHERE organization_id = '@{[ org(3) ]}'");
is(take_all($_, 3, $younger), "2:$two 3:$three 30:1 31:1", "restored elsewhere, what was left of $_ comes, and what is new") foreach 's', 'moved', 'unmet';
$younger->safe_psql('postgres', emits(2) . '; ' . emits(32));
is(take_all($_, 3, $younger), "2:@{[ $two + 1 ]} 32:1", "and for $_ what is newer") foreach 's', 'moved', 'unmet';
$younger->stop;

# Set aside: what was given so often and is not acknowledged.
$sql->("ALTER DATABASE postgres SET people_os_spine.environment = 'test'");
$sql->("SELECT spine.create_subscription('poison', ARRAY['@{[ org(40) ]}']::uuid[], redeliver_after => '1 microsecond', max_deliveries => 2); " . emits(40, 3));
is(take('poison', 2), '40:1 40:2', 'a batch');
is(take('poison'), '40:1 40:2', 'is given a second time');
my ($state, $out, $err) = run_sql($node, 'postgres', "SELECT (event).sequence FROM spine.next_batch('poison')");
is("$state $out", ' 3', 'then it is set aside, and what follows comes');
my ($batch, $rest) = split /\|/, $sql->('SELECT batch, subscription, events, deliveries, organizations, first_sequences, last_sequences FROM spine.set_aside_batches'), 2;
is($rest, "poison|2|2|{@{[ org(40) ]}}|{1}|{2}", 'where everybody sees it');
is($sql->("SELECT batches_set_aside, batches_outstanding FROM spine.subscription_lag WHERE name = 'poison'"), '1|1', 'it is not outstanding');
is($sql->("SELECT spine.acknowledge('poison', max(batch)) FROM spine.subscription_batches WHERE set_aside_at IS NULL"), 1, 'the other is dealt with');
is(take('poison'), '', 'and does not come by itself');
is_refused($node, 'postgres', "SELECT spine.retry_batch('poison', @{[ $batch + 1 ]})", 'SP110', 'another is not', hint => 'set_aside_batches');
is_refused($node, 'postgres', "SELECT spine.retry_batch('poison', NULL)", 'SP110', 'nor is none');
is($sql->("SELECT spine.retry_batch('poison', $batch)"), 2, 'it is given back');
is($sql->('SELECT count(*) FROM spine.set_aside_batches'), 0, 'is not set aside any more');
is($sql->("SELECT max(delivery), count(*) FROM spine.next_batch('poison')"), '1|2', 'and comes as if for the first time');
is($sql->("SELECT max(delivery), count(*) FROM spine.next_batch('poison')"), '2|2', 'again twice');
is(take('poison'), '', 'then it is set aside');
is($sql->("SELECT spine.acknowledge('poison', batch) FROM spine.set_aside_batches"), 2, 'whoever dealt with it says so');
is($sql->('SELECT count(*) FROM spine.subscription_batches WHERE subscription = \'poison\''), 0, 'and it is gone');
$sql->("CREATE ROLE stranger LOGIN; SELECT spine.grant_reader('stranger'); SELECT spine.create_subscription('never', ARRAY['@{[ org(40) ]}']::uuid[], redeliver_after => '1 microsecond', max_deliveries => NULL)");
take('never') foreach 1 .. 20;
is($sql->("SELECT delivery, set_aside_at FROM spine.subscription_batches WHERE subscription = 'never'"), '20|', 'without a limit it comes for ever');
$sql->("UPDATE spine.subscription_batches SET set_aside_at = now()");
is_refused($node, 'postgres', "SELECT spine.retry_batch('never', 1)", '42501', 'a stranger gives none back', role => 'stranger');
is($node->safe_psql('postgres', 'SELECT count(*) FROM spine.set_aside_batches', connstr => $node->connstr('postgres') . ' user=stranger'), 0, 'and sees none');

is($sql->('SELECT count(*) FROM spine.verify_chain() WHERE NOT intact'), 1, 'the chains are intact, but for the one that was changed on its way');
$node->stop;
done_testing();
