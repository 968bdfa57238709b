# What CREATE EXTENSION refuses, what it leaves behind, and what the library shows to others.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Spine;

my $node = spine_node('install');
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE installer SUPERUSER LOGIN; CREATE ROLE chief SUPERUSER LOGIN; CREATE ROLE plain LOGIN; CREATE ROLE guest;
CREATE DATABASE latin1 TEMPLATE template0 ENCODING LATIN1 LOCALE 'C';
CREATE DATABASE sql_ascii TEMPLATE template0 ENCODING SQL_ASCII LOCALE 'C';
CREATE DATABASE work TEMPLATE template0;
SQL
foreach my $db (qw(latin1 sql_ascii))
{
	is_refused($node, $db, 'CREATE EXTENSION people_os_spine', 'SP020', "a database in $db", hint => 'UTF8');
	is($node->safe_psql($db, "SELECT count(*) FROM pg_namespace WHERE nspname = 'spine'"), 0, 'nothing is left there');
}

sub attempt
{
	my ($setup) = @_;
	return "BEGIN; $setup; CREATE EXTENSION people_os_spine; COMMIT";
}
my %prepared = (
	'a function'          => 'CREATE SCHEMA spine; CREATE FUNCTION spine.f() RETURNS int LANGUAGE sql RETURN 1',
	'a procedure'         => q(CREATE SCHEMA spine; CREATE PROCEDURE spine.p() LANGUAGE sql AS ''),
	'a table'             => 'CREATE SCHEMA spine; CREATE TABLE spine.t ()',
	'a table named events'=> 'CREATE SCHEMA spine; CREATE TABLE spine.events (id uuid)',
	'a view'              => 'CREATE SCHEMA spine; CREATE VIEW spine.v AS SELECT 1',
	'a sequence'          => 'CREATE SCHEMA spine; CREATE SEQUENCE spine.s',
	'a type'              => q(CREATE SCHEMA spine; CREATE TYPE spine.severity AS ENUM ('low')),
	'a domain'            => 'CREATE SCHEMA spine; CREATE DOMAIN spine.d AS int',
	'an operator'         => 'CREATE SCHEMA spine; CREATE OPERATOR spine.= (FUNCTION = uuid_ne, LEFTARG = uuid, RIGHTARG = uuid)',
	'a collation'         => 'CREATE SCHEMA spine; CREATE COLLATION spine.c FROM "C"',
	'an aggregate'        => 'CREATE SCHEMA spine; CREATE AGGREGATE spine.a (int) (SFUNC = int4pl, STYPE = int)',
	'a default privilege' => 'CREATE SCHEMA spine; ALTER DEFAULT PRIVILEGES IN SCHEMA spine GRANT ALL ON TABLES TO guest',
	'an owner who is no superuser'         => 'CREATE SCHEMA spine AUTHORIZATION plain',
	'CREATE for another role'              => 'CREATE SCHEMA spine; GRANT CREATE ON SCHEMA spine TO guest',
	'CREATE for everyone'                  => 'CREATE SCHEMA spine; GRANT CREATE ON SCHEMA spine TO PUBLIC');
foreach my $what (sort keys %prepared)
{
	# In a transaction of its own: what nobody else could see yet is no trap.
	is_refused($node, 'work', "$prepared{$what}; CREATE EXTENSION people_os_spine", 'SP021', "a schema made beforehand with $what", role => 'installer', hint => 'schema');
	$node->safe_psql('work', 'DROP SCHEMA spine CASCADE');
}
# What a preparer put there must not run before the schema is refused: operators that fit the script's comparisons
# better than the server's own would.
my $traps = 'CREATE SCHEMA spine; CREATE SEQUENCE sprung;';  # a sequence keeps what a rollback undoes
my $n = 0;
foreach my $types ([qw(oid regclass)], [qw(oid regnamespace)], [qw(oid regrole)], [qw(name text)], [qw(name name)], [qw(oid oid)], [qw(text text)])
{
	foreach my $operator ('=', '<>')
	{
		$n++;
		$traps .= "CREATE FUNCTION spine.trap$n($types->[0], $types->[1]) RETURNS bool LANGUAGE plpgsql AS 'BEGIN PERFORM nextval(''public.sprung''); RETURN false; END';"
		  . "CREATE OPERATOR spine.$operator (FUNCTION = spine.trap$n, LEFTARG = $types->[0], RIGHTARG = $types->[1]);";
	}
}
$node->safe_psql('work', "$traps");
is_refused($node, 'work', 'CREATE EXTENSION people_os_spine', 'SP021', 'a schema full of operators', role => 'installer', hint => 'schema');
is($node->safe_psql('work', 'SELECT is_called FROM sprung'), 'f', 'none of which ran');
$node->safe_psql('work', 'DROP SCHEMA spine CASCADE; DROP SEQUENCE sprung');
my %fine = (
	'no schema at all'                     => 'SELECT 1',
	'an empty schema of the installer'     => 'CREATE SCHEMA spine',
	'an empty schema of another superuser' => 'CREATE SCHEMA spine AUTHORIZATION chief',
	'USAGE for another role'               => 'CREATE SCHEMA spine; GRANT USAGE ON SCHEMA spine TO guest');
foreach my $what (sort keys %fine)
{
	is_allowed($node, 'work', attempt($fine{$what}), "$what is accepted", role => 'installer');
	is_allowed($node, 'work', "SET people_os_spine.environment = 'dev'; SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid(), actor_id => gen_random_uuid(),
		organization_id => gen_random_uuid())", 'and it works', role => 'installer');
	$node->safe_psql('work', UNGUARD . 'DROP EXTENSION people_os_spine CASCADE; DROP SCHEMA IF EXISTS spine');
}
is_refused($node, 'work', 'CREATE EXTENSION people_os_spine', '42501', 'a role that is no superuser', role => 'plain');
is_refused($node, 'work', 'CREATE EXTENSION people_os_spine SCHEMA public', '0A000', 'another schema');
$node->safe_psql('work', 'GRANT CREATE ON DATABASE work TO plain');
is_refused($node, 'work', 'CREATE EXTENSION people_os_spine', '42501', 'a role that is no superuser but may create in the database', role => 'plain');

# Names in public of the same kind do not get in
is_allowed($node, 'work', <<'SQL', 'decoys in public and pg_temp change nothing', role => 'installer');
CREATE TYPE public.severity AS ENUM ('x'); CREATE TABLE public.events (id int); CREATE FUNCTION public.chain_event() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION public.octet_length(bytea) RETURNS int LANGUAGE sql RETURN 32;
CREATE TEMP TABLE events (id int); CREATE TYPE pg_temp.actor_type AS ENUM ('x');
SET search_path = pg_temp, public, pg_catalog;
CREATE EXTENSION people_os_spine;
SQL
is($node->safe_psql('work', "SELECT string_agg(DISTINCT n.nspname, ',') FROM pg_trigger t JOIN pg_proc p ON p.oid = tgfoid JOIN pg_namespace n ON n.oid = pronamespace
	WHERE tgrelid = 'spine.events'::regclass AND NOT tgisinternal"), 'spine', 'its triggers call its own functions');
is($node->safe_psql('work', "SELECT string_agg(format_type(atttypid, NULL), ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'spine.events'::regclass AND attname IN ('actor_type', 'severity')"),
	'spine.actor_type,spine.severity', 'its columns have its own types');
is($node->safe_psql('work', q(SELECT count(*) FROM pg_depend d JOIN pg_constraint c ON d.classid = 'pg_constraint'::regclass AND d.objid = c.oid
	WHERE c.conrelid = 'spine.events'::regclass AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass))), 0, 'its constraints use the server\'s functions and operators alone');

# DROP and CREATE again
$node->safe_psql('work', UNGUARD . 'DROP EXTENSION people_os_spine');
is($node->safe_psql('work', "SELECT count(*) FROM pg_namespace n LEFT JOIN pg_class c ON relnamespace = n.oid LEFT JOIN pg_proc p ON pronamespace = n.oid
	LEFT JOIN pg_type t ON typnamespace = n.oid WHERE nspname = 'spine' AND (c.oid IS NOT NULL OR p.oid IS NOT NULL OR t.oid IS NOT NULL)"), 0, 'DROP EXTENSION leaves no object');
is_allowed($node, 'work', "CREATE EXTENSION people_os_spine; SET people_os_spine.environment = 'dev'; SELECT spine.emit_event('a.b.c', entity_id => gen_random_uuid(),
	actor_id => gen_random_uuid(), organization_id => gen_random_uuid())", 'CREATE EXTENSION works again');
is($node->safe_psql('work', 'SELECT count(*) FROM spine.verify_chain() WHERE intact AND events = 1'), 1, 'with a chain that begins anew');
my $session = <<'SQL';
SET people_os_spine.environment = 'dev';
SELECT spine.emit_event('a.b.c', entity_id => '00000000-0000-4000-8000-000000000001', actor_id => '00000000-0000-4000-8000-000000000001', organization_id => '00000000-0000-4000-8000-000000000001');
SQL
is_allowed($node, 'work', "$session @{[ UNGUARD ]} DROP EXTENSION people_os_spine; CREATE EXTENSION people_os_spine; $session", 'also in one session, which remembers the old one');
is($node->safe_psql('work', "SELECT max(sequence) FROM spine.events"), 1, 'and begins at 1');

# A name that was made in another database's encoding
foreach my $case ([ 'latin1', "m\xfcller" ], [ 'sql_ascii', "caf\xe9\xff" ])
{
	my ($db, $name) = @$case;
	$node->safe_psql($db, "SET client_encoding = $db; CREATE ROLE \"$name\" SUPERUSER LOGIN");
	is_refused($node, 'postgres', "SELECT spine.emit_event('a.b.c', entity_id => '00000000-0000-4000-8000-000000000001', actor_id => '00000000-0000-4000-8000-000000000001',
		organization_id => '00000000-0000-4000-8000-000000000001')", 'SP016', "a role named in $db", role => $name, hint => 'RENAME');
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM spine.events'), 0, 'and nothing is stored');

# The library
chomp(my $library = `pg_config --pkglibdir`);
$library .= '/people_os_spine.so';
ok(-f $library, 'the library is installed');
foreach my $tool (qw(nm readelf))
{
	ok(system("$tool --version >/dev/null 2>&1") == 0, "$tool is there, which the next tests need");
}
my @symbols = sort map { (split)[-1] } split /\n/, `nm -D --defined-only $library`;
my @strange = grep { !/^(Pg_magic_func|_PG_init|(pg_finfo_)?spine_\w+)$/ } @symbols;
is("@strange", '', 'the library exports its functions and nothing else');
my @functions = split /\n/, $node->safe_psql('work', "SELECT prosrc FROM pg_proc WHERE pronamespace = 'spine'::regnamespace AND probin IS NOT NULL ORDER BY prosrc COLLATE \"C\"");
# The server starts parallel workers and background processes by the name of their function.
is_deeply([ grep { /^spine_/ } @symbols ], [ sort @functions, 'spine_notifier_main', 'spine_verify_worker' ], 'and those are what the extension declares');
cmp_ok(scalar @functions, '>', 5, 'which are some');
my $needed = `readelf -d $library`;
like($needed, qr/NEEDED.*\[libstdc\+\+\.so/, 'it asks for libstdc++');
like($needed, qr/NEEDED.*\[libcrypto\.so/, 'and for libcrypto');
unlike($needed, qr/TEXTREL|RPATH|RUNPATH/, 'and for no path of its own');
$node->stop;
done_testing;
