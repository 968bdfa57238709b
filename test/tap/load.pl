# Sixteen clients on four organizations, at all levels of isolation, with savepoints rolled back at random: no
# transaction fails, no chain forks or has a gap, and a reader who has seen an event has seen all before it.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Test::More;

my $clients = 16;
my $transactions = 800;    # of each client

my $node = spine_node('load', conf => "log_statement = none\n");
$node->safe_psql('postgres', q{
  ALTER DATABASE postgres SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';

  -- What each transaction says it emitted: there exactly if the transaction is.
  CREATE TABLE business (organization_id uuid, events bigint);

  -- Reads every chain from where it stopped last, again and again, and counts what a reader must never find.
  CREATE TABLE stop ();
  CREATE TABLE reading (organization_id uuid PRIMARY KEY, last bigint NOT NULL);
  CREATE TABLE reading_end (looks bigint, batches bigint, gaps bigint);
  CREATE PROCEDURE read_on() LANGUAGE plpgsql AS $$
  DECLARE
    looks bigint := 0;
    batches bigint := 0;
    gaps bigint := 0;
    stopped boolean;
    seen record;
  BEGIN
    LOOP
      SELECT EXISTS (SELECT FROM stop) INTO stopped;
      FOR seen IN
        SELECT e.organization_id, min(e.sequence) AS first, max(e.sequence) AS last, count(*) AS events, coalesce(r.last, 0) AS before
          FROM spine.events e LEFT JOIN reading r USING (organization_id)
         WHERE e.sequence > coalesce(r.last, 0)
         GROUP BY e.organization_id, r.last
      LOOP
        batches := batches + 1;
        IF seen.first <> seen.before + 1 OR seen.events <> seen.last - seen.before THEN
          gaps := gaps + 1;
        END IF;
        INSERT INTO reading VALUES (seen.organization_id, seen.last)
          ON CONFLICT (organization_id) DO UPDATE SET last = excluded.last;
      END LOOP;
      looks := looks + 1;
      COMMIT;
      EXIT WHEN stopped;
    END LOOP;
    INSERT INTO reading_end VALUES (looks, batches, gaps);
  END $$;
});

# Each script is one transaction for one organization, so that no two can deadlock.
my $begin = q{\set number random(1, 4)
\set level random(1, 3)
\if :level = 1
BEGIN ISOLATION LEVEL READ COMMITTED;
\elif :level = 2
BEGIN ISOLATION LEVEL REPEATABLE READ;
\else
BEGIN ISOLATION LEVEL SERIALIZABLE;
\endif
SELECT set_config('people_os_spine.organization_id', '00000000-0000-4000-8000-00000000000' || :number, true);
};
my $end = q{INSERT INTO business VALUES (current_setting('people_os_spine.organization_id')::uuid, :events);
COMMIT;
};
my $emit = sub { "SELECT spine.emit_event('hcm.employee.$_[0]', entity_id => gen_random_uuid());\n" };
my %scripts = (
	emit => $emit->('emitted') . "\\set events 1\n",
	savepoint => "\\set kept 1\nSAVEPOINT a;\n"
	  . $emit->('in_savepoint')
	  . "\\set undo random(0, 1)\n\\if :undo\n\\set kept 0\nROLLBACK TO a;\n\\else\nRELEASE a;\n\\endif\n"
	  . $emit->('after_savepoint')
	  . "\\set events :kept + 1\n",
	savepoint_within => $emit->('before_savepoint')
	  . "\\set kept 2\nSAVEPOINT a;\n"
	  . $emit->('in_savepoint')
	  . "SAVEPOINT b;\n"
	  . $emit->('in_savepoint')
	  . "\\set undo random(0, 2)\n\\if :undo = 1\n\\set kept 0\nROLLBACK TO a;\n\\elif :undo = 2\n\\set kept 1\nROLLBACK TO b;\n\\endif\n"
	  . $emit->('after_savepoint')
	  . "\\set events :kept + 2\n",
	block => q{DO $$
BEGIN
  FOR i IN 1 .. 3 LOOP
    BEGIN
      PERFORM spine.emit_event('hcm.employee.in_block', entity_id => gen_random_uuid());
      IF i <> 2 THEN
        RAISE division_by_zero;
      END IF;
    EXCEPTION WHEN division_by_zero THEN
      NULL;
    END;
  END LOOP;
END $$;
\set events 1
},
	batch => q{\set events random(1, 6)
SELECT count(*) FROM spine.emit_events((SELECT jsonb_agg(jsonb_build_object('event_type', 'hcm.employee.in_batch', 'entity_id', gen_random_uuid())) FROM generate_series(1, :events)));
},
	insert => q{\set events random(1, 4)
INSERT INTO spine.events (event_type, entity_id) SELECT 'hcm.employee.inserted', gen_random_uuid() FROM generate_series(1, :events);
},
	mixed => $emit->('emitted') . q{INSERT INTO spine.events (event_type, entity_id) VALUES ('hcm.employee.inserted', gen_random_uuid());
} . $emit->('emitted') . "\\set events 3\n",
	# A transaction that verifies before it emits, and may not find anything.
	verify => q{SELECT 1 / (bool_and(intact IS NOT FALSE))::int FROM spine.verify_chain();
} . $emit->('after_verifying') . "\\set events 1\n",
	# One that is lost with everything in it.
	rollback => $emit->('lost') . $emit->('lost') . "ROLLBACK;\n");
my %weights = (verify => 1, rollback => 5);
my %files;
$files{"$_@" . ($weights{$_} // 10)} = $begin . $scripts{$_} . ($_ eq 'rollback' ? '' : $end) for keys %scripts;

my ($reader_out, $reader_err) = ('', '');
my $reader = IPC::Run::start([ 'psql', '-X', '-d', $node->connstr('postgres'), '-c', 'CALL read_on()' ],
	'>', \$reader_out, '2>', \$reader_err);

my $all = $clients * $transactions;
$node->pgbench(
	"--no-vacuum --client=$clients --jobs=2 --transactions=$transactions --max-tries=1",
	0,
	[ qr{processed: $all/$all\n}, qr{number of failed transactions: 0 } ],
	[qr{^$}],
	'every transaction commits, none fails to serialize or deadlocks',
	\%files);

$node->safe_psql('postgres', 'INSERT INTO stop DEFAULT VALUES');
$reader->finish;
is($reader_err, '', 'the reader came to its end');

my ($looks, $batches, $gaps) = split /\|/, $node->safe_psql('postgres', 'TABLE reading_end');
note "the reader looked $looks times and found new events of an organization $batches times";
cmp_ok($batches, '>', 40, 'the reader read while events were emitted');
is($gaps, 0, 'who has seen an event has seen all before it');
is($node->safe_psql('postgres', q{
  SELECT count(*) FROM reading r FULL JOIN (SELECT organization_id, max(sequence) AS last FROM spine.events GROUP BY 1) e
    USING (organization_id) WHERE r.last IS DISTINCT FROM e.last}), 0, 'the reader has seen all');

is($node->safe_psql('postgres', q{
  SELECT count(*), bool_and(v.intact AND v.events = v.last_sequence AND v.first_sequence = 1), sum(v.faults)
    FROM spine.verify_chain() v}), '4|t|0', 'the four chains are intact');
is($node->safe_psql('postgres', 'SELECT count(*) FROM spine.find_chain_faults()'), 0, 'and have no fault');
is($node->safe_psql('postgres', q{
  SELECT count(*)
    FROM (SELECT organization_id, sum(events) AS events FROM business GROUP BY 1) b
    FULL JOIN (SELECT organization_id, count(*) AS events FROM spine.events GROUP BY 1) e USING (organization_id)
   WHERE b.events IS DISTINCT FROM e.events}), 0, 'every event that a committed transaction emitted is there, and no other');
is($node->safe_psql('postgres', q{SELECT count(*) FROM spine.events WHERE action = 'lost'}), 0,
	'nothing of what was rolled back is there');
is($node->safe_psql('postgres', q{
  SELECT count(*) FROM (SELECT organization_id, transaction_id, max(sequence) - min(sequence) + 1 - count(*) AS alien
    FROM spine.events GROUP BY 1, 2) t WHERE alien <> 0}), 0, 'no transaction has another in its midst');

$node->stop;
done_testing();
