# What must come through backups, replication and upgrades, and a look whether it did. For restore.pl and its kin.
package Restored;

use strict;
use warnings;

use Exporter 'import';
use Test::More;
use Spine;

our @EXPORT = qw(make_partitions store_corner_cases state_of goes_on EDGE_ORG PAST_ORG);

# The organization whose two events are at the ends of the years that can be stored: a past that only a restored row has.
use constant EDGE_ORG => org(999);
# The one whose last event lies in a partition of the past.
use constant PAST_ORG => org(998);

# What a restored row of the past lies in, and what is emitted now; the far future is the default partition's.
sub make_partitions
{
	my ($node, $db) = @_;
	foreach my $partition ([ '00010101', '0001-01-01', '2020-01-01' ], [ '20200101_0000', '2020-01-01', '2100-01-01' ])
	{
		my ($name, $from, $to) = @$partition;
		$node->safe_psql($db, "CREATE TABLE spine.events_$name (LIKE spine.events INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
			ALTER TABLE spine.events ATTACH PARTITION spine.events_$name FOR VALUES FROM ('$from 00:00:00+00') TO ('$to 00:00:00+00')");
	}
	return;
}

# Events of all that text, binary and compression could change on the way, for each organization; then roles with rights.
sub store_corner_cases
{
	my ($node, $db, @orgs) = @_;
	my $digits = join '', map { ($_ * 7) % 10 || 1 } 1 .. 300;
	my $nested = '{"a":' x 127 . '{}' . '}' x 127;
	my @payloads = (
		qq('{"integer": $digits, "fraction": 0.$digits, "negative": -$digits.5, "zero": [-0, -0.0, 0.000, 1.50, 1e300, 5e-324, 12345678901234567890]}'),
		q('{"é\u2028\t\\\\\\\\": [null, "\"\\\\\\\\N|\b", "\u0001\u007f\u0080", "\ud83d\ude00 \udbff\udfff \ufffe", "e\u0301"], "\ufb33": 1, "\ud83d\ude02": 2, "": 3, "\\\\.": "\r\n"}'),
		qq('$nested'),
		q(jsonb_build_object('compressed', repeat('abc', 300000))),
		q(jsonb_build_object('random', left((SELECT string_agg(md5(i::text), '') FROM generate_series(1, 32768) i), 1048560))));
	foreach my $o (@orgs)
	{
		$node->safe_psql($db, "SELECT spine.emit_event('a.b.c', entity_id => '$o', actor_id => '$o', organization_id => '$o', payload => $_)") foreach @payloads;
	}
	my ($edge, $past) = (EDGE_ORG, PAST_ORG);
	$node->safe_psql($db, <<SQL);
DO \$\$
DECLARE
  event spine.events;
BEGIN
  SELECT * INTO event FROM spine.events WHERE organization_id = '$orgs[0]' AND sequence = 1;
  event.organization_id := '$edge';
  event.event_hash := decode(repeat('00', 32), 'hex');
  FOR i IN 1 .. 2 LOOP
    event.id := '00000000-0000-4000-8000-00000000ed0' || i;
    event.sequence := i;
    event.previous_hash := event.event_hash;
    event."timestamp" := CASE i WHEN 1 THEN '0001-01-01 00:00:00+00' ELSE '9999-12-31 23:59:59.999999+00' END;
    event.event_hash := spine.event_digest(event);
    INSERT INTO spine.events VALUES (event.*);
  END LOOP;
  event.organization_id := '$past';
  event.event_hash := decode(repeat('00', 32), 'hex');
  FOR i IN 1 .. 2 LOOP
    event.id := '00000000-0000-4000-8000-00000000ed1' || i;
    event.sequence := i;
    event.previous_hash := event.event_hash;
    event."timestamp" := '2019-02-0' || i || ' 12:00:00+00';
    event.event_hash := spine.event_digest(event);
    INSERT INTO spine.events VALUES (event.*);
  END LOOP;
END
\$\$;
SQL
	# A type of their own, and what they make of a built-in one.
	$node->safe_psql($db, q(SELECT spine.register_event_type('a.b.c', E'Ein Fall für \\\\ und \t', 'high'), spine.register_event_type('hcm.employee.created', 'A colleague came', 'medium')));
	$node->safe_psql($db, <<SQL);
CREATE ROLE emitter LOGIN; CREATE ROLE "Reader, the 2nd" LOGIN; CREATE ROLE auditor LOGIN;
SELECT spine.grant_emitter('emitter', ARRAY['$orgs[0]', '$orgs[1]']::uuid[]), spine.grant_reader('"Reader, the 2nd"', ARRAY['$orgs[1]']::uuid[]), spine.grant_auditor('auditor');
SQL
	return;
}

# Everything that must be the same before and after, as text to compare; part by part, so that a difference shows where.
sub state_of
{
	my ($node, $db) = @_;
	my $fixed = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'; SET bytea_output = 'hex'; SET search_path = pg_catalog; ";
	return {
		verify_chain => join("\n", @{ summaries_of($node, db => $db) }),
		rows     => $node->safe_psql($db, $fixed . 'SELECT count(*) || $$ $$ || md5(string_agg(e::text, $$,$$ ORDER BY organization_id, sequence)) FROM spine.events e'),
		forms    => $node->safe_psql($db, 'SELECT md5(string_agg(spine.canonical_event(e), $$,$$ ORDER BY organization_id, sequence)) FROM spine.events e'),
		bindings => $node->safe_psql($db, q(SELECT b FROM (SELECT (role, capability, organization_id, role_name, extract(epoch FROM granted_at))::text FROM spine.role_bindings) r (b) ORDER BY b COLLATE "C")),
		types    => $node->safe_psql($db, 'SELECT t FROM spine.event_types t ORDER BY name'),
		rights   => $node->safe_psql($db, <<'SQL'),
SELECT what, pg_get_userbyid(grantee), privilege_type, is_grantable
  FROM (SELECT 'schema' AS what, nspacl AS acl FROM pg_namespace WHERE nspname = 'spine'
        UNION ALL SELECT oid::regprocedure::text, proacl FROM pg_proc WHERE pronamespace = 'spine'::regnamespace
        UNION ALL SELECT oid::regclass::text, relacl FROM pg_class WHERE relnamespace = 'spine'::regnamespace
        UNION ALL SELECT oid::regtype::text, typacl FROM pg_type WHERE typnamespace = 'spine'::regnamespace) o, aclexplode(acl)
 WHERE pg_get_userbyid(grantee) IN ('emitter', 'Reader, the 2nd', 'auditor') ORDER BY what COLLATE "C", 2, 3
SQL
		partitions => $node->safe_psql($db, $fixed . <<'SQL'),
SELECT c.relname, pg_get_expr(c.relpartbound, c.oid), pg_get_userbyid(c.relowner) = pg_get_userbyid(r.relowner), c.relrowsecurity, NOT EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner),
       (SELECT string_agg(concat(tgname, '=', tgenabled), ' ' ORDER BY tgname) FROM pg_trigger WHERE tgrelid = c.oid),
       (SELECT string_agg(x.relname, ' ' ORDER BY x.relname COLLATE "C") FROM pg_index i JOIN pg_class x ON x.oid = indexrelid WHERE indrelid = c.oid),
       (SELECT count(*) FROM spine.events e WHERE e.tableoid = c.oid)
  FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid JOIN pg_class r ON r.oid = inhparent
 WHERE inhparent = 'spine.events'::regclass ORDER BY c.relname COLLATE "C"
SQL
		places => $node->safe_psql($db, $fixed . 'SELECT organization_id, starts FROM spine.chain_partitions ORDER BY 1, 2'),
		# The tests' servers do without fsync.
		guards => $node->safe_psql($db, 'SELECT guard || $$: $$ || found FROM spine.verify_guards() WHERE NOT ok AND guard <> $$setting fsync$$'),
	};
}

# The chains go on from their heads, link, and are as immutable as before.
sub goes_on
{
	my ($node, $db, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $heads = 'SELECT organization_id, max(sequence) FROM spine.events GROUP BY 1 ORDER BY 1';
	my @heads = split /\n/, $node->safe_psql($db, $heads);
	$node->safe_psql($db, "SET people_os_spine.environment = 'test'; SELECT spine.emit_event('a.b.after', entity_id => o, actor_id => o, organization_id => o)
		FROM (SELECT DISTINCT organization_id FROM spine.events) d (o)");
	is($node->safe_psql($db, $heads), join("\n", map { /(.*\|)(\d+)/; $1 . ($2 + 1) } @heads), "$name: every chain goes on");
	is(join("\n", grep { !/\|true\|/ } @{ summaries_of($node, db => $db) }), '', "$name: and is intact");
	foreach my $change ("UPDATE spine.events SET payload = '{}'", 'DELETE FROM spine.events', 'TRUNCATE spine.events', "SET session_replication_role = replica; DELETE FROM spine.events")
	{
		is_refused($node, $db, $change, 'SP013', "$name: $change");
	}
	return;
}

1;
