# pgBackRest: full and incremental backups of a server to which clients emit, restored to a moment and to the end. Chains are intact
# everywhere, the notary tells the one from the other, and what was erased after the backup is erased again. script/operate runs
# this; lines with "figure:" are what was measured.
use strict;
use warnings;

use IPC::Run ();
use JSON::PP qw(decode_json);
use Notary;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Test::More;
use Time::HiRes qw(sleep time);

use constant CLIENTS => 4;
use constant STORED => 200_000;    # events, before the first backup

my $folder  = PostgreSQL::Test::Utils::tempdir();
my @backrest = ('pgbackrest', "--config=$folder/pgbackrest.conf", '--stanza=spine');
my $original = spine_node('original', allows_streaming => 1,
	conf => "shared_preload_libraries = 'people_os_spine'\ntrack_commit_timestamp = on\narchive_mode = on\narchive_command = '@backrest archive-push %p'\n");
mkdir "$folder/$_" foreach qw(repository lock log spool);
put_file("$folder/pgbackrest.conf", <<"CONF");
[global]
repo1-path=$folder/repository
repo1-retention-full=2
lock-path=$folder/lock
log-path=$folder/log
spool-path=$folder/spool
log-level-file=off
log-level-console=warn
compress-type=lz4
start-fast=y
[spine]
pg1-path=@{[ $original->data_dir ]}
pg1-socket-path=@{[ $original->host ]}
pg1-port=@{[ $original->port ]}
pg1-user=@{[ scalar getpwuid($<) ]}
CONF

# One test: pgBackRest does that; how long it took.
sub backrest
{
	my ($name, @arguments) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($out, $before) = ('', time);
	IPC::Run::run([ @backrest, @arguments ], '>&', \$out);
	is($? >> 8, 0, "$name: pgbackrest $arguments[-1]") or diag($out);
	return time - $before;
}

sub events { my ($node, $where) = @_; return $node->safe_psql('postgres', 'SELECT count(*) FROM spine.events WHERE ' . ($where // 'true')) }
sub all_intact
{
	my ($node, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is($node->safe_psql('postgres', 'SELECT count(*) FILTER (WHERE intact IS NOT TRUE), count(*) > 40 FROM spine.verify_chain()'), '0|t', "$name: chains are intact");
}
sub heads { my ($node) = @_; return $node->safe_psql('postgres', 'SELECT organization_id, sequence, encode(event_hash, $$hex$$) FROM spine.read_chain_heads() ORDER BY 1') }

# The latest backup of a kind, as pgBackRest tells of it.
sub backup_of
{
	my ($kind) = @_;
	my ($out) = run_command([ @backrest, 'info', '--output=json' ]);
	return (grep { $_->{type} eq $kind } @{ decode_json($out)->[0]{backup} })[-1];
}

# The backup as a server of its own, not started yet.
sub restored
{
	my ($name, @how) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	mkdir $node->data_dir, 0700;
	my $seconds = backrest($name, '--pg1-path=' . $node->data_dir, @how, 'restore');
	note(sprintf 'figure: %s: restored in %.1f s', $name, $seconds);
	$node->append_conf('postgresql.conf', 'port = ' . $node->port . "\narchive_mode = off\n");
	my $before = time;
	$node->start;
	$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die "$name does not end its recovery";
	note(sprintf 'figure: %s: recovered in %.1f s', $name, time - $before);
	return $node;
}

my $person = '00000000-0000-4000-8000-0000000000e1';
$original->safe_psql('postgres', "SELECT spine.emit_event('hcm.employee.created', organization_id => '@{[org(1)]}', entity_id => '$person', actor_id => '$person',
	payload => '{\"grade\": 7}', personal => '{\"name\": \"Ada\"}')");
$original->safe_psql('postgres', "SELECT count(spine.emit_event('hcm.employee.updated', entity_id => gen_random_uuid(), actor_id => '$person',
	organization_id => ('00000000-0000-4000-8000-' || lpad((1 + n % 40)::text, 12, '0'))::uuid, payload => jsonb_build_object('n', n, 'text', md5(n::text))))
	FROM generate_series(1, @{[STORED]}) n");
# As many in a database to which nobody writes: an incremental backup has the files that changed, whole.
$original->safe_psql('template1', 'CREATE DATABASE quiet TEMPLATE postgres');
backrest('first', 'stanza-create');
backrest('first', 'check');
my $notary = new_notary($original, 'postgres', 'spine.example/backrest');
notary_is($notary, 'init', DONE, 'the first checkpoint');

# The load, and how many events a second there are while something runs.
my $script = "$folder/emit.sql";
put_file($script, q(\set o random(1, 40)
SELECT spine.emit_event('hcm.employee.updated', entity_id => gen_random_uuid(), actor_id => '00000000-0000-4000-8000-0000000000e1',
  organization_id => ('00000000-0000-4000-8000-' || lpad((:o)::text, 12, '0'))::uuid, payload => '{"text": "a line of some length, as they are"}');
));
my ($told, $failed) = ('', '');
my $load = IPC::Run::start([ 'pgbench', '-n', '-c', CLIENTS, '-T', 3600, '-f', $script, '-h', $original->host, '-p', $original->port, 'postgres' ], '>', \$told, '2>', \$failed);
sub rate_during
{
	my ($name, $code) = @_;
	my ($events, $before) = (events($original), time);
	$code->();
	my $seconds = time - $before;
	note(sprintf 'figure: %s: %.1f s, %.0f events a second meanwhile', $name, $seconds, (events($original) - $events) / $seconds);
	return;
}
sleep 2;
rate_during('no backup', sub { sleep 5 });
rate_during('full backup', sub { backrest('full', '--type=full', 'backup') });
notary_is($notary, 'once', DONE, 'signed after the full backup');
sleep 3;
rate_during('incremental backup', sub { backrest('incremental', '--type=incr', 'backup') });
my ($full, $incremental) = (backup_of('full'), backup_of('incr'));
ok($full && $incremental && $incremental->{prior} eq $full->{label}, 'the incremental backup stands on the full one');
note(sprintf 'figure: full: %.0f MB of %.0f MB; incremental: %.0f MB', map { $_ / 1e6 } $full->{info}{repository}{delta}, $full->{info}{size}, $incremental->{info}{repository}{delta});
cmp_ok($incremental->{info}{repository}{delta}, '<', $full->{info}{repository}{delta}, 'and is smaller');
sleep 2;
my $moment = $original->safe_psql('postgres', 'SELECT clock_timestamp()');
sleep 2;

# After that moment: an erasure, whose event is kept outside, and a checkpoint.
$original->safe_psql('postgres', "SELECT FROM spine.erase_entity('@{[org(1)]}', 'hcm', 'employee', '$person', 'request 7')");
my $kept = $original->safe_psql('postgres', q(SELECT jsonb_agg(to_jsonb(e)) FROM spine.events e WHERE event_type = 'platform.personal.erased'));
notary_is($notary, 'once', DONE, 'signed after the moment');
sleep 2;
$load->signal('INT');
eval { $load->finish };
unlike($failed, qr/ERROR/, 'no client was told of an error');
emit_in($original, 'postgres', 1, org(1));
$original->safe_psql('postgres', 'SELECT pg_switch_wal()');

my $of_moment = restored('moment', '--type=time', "--target=$moment", '--target-action=promote');
all_intact($of_moment, 'moment');
# What was committed before is there, and nothing that was committed after. (What was erased is another version of its row.)
foreach my $told ([ 'before', "<= '$moment'::timestamptz - interval '0.1 s'", 0 ], [ 'after', "> '$moment'::timestamptz + interval '0.1 s'", 1 ])
{
	my ($name, $where, $there) = @$told;
	my $file = "$folder/$name";
	$original->safe_psql('postgres', "\\copy (SELECT organization_id, sequence, event_hash FROM spine.events WHERE personal_hash IS NULL AND pg_xact_commit_timestamp(xmin) $where) TO '$file'");
	my $out = $of_moment->safe_psql('postgres', "CREATE TEMP TABLE e (organization_id uuid, sequence bigint, event_hash bytea);\n\\copy e FROM '$file'\n"
		. 'SELECT count(*) > 100, count(s.id) FILTER (WHERE s.event_hash = e.event_hash) = count(*), count(s.id) FROM e LEFT JOIN spine.events s USING (organization_id, sequence)');
	like($out, $there ? qr/^t\|f\|0$/ : qr/^t\|t\|/, $there ? 'moment: no event of later is there' : 'moment: each event of before is there, as it was') or diag($out);
}
my @messages = notary_is({ %{ copy_state($notary) }, database => $of_moment->connstr('postgres') . ' user=notary' }, 'once', RESTORED, 'moment: the notary does not sign');
my $refused = message_of('refused', @messages);
is($refused->{looks_like}, 'a restore from a backup', 'moment: and says what it looks like');
is($refused->{agreed_number}, 2, 'moment: up to which checkpoint it agrees');
ok($refused->{agreed_at} && $refused->{events_missing} > 0, 'moment: since when, and that events are missing');
my $personal = "SELECT personal IS NOT NULL FROM spine.events WHERE organization_id = '@{[org(1)]}' AND entity_id = '$person'";
is($of_moment->safe_psql('postgres', $personal), 't', 'moment: what was erased since is there again');
is($of_moment->safe_psql('postgres', "SELECT sum(parts_gone) FROM spine.repeat_erasures(\$k\$$kept\$k\$)"), 1, 'moment: repeat_erasures erases it');
is($of_moment->safe_psql('postgres', $personal), 'f', 'moment: and it is gone');
emit_in($of_moment, 'postgres', 1, org(1));
all_intact($of_moment, 'moment, after that');
$of_moment->stop;

# To the end of the archive: all is there.
my $heads = heads($original);
$original->stop;
my $complete = restored('complete', '--type=default');
is(heads($complete), $heads, 'complete: the heads are those of the original');
all_intact($complete, 'complete');
is($complete->safe_psql('postgres', $personal), 'f', 'complete: what was erased is gone');
@messages = notary_is({ %{ copy_state($notary) }, database => $complete->connstr('postgres') . ' user=notary' }, 'once', DONE, 'complete: the notary signs');
ok(message_of('promoted', @messages)->{timeline}, 'complete: and says that it is on a timeline of its own');
$complete->stop;
done_testing;
