# pg_upgrade, with the library preloaded on both sides: the guards step aside for it and are there afterwards. Old and
# new are of one version here; what pg_upgrade does to the objects is the same.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Restored;
use Spine;
use Test::More;

my $preload = "shared_preload_libraries = people_os_spine\nfsync = on\n";
my $old = spine_node('old', conf => $preload);
my $new = PostgreSQL::Test::Cluster->new('new');
$new->init(extra => [ '-E', 'UTF8', '--locale=C.UTF-8' ]);
$new->append_conf('postgresql.conf', $preload);
my @orgs = map { org($_) } 1 .. 3;
make_partitions($old, 'postgres');
emit_chain($old, 20, @orgs);
store_corner_cases($old, 'postgres', @orgs);
$old->safe_psql('postgres', "CREATE ROLE app; SELECT spine.grant_emitter('app', ARRAY['$orgs[0]']::uuid[]), spine.grant_auditor('app')");
my $before = state_of($old, 'postgres');
$old->stop;

my $bin = $old->config_data('--bindir');
my $folder = PostgreSQL::Test::Utils::tempdir;
chdir $folder or die $!;
command_ok([ 'pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir, '-b', $bin, '-B', $bin, '-s', $new->host, '-p', $old->port, '-P', $new->port ], 'pg_upgrade');
$new->start;
my $after = state_of($new, 'postgres');
is_deeply($after, $before, 'the same chains, rows, partitions, bindings and rights');
is($after->{guards}, '', 'every guard is there');
like($after->{partitions}, qr/^events_00010101\|.*^events_20200101_0000\|/ms, 'in partitions');
is_refused($new, 'postgres', 'DELETE FROM spine.events_20200101_0000', 'SP013', 'a partition is immutable');
is_refused($new, 'postgres', 'DROP TABLE spine.events_00010101', 'SP024', 'and guarded');
is_refused($new, 'postgres', 'DELETE FROM spine.events', 'SP013', 'events are immutable');
is_refused($new, 'postgres', 'DROP EXTENSION people_os_spine', 'SP024', 'the guard is on');
goes_on($new, 'postgres', 'upgraded');
$new->stop;
done_testing;
