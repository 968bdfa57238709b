# Partitions are retired: what may stand in the way, what chains go on from, what a retired table still says, and how it comes
# back. The clock goes on by weeks, so that partitions have events of their time.
use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Spine;
use Test::More;

sub set_days { return set_clock($_[0] * 86400) }
my $node = clock_node('retirement', -28 * 86400);
my $sql = sub { $node->safe_psql('postgres', $_[0]) };
my $error = sub { ($node->psql('postgres', "\\set VERBOSITY verbose\n$_[0]"))[2] };
my $summary = sub { $sql->("SELECT organization_id, intact, events, first_sequence, last_sequence FROM $_[0] WHERE organization_id <> '00000000-0000-0000-0000-000000000000' ORDER BY 1") =~ s/00000000-0000-4000-8000-0+//gr };
my $unwell = q{SELECT (SELECT count(*) FROM spine.verify_chain() WHERE NOT intact), (SELECT string_agg(guard || ': ' || found, '; ') FROM spine.verify_guards()
  WHERE NOT ok AND guard IN ('verified chains', 'the schema', 'partitions'))};
my $faults_of = sub { $sql->("SELECT organization_id, faults, first_fault_sequence, first_fault FROM spine.verify_table('$_[0]') WHERE NOT intact ORDER BY 1") =~ s/00000000-0000-4000-8000-0+//gr };

$sql->(q{SELECT spine.create_partitions('7 days', 5)});
my @week = map { [ split /\|/ ] } split /\n/, $sql->(q{SELECT c.oid::regclass, m[1], m[2] FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid,
  regexp_match(pg_get_expr(c.relpartbound, c.oid), $re$FROM \('(.*)'\) TO \('(.*)'\)$re$) m WHERE i.inhparent = 'spine.events'::regclass AND m IS NOT NULL ORDER BY c.relname});
is(scalar @week, 6, 'there are partitions of six weeks');
emit_chain($node, 3, org(1), org(2), org(5));
set_days(-21);
emit_chain($node, 2, org(1), org(3));
$sql->("SELECT spine.emit_event('hcm.employee.created', entity_id => '@{[org(1)]}', actor_id => '@{[org(1)]}', organization_id => '@{[org(1)]}', personal => '{\"name\": \"Ada\"}')");
set_days(-14);
emit_chain($node, 4, org(1));
$sql->("SELECT count(*) FROM spine.erase_events('@{[org(1)]}', (SELECT array_agg(id) FROM spine.events WHERE personal IS NOT NULL), 'asked for')");
set_days(0);
emit_chain($node, 1, org(1));
$sql->('SELECT count(*) FROM spine.record_verification()');
is($sql->($unwell), '0|', 'all is well before');

# One table by itself, while it is attached.
is($summary->("spine.verify_table('$week[0][0]')"), "1|t|3|1|3\n2|t|3|1|3\n5|t|3|1|3", 'a table that begins chains is verified by itself');
is($summary->("spine.verify_table('$week[1][0]')"), "1|t|3|4|6\n3|t|2|1|2", 'and one that goes on, with a part that was erased later');
is($summary->("spine.verify_table('$week[2][0]')"), '1|t|5|7|11', 'and one after that');
like($error->(q{SELECT * FROM spine.verify_table('spine.events')}), qr/SP018.*holds events itself/s, 'not the whole, which is verify_chain\'s');
like($error->(q{SELECT * FROM spine.verify_table('spine.anchors')}), qr/SP018/, 'nor what is no table of events');
$sql->('CREATE ROLE nobody; GRANT USAGE ON SCHEMA spine TO nobody; GRANT EXECUTE ON FUNCTION spine.verify_table, spine.retire_events TO nobody');
like($error->("SET ROLE nobody; SELECT * FROM spine.verify_table('$week[0][0]')"), qr/42501/, 'for the owner alone');
like($error->("SET ROLE nobody; SELECT * FROM spine.retire_events('$week[1][2]', 'old')"), qr/42501/, 'as retiring is');

# What stands in the way.
like($error->("SELECT * FROM spine.retire_events(now() + interval '1 day', 'old')"), qr/SP089.*is not past/s, 'not for a time to come');
like($error->("SELECT * FROM spine.retire_events('$week[1][2]', '')"), qr/22004/, 'not without a reason');
like($error->("SELECT * FROM spine.retire_events(NULL, 'old')"), qr/22004/, 'nor without a time');
is($sql->("SELECT count(*) FROM spine.retire_events('$week[0][2]'::timestamptz - interval '1 hour', 'old')"), '0', 'a partition that ends later stays whole');
my $hold = $sql->("SELECT spine.place_hold('@{[org(2)]}', 'a case')");
like($error->("SELECT * FROM spine.retire_events('$week[1][2]', 'old')"), qr/SP072.*hold $hold/s, 'not what is held, and the hold is named');
$sql->("SELECT spine.release_hold('$hold', 'it ended')");
$hold = $sql->("SELECT spine.place_hold('@{[org(2)]}', 'a case', from_timestamp => '$week[2][1]')");
tamper($node, 'postgres', "UPDATE spine.events SET payload = '{\"n\": 100}' WHERE organization_id = '@{[org(3)]}' AND sequence = 2");
like($error->("SELECT * FROM spine.retire_events('$week[1][2]', 'old')"), qr/SP090.*\Q$week[1][0]\E is not intact: content_altered at sequence 2 of organization @{[org(3)]}/s,
	'not what is not intact, which is said');
is($faults_of->($week[1][0]), '3|1|2|content_altered', 'as verify_table says');
is($sql->(q{SELECT count(*) FROM spine.anchors}), '0', 'nothing was retired');
tamper($node, 'postgres', "UPDATE spine.events SET payload = '{\"n\": 2}' WHERE organization_id = '@{[org(3)]}' AND sequence = 2");

# Both weeks go.
my $rows = $sql->("COPY (SELECT * FROM spine.events WHERE \"timestamp\" < '$week[1][2]' ORDER BY organization_id, sequence) TO STDOUT");
my $retired = $sql->("SELECT partition, events, chains, retirement_id IS NOT NULL FROM spine.retire_events('$week[1][2]', 'ten years are over')");
like($retired, qr/^\Q$week[0][0]\E\|\d+\|4\|t\n\Q$week[1][0]\E\|\d+\|\d\|t$/, 'a hold on later events does not hold these: two weeks are retired');
is($sql->("SELECT count(*) FROM spine.events WHERE \"timestamp\" < '$week[1][2]'"), '0', 'their events are gone');
is($sql->($unwell), '0|', 'and all is well');
is($summary->('spine.verify_chain()'), "1|t|6|7|12\n2|t|3|4|6", 'chains go on from their anchors');
is($sql->(q{SELECT payload ->> 'partition', payload ->> 'reason', payload ->> 'anchors_hash' = (SELECT encode(sha256(string_agg(uuid_send(organization_id) || int8send(sequence) || event_hash, ''
    ORDER BY organization_id)), 'hex') FROM spine.anchors WHERE retirement_id = e.id), (payload ->> 'chains')::int = (SELECT count(*) FROM spine.anchors WHERE retirement_id = e.id)
  FROM spine.events e WHERE event_type = 'platform.partition.retired' ORDER BY sequence}),
	"$week[0][0]|ten years are over|t|t\n$week[1][0]|ten years are over|t|t", 'each is an event that holds a hash over its anchors');
is($sql->("SELECT count(*) FROM spine.chain_partitions WHERE starts IN ('$week[0][1]', '$week[1][1]')"), '0', 'chain_partitions forgot them');
is($sql->("SELECT intact IS NULL, events FROM spine.verify_chain('@{[org(5)]}')"), 't|0', 'a chain without an event left has nothing to be verified');
is($sql->("SELECT count(*), min(sequence) FROM spine.read_events('@{[org(1)]}')"), '6|7', 'readers begin behind the anchor');
$sql->(q{CREATE FUNCTION handle(spine.events) RETURNS void LANGUAGE sql AS ''});
my ($code, $out, $err) = $node->psql('postgres', "SELECT spine.replay('handle(spine.events)', '@{[org(1)]}')");
is($out, '12', 'a replay, too');
like($err, qr/^[^\n]*NOTICE:  events 1 to 6 of organization @{[org(1)]} were retired, and are not replayed$/, 'which says so, and warns of nothing');
($code, $out, $err) = $node->psql('postgres', "SELECT spine.replay('handle(spine.events)', '@{[org(1)]}', 2, 5), spine.replay('handle(spine.events)', '@{[org(5)]}'), spine.replay('handle(spine.events)', '@{[org(1)]}', 7)");
is($out, '||12', 'nothing is left of what was retired');
unlike($err, qr/WARNING/, 'and nothing is missing');
is($sql->("SELECT events FROM spine.chain_status WHERE organization_id = '@{[org(1)]}'"), '12', 'the status counts what was retired');

is($sql->("SELECT h.sequence, h.event_hash = a.event_hash, h.\"timestamp\" = a.\"timestamp\" FROM spine.read_chain_heads() h JOIN spine.anchors a USING (organization_id, sequence) WHERE organization_id = '@{[org(5)]}'"),
	'3|t|t', 'the head of a chain that has only an anchor is its last retired event');
is($sql->("SELECT events FROM spine.chain_status WHERE organization_id = '@{[org(5)]}'"), '3', 'and its status shows it');
is($sql->(q{SELECT ARRAY(SELECT organization_id FROM spine.read_chain_heads(NULL, 100)) = ARRAY(SELECT organization_id FROM spine.read_chain_heads() ORDER BY 1)}), 't', 'as its pages do');

# A chain that has only an anchor goes on.
emit_chain($node, 2, org(5));
is($summary->("spine.verify_chain('@{[org(5)]}')"), '5|t|2|4|5', 'a chain that has nothing but an anchor goes on from it');

# The retired tables.
is($summary->("spine.verify_table('$week[0][0]')"), "1|t|3|1|3\n2|t|3|1|3\n5|t|3|1|3", 'a retired table is verified by itself');
is($summary->("spine.verify_table('$week[1][0]')"), "1|t|3|4|6\n3|t|2|1|2", 'each of them');
foreach my $change ("DELETE FROM $week[0][0]", "UPDATE $week[0][0] SET payload = NULL", "TRUNCATE $week[0][0]", "DROP TABLE $week[0][0]",
	"ALTER TABLE $week[0][0] DISABLE TRIGGER refuse_row_change")
{
	like($error->($change), qr/SP013|SP024/, "$change is refused");
}
is($sql->("SELECT string_agg(tgname || tgenabled::text, ' ' ORDER BY tgname) FROM pg_trigger WHERE tgrelid = '$week[0][0]'::regclass"), 'refuse_changeA refuse_row_changeA',
	'it has triggers of its own');
is($sql->("SELECT relrowsecurity, relacl FROM pg_class WHERE oid = '$week[0][0]'::regclass"), 't|', 'and nobody has rights on it');
# What only the anchor tells: the last event of a chain is another, with the hash that it has, or is gone.
my $off = GUARDS_OFF . "ALTER TABLE $week[0][0] DISABLE TRIGGER ALL;";
my $on = "ALTER TABLE $week[0][0] ENABLE ALWAYS TRIGGER refuse_change; ALTER TABLE $week[0][0] ENABLE ALWAYS TRIGGER refuse_row_change;" . GUARDS_ON;
$sql->("CREATE TABLE kept AS SELECT * FROM $week[0][0] WHERE organization_id = '@{[org(2)]}' AND sequence = 3");
$sql->("$off UPDATE $week[0][0] SET payload = '{\"n\": 9}' WHERE organization_id = '@{[org(2)]}' AND sequence = 3; $on");
$sql->("$off UPDATE $week[0][0] e SET event_hash = spine.event_digest((SELECT r FROM ONLY $week[0][0] r WHERE r.ctid = e.ctid)::text::spine.events) WHERE organization_id = '@{[org(2)]}' AND sequence = 3; $on");
is($faults_of->($week[0][0]), '2|1|3|link_broken', 'an end that was rewritten, hash and all, is not the anchor\'s');
like($error->("SELECT spine.attach_partition('$week[0][0]', '$week[0][1]', '$week[0][2]')"), qr/SP088/, 'so the table cannot come back');
$sql->("$off DELETE FROM $week[0][0] WHERE organization_id = '@{[org(2)]}' AND sequence = 3; $on");
is($faults_of->($week[0][0]), '2|1|3|event_missing', 'an end that is gone is missing');
$sql->("$off INSERT INTO $week[0][0] SELECT * FROM kept; $on");
is($faults_of->($week[0][0]), '', 'the table is intact again');

# They come back, the newest first.
like($error->("SELECT spine.attach_partition('$week[0][0]', '$week[0][1]', '$week[0][2]')"), qr/SP088.*comes back first/s, 'the older one must wait');
is($sql->('SELECT count(DISTINCT retirement_id) FROM spine.anchors'), '2', 'no anchor went');
foreach my $back (1, 0)
{
	$sql->("SELECT spine.attach_partition('$week[$back][0]', '$week[$back][1]', '$week[$back][2]')");
	is($sql->('SELECT count(DISTINCT retirement_id) FROM spine.anchors'), $back, 'its anchors are gone');
	is($sql->($unwell), '0|', 'and all is well');
}
is($sql->("COPY (SELECT * FROM spine.events WHERE \"timestamp\" < '$week[1][2]' ORDER BY organization_id, sequence) TO STDOUT"), $rows, 'all events are there as they were');
is($summary->('spine.verify_chain()'), "1|t|12|1|12\n2|t|6|1|6\n3|t|2|1|2\n5|t|5|1|5", 'chains begin with their first event');
is($sql->("SELECT string_agg(tgname || tgenabled::text, ' ' ORDER BY tgname) FROM pg_trigger WHERE tgrelid = '$week[0][0]'::regclass"),
	'refuse_changeA refuse_row_changeA zz_chain_eventA', 'partitions have their triggers');

# And go again, one by one; the older one is dropped by an administrator, and the chain still begins at its anchor.
is($sql->("SELECT count(*) FROM spine.retire_events('$week[0][2]', 'again')"), '1', 'the older one goes again');
$sql->(UNGUARD . " DROP TABLE $week[0][0]");
is($sql->($unwell), '0|', 'a retired table may be dropped by an administrator');
is($summary->('spine.verify_chain()'), "1|t|9|4|12\n2|t|3|4|6\n3|t|2|1|2\n5|t|2|4|5", 'chains begin at the anchors');
is($sql->("SELECT count(*) FROM spine.retire_events('$week[1][2]', 'again')"), '1', 'and so does the next');
is($summary->("spine.verify_table('$week[1][0]')"), "1|t|3|4|6\n3|t|2|1|2", 'which is linked to what was dropped by the anchor');

# A dump brings a retired table back with its key and its triggers, and the anchors.
foreach my $format ('plain', 'custom')
{
	my $file = $node->basedir . "/dump.$format";
	$node->command_ok([ 'pg_dump', '-F', $format, '-f', $file, '-p', $node->port, '-h', $node->host, 'postgres' ], "$format: it is dumped");
	$node->safe_psql('postgres', "CREATE DATABASE $format");
	$node->command_ok($format eq 'plain' ? [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-p', $node->port, '-h', $node->host, '-f', $file, '-d', $format ]
		: [ 'pg_restore', '-e', '-p', $node->port, '-h', $node->host, '-d', $format, $file ], "$format: and restored");
	is($node->safe_psql($format, "SELECT count(*) FILTER (WHERE intact), count(*) FROM spine.verify_table('$week[1][0]')"), '2|2', "$format: the retired table is intact");
	is($node->safe_psql($format, $unwell), '0|', "$format: and all is well");
	like(($node->psql($format, "ALTER TABLE $week[1][0] ADD PRIMARY KEY (id)"))[2], qr/guarded/, "$format: nothing else may be added to it");
	like(($node->psql($format, "CREATE TRIGGER t BEFORE UPDATE OR DELETE ON $week[1][0] FOR EACH ROW EXECUTE FUNCTION spine.refuse_change()"))[2], qr/guarded/, "$format: nor another trigger");
	$node->safe_psql($format, "SET people_os_spine.environment = 'test'; SELECT spine.attach_partition('$week[1][0]', '$week[1][1]', '$week[1][2]')");
	is($node->safe_psql($format, 'SELECT count(*) FROM spine.verify_chain() WHERE NOT intact'), '0', "$format: it comes back");
}

# The default partition has older ones.
set_days(60);
emit_chain($node, 1, org(4));
set_days(100);
$sql->(q{SELECT count(*) FROM spine.create_partitions('7 days', 1)});
emit_chain($node, 1, org(4));
set_days(130);
my $newest = $sql->(q{SELECT max((regexp_match(pg_get_expr(c.relpartbound, c.oid), $re$TO \('(.*)'\)$re$))[1]) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
  WHERE i.inhparent = 'spine.events'::regclass});
like($error->("SELECT * FROM spine.retire_events('$newest', 'old')"), qr/SP089.*the default partition has events from before/s, 'not before what lies in the default partition');

$node->stop;
done_testing();
