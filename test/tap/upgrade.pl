# pg_upgrade, with the library preloaded on both sides: the guards step aside for it and are there afterwards. Old and
# new are of one version here; what pg_upgrade does to the objects is the same.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Test::More;

my $preload = "shared_preload_libraries = people_os_spine\nfsync = on\n";
my $old = spine_node('old', conf => $preload);
my $new = PostgreSQL::Test::Cluster->new('new');
$new->init(extra => [ '-E', 'UTF8', '--locale=C.UTF-8' ]);
$new->append_conf('postgresql.conf', $preload);
my @orgs = map { org($_) } 1 .. 3;
emit_chain($old, 20, @orgs);
$old->safe_psql('postgres', "CREATE ROLE app; SELECT spine.grant_emitter('app', ARRAY['$orgs[0]']::uuid[]), spine.grant_auditor('app')");
my $rows = 'SELECT md5(string_agg(e::text, $$,$$ ORDER BY id)) FROM spine.events e';
my $rights = 'SELECT string_agg(b::text, $$,$$ ORDER BY b) FROM spine.role_bindings b';
my @before = (join("\n", @{ summaries_of($old) }), map { $old->safe_psql('postgres', $_) } $rows, $rights);
$old->stop;

my $bin = $old->config_data('--bindir');
my $folder = PostgreSQL::Test::Utils::tempdir;
chdir $folder or die $!;
command_ok([ 'pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir, '-b', $bin, '-B', $bin, '-s', $new->host, '-p', $old->port, '-P', $new->port ], 'pg_upgrade');
$new->start;
is_deeply([ join("\n", @{ summaries_of($new) }), map { $new->safe_psql('postgres', $_) } $rows, $rights ], \@before, 'the same chains, rows and bindings');
is($new->safe_psql('postgres', 'SELECT string_agg(guard || $$: $$ || found, $$, $$) FROM spine.verify_guards() WHERE NOT ok'), '', 'every guard is there');
is_refused($new, 'postgres', 'DELETE FROM spine.events', 'SP013', 'events are immutable');
is_refused($new, 'postgres', 'DROP EXTENSION people_os_spine', 'SP024', 'the guard is on');
is($new->safe_psql('postgres', "SET people_os_spine.environment = 'test'; SELECT count(spine.emit_event('a.b.c', entity_id => o, actor_id => o, organization_id => o)) FROM (VALUES ('$orgs[0]'::uuid)) v (o)"), 1, 'and the chain goes on');
is($new->safe_psql('postgres', 'SELECT bool_and(intact) FROM spine.verify_chain()'), 't', 'intact');
$new->stop;
done_testing;
