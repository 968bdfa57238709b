# Physical backups: a copy taken while events are emitted, recovery to a moment of the archive, and standbys behind
# standbys. What comes back is the chain as it was at that moment, never another, and it goes on from there.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Restored;
use Spine;
use Test::More;

my @orgs = map { org($_) } 1 .. 3;
my $primary = spine_node('primary', allows_streaming => 1, has_archiving => 1, conf => "wal_keep_size = '256MB'\n");
make_partitions($primary, 'postgres');
emit_chain($primary, 20, @orgs);
store_corner_cases($primary, 'postgres', @orgs);

# A backup while two sessions emit, one transaction an event.
my $emit_on = "CREATE PROCEDURE emit_on(o uuid) LANGUAGE plpgsql AS 'BEGIN LOOP PERFORM spine.emit_event(''a.b.c'', entity_id => o, actor_id => o, organization_id => o); COMMIT; END LOOP; END'";
$primary->safe_psql('postgres', "SET check_function_bodies = off; $emit_on");
my @busy = map { my $session = $primary->background_psql('postgres', on_error_stop => 0); begin_query($session, "CALL emit_on('$_')"); $session } @orgs[ 0, 1 ];
$primary->poll_query_until('postgres', "SELECT count(*) > 200 FROM spine.events");
$primary->backup('busy');
my $pids = "FROM pg_stat_activity WHERE query LIKE 'CALL emit_on%' AND pid <> pg_backend_pid()";
is($primary->safe_psql('postgres', "SELECT count(pg_cancel_backend(pid)) $pids"), 2, 'both were emitting to its end');
like((finish_query($_))[1], qr/canceling statement/, 'and were stopped') foreach @busy;
$_->quit foreach @busy;
command_ok([ 'pg_verifybackup', $primary->backup_dir . '/busy' ], 'pg_verifybackup');
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($primary, 'busy');
$copy->start;

# That the rows of one node are those that another had first, of each chain.
sub is_prefix
{
	my ($node, $whole, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $rows = 'SELECT spine.canonical_event(e) || encode(event_hash, $$hex$$) FROM spine.events e ORDER BY organization_id, sequence';
	my %known = map { $_ => 1 } split /\n/, $whole->safe_psql('postgres', $rows);
	my @strange = grep { !$known{$_} } split /\n/, $node->safe_psql('postgres', $rows);
	is("@strange", '', "$name: it has no event that the primary has not");
	is(join("\n", grep { !/\|true\|/ } @{ summaries_of($node) }), '', "$name: and whole chains");
	is(state_of($node, 'postgres')->{rights}, state_of($whole, 'postgres')->{rights}, "$name: with the same rights");
	return;
}
is_prefix($copy, $primary, 'a copy of a busy server');
goes_on($copy, 'postgres', 'a copy of a busy server');
$copy->stop;

# Moments of the archive
$primary->backup('base');
my (%state, %target);
$primary->safe_psql('postgres', 'CREATE TABLE moment (name text)');
foreach my $moment (qw(name xid time lsn))
{
	emit_chain($primary, 7, @orgs);
	# A transaction after the events, which is the last that is recovered.
	my ($xid) = $primary->safe_psql('postgres', "BEGIN; INSERT INTO moment VALUES ('$moment'); SELECT spine.emit_event('a.b.$moment', entity_id => '$orgs[0]', actor_id => '$orgs[0]', organization_id => '$orgs[0]') IS NULL;
		SELECT pg_current_xact_id(); COMMIT") =~ /(\d+)$/;
	$state{$moment} = state_of($primary, 'postgres');
	$target{$moment} = {
		name => "recovery_target_name = 'month end'",
		xid  => "recovery_target_xid = '$xid'",
		time => "recovery_target_time = '" . $primary->safe_psql('postgres', 'SELECT clock_timestamp()') . "'",
		lsn  => "recovery_target_lsn = '" . $primary->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()') . "'" }->{$moment};
	$primary->safe_psql('postgres', "SELECT pg_create_restore_point('month end')") if $moment eq 'name';
	# So that the time is before the next commit's.
	$primary->poll_query_until('postgres', "SELECT clock_timestamp() > now() + interval '10 ms' FROM pg_sleep(0.02)");
}
emit_chain($primary, 7, @orgs);
my $segment = $primary->safe_psql('postgres', 'SELECT pg_walfile_name(pg_switch_wal())');
$primary->poll_query_until('postgres', "SELECT last_archived_wal >= '$segment' FROM pg_stat_archiver");
foreach my $moment (sort keys %target)
{
	my $node = PostgreSQL::Test::Cluster->new("to_$moment");
	$node->init_from_backup($primary, 'base', has_restoring => 1, standby => 0);
	$node->append_conf('postgresql.conf', "$target{$moment}\nrecovery_target_action = 'promote'\narchive_mode = off\n");
	$node->start;
	$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
	is_deeply(state_of($node, 'postgres'), $state{$moment}, "recovered to a $moment: rows, forms, heads, rights and guards are those of that moment");
	is_prefix($node, $primary, "recovered to a $moment");
	goes_on($node, 'postgres', "recovered to a $moment");
	$node->stop;
}

# A standby behind a standby: it verifies, and follows when that is promoted.
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "archive_mode = off\n");
$standby->start;
$primary->wait_for_catchup($standby);
$standby->backup('behind');
my $behind = PostgreSQL::Test::Cluster->new('behind');
$behind->init_from_backup($standby, 'behind', has_streaming => 1);
$behind->start;
emit_chain($primary, 5, @orgs);
$primary->wait_for_catchup($standby);
$standby->wait_for_catchup($behind, 'replay', $primary->lsn('flush'));
my $whole = state_of($primary, 'postgres');
is_deeply(state_of($behind, 'postgres'), $whole, 'a standby behind a standby has it all');
$primary->stop;
$standby->promote;
is_deeply(state_of($standby, 'postgres'), $whole, 'the one before is promoted');
goes_on($standby, 'postgres', 'promoted');
$standby->wait_for_catchup($behind, 'replay', $standby->lsn('flush'));
is_deeply(state_of($behind, 'postgres'), state_of($standby, 'postgres'), 'and the one behind follows');
is_refused($behind, 'postgres', "SELECT spine.emit_event('a.b.c', entity_id => '$orgs[0]', actor_id => '$orgs[0]', organization_id => '$orgs[0]')", '25006', 'where nothing is emitted');
$behind->promote;
goes_on($behind, 'postgres', 'promoted in turn');
$behind->stop;
$standby->stop;
done_testing;
