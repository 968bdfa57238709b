# From an older PostgreSQL to this one: by pg_upgrade, by dump and by logical replication, a chain that was begun there is
# the same here and goes on. OLDER names the older installation, which has the extension too.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Restored;
use Spine;
use Test::More;

my @orgs  = map { org($_) } 1 .. 3;
my $older = $ENV{OLDER} // die 'OLDER must name the older installation';
my $bin   = PostgreSQL::Test::Cluster->new('probe')->config_data('--bindir');
my $preloaded = "shared_preload_libraries = people_os_spine\n";
my $dir = PostgreSQL::Test::Utils::tempdir;
chdir $dir or die $!;

sub older_node
{
	my ($name, $conf) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name, install_path => $older);
	$node->init(extra => [ '-E', 'UTF8', '--locale=C.UTF-8' ], allows_streaming => 'logical');
	$node->adjust_conf('postgresql.conf', 'autovacuum_worker_slots', undef);    # which 18's module writes for every version
	$node->append_conf('postgresql.conf', "autovacuum = off\n$conf");
	$node->start;
	spine_database($node, 'postgres');
	make_partitions($node, 'postgres');
	emit_chain($node, 20, @orgs);
	store_corner_cases($node, 'postgres', @orgs);
	return $node;
}

# As initdb makes them, but for the checksums, which are on by default from 18 on and must be as in the older cluster.
sub newer_node
{
	my ($name, $conf) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	my ($version) = `$bin/postgres --version` =~ /(\d+)/;
	$node->init(extra => [ '-E', 'UTF8', '--locale=C.UTF-8', $version >= 18 ? '--no-data-checksums' : () ]);
	$node->append_conf('postgresql.conf', "autovacuum = off\n$conf");
	return $node;
}

sub server_version
{
	my ($node) = @_;
	return $node->safe_psql('postgres', 'SHOW server_version_num') / 10000;
}

my $source = older_node('source', '');
my $before = state_of($source, 'postgres');
cmp_ok(int server_version($source), '<', 17, 'the chains begin on the older version');
is($before->{guards}, '', 'with every guard');

# Dumps, by the newer programs as the manual says, and by the older ones
foreach my $kind ([ 'newer', $bin ], [ 'older', "$older/bin" ])
{
	my ($whose, $programs) = @$kind;
	my @from = ('-h', $source->host, '-p', $source->port, 'postgres');
	command_ok([ "$programs/pg_dump", '-f', "$whose.sql", @from ], "pg_dump of the $whose version");
	command_ok([ "$programs/pg_dump", '-Fd', '-j2', '-f', "$whose.dir", @from ], "in a folder, by two jobs");
}
my $target = newer_node('target', '');
$target->start;
$target->safe_psql('postgres', 'CREATE ROLE emitter; CREATE ROLE "Reader, the 2nd"; CREATE ROLE auditor');
cmp_ok(int server_version($target), '>=', 17, 'and go on on the newer');
foreach my $whose ('newer', 'older')
{
	my @to = ('-h', $target->host, '-p', $target->port);
	foreach my $kind ([ "${whose}_plain", 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$whose.sql" ], [ "${whose}_folder", 'pg_restore', '--exit-on-error', '-j2', "$whose.dir" ])
	{
		my ($db, $program, @arguments) = @$kind;
		$target->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE template0");
		command_ok([ "$bin/$program", @to, '-d', $db, @arguments ], "$db: restored");
		is_deeply(state_of($target, $db), $before, "$db: rows, forms, heads, rights and guards are the same");
		goes_on($target, $db, $db);
	}
}

# Logical replication of the table
$source->safe_psql('postgres', 'CREATE PUBLICATION p FOR TABLE spine.events');
$target->safe_psql('postgres', 'CREATE DATABASE replica TEMPLATE template0');
spine_database($target, 'replica');
make_partitions($target, 'replica');
$target->safe_psql('replica', "CREATE SUBSCRIPTION s CONNECTION '" . $source->connstr . " dbname=postgres' PUBLICATION p");
$target->wait_for_subscription_sync($source, 's', 'replica');
emit_chain($source, 3, @orgs);
$source->wait_for_catchup('s');
my ($sent, $received) = (state_of($source, 'postgres'), state_of($target, 'replica'));
is_deeply([ @$received{qw(verify_chain rows forms guards)} ], [ @$sent{qw(verify_chain rows forms guards)} ], 'replicated: rows, forms, heads and guards are the same');
$target->safe_psql('replica', 'DROP SUBSCRIPTION s');
goes_on($target, 'replica', 'replicated');
$source->stop;
$target->stop;

# pg_upgrade
foreach my $case ([ 'copied', $preloaded, '--copy' ], [ 'linked', '', '--link' ])
{
	my ($name, $conf, $mode) = @$case;
	my $old = older_node("old_$name", $conf);
	my $was = state_of($old, 'postgres');
	$old->stop;
	my $new = newer_node("new_$name", $conf);
	command_ok([ "$bin/pg_upgrade", '--no-sync', $mode, '-d', $old->data_dir, '-D', $new->data_dir, '-b', "$older/bin", '-B', $bin,
			'-s', $new->host, '-p', $old->port, '-P', $new->port ], "pg_upgrade $mode");
	$new->start;
	is_deeply(state_of($new, 'postgres'), $was, "$name: rows, forms, heads, rights and guards are the same");
	is($new->safe_psql('postgres', 'SHOW people_os_spine.environment'), 'test', "$name: so is the environment");
	is_refused($new, 'postgres', 'DROP EXTENSION people_os_spine', 'SP024', "$name: the guard is on");
	goes_on($new, 'postgres', $name);
	$new->stop;
}
done_testing;
