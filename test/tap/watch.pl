# The watch finds each thing once, whatever happens between two runs or to one: windows that lie across a border, a crash, runs at
# the same time and runs that are rolled back, silence, a dump that is restored.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Test::More;

my $node = spine_node('watch', conf => "max_connections = 30\n");
my @orgs = map { org($_) } 1 .. 4;

$node->safe_psql('postgres', q{
	ALTER DATABASE postgres SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
	SELECT spine.add_library_rules('a test', '{payroll_four_eyes,fleeting_permission,mass_export}')});
# What must be answered within five seconds, and what must come again within an hour.
$node->safe_psql('postgres', q{
	SELECT spine.set_rule('answer',
	  '[{"title": "a", "name": "asked", "detection": {"s": {"event_type": "hr.question.asked"}, "condition": "s"}},
	    {"title": "b", "name": "answered", "detection": {"s": {"event_type": "hr.question.answered"}, "condition": "s"}},
	    {"title": "A question without an answer", "correlation": {"type": "requires", "when": "after", "rules": ["asked", "answered"], "timespan": "5s"}}]',
	  '[{"name": "no answer", "finds": 1, "events": [{"event_type": "hr.question.asked"}], "wait": "6 seconds"},
	    {"name": "an answer", "finds": 0, "events": [{"event_type": "hr.question.asked"}, {"event_type": "hr.question.answered"}], "wait": "6 seconds"}]', 'a test')});

sub psql { return $node->safe_psql('postgres', $_[0]) }
# Emits events of these types about an entity, a number, each in a transaction of its own.
sub emit
{
	my ($org, $entity, @types) = @_;
	return join '', map { "SELECT spine.emit_event('$_', entity_id => md5('$entity')::uuid, organization_id => '$org') \\g /dev/null\n" } @types;
}
# Findings and repeats of a run.
sub run_watch { return psql("SELECT findings, repeats FROM spine.run_watch($_[0])") }
sub found { return psql("SELECT count(*) FROM spine.findings WHERE rule = '$_[0]'") }

# Organizations that the watch has not met are one run's at a time.
psql(join('', map { emit($_, 'first', 'hr.office.opened') } @orgs) . 'SELECT spine.run_watch()');

# A window across a border.
psql(emit($orgs[0], 'border', 'payroll.run.created'));
is(run_watch(''), '0|0', 'half of it is no finding');
$node->restart;
psql(emit($orgs[0], 'border', 'payroll.run.approved'));
is(run_watch(''), '1|0', 'the other half, after a restart, is one');
is(run_watch(''), '0|0', 'once');

# A crash, before the commit of a run and behind it.
psql(emit($orgs[1], 'crash', 'payroll.run.created', 'payroll.run.approved'));
my $session = $node->background_psql('postgres');
$session->query_until(qr/1\|0/, "BEGIN; SELECT findings, repeats FROM spine.run_watch();\n");
kill_server($node);
eval { $session->{run}->finish };
$node->start;
is(found('payroll_four_eyes'), 1, 'what was found and not committed is not there after a crash');
is(run_watch(''), '1|0', 'and is found again');
kill_server($node);
$node->start;
is(run_watch(''), '0|0', 'what was committed is found once');
is(found('payroll_four_eyes'), 2, 'and is there');

# Two runs at once: the second has what the first has not, and nobody waits.
psql(emit($orgs[2], 'two', 'payroll.run.created', 'payroll.run.approved'));
$session = $node->background_psql('postgres');
$session->query_until(qr/1\|0/, "BEGIN; SELECT findings, repeats FROM spine.run_watch();\n");
psql(emit($orgs[3], 'two', 'payroll.run.created', 'payroll.run.approved'));
is(psql("SET lock_timeout = '20s'; SELECT findings, repeats FROM spine.run_watch()"), '1|0', 'a run beside another finds what is not the other\'s');
$session->query_safe('COMMIT');
$session->quit;
is(run_watch(''), '0|0', 'nothing is left');
is(psql("SELECT string_agg(right(organization_id::text, 1), '' ORDER BY organization_id) FROM spine.findings WHERE rule = 'payroll_four_eyes'"), '1234', 'each is found once');

# Many things in all organizations, by emitters at work and by runs of few events at the same time, of which some are rolled back.
my $emitting = join '', map { my $n = $_; emit($orgs[ $n % 4 ], "many $n", 'payroll.run.created', $n % 3 ? 'payroll.run.approved' : 'payroll.run.paid', 'access.permission.granted', $n % 5 ? 'access.permission.used' : 'access.permission.revoked') } 1 .. 120;
my @running = map {
	my $runner = $_;
	my $runner_session = $node->background_psql('postgres');
	begin_query($runner_session, join '', map { ($_ + $runner) % 3 ? "SELECT * FROM spine.run_watch(7) \\g /dev/null\n" : "BEGIN; SELECT * FROM spine.run_watch(7) \\g /dev/null\nROLLBACK;\n" } 1 .. 40);
	$runner_session;
} 1 .. 3;
psql($emitting);
foreach (@running)
{
	is((finish_query($_))[1], '', 'a runner met no error');
	$_->quit;
}
psql('SELECT * FROM spine.run_watch()');
psql('SELECT * FROM spine.run_watch()');
is(psql("SELECT count(*), count(DISTINCT id), sum(repeats) FROM spine.findings WHERE rule = 'payroll_four_eyes'"), '84|84|0', 'every one of 80 more is found once');
is(found('fleeting_permission'), 24, 'and of 24 of another kind');
is(psql("SELECT count(*) FROM spine.events WHERE event_type = 'platform.finding.raised'"), psql('SELECT count(*) FROM spine.finding_records'), 'each is an event');
is(psql(q{SELECT count(*) FROM spine.findings f JOIN spine.backtest_rule('payroll_four_eyes') b ON b.of_organization = f.organization_id
	AND b.sequences = ARRAY(SELECT (e ->> 'sequence')::bigint FROM jsonb_array_elements(f.events) e)}), 84, 'a backtest says the same');
is(psql('SELECT count(*) FROM spine.findings f, spine.explain_finding(f.id) e WHERE NOT e.is_unchanged'), 0, 'what they rest on is unchanged');
is(psql('SELECT count(*) FROM spine.verify_chain() WHERE NOT intact'), 0, 'the chains are intact');

# Silence: what does not come is found although nothing else comes.
psql(emit($orgs[0], 'silence', 'hr.question.asked'));
is(run_watch(''), '0|0', 'there is time left');
ok($node->poll_query_until('postgres', 'SELECT findings FROM spine.run_watch()', '1'), 'what did not come is found');
is(run_watch(''), '0|0', 'once');
is(psql("SELECT sentence FROM spine.findings WHERE rule = 'answer'") =~ s/\d+$/n/r, 'A question without an answer: asked was not followed by answered within 5s: event n', 'it says so');

# An answer that is chained in time, and committed late, is in time.
$session = $node->background_psql('postgres');
$session->query_until(qr/asked and answered/, emit($orgs[1], 'late commit', 'hr.question.asked') . "SELECT count(*) FROM spine.run_watch();\nBEGIN;\n" . emit($orgs[1], 'late commit', 'hr.question.answered') . "SELECT 'asked and answered';\n");
is(psql("SELECT count(*) FROM spine.watch_states WHERE due_at IS NOT NULL"), 1, 'it is awaited');
ok($node->poll_query_until('postgres', 'SELECT due_at < clock_timestamp() FROM spine.watch_states WHERE due_at IS NOT NULL'), 'and due');
is(run_watch(''), '0|0', 'while somebody extends the chain, nobody says that nothing came');
$session->query_safe('COMMIT');
$session->quit;
is(run_watch(''), '0|0', 'nor afterwards');
is(psql("SELECT count(*) FROM spine.watch_states WHERE due_at IS NOT NULL"), 0, 'nothing is awaited any more');

# A rule that is turned off forgets what it waits for; one that is turned on begins anew.
psql(emit($orgs[2], 'off', 'hr.question.asked'));
psql("SELECT spine.run_watch(); SELECT spine.enable_rule('answer', false, 'a test')");
ok($node->poll_query_until('postgres', 'SELECT due_at < clock_timestamp() FROM spine.watch_states WHERE due_at IS NOT NULL'), 'due, for a rule that is off');
is(run_watch(''), '0|0', 'is no finding');
psql("SELECT spine.enable_rule('answer', true, 'a test')");
is(run_watch(''), '0|0', 'nor when it is on again');

# A dump knows what was found, and what half of a window was seen.
psql(emit($orgs[3], 'dumped', 'payroll.run.created') . 'SELECT spine.run_watch();');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok([ 'pg_dump', '-h', $node->host, '-p', $node->port, '-f', $dump, 'postgres' ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-f', $dump ], 'restored');
$node->safe_psql('restored', "ALTER DATABASE restored SET people_os_spine.environment = 'test'; ALTER DATABASE restored SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1'");
my $there = 'SELECT count(*), sum(repeats) FROM spine.findings';
is($node->safe_psql('restored', $there), psql($there), 'the findings are there');
is($node->safe_psql('restored', 'SELECT findings FROM spine.run_watch()'), '0', 'none is found again');
$node->safe_psql('restored', emit($orgs[3], 'dumped', 'payroll.run.approved'));
is($node->safe_psql('restored', 'SELECT findings FROM spine.run_watch()'), '1', 'the second half is found there');

is(psql('SELECT count(*) FROM spine.watch_positions p WHERE states <> (SELECT count(*) FROM spine.watch_states s WHERE s.organization_id = p.organization_id)'), 0, 'the states are counted right');

# States go when no window holds them; what is late by then is told first.
psql(emit($orgs[0], 'long ago', 'hr.question.asked') . 'SELECT spine.run_watch()');
is(psql(q{BEGIN; UPDATE spine.watch_states SET expires_on = '2026-01-01';} . emit($orgs[0], 'on', 'hr.office.closed') .
	q{SELECT count(*) FROM spine.run_watch() \g /dev/null
	SELECT count(*) FILTER (WHERE due_at IS NULL), count(*) FILTER (WHERE due_at IS NOT NULL) FROM spine.watch_states WHERE organization_id = '} . $orgs[0] . q{'; ROLLBACK}), '0|1', 'what expired is removed, but for what is awaited');
$node->stop;
done_testing();
