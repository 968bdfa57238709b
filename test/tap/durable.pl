# people_os_spine.require_durable_commit: a transaction with events is flushed before it is acknowledged, whatever the
# session says about synchronous_commit. And nobody but a superuser decides about that, or about the other two settings
# that are his.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Test::More;

# What is committed asynchronously stays in memory as long as the WAL writer sleeps.
my $node = spine_node('durable', allows_streaming => 1, conf => "log_statement = none\nfsync = on\nwal_writer_delay = 10s\n");
$node->safe_psql('postgres', q{
  ALTER DATABASE postgres SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
  ALTER DATABASE postgres SET people_os_spine.organization_id = '00000000-0000-4000-8000-000000000001';
  CREATE TABLE business (id int);
});
my $rounds = 20;
my $emit = q{SELECT spine.emit_event('hcm.employee.created', entity_id => gen_random_uuid())};
my %ways = (
	emit_event => $emit,
	emit_events => q{SELECT count(*) FROM spine.emit_events('[{"event_type": "hcm.employee.created", "entity_id": "00000000-0000-4000-8000-0000000000e1"}]')},
	INSERT => q{INSERT INTO spine.events (event_type, entity_id) VALUES ('hcm.employee.created', gen_random_uuid())},
	'emit_event in a savepoint' => "SAVEPOINT a; $emit; RELEASE a",
	'emit_event first, then other work' => "$emit; INSERT INTO business SELECT generate_series(1, 100)",
);

sub require_durable_commit
{
	my ($value) = @_;
	$node->safe_psql('postgres', "ALTER DATABASE postgres SET people_os_spine.require_durable_commit = $value");
	return;
}

# How many of so many transactions were flushed when the session heard of their commit.
sub flushed
{
	my ($way, $settings) = @_;
	my $sql = "SET synchronous_commit = off; $settings\n"
	  . "BEGIN; $way; SELECT pg_current_wal_insert_lsn() AS before \\gset\nCOMMIT;\nSELECT 'flushed ' || (pg_current_wal_flush_lsn() > :'before');\n" x $rounds;
	return scalar(() = $node->safe_psql('postgres', $sql) =~ /^flushed true$/mg);
}

# Emits, hears of the commit, and stops the server the hard way: how many of the acknowledged events are lost?
sub lost
{
	my ($number) = @_;
	my @ids = split /\n/, $node->safe_psql('postgres', 'SET synchronous_commit = off;' . "$emit;" x $number);
	$node->stop('immediate');
	$node->start;
	my $values = join ',', map { "('$_'::uuid)" } @ids;
	is(scalar @ids, $number, "$number events are acknowledged");
	return $node->safe_psql('postgres', "SELECT count(*) FROM (VALUES $values) a (id) LEFT JOIN spine.events e USING (id) WHERE e.id IS NULL");
}

# Off: the loss that the setting is there to prevent can be observed, or these tests would prove nothing. -----------
require_durable_commit('off');
for my $way (sort keys %ways)
{
	cmp_ok(flushed($ways{$way}, ''), '<', $rounds, "off, $way: acknowledged before it is flushed");
}
{
	my $lost = 0;
	for (1 .. $rounds) { last if $lost = lost(3) }
	cmp_ok($lost, '>', 0, 'off: a crash loses acknowledged events');
}

# On. ------------------------------------------------------------------------------------------------------------
require_durable_commit('on');
for my $way (sort keys %ways)
{
	is(flushed($ways{$way}, ''), $rounds, "on, $way: flushed before it is acknowledged");
}
cmp_ok(flushed('INSERT INTO business VALUES (1)', ''), '<', $rounds, 'on: a transaction without events is as it was');
is(flushed($emit, 'SET people_os_spine.require_durable_commit = off;') < $rounds ? 'less' : 'all', 'less', 'a superuser may turn it off for a session');
for my $round (1 .. $rounds)
{
	is(lost(1 + $round % 3), 0, "round $round: a crash loses none of them");
}
is($node->safe_psql('postgres', 'SELECT intact, events = last_sequence, faults FROM spine.verify_chain()'), 't|t|0', 'the chain is right');

# Raised to local, no further: nobody waits for a standby whom the session did not want to wait for.
$node->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'\n");
$node->reload;
{
	my $waiting = $node->background_psql('postgres');
	begin_query($waiting, "SET synchronous_commit = on;\n$emit");
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'}),
		'a session that waits for standbys goes on to');
	# It holds the chain, so this one is another's.
	my $timed_out;
	$node->psql('postgres', "SET synchronous_commit = off; SET people_os_spine.organization_id = '00000000-0000-4000-8000-000000000002'; $emit",
		timeout => $PostgreSQL::Test::Utils::timeout_default, timed_out => \$timed_out);
	ok(!$timed_out, 'one that does not, goes on not to');
	$node->append_conf('postgresql.conf', "synchronous_standby_names = ''\n");
	$node->reload;
	finish_query($waiting);
	$waiting->quit;
}

# Whose settings these are ------------------------------------------------------------------------------------------
$node->safe_psql('postgres', q{
  ALTER DATABASE postgres SET people_os_spine.max_payload_size = '1kB';
  ALTER DATABASE postgres SET people_os_spine.require_registered_types = on;
  ALTER DATABASE postgres SET people_os_spine.notify = on;
  SELECT spine.register_event_type('hcm.employee.forged', 'A test');
  CREATE ROLE app LOGIN;
  GRANT USAGE, CREATE ON SCHEMA public TO app;
  SELECT spine.grant_emitter('app');
});
my %forbidden = (
	'people_os_spine.require_durable_commit' => [ 'off', 'on' ],
	'people_os_spine.environment' => [ 'prod', 'test' ],
	'people_os_spine.require_registered_types' => [ 'off', 'on' ],
	'people_os_spine.notify' => [ 'off', 'on' ],
	'people_os_spine.max_payload_size' => [ '100MB', '1kB' ]);
# Says in a row whether the library's settings rule: no other environment, and no payload over the limit.
my $probe = sub {
	my ($sql, %opt) = @_;
	my ($state, $out) = run_sql($node, 'postgres', qq{
$sql
\\echo environment
SELECT spine.emit_event('hcm.employee.forged', entity_id => gen_random_uuid(), environment => 'prod');
\\echo payload
SELECT spine.emit_event('hcm.employee.forged', entity_id => gen_random_uuid(), payload => jsonb_build_object('long', repeat('x', 2000)));
}, role => 'app', params => [ '-v', 'ON_ERROR_STOP=0' ], %opt);
	return $node->safe_psql('postgres', q{SELECT count(*) FROM spine.events WHERE action = 'forged'});
};
# After the library was loaded, or after it refused to be: the value in force.
my $in_force = sub {
	my ($sql, $setting) = @_;
	my (undef, $out, $err) = run_sql($node, 'postgres', "$sql\n$emit;\nSHOW $setting;", role => 'app', params => [ '-v', 'ON_ERROR_STOP=0' ]);
	return 'refused' if $err =~ /ERROR:  42501: permission denied to set parameter/ && $out !~ /^[0-9a-f-]{36}$/m;
	return (split /\n/, $out)[-1];
};

for my $setting (sort keys %forbidden)
{
	my ($wanted, $ours) = @{ $forbidden{$setting} };
	is_refused($node, 'postgres', "$emit; SET $setting = '$wanted'", '42501', "SET $setting by a plain user", role => 'app');
	is_refused($node, 'postgres', "$emit; SELECT set_config('$setting', '$wanted', false)", '42501', "set_config of $setting by a plain user", role => 'app');
	is_refused($node, 'postgres', "$emit; ALTER ROLE app SET $setting = '$wanted'", '42501', "ALTER ROLE SET $setting by a plain user", role => 'app');
	is_refused($node, 'postgres', "ALTER ROLE app SET $setting = '$wanted'", '42501', "the same with the library not loaded", role => 'app');
	is($in_force->("SELECT 1;", $setting), $ours, "$setting is what the database says");
	is($in_force->("SET $setting = '$wanted';", $setting), $ours, "$setting set before the library is loaded does not count");
	is($in_force->("BEGIN; SET LOCAL $setting = '$wanted'; SAVEPOINT a; SET $setting = '$wanted';", $setting), $ours, "nor within a transaction");
	{
		local $ENV{PGOPTIONS} = "-c $setting=$wanted";
		my $found = $in_force->('SELECT 1;', $setting);
		ok($found eq $ours || $found eq 'refused', "$setting in PGOPTIONS does not count, or ends in an error") or diag("in force: '$found'");
	}
}
is($probe->('SELECT 1;'), 0, 'a plain user cannot emit beyond the settings');
is($probe->(join ' ', map { "SET $_ = '$forbidden{$_}[0]';" } sort keys %forbidden), 0, 'nor after SET');
{
	local $ENV{PGOPTIONS} = join ' ', map { "-c $_=$forbidden{$_}[0]" } sort keys %forbidden;
	is($probe->('SELECT 1;'), 0, 'nor with PGOPTIONS');
}
{
	local $ENV{PGOPTIONS} = '-c people_os_spine.environment=dev -c people_os_spine.require_durable_commit=off';
	is($node->safe_psql('postgres', "$emit \\gset\nSHOW people_os_spine.environment; SHOW people_os_spine.require_durable_commit"), "dev\noff",
		'a superuser may use PGOPTIONS');
}

$node->stop;
done_testing();
