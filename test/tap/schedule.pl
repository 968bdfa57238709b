# people_os_spine_schedule.sql: pg_cron, in another database, runs what a spine needs, and each job does its work.
use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Spine;
use Test::More;

my $node = spine_node('schedule', conf => "shared_preload_libraries = 'people_os_spine,pg_cron'\ncron.use_background_workers = on\nmax_worker_processes = 20\n");
$node->safe_psql('postgres', 'CREATE DATABASE payroll; CREATE DATABASE elsewhere');
spine_database($node, 'payroll');
my $share = `pg_config --sharedir`;
chomp $share;
my $jobs = q(SELECT jobid, jobname, schedule, database FROM cron.job ORDER BY jobname);

# Runs the script with these variables; answers its SQLSTATE ('' where all went well), output and messages.
sub schedule
{
	my ($db, %variable) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'psql', '-XAt', '-d', $node->connstr($db), '-v', 'VERBOSITY=verbose', (map { ('-v', "$_=$variable{$_}") } sort keys %variable),
		'-f', "$share/extension/people_os_spine_schedule.sql" ], '>', \$out, '2>', \$err);
	return ($? == 0 ? '' : $err =~ /ERROR:  (\w{5}):/ ? $1 : "psql $?", $out, $err);
}

my ($state, $out, $err) = schedule('postgres', database => 'payroll');
is($state, 'SP160', 'without pg_cron: SP160');
like($err, qr/^HINT:  .*cron\.database_name says \(postgres\)/m, 'and where it would be');
$node->safe_psql('postgres', 'CREATE EXTENSION pg_cron');
is((schedule('elsewhere', database => 'payroll'))[0], 'SP160', 'in a database without it: SP160');
is((schedule('postgres', database => 'nowhere'))[0], 'SP161', 'for a database that is not there: SP161');
is((schedule('postgres'))[0], 'SP161', 'or not said');
$node->safe_psql('postgres', q(SELECT cron.schedule('of somebody else', '0 0 1 1 *', 'SELECT 1')));
my $others = $node->safe_psql('postgres', $jobs);

($state, $out, $err) = schedule('postgres', database => 'payroll');
is($state, '', 'the jobs are set') or diag($err);
my $set = $node->safe_psql('postgres', $jobs);
is(join("\n", map { s/^\d+\|//r } split /\n/, $set), <<'JOBS' =~ s/\n\z//r, 'which, when and where');
of somebody else|0 0 1 1 *|postgres
spine payroll: counts|* * * * *|payroll
spine payroll: forgetting|7 5 * * *|postgres
spine payroll: partitions|17 3 * * *|payroll
spine payroll: verification|41 2 * * *|payroll
spine payroll: watch|* * * * *|payroll
spine payroll: wiping|27 4 * * 0|payroll
JOBS
is(scalar(() = $out =~ /^spine payroll: /mg), 6, 'and it shows them');
is((schedule('postgres', database => 'payroll'))[0], '', 'once more');
is($node->safe_psql('postgres', $jobs), $set, 'changes nothing');

isnt((schedule('postgres', database => 'payroll', counts => '', watch => 'now and then'))[0], '', 'a schedule that is none');
is($node->safe_psql('postgres', $jobs), $set, 'changes nothing, though another job was to go');
is((schedule('postgres', database => 'payroll', wiping => ''))[0], '', 'without a job');
is($node->safe_psql('postgres', $jobs), $set =~ s/\n[^\n]*wiping[^\n]*//r, 'that job is gone, and no other');

# Work for each: events to count, to verify and for a rule to find something in, a part that was erased, and an old record of a run.
my $org = org(1);
$node->safe_psql('payroll', <<"SQL");
SELECT spine.emit_event('hcm.employee.created', entity_id => '$org', actor_id => '$org', organization_id => '$org', personal => '{"name": "Ada"}') FROM generate_series(1, 3);
SELECT spine.erase_entity('$org', 'hcm', 'employee', '$org', 'a request');
SELECT spine.add_library_rules('a test');
SQL
my $day = q(now() - interval '8 days');
$node->safe_psql('postgres', qq(INSERT INTO cron.job_run_details (jobid, runid, start_time) SELECT jobid, 1000000 + jobid, $day FROM cron.job WHERE jobname ~ 'watch|somebody'));
my $every_minute = '* * * * *';
is((schedule('postgres', database => 'payroll', every => '1 week', ahead => 2, map { $_ => $every_minute } qw(partitions counts watch verification wiping forgetting)))[0], '',
	'all of them each minute, other partitions');
ok($node->poll_query_until('postgres', q(SELECT count(DISTINCT jobname) = 6 FROM cron.job_run_details JOIN cron.job USING (jobid)
	WHERE jobname ~ '^spine' AND status IN ('succeeded', 'failed'))), 'each was run');
is($node->safe_psql('postgres', q(SELECT jobname, return_message FROM cron.job_run_details JOIN cron.job USING (jobid) WHERE status = 'failed')), '', 'and none failed');
is($node->safe_psql('payroll', q(SELECT count(*) FROM pg_inherits WHERE inhparent = 'spine.events'::regclass)), 3, 'partitions of two more weeks; the running one is left to the default partition');
cmp_ok($node->safe_psql('payroll', 'SELECT coalesce(sum(events), 0) FROM spine.daily_totals'), '>=', 4, 'events are counted');
cmp_ok($node->safe_psql('payroll', 'SELECT count(*) FROM spine.watch_positions'), '>=', 1, 'the watch has looked');
cmp_ok($node->safe_psql('payroll', 'SELECT count(*) FROM spine.verifications'), '>=', 1, 'the verification is recorded');
is($node->safe_psql('payroll', q(SELECT done, bytes_wiped FROM spine.wipe_erased() WHERE relation = 'spine.events_default'::regclass)), 't|0',
	'nothing is left to be wiped');
is($node->safe_psql('postgres', q(SELECT string_agg(jobname, ',') FROM cron.job_run_details JOIN cron.job USING (jobid) WHERE runid > 1000000)), 'of somebody else',
	'an old record of these jobs is gone, of another one it stays');

is((schedule('postgres', database => 'payroll', remove => 'yes'))[0], '', 'taken away');
is($node->safe_psql('postgres', $jobs), $others, 'there are those of others');
is((schedule('postgres', database => 'payroll', remove => 'yes'))[0], '', 'once more');
$node->stop;
done_testing;
