# A prepared transaction keeps its chains locked through a crash, and ends either way after it.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Test::More;

my $node = spine_node('prepare', conf => "log_statement = none\nmax_prepared_transactions = 16\nrestart_after_crash = on\n");
$node->safe_psql('postgres', q{
  ALTER DATABASE postgres SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
  CREATE FUNCTION emit(organization int, action text) RETURNS boolean LANGUAGE sql AS $$
    SELECT spine.emit_event('hcm.employee.' || action, entity_id => gen_random_uuid(),
             organization_id => ('00000000-0000-4000-8000-' || lpad(organization::text, 12, '0'))::uuid) IS NOT NULL
  $$;
});

sub crash
{
	$node->stop('immediate');
	$node->start;
	return;
}
sub is_locked
{
	my ($organization, $test) = @_;
	is_refused($node, 'postgres', "SET lock_timeout = '10ms'; SELECT emit($organization, 'excluded')", '55P03', $test);
	return;
}
sub actions
{
	my ($organization) = @_;
	return $node->safe_psql('postgres', "SELECT string_agg(sequence || ' ' || action, ', ' ORDER BY sequence) FROM spine.events WHERE organization_id = '@{[ org($organization) ]}'");
}
sub all_intact
{
	my ($test) = @_;
	is($node->safe_psql('postgres', 'SELECT bool_and(intact), sum(faults) FROM spine.verify_chain()'), 't|0', $test);
	agrees_with_model($node, rows_of($node), "$test, says a second opinion");
	return;
}

# Prepared, crashed, ended -------------------------------------------------------------------------------------
for my $end ('COMMIT', 'ROLLBACK')
{
	my ($organization, $other, $undone) = $end eq 'COMMIT' ? (1, 2, 3) : (4, 5, 6);
	my $by = lc $end;
	$node->safe_psql('postgres', qq{
	  SELECT emit($organization, 'before');
	  BEGIN;
	  SELECT emit($organization, 'prepared');
	  SAVEPOINT a;
	  SELECT emit($organization, 'undone'), emit($undone, 'undone');
	  ROLLBACK TO a;
	  SELECT emit($organization, 'prepared_last');
	  PREPARE TRANSACTION 'one';
	});
	is_locked($organization, "$by: the chain is locked while the transaction is prepared");
	crash();
	is($node->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts'), 'one', "$by: the transaction is there after the crash");
	is_locked($organization, "$by: and the chain is locked");
	is($node->safe_psql('postgres', "SELECT emit($other, 'other'), emit($undone, 'free')"), 't|t', "$by: others are not, nor what was rolled back to a savepoint");
	is(actions($organization), '1 before', "$by: what is prepared is not seen");
	all_intact("$by: and while it is prepared, the chains are right");

	my $waiting = $node->background_psql('postgres');
	$waiting->query_safe("SET application_name = 'waiting'");
	begin_query($waiting, "SELECT emit($organization, 'waited')");
	ok($node->poll_query_until('postgres', "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE application_name = 'waiting'"), "$by: an emitter waits");
	$node->safe_psql('postgres', "$end PREPARED 'one'");
	is(join('|', finish_query($waiting)), 't|', "$by: until the prepared transaction ends");
	$waiting->quit;
	my $kept = $end eq 'COMMIT' ? '1 before, 2 prepared, 3 prepared_last, 4 waited' : '1 before, 2 waited';
	is(actions($organization), $kept, "$by: the chain goes on where it should");
	crash();
	is(actions($organization), $kept, "$by: and does so after another crash");
	$node->safe_psql('postgres', "SELECT emit($organization, 'after')");
	all_intact("$by: all chains are right");
}

# With more organizations than are locked one by one, it is the table's lock that must survive.
for my $end ('COMMIT', 'ROLLBACK')
{
	my $by = lc "$end of a bulk";
	my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM spine.events');
	$node->safe_psql('postgres', "BEGIN; SELECT count(emit(n, 'bulk')) FROM generate_series(101, 300) n; PREPARE TRANSACTION 'bulk'");
	crash();
	is_locked($_->[0], "$by: $_->[1] organization is locked after the crash") for [ 300, "the bulk's last" ], [ 999, 'a foreign' ];
	$node->safe_psql('postgres', "$end PREPARED 'bulk'");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM spine.events') - $before, $end eq 'COMMIT' ? 200 : 0, "$by: all or nothing");
	is($node->safe_psql('postgres', "SELECT emit(300, 'after')"), 't', "$by: and the way is free");
	all_intact("$by: all chains are right");
}

$node->stop;
done_testing();
