# Who may do what: app has EXECUTE on emit_event and nothing else, writer is in pg_write_all_data, direct may INSERT.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Spine;

my $node = spine_node('privileges');
my $o    = org(1);
my $arguments = "'a.b.c', entity_id => '$o', actor_id => '$o', organization_id => '$o'";
my $emit = "SELECT spine.emit_event($arguments)";
$node->safe_psql('postgres', <<SQL);
CREATE ROLE nobody LOGIN; CREATE ROLE app LOGIN; CREATE ROLE app2 LOGIN; CREATE ROLE writer LOGIN; CREATE ROLE direct LOGIN; CREATE ROLE auditor LOGIN; CREATE ROLE unbound LOGIN;
GRANT USAGE ON SCHEMA spine TO app, app2, direct;
SET people_os_spine.environment = 'test';
GRANT EXECUTE ON FUNCTION spine.emit_event TO app, app2, unbound;
GRANT USAGE ON SCHEMA spine TO unbound;
INSERT INTO spine.role_bindings VALUES ('app', 'emit', '$o'), ('app2', 'emit', '$o'), ('direct', 'emit', '$o');
GRANT pg_write_all_data, pg_read_all_data TO writer;
GRANT USAGE ON SCHEMA spine TO writer; GRANT EXECUTE ON FUNCTION spine.may_read TO writer;
GRANT INSERT ON spine.events TO direct;
SELECT spine.grant_auditor('auditor');
GRANT CREATE, USAGE ON SCHEMA public TO app; GRANT TEMPORARY ON DATABASE postgres TO app;
SQL

# Nobody
is_refused($node, 'postgres', $emit, '42501', 'a role without a grant does not emit', role => 'nobody');
is_refused($node, 'postgres', 'SELECT count(*) FROM spine.events', '42501', 'nor read', role => 'nobody');
is_refused($node, 'postgres', q(SELECT 'low'::spine.severity), '42501', 'nor name a type', role => 'nobody');

is_refused($node, 'postgres', $emit, '42501', 'EXECUTE without a binding emits nothing', role => 'unbound', hint => "grant_emitter\\('unbound'");
is_refused($node, 'postgres', "INSERT INTO spine.events (event_type, entity_id, actor_id, organization_id) VALUES ('a.b.c', '$o', '$o', '$o')", '42501', 'nor does what pg_write_all_data gives', role => 'writer',
	hint => 'grant_emitter');

# app
is_allowed($node, 'postgres', $emit, 'app emits', role => 'app');
my %denied = (
	read                => 'SELECT count(*) FROM spine.events',
	insert              => "INSERT INTO spine.events (event_type, entity_id, actor_id, organization_id) VALUES ('a.b.c', '$o', '$o', '$o')",
	update              => 'UPDATE spine.events SET sequence = 1',
	delete              => 'DELETE FROM spine.events',
	truncate            => 'TRUNCATE spine.events',
	copy                => 'COPY spine.events TO STDOUT',
	lock                => 'BEGIN; LOCK TABLE spine.events IN SHARE MODE',
	verify              => 'SELECT spine.verify_chain()',
	'find faults'       => 'SELECT spine.find_chain_faults()',
	'emit in batches'   => "SELECT spine.emit_events('[]')",
	'canonical json'    => "SELECT spine.canonical_json('{}')",
	'canonical event'   => q(SELECT spine.canonical_event(jsonb_populate_record(NULL::spine.events, '{}'))),
	digest              => q(SELECT spine.event_digest(jsonb_populate_record(NULL::spine.events, '{}'))),
	'CloudEvents'       => q(SELECT spine.to_cloudevent(jsonb_populate_record(NULL::spine.events, '{}'))),
	'entity uuid'       => "SELECT spine.entity_uuid('a', 'b', 'c')",
	'create there'      => 'CREATE TABLE spine.t ()',
	'attach the chain'  => 'CREATE TEMP TABLE t (LIKE pg_class); CREATE TRIGGER z BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION spine.chain_event()',
	'attach the guard'  => 'CREATE TEMP TABLE t (LIKE pg_class); CREATE TRIGGER z BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION spine.refuse_change()',
	'refer to it'       => 'CREATE TABLE t (o uuid, s bigint, t timestamptz, FOREIGN KEY (o, s, t) REFERENCES spine.events)',
	'disable triggers'  => 'ALTER TABLE spine.events DISABLE TRIGGER ALL',
	'give itself rights' => "INSERT INTO spine.role_bindings VALUES ('app', 'read', NULL)",
	'read the bindings' => 'SELECT * FROM spine.role_bindings',
	'grant itself more' => "SELECT spine.grant_reader('app')",
	'disable row security' => 'ALTER TABLE spine.events DISABLE ROW LEVEL SECURITY',
	'set environment'   => "SET people_os_spine.environment = 'dev'",
	'set payload size'  => 'SET people_os_spine.max_payload_size = 1024',
	'set durability'    => 'SET people_os_spine.require_durable_commit = off',
	'replication role'  => 'SET session_replication_role = replica');
is_refused($node, 'postgres', "$emit; $denied{$_}", '42501', "app does not: $_", role => 'app') foreach sort keys %denied;
is_refused($node, 'postgres', 'CREATE TRIGGER z BEFORE INSERT ON spine.events FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()', 'SP024',
	'nor puts a trigger on it', role => 'app');
is_refused($node, 'postgres', 'CREATE POLICY mine ON spine.events USING (true)', 'SP024', 'nor a policy', role => 'app');
is_allowed($node, 'postgres', 'SELECT count(*) FROM spine.verify_chain()', 'auditor verifies', role => 'auditor');
is_refused($node, 'postgres', $emit, '42501', 'auditor does not emit', role => 'auditor');
$node->safe_psql('postgres', 'REVOKE SELECT ON spine.events FROM auditor');
is_refused($node, 'postgres', "SELECT * FROM spine.$_()", '42501', "$_ needs SELECT on the table", role => 'auditor', hint => 'grant_reader')
  foreach qw(verify_chain find_chain_faults);
$node->safe_psql('postgres', 'GRANT SELECT ON spine.events TO auditor');
$node->safe_psql('postgres', GUARDS_OFF . 'CREATE POLICY none ON spine.events AS RESTRICTIVE FOR SELECT TO auditor USING (false)');
is_refused($node, 'postgres', 'SELECT * FROM spine.verify_chain()', '42501', 'behind a policy of others no verification that would look past it', role => 'auditor');
$node->safe_psql('postgres', GUARDS_OFF . 'DROP POLICY none ON spine.events;' . GUARDS_ON);

# Nothing is granted to PUBLIC. A table's row type and array types carry no right of their own.
is($node->safe_psql('postgres', <<'SQL'), '', 'the catalog shows no right of PUBLIC');
SELECT 'schema ' || n.oid::regnamespace || ' ' || a.privilege_type FROM pg_namespace n,
       aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a WHERE n.nspname = 'spine' AND a.grantee = 0
UNION ALL SELECT 'function ' || p.oid::regprocedure || ' ' || a.privilege_type FROM pg_proc p,
       aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE p.pronamespace = 'spine'::regnamespace AND a.grantee = 0
UNION ALL SELECT 'relation ' || c.oid::regclass || ' ' || a.privilege_type FROM pg_class c,
       aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a WHERE c.relnamespace = 'spine'::regnamespace AND c.relkind <> 'i' AND a.grantee = 0
UNION ALL SELECT 'column ' || t.attrelid::regclass || '.' || t.attname || ' ' || a.privilege_type FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid,
       aclexplode(t.attacl) a WHERE c.relnamespace = 'spine'::regnamespace AND a.grantee = 0
UNION ALL SELECT 'type ' || t.oid::regtype || ' ' || a.privilege_type FROM pg_type t,
       aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) a WHERE t.typnamespace = 'spine'::regnamespace AND t.typrelid = 0 AND t.typelem = 0 AND a.grantee = 0
SQL
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_proc WHERE pronamespace = 'spine'::regnamespace AND prosecdef"), 0, 'no function of the spine has its owner\'s rights');

# recorded_by
sub recorded { return $node->safe_psql('postgres', "SELECT recorded_by FROM spine.events WHERE action = '$_[0]'") }
$node->safe_psql('postgres', <<SQL);
GRANT app2 TO app;
CREATE FUNCTION public.as_owner() RETURNS uuid LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  RETURN spine.emit_event('a.b.definer', entity_id => '$o', actor_id => '$o', organization_id => '$o');
GRANT EXECUTE ON FUNCTION public.as_owner() TO app;
SQL
is_allowed($node, 'postgres', "SET ROLE app2; SELECT spine.emit_event('a.b.setrole', entity_id => '$o', actor_id => '$o', organization_id => '$o')", 'emit after SET ROLE', role => 'app');
is(recorded('setrole'), 'app', 'recorded_by is the session\'s user after SET ROLE');
is_allowed($node, 'postgres', 'SELECT public.as_owner()', 'emit inside SECURITY DEFINER', role => 'app');
is(recorded('definer'), 'app', 'and inside SECURITY DEFINER');
is_allowed($node, 'postgres', "SET SESSION AUTHORIZATION app; SET SESSION AUTHORIZATION DEFAULT; SET ROLE app; SELECT spine.emit_event('a.b.super', entity_id => '$o', actor_id => '$o', organization_id => '$o')", 'a superuser as app');
isnt(recorded('super'), 'app', 'a superuser in another role is told apart');
is_refused($node, 'postgres', "SET SESSION AUTHORIZATION app", '42501', 'app does not become another session user', role => 'app2');

# direct: chained by the trigger, sets nothing that the spine gives
my $insert = 'INSERT INTO spine.events (event_type, entity_id, actor_id, organization_id%s) VALUES (\'a.b.direct\', \'' . $o . "', '$o', '$o'%s)";
is_allowed($node, 'postgres', sprintf($insert, '', ''), 'INSERT without EXECUTE is chained', role => 'direct');
is(recorded('direct'), 'direct', 'with recorded_by');
my %given = (
	id             => q(gen_random_uuid()),
	timestamp      => q(now()),
	sequence       => q(1000),
	transaction_id => q('7'::xid8),
	recorded_by    => q('postgres'),
	previous_hash  => q(sha256('x')),
	event_hash     => q(sha256('x')));
is_refused($node, 'postgres', sprintf($insert, ", \"$_\"", ", $given{$_}"), 'SP012', "INSERT does not set $_", role => 'direct', hint => 'Leave it out') foreach sort keys %given;
is_refused($node, 'postgres', sprintf($insert, ", \"$_\"", ", $given{$_}"), 'SP012', "nor does a superuser set $_ alone") foreach sort keys %given;
my $first = $node->safe_psql('postgres', qq(SELECT "timestamp" FROM spine.events WHERE organization_id = '$o' AND sequence = 1));
my $complete = qq(INSERT INTO spine.events SELECT gen_random_uuid(), 'a.b.c', 'a', 'b', '$o', 'c', '$o', 'human', '$o', 'test', '$first', 'low', '{}', %d, '7', 'app', sha256('x'), sha256('y'), decode(repeat('00', 16), 'hex'));
$node->safe_psql('postgres', 'GRANT USAGE ON TYPE spine.actor_type, spine.environment, spine.severity TO direct, writer');
is_refused($node, 'postgres', sprintf($complete, 999), 'SP012', "$_ stores no complete row", role => $_) foreach qw(direct writer);
is_refused($node, 'postgres', sprintf($complete, 1), '23505', 'a superuser stores no fork of the same moment');
is($node->safe_psql('postgres', "SELECT count(*) FROM spine.events WHERE sequence = 999 OR recorded_by = 'postgres' AND action = 'direct'"), 0, 'nothing of that was stored');

# Immutable for everyone, and where no row matches
my %changes = (
	'UPDATE'                         => q(UPDATE spine.events SET payload = '{}'),
	'UPDATE of no row'               => q(UPDATE spine.events SET payload = '{}' WHERE false),
	'UPDATE that changes nothing'    => q(UPDATE spine.events SET payload = payload),
	'UPDATE FROM'                    => q(UPDATE spine.events e SET payload = '{}' FROM pg_class c WHERE c.oid = 1259),
	'DELETE'                         => 'DELETE FROM spine.events',
	'DELETE of no row'               => 'DELETE FROM spine.events WHERE false',
	'DELETE USING'                   => 'DELETE FROM spine.events e USING pg_class c WHERE c.oid = 1259',
	'MERGE that updates'             => q(MERGE INTO spine.events e USING (SELECT 1) s ON true WHEN MATCHED THEN UPDATE SET payload = '{}'),
	'MERGE that updates no row'      => q(MERGE INTO spine.events e USING (SELECT 1) s ON false WHEN MATCHED THEN UPDATE SET payload = '{}'),
	'MERGE that deletes'             => 'MERGE INTO spine.events e USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE',
	'UPDATE in a query'              => q(WITH u AS (UPDATE spine.events SET payload = '{}' RETURNING 1) SELECT count(*) FROM u),
	'SELECT FOR UPDATE then UPDATE'  => q(BEGIN; SELECT 1 FROM spine.events FOR UPDATE; UPDATE spine.events SET payload = '{}' WHERE sequence = 1),
	'WHERE CURRENT OF'               => q(BEGIN; DECLARE c CURSOR FOR SELECT * FROM spine.events FOR UPDATE; FETCH c; DELETE FROM spine.events WHERE CURRENT OF c));
my $upsert = qq(INSERT INTO spine.events AS e (event_type, entity_id, actor_id, organization_id) VALUES ('a.b.c', '$o', '$o', '$o') ON CONFLICT (organization_id, sequence, "timestamp") DO UPDATE SET payload = '{}');
my $state = $node->safe_psql('postgres', 'SELECT md5(string_agg(e::text, $$,$$ ORDER BY sequence)) FROM spine.events e');
foreach my $role ('writer', undef)
{
	my $who = $role // 'superuser';
	my %opt = defined $role ? (role => $role) : ();
	is_refused($node, 'postgres', $changes{$_}, 'SP013', "$who: $_", %opt, hint => 'further event') foreach sort keys %changes;
	is_refused($node, 'postgres', $upsert, 'SP013', "$who: ON CONFLICT DO UPDATE", %opt);
	is_refused($node, 'postgres', 'TRUNCATE spine.events', defined $role ? '42501' : 'SP013', "$who: TRUNCATE", %opt);
}
$node->safe_psql('postgres', GUARDS_OFF . 'GRANT TRUNCATE ON spine.events TO writer;' . GUARDS_ON);
is_refused($node, 'postgres', 'TRUNCATE spine.events', 'SP013', 'writer, who was granted it: TRUNCATE', role => 'writer');
$changes{TRUNCATE} = 'TRUNCATE spine.events';
$changes{'ON CONFLICT DO UPDATE'} = $upsert;
is_refused($node, 'postgres', "SET session_replication_role = replica; $changes{$_}", 'SP013', "superuser as a replica: $_") foreach sort keys %changes;
$node->safe_psql('postgres', 'CREATE ROLE keeper LOGIN;' . GUARDS_OFF . 'ALTER TABLE spine.events OWNER TO keeper;' . GUARDS_ON . ' GRANT USAGE ON SCHEMA spine TO keeper');
is_refused($node, 'postgres', $changes{$_}, 'SP013', "owner: $_", role => 'keeper') foreach sort keys %changes;
$node->safe_psql('postgres', GUARDS_OFF . 'ALTER TABLE spine.events OWNER TO CURRENT_USER;' . GUARDS_ON);
is($node->safe_psql('postgres', 'SELECT md5(string_agg(e::text, $$,$$ ORDER BY sequence)) FROM spine.events e'), $state, 'nothing has changed');
is_allowed($node, 'postgres', "SET session_replication_role = replica; SELECT spine.emit_event('a.b.replica', entity_id => '$o', actor_id => '$o', organization_id => '$o')", 'events are chained under session_replication_role = replica');
is_allowed($node, 'postgres', 'SET session_replication_role = replica; ' . sprintf($insert, '', ''), 'INSERTs too');

# What a role makes in its own schemas is never taken for the spine's
my $count = $node->safe_psql('postgres', 'SELECT count(*) FROM spine.events');
is_allowed($node, 'postgres', <<SQL, 'app makes its own events, types, functions and operators, and emits', role => 'app');
CREATE TEMP TABLE events (id uuid, organization_id uuid, sequence bigint, event_hash bytea);
CREATE TEMP TABLE pg_enum AS SELECT * FROM pg_catalog.pg_enum WHERE false;
CREATE TYPE pg_temp.severity AS ENUM ('low'); CREATE TYPE pg_temp.environment AS ENUM ('test'); CREATE TYPE pg_temp.actor_type AS ENUM ('human');
CREATE FUNCTION pg_temp.chain_event() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''hijacked''; END';
CREATE FUNCTION public.chain_event() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''hijacked''; END';
CREATE FUNCTION public.octet_length(bytea) RETURNS int LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''hijacked''; END';
CREATE FUNCTION public.hijacked(text, text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''hijacked''; END';
CREATE FUNCTION public.hijacked(uuid, uuid) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''hijacked''; END';
CREATE FUNCTION public.hijacked(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''hijacked''; END';
CREATE OPERATOR public.|| (FUNCTION = public.hijacked, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR public.= (FUNCTION = public.hijacked, LEFTARG = uuid, RIGHTARG = uuid);
CREATE OPERATOR public.>= (FUNCTION = public.hijacked, LEFTARG = bigint, RIGHTARG = bigint);
SET search_path = pg_temp, public, pg_catalog;
SELECT spine.emit_event('a.b.hijack', entity_id => '$o', actor_id => '$o', organization_id => '$o');
SET search_path = public, spine, pg_catalog;
SELECT spine.emit_event('a.b.hijack', entity_id => '$o', actor_id => '$o', organization_id => '$o');
SELECT 1 / (SELECT (count(*) = 0)::int FROM pg_temp.events);
SQL
is($node->safe_psql('postgres', 'SELECT count(*) FROM spine.events'), $count + 2, 'both events are in the spine');
$node->safe_psql('postgres', 'GRANT CREATE ON SCHEMA public TO direct');
foreach my $path ('pg_temp, public, pg_catalog', 'public, pg_catalog', '')
{
	is_allowed($node, 'postgres', "SET search_path = '$path'; " . sprintf($insert, '', ''), "INSERT with search_path '$path'", role => 'direct') if $path eq '';
	is_allowed($node, 'postgres', "SET search_path = $path; " . sprintf($insert, '', ''), "INSERT with search_path $path", role => 'direct') if $path ne '';
	my $set = $path eq '' ? "SET search_path = ''" : "SET search_path = $path";
	is_allowed($node, 'postgres', "$set; CREATE TEMP TABLE events (organization_id uuid, sequence bigint); SELECT count(*) FROM spine.verify_chain() WHERE intact", "verify with search_path '$path'", role => 'auditor');
	is_refused($node, 'postgres', "$set; DELETE FROM spine.events", 'SP013', "DELETE with search_path '$path'");
}
is_deeply([ map { (split /\|/)[1] } @{ summaries_of($node) } ], [ 'true', 'true' ], 'the chain is whole after all of that, and the platform\'s with it');

# Everything has a comment, and what is SQL or plpgsql pins search_path.
is($node->safe_psql('postgres', <<'SQL'), '', 'every object of the extension has a comment');
WITH member AS (
  SELECT classid, objid FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
     AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'people_os_spine')),
-- What a partition has from its table has its comment there.
relation AS (SELECT c.oid, relispartition AS is_partition FROM member JOIN pg_class c ON c.oid = objid WHERE classid = 'pg_class'::regclass),
item (classid, objid, objsubid) AS (
  SELECT classid, objid, 0 FROM member
   WHERE NOT (classid = 'pg_type'::regclass AND EXISTS (SELECT FROM pg_type t WHERE t.oid = objid AND (t.typrelid <> 0 OR t.typelem <> 0)))
  UNION SELECT 'pg_class'::regclass, attrelid, attnum FROM pg_attribute JOIN relation r ON attrelid = r.oid JOIN pg_class c ON c.oid = r.oid WHERE attnum > 0 AND NOT attisdropped AND relkind <> 'S' AND NOT relispartition
  UNION SELECT 'pg_trigger'::regclass, t.oid, 0 FROM pg_trigger t JOIN relation r ON tgrelid = r.oid WHERE NOT tgisinternal AND tgparentid = 0
  UNION SELECT 'pg_constraint'::regclass, c.oid, 0 FROM pg_constraint c JOIN relation r ON conrelid = r.oid WHERE contype <> 'n' AND NOT is_partition
  UNION SELECT 'pg_class'::regclass, indexrelid, 0 FROM pg_index JOIN relation r ON indrelid = r.oid WHERE NOT is_partition
  UNION SELECT 'pg_policy'::regclass, p.oid, 0 FROM pg_policy p JOIN relation r ON polrelid = r.oid
  UNION SELECT 'pg_rewrite'::regclass, w.oid, 0 FROM pg_rewrite w JOIN relation r ON ev_class = r.oid WHERE rulename <> '_RETURN'
  UNION SELECT 'pg_namespace'::regclass, 'spine'::regnamespace, 0
  UNION SELECT 'pg_extension'::regclass, oid, 0 FROM pg_extension WHERE extname = 'people_os_spine')
SELECT pg_describe_object(classid, objid, objsubid) FROM item i
 WHERE NOT EXISTS (SELECT FROM pg_description d WHERE d.classoid = i.classid AND d.objoid = i.objid AND d.objsubid = i.objsubid AND d.description <> '')
SQL
is($node->safe_psql('postgres', <<'SQL'), '', 'every function in an SQL language pins search_path');
SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
 WHERE d.deptype = 'e' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'people_os_spine') AND l.lanname IN ('sql', 'plpgsql')
   AND NOT coalesce(EXISTS (SELECT FROM unnest(p.proconfig) c WHERE c LIKE 'search_path=%'), false)
SQL
cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM pg_depend WHERE deptype = 'e' AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'people_os_spine')"),
	'>', 10, 'the lint had something to look at');

# Default privileges, of the database or of a schema that is there already, open nothing that the extension makes.
$node->safe_psql('postgres', 'CREATE ROLE installer SUPERUSER LOGIN; CREATE ROLE waiting LOGIN');
my $acls = <<'SQL';
SELECT count(*), string_agg(DISTINCT what || ' ' || privilege_type || ' ' || grantee::regrole, ', ')
  FROM (SELECT 'schema' AS what, nspacl AS acl, nspowner AS owner FROM pg_namespace WHERE nspname = 'spine'
        UNION ALL SELECT relname, relacl, relowner FROM pg_class WHERE relnamespace = 'spine'::regnamespace
        UNION ALL SELECT proname, proacl, proowner FROM pg_proc WHERE pronamespace = 'spine'::regnamespace
        UNION ALL SELECT typname, typacl, typowner FROM pg_type WHERE typnamespace = 'spine'::regnamespace) o, aclexplode(acl)
 WHERE grantee <> owner
SQL
foreach my $where ('', 'in a schema that somebody may use, ')
{
	my $db = $where eq '' ? 'opened' : 'opened_schema';
	$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE template0");
	$node->safe_psql($db, 'SET ROLE installer; CREATE SCHEMA spine; GRANT USAGE ON SCHEMA spine TO waiting, PUBLIC') if $where ne '';
	foreach my $whom ('waiting WITH GRANT OPTION', 'PUBLIC')
	{
		$node->safe_psql($db, "ALTER DEFAULT PRIVILEGES FOR ROLE installer GRANT ALL ON $_ TO $whom") foreach qw(TABLES FUNCTIONS SEQUENCES TYPES SCHEMAS);
	}
	if ($where ne '')
	{
		$node->safe_psql($db, 'ALTER DEFAULT PRIVILEGES FOR ROLE installer IN SCHEMA spine GRANT ALL ON TABLES TO waiting');
		is_refused($node, $db, 'CREATE EXTENSION people_os_spine', 'SP021', 'a schema with default privileges of its own', role => 'installer');
		$node->safe_psql($db, 'ALTER DEFAULT PRIVILEGES FOR ROLE installer IN SCHEMA spine REVOKE ALL ON TABLES FROM waiting');
	}
	is_allowed($node, $db, 'CREATE EXTENSION people_os_spine', "${where}it is installed", role => 'installer');
	is($node->safe_psql($db, $acls), '0|', "${where}and nobody has a right on anything");
	$node->safe_psql($db, "ALTER DATABASE $db SET people_os_spine.environment = 'test'");
	is_refused($node, $db, "INSERT INTO spine.role_bindings VALUES ('waiting', 'emit')", '42501', "${where}who waited for it binds itself to nothing", role => 'waiting');
	# Later dumps have what CREATE EXTENSION left, and no REVOKE that would have to be given again.
	$node->safe_psql($db, "SELECT spine.grant_reader('waiting')");
	my ($stdout, $stderr) = run_command([ 'pg_dump', '-s', '-d', $node->connstr($db) ]);
	like($stdout, qr/GRANT SELECT ON TABLE spine\.events TO waiting/, "${where}a dump has what is granted later");
	unlike($stdout, qr/ON TABLE spine\.role_bindings (?:TO|FROM) waiting/, "${where}and nothing else");
}

# A dump of the schema alone restores the grants, and lets nobody emit.
{
	my $dump = PostgreSQL::Test::Utils::tempdir() . '/schema.sql';
	$node->safe_psql('opened', "CREATE ROLE payroll LOGIN; SELECT spine.grant_emitter('payroll', ARRAY['$o']::uuid[])");
	$node->command_ok([ 'pg_dump', '-s', '-d', $node->connstr('opened'), '-f', $dump ], 'a dump of the schema');
	$node->safe_psql('postgres', 'CREATE DATABASE bare TEMPLATE template0');
	$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('bare'), '-f', $dump ], 'is restored');
	$node->safe_psql('bare', "ALTER DATABASE bare SET people_os_spine.environment = 'test'");
	is_allowed($node, 'opened', $emit, 'who was bound to an organization emits for it', role => 'payroll');
	is_refused($node, 'bare', $emit, '42501', 'but for nobody where the bindings are not', role => 'payroll', hint => 'grant_emitter');
}

# A backup with bindings is restored where no environment is set, and brings no event that was not in it.
{
	my $dump = PostgreSQL::Test::Utils::tempdir() . '/whole.sql';
	foreach my $format ([], ['--inserts'])
	{
		my $db = @$format ? 'whole_inserts' : 'whole';
		$node->command_ok([ 'pg_dump', @$format, '-d', $node->connstr('opened'), '-f', $dump ], "$db: dumped");
		$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE template0");
		$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($db), '-f', $dump ], "$db: restored");
		foreach my $query ('SELECT count(*), max(sequence) FROM spine.events', 'SELECT string_agg(b::text, $$,$$ ORDER BY b::text) FROM spine.role_bindings b')
		{
			is($node->safe_psql($db, $query), $node->safe_psql('opened', $query), "$db: $query");
		}
	}
}

# What was given to a role is no other's that has its number or its name.
{
	$node->safe_psql('postgres', "DROP DATABASE $_") foreach qw(bare whole whole_inserts);
	my $bindings = sub { $node->safe_psql('opened', "SELECT count(*) FROM spine.role_bindings WHERE role_name = '$_[0]'") };
	$node->safe_psql('opened', 'DROP OWNED BY payroll; DROP ROLE payroll; CREATE ROLE payroll LOGIN; GRANT USAGE ON SCHEMA spine TO payroll; GRANT EXECUTE ON FUNCTION spine.emit_event TO payroll');
	is($bindings->('payroll'), 1, 'a dropped role leaves its binding');
	is_refused($node, 'opened', $emit, '42501', 'its name comes again: nothing is inherited', role => 'payroll');
	# The number comes again after four billion others, or by hand.
	$node->safe_psql('opened', UNGUARD . "SET allow_system_table_mods = on; DROP OWNED BY payroll; DROP ROLE payroll; CREATE ROLE other LOGIN;
		UPDATE pg_authid SET oid = (SELECT role::oid FROM spine.role_bindings WHERE role_name = 'payroll') WHERE rolname = 'other';
		GRANT USAGE ON SCHEMA spine TO other; GRANT EXECUTE ON FUNCTION spine.emit_event TO other");
	is($node->safe_psql('opened', "SELECT role FROM spine.role_bindings WHERE role_name = 'payroll'"), 'other', 'its number comes again');
	is_refused($node, 'opened', $emit, '42501', 'nothing is inherited either', role => 'other');
	$node->safe_psql('opened', "SELECT spine.grant_emitter('other', ARRAY['$o']::uuid[])");
	is($bindings->('payroll'), 0, 'a grant takes the place of what was left');
	is_allowed($node, 'opened', $emit, 'and counts', role => 'other');
}

# Under a publication of all tables every function of the spine that changes rows works.
{
	my $logical = spine_node('logical', allows_streaming => 'logical');
	$logical->safe_psql('postgres', 'CREATE PUBLICATION everything FOR ALL TABLES; CREATE ROLE one LOGIN');
	foreach my $sql ("SELECT spine.grant_emitter('one', ARRAY['$o']::uuid[])", "SELECT spine.grant_emitter('one')", "SELECT spine.grant_reader('one', ARRAY['$o']::uuid[])", "SELECT spine.grant_reader('one')",
		"SELECT spine.grant_auditor('one')", $emit, 'UPDATE spine.role_bindings SET organization_id = gen_random_uuid() WHERE capability = $$emit$$',
		"SELECT spine.register_event_type('a.b.c', 'one')", "SELECT spine.register_event_type('a.b.c', 'other')", q(DELETE FROM spine.event_types WHERE name = 'a.b.c'),
		"SELECT spine.create_subscription('s')", q(SELECT count(*) FROM spine.next_batch('s')), q(SELECT spine.acknowledge('s', min(batch)) FROM spine.subscription_batches),
		q(SELECT spine.drop_subscription('s')), 'SELECT spine.refresh_dashboards()', $emit, 'SELECT spine.refresh_dashboards()', 'SELECT count(*) FROM spine.record_verification()',
		'SELECT count(*) FROM spine.record_verification()', 'SELECT spine.capture_migrations()', 'SELECT spine.stop_capturing_migrations()', "SELECT spine.revoke_all('one')")
	{
		is_allowed($logical, 'postgres', $sql, "in a publication of all tables: $sql");
	}
	is($logical->safe_psql('postgres', "SELECT string_agg(DISTINCT event_type, ' ') FROM spine.events WHERE domain = 'platform' AND entity_type = 'rights'"),
		'platform.rights.granted platform.rights.revoked', 'and rights are events there');
	$logical->stop;
}
$node->stop;
done_testing;
