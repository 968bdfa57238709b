# What spine-notary says where the server is another one: a standby that was promoted, with all that was signed or without the end of
# it, a restored backup, a clone that goes on beside the original, a dump. Each is told from the others, and none is signed but what
# has all that was signed.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Notary;
use Spine;
use Test::More;

my $primary = spine_node('primary', allows_streaming => 1, has_archiving => 1);
my @orgs = map { org($_) } 1 .. 4;
my $notary = new_notary($primary, 'postgres', 'spine.example/servers');
sub at { my ($node, $of) = @_; return { %{ copy_state($of // $notary) }, database => $node->connstr('postgres') . ' user=notary' } }

# A server made from a backup.
sub server_of
{
	my ($name, $backup, %how) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init_from_backup($primary, $backup, %how);
	$node->append_conf('postgresql.conf', "archive_mode = off\n");    # the archive is the primary's
	$node->start;
	return $node;
}

# One test: refused with that code; then what is said of log and chains.
sub refused_is
{
	my ($of, $code, $looks_like, $agreed, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @messages = notary_is($of, 'once', $code, $name);
	my $refused = message_of('refused', @messages);
	is_deeply([ @$refused{qw(looks_like agreed_number)} ], [ $looks_like, $agreed ], "$name: what it looks like, and up to where it agrees")
	  or diag(join "\n", map { "$_->{message}: $_->{text}" } @messages);
	ok(!-e "$of->{state}/@{[ $refused->{signed_number} + 1 ]}.checkpoint", "$name: nothing was signed");
	return @messages;
}

# What is told of each chain: message, number of the organization, events signed, there, agreed.
sub chains_told
{
	my (@messages) = @_;
	return [ map { join ' ', $_->{message}, $_->{organization_id} =~ /([1-9]\d*)$/, @$_{qw(signed_size size)}, $_->{agreed_size} // '-' } grep { $_->{message} =~ /^chain_/ } @messages ];
}

emit_in($primary, 'postgres', 5, @orgs);
notary_is($notary, 'init', DONE, 'the first checkpoint');
emit_in($primary, 'postgres', 5, @orgs[ 0, 1 ]);
notary_is($notary, 'once', DONE, 'the second');
$primary->backup('early');
system_or_bail('pg_dump', '-d', $primary->connstr('postgres'), '-f', "$notary->{folder}/early.sql");
emit_in($primary, 'postgres', 1, $orgs[1]);
$primary->backup('base');
my $standby = server_of('standby', 'base', has_streaming => 1);
my $late    = server_of('late',    'base', has_streaming => 1);
emit_in($primary, 'postgres', 5, @orgs[ 1, 2 ]);
notary_is($notary, 'once', DONE, 'the third');
my @messages = notary_is(at($standby), 'once', UNAVAILABLE, 'a standby takes no checkpoint');
like($messages[0]{text}, qr/recovery|read-only|standby/, 'and says so');

# This one gets no more.
$primary->wait_for_catchup($late);
$late->safe_psql('postgres', q(ALTER SYSTEM SET primary_conninfo = ''));
$late->reload;
$late->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_wal_receiver');

# A clone: a copy that is promoted and takes checkpoints, while the original goes on.
my $clone = server_of('clone', 'base', has_streaming => 1);
$primary->wait_for_catchup($clone);
$clone->promote;
emit_in($clone, 'postgres', 2, @orgs);
$clone->safe_psql('postgres', 'SELECT FROM spine.take_checkpoint()');
emit_in($primary, 'postgres', 1, @orgs[ 0, 3 ]);
notary_is($notary, 'once', DONE, 'the fourth, of the original');
$primary->wait_for_catchup($standby);
@messages = refused_is(at($clone), CLONED, 'a clone that went on', 3, 'a clone that goes on');
is_deeply(chains_told(@messages), [ 'chain_rewritten 1 11 12 10', 'chain_rewritten 4 6 7 5' ], 'a clone that goes on: the chains that both extended');
$clone->stop;
notary_is($notary, 'once', DONE, 'the original is still the one');

# Backups.
my $restored = server_of('restored', 'early');
@messages = refused_is(at($restored), RESTORED, 'a restore from a backup', 2, 'a backup that is served');
is_deeply(chains_told(@messages), [ 'chain_shrunken 1 11 10 10', 'chain_shrunken 2 16 10 10', 'chain_shrunken 3 10 5 5', 'chain_shrunken 4 6 5 5' ],
	'a backup that is served: what it lacks');
is(message_of('refused', @messages)->{events_missing}, 13, 'a backup that is served: how much');
is($restored->safe_psql('postgres', 'SELECT max(number) FROM spine.directory_checkpoints'), 2, 'nothing was written into it');
emit_in($restored, 'postgres', 20, @orgs);
refused_is(at($restored), RESTORED, 'a restore from a backup', 2, 'a backup that went on');
$restored->safe_psql('postgres', 'SELECT FROM spine.take_checkpoint()') foreach 1 .. 2;
emit_in($restored, 'postgres', 20, @orgs);
$restored->safe_psql('postgres', 'SELECT FROM spine.take_checkpoint()') foreach 1 .. 2;
refused_is(at($restored), RESTORED, 'a restore from a backup', 2, 'one that took checkpoints of its own');
# A second notary's line begins there; the first one's state stays what it was.
my $anew = new_notary($restored, 'postgres', 'spine.example/anew');
notary_is($anew, 'init', DONE, 'a new origin and state begin anew');
$restored->stop;

# To a moment of the archive, on a timeline of its own.
$primary->safe_psql('postgres', q(SELECT pg_create_restore_point('moment')));
emit_in($primary, 'postgres', 3, @orgs);
notary_is($notary, 'once', DONE, 'the fifth');
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
my $moment = PostgreSQL::Test::Cluster->new('moment');
$moment->init_from_backup($primary, 'early', has_restoring => 1, standby => 0);
$moment->append_conf('postgresql.conf', "archive_mode = off\nrecovery_target_name = 'moment'\nrecovery_target_action = 'promote'\n");
$moment->start;
$moment->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
@messages = refused_is(at($moment), RESTORED, 'a restore from a backup', 4, 'a recovery to an earlier moment');
is_deeply([ @{ message_of('refused', @messages) }{qw(timeline signed_timeline)} ], [ 2, 1 ], 'a recovery to an earlier moment: on another timeline');
$moment->stop;

# Dumps.
system_or_bail('pg_dump', '-d', $primary->connstr('postgres'), '-f', "$notary->{folder}/late.sql");
my $elsewhere = PostgreSQL::Test::Cluster->new('elsewhere');
$elsewhere->init(extra => [ '-E', 'UTF8', '--locale=C.UTF-8' ]);
$elsewhere->start;
$elsewhere->safe_psql('postgres', 'CREATE ROLE notary LOGIN');
foreach my $dump ('early', 'late')
{
	$elsewhere->safe_psql('postgres', "CREATE DATABASE $dump; ALTER DATABASE $dump SET people_os_spine.environment = 'test'");
	$elsewhere->safe_psql($dump, "\\i $notary->{folder}/$dump.sql");
}
refused_is({ %{ at($elsewhere) }, database => $elsewhere->connstr('early') . ' user=notary' }, RESTORED, 'a restore from a dump', 2, 'an older dump');
emit_in($elsewhere, 'late', 1, @orgs);
@messages = notary_is({ %{ at($elsewhere) }, database => $elsewhere->connstr('late') . ' user=notary' }, 'once', DONE, 'a dump of all that was signed');
ok(message_of('moved', @messages)->{system_identifier}, 'is told from the database that it is of');
$elsewhere->stop;

# Failover.
$primary->wait_for_catchup($standby);
$primary->stop;
$late->promote;
@messages = refused_is(at($late), FAILOVER_LOST, 'a promoted standby that lacks the end', 3, 'a standby that was behind');
is_deeply([ grep { / 1 | 4 / } @{ chains_told(@messages) } ], [ 'chain_shrunken 1 14 10 10', 'chain_shrunken 4 9 5 5' ], 'a standby that was behind: what was lost');
ok(message_of('refused', @messages)->{last_replayed}, 'a standby that was behind: since when');
$late->stop;

$standby->promote;
notary_is(at($standby), 'once', DONE, 'a promoted standby with all that was signed');
emit_in($standby, 'postgres', 1, @orgs);
my $promoted = at($standby);
@messages = notary_is($promoted, 'once', DONE, 'it goes on');
is_deeply([ @{ message_of('promoted', @messages) }{qw(timeline signed_timeline)} ], [ 2, 1 ], 'and that is told');
is(message_of('signed', @messages)->{number}, 6, 'and signed');
$standby->stop;
done_testing;
