# Sixteen writers in every mode, with slow transactions, savepoints and rollbacks. A reader who polls read_events misses
# no event and gets none twice. Three consumers share a subscription, lose transactions, are late and are killed: each
# event comes, in order within its batch, to one of them at a time, and in the end what was acknowledged is what was committed.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Test::More;
use Time::HiRes qw(usleep);

my $seconds = 5;
my $node = spine_node('feed', conf => "log_statement = none\nmax_connections = 60\n");
$node->safe_psql('postgres', q{
  ALTER DATABASE postgres SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
  CREATE FUNCTION org(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('00000000-0000-4000-8000-00000000000' || n)::uuid $$;
  CREATE TABLE stop ();

  -- Reads each organization from where it stopped, and counts what must not be: an event that is not the next one.
  CREATE TABLE reading_end (polls bigint, events bigint, wrong bigint);
  CREATE PROCEDURE read_on() LANGUAGE plpgsql AS $$
  DECLARE
    last bigint[] := array_fill(0::bigint, ARRAY[5]);
    polls bigint := 0; events bigint := 0; wrong bigint := 0;
    stopped boolean;
    s bigint;
  BEGIN
    LOOP
      SELECT EXISTS (SELECT FROM stop) INTO stopped;
      FOR o IN 1 .. 5 LOOP
        FOR s IN SELECT sequence FROM spine.read_events(org(o), last[o], CASE WHEN stopped THEN 1000000 ELSE 50 END) LOOP
          IF s <> last[o] + 1 THEN wrong := wrong + 1; END IF;
          last[o] := s;
          events := events + 1;
        END LOOP;
        COMMIT;
      END LOOP;
      polls := polls + 1;
      EXIT WHEN stopped;
    END LOOP;
    INSERT INTO reading_end VALUES (polls, events, wrong);
  END $$;

  SELECT spine.create_subscription('feed', redeliver_after => '400 milliseconds', max_deliveries => NULL);
  CREATE TABLE taken (consumer int, batch bigint, delivery int, place bigint, organization_id uuid, sequence bigint);
  CREATE TABLE took (batch bigint PRIMARY KEY, at timestamptz);
  CREATE TABLE acknowledged (organization_id uuid, sequence bigint, batch bigint);
  CREATE TABLE late (batch bigint);
  CREATE PROCEDURE take(me int, OUT number bigint) LANGUAGE plpgsql AS $$
  BEGIN
    WITH b AS (SELECT batch, delivery, ordinality, (event).organization_id, (event).sequence
                 FROM spine.next_batch('feed', 1 + (random() * 40)::int) WITH ORDINALITY),
         i AS (INSERT INTO taken SELECT me, b.* FROM b RETURNING batch)
    SELECT max(batch) INTO number FROM i;
    INSERT INTO took SELECT batch, taken_at FROM spine.subscription_batches WHERE subscription = 'feed' AND batch = number;
  END $$;
  CREATE PROCEDURE acknowledge(number bigint) LANGUAGE plpgsql AS $$
  BEGIN
    PERFORM spine.acknowledge('feed', number);
    INSERT INTO acknowledged SELECT organization_id, sequence, batch FROM taken WHERE batch = number;
  EXCEPTION WHEN SQLSTATE 'SP030' THEN
    INSERT INTO late VALUES (number);
  END $$;
  -- Takes a batch, in a transaction that ends before the work, after it, or not at all.
  CREATE PROCEDURE consume(me int) LANGUAGE plpgsql AS $$
  DECLARE
    number bigint;
    dice float;
  BEGIN
    WHILE NOT EXISTS (SELECT FROM stop) LOOP
      dice := random();
      CALL take(me, number);
      IF dice < 0.1 THEN
        ROLLBACK;
        CONTINUE;
      END IF;
      IF dice < 0.6 THEN
        COMMIT;
      END IF;
      IF number IS NULL THEN
        PERFORM pg_sleep(0.002);
      ELSIF dice > 0.2 AND dice < 0.25 THEN
        PERFORM pg_sleep(0.5);
        CALL acknowledge(number);
      ELSIF dice > 0.15 THEN
        PERFORM pg_sleep(0.01 * random());
        CALL acknowledge(number);
      END IF;
      COMMIT;
    END LOOP;
  END $$;
});

my $emit = sub { "SELECT spine.emit_event('hcm.employee.$_[0]', entity_id => gen_random_uuid(), organization_id => org(:o));\n" };
my $begin = "\\set o random(1, 5)\nBEGIN;\n";
my $slow  = "\\set us random(0, 4000)\nSELECT pg_sleep(:us / 1000000.0);\n";
my %scripts = (
	insert => $begin . $emit->('inserted') . $slow . 'COMMIT;',
	commit => $begin . "SET LOCAL people_os_spine.chain_at = commit;\n" . $emit->('pending') . $slow . $emit->('pending') . 'COMMIT;',
	early  => $begin . "SET LOCAL people_os_spine.early_lock_release = on;\n" . $emit->('early') . 'COMMIT;',
	early_commit => $begin . "SET LOCAL people_os_spine.early_lock_release = on;\nSET LOCAL people_os_spine.chain_at = commit;\n" . $emit->('early') . $slow . 'COMMIT;',
	savepoint => $begin . $emit->('before') . "SAVEPOINT a;\n" . $emit->('lost') . $slow . "ROLLBACK TO a;\n" . $emit->('after') . 'COMMIT;',
	rollback => $begin . $emit->('lost') . $slow . 'ROLLBACK;');
my %files = map { ("$_\@10" => $scripts{$_}) } keys %scripts;

my @psql = ('psql', '-X', '-q', '-d', $node->connstr('postgres'), '-c');
my ($said, $reader_err) = ('', '');
my $reader = IPC::Run::start([ @psql, 'CALL read_on()' ], '>', \$said, '2>', \$reader_err);
my (@consumer, @consumer_err);
my $start = sub {
	my ($n) = @_;
	local $ENV{PGAPPNAME} = "consumer $n";
	$consumer_err[$n] //= '';
	$consumer[$n] = IPC::Run::start([ @psql, "CALL consume($n)" ], '>', \$said, '2>>', \$consumer_err[$n]);
};
$start->($_) foreach 1 .. 3;
my ($writers_out, $writers_err) = ('', '');
my $dir = PostgreSQL::Test::Utils::tempdir();
my @scripts;
foreach my $name (sort keys %files)
{
	my ($file, $weight) = split /\@/, $name;
	put_file("$dir/$file.sql", $files{$name});
	push @scripts, '-f', "$dir/$file.sql\@$weight";
}
my $writers = IPC::Run::start([ 'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-c', '16', '-j', '2', '-T', $seconds, '--max-tries=1', @scripts, 'postgres' ],
	'>', \$writers_out, '2>', \$writers_err);
my $until = time + $seconds;
my $kills = 0;
while (time < $until)
{
	usleep(300_000);
	my $n = 1 + int rand 3;
	$kills += $node->safe_psql('postgres', "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'consumer $n'");
	eval { $consumer[$n]->finish };
	$start->($n);
}
$writers->finish;
like($writers_out, qr/number of failed transactions: 0 /, 'every transaction of the writers went as it should') or diag($writers_err);
$node->safe_psql('postgres', 'INSERT INTO stop DEFAULT VALUES');
$reader->finish;
is($reader_err, '', 'the reader came to its end');
$_->finish foreach @consumer[ 1 .. 3 ];
is(join('', grep { /ERROR|FATAL|PANIC/ && !/terminating connection/ } map { split /^/ } @consumer_err[ 1 .. 3 ]), '', 'the consumers met no other error than their end');
# What is left, one consumer takes.
$node->safe_psql('postgres', q{
  CREATE PROCEDURE finish() LANGUAGE plpgsql AS $$
  DECLARE number bigint;
  BEGIN
    LOOP
      CALL take(0, number);
      COMMIT;
      IF number IS NOT NULL THEN
        CALL acknowledge(number);
      ELSE
        EXIT WHEN NOT EXISTS (SELECT FROM spine.subscription_batches);
        PERFORM pg_sleep(0.05);
      END IF;
      COMMIT;
    END LOOP;
  END $$;
  CALL finish();
});

my ($polls, $events, $wrong) = split /\|/, $node->safe_psql('postgres', 'TABLE reading_end');
my $stored = $node->safe_psql('postgres', 'SELECT count(*) FROM spine.events');
my ($batches, $again, $late) = split /\|/, $node->safe_psql('postgres', 'SELECT count(DISTINCT batch), count(DISTINCT batch) FILTER (WHERE delivery > 1), (SELECT count(*) FROM late) FROM taken');
note "$stored events, $polls polls; $batches batches, $again of them given again, $late acknowledged too late, $kills consumers ended";
cmp_ok($polls, '>', 20, 'the reader polled while events were emitted');
is($wrong, 0, 'read_events: each event is the one after that before');
is($events, $stored, 'and all were read');
is($node->safe_psql('postgres', q(SELECT count(*) FROM spine.events WHERE action = 'lost')), 0, 'nothing of what was rolled back is there');
cmp_ok($again, '>', 0, 'batches were given again');
cmp_ok($kills, '>', 3, 'and consumers ended');
is($node->safe_psql('postgres', q{
  SELECT count(*) FROM (SELECT organization_id, sequence FROM acknowledged GROUP BY 1, 2 HAVING count(*) = 1) a
    FULL JOIN spine.events e USING (organization_id, sequence) WHERE e.id IS NULL OR a.sequence IS NULL}), 0, 'what was acknowledged, once, is what was committed');
is($node->safe_psql('postgres', 'SELECT count(*) FROM (SELECT organization_id, sequence FROM acknowledged GROUP BY 1, 2 HAVING count(*) > 1) a'), 0, 'nothing was acknowledged twice');
is($node->safe_psql('postgres', q{
  SELECT * FROM (SELECT organization_id, sequence, batch, delivery, at - lag(at) OVER w AS wait, batch - lag(batch) OVER w AS later,
                        delivery - lag(delivery) OVER w AS more
                   FROM taken JOIN took USING (batch) WINDOW w AS (PARTITION BY organization_id, sequence ORDER BY delivery, batch)) t
   WHERE wait <= '400 milliseconds' OR later <= 0 OR more <> 1 LIMIT 20}), '', 'no event was with two consumers at once');
is($node->safe_psql('postgres', q{
  SELECT count(*) FROM taken t JOIN acknowledged a USING (organization_id, sequence) WHERE t.batch > a.batch}), 0, 'none came again once it was acknowledged');
is($node->safe_psql('postgres', q{
  SELECT count(*) FROM (SELECT sequence - lag(sequence) OVER (PARTITION BY batch, organization_id ORDER BY place) AS step FROM taken) t WHERE step <> 1}), 0,
	'within a batch each organization\'s events are in order, with none left out');
is($node->safe_psql('postgres', 'SELECT sum(events_behind), sum(batches_outstanding) FROM spine.subscription_lag'), '0|0', 'nothing is left');
is($node->safe_psql('postgres', 'SELECT bool_and(intact) FROM spine.verify_chain()'), 't', 'the chains are intact');
$node->stop;
done_testing();
