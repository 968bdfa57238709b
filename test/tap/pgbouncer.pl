# Behind PgBouncer in transaction pooling: clients that take turns on one server connection. What spine.set_context says is
# one transaction's, whatever became of the client before.
use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Test::More;
use Time::HiRes qw(usleep);

my $node = spine_node('pooled');
my $dir  = PostgreSQL::Test::Utils::tempdir_short();
append_to_file("$dir/ini", <<INI);
[databases]
postgres = host=@{[ $node->host ]} port=@{[ $node->port ]} dbname=postgres user=@{[ $node->safe_psql('postgres', 'SELECT current_user') ]}
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = $dir
auth_type = any
pool_mode = transaction
default_pool_size = 1
ignore_startup_parameters = extra_float_digits
INI
# Debian has it in a folder that is not in everybody's PATH.
local $ENV{PATH} = "$ENV{PATH}:/usr/sbin";
my $log     = '';
my $bouncer = IPC::Run::start([ 'pgbouncer', "$dir/ini" ], '>', \$log, '2>&1');
for (1 .. 500)
{
	last if -S "$dir/.s.PGSQL.6432";
	$bouncer->pump_nb;
	usleep(20_000);
}
ok(-S "$dir/.s.PGSQL.6432", 'PgBouncer runs') or BAIL_OUT($log);

sub client
{
	my ($name) = @_;
	return $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-d', "host=$dir port=6432 dbname=postgres user=any application_name=$name" ]);
}

# Who is who: each client has an organization and an actor of its own, and names its events after itself.
my @who = map { { organization => org($_), actor => "00000000-0000-4000-8000-0000000000a$_", emit => "SELECT count(spine.emit_event('pooled.client_$_.acted', entity_id => gen_random_uuid()))" } } 0 .. 3;
my $context = q(SELECT string_agg(coalesce(current_setting('people_os_spine.' || name, true), ''), '|' ORDER BY n) FROM unnest(ARRAY['organization_id', 'actor_id', 'actor_type']) WITH ORDINALITY s (name, n));
sub set_context { my ($i) = @_; return "SELECT spine.set_context('$who[$i]{organization}', '$who[$i]{actor}', '" . ($i % 2 ? 'system' : 'human') . "')" }
sub context_of { my ($i) = @_; return join '|', $who[$i]{organization}, $who[$i]{actor}, $i % 2 ? 'system' : 'human' }
# What client $i's events say of who they are.
sub wrong_events
{
	return $node->safe_psql('postgres', q(SELECT event_type, organization_id, actor_id, actor_type FROM spine.events
		WHERE (right(organization_id::text, 1), right(actor_id::text, 1), (actor_type = 'system')::int) IS DISTINCT FROM
			(right(entity_type, 1), right(entity_type, 1), right(entity_type, 1)::int % 2)));
}

my @clients = map { client("client$_") } 0 .. 2;
my %backends = map { scalar $_->query('SELECT pg_backend_pid()') => 1 } @clients;
is(scalar keys %backends, 1, 'three clients share one server connection');

# In turns. The one that has a transaction has the connection, and the others wait for it.
my $expected = 0;
for my $round (1 .. 5)
{
	foreach my $i (0, 1, 0, 2, 2, 1)
	{
		my $c = $clients[$i];
		$c->query('BEGIN');
		$c->query(set_context($i));
		is(scalar $c->query($context), context_of($i), "round $round: client $i acts as itself") if $round == 1;
		$c->query($who[$i]{emit});
		$c->query('COMMIT');
		$expected++;
	}
}
is(scalar $clients[0]->query($context), '||human', 'after a transaction nothing is left of it');
# All at once.
foreach my $i (0 .. 2)
{
	begin_query($clients[$i], join ';', map { ('BEGIN', set_context($i), $who[$i]{emit}, 'COMMIT') } 1 .. 20);
	$expected += 20;
}
finish_query($_) foreach @clients;
is($node->safe_psql('postgres', 'SELECT count(*) FROM spine.events'), $expected, 'every event is there');
is(wrong_events(), '', 'each of the organization and by the actor of its client');

# After an error: in the statement that set the context, and in one after it.
foreach my $bad ("SELECT spine.emit_event('no name')", 'SELECT 1/0', "SELECT spine.set_context('x', NULL)")
{
	$clients[0]->query('BEGIN');
	$clients[0]->query(set_context(0));
	$clients[0]->query($who[0]{emit});
	$clients[0]->query($bad);
	like($clients[0]->{stderr}, qr/ERROR/, "an error: $bad");
	$clients[0]->{stderr} = '';
	$clients[0]->query('COMMIT');
	is(scalar $clients[1]->query($context), '||human', 'leaves nothing to the next client');
	$clients[1]->query($_) foreach 'BEGIN', set_context(1), $who[1]{emit}, 'COMMIT';
	$expected++;
}

# What a client said for the session stays with the connection, and others get it: that is what set_context is for.
$clients[0]->query("SET people_os_spine.organization_id = '$who[0]{organization}'; SET people_os_spine.actor_id = '$who[0]{actor}'; SET people_os_spine.actor_type = 'pipeline'");
is(scalar $clients[1]->query($context), "$who[0]{organization}|$who[0]{actor}|pipeline", 'SET reaches other clients');
$clients[1]->query('BEGIN');
$clients[1]->query(set_context(1));
is(scalar $clients[1]->query($context), context_of(1), 'set_context takes its place');
$clients[1]->query($_) foreach $who[1]{emit}, 'COMMIT';
$expected++;
$clients[2]->query('BEGIN');
$clients[2]->query("SELECT spine.set_context('$who[2]{organization}', NULL)");
is(scalar $clients[2]->query($context), "$who[2]{organization}||human", 'all of it: what is not given is empty');
$clients[2]->query($who[2]{emit});
like($clients[2]->{stderr}, qr/has no actor/, 'so that no event is another client\'s');
$clients[2]->{stderr} = '';
$clients[2]->query('ROLLBACK');
is(wrong_events(), '', 'events are right');

# A client that vanishes within its transaction takes it along, and the server connection too.
my ($backend) = keys %backends;
my $gone = client('gone');
is(scalar $gone->query('SELECT pg_backend_pid()'), $backend, 'another client on the same connection');
$gone->query($_) foreach 'BEGIN', set_context(3), $who[3]{emit};
begin_query($clients[1], $context);    # it waits for the connection
$gone->{run}->kill_kill;
is(join('|', finish_query($clients[1])), '|||', 'leaves no context to who waited for the connection');
isnt(scalar $clients[1]->query('SELECT pg_backend_pid()'), $backend, 'which is a new one');
$clients[1]->query($_) foreach 'BEGIN', set_context(1), $who[1]{emit}, 'COMMIT';
$expected++;
is($node->safe_psql('postgres', "SELECT count(*), count(*) FILTER (WHERE entity_type = 'client_3') FROM spine.events"), "$expected|0", 'and no event');
is(wrong_events(), '', 'the others are right');
# Who calls it without a transaction hears that it is of no use.
$clients[0]->query(set_context(0));
like($clients[0]->{stderr}, qr/ERROR:  spine.set_context\(\) is called outside of a transaction block/, 'an error outside of a transaction');
$clients[0]->{stderr} = '';
is(scalar $clients[1]->query($context), '||human', 'and others see nothing of it');
is($node->safe_psql('postgres', 'SELECT bool_and(intact) FROM spine.verify_chain()'), 't', 'the chains are intact');

$_->quit foreach @clients;
$bouncer->signal('INT');
$bouncer->finish;
$node->stop;
done_testing();
