# One transaction that emits for more organizations than the lock table has room for, with the server's default
# settings: beyond a bound it takes all chains instead, which excludes its like and every emitter.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Test::More;

my $many = 100_000;

my $node = spine_node('organizations', conf => "log_statement = none\n");
$node->safe_psql('postgres', q{
  ALTER DATABASE postgres SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
  CREATE FUNCTION emit_one(organization text) RETURNS uuid LANGUAGE sql AS $$
    SELECT spine.emit_event('hcm.employee.created', entity_id => gen_random_uuid(),
                            organization_id => spine.entity_uuid('test', 'organization', organization))
  $$;
  -- One event for each of the organizations prefix1 .. prefix<count>, in one call or in many, in a direction of one's own.
  CREATE FUNCTION batch(prefix text, count int, descending boolean DEFAULT false) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_agg(jsonb_build_object('event_type', 'hcm.employee.created', 'entity_id', gen_random_uuid(),
             'organization_id', spine.entity_uuid('test', 'organization', prefix || n))
             ORDER BY CASE WHEN descending THEN -n ELSE n END)
      FROM generate_series(1, count) n
  $$;
  CREATE FUNCTION emit_batch(prefix text, count int, descending boolean DEFAULT false) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM spine.emit_events(batch(prefix, count, descending))
  $$;
  CREATE FUNCTION emit_series(prefix text, count int) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(emit_one(prefix || n)) FROM generate_series(1, count) n
  $$;
  -- What this transaction holds: locks on chains, and whether all chains are its own.
  CREATE VIEW held AS
    SELECT count(*) FILTER (WHERE objsubid = 21328) AS chains, count(*) FILTER (WHERE objsubid = 21330 AND mode = 'ExclusiveLock') / 16 AS bulk
      FROM pg_locks WHERE pid = pg_backend_pid();
});
my $bound = $node->safe_psql('postgres', 'SHOW max_locks_per_transaction') / 2;

# Every chain of the table: how many there are, whether all are intact, how many events they have.
sub chains { return $node->safe_psql('postgres', 'SELECT count(*), bool_and(intact), sum(events) FROM spine.verify_chain()') }
sub last_of
{
	return $node->safe_psql('postgres',
		"SELECT max(sequence) FROM spine.events WHERE organization_id = spine.entity_uuid('test', 'organization', '$_[0]')");
}

sub session
{
	my ($name) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query_safe("SET application_name = '$name'");
	return $session;
}

sub waits
{
	my ($name, $test) = @_;
	ok($node->poll_query_until('postgres',
			"SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE application_name = '$name'"), $test);
	return;
}

# One by one ----------------------------------------------------------------------------------------------------
is($node->safe_psql('postgres', "BEGIN; SELECT emit_series('series', $many); TABLE held; COMMIT;"), "$many\n$bound|1",
	"$many calls of emit_event in one transaction lock $bound chains, then all");
is(chains(), "$many|t|$many", 'each organization has its chain');

# In one call ----------------------------------------------------------------------------------------------------
is($node->safe_psql('postgres', "BEGIN; SELECT emit_batch('series', $many, true); TABLE held; COMMIT;"), "$many\n0|1",
	"one call of emit_events with $many events takes all at once");
is(chains(), "$many|t|" . 2 * $many, 'each chain has another event');

# At the commit ----------------------------------------------------------------------------------------------------
is($node->safe_psql('postgres', "SET people_os_spine.chain_at = commit; BEGIN; SELECT emit_series('series', $many); COMMIT;"), $many,
	"$many events that are chained at the commit");
is(chains(), "$many|t|" . 3 * $many, 'each chain has another event');

# The bound ------------------------------------------------------------------------------------------------------
is($node->safe_psql('postgres', "BEGIN; SELECT emit_series('bound', $bound); TABLE held; SELECT emit_one('bound1') IS NULL; TABLE held; COMMIT;"),
	"$bound\n$bound|0\nf\n$bound|0", "$bound organizations are locked one by one");
is($node->safe_psql('postgres', "BEGIN; SELECT emit_batch('bound', $bound); TABLE held; COMMIT;"), "$bound\n$bound|0",
	'and in one call');
is($node->safe_psql('postgres', "BEGIN; SELECT emit_batch('bound', $bound + 1); TABLE held; COMMIT;"), $bound + 1 . "\n0|1",
	'one more, and it is all of them');
is($node->safe_psql('postgres', "BEGIN; SELECT count(*) FROM spine.emit_events((SELECT jsonb_agg(e) FROM generate_series(1, 9), jsonb_array_elements(batch('bound', 9)) e)); TABLE held; COMMIT;"),
	"81\n9|0", 'organizations count, not events');

# Savepoints that are rolled back give back what they took ---------------------------------------------------------
my $undone = q{DO $$
BEGIN
  FOR i IN 1 .. 1000 LOOP
    BEGIN
      PERFORM emit_one('undone' || i), emit_one('undone' || i + 1000);
      RAISE division_by_zero;
    EXCEPTION WHEN division_by_zero THEN
      NULL;
    END;
  END LOOP;
END $$;
};
# A further organization shows what is counted: beyond the bound all chains would be locked for it.
is($node->safe_psql('postgres', "BEGIN; SELECT emit_one('kept') IS NULL; $undone TABLE held; SELECT emit_one('further') IS NULL; TABLE held; COMMIT;"),
	"f\n1|0\nf\n2|0", 'a thousand savepoints rolled back do not add up to a lock on all');
my $undone_outside = q{DO $$
BEGIN
  FOR i IN 1 .. 20 LOOP
    BEGIN
      FOR j IN 1 .. 5 LOOP
        BEGIN
          PERFORM emit_one('undone' || 5 * i + j);
        EXCEPTION WHEN division_by_zero THEN
          NULL;
        END;
      END LOOP;
      RAISE division_by_zero;
    EXCEPTION WHEN division_by_zero THEN
      NULL;
    END;
  END LOOP;
END $$;
};
is($node->safe_psql('postgres', "BEGIN; SELECT emit_one('kept') IS NULL; $undone_outside TABLE held; SELECT emit_one('further') IS NULL; TABLE held; COMMIT;"),
	"f\n1|0\nf\n2|0", 'nor do those that were released within one that is rolled back');
(my $released = $undone) =~ s/RAISE division_by_zero;//;
$released =~ s/undone/released/g;
is($node->safe_psql('postgres', "BEGIN; $released TABLE held; COMMIT;"), "$bound|1", 'a thousand that are released do');
is($node->safe_psql('postgres', q{SELECT count(*) FROM spine.events WHERE organization_id = spine.entity_uuid('test', 'organization', 'undone7')}),
	0, 'what was rolled back is not there');
{
	# The lock on all chains too goes with its savepoint, and what other sessions chain then is seen.
	my $session = session('first');
	$session->query_safe("BEGIN; SELECT emit_one('free'); SAVEPOINT a");
	is($session->query_safe("SELECT emit_batch('savepoint', 100)"), 100, 'a bulk behind a savepoint');
	is($session->query_safe('TABLE held'), '1|1', 'holds all chains');
	$session->query_safe('ROLLBACK TO a');
	is($session->query_safe('TABLE held'), '1|0', 'until it is rolled back');
	$node->safe_psql('postgres', "SELECT emit_batch('savepoint', 3); SELECT emit_one('savepoint7')");
	is($session->query_safe("SELECT emit_batch('savepoint', 20); COMMIT"), 20, 'it emits again, behind those of another session');
	$session->quit;
	is(last_of($_->[0]), $_->[1], "last of $_->[0]") for [ 'savepoint1', 2 ], [ 'savepoint7', 2 ], [ 'savepoint9', 1 ], [ 'free', 1 ];
}

# Two at once ----------------------------------------------------------------------------------------------------
{
	my ($first, $second) = (session('first'), session('second'));
	$first->query_safe('BEGIN');
	is($first->query_safe("SELECT emit_batch('twice', 500)"), 500, 'a bulk call, its transaction open');
	begin_query($second, "SELECT emit_batch('twice', 500, true)");
	waits('second', 'another waits for it');
	is($first->query_safe("SELECT emit_batch('twice', 500)"), 500, 'the first makes another, in another order');
	is($first->query_safe("SELECT emit_series('twice', 500)"), 500, 'and calls one by one');
	$first->query_safe('COMMIT');
	is(join('|', finish_query($second)), '500|', 'then the second goes on');
	$_->quit for $first, $second;
	is(last_of("twice$_"), 4, "chain $_ has the events of both") for 1, 500;
}
$node->pgbench('--no-vacuum --client=8 --jobs=2 --transactions=20 --max-tries=1', 0,
	[ qr{processed: 160/160\n}, qr{number of failed transactions: 0 } ], [qr{^$}],
	'bulk calls and small ones of eight clients at once do not deadlock',
	{
		'bulk_upwards@2' => "SELECT emit_batch('crowd', 200);\n",
		'bulk_downwards@2' => "SELECT emit_batch('crowd', 150, true);\n",
		'batch_upwards@2' => "SELECT emit_batch('crowd', 20);\n",
		'batch_downwards@2' => "SELECT emit_batch('crowd', 20, true);\n",
		'one@2' => "\\set n random(1, 200)\nSELECT emit_one('crowd' || :n);\n",
	});

# A bulk and small emitters ----------------------------------------------------------------------------------------
{
	my ($bulk, $small) = (session('bulk'), session('small'));
	for my $way ('emit_batch', 'emit_series')
	{
		$bulk->query_safe('BEGIN');
		$bulk->query_safe("SELECT $way('$way', 200)");
		for my $organization ("${way}200", "${way}_new")
		{
			$node->psql('postgres', "SET lock_timeout = '10ms'; SELECT emit_one('$organization')", stderr => \my $err);
			like($err, qr/lock timeout/, "$way: a small emitter is excluded, for $organization");
		}
		begin_query($small, "SELECT emit_one('${way}200') IS NULL");
		waits('small', "$way: it waits");
		$bulk->query_safe("SELECT emit_one('${way}200')");
		$bulk->query_safe('COMMIT');
		is(join('|', finish_query($small)), 'f|', "$way: and goes on");
		is(last_of("${way}200"), 3, "$way: behind what the bulk emitted last");

		$small->query_safe("BEGIN; SELECT emit_one('${way}200')");
		begin_query($bulk, "SELECT $way('$way', 200)");
		waits('bulk', "$way: a bulk waits for a small emitter");
		# For an organization that is its own; another could be one that the bulk has locked meanwhile.
		$small->query_safe("SELECT emit_one('${way}200')");
		$small->query_safe($way eq 'emit_batch' ? 'COMMIT' : 'ROLLBACK');
		is(join('|', finish_query($bulk)), '200|', "$way: and goes on");
		is(last_of("${way}200"), $way eq 'emit_batch' ? 6 : 4, "$way: behind what that one left");
	}
	$_->quit for $bulk, $small;
}

# Two that come to the bound one by one: each has what the other's lock excludes. One gets a clear error.
{
	my ($first, $second) = (session('first'), session('second'));
	$first->query_safe("SET deadlock_timeout = '100s'; BEGIN");
	$second->query_safe("SET deadlock_timeout = '10ms'; BEGIN");
	$first->query_safe("SELECT emit_series('left', $bound)");
	$second->query_safe("SELECT emit_series('right', $bound)");
	begin_query($first, "SELECT emit_one('left_more') IS NULL");
	waits('first', 'the first to pass the bound waits for the other emitter');
	begin_query($second, "\\set VERBOSITY sqlstate\nSELECT emit_one('right_more') IS NULL");
	like((finish_query($second))[1], qr/ERROR:  40P01/, 'the second gets error 40P01');
	is(join('|', finish_query($first)), 'f|', 'and the first goes on');
	$_->query_safe('COMMIT') for $first, $second;
	$_->quit for $first, $second;
	is(last_of("left$bound"), 1, 'with all its events');
	is(last_of("right$bound"), '', 'while the other has none');
}

is($node->safe_psql('postgres', 'SELECT count(*) FROM spine.verify_chain() WHERE intact IS NOT TRUE OR first_sequence <> 1 OR events <> last_sequence'),
	0, 'all chains are intact');
is($node->safe_psql('postgres', 'SELECT count(*) FROM spine.find_chain_faults()'), 0, 'and have no fault');
$node->stop;

# The lock table is full -------------------------------------------------------------------------------------------------
my $small = spine_node('small', conf => "log_statement = none\n");
# CREATE EXTENSION locks each object that it makes.
$small->append_conf('postgresql.conf', "max_locks_per_transaction = 10\nmax_connections = 10\n");
$small->restart;
$small->safe_psql('postgres', "ALTER DATABASE postgres SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1'");
{
	my ($filler, $emitter) = map { $small->background_psql('postgres', on_error_stop => 0) } 1 .. 2;
	my $emit = sub { "SELECT spine.emit_event('a.b.c', entity_id => '@{[ org(1) ]}', organization_id => '@{[ org($_[0]) ]}') IS NULL" };
	$emitter->query_safe("\\set VERBOSITY verbose");
	my $said = sub { my $err = $emitter->{stderr}; $emitter->{stderr} = ''; return $err };
	my $organization = 10;
	foreach my $chain_at ('insert', 'commit')
	{
		$emitter->query_safe("SET people_os_spine.chain_at = $chain_at; " . $emit->(1));
		# Its locks are the session's: they stay when there is room for no more.
		$filler->query('SELECT count(pg_advisory_lock(n)) FROM generate_series(1, 100000) n');
		like($filler->{stderr}, qr/out of shared memory/, "$chain_at: the lock table is full");
		$filler->{stderr} = '';
		foreach my $way ([ 'alone', sub { $_[0] } ], [ 'in a transaction', sub { "BEGIN; $_[0]; COMMIT" } ])
		{
			my $failed = 0;
			# A few more may find room, in what the server keeps back.
			for (1 .. 100)
			{
				$emitter->query($way->[1]->($emit->(++$organization)));
				last if ($failed = $said->() =~ /ERROR:  53200: out of shared memory/);
			}
			ok($failed, "$chain_at, $way->[0]: the error");
			$emitter->query('ROLLBACK');
			$said->();
		}
		$filler->query_safe('SELECT pg_advisory_unlock_all()');
		$emitter->query_safe($emit->($organization));
		is($said->(), '', "$chain_at: with room the same event is emitted");
	}
	$_->quit for $filler, $emitter;
}
is($small->safe_psql('postgres', 'SELECT bool_and(intact AND events = last_sequence), sum(faults) FROM spine.verify_chain()'), 't|0', 'the chains are intact and without a gap');
$small->stop;
done_testing();
