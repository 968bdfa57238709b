# Backups come back as they were, by every way that the server has: dumps of all kinds, one table alone, and
# logical replication. verify_chain says the same before and after, and chains go on where they ended.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Spine;

my $node = spine_node('restore', allows_streaming => 'logical');
my @orgs = map { org($_) } 1 .. 3;
my $id   = $orgs[0];
emit_chain($node, 20, @orgs);
my $emit = sub {
	my ($db, $o, $payload, %opt) = @_;
	return $opt{node} ? run_sql($opt{node}, $db, "SELECT spine.emit_event('a.b.c', entity_id => '$id', actor_id => '$id', organization_id => '$o', payload => $payload)")
	  : $node->safe_psql($db, "SELECT spine.emit_event('a.b.c', entity_id => '$id', actor_id => '$id', organization_id => '$o', payload => $payload)");
};
$node->safe_psql('postgres', 'CREATE ROLE "rôle" SUPERUSER LOGIN');
foreach my $o (@orgs)
{
	$emit->('postgres', $o, q(jsonb_build_object('bulk', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 300) i))));
	$emit->('postgres', $o, q(jsonb_build_object('bulk', repeat('abc', 9000))));
	$emit->('postgres', $o, q('{"é\u2028\t\\\\": [1.50, -0, 1e300, 12345678901234567890, null, "\"\\\\N|\b"]}'));
}
$node->safe_psql('postgres', "SELECT spine.emit_event('a.b.c', entity_id => '$id', actor_id => '$id', organization_id => '$orgs[0]', severity => 'critical', actor_type => 'pipeline')",
	connstr => $node->connstr('postgres') . ' user=rôle');
my $rows  = 'SELECT md5(string_agg(e::text, $$,$$ ORDER BY organization_id, sequence)) FROM spine.events e';
my $fixed = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET bytea_output = 'hex'; ";
my $before = join "\n", @{ summaries_of($node) };
my $content = $node->safe_psql('postgres', $fixed . $rows);
is(scalar(my @lines = $before =~ /\|true\|/g), 3, 'three chains, intact');

is($node->safe_psql('postgres', q(SELECT extconfig[1]::regclass || extcondition[1] FROM pg_extension WHERE extname = 'people_os_spine')),
	'spine.events', 'the table is marked for dumps');
my $dir = PostgreSQL::Test::Utils::tempdir();
my @connect = ('-h', $node->host, '-p', $node->port);
my $dump = sub {
	my ($name, @arguments) = @_;
	$node->command_ok([ 'pg_dump', @connect, @arguments, '-f', "$dir/$name" ], "pg_dump, $name");
	return "$dir/$name";
};
my $plain  = $dump->('plain.sql', 'postgres');
my $custom = $dump->('custom', '-Fc', 'postgres');
my $folder = $dump->('folder', '-Fd', '-j2', 'postgres');
my $data   = $dump->('data.sql', '--data-only', 'postgres');
my $table  = $dump->('table.sql', '--data-only', '-t', 'spine.events', 'postgres');
my $copies = $dump->('inserts.sql', '--data-only', '--inserts', '-t', 'spine.events', 'postgres');
like(slurp_file($plain), qr/^COPY spine\.events /m, 'a dump has the events');

# The restored database says what the first one said, and its chains go on.
sub came_back
{
	my ($db, $name, %opt) = @_;
	my $there = $opt{node} // $node;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(join("\n", @{ summaries_of($there, db => $db) }), $opt{summaries} // $before, "$name: verify_chain says the same");
	is($there->safe_psql($db, $fixed . $rows), $opt{content} // $content, "$name: every column of every row is the same");
	return if $opt{no_emit};
	is($there->safe_psql($db, 'SELECT string_agg(guard || $$: $$ || found, $$, $$) FROM spine.verify_guards() WHERE NOT ok AND guard <> $$setting fsync$$'), '', "$name: every guard is there");
	my $next = $there->safe_psql($db, "SELECT max(sequence) + 1 FROM spine.events WHERE organization_id = '$orgs[1]'");
	$there->safe_psql($db, "SET people_os_spine.environment = 'test'; SELECT spine.emit_event('a.b.after', entity_id => '$id', actor_id => '$id', organization_id => '$orgs[1]')");
	is($there->safe_psql($db, "SELECT sequence FROM spine.events WHERE action = 'after'"), $next, "$name: the chain goes on");
	is(scalar(grep { /\|false\|/ } @{ summaries_of($there, db => $db) }), $opt{faulty} // 0, "$name: and links");
	is_refused($there, $db, 'DELETE FROM spine.events', 'SP013', "$name: still immutable");
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

$node->safe_psql('postgres', "CREATE DATABASE $_ TEMPLATE template0") foreach qw(plain custom folder data tabled inserted zoned);
is(load('plain', $plain, 'plain'), '', 'plain: without a warning');
came_back('plain', 'plain');
$node->command_ok([ 'pg_restore', @connect, '--exit-on-error', '-j2', '-d', 'custom', $custom ], 'pg_restore with two jobs');
came_back('custom', 'custom, two jobs');
$node->command_ok([ 'pg_restore', @connect, '--exit-on-error', '-j2', '-d', 'folder', $folder ], 'pg_restore of a folder');
came_back('folder', 'folder');
foreach my $d ([ 'data', $data ], [ 'tabled', $table ], [ 'inserted', $copies ])
{
	$node->safe_psql($d->[0], 'CREATE EXTENSION people_os_spine');
	load($d->[0], $d->[1], $d->[0]);
	came_back($d->[0], "$d->[0], into a fresh extension");
}
$node->safe_psql('postgres', "ALTER DATABASE zoned SET TimeZone = 'Asia/Kathmandu'; ALTER DATABASE zoned SET DateStyle = 'SQL, DMY';
	ALTER DATABASE zoned SET extra_float_digits = -3; ALTER DATABASE zoned SET bytea_output = 'escape'; ALTER DATABASE zoned SET search_path = nowhere");
load('zoned', $plain, 'other settings');
came_back('zoned', 'other settings');
my $second = "$dir/zoned.sql";
$node->command_ok([ 'pg_dump', @connect, 'zoned', '-f', $second ], 'a dump of what was restored');
$node->safe_psql('postgres', 'CREATE DATABASE again TEMPLATE template0');
load('again', $second, 'restored twice');
is(join("\n", @{ summaries_of($node, db => 'again') }), join("\n", @{ summaries_of($node, db => 'zoned') }), 'restored twice: the same');

# The whole dump in another superuser's hands, of a schema that another superuser owns
$node->safe_psql('postgres', 'CREATE ROLE chief SUPERUSER LOGIN; CREATE ROLE keeper LOGIN; CREATE ROLE writer LOGIN; GRANT pg_write_all_data TO writer');
$node->safe_psql('postgres', 'CREATE DATABASE theirs TEMPLATE template0');
$node->safe_psql('theirs', 'CREATE SCHEMA spine AUTHORIZATION chief; CREATE EXTENSION people_os_spine');
load('theirs', $table, 'schema of another superuser', '-U', 'chief');
my $theirs = "$dir/theirs.sql";
$node->command_ok([ 'pg_dump', @connect, 'theirs', '-f', $theirs ], 'its dump');
$node->safe_psql('postgres', 'CREATE DATABASE theirs2 TEMPLATE template0');
load('theirs2', $theirs, 'schema of another superuser, again');
came_back('theirs2', 'schema of another superuser');

# Who may restore
$node->safe_psql('postgres', 'CREATE DATABASE owned TEMPLATE template0');
$node->safe_psql('owned', 'CREATE EXTENSION people_os_spine;' . GUARDS_OFF . 'ALTER TABLE spine.events OWNER TO keeper;' . GUARDS_ON . ' GRANT USAGE ON SCHEMA spine TO keeper, writer;
	GRANT USAGE ON TYPE spine.actor_type, spine.environment, spine.severity TO keeper, writer');
my ($out, $err);
ok(!run_log([ 'psql', '-XAtq', @connect, '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose', '-U', 'writer', '-d', 'owned', '-f', $table ], '>', \$out, '2>', \$err),
	'a role that may write all data cannot restore');
like($err, qr/ERROR:  42501:.*row-level security/, 'row security refuses its COPY');
is($node->safe_psql('owned', 'SELECT count(*) FROM spine.events'), 0, 'and nothing is stored');
load('owned', $table, 'by the owner, who is no superuser', '-U', 'keeper');
came_back('owned', 'by the owner', no_emit => 1);

# One damaged row: restored, with a warning, and reported as before
my ($altered) = $node->safe_psql('postgres', "SELECT id FROM spine.events WHERE organization_id = '$orgs[2]' AND sequence = 5");
$node->safe_psql('postgres', "CREATE DATABASE damaged TEMPLATE template0");
load('damaged', $plain, 'to be damaged');
$node->safe_psql('damaged', GUARDS_OFF . "ALTER TABLE spine.events DISABLE TRIGGER ALL; UPDATE spine.events SET payload = '{\"n\": 55}' WHERE id = '$altered';
	ALTER TABLE spine.events ENABLE ALWAYS TRIGGER zz_chain_event, ENABLE ALWAYS TRIGGER refuse_change, ENABLE ALWAYS TRIGGER refuse_row_change;" . GUARDS_ON);
my $was    = join "\n", @{ summaries_of($node, db => 'damaged') };
my $faulty = faults_of($node, db => 'damaged');
is_deeply([ map { "$_->[0] $_->[1] $_->[2] $_->[3]" } @$faulty ], ["$orgs[2] 5 $altered content_altered"], 'one event altered');
my $hurt = "$dir/damaged.sql";
$node->command_ok([ 'pg_dump', @connect, 'damaged', '-f', $hurt ], 'its dump');
$node->safe_psql('postgres', 'CREATE DATABASE damaged2 TEMPLATE template0');
my $said = load('damaged2', $hurt, 'a damaged row');
is(scalar(my @warnings = $said =~ /WARNING:  SPW01:/g), 1, 'one warning');
like($said, qr/WARNING:  SPW01: .*\Q$altered\E.*sequence 5.*\Q$orgs[2]\E/, 'that names the event');
is(join("\n", @{ summaries_of($node, db => 'damaged2') }), $was, 'a damaged row: verify_chain says the same');
is_deeply(faults_of($node, db => 'damaged2'), $faulty, 'a damaged row: so does find_chain_faults');

# A restore that was cut off and done again is no restore of twice as much
my ($row) = grep { /^INSERT INTO spine\.events/ } split /\n/, slurp_file($copies);
is_refused($node, 'plain', $row, '23505', 'restoring what is there');

# Logical replication
my $other = spine_node('subscriber', allows_streaming => 'logical');
$node->safe_psql('postgres', 'CREATE PUBLICATION p FOR TABLE spine.events');
$other->safe_psql('postgres', "CREATE SUBSCRIPTION s CONNECTION '" . $node->connstr . " dbname=postgres' PUBLICATION p");
$other->wait_for_subscription_sync($node, 's');
emit_chain($node, 3, @orgs);
$node->wait_for_catchup('s');
is(join("\n", @{ summaries_of($other) }), join("\n", @{ summaries_of($node) }), 'replicated: verify_chain says the same');
is($other->safe_psql('postgres', $fixed . $rows), $node->safe_psql('postgres', $fixed . $rows), 'replicated: the same rows');
foreach my $change ([ 'UPDATE', "UPDATE spine.events SET payload = '{}' WHERE id = '$altered'" ], [ 'DELETE', "DELETE FROM spine.events WHERE id = '$altered'" ])
{
	my ($what, $sql) = @$change;
	my $there = $other->safe_psql('postgres', $rows);
	my $from  = -s $other->logfile;
	$node->safe_psql('postgres', GUARDS_OFF . "ALTER TABLE spine.events DISABLE TRIGGER ALL; $sql; ALTER TABLE spine.events ENABLE ALWAYS TRIGGER zz_chain_event,
		ENABLE ALWAYS TRIGGER refuse_change, ENABLE ALWAYS TRIGGER refuse_row_change;" . GUARDS_ON);
	ok($other->wait_for_log(qr/ERROR:  (SP013: )?events are immutable: $what of table "events" is refused/, $from), "a replicated $what is refused");
	is($other->safe_psql('postgres', $rows), $there, "and nothing is changed by $what");
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
