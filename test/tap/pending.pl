# What is pending, against a model: whatever savepoints, calls of chain_pending and changes of chain_at come between, a chain
# holds what was emitted and not rolled back, in the order in which it was emitted. And a transaction that waits for itself.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Test::More;

my $seed = $ENV{SPINE_SEED} // 20260119;
srand($seed);
note "seed $seed";

my $node = spine_node('pending', conf => "log_statement = none\nmax_prepared_transactions = 4\n");
$node->safe_psql('postgres', q{
  ALTER DATABASE postgres SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
  CREATE EXTENSION dblink;
  CREATE FUNCTION emit(action text, organization int DEFAULT 1) RETURNS uuid LANGUAGE sql AS $$
    SELECT spine.emit_event('a.b.' || action, entity_id => '00000000-0000-4000-8000-0000000000e1',
             organization_id => ('00000000-0000-4000-8000-' || lpad(organization::text, 12, '0'))::uuid)
  $$;
});
sub actions
{
	return $node->safe_psql('postgres', "SELECT coalesce(string_agg(action, ' ' ORDER BY sequence), '') FROM spine.events WHERE organization_id = '@{[ org($_[0]) ]}'");
}

# The model -----------------------------------------------------------------------------------------------------------
my $organizations = 4;
my @stored = map { [] } 0 .. $organizations;
my ($number, $wrong) = (0, 0);
my %seen;
foreach my $transaction (1 .. 80)
{
	my @levels = ([]);    # by savepoint: what was emitted in it
	my @sql = ('BEGIN');
	foreach (1 .. 60)
	{
		my $step = (qw(emit emit emit emit insert savepoint savepoint release undo undo_level pending at))[ int rand 12 ];
		$seen{$step}++;
		my $organization = 1 + int rand $organizations;
		if ($step eq 'emit' || $step eq 'insert')
		{
			my $action = 'n' . ++$number;
			push @{ $levels[-1] }, [ $organization, $action ];
			push @sql, $step eq 'emit' ? "SELECT emit('$action', $organization)"
			  : "INSERT INTO spine.events (event_type, entity_id, organization_id) VALUES ('a.b.$action', gen_random_uuid(), '@{[ org($organization) ]}')";
		}
		elsif ($step eq 'savepoint')
		{
			push @levels, [];
			push @sql, "SAVEPOINT s$#levels";
		}
		elsif ($step eq 'pending') { push @sql, 'SELECT spine.chain_pending()' }
		elsif ($step eq 'at') { push @sql, 'SET LOCAL people_os_spine.chain_at = ' . (rand() < 0.7 ? 'commit' : 'insert') }
		elsif (@levels > 1)
		{
			# The innermost, or one further out with all within it.
			my $level = $step eq 'undo_level' ? 1 + int rand $#levels : $#levels;
			push @sql, ($step eq 'release' ? 'RELEASE' : 'ROLLBACK TO') . " s$level";
			my @within = map { @$_ } splice @levels, $level;
			if ($step eq 'release') { push @{ $levels[-1] }, @within }
			else { push @levels, [] }
		}
	}
	my $end = (qw(COMMIT COMMIT COMMIT ROLLBACK PREPARE))[ int rand 5 ];
	push @sql, $end eq 'PREPARE' ? ("PREPARE TRANSACTION 'one'", "COMMIT PREPARED 'one'") : $end;
	if ($end ne 'ROLLBACK') { push @{ $stored[ $_->[0] ] }, $_->[1] foreach map { @$_ } @levels }
	$node->safe_psql('postgres', join ";\n", 'SET people_os_spine.chain_at = commit', @sql);
	my @bad = grep { actions($_) ne join ' ', @{ $stored[$_] } } 1 .. $organizations;
	next unless @bad;
	$wrong++;
	diag "transaction $transaction, organizations @bad:\n", join "\n", @sql;
	last;
}
is($wrong, 0, "$number events, chained as the model says");
cmp_ok(scalar(grep { $seen{$_} > 50 } keys %seen), '==', 8, 'each step was taken');
is($node->safe_psql('postgres', 'SELECT bool_and(intact AND events = last_sequence), sum(faults) FROM spine.verify_chain()'), 't|0', 'the chains are intact');

# What happens between the emission and the commit ---------------------------------------------------------------------
my $at = 'SET people_os_spine.chain_at = commit; BEGIN;';
is_allowed($node, 'postgres', "$at SELECT emit('kept', 11); SET TRANSACTION READ ONLY; COMMIT", 'a transaction that becomes read-only');
is(actions(11), 'kept', 'stores what it emitted before');
$node->safe_psql('postgres', q{
  CREATE ROLE passing; SELECT spine.grant_emitter('passing');
});
is_allowed($node, 'postgres', "$at SET LOCAL ROLE passing; SELECT emit('kept', 12); RESET ROLE; DROP OWNED BY passing; DROP ROLE passing; COMMIT", 'the role that emitted is dropped before the commit');
is(actions(12), 'kept', 'and what it emitted is stored');
$node->safe_psql('postgres', "SELECT spine.capture_migrations()");
is_allowed($node, 'postgres', 'BEGIN; CREATE TABLE seen (); SAVEPOINT a; CREATE TABLE unseen (); ROLLBACK TO a; ALTER TABLE seen ADD x int; COMMIT', 'migrations in savepoints');
is($node->safe_psql('postgres', "SELECT string_agg(payload ->> 'command', ', ' ORDER BY sequence) FROM (SELECT * FROM spine.events WHERE event_type = 'platform.migration.applied' ORDER BY sequence DESC LIMIT 2) e"),
	'CREATE TABLE, ALTER TABLE', 'are recorded where they were not rolled back');
is($node->safe_psql('postgres', "BEGIN; CREATE TABLE another (); SELECT count(*) FROM pg_locks WHERE objsubid IN (21328, 21330) AND pid = pg_backend_pid(); SELECT spine.chain_pending(); COMMIT"),
	"0\n1", 'with chain_at = insert, too, they wait for the commit, or for chain_pending');
{
	my $holder = $node->background_psql('postgres');
	$holder->query_safe('BEGIN; CREATE TABLE holds (); SELECT spine.chain_pending()');
	is_refused($node, 'postgres', "BEGIN; CREATE TABLE lost (); SET LOCAL lock_timeout = '10ms'; COMMIT", '55P03', 'an error at the commit');
	$holder->query_safe('COMMIT');
	$holder->quit;
}
is($node->safe_psql('postgres', "SELECT to_regclass('lost') IS NULL"), 't', 'leaves neither the table nor an event');
$node->safe_psql('postgres', "SELECT spine.stop_capturing_migrations()");

# Through another connection ----------------------------------------------------------------------------------------------
# The server cannot see that a transaction waits for a session that waits for that transaction; lock_timeout bounds it.
my $other = sub { "SELECT * FROM dblink('host=@{[ $node->host ]} port=@{[ $node->port ]} dbname=postgres options=-clock_timeout=$_[0]', 'SELECT emit(''other'', $_[1])') AS t (id uuid)" };
my (undef, undef, $said) = run_sql($node, 'postgres', "BEGIN; SELECT emit('own', 13); @{[ $other->('50ms', 13) ]}");
like($said, qr/canceling statement due to lock timeout/, 'emitting for the same organization through dblink ends with lock_timeout');
like($said, qr/waiting to extend the chain of organization @{[ org(13) ]}/, 'and the error says what was waited for');
is(actions(13), '', 'nothing of it is stored');
is_allowed($node, 'postgres', "BEGIN; SELECT emit('own', 13); @{[ $other->('50ms', 14) ]}; COMMIT", 'for another organization it works');
is_allowed($node, 'postgres', "$at SELECT emit('own', 15); @{[ $other->('50ms', 15) ]}; COMMIT", 'and with chain_at = commit for the same, too');
is(actions(15), 'other own', 'in the order of the commits');
$node->stop;
done_testing();
