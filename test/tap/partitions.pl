# Partitions are made by pg_cron, beside emitters under load and beside a reader who does not end.
use strict;
use warnings;

use Spine;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = spine_node('partitions', conf => "shared_preload_libraries = 'people_os_spine,pg_cron'\ncron.database_name = 'postgres'\n"
	  . "cron.use_background_workers = on\nmax_worker_processes = 20\n");
$node->safe_psql('postgres', 'CREATE EXTENSION pg_cron');

my $bounds = q{SELECT string_agg(c.relname || ' ' || pg_get_expr(c.relpartbound, c.oid), E'\n' ORDER BY c.relname)
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'spine.events'::regclass};
my $leaves = q{SELECT count(*) FROM pg_inherits WHERE inhparent = 'spine.events'::regclass};

# Each row lies in the partition that its timestamp says, and each chain is intact.
sub all_is_well
{
	my ($what) = @_;
	is($node->safe_psql('postgres', 'SELECT count(*) FROM spine.verify_chain() WHERE NOT intact'), '0', "$what: chains are intact");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM (SELECT DISTINCT organization_id, tableoid FROM spine.events) e
		FULL JOIN spine.chain_partitions p ON p.organization_id = e.organization_id
		  AND (e.tableoid = 'spine.events_default'::regclass) = (p.starts = 'infinity') WHERE e.tableoid IS NULL OR p.starts IS NULL}),
		'0', "$what: chain_partitions says where chains have events");
	return;
}

# pg_cron makes them, as the owner; nobody else has to do anything.
$node->safe_psql('postgres', q{SELECT cron.schedule('partitions', '* * * * *', $$SELECT spine.create_partitions('1 month', 2)$$)});
ok($node->poll_query_until('postgres', q{SELECT EXISTS (SELECT FROM cron.job_run_details WHERE status IN ('succeeded', 'failed'))}), 'pg_cron ran its job');
is($node->safe_psql('postgres', 'SELECT status FROM cron.job_run_details ORDER BY runid LIMIT 1'), 'succeeded', 'which succeeded')
  or diag($node->safe_psql('postgres', 'SELECT return_message FROM cron.job_run_details ORDER BY runid LIMIT 1'));
is($node->safe_psql('postgres', $leaves), '4', 'and made the running month and the two ahead');
$node->safe_psql('postgres', q{SELECT cron.unschedule('partitions')});
is($node->safe_psql('postgres', q{SELECT count(*), count(DISTINCT payload ->> 'partition') FROM spine.events WHERE event_type = 'platform.partition.created'}),
	'3|3', 'each is an event');
emit_chain($node, 5, org(1), org(2));
is($node->safe_psql('postgres', q{SELECT count(*) FROM ONLY spine.events_default}), '0', 'events lie in the partition of their month');
all_is_well('after pg_cron');

my $before = $node->safe_psql('postgres', $bounds);
$node->safe_psql('postgres', q{SELECT count(*) FROM spine.create_partitions('1 month', 2)});
is($node->safe_psql('postgres', $bounds), $before, 'what is there is left as it is');

# Under load: another database, so that all begin in the default partition.
$node->safe_psql('postgres', 'CREATE DATABASE load');
spine_database($node, 'load');
$node->safe_psql('load', "SELECT spine.emit_event('hcm.employee.created', entity_id => '@{[org(9)]}', actor_id => '@{[org(9)]}', organization_id => '@{[org(9)]}')");
my $script = $node->basedir . '/emit.sql';
append_to_file($script, q{\set o random(1, 40)
SELECT spine.emit_event('hcm.employee.created', entity_id => '00000000-0000-4000-8000-0000000000e1',
  actor_id => '00000000-0000-4000-8000-0000000000a1', organization_id => ('00000000-0000-4000-8000-' || lpad(:o::text, 12, '0'))::uuid);
});
my $log = $node->basedir . '/latency';
my ($out, $err) = ('', '');
my $bench = IPC::Run::start([ 'pgbench', '-n', '-c', '8', '-j', '2', '-T', '8', '-f', $script, '-l', "--log-prefix=$log", '-h', $node->host, '-p', $node->port, 'load' ],
	'>', \$out, '2>', \$err);
my $made = 0;
foreach my $ahead (1 .. 12)
{
	$made += $node->safe_psql('load', "SELECT count(*) FROM spine.create_partitions('1 hour', @{[ 2 * $ahead ]})");
}
cmp_ok($made, '>=', 24, 'partitions are made beside emitters; the running hour is left to the default one');
ok($bench->finish, 'no emitter failed') or diag($err);
unlike($err, qr/ERROR|aborted/, 'and none was told of an error');
my ($longest, $count) = (0, 0);
foreach my $file (glob "$log*")
{
	foreach my $line (split /\n/, slurp_file($file))
	{
		my $microseconds = (split / /, $line)[2];
		$count++;
		$longest = $microseconds if $microseconds > $longest;
	}
}
note("$count events were emitted, the longest took $longest microseconds");
cmp_ok($count, '>', 0, 'events were emitted meanwhile');
is($node->safe_psql('load', 'SELECT count(*) FROM spine.verify_chain() WHERE NOT intact'), '0', 'chains are intact');

# A reader who does not end is named, and nothing is left of what was tried.
my ($in, $read, $read_err) = ('', '', '');
my $psql = IPC::Run::start([ 'psql', '-XAtq', '-h', $node->host, '-p', $node->port, '-d', 'load' ], '<', \$in, '>', \$read, '2>', \$read_err);
$in = "SET application_name = 'a long report'; BEGIN; SELECT count(*) > 0 FROM spine.events; SELECT 'ready';\n";
$psql->pump until $read =~ /ready/;
my $there = $node->safe_psql('load', $leaves);
my ($status, $stdout, $stderr) = $node->psql('load', "\\set VERBOSITY verbose\nSELECT count(*) FROM spine.create_partitions('1 day', 5)");
like($stderr, qr/SP086: +table spine\.events_default is in use/, 'a reader who does not end is in the way');
like($stderr, qr/a long report/, 'and is named');
is($node->safe_psql('load', $leaves), $there, 'nothing is left of what was tried');
$in .= "COMMIT;\n\\q\n";
$psql->finish;
cmp_ok($node->safe_psql('load', "SELECT count(*) FROM spine.create_partitions('1 day', 5)"), '>', 0, 'once it has ended, they are made');

# Events of the past lie in the default partition; they move, beside emitters and readers.
$node->safe_psql('postgres', 'CREATE DATABASE past');
spine_database($node, 'past');
$node->safe_psql('past', "SELECT spine.emit_event('hcm.employee.created', entity_id => '@{[org(1)]}', actor_id => '@{[org(1)]}', organization_id => '@{[org(9)]}', payload => '{\"a\": 1}')");
# Restored rows, chained as they were then: of 20 organizations, in each of three months that have ended, and for half of them now.
$node->safe_psql('past', <<'SQL');
CREATE FUNCTION restore_chain(organization uuid, per_month integer, months integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  r spine.events;
BEGIN
  SELECT * INTO STRICT r FROM spine.events WHERE event_type = 'hcm.employee.created' ORDER BY timestamp LIMIT 1;
  r.organization_id := organization;
  r.sequence := 0;
  r.event_hash := decode(repeat('00', 32), 'hex');
  FOR m IN REVERSE months .. 1 LOOP
    FOR n IN 1 .. per_month LOOP
      r.id := gen_random_uuid();
      r.sequence := r.sequence + 1;
      r.timestamp := date_trunc('month', now(), 'UTC') - make_interval(months => m) + n * interval '1 minute';
      r.previous_hash := r.event_hash;
      r.event_hash := spine.event_digest(r);
      INSERT INTO spine.events SELECT r.*;
    END LOOP;
  END LOOP;
END $$;
SELECT restore_chain(('00000000-0000-4000-8000-' || lpad(o::text, 12, '0'))::uuid, 200, 3) FROM generate_series(101, 120) o;
SQL
my $content = q{SELECT count(*), md5(string_agg(e::text, '' ORDER BY organization_id, sequence)) FROM spine.events e WHERE organization_id >= '00000000-0000-4000-8000-000000000101'};
my $content_before = $node->safe_psql('past', $content);
like($content_before, qr/^12000\|/, 'events of the past are there');
my $past_script = $node->basedir . '/past.sql';
append_to_file($past_script, q{\set o random(101, 110)
SELECT spine.emit_event('hcm.employee.updated', entity_id => '00000000-0000-4000-8000-0000000000e1',
  actor_id => '00000000-0000-4000-8000-0000000000a1', organization_id => ('00000000-0000-4000-8000-' || lpad(:o::text, 12, '0'))::uuid);
});
my $count_script = $node->basedir . '/count.sql';
append_to_file($count_script, q{SELECT 1 / (count(*) = 12000)::int FROM spine.events WHERE event_type = 'hcm.employee.created' AND organization_id <> '} . org(9) . "';\n");
my $repeatable = $node->basedir . '/repeatable.sql';
append_to_file($repeatable, q{BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT 1 / (count(*) = 12000)::int FROM spine.events WHERE event_type = 'hcm.employee.created' AND organization_id <> '} . org(9) . q{';
COMMIT;
});
my $past_log = $node->basedir . '/past_latency';
my @benches;
foreach my $run ([ 6, $past_script, '-l', "--log-prefix=$past_log" ], [ 2, $count_script ], [ 1, $repeatable ])
{
	my ($clients, $file, @more) = @$run;
	my ($o, $e) = ('', '');
	my $one = { err => \$e };
	$one->{run} = IPC::Run::start([ 'pgbench', '-n', '-c', $clients, '-T', '10', '-f', $file, @more, '-h', $node->host, '-p', $node->port, 'past' ], '>', \$o, '2>', \$e);
	push @benches, $one;
}
is($node->safe_psql('past', q{SELECT count(*), sum(events) FROM spine.move_from_default('1 month')}), '1|4000', 'the oldest month is moved');
is($node->safe_psql('past', q{SELECT count(*), sum(events) FROM spine.move_from_default('1 month', 10)}), '2|8000', 'and all others that have ended');
is($node->safe_psql('past', q{SELECT count(*) FROM spine.move_from_default('1 month')}), '0', 'then there is nothing to move');
foreach my $one (@benches)
{
	ok($one->{run}->finish, 'nobody failed, and no reader missed an event or saw one twice') or diag(${ $one->{err} });
	unlike(${ $one->{err} }, qr/ERROR|aborted/, 'and none was told of an error');
}
$longest = 0;
foreach my $line (map { split /\n/, slurp_file($_) } glob "$past_log*")
{
	$longest = (split / /, $line)[2] if (split / /, $line)[2] > $longest;
}
note("beside the moves, the longest an emitter took was $longest microseconds");
is($node->safe_psql('past', $content =~ s/WHERE /WHERE event_type = 'hcm.employee.created' AND /r), $content_before, 'each event is as it was');
is($node->safe_psql('past', 'SELECT count(*) FROM spine.verify_chain() WHERE NOT intact'), '0', 'chains are intact');
is($node->safe_psql('past', q{SELECT count(*) FROM spine.events WHERE event_type = 'hcm.employee.created' AND tableoid = 'spine.events_default'::regclass AND organization_id <> '} . org(9) . q{'}), '0', 'none is left in the default partition');
is($node->safe_psql('past', q{SELECT count(*) FILTER (WHERE starts = 'infinity'), count(*) FILTER (WHERE starts <> 'infinity') FROM spine.chain_partitions WHERE organization_id >= '00000000-0000-4000-8000-000000000101'}),
	'10|60', 'chain_partitions says where each chain has events: those that go on, in the default one too');
is($node->safe_psql('past', q{SELECT count(*) FROM pg_constraint WHERE conname LIKE 'people_os_spine%'}), '0', 'no constraint is left over');
is($node->safe_psql('past', q{SELECT sum((payload ->> 'events')::int) FROM spine.events WHERE event_type = 'platform.partition.filled'}), '12000', 'events say how many were moved');
$node->safe_psql('past', "SELECT spine.emit_event('hcm.employee.updated', entity_id => '@{[org(1)]}', actor_id => '@{[org(1)]}', organization_id => '@{[org(120)]}')");
is($node->safe_psql('past', "SELECT intact, events FROM spine.verify_chain('@{[org(120)]}')"), 't|601', 'a chain whose end was moved goes on');
like(($node->psql('past', 'DELETE FROM spine.events_default'))[2], qr/immutable/, 'nobody else may take events out');

# A partition that was detached comes back with its events: by the spine's function, or by an administrator's ALTER TABLE.
my ($leaf, $from, $to) = split /\|/, $node->safe_psql('past', q{SELECT c.oid::regclass, m[1], m[2] FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid,
  regexp_match(pg_get_expr(c.relpartbound, c.oid), $re$FROM \('(.*)'\) TO \('(.*)'\)$re$) m WHERE i.inhparent = 'spine.events'::regclass AND m IS NOT NULL ORDER BY c.relname LIMIT 1});
my $known = q{SELECT count(*), count(*) FILTER (WHERE starts = '} . $from . q{') FROM spine.chain_partitions};
my $known_before = $node->safe_psql('past', $known);
like($known_before, qr/\|20$/, "$leaf has events of all chains");
my $detach = UNGUARD . " ALTER TABLE spine.events DETACH PARTITION $leaf; DELETE FROM spine.chain_partitions WHERE starts = '$from';";
foreach my $way ([ 'spine.attach_partition', "SELECT spine.attach_partition('$leaf', '$from', '$to')" ],
	[ 'ALTER TABLE', UNGUARD . " ALTER TABLE spine.events ATTACH PARTITION $leaf FOR VALUES FROM ('$from') TO ('$to')" ])
{
	my ($name, $statement) = @$way;
	$node->safe_psql('past', $detach);
	isnt($node->safe_psql('past', $known), $known_before, "$name: it was detached");
	$node->safe_psql('past', $statement);
	is($node->safe_psql('past', $known), $known_before, "$name: chain_partitions says what it holds");
	is($node->safe_psql('past', 'SELECT count(*) FROM spine.verify_chain() WHERE NOT intact'), '0', "$name: chains are intact");
	is($node->safe_psql('past', "SELECT string_agg(tgname || tgenabled::text, ' ' ORDER BY tgname) FROM pg_trigger WHERE tgrelid = '$leaf'::regclass"),
		'refuse_changeA refuse_row_changeA zz_chain_eventA', "$name: it has its triggers");
}
$node->safe_psql('past', $detach);
like(($node->psql('past', "SELECT spine.attach_partition('$leaf', '$from', '$from'::timestamptz + interval '1 hour')"))[2], qr/has events that are not from/,
	'not with other bounds than its events have');
like(($node->psql('past', "SELECT spine.attach_partition('$leaf', '$from', '$to'::timestamptz + interval '1 day')"))[2], qr/would overlap/, 'nor with those that another partition has');
is($node->safe_psql('past', q{SELECT count(*) FROM pg_constraint WHERE conname LIKE 'people_os_spine%'}), '0', 'no constraint is left over');
$node->safe_psql('past', "SELECT spine.attach_partition('$leaf', '$from', '$to')");

$node->stop;
done_testing();
