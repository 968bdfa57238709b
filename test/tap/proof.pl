# Checkpoints and proofs where something is wrong, goes away or comes back: altered events, nodes, checkpoints and entries; chains that
# lost their end, or all; emitters beside those who take checkpoints; retirement; dump and restore. What is right: sql/proof.sql.
use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Spine;
use Test::More;

sub set_days { return set_clock($_[0] * 86400) }
my $node = clock_node('proof', -21 * 86400);
my $sql = sub { $node->safe_psql('postgres', $_[0]) };
my $error = sub { ($node->psql('postgres', "\\set VERBOSITY verbose\n$_[0]"))[2] };
my @org = map { org($_) } 0 .. 6;
# What a call of take_checkpoint says, and what verify_since_checkpoint does of the chains that are not intact.
my $take = sub { $sql->("SELECT organization_id, size, intact, fault FROM spine.take_checkpoint($_[0]) WHERE organization_id <> '00000000-0000-0000-0000-000000000000' ORDER BY 1") =~ s/00000000-0000-4000-8000-0+//gr };
my $broken = sub { $sql->('SELECT organization_id, checkpoint_size, faults, first_fault_sequence, first_fault FROM spine.verify_since_checkpoint() WHERE NOT intact ORDER BY 1') =~ s/00000000-0000-4000-8000-0+//gr };
# Changes what is stored of checkpoints, which nothing but a superuser who takes guard and triggers off can do.
my $alter = sub {
	my ($table, $change) = @_;
	$sql->(GUARDS_OFF . "ALTER TABLE spine.$table DISABLE TRIGGER ALL; $change;"
		. " ALTER TABLE spine.$table ENABLE ALWAYS TRIGGER keep_record, ENABLE ALWAYS TRIGGER keep_record_row, ENABLE ALWAYS TRIGGER refuse_writer, ENABLE ALWAYS TRIGGER a_refuse_row_writer;" . GUARDS_ON);
};
my $note = sub {
	$sql->(q{SELECT spine.store_note(format(E'spine.example/log\n%s\n%s\n\n\u2014 spine.example/log %s\n', number, encode(root, 'base64'),
	  replace(encode('\x01020304'::bytea || sha256('a') || sha256('b'), 'base64'), E'\n', ''))) FROM spine.directory_checkpoints ORDER BY number DESC LIMIT 1});
};
# RFC 6962, section 2.1, from the leaves up: the same tree is made by carrying.
$sql->(q{CREATE FUNCTION public.reference_root(organization uuid, size bigint, retired bytea[] DEFAULT '{}') RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
  stack bytea[] := '{}';
  n bigint := 0;
  carry bytea;
  m bigint;
BEGIN
  FOR carry IN SELECT sha256('\x00'::bytea || h) FROM (SELECT h, o FROM unnest(retired) WITH ORDINALITY r (h, o)
    UNION ALL SELECT event_hash, sequence FROM spine.events WHERE organization_id = organization) e (h, o) WHERE o <= size ORDER BY o LOOP
    m := n;
    WHILE m % 2 = 1 LOOP
      carry := sha256('\x01'::bytea || stack[cardinality(stack)] || carry);
      stack := stack[:cardinality(stack) - 1];
      m := m / 2;
    END LOOP;
    stack := stack || carry;
    n := n + 1;
  END LOOP;
  carry := stack[cardinality(stack)];
  FOR i IN REVERSE cardinality(stack) - 1 .. 1 LOOP carry := sha256('\x01'::bytea || stack[i] || carry); END LOOP;
  RETURN carry;
END $$});

# Partitions, so that some of this can be retired.
$sql->(q{SELECT spine.create_partitions('7 days', 4)});
my @week = map { [ split /\|/ ] } split /\n/, $sql->(q{SELECT c.oid::regclass, m[1], m[2] FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid,
  regexp_match(pg_get_expr(c.relpartbound, c.oid), $re$FROM \('(.*)'\) TO \('(.*)'\)$re$) m WHERE i.inhparent = 'spine.events'::regclass AND m IS NOT NULL ORDER BY c.relname});
emit_chain($node, 300, $org[1]);
emit_chain($node, 10, @org[ 2 .. 6 ]);
is($take->(''), "1|300|t|\n2|10|t|\n3|10|t|\n4|10|t|\n5|10|t|\n6|10|t|", 'a checkpoint of each chain');
emit_chain($node, 2, $org[6]);    # of these there is none before they are retired
set_days(-14);
emit_chain($node, 600, $org[1]);
emit_chain($node, 5, @org[ 2 .. 6 ]);

# An altered event is named, its chain stays where it was, the others go on.
tamper($node, 'postgres', "UPDATE spine.events SET payload = '{\"n\": 100}' WHERE organization_id = '$org[2]' AND sequence = 12");
tamper($node, 'postgres', "UPDATE spine.events SET previous_hash = sha256('x') WHERE organization_id = '$org[3]' AND sequence = 13");
tamper($node, 'postgres', "DELETE FROM spine.events WHERE organization_id = '$org[4]' AND sequence = 12");
is($take->(''), "1|900|t|\n2|10|f|content_altered at sequence 12\n3|10|f|content_altered at sequence 13\n4|10|f|event_missing at sequence 12\n5|15|t|\n6|17|t|", 'chains at fault stay where they were');
is($broken->(), "2|10|1|12|content_altered\n3|10|2|13|content_altered\n4|10|1|12|event_missing", 'and so says verify_since_checkpoint');
is($sql->("SELECT size FROM spine.checkpointed_chains() WHERE organization_id = '$org[2]'"), '10', 'the directory has their older checkpoint');
tamper($node, 'postgres', "UPDATE spine.events SET payload = '{\"n\": 2}' WHERE organization_id = '$org[2]' AND sequence = 12");
is($take->("'$org[2]'"), '2|15|t|', 'once it is mended, it goes on');

# Parts: those that an erasure of the chain tells of may be gone.
$sql->("SELECT spine.emit_event('hcm.person.named', entity_id => '$org[2]', actor_id => '$org[1]', organization_id => '$org[2]', personal => '{\"name\": \"Ada\"}') FROM generate_series(1, 3)");
$sql->("SELECT count(*) FROM spine.erase_events('$org[2]', (SELECT array_agg(id) FROM spine.events WHERE organization_id = '$org[2]' AND sequence = 16), 'asked for')");
is($broken->() =~ s/^[34]\|.*\n?//gmr, '', 'a part that was erased is no fault');
$sql->('CREATE TABLE public.part AS SELECT * FROM spine.events WHERE personal IS NOT NULL');
tamper($node, 'postgres', "UPDATE spine.events SET personal = NULL, personal_salt = NULL, personal_hash = sha256(personal_salt || convert_to(spine.canonical_json(personal), 'UTF8')) WHERE personal IS NOT NULL");
is($take->("'$org[2]'"), '2|15|f|part_missing at sequence 17', 'one that is gone by hand is');
like($broken->(), qr/^2\|15\|2\|17\|part_missing$/m, 'each of them');
tamper($node, 'postgres', 'UPDATE spine.events e SET personal = p.personal, personal_salt = p.personal_salt, personal_hash = NULL FROM public.part p WHERE p.id = e.id');
is($take->("'$org[2]'"), '2|19|t|', 'put back, the chain goes on');

# What only a checkpoint tells: an end that is gone, a chain that is gone, one that was written anew with hashes that fit.
tamper($node, 'postgres', "DELETE FROM spine.events WHERE organization_id = '$org[3]' AND sequence > 8; DELETE FROM spine.events WHERE organization_id = '$org[4]'");
$sql->("CREATE TABLE public.written AS SELECT * FROM spine.events WHERE organization_id = '$org[5]'");
tamper($node, 'postgres', qq{DELETE FROM spine.events WHERE organization_id = '$org[5]'});
emit_chain($node, 15, $org[5]);
is($sql->("SELECT organization_id, intact, events FROM spine.verify_chain('$org[5]')") =~ s/.*-0+//r, '5|t|15', 'a chain that was written anew is intact in itself');
is($take->(''), "3|10|f|event_missing at sequence 10\n4|10|f|event_missing at sequence 10\n5|15|f|checkpoint_broken at sequence 15", 'each is named: of its last checkpoint, it is not the chain');
is($broken->(), "3|10|1|10|event_missing\n4|10|1|10|event_missing\n5|15|1|15|checkpoint_broken", 'and so says verify_since_checkpoint');
emit_chain($node, 20, $org[3]);
is($take->("'$org[3]'"), '3|10|f|checkpoint_broken at sequence 10', 'a chain that went on from a shorter end is not the one either');
like($error->("SELECT * FROM spine.tree_head('$org[5]', 15)"), qr/SP102/, 'and its proofs are refused');

# Stored nodes and checkpoints are no authority.
my $proof = "SELECT * FROM spine.prove_inclusion('$org[1]', 5, 900)";
my $right = $sql->($proof);
is($sql->("SELECT root = reference_root('$org[1]', 900) FROM spine.tree_head('$org[1]', 900)"), 't', 'the root is that of the events');
$sql->("CREATE TABLE public.kept AS SELECT * FROM spine.tree_nodes WHERE organization_id = '$org[1]'");
is($sql->('SELECT count(*) FROM kept'), '3', 'there are three nodes of 256 events');
$alter->('tree_nodes', "UPDATE spine.tree_nodes SET hash = sha256('x') WHERE organization_id = '$org[1]' AND index = 1");
like($error->($proof), qr/SP102.*node 1 of level 8 in the tree of organization $org[1] is not what lies below it/s, 'an altered node is named');
$alter->('tree_nodes', "DELETE FROM spine.tree_nodes WHERE organization_id = '$org[1]'");
is($sql->($proof), $right, 'without nodes the proof is the same');
$alter->('tree_nodes', 'INSERT INTO spine.tree_nodes SELECT * FROM public.kept');
is($sql->($proof), $right, 'and with them again');
foreach my $change ("root = sha256('x')", "compact_range = overlay(compact_range PLACING '\\x00'::bytea FROM 40)", 'compact_range = substring(compact_range, 1, 20)')
{
	$sql->("DROP TABLE IF EXISTS public.kept; CREATE TABLE public.kept AS SELECT * FROM spine.checkpoints WHERE organization_id = '$org[1]' AND size = 900");
	$alter->('checkpoints', "UPDATE spine.checkpoints SET $change WHERE organization_id = '$org[1]' AND size = 900");
	like($error->($proof), qr/SP102.*organization $org[1]/s, "a checkpoint with another $change proves nothing");
	like($broken->(), qr/^1\|900\|1\|900\|checkpoint_broken$/m, 'and verify_since_checkpoint names it');
	emit_chain($node, 1, $org[1]);
	like($take->("'$org[1]'"), qr/^1\|900\|f\|checkpoint_broken at sequence 900$/m, 'and no chain goes on from it');
	$alter->('checkpoints', "DELETE FROM spine.checkpoints WHERE organization_id = '$org[1]' AND size = 900; INSERT INTO spine.checkpoints SELECT * FROM public.kept");
}
is($take->("'$org[1]'"), '1|903|t|', 'put back, it goes on');
my $hash = $sql->("SELECT event_hash FROM spine.events WHERE organization_id = '$org[1]' AND sequence = 7");
tamper($node, 'postgres', "UPDATE spine.events SET event_hash = sha256('x') WHERE organization_id = '$org[1]' AND sequence = 7");
like($error->($proof), qr/SP102/, 'an event with another hash leads nowhere');
tamper($node, 'postgres', "UPDATE spine.events SET event_hash = '$hash' WHERE organization_id = '$org[1]' AND sequence = 7");
# From one checkpoint to the next: by the events behind the older one, and its last one.
my $growth = "SELECT * FROM spine.prove_growth('{$org[1]}', '{900}', '{903}')";
my $grown = $sql->($growth);
is($grown =~ s/^.*?\|//r, $sql->("SELECT * FROM spine.prove_consistency('$org[1]', 900, 903)"), 'growth is proved of many chains as of one');
foreach my $sequence (900, 902)
{
	$hash = $sql->("SELECT event_hash FROM spine.events WHERE organization_id = '$org[1]' AND sequence = $sequence");
	tamper($node, 'postgres', "UPDATE spine.events SET event_hash = sha256('x') WHERE organization_id = '$org[1]' AND sequence = $sequence");
	like($error->($growth), qr/SP102.*organization $org[1]/s, "event $sequence with another hash: no growth is proved");
	tamper($node, 'postgres', "UPDATE spine.events SET event_hash = '$hash' WHERE organization_id = '$org[1]' AND sequence = $sequence");
}
$alter->('checkpoints', "UPDATE spine.checkpoints SET root = sha256('x') WHERE organization_id = '$org[1]' AND size = 903");
like($error->($growth), qr/SP102.*organization $org[1]/s, 'nor to a checkpoint with another root');
$alter->('checkpoints', "UPDATE spine.checkpoints c SET root = t.root FROM public.reference_root('$org[1]', 903) t (root) WHERE organization_id = '$org[1]' AND size = 903");
is($sql->($growth), $grown, 'put back, it is proved');

# The directory.
$sql->('SELECT count(*) FROM spine.take_checkpoint()');
$note->();
my $export = "SELECT count(*) FROM spine.export_evidence('$org[1]', reason => 'a test', from_sequence => 5, to_sequence => 8)";
is($sql->($export), '10', 'evidence is exported');
my $directory = 'SELECT * FROM spine.prove_directory_consistency(1, 3)';
$right = $sql->($directory);
$sql->('CREATE TABLE public.entries AS SELECT * FROM spine.directory_checkpoints');
foreach my $case ([ 'UPDATE spine.directory_checkpoints SET entry = replace(entry, E\'\n7\n\', E\'\n8\n\') WHERE number = 2', 'an entry' ],
	[ q{UPDATE spine.directory_checkpoints SET entry = regexp_replace(entry, '\d\d:', '00:') WHERE number = 2}, 'the time of an entry' ],
	[ 'DELETE FROM spine.directory_checkpoints WHERE number = 2', 'an entry, which is gone,' ],
	[ q{UPDATE spine.directory_checkpoints SET root = sha256('x') WHERE number = 3}, 'a root' ])
{
	$alter->('directory_checkpoints', $case->[0]);
	like($error->($directory), qr/SP102.*directory checkpoint [23]/s, "$case->[1] is altered: no proof of the log");
	like($error->($export), qr/SP102/, 'and no evidence');
	$alter->('directory_checkpoints', 'DELETE FROM spine.directory_checkpoints; INSERT INTO spine.directory_checkpoints SELECT * FROM public.entries');
}
is($sql->($directory), $right, 'put back, all is as it was');
$alter->('checkpoints', "INSERT INTO spine.checkpoints SELECT '$org[0]'::uuid, size + 1000, root, head_hash, compact_range, 1, taken_at FROM spine.checkpoints WHERE organization_id = '$org[6]' LIMIT 1");
like($error->($export), qr/SP102.*do not give the root of directory checkpoint/s, 'a checkpoint too many: no evidence');
$alter->('checkpoints', 'DELETE FROM spine.checkpoints WHERE size > 1000');
tamper($node, 'postgres', "UPDATE spine.events SET payload = '{\"n\": 100}' WHERE organization_id = '$org[1]' AND sequence = 6");
like($error->($export), qr/SP090.*event 6 of organization $org[1] is not intact: the content does not give event_hash/s, 'nor of an altered event');
tamper($node, 'postgres', "UPDATE spine.events SET payload = '{\"n\": 6}' WHERE organization_id = '$org[1]' AND sequence = 6");
is($sql->($export), '10', 'mended, it is exported again');

# Emitters beside those who take checkpoints: nobody waits for ever, and each checkpoint is of what the chain was.
$sql->('SELECT count(*) FROM spine.take_checkpoint()');
put_file($node->basedir . '/emit.sql', "SELECT spine.emit_event('hcm.employee.updated', entity_id => '$org[1]', actor_id => '$org[1]', organization_id => '$org[6]');\n");
put_file($node->basedir . '/take.sql', "SELECT 1 / (intact OR organization_id <> '$org[6]')::int FROM spine.take_checkpoint();\n");
$node->command_ok([ 'pgbench', '-n', '-c', 6, '-j', 2, '-t', 150, '-h', $node->host, '-p', $node->port, '-f', $node->basedir . '/emit.sql@9', '-f', $node->basedir . '/take.sql@1', 'postgres' ], 'many emit, some take checkpoints');
$take->("'$org[6]'");
is($sql->("SELECT count(*), bool_and(root = reference_root(organization_id, size)), bool_and(head_hash = (SELECT event_hash FROM spine.events e WHERE e.organization_id = c.organization_id AND sequence = size)),
  max(size) = (SELECT max(sequence) FROM spine.events e WHERE e.organization_id = '$org[6]') FROM spine.checkpoints c WHERE organization_id = '$org[6]'") =~ s/^\d+/some/r, 'some|t|t|t', 'each is right');
is($sql->("SELECT count(*) FROM spine.directory_checkpoints n, spine.prove_directory_consistency(1, n.number) WHERE old_root IS NULL"), '0', 'and the log hangs together');

# Retired events keep their leaves.
my %root = map { $_ => $sql->("SELECT root FROM spine.tree_head('$org[1]', $_)") } 300, 301, 700, 903;
my $inclusion = sub { $sql->("SELECT proof, root FROM spine.prove_inclusion('$org[1]', $_[0], $_[1])") };
my %proof = map { $_ => $inclusion->($_, 903) } 301, 302, 512, 903;
my $consistency = $sql->("SELECT * FROM spine.prove_consistency('$org[1]', 300, 903)");
$sql->("CREATE TABLE public.gone AS SELECT array_agg(event_hash ORDER BY sequence) AS hashes FROM spine.events WHERE organization_id = '$org[1]' AND sequence <= 300");
emit_chain($node, 1, $org[1]);
set_days(0);
tamper($node, 'postgres', "DELETE FROM spine.events WHERE organization_id IN ('$org[3]', '$org[4]', '$org[5]')");
like($sql->("SELECT partition FROM spine.retire_events('$week[0][2]', 'old')"), qr/^\Q$week[0][0]\E$/, 'a week is retired');
is($sql->("SELECT sequence FROM spine.anchors WHERE organization_id = '$org[1]'"), '300', 'a chain goes on from event 301');
is($sql->("SELECT root FROM spine.tree_head('$org[1]', $_)"), $root{$_}, "the root of $_ events is as it was") foreach sort keys %root;
is($inclusion->($_, 903), $proof{$_}, "the proof of event $_ is as it was") foreach sort keys %proof;
is($sql->("SELECT * FROM spine.prove_consistency('$org[1]', 300, 903)"), $consistency, 'and that from the anchor on');
like($error->("SELECT * FROM spine.prove_inclusion('$org[1]', 300, 903)"), qr/SP101.*events 1 to 300 .* were retired.*HINT:  Use evidence that was exported before/s, 'a retired event is proved no more');
like($error->("SELECT * FROM spine.prove_consistency('$org[1]', 77, 903)"), qr/SP101/, 'nor what began within');
like($error->($export), qr/SP101/, 'nor exported');
is($sql->("SELECT count(*) FROM spine.export_evidence('$org[1]', reason => 'a test', to_sequence => 310)"), '16', 'what is left, is');
emit_chain($node, 600, $org[1]);
# Two of its events say that evidence was exported.
like($take->("'$org[1]'"), qr/^1\|\d+\|t\|$/, 'the chain goes on');
is($sql->("SELECT root = reference_root('$org[1]', size, hashes) FROM spine.checkpoints, gone WHERE organization_id = '$org[1]' ORDER BY size DESC LIMIT 1"), 't', 'with all leaves in its tree');
like($take->("'$org[2]'"), qr/^$/, 'a chain of which nothing is new has no new checkpoint');
is($broken->() =~ s/^[345]\|.*\n?//gmr, '', 'all is intact');
$sql->("CREATE TABLE public.anchor AS SELECT * FROM spine.checkpoints WHERE organization_id = '$org[1]' AND size = 300");
$alter->('checkpoints', "DELETE FROM spine.checkpoints WHERE organization_id = '$org[1]' AND size = 300");
like($error->("SELECT * FROM spine.prove_inclusion('$org[1]', 302, 903)"), qr/SP102.*no sound checkpoint at its anchor, event 300/s, 'without its checkpoint at the anchor a chain proves nothing');
$alter->('checkpoints', 'INSERT INTO spine.checkpoints SELECT * FROM public.anchor');
# The next week, whose last event is below the newest checkpoint.
like($sql->("SELECT partition FROM spine.retire_events('$week[1][2]', 'old')"), qr/^\Q$week[1][0]\E$/, 'another week is retired');
is($sql->("SELECT count(*), bool_and(c.directory_number = n.directory_number) FROM spine.anchors a JOIN spine.checkpoints c ON c.organization_id = a.organization_id AND c.size = a.sequence,
  LATERAL (SELECT * FROM spine.checkpoints n WHERE n.organization_id = a.organization_id ORDER BY size DESC LIMIT 1) n WHERE a.organization_id = '$org[1]' AND c.size > 300"), '1|t',
	'its checkpoint is there, and counts where the newest one does');
my ($last) = split /\|/, $sql->("SELECT max(sequence), max(size) FROM spine.anchors a JOIN spine.checkpoints c USING (organization_id) WHERE organization_id = '$org[1]'");
is($sql->("SELECT (SELECT root FROM spine.tree_head('$org[1]', $last)) = root FROM spine.checkpoints WHERE organization_id = '$org[1]' AND size = $last"), 't', 'with the root of what went');
like($error->("SELECT * FROM spine.tree_head('$org[1]', 301)"), qr/SP101/, 'before which there are no trees');
$sql->("SELECT spine.attach_partition('$week[$_][0]', '$week[$_][1]', '$week[$_][2]')") foreach 1, 0;
is($inclusion->($_, 903), $proof{$_}, "attached again: the proof of event $_ is as it was") foreach sort keys %proof;
is($sql->("SELECT root = reference_root('$org[1]', 900) FROM spine.tree_head('$org[1]', 900)"), 't', 'and the root');
is($sql->($export), '10', 'and its evidence');

# A dump brings all of it back; the directory goes on as the same database.
foreach my $format ('plain', 'custom')
{
	my $file = $node->basedir . "/dump.$format";
	$node->safe_psql('postgres', "CREATE DATABASE $format");
	$node->command_ok([ 'pg_dump', '-F', $format, '-f', $file, '-p', $node->port, '-h', $node->host, 'postgres' ], "$format: it is dumped");
	$node->command_ok($format eq 'plain' ? [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-p', $node->port, '-h', $node->host, '-f', $file, '-d', $format ]
		: [ 'pg_restore', '-e', '-j', 2, '-p', $node->port, '-h', $node->host, '-d', $format, $file ], "$format: and restored");
	foreach my $table ('checkpoints', 'tree_nodes', 'directory_checkpoints', 'checkpoint_notes')
	{
		my $rows = "SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text COLLATE \"C\")) FROM spine.$table t";
		is($node->safe_psql($format, $rows), $sql->($rows), "$format: $table is the same");
		like(($node->psql($format, "DELETE FROM spine.$table"))[2], qr/is refused/, "$format: and stays so");
	}
	my $ours = "SET people_os_spine.environment = 'test'; SET people_os_spine.actor_id = '$org[1]';";
	$node->safe_psql($format, "$ours SELECT spine.emit_event('hcm.employee.updated', entity_id => '$org[1]', organization_id => '$org[1]'); SELECT count(*) FROM spine.take_checkpoint()");
	is($node->safe_psql($format, q{SELECT count(DISTINCT split_part(entry, E'\n', 6)), count(*) > 3 FROM spine.directory_checkpoints}), '1|t', "$format: it says that it is the same database");
	is($node->safe_psql($format, "SELECT intact, events FROM spine.verify_since_checkpoint('$org[1]')"), 't|0', "$format: and goes on");
}

# A line of evidence has an end.
$sql->("SET people_os_spine.max_payload_size = '32MB'; SELECT spine.emit_event('hcm.employee.updated', entity_id => '$org[1]', actor_id => '$org[1]', organization_id => '$org[1]',
  payload => jsonb_build_object('text', repeat('x', 17000000)))");
$sql->('SELECT count(*) FROM spine.take_checkpoint()');
$note->();
my $long = "domain => 'hcm', from_sequence => (SELECT max(sequence) FROM spine.events WHERE organization_id = '$org[1]' AND domain = 'hcm'), reason => 'a test'";
like($error->("SELECT count(*) FROM spine.export_evidence('$org[1]', $long)"), qr/SP106.*a line of the evidence would have 17\d+ bytes/s, 'a line that is too long is refused');
is($sql->("SELECT count(*) FROM spine.export_evidence('$org[1]', $long, payload => false)"), '6', 'without the payload it is none');

$node->stop;
done_testing();
