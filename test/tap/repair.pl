# What docs/operations.md says to do when verify_chain reports a fault: each fault is made, found and mended that way.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Restored;
use Spine;
use Test::More;

my $node = spine_node('repair');
my @orgs = map { org($_) } 1 .. 3;
emit_chain($node, 10, @orgs);
$node->safe_psql('postgres', "CREATE ROLE app LOGIN; SELECT spine.grant_emitter('app', ARRAY['$orgs[0]']::uuid[])");
my $dir     = PostgreSQL::Test::Utils::tempdir;
my @connect = ('-h', $node->host, '-p', $node->port);
my $healthy = chains();

# The good copy: a backup, restored beside.
$node->command_ok([ 'pg_dump', @connect, '-Fc', 'postgres', '-f', "$dir/backup" ], 'a backup');
$node->safe_psql('postgres', 'CREATE DATABASE good TEMPLATE template0');
$node->command_ok([ 'pg_restore', @connect, '--exit-on-error', '-d', 'good', "$dir/backup" ], 'restored beside');

# Heads and rows.
sub chains
{
	my ($db) = @_;
	my $state = state_of($node, $db // 'postgres');
	return [ @$state{qw(verify_chain rows)} ];
}
sub faults { return join ', ', map { "$_->[3] $_->[1]" } @{ faults_of($node) } }

# COPY the events that meet a condition from one database into another.
sub copy_events
{
	my ($from, $where, $to) = @_;
	local %ENV = $node->_get_env;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(run_log([ 'psql', '-XAtq', '-d', $from, '-c', "COPY (SELECT * FROM spine.events WHERE $where) TO STDOUT (FORMAT binary)" ],
		'|', [ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $to, '-c', 'COPY spine.events FROM STDIN (FORMAT binary)' ]), "the events with $where from $from");
}

# The script that is installed with the extension; its output and its messages.
my $folder = $node->config_data('--sharedir');
chomp $folder;
sub remake
{
	my ($db, $where, $reason) = @_;
	local %ENV = $node->_get_env;
	my ($out, $err);
	my $rc = run_log([ 'psql', '-Xq', '-d', $db, (defined $reason ? ('-v', "reason=$reason") : ()), (defined $where ? ('-v', "without=$where") : ()),
		'-v', 'VERBOSITY=verbose', '-f', "$folder/extension/people_os_spine_remake.sql" ], '>', \$out, '2>', \$err);
	return ($rc, $out, $err);
}

# Whatever the extension holds besides the events, and what uses it, as text to compare.
sub surroundings
{
	my ($db) = @_;
	my %of;
	foreach my $table (split /\n/, $node->safe_psql($db, "SELECT t::regclass FROM pg_extension, unnest(extconfig) t WHERE extname = 'people_os_spine' AND t <> 'spine.events_default'::regclass"))
	{
		$of{$table} = $node->safe_psql($db, "SELECT to_jsonb(t) - 'log_cnt' FROM (SELECT * FROM $table) t ORDER BY to_jsonb(t)::text COLLATE \"C\"");
	}
	$of{rights}   = $node->safe_psql($db, 'SELECT c.oid::regclass, a.grantee::regrole, privilege_type, is_grantable FROM pg_class c, aclexplode(relacl) a WHERE relnamespace = $$spine$$::regnamespace
		UNION ALL SELECT p.oid::regprocedure, a.grantee::regrole, privilege_type, is_grantable FROM pg_proc p, aclexplode(proacl) a WHERE pronamespace = $$spine$$::regnamespace
		UNION ALL SELECT t.oid::regtype, a.grantee::regrole, privilege_type, is_grantable FROM pg_type t, aclexplode(typacl) a WHERE typnamespace = $$spine$$::regnamespace
		UNION ALL SELECT nspname, a.grantee::regrole, privilege_type, is_grantable FROM pg_namespace, aclexplode(nspacl) a WHERE nspname = $$spine$$
		UNION ALL SELECT attrelid::regclass || $$.$$ || attname, a.grantee::regrole, privilege_type, is_grantable FROM pg_attribute, aclexplode(attacl) a WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = $$spine$$::regnamespace)
		ORDER BY 1, 2, 3, 4' =~ s/(p\.oid|c\.oid|t\.oid)::(\w+)/$1::$2::text/gr);
	$of{triggers} = $node->safe_psql($db, 'SELECT tgrelid::regclass, pg_get_triggerdef(oid), tgenabled, tgparentid <> 0, obj_description(oid, $$pg_trigger$$) FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgrelid::regclass::text, tgname');
	$of{event_triggers} = $node->safe_psql($db, 'SELECT evtname, evtevent, evttags, evtfoid::regproc, evtenabled FROM pg_event_trigger ORDER BY 1');
	$of{policies} = $node->safe_psql($db, 'SELECT * FROM pg_policies ORDER BY 1, 2, 3');
	$of{indexes}  = $node->safe_psql($db, 'SELECT indexdef FROM pg_indexes WHERE schemaname = $$spine$$ ORDER BY 1');
	$of{publications} = $node->safe_psql($db, 'SELECT * FROM pg_publication_tables ORDER BY 1, 2, 3');
	$of{guards}   = $node->safe_psql($db, 'SELECT guard, found FROM spine.verify_guards() WHERE NOT ok AND guard <> $$setting fsync$$');
	return \%of;
}

# Missing events are put back as they were.
tamper($node, 'postgres', "DELETE FROM spine.events WHERE organization_id = '$orgs[1]' AND sequence BETWEEN 4 AND 6");
is(faults(), 'event_missing 4', 'event_missing');
copy_events('good', "organization_id = '$orgs[1]' AND sequence BETWEEN 4 AND 6", 'postgres');
is_deeply(chains(), $healthy, 'event_missing: as before');

# A tail that was cut off is no fault, and the heads that were kept outside tell. Put back likewise.
tamper($node, 'postgres', "DELETE FROM spine.events WHERE organization_id = '$orgs[2]' AND sequence > 8");
is(faults(), '', 'a tail that was cut off is no fault');
isnt(chains()->[0], $healthy->[0], 'and its head is not the one that was kept');
copy_events('good', "organization_id = '$orgs[2]' AND sequence > 8", 'postgres');
is_deeply(chains(), $healthy, 'tail: as before');

# All else stands in the way of the good row, and nothing that is stored can be removed: the extension is made anew
# from what is good.
my %of = (
	content_altered  => "UPDATE spine.events SET payload = '{}' WHERE organization_id = '$orgs[0]' AND sequence = 3",
	link_broken      => "UPDATE spine.events SET previous_hash = sha256('x') WHERE organization_id = '$orgs[0]' AND sequence = 3",
	order_violated   => qq(UPDATE spine.events SET "timestamp" = '2001-01-01' WHERE organization_id = '$orgs[0]' AND sequence = 3),
	malformed        => "ALTER TABLE spine.events DROP CONSTRAINT events_event_type_check; UPDATE spine.events SET event_type = 'a.b.c' WHERE organization_id = '$orgs[0]' AND sequence = 3");
# A row of each table of the extension's, captured tables, tables under the rule, and whatever hangs on spine.events.
$node->safe_psql('postgres', <<SQL);
SELECT spine.register_event_type('hcm.employee.hired', 'Somebody came', 'high'), spine.register_event_type('hcm.employee.created', 'Not the words of the spine', 'medium');
CREATE ROLE consumer LOGIN; CREATE ROLE auditor LOGIN;
SELECT spine.grant_reader('consumer', ARRAY['$orgs[1]']::uuid[]), spine.grant_auditor('auditor');
GRANT SELECT (id, organization_id) ON spine.events TO app;
GRANT SELECT ON spine.daily_counts TO app WITH GRANT OPTION;
REVOKE EXECUTE ON FUNCTION spine.next_batch FROM consumer;
SELECT spine.create_subscription('all', redeliver_after => '1 day 02:03:04'), spine.create_subscription('some', organizations => ARRAY['$orgs[1]']::uuid[]);
SELECT count(*) FROM spine.next_batch('all', 7);
SELECT spine.refresh_dashboards();
SELECT count(*) FROM spine.record_verification();
CREATE TABLE employee (id uuid PRIMARY KEY, org uuid, salary numeric);
CREATE TABLE parted (id uuid, org uuid, n int) PARTITION BY RANGE (n);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE "Held, \\d" (id uuid PRIMARY KEY, org uuid);
SELECT spine.capture_changes('employee', 'hcm', 'employee', 'id', 'org', mask => ARRAY['salary']::name[]),
       spine.capture_changes('parted', 'hcm', 'part', 'id', 'org');
SELECT spine.require_events('"Held, \\d"', 'id');
SELECT spine.capture_migrations();
SELECT format('ALTER TABLE employee ENABLE ALWAYS TRIGGER %I', tgname) FROM pg_trigger WHERE tgrelid = 'employee'::regclass LIMIT 1 \\gexec
SET people_os_spine.actor_id = '$orgs[0]';
INSERT INTO employee VALUES ('$orgs[0]', '$orgs[0]', 5);
INSERT INTO parted VALUES ('$orgs[0]', '$orgs[0]', 5);
CREATE INDEX mine ON spine.events (actor_id, "timestamp");
CREATE PUBLICATION part FOR TABLE spine.events (id, organization_id, sequence, event_type) WHERE (organization_id = '$orgs[1]') WITH (publish = 'insert', publish_via_partition_root = true);
SQL
is_allowed($node, 'postgres', UNGUARD . 'CREATE POLICY mine ON spine.events AS RESTRICTIVE FOR SELECT TO app USING (sequence > 0)', 'a policy of somebody');

# The script refuses what it cannot do, and then nothing has changed.
my $as_ever = surroundings('postgres');
foreach my $case ([ 'no reason', 'false', undef, qr/no reason is given/ ], [ 'no condition', 'nonsense', 'a test', qr/column "nonsense" does not exist/ ],
	[ 'a view of somebody', 'false', 'a test', qr/2BP01.*view public\.my_events depends on/s, 'CREATE VIEW my_events AS SELECT * FROM spine.events', 'DROP VIEW my_events' ])
{
	my ($name, $where, $reason, $says, $before, $after) = @$case;
	$node->safe_psql('postgres', $before) if $before;
	my $chains = chains();
	my ($rc, $out, $err) = remake('postgres', $where, $reason);
	ok(!$rc, "$name: refused");
	like($err, $says, "$name: and says so");
	is_deeply(chains(), $chains, "$name: the chains are the same");
	$node->safe_psql('postgres', $after) if $after;
	is_deeply(surroundings('postgres'), $as_ever, "$name: all else too");
}
$healthy = chains();
$node->safe_psql('postgres', 'DROP DATABASE good');
$node->command_ok([ 'pg_dump', @connect, '-Fc', 'postgres', '-f', "$dir/later" ], 'a later backup');
$node->safe_psql('postgres', 'CREATE DATABASE good TEMPLATE template0');
$node->command_ok([ 'pg_restore', @connect, '--exit-on-error', '-d', 'good', "$dir/later" ], 'restored beside');

# No setting of either side makes other moments of the events'.
my @styles = ('SQL, DMY', 'Postgres, MDY', 'German', 'ISO, YMD');
my $round = 0;
sub tenants_rows { return $node->safe_psql($_[0], "SELECT md5(string_agg(spine.canonical_event(e), ',' ORDER BY organization_id, sequence)) FROM spine.events e WHERE organization_id <> '00000000-0000-0000-0000-000000000000'") }
my $tenants = tenants_rows('postgres');
foreach my $fault (sort keys %of)
{
	my ($there, $here) = @styles[ $round % 4, ($round + 1) % 4 ];
	$round++;
	$node->safe_psql('postgres', "ALTER DATABASE good SET DateStyle = '$there'; ALTER DATABASE good SET TimeZone = 'Australia/Sydney'; ALTER DATABASE postgres SET DateStyle = '$here';
		ALTER DATABASE postgres SET TimeZone = 'America/New_York'; ALTER DATABASE postgres SET IntervalStyle = 'sql_standard'; ALTER DATABASE postgres SET extra_float_digits = -3");
	my $around = surroundings('postgres');
	tamper($node, 'postgres', $of{$fault});
	like(faults(), qr/\b$fault 3\b/, "$fault is found");
	my $bad = "organization_id = '$orgs[0]' AND sequence = 3";
	$node->command_ok([ 'pg_dump', @connect, '-Fc', 'postgres', '-f', "$dir/evidence.$fault" ], "$fault: the evidence");
	my ($rc, $out, $err) = remake('postgres', $bad, "incident $round");
	ok($rc, "$fault: the extension made anew") or diag($err);
	unlike($err, qr/WARNING|ERROR/, "$fault: without a warning");
	is(faults(), 'event_missing 3', "$fault: what was left out is missing");
	copy_events('good', $bad, 'postgres');
	is(faults(), '', "$fault: mended");
	is(tenants_rows('postgres'), $tenants, "$fault: each organization's events are as before");
	is_deeply(surroundings('postgres'), $around, "$fault: and so is all else");
	is($node->safe_psql('postgres', "SELECT payload->>'reason', payload->'left_out'->0->>'sequence' FROM spine.events WHERE event_type = 'platform.spine.remade' ORDER BY sequence DESC LIMIT 1"), "incident $round|3", "$fault: recorded");
}
# What was captured is, and what is required.
my $captured = "SELECT count(*) FROM spine.events WHERE domain = 'hcm'";
my $count    = $node->safe_psql('postgres', $captured);
is_allowed($node, 'postgres', "SET people_os_spine.actor_id = '$orgs[0]'; UPDATE employee SET salary = 6; UPDATE parted SET n = 6", 'captured tables are written to');
is($node->safe_psql('postgres', $captured), $count + 2, 'and are captured');
is_refused($node, 'postgres', qq(INSERT INTO "Held, \\d" VALUES ('$orgs[0]', '$orgs[0]')), 'SP028', 'the rule holds');
$node->safe_psql('postgres', "ALTER DATABASE postgres RESET DateStyle; ALTER DATABASE postgres RESET TimeZone; ALTER DATABASE good RESET DateStyle; ALTER DATABASE good RESET TimeZone;
	SELECT spine.stop_capturing_migrations()");
$healthy = chains();

# Where the index is gone too, nothing can be chained, not even the record of what the guard would let through. Then it
# is the database that is made anew: all but the events from its dump, and these from what is good.
tamper($node, 'postgres', "ALTER TABLE spine.events DROP CONSTRAINT events_pkey;
	INSERT INTO spine.events SELECT (jsonb_populate_record(e, jsonb_build_object('id', gen_random_uuid()))).* FROM spine.events e WHERE organization_id = '$orgs[0]' AND sequence = 3");
like(faults(), qr/\bevent_duplicated 3\b/, 'event_duplicated is found');
is_refused($node, 'postgres', UNGUARD . 'DROP EXTENSION people_os_spine CASCADE', 'SP018', 'the extension cannot be dropped');
$node->safe_psql('postgres', 'CREATE DATABASE anew TEMPLATE template0');
ok(run_log([ 'pg_dump', @connect, '--exclude-table-data=spine.events_[d0-9]*', 'postgres' ], '|', [ 'psql', '-XAtq', @connect, '-v', 'ON_ERROR_STOP=1', '-d', 'anew' ], '>', \my $out), 'all but the events');
copy_events('postgres', "NOT (organization_id = '$orgs[0]' AND sequence = 3)", 'anew');
copy_events('good', "organization_id = '$orgs[0]' AND sequence = 3", 'anew');
is_deeply(chains('anew'), $healthy, 'event_duplicated: as before');
my $bindings = 'SELECT b FROM spine.role_bindings b ORDER BY b::text COLLATE "C"';
is($node->safe_psql('anew', $bindings), $node->safe_psql('postgres', $bindings), 'with the bindings');
is(state_of($node, 'anew')->{guards}, '', 'every guard is there');
$node->stop;
done_testing;
