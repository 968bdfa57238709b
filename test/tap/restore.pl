# Backups come back as they were, by every way that the server has: dumps of all kinds, one table alone, and
# logical replication. verify_chain says the same before and after, and chains go on where they ended.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Restored;
use Spine;

my $node = spine_node('restore', allows_streaming => 'logical');
make_partitions($node, 'postgres');
my @orgs = map { org($_) } 1 .. 3;
my $id   = $orgs[0];
emit_chain($node, 20, @orgs);
store_corner_cases($node, 'postgres', @orgs);
$node->safe_psql('postgres', 'CREATE ROLE "rôle" SUPERUSER LOGIN');
$node->safe_psql('postgres', "SELECT spine.emit_event('a.b.c', entity_id => '$id', actor_id => '$id', organization_id => '$orgs[0]', severity => 'critical', actor_type => 'pipeline')",
	connstr => $node->connstr('postgres') . ' user=rôle');
my $before = state_of($node, 'postgres');
is(scalar(my @lines = $before->{verify_chain} =~ /\|true\|/g), 6, 'six chains, intact, one of them the platform\'s');
like($before->{bindings}, qr/"Reader, the 2nd""",read,.*auditor,audit,.*emitter,emit,/s, 'with bindings');
cmp_ok(scalar(my @rights = split /\n/, $before->{rights}), '>', 10, 'and rights');
is($before->{guards}, '', 'and every guard');
like($before->{partitions}, qr/^events_00010101\|.*\|3\nevents_20200101_0000\|.*\nevents_default\|DEFAULT\|.*\|1$/, 'in partitions of the past, of now and of whatever else');
like($before->{types}, qr/^\(a\.b\.c,.*,high,f\)\n.*,medium,f\)\n(.*,t\)(\n|$)){4,}$/, 'and types of events: own ones, and those that are built in');

is($node->safe_psql('postgres', q(SELECT extconfig[1]::regclass || extcondition[1] FROM pg_extension WHERE extname = 'people_os_spine')),
	'spine.events_default', 'the default partition is marked for dumps');
my $dir = PostgreSQL::Test::Utils::tempdir();
my @connect = ('-h', $node->host, '-p', $node->port);
my $dump = sub {
	my ($name, @arguments) = @_;
	# The first event of the year 1 lies before Christ there, with an offset that has seconds.
	local $ENV{PGTZ} = 'America/New_York';
	$node->command_ok([ 'pg_dump', @connect, @arguments, '-f', "$dir/$name" ], "pg_dump, $name");
	return "$dir/$name";
};

# The restored database says what the first one said, and its chains go on. What a dump does not hold is left out.
sub came_back
{
	my ($db, $name, %opt) = @_;
	my $there = $opt{node} // $node;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my %want = %{ $opt{state} // $before };
	my $got  = state_of($there, $db);
	delete @$_{ @{ $opt{without} // [] } } foreach \%want, $got;
	is_deeply($got, \%want, "$name: rows, forms, heads and rights are the same");
	goes_on($there, $db, $name) unless $opt{no_emit};
	return;
}

sub load
{
	my ($db, $file, $name, @arguments) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($out, $err);
	my $rc = run_log([ 'psql', '-XAtq', @connect, '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose', @arguments, '-d', $db, '-f', $file ], '>', \$out, '2>', \$err);
	ok($rc, "$name: restored") or diag($err);
	return $err;
}

sub fresh
{
	my ($db, $options) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE template0 " . ($options // ''));
	return $db;
}

# Whole databases
my $plain = $dump->('plain.sql', 'postgres');
like(slurp_file($plain), qr/^COPY spine\.events_20200101_0000 .*^COPY spine\.events_default /ms, 'a dump has the events');
is(load(fresh('plain'), $plain, 'plain'), '', 'plain: without a warning');
came_back('plain', 'plain');
load(fresh('inserted'), $dump->('inserts.sql', '--rows-per-insert=7', 'postgres'), 'as INSERTs');
came_back('inserted', 'as INSERTs');
foreach my $kind ([ 'custom', '-Fc' ], [ 'folder', '-Fd', '-j2' ], [ 'tar', '-Ft' ])
{
	my ($name, @arguments) = @$kind;
	my $file = $dump->($name, @arguments, 'postgres');
	$node->command_ok([ 'pg_restore', @connect, '--exit-on-error', ($name eq 'tar' ? () : '-j2'), '-d', fresh($name), $file ], "pg_restore, $name");
	came_back($name, $name);
}

# In parts, one after the other
my @parts = map { [ $_, $dump->("$_.sql", "--section=$_", 'postgres') ] } qw(pre-data data post-data);
fresh('parts');
load('parts', $_->[1], "section $_->[0]") foreach @parts;
came_back('parts', 'in sections');
load(fresh('data_only'), $parts[0][1], 'definitions');
load('data_only', $dump->('only.sql', '--data-only', 'postgres'), 'data alone');
came_back('data_only', 'definitions, then data alone', without => ['rights']);
load(fresh('one_schema'), $dump->('one_schema.sql', '-n', 'spine', '-e', 'people_os_spine', 'postgres'), 'one schema');
came_back('one_schema', 'one schema');
load(fresh('through_root'), $dump->('through_root.sql', '--load-via-partition-root', 'postgres'), 'through the table');
came_back('through_root', 'through the table');

# A dump of the partitions attaches them to the table of a fresh extension, and needs no definition of theirs there. Without -e
# pg_dump does not look for the parent of the default partition, a member, and breaks off.
my @events = ('-e', 'people_os_spine', '-t', 'spine.events*', '--exclude-table-data=spine.event_types', '--exclude-table-data=spine.[a-df-z]*');
$node->safe_psql(fresh('tables'), 'CREATE EXTENSION people_os_spine');
load('tables', $dump->('tables.sql', @events, 'postgres'), 'the tables');
came_back('tables', 'the tables', without => [ 'rights', 'bindings', 'types' ]);

# Data alone, into a fresh extension with the same partitions
my $table = $dump->('table.sql', '--data-only', @events, 'postgres');
my $copies = $dump->('row.sql', '--data-only', '--inserts', @events, 'postgres');
foreach my $kind (
	[ 'data', [], '--data-only' ], [ 'schema', [], '-n', 'spine', '-e', 'people_os_spine', '--data-only' ],
	[ 'tabled', [ 'bindings', 'types' ], '--data-only', @events ], [ 'columned', [ 'bindings', 'types' ], '--data-only', '--column-inserts', '--on-conflict-do-nothing', @events ])
{
	my ($name, $without, @arguments) = @$kind;
	$node->safe_psql(fresh($name), 'CREATE EXTENSION people_os_spine');
	make_partitions($node, $name);
	load($name, $dump->("$name.sql", @arguments, 'postgres'), $name);
	came_back($name, "$name, into a fresh extension", without => [ 'rights', @$without ]);
}
$node->safe_psql(fresh('jobs'), 'CREATE EXTENSION people_os_spine');
make_partitions($node, 'jobs');
$node->command_ok([ 'pg_restore', @connect, '--exit-on-error', '--data-only', '-j2', '-d', 'jobs', "$dir/custom" ], 'pg_restore of the data alone, two jobs');
came_back('jobs', 'data alone, two jobs', without => ['rights']);
$node->safe_psql(fresh('binary_copy'), 'CREATE EXTENSION people_os_spine');
make_partitions($node, 'binary_copy');
$node->safe_psql('postgres', "COPY (SELECT * FROM spine.events) TO '$dir/binary' (FORMAT binary)");
$node->safe_psql('binary_copy', "COPY spine.events FROM '$dir/binary' (FORMAT binary)");
came_back('binary_copy', 'COPY in binary', without => [ 'rights', 'bindings', 'types' ]);

# Databases of another kind
load(fresh('turkish', "LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR' LOCALE 'C.UTF-8'"), $plain, 'an ICU locale');
came_back('turkish', 'an ICU locale');
load(fresh('c_locale', "LOCALE 'C'"), $plain, 'the locale C');
came_back('c_locale', 'the locale C');
fresh('zoned');
$node->safe_psql('postgres', "ALTER DATABASE zoned SET TimeZone = 'Asia/Kathmandu'; ALTER DATABASE zoned SET DateStyle = 'SQL, DMY';
	ALTER DATABASE zoned SET IntervalStyle = 'sql_standard'; ALTER DATABASE zoned SET extra_float_digits = -3; ALTER DATABASE zoned SET bytea_output = 'escape';
	ALTER DATABASE zoned SET search_path = nowhere; ALTER DATABASE zoned SET default_transaction_isolation = 'serializable'");
load('zoned', $plain, 'other settings');
came_back('zoned', 'other settings');

# With -C the database's settings come along, and so its environment; twice restored is as good as once.
$node->safe_psql('postgres', "ALTER DATABASE zoned SET people_os_spine.environment = 'test'; ALTER ROLE emitter IN DATABASE zoned SET people_os_spine.chain_at = 'commit'");
my $settings = q(SELECT coalesce(r.rolname, '-'), c FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase LEFT JOIN pg_roles r ON r.oid = setrole, unnest(setconfig) c
	WHERE datname = 'zoned' ORDER BY 1, 2);
my $set   = $node->safe_psql('postgres', $settings);
my $twice = state_of($node, 'zoned');
my $whole = $dump->('whole.sql', '-C', 'zoned');
my $clean = $dump->('clean.sql', '--clean', '--if-exists', 'zoned');
$node->safe_psql('postgres', 'ALTER DATABASE zoned RENAME TO zoned_before');
load('postgres', $whole, 'with its settings');
is($node->safe_psql('postgres', $settings), $set, 'with its settings: they are there');
like($set, qr/^-\|people_os_spine\.environment=test\n.*^emitter\|people_os_spine\.chain_at=commit/sm, 'and among them the environment');
is_allowed($node, 'zoned', "SELECT spine.emit_event('a.b.c', entity_id => '$id', actor_id => '$id', organization_id => '" . org(4) . "')", 'with its settings: one emits at once');
$node->safe_psql('postgres', 'DROP DATABASE zoned');
load('postgres', $whole, 'with its settings, again');
came_back('zoned', 'with its settings', state => $twice);

# A restore that would begin by dropping what is there is refused, and loses nothing.
my $kept = state_of($node, 'zoned_before');
ok(!run_log([ 'psql', '-XAtq', @connect, '-v', 'ON_ERROR_STOP=1', '-d', 'zoned_before', '-f', $clean ]), 'a dump with --clean is refused');
is_deeply(state_of($node, 'zoned_before'), $kept, 'and nothing is lost');

# A whole cluster
my $other = PostgreSQL::Test::Cluster->new('subscriber');
$other->init(extra => [ '-E', 'UTF8', '--locale=C.UTF-8' ], allows_streaming => 'logical');
$other->append_conf('postgresql.conf', 'autovacuum = off');
$other->start;
$node->command_ok([ 'pg_dumpall', @connect, '-f', "$dir/all.sql" ], 'pg_dumpall');
my ($said_out, $said_err);
run_log([ 'psql', '-XAtq', '-h', $other->host, '-p', $other->port, '-d', 'postgres', '-f', "$dir/all.sql" ], '>', \$said_out, '2>', \$said_err);
my ($user) = $node->safe_psql('postgres', 'SELECT current_user');
is(join("\n", grep { /ERROR|WARNING|FATAL/ && !/role "\Q$user\E" already exists/ } split /\n/, $said_err), '', 'a whole cluster: restored');
came_back('postgres', 'a whole cluster', node => $other);
is($other->safe_psql('postgres', $settings), $set, 'a whole cluster: with the settings of its databases');

# The whole dump in another superuser's hands, of a schema that another superuser owns
$node->safe_psql('postgres', 'CREATE ROLE chief SUPERUSER LOGIN; CREATE ROLE keeper LOGIN; CREATE ROLE writer LOGIN; GRANT pg_write_all_data TO writer');
$node->safe_psql('postgres', 'CREATE DATABASE theirs TEMPLATE template0');
$node->safe_psql('theirs', 'CREATE SCHEMA spine AUTHORIZATION chief; CREATE EXTENSION people_os_spine');
make_partitions($node, 'theirs');
load('theirs', $table, 'schema of another superuser', '-U', 'chief');
my $theirs = "$dir/theirs.sql";
$node->command_ok([ 'pg_dump', @connect, 'theirs', '-f', $theirs ], 'its dump');
$node->safe_psql('postgres', 'CREATE DATABASE theirs2 TEMPLATE template0');
load('theirs2', $theirs, 'schema of another superuser, again');
came_back('theirs2', 'schema of another superuser', without => [ 'rights', 'bindings', 'types' ]);

# Who may restore
$node->safe_psql('postgres', 'CREATE DATABASE owned TEMPLATE template0');
$node->safe_psql('owned', 'CREATE EXTENSION people_os_spine');
make_partitions($node, 'owned');
$node->safe_psql('owned', GUARDS_OFF . join('', map { "ALTER TABLE spine.$_ OWNER TO keeper;" } qw(events events_default events_00010101 events_20200101_0000)) . GUARDS_ON . ' GRANT USAGE ON SCHEMA spine TO keeper, writer;
	GRANT USAGE ON TYPE spine.actor_type, spine.environment, spine.severity TO keeper, writer');
my ($out, $err);
ok(!run_log([ 'psql', '-XAtq', @connect, '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose', '-U', 'writer', '-d', 'owned', '-f', $table ], '>', \$out, '2>', \$err),
	'a role that may write all data cannot restore');
like($err, qr/ERROR:  42501:.*row-level security/, 'row security refuses its COPY');
is($node->safe_psql('owned', 'SELECT count(*) FROM spine.events'), 0, 'and nothing is stored');
load('owned', $table, 'by the owner, who is no superuser', '-U', 'keeper');
came_back('owned', 'by the owner', no_emit => 1, without => [ 'rights', 'bindings', 'types', 'guards' ]);

# One damaged row: restored, with a warning, and reported as before
my ($altered) = $node->safe_psql('postgres', "SELECT id FROM spine.events WHERE organization_id = '$orgs[2]' AND sequence = 5");
$node->safe_psql('postgres', "CREATE DATABASE damaged TEMPLATE template0");
load('damaged', $plain, 'to be damaged');
tamper($node, 'damaged', "UPDATE spine.events SET payload = '{\"n\": 55}' WHERE id = '$altered'");
my $was    = join "\n", @{ summaries_of($node, db => 'damaged') };
my $faulty = faults_of($node, db => 'damaged');
is_deeply([ map { "$_->[0] $_->[1] $_->[2] $_->[3]" } @$faulty ], ["$orgs[2] 5 $altered content_altered"], 'one event altered');
my $hurt = "$dir/damaged.sql";
$node->command_ok([ 'pg_dump', @connect, 'damaged', '-f', $hurt ], 'its dump');
$node->safe_psql('postgres', 'CREATE DATABASE damaged2 TEMPLATE template0');
my $said = load('damaged2', $hurt, 'a damaged row');
is(scalar(my @warnings = $said =~ /WARNING:  SPW01:/g), 1, 'one warning');
like($said, qr/WARNING:  SPW01: .*\Q$altered\E.*sequence 5.*\Q$orgs[2]\E/, 'that names the event');
like($said, qr/SPW01: 1 restored event does not/, 'and is one');
is(join("\n", @{ summaries_of($node, db => 'damaged2') }), $was, 'a damaged row: verify_chain says the same');
is_deeply(faults_of($node, db => 'damaged2'), $faulty, 'a damaged row: so does find_chain_faults');

# Many such rows are one warning a transaction, and what was rolled back is none of them. As text, under another DateStyle,
# every timestamp of the first twelve days of a month is read as another.
$node->safe_psql(fresh('moved'), "CREATE EXTENSION people_os_spine");
my $moved = "$dir/moved.sql";
$node->safe_psql('postgres', "SET DateStyle = 'SQL, DMY'; SET TimeZone = 'UTC'; COPY (SELECT * FROM spine.events WHERE organization_id = '$orgs[0]' AND sequence > 2) TO '$dir/moved.events'");
my $elsewhere = slurp_file("$dir/moved.events");
$elsewhere =~ s{(\t)\d\d/\d\d/(\d{4} \d\d:\d\d)}{${1}03/04/$2}g;
put_file("$dir/moved.events", $elsewhere);
my $lines = () = $elsewhere =~ /\n/g;
put_file($moved, "SET DateStyle = 'SQL, MDY'; SET TimeZone = 'UTC'; BEGIN; SAVEPOINT s; COPY spine.events FROM '$dir/moved.events'; ROLLBACK TO s;
	SAVEPOINT t; COPY spine.events FROM '$dir/moved.events'; RELEASE t; COMMIT; BEGIN; SAVEPOINT s; SELECT 1; ROLLBACK;\n");
$said = load('moved', $moved, 'moved timestamps');
is(scalar(@warnings = $said =~ /WARNING:  SPW01:/g), 1, 'moved timestamps: one warning');
like($said, qr/SPW01: $lines restored events do not reproduce their hashes; the first is event \S+, sequence 3 of organization \Q$orgs[0]\E\nHINT:  .*DateStyle/, 'that counts them and says the likely cause');

# A restore that was cut off and done again is no restore of twice as much
my ($row) = grep { /^INSERT INTO spine\.events/ } split /\n/, slurp_file($copies);
is_refused($node, 'plain', $row, '23505', 'restoring what is there');

# Logical replication
$other->safe_psql('postgres', UNGUARD . 'DROP EXTENSION people_os_spine; CREATE EXTENSION people_os_spine');
make_partitions($other, 'postgres');
$node->safe_psql('postgres', 'CREATE PUBLICATION p FOR TABLE spine.events');
$other->safe_psql('postgres', "CREATE SUBSCRIPTION s CONNECTION '" . $node->connstr . " dbname=postgres' PUBLICATION p");
$other->wait_for_subscription_sync($node, 's');
emit_chain($node, 3, @orgs);
$node->wait_for_catchup('s');
my %sent     = %{ state_of($node, 'postgres') };
my %received = %{ state_of($other, 'postgres') };
is_deeply([ @received{qw(verify_chain rows forms partitions places guards)} ], [ @sent{qw(verify_chain rows forms partitions places guards)} ],
	'replicated: the same rows, forms, heads, partitions and guards');
# As the table that it is, whatever its partitions are over there
$other->safe_psql('postgres', 'CREATE DATABASE as_one TEMPLATE template0');
spine_database($other, 'as_one');
$node->safe_psql('postgres', 'CREATE PUBLICATION as_one FOR TABLE spine.events WITH (publish_via_partition_root = true)');
$other->safe_psql('as_one', "CREATE SUBSCRIPTION as_one CONNECTION '" . $node->connstr . " dbname=postgres' PUBLICATION as_one");
$other->wait_for_subscription_sync($node, 'as_one', 'as_one');
emit_chain($node, 3, @orgs);
$node->wait_for_catchup($_) foreach 's', 'as_one';
%sent     = %{ state_of($node, 'postgres') };
%received = %{ state_of($other, 'as_one') };
is_deeply([ @received{qw(verify_chain rows forms guards)} ], [ @sent{qw(verify_chain rows forms guards)} ], 'replicated as one table: the same rows, forms, heads and guards');
like($received{partitions}, qr/^events_default\|[^\n]*$/, 'which lie in one partition there');
$other->safe_psql('as_one', 'DROP SUBSCRIPTION as_one');
goes_on($other, 'as_one', 'replicated as one table');
foreach my $change ([ 'UPDATE', "UPDATE spine.events SET payload = '{}' WHERE id = '$altered'" ], [ 'DELETE', "DELETE FROM spine.events WHERE id = '$altered'" ])
{
	my ($what, $sql) = @$change;
	my $there = state_of($other, 'postgres');
	my $from  = -s $other->logfile;
	tamper($node, 'postgres', $sql);
	ok($other->wait_for_log(qr/ERROR:  (SP013: )?events are immutable: $what of table "events_20200101_0000" is refused/, $from), "a replicated $what is refused");
	is_deeply(state_of($other, 'postgres'), $there, "and nothing is changed by $what");
	# Skip the change, which the subscriber would try for ever.
	$other->safe_psql('postgres', "ALTER SUBSCRIPTION s DISABLE; ALTER SUBSCRIPTION s SET (slot_name = NONE); DROP SUBSCRIPTION s");
	$node->poll_query_until('postgres', "SELECT NOT active FROM pg_replication_slots WHERE slot_name = 's'");
	$node->safe_psql('postgres', "SELECT pg_drop_replication_slot('s')");
	last if $what eq 'DELETE';
	$other->safe_psql('postgres', "CREATE SUBSCRIPTION s CONNECTION '" . $node->connstr . " dbname=postgres' PUBLICATION p WITH (copy_data = false)");
}
is(scalar(grep { /\|false\|/ } @{ summaries_of($other) }), 0, 'the subscriber has whole chains');
is(scalar(grep { /\|false\|/ } @{ summaries_of($node) }), 1, 'the publisher has not');
$other->stop;
$node->stop;
done_testing;
