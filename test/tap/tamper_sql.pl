# A superuser who has switched the triggers and constraints off changes stored events by SQL: what verification
# must say then, fault by fault. Each case has an organization of its own, so one fault cannot pass for another.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Spine;

my $node = spine_node('tamper_sql');
my $off  = GUARDS_OFF . <<'SQL';
ALTER TABLE spine.events DISABLE TRIGGER ALL; ALTER TABLE spine.events_default DISABLE TRIGGER ALL;
ALTER TABLE spine.events DROP CONSTRAINT events_pkey, DROP CONSTRAINT events_payload_check, DROP CONSTRAINT events_personal_check, DROP CONSTRAINT events_occurred_at_check,
  DROP CONSTRAINT events_event_type_check, DROP CONSTRAINT events_timestamp_check, DROP CONSTRAINT events_sequence_check,
  DROP CONSTRAINT events_previous_hash_check, DROP CONSTRAINT events_event_hash_check;
SQL
$off .= "ALTER TABLE spine.events ALTER COLUMN \"$_\" DROP NOT NULL;\n"
  foreach qw(id event_type domain entity_type entity_id action actor_id actor_type organization_id environment
  timestamp severity payload sequence transaction_id recorded_by previous_hash event_hash);

# O stands for the case's organization, U for an UPDATE of its fourth event, R for computing its own hash anew.
my $other = 'ffffffff-0000-4000-8000-000000000001';
my $forge = <<'SQL';
INSERT INTO spine.events SELECT f.* FROM spine.events e, jsonb_populate_record(e, '{"id": "FORGED"}') f
 WHERE e.organization_id = 'O' AND e.sequence = 4;
SQL
my $rehash = q(UPDATE spine.events e SET event_hash = spine.event_digest(e) WHERE organization_id = 'O');
my $set    = q(UPDATE spine.events SET %s WHERE organization_id = 'O' AND sequence = 4);
my @changes = (
	# column, value; beside content_altered at 4
	[ 'id',             q('00000000-0000-7000-8000-0000000000ff') ],
	[ 'event_type',     q('hcm.employee.deleted'), '4 malformed' ],
	[ 'domain',         q('crm'), '4 malformed' ],
	[ 'entity_type',    q('person'), '4 malformed' ],
	[ 'entity_id',      q('00000000-0000-4000-8000-0000000000e2') ],
	[ 'action',         q('deleted'), '4 malformed' ],
	[ 'actor_id',       q('00000000-0000-4000-8000-0000000000a2') ],
	[ 'actor_type',     q('system') ],
	[ 'environment',    q('prod') ],
	[ 'timestamp',      q("timestamp" - interval '1 day'), '4 order_violated' ],
	[ 'timestamp',      q("timestamp" + interval '1 day'), '5 order_violated' ],
	[ 'severity',       q('critical') ],
	[ 'payload',        q('{"n": 5}') ],
	[ 'payload',        q('[]') ],
	[ 'payload',        q('{"n": 4, "m": null}') ],
	[ 'payload',        q('"text"') ],
	[ 'payload_salt',   q('\x00') ],
	[ 'payload_salt',   q(sha256('x')) ],
	[ 'personal',       q('{"n": 4}') ],
	[ 'personal_hash',  q(sha256('x')), '4 part_missing' ],
	[ 'occurred_at',    q("timestamp") ],
	[ 'correlation_id', q(id) ],
	[ 'causation_id',   q(id) ],
	[ 'transaction_id', q('7') ],
	[ 'recorded_by',    q('nobody') ],
	[ 'previous_hash',  q(sha256('x')), '4 link_broken' ],
	[ 'event_hash',     q(sha256('x')), '5 link_broken' ]);
my @nulls = (
	[ 'id',              '4 content_altered', '4 event_missing' ],
	[ 'event_type',      '4 content_altered', '4 malformed' ],
	[ 'domain',          '4 content_altered', '4 malformed' ],
	[ 'entity_type',     '4 content_altered', '4 malformed' ],
	[ 'entity_id',       '4 content_altered' ],
	[ 'action',          '4 content_altered', '4 malformed' ],
	[ 'actor_id',        '4 content_altered' ],
	[ 'actor_type',      '4 content_altered' ],
	[ 'environment',     '4 content_altered' ],
	[ 'timestamp',       '4 content_altered', '4 event_missing' ],
	[ 'severity',        '4 content_altered' ],
	[ 'payload',         '4 content_altered' ],
	[ 'payload_salt',    '4 content_altered' ],
	[ 'transaction_id',  '4 content_altered' ],
	[ 'recorded_by',     '4 content_altered' ],
	[ 'previous_hash',   '4 content_altered', '4 event_missing' ],
	[ 'event_hash',      '4 content_altered', '4 event_missing' ],
	[ 'organization_id', '4 event_missing' ],
	[ 'sequence',        '4 event_missing' ]);

# name, SQL, the faults of the organization as "sequence fault"
my @cases = ([ 'nothing changed', 'SELECT' ]);
push @cases, [ "$_->[0] changed to $_->[1]", sprintf($set, qq("$_->[0]" = $_->[1])), '4 content_altered', $_->[2] // () ]
  foreach @changes;
push @cases, [ "$_->[0] set to NULL", sprintf($set, qq("$_->[0]" = NULL)), @$_[ 1 .. $#$_ ] ] foreach @nulls;
push @cases,
  [ 'name and action changed together', sprintf($set, q(event_type = 'hcm.employee.deleted', action = 'deleted')),
	'4 content_altered' ],
  [ 'parts that join to the name at other places',
	sprintf($set, q(domain = 'hcm.employee', entity_type = 'created', action = '')), '4 content_altered', '4 malformed' ],
  [ 'changed and hashed anew', sprintf($set, q(payload = '{}')) . "; $rehash AND sequence = 4", '5 link_broken' ],
  [ 'moved in time and hashed anew', sprintf($set, q("timestamp" = "timestamp" - interval '1 s')) . "; $rehash AND sequence = 4",
	'4 order_violated', '5 link_broken' ],
  [ 'moved to an organization of its own', sprintf($set, qq(organization_id = '$other')), '4 event_missing' ],
  [ 'moved far ahead', sprintf($set, 'sequence = 400'), '4 event_missing', '8 event_missing', '400 content_altered' ],
  [ 'moved to the last number there is', sprintf($set, 'sequence = 9223372036854775807'), '4 event_missing',
	'8 event_missing', '9223372036854775807 content_altered' ],
  [ 'sequence 0', sprintf($set, 'sequence = 0'), '0 content_altered', '0 malformed', '4 event_missing' ],
  [ 'sequence -1', sprintf($set, 'sequence = -1'), '-1 content_altered', '-1 malformed', '4 event_missing' ],
  [ 'the smallest sequence', sprintf($set, 'sequence = -9223372036854775808'), '-9223372036854775808 content_altered',
	'-9223372036854775808 malformed', '4 event_missing' ],
  [ 'an event deleted', q(DELETE FROM spine.events WHERE organization_id = 'O' AND sequence = 4), '4 event_missing' ],
  [ 'neighbours deleted', q(DELETE FROM spine.events WHERE organization_id = 'O' AND sequence IN (3, 4, 5)), '3 event_missing' ],
  [ 'several gaps', q(DELETE FROM spine.events WHERE organization_id = 'O' AND sequence IN (2, 4, 5)), '2 event_missing',
	'4 event_missing' ],
  [ 'the first event deleted', q(DELETE FROM spine.events WHERE organization_id = 'O' AND sequence = 1), '1 event_missing' ],
  [ 'all but the last deleted', q(DELETE FROM spine.events WHERE organization_id = 'O' AND sequence < 7), '1 event_missing' ],
  # What follows the change is gone or written anew: outside, a checkpoint held elsewhere must tell.
  [ 'the tail deleted (outside)', q(DELETE FROM spine.events WHERE organization_id = 'O' AND sequence > 5) ],
  [ 'the last event hashed anew (outside)', q(UPDATE spine.events SET payload = '{}' WHERE organization_id = 'O' AND sequence = 7)
	  . "; $rehash AND sequence = 7" ],
  [ 'an exact copy', q(INSERT INTO spine.events SELECT * FROM spine.events WHERE organization_id = 'O' AND sequence = 4),
	'4 event_duplicated' ],
  [ 'two copies', q(INSERT INTO spine.events SELECT e.* FROM spine.events e, generate_series(1, 2)
		WHERE organization_id = 'O' AND sequence = 4), '4 event_duplicated', '4 event_duplicated' ],
  [ 'a copy and the range\'s end missing', q(INSERT INTO spine.events SELECT * FROM spine.events WHERE organization_id = 'O' AND sequence = 3;
		DELETE FROM spine.events WHERE organization_id = 'O' AND sequence = 5), '3 event_duplicated', '5 event_missing' ],
  [ 'a copy of the last', q(INSERT INTO spine.events SELECT * FROM spine.events WHERE organization_id = 'O' AND sequence = 7),
	'7 event_duplicated' ],
  [ 'a copy of the first', q(INSERT INTO spine.events SELECT * FROM spine.events WHERE organization_id = 'O' AND sequence = 1),
	'1 event_duplicated' ],
  [ 'a fork whose hash is right', "$forge; $rehash AND id = 'FORGED'", '4 event_duplicated' ],
  [ 'a fork whose hash is right and whose link is not',
	"$forge; UPDATE spine.events SET previous_hash = sha256('x') WHERE id = 'FORGED'; $rehash AND id = 'FORGED'",
	'4 event_duplicated', '4 link_broken' ],
  [ 'a row far ahead whose hash is right', "$forge; UPDATE spine.events SET sequence = 90 WHERE id = 'FORGED'; $rehash AND id = 'FORGED'",
	'8 event_missing' ],
  [ 'first event with a predecessor', q(UPDATE spine.events SET previous_hash = sha256('x') WHERE organization_id = 'O' AND sequence = 1)
	  . "; $rehash AND sequence = 1", '1 link_broken', '2 link_broken' ],
  [ 'two events trade places', q(UPDATE spine.events SET sequence = 7 - sequence WHERE organization_id = 'O' AND sequence IN (3, 4)),
	'3 content_altered', '3 link_broken', '4 content_altered', '4 link_broken', '4 order_violated', '5 link_broken' ],
  [ 'many faults in one chain', q(DELETE FROM spine.events WHERE organization_id = 'O' AND sequence = 2;
		UPDATE spine.events SET payload = '{}' WHERE organization_id = 'O' AND sequence = 3;
		UPDATE spine.events SET event_hash = sha256('y') WHERE organization_id = 'O' AND sequence = 4;
		UPDATE spine.events SET domain = 'x', "timestamp" = "timestamp" - interval '1 h' WHERE organization_id = 'O' AND sequence = 6;
		INSERT INTO spine.events SELECT * FROM spine.events WHERE organization_id = 'O' AND sequence = 7),
	'2 event_missing', '3 content_altered', '4 content_altered', '5 link_broken', '6 content_altered', '6 malformed',
	'6 order_violated', '7 event_duplicated' ];
my @orgs = map { org($_) } 1 .. @cases;
emit_chain($node, 7, @orgs);
# Every label of each enum beside every label of the others
$node->safe_psql('postgres', "SET people_os_spine.environment = '$_'; SELECT count(spine.emit_event('a.b.c', entity_id => '" . org(1) . "', actor_id => '" . org(1)
	  . "', organization_id => '" . org(300) . "', actor_type => a, severity => s)) FROM unnest(enum_range(NULL::spine.actor_type)) a, unnest(enum_range(NULL::spine.severity)) s")
  foreach qw(dev test stage prod);
is($node->safe_psql('postgres', 'SELECT count(DISTINCT (actor_type, environment, severity)) FROM spine.events WHERE organization_id = \'' . org(300) . "'"), 48,
	'all combinations of labels are there');
my $healthy = rows_of($node);
is(scalar(grep { $_->{event_hash} ne digest_of($_) } @$healthy), 0, 'the model computes the hashes that are stored');
agrees_with_model($node, $healthy, 'healthy chains have no fault');
is(scalar @{ faults_of($node) }, 0, 'not one');

my $fill = sub {
	my ($sql, $n) = @_;
	my $o = org($n);
	my $forged = sprintf '00000000-0000-7000-9000-%012d', $n;
	$sql =~ s/'O'/'$o'/g;
	$sql =~ s/FORGED/$forged/g;
	return $sql;
};
$node->safe_psql('postgres', $off . join ";\n", map { $fill->($cases[ $_ - 1 ][1], $_) } 1 .. @cases);

my $rows = rows_of($node);
my $order = sub { my ($s) = $_[0] =~ /^(-?\d+)/; $s };
my %all;
push @{ $all{ $_->[0] } }, $_ foreach @{ faults_of($node) };
foreach my $i (0 .. $#cases)
{
	my ($name, undef, @want) = @{ $cases[$i] };
	my @got = map { "$_->[1] $_->[3]" } @{ $all{ $orgs[$i] } // [] };
	is_deeply([ sort @got ], [ sort @want ], "$name: found at its place");
	agrees_with_model($node, $rows, "$name: with hashes and id, alone", org => $orgs[$i]);
}
agrees_with_model($node, $rows, 'all together, sorted');
my ($changed) = grep { $cases[ $_ - 1 ][0] =~ /^event_hash changed/ } 1 .. @cases;
is_deeply(
	[ map { [ @$_[ 1, 3, 6 ] ] } @{ $all{ org($changed) } } ],
	[
		[ 4, 'content_altered', 'the content does not give event_hash' ],
		[ 5, 'link_broken',     'previous_hash is not the event_hash of the event before' ]
	],
	'details say what is wrong');
my %gap;
foreach my $i (0 .. $#cases) { $gap{ $cases[$i][0] } = join '; ', map { $_->[6] } @{ $all{ $orgs[$i] } // [] } }
is($gap{'several gaps'}, 'event 2 is missing; events 4 to 5 are missing', 'a gap is one fault that says from where to where');
is($gap{'the first event deleted'}, 'event 1 is missing', 'also the first');
is_deeply(
	[ map { "$_->[1] $_->[3]" } @{ $all{$other} } ],
	[ '1 event_missing', '4 content_altered' ],
	'an event moved to another organization is found there too');
my @nobody = @{ $all{'-'} // [] };
is(scalar @nobody, 2, 'rows that name no organization or no sequence are reported');
unlike($_->[6], qr/runs past the end/, 'their detail does not say that the row is cut off: ' . $_->[6]) foreach @nobody;

# Ranges
foreach my $range ([ 1, 3 ], [ 1, 4 ], [ 4, 4 ], [ 5, 5 ], [ 5, 7 ], [ 4, undef ], [ undef, 4 ], [ 3, 6 ], [ 8, 12 ], [ 6, 399 ],
	[ 7, 7 ], [ 2, 2 ], [ 9223372036854775807, 9223372036854775807 ])
{
	my ($from, $to) = @$range;
	agrees_with_model($node, $rows, 'range ' . ($from // '…') . ' to ' . ($to // '…'), from => $from, to => $to);
}
# Rows that cannot say whose they are count wherever one looks, so they are left out here.
sub own_faults
{
	my ($o, %arg) = @_;
	return [ grep { $_->[0] ne '-' } @{ faults_of($node, org => $o, %arg) } ];
}
my %case_org = map { $cases[$_][0] => $orgs[$_] } 0 .. $#cases;
my @ranges = (
	[ 'changed and hashed anew', 5, 5, '5 link_broken' ],
	[ 'changed and hashed anew', 6, 7 ],
	[ 'changed and hashed anew', 1, 4 ],
	[ 'an event deleted', 5, 7, '4 event_missing' ],
	[ 'an event deleted', 6, 7 ],
	[ 'an event deleted', 2, 4, '4 event_missing' ],
	[ 'an event deleted', 4, 4, '4 event_missing' ],
	[ 'neighbours deleted', 1, 4, '3 event_missing' ],
	[ 'the tail deleted (outside)', 1, 7 ],
	[ 'an exact copy', 5, 7 ],
	[ 'a copy and the range\'s end missing', 1, 5, '3 event_duplicated', '5 event_missing' ],
	[ 'a copy and the range\'s end missing', 4, 5, '5 event_missing' ],
	[ 'an exact copy', 4, 4, '4 event_duplicated' ]);
foreach my $r (@ranges)
{
	my ($name, $from, $to, @want) = @$r;
	my $got = own_faults($case_org{$name}, from => $from, to => $to);
	is_deeply([ map { "$_->[1] $_->[3]" } @$got ], \@want, "$name, range $from to $to");
}
my ($summary) = @{ summaries_of($node, org => $case_org{'nothing changed'}, from => 3, to => 5) };
my ($fifth) = grep { $_->{organization_id} eq org(1) && $_->{sequence} == 5 } @$rows;
is($summary, join('|', org(1), 'true', 3, 3, 5, $fifth->{event_hash}, 0, '-', '-'), 'a range: what was checked, and its head');
($summary) = @{ summaries_of($node, org => '99999999-0000-4000-8000-000000000000') };
is($summary, '99999999-0000-4000-8000-000000000000|-|0|-|-|-|0|-|-', 'of an organization without events intact is NULL');
($summary) = @{ summaries_of($node, org => org(1), from => 100) };
is((split /\|/, $summary)[1], '-', 'and where the range holds no event');
is_refused($node, 'postgres', "SELECT spine.verify_chain(NULL, $_)", 'SP019', "range $_", hint => 'begins at 1')
  foreach '0', '-1', '5, 4', 'NULL, 0';

# Hashes of another length than a hash's
my %wrong = (
	event_hash    => [ q(substr(event_hash, 1, 31)), q(event_hash || '\x00'), q('\x'::bytea) ],
	previous_hash => [ q(substr(previous_hash, 1, 31)), q(previous_hash || '\x00'), q('\x'::bytea) ]);
my $n = 500;
my (@lengths, $sql);
foreach my $column (sort keys %wrong)
{
	foreach my $value (@{ $wrong{$column} }) { push @lengths, [ $n++, $column, $value ] }
}
my $long = $n++;
# Emitting needs the index that was dropped, and with duplicates it cannot come back: these chains are copies.
my $copy = sub {
	my ($to) = @_;
	return "INSERT INTO spine.events SELECT (jsonb_populate_record(e, jsonb_build_object('organization_id', '" . org($to)
	  . "', 'id', gen_random_uuid()))).* FROM spine.events e WHERE organization_id = '" . org(1) . "';"
	  . "DO \$\$ DECLARE s bigint; h bytea := decode('" . ZERO_HASH . "', 'hex'); BEGIN FOR s IN 1 .. 7 LOOP "
	  . "UPDATE spine.events SET previous_hash = h WHERE organization_id = '" . org($to) . "' AND sequence = s; "
	  . "UPDATE spine.events e SET event_hash = spine.event_digest(e) WHERE organization_id = '" . org($to)
	  . "' AND sequence = s RETURNING event_hash INTO h; END LOOP; END \$\$;\n";
};
$sql = join '', map { $copy->($_->[0]) } @lengths, [$long];
$node->safe_psql('postgres', $sql);
is(scalar @{ own_faults(org($long)) }, 0, 'a chain that was hashed by SQL is whole');
$node->safe_psql('postgres',
	join ';', map { "UPDATE spine.events SET $_->[1] = $_->[2] WHERE organization_id = '" . org($_->[0]) . "' AND sequence = 4" } @lengths);
foreach my $l (@lengths)
{
	my ($number, $column, $value) = @$l;
	my @got = @{ own_faults(org($number)) };
	is(join(' ', @{ $got[0] // [] }[ 1, 3 ]), '4 content_altered', "$column = $value: content_altered");
	# The successor of an event whose hash is none need not be reported: the event is.
	my @rest = map { "$_->[1] $_->[3]" } @got[ 1 .. $#got ];
	if ($column eq 'previous_hash') { is("@rest", '4 link_broken', "$column = $value: and link_broken") }
	else { like("@rest", qr/^(5 link_broken)?$/, "$column = $value: and nothing but its link") }
}
$node->safe_psql('postgres', "UPDATE spine.events SET previous_hash = previous_hash || '\\x00' WHERE organization_id = '" . org($long)
	  . "' AND sequence = 7; UPDATE spine.events e SET event_hash = spine.event_digest(e) WHERE organization_id = '" . org($long)
	  . "' AND sequence = 7");
is_deeply([ map { "$_->[1] $_->[3]" } @{ own_faults(org($long)) } ], ['7 link_broken'],
	'a previous_hash with a byte too many is not the hash of the event before, also where the event was hashed anew');

# Faults at random, in several organizations at once, against the model
srand(20260119);
$node->safe_psql('postgres', 'DELETE FROM spine.events');
my @pool = map { org($_) } 600 .. 611;
$node->safe_psql('postgres', <<'SQL');
CREATE UNIQUE INDEX again ON spine.events_default (organization_id, sequence);
ALTER TABLE spine.events ENABLE TRIGGER ALL;
SQL
emit_chain($node, 12, @pool);
$node->safe_psql('postgres', 'DROP INDEX spine.again; ALTER TABLE spine.events DISABLE TRIGGER ALL; ALTER TABLE spine.events_default DISABLE TRIGGER ALL; CREATE TABLE pristine AS TABLE spine.events');
my @strokes = (
	sub { sprintf 'DELETE FROM spine.events WHERE %s', $_[0] },
	sub { sprintf q(UPDATE spine.events SET payload = '{"x": %d}' WHERE %s), int rand 99, $_[0] },
	sub { sprintf q(UPDATE spine.events SET event_hash = sha256('%d') WHERE %s), int rand 99, $_[0] },
	sub { sprintf q(UPDATE spine.events SET previous_hash = sha256('%d') WHERE %s), int rand 99, $_[0] },
	sub { sprintf q(UPDATE spine.events SET "timestamp" = "timestamp" + %d * interval '1 s' WHERE %s), int(rand 9) - 4, $_[0] },
	sub { sprintf q(UPDATE spine.events SET sequence = %d WHERE %s), int(rand 16) - 1, $_[0] },
	sub { sprintf q(UPDATE spine.events SET organization_id = '%s' WHERE %s), $pool[ rand @pool ], $_[0] },
	sub { sprintf q(UPDATE spine.events SET action = 'x' WHERE %s), $_[0] },
	sub { sprintf q(UPDATE spine.events e SET event_hash = spine.event_digest(e) WHERE %s), $_[0] },
	sub { sprintf q(UPDATE spine.events SET id = gen_random_uuid() WHERE %s), $_[0] },
	sub { sprintf q(INSERT INTO spine.events SELECT (jsonb_populate_record(e, jsonb_build_object('id', gen_random_uuid()))).*
		FROM spine.events e WHERE %s), $_[0] });
foreach my $round (1 .. 12)
{
	my $many = 1 + int rand 30;
	$node->safe_psql('postgres', join ";\n", 'TRUNCATE spine.events_default', 'INSERT INTO spine.events TABLE pristine ORDER BY random()',
		map { $strokes[ rand @strokes ]->(sprintf q(organization_id = '%s' AND sequence = %d), $pool[ rand @pool ], 1 + int rand 12) }
		  1 .. $many);
	my $now = rows_of($node);
	agrees_with_model($node, $now, "round $round, $many changes at random");
	my $from = 1 + int rand 12;
	agrees_with_model($node, $now, "round $round, a range", from => $from, to => $from + int rand 6);
	agrees_with_model($node, $now, "round $round, one organization from a sequence on", org => $pool[ rand @pool ], from => $from);
}
agrees_with_model($node, rows_of($node), 'with little memory', settings => "SET work_mem = '64kB';");
agrees_with_model($node, rows_of($node), 'under SERIALIZABLE', settings => "SET default_transaction_isolation = 'serializable';");

# More organizations than the folder has slots, lying across each other; then more of them with duplicates
# than the list of these holds
$node->safe_psql('postgres', <<'SQL');
TRUNCATE spine.events_default;
CREATE UNIQUE INDEX again ON spine.events_default (organization_id, sequence);
ALTER TABLE spine.events ENABLE TRIGGER ALL;
CREATE FUNCTION tenant(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE RETURN md5(n::text)::uuid;
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
SELECT count(*) FROM generate_series(1, 2) r, LATERAL (SELECT spine.emit_events(jsonb_agg(jsonb_build_object('event_type', 'a.b.c',
  'entity_id', tenant(n), 'organization_id', tenant(n), 'payload', jsonb_build_object('r', r)))) FROM generate_series(1, 20000) n) e;
SQL
is($node->safe_psql('postgres', <<'SQL'), '20000|20000|20000|0', '20,000 organizations, each intact');
SELECT count(*), count(*) FILTER (WHERE intact), count(*) FILTER (WHERE events = 2 AND first_sequence = 1 AND last_sequence = 2), sum(faults)
  FROM spine.verify_chain()
SQL
$node->safe_psql('postgres', <<'SQL');
DROP INDEX spine.again;
ALTER TABLE spine.events DISABLE TRIGGER ALL; ALTER TABLE spine.events_default DISABLE TRIGGER ALL;
INSERT INTO spine.events SELECT (jsonb_populate_record(e, jsonb_build_object('id', gen_random_uuid()))).*
  FROM spine.events e JOIN generate_series(1, 1100) n ON organization_id = tenant(n) WHERE sequence = 1;
DELETE FROM spine.events WHERE organization_id = tenant(15000) AND sequence = 1;
SQL
my $expected = $node->safe_psql('postgres', <<'SQL');
SELECT tenant(n), 'false', 3, 1, 2, 2 FROM generate_series(1, 1100) n
UNION ALL SELECT tenant(15000), 'false', 1, 2, 2, 1
UNION ALL SELECT tenant(n), 'true', 2, 1, 2, 0 FROM generate_series(1101, 20000) n WHERE n <> 15000 ORDER BY 1
SQL
my $got = $node->safe_psql('postgres',
	'SELECT organization_id, intact::text, events, first_sequence, last_sequence, faults FROM spine.verify_chain()');
ok($got eq $expected, 'more than a thousand organizations with a duplicate, whose copy is altered, and one with a gap')
  or diag(substr(join("\n", grep { my $l = $_; index("\n$expected\n", "\n$l\n") < 0 } split /\n/, $got), 0, 1000));
is($node->safe_psql('postgres', 'SELECT string_agg(fault || n, $$,$$ ORDER BY fault) FROM (SELECT fault, count(*) AS n FROM spine.find_chain_faults() GROUP BY 1) f'),
	'content_altered1100,event_duplicated1100,event_missing1', 'and each fault once');

# Cancelled at any moment: an error, and the next verification works
my $whole = $node->safe_psql('postgres', 'SELECT md5(string_agg(v::text, $$,$$)) FROM spine.verify_chain() v');
my $stopped = 0;
foreach my $ms (1, 2, 3, 5, 8, 13, 21, 34, 55, 89)
{
	my ($state, $out) = run_sql($node, 'postgres', "SET statement_timeout = $ms; SELECT count(*) FROM spine.verify_chain(); RESET statement_timeout;
		SELECT 1");
	$stopped++ if $state eq '57014';
	fail("a verification with $ms ms ended with $state") unless $state eq '' || $state eq '57014';
	my (undef, $after) = $node->psql('postgres', "SET statement_timeout = $ms;\nSELECT count(*) FROM spine.find_chain_faults();\n"
		  . 'RESET statement_timeout;' . "\nSELECT md5(string_agg(v::text, ',')) FROM spine.verify_chain() v", on_error_stop => 0);
	is((split /\n/, $after)[-1], $whole, "after $ms ms the session goes on and verifies");
}
ok($stopped > 0, "statement_timeout stopped $stopped verifications with 57014");

# Compressed and out-of-line payloads
$node->safe_psql('postgres', <<'SQL');
TRUNCATE spine.events_default;
CREATE UNIQUE INDEX again ON spine.events_default (organization_id, sequence);
ALTER TABLE spine.events ENABLE TRIGGER ALL;
CREATE FUNCTION bulk(n int) RETURNS text LANGUAGE sql RETURN (SELECT string_agg(md5(random()::text), '') FROM generate_series(1, n));
SQL
my $toast = $node->safe_psql('postgres', "SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 'spine.events_default'::regclass");
my @payloads = (
	[ 'out of line', q(jsonb_build_object('bulk', bulk(300))) ],
	[ 'compressed',  q(jsonb_build_object('bulk', repeat('abc ', 3000))) ],
	[ 'out of line and compressed', q(jsonb_build_object('bulk', bulk(3000) || repeat('x', 90000))) ],
	[ 'one chunk changed', q(jsonb_build_object('bulk', bulk(300))) ]);
my %chunk;
foreach my $i (0 .. $#payloads)
{
	my $o = org(700 + $i);
	foreach my $s (1 .. 3)
	{
		$node->safe_psql('postgres', "SELECT spine.emit_event('a.b.c', entity_id => '$o', actor_id => '$o', organization_id => '$o', payload => $payloads[$i][1])");
		$chunk{"$i.$s"} = $node->safe_psql('postgres', "SELECT max(chunk_id) FROM $toast");
	}
}
agrees_with_model($node, rows_of($node), 'compressed and out-of-line payloads are no fault');
my $tuples = $node->safe_psql('postgres', <<'SQL');
SELECT string_agg(DISTINCT CASE WHEN pg_column_size(payload) < 4000 AND octet_length(payload::text) > 9000 THEN 'compressed'
  WHEN pg_column_compression(payload) IS NULL THEN 'plain' ELSE 'both' END, ',') FROM spine.events
SQL
is($tuples, 'both,compressed,plain', 'all three forms are there');
sub change_toast
{
	my ($sql) = @_;
	# The server changes no TOAST table, unless the catalog calls it a plain one.
	$node->safe_psql('postgres', "SET allow_system_table_mods = on; UPDATE pg_class SET relkind = 'r' WHERE oid = '$toast'::regclass");
	$node->safe_psql('postgres', "SET allow_system_table_mods = on; $sql");
	$node->safe_psql('postgres', "SET allow_system_table_mods = on; UPDATE pg_class SET relkind = 't' WHERE oid = '$toast'::regclass");
	return;
}
change_toast("DELETE FROM $toast WHERE chunk_id = $chunk{'0.2'} AND chunk_seq = 0;
	DELETE FROM $toast WHERE chunk_id = $chunk{'2.2'} AND chunk_seq = 3;
	UPDATE $toast SET chunk_data = set_byte(chunk_data, 1000, get_byte(chunk_data, 1000) # 1) WHERE chunk_id = $chunk{'3.2'} AND chunk_seq = 1");
my @toasted = @{ faults_of($node) };
is_deeply(
	[ map { [ @$_[ 0, 1, 3 ] ] } @toasted ],
	[ [ org(700), 2, 'unreadable' ], [ org(702), 2, 'unreadable' ], [ org(703), 2, 'content_altered' ] ],
	'a chunk that is deleted is unreadable at its event, one that is changed altered, and hides no other');
like($toasted[0][6], qr{the row at \(\d+,\d+\) of table spine\.events_default cannot be read: chunk 0 of an out-of-line value is damaged, missing}, 'the detail says which chunk');
is($toasted[0][5], $node->safe_psql('postgres', "SELECT encode(event_hash, 'hex') FROM spine.events WHERE organization_id = '" . org(700) . "' AND sequence = 2"),
	'found is the hash that is stored');
is_deeply([ map { (split /\|/)[1] . (split /\|/)[2] } @{ summaries_of($node) } ], [ 'false3', 'true3', 'false3', 'false3' ],
	'the rest is verified');

# Healthy chains never alarm
$node->safe_psql('postgres', <<'SQL');
ALTER TABLE spine.events DISABLE TRIGGER ALL; ALTER TABLE spine.events_default DISABLE TRIGGER ALL;
TRUNCATE spine.events_default;
ALTER TABLE spine.events ENABLE TRIGGER ALL;
CREATE FUNCTION anything(depth int) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE r float8 := random();
BEGIN
  IF depth > 0 AND r < 0.3 THEN
    RETURN coalesce((SELECT jsonb_object_agg(coalesce(anything(0)::text, '') || k, anything(depth - 1)) FROM generate_series(1, (random() * 6)::int) k), '{}');
  ELSIF depth > 0 AND r < 0.5 THEN
    RETURN coalesce((SELECT jsonb_agg(anything(depth - 1)) FROM generate_series(1, (random() * 6)::int)), '[]');
  END IF;
  RETURN CASE (random() * 7)::int
    WHEN 0 THEN 'null' WHEN 1 THEN to_jsonb(random() < 0.5) WHEN 2 THEN to_jsonb(random())
    WHEN 3 THEN to_jsonb((random() * 1e18)::numeric * (10::numeric ^ ((random() * 400)::int - 200)))
    WHEN 4 THEN to_jsonb((random() * 1e9)::int) WHEN 5 THEN to_jsonb(repeat(chr(32 + (random() * 50000)::int), (random() * 20)::int))
    WHEN 6 THEN to_jsonb(E'\b\f\n\r\t\x01\x7f"\\/ \u20ac \U0001F600 \u2028'::text) ELSE to_jsonb(repeat('long ', (random() * 2000)::int)) END;
END $$;
CREATE ROLE one SUPERUSER LOGIN; CREATE ROLE "two and 2" SUPERUSER LOGIN;
SQL
my @settings = (
	[], [ 'SET TimeZone = \'Asia/Kathmandu\'', 'SET DateStyle = \'SQL, DMY\'' ],
	[ 'SET IntervalStyle = sql_standard', 'SET extra_float_digits = -15', 'SET bytea_output = escape' ],
	[ 'SET search_path = pg_catalog, public', 'SET client_encoding = LATIN9', 'SET lc_numeric = \'C\'' ],
	[ 'SET default_transaction_isolation = serializable', 'SET TimeZone = \'America/St_Johns\'' ],
	[ 'SET default_transaction_isolation = \'repeatable read\'', 'SET lc_monetary = \'C\'', 'SET quote_all_identifiers = on' ],
	[ 'SET xmloption = document', 'SET standard_conforming_strings = off', 'SET array_nulls = off', 'SET work_mem = \'64kB\'' ]);
foreach my $i (0 .. $#settings)
{
	my $sql = join ";\n", @{ $settings[$i] }, <<"SQL";
SET people_os_spine.environment = '@{[ (qw(dev test stage prod))[ $i % 4 ] ]}';
SET people_os_spine.actor_type = '@{[ (qw(human system pipeline))[ $i % 3 ] ]}';
SET people_os_spine.actor_id = '@{[ org($i) ]}';
SELECT count(spine.emit_event('a.b.c' || n, entity_id => spine.entity_uuid('a', 'b', n::text), organization_id => ('00000000-0000-4000-8000-00000000080' || n % 7)::uuid,
  payload => jsonb_build_object('v', public.anything(4)), severity => (enum_range(NULL::spine.severity))[1 + n % 4])) FROM generate_series(1, 60) n;
BEGIN; SAVEPOINT s; SELECT spine.emit_event('a.b.rolled_back', entity_id => '@{[ org(1) ]}', organization_id => '@{[ org(801) ]}'); ROLLBACK TO s;
SELECT spine.emit_event('a.b.kept', entity_id => '@{[ org(1) ]}', organization_id => '@{[ org(801) ]}');
INSERT INTO spine.events (event_type, entity_id, organization_id) SELECT 'a.b.direct', '@{[ org(2) ]}', '@{[ org(802) ]}' FROM generate_series(1, 3);
SELECT count(*) FROM spine.find_chain_faults(); COMMIT;
SQL
	my ($state, $out, $err) = run_sql($node, 'postgres', $sql, role => $i % 2 ? 'one' : q('two and 2'));
	is($state, '', "emitting with settings $i") or diag($err);
	is((split /\n/, $out)[-1], 0, 'no alarm inside the transaction that emitted') if $state eq '';
}
my $counts = $node->safe_psql('postgres', <<'SQL');
SELECT organization_id, 'true', count(*), 1, max(sequence), (array_agg(encode(event_hash, 'hex') ORDER BY sequence DESC))[1], 0, '-', '-'
  FROM spine.events GROUP BY 1 ORDER BY 1
SQL
foreach my $s (@settings)
{
	is(join("\n", @{ summaries_of($node, settings => join '', map { "$_;" } @$s) }), $counts, 'random payloads, every chain intact: ' . join ' ', @$s);
}
is(scalar @{ model_faults(rows_of($node)) }, 0, 'the model says the same');
$node->stop;
done_testing;
