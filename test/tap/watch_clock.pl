# The watch while the server's clock goes back and forth: what is awaited, the steps of series and what is looked at once a day are
# found, and found once.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Test::More;

my $node = clock_node('watch_clock', 0, conf => "checkpoint_timeout = 1d\n");
sub psql { return $node->safe_psql('postgres', $_[0]) }
my ($hour, $day) = (3600, 86400);
my $org = org(1);
psql("ALTER DATABASE postgres SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1'; ALTER DATABASE postgres SET people_os_spine.organization_id = '$org'");
psql(q{SELECT spine.set_rule('answer',
	  '[{"title": "a", "name": "asked", "detection": {"s": {"event_type": "hr.question.asked"}, "condition": "s"}},
	    {"title": "b", "name": "answered", "detection": {"s": {"event_type": "hr.question.answered"}, "condition": "s"}},
	    {"title": "A question without an answer", "correlation": {"type": "requires", "when": "after", "rules": ["asked", "answered"], "timespan": "2h"}}]',
	  '[{"name": "no answer", "finds": 1, "events": [{"event_type": "hr.question.asked"}], "wait": "3 hours"},
	    {"name": "an answer", "finds": 0, "events": [{"event_type": "hr.question.asked"}, {"event_type": "hr.question.answered"}], "wait": "3 hours"}]', 'a test');
	SELECT spine.set_rule('logins',
	  '[{"title": "a", "name": "login", "detection": {"s": {"event_type": "hr.login.failed"}, "condition": "s"}},
	    {"title": "Far more logins", "correlation": {"type": "baseline", "rules": ["login"], "timespan": "1d"}}]',
	  '[{"name": "many", "finds": 1, "events": [{"event_type": "hr.login.failed", "after": "1 day", "times": 20}, {"event_type": "hr.login.failed", "times": 30}], "wait": "1 day"},
	    {"name": "none", "finds": 0, "events": []}]', 'a test');
	SELECT spine.set_rule('unverified', '{"title": "Nobody verified", "correlation": {"type": "unverified", "timespan": "30d"}}', '[]', 'a test');
	SELECT count(*) FROM spine.run_watch()});
sub emit { return join '', map { "SELECT spine.emit_event('$_[0]', entity_id => '$org') \\g /dev/null\n" } 1 .. $_[1] // 1 }
sub run_watch { return psql('SELECT findings, repeats FROM spine.run_watch()') }
sub found { return psql("SELECT count(*), coalesce(sum(repeats), 0) FROM spine.findings WHERE rule = '$_[0]'") }

# A question; the clock goes back by an hour, then on: it is late two hours after it was asked, by the chain's time.
psql(emit('hr.question.asked'));
set_clock(-$hour);
is(run_watch(), '0|0', 'nothing is late while the clock is back');
psql(emit('hr.office.opened'));
is(run_watch(), '0|0', 'nor by an event that the set-back clock chains');
set_clock($hour);
is(run_watch(), '0|0', 'an hour later there is time left');
set_clock(3 * $hour);
is(run_watch(), '1|0', 'after two hours it is late');
set_clock(-5 * $hour);
is(run_watch(), '0|0', 'it is found once, whatever the clock says then');
set_clock(4 * $hour);
is(run_watch(), '0|0', 'and when it comes back');
is(found('answer'), '1|0', 'one finding');

# Twenty days of one login each, with the clock set back each night; then many.
foreach my $n (1 .. 20)
{
	set_clock($n * $day);
	psql(emit('hr.login.failed'));
	set_clock($n * $day - 3 * $hour);
	is(run_watch(), '0|0', "day $n, and the clock set back") if $n % 5 == 0;
	run_watch() if $n % 5 != 0;
}
set_clock(21 * $day);
psql(emit('hr.login.failed', 30));
set_clock(20 * $day);
run_watch();
is(found('logins'), '0|0', 'a day that has not ended, with the clock set back into the last one, is not judged');
set_clock(23 * $day);
run_watch();
is(found('logins'), '1|0', 'when it has ended, it is');
is(psql("SELECT numbers ->> 'value' FROM spine.findings WHERE rule = 'logins'"), '30', 'with all that happened in it');
set_clock(21 * $day);
run_watch();
set_clock(24 * $day);
run_watch();
is(found('logins'), '1|0', 'once');

# What is looked at once a day.
is(found('unverified'), '0|0', 'the chain is not old enough');
set_clock(40 * $day);
run_watch();
is(psql("SELECT count(*) FROM spine.findings WHERE rule = 'unverified' AND organization_id = '$org'"), 1, 'now it is');
set_clock(10 * $day);
run_watch();
set_clock(40 * $day + $hour);
run_watch();
is(psql("SELECT count(*), sum(repeats) FROM spine.findings WHERE rule = 'unverified' AND organization_id = '$org'"), '1|0', 'it is looked at no more often because the clock was set back');
set_clock(42 * $day);
run_watch();
is(psql("SELECT count(*), sum(repeats) FROM spine.findings WHERE rule = 'unverified' AND organization_id = '$org'"), '1|1', 'two days later it comes again');
is(psql('SELECT bool_and(intact), sum(faults) FROM spine.verify_chain()'), 't|0', 'the chains are intact');
is(psql('SELECT count(*) FROM spine.watch_positions p WHERE states <> (SELECT count(*) FROM spine.watch_states s WHERE s.organization_id = p.organization_id)'), 0, 'the states are counted right');
$node->stop;
done_testing();
