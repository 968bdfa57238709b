# Blocks that the server cannot read, for their checksums do not fit: of the table, of what lies out of line, of an index.
# Verification names them and judges every other event, with one process and with several; and a chain that has lost its end
# there does not seem to be whole.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Spine;

use constant PAGE => 8192;

my $node = spine_node('unreadable', extra => ['-k']);
is($node->safe_psql('postgres', 'SHOW data_checksums'), 'on', 'data checksums are on');
# Chains of 40 events that lie beside each other, and behind them one that lies together.
my @orgs = map { org($_) } 1 .. 20;
emit_chain($node, 40, @orgs);
emit_chain($node, 200, org(21));
# Far away: event 2 of each is out of line.
$node->safe_psql('postgres', UNGUARD . 'ALTER TABLE spine.events ALTER payload SET STORAGE EXTERNAL');
$node->safe_psql('postgres', q{
  SELECT count(spine.emit_event('hcm.employee.created', entity_id => o, actor_id => o, organization_id => o,
           payload => CASE s WHEN 2 THEN jsonb_build_object('text', repeat(md5(o::text), 200)) ELSE '{}' END))
    FROM (SELECT format('00000000-0000-4000-8000-%s', lpad(n::text, 12, '0'))::uuid FROM generate_series(31, 40) n) x(o), generate_series(1, 3) s});
# A transaction that was rolled back leaves entries in the index, and no event.
$node->safe_psql('postgres', "BEGIN; SELECT spine.emit_event('a.b.c', entity_id => '@{[ org(1) ]}', actor_id => '@{[ org(1) ]}', organization_id => '@{[ org(1) ]}'); ROLLBACK");
$node->safe_psql('postgres', "CREATE ROLE tenant LOGIN; CREATE ROLE another LOGIN; SELECT spine.grant_reader('tenant', '{@{[ org(3) ]}}'), spine.grant_reader('another', '{@{[ org(31) ]}}')");
is(scalar @{ faults_of($node) }, 0, 'no fault before');
$node->safe_psql('postgres', 'CHECKPOINT');
my %block = map { /^(.*)\|\((\d+),/ ? ($1 => $2) : () } split /\n/, $node->safe_psql('postgres', q(SELECT organization_id || ' ' || sequence || '|' || ctid FROM spine.events));
my %path = map { split /\|/ } split /\n/, $node->safe_psql('postgres', q{
  SELECT 'table', pg_relation_filepath('spine.events_default')
  UNION ALL SELECT 'toast', pg_relation_filepath(reltoastrelid) FROM pg_class WHERE oid = 'spine.events_default'::regclass
  UNION ALL SELECT 'index', pg_relation_filepath('spine.events_default_pkey')
  UNION ALL SELECT 'toast index', pg_relation_filepath(indexrelid) FROM pg_index, pg_class c WHERE c.oid = 'spine.events_default'::regclass AND indrelid = c.reltoastrelid});
my $toast = $node->safe_psql('postgres', "SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 'spine.events_default'::regclass");
my %chunk_block = map { split /\|/ } split /\n/, $node->safe_psql('postgres', "SELECT (row_number() OVER (ORDER BY chunk_id))::int + 30, min(split_part(ltrim(ctid::text, '('), ',', 1)::int) FROM $toast GROUP BY chunk_id");
$node->stop;
my %clean = map { $_ => slurp_file($node->data_dir . "/$path{$_}") } keys %path;

my $alone    = 'SET max_parallel_maintenance_workers = 0;';
my $together = 'SET min_parallel_table_scan_size = 0; SET max_parallel_maintenance_workers = 2; SET client_min_messages = debug1;';
my $pid;

# Starts the server with one byte of these blocks flipped.
sub start_with
{
	my (%blocks) = @_;
	foreach my $what (keys %clean)
	{
		my $bytes = $clean{$what};
		substr($bytes, $_ * PAGE + 5000, 1) ^= "\x10" foreach @{ $blocks{$what} // [] };
		put_file($node->data_dir . "/$path{$what}", $bytes);
	}
	$node->start;
	$pid = postmaster_of($node);
	return;
}

# "organization first to last" of the events that lie in these blocks.
sub lost_in
{
	my %lost = map { $_ => 1 } @_;
	my (%gap, @gaps);
	foreach my $event (sort { my ($p, $m) = split / /, $a; my ($q, $n) = split / /, $b; $p cmp $q || $m <=> $n } grep { $lost{ $block{$_} } } keys %block)
	{
		my ($o, $s) = split / /, $event;
		if (@gaps && $gaps[-1][0] eq $o && $gaps[-1][2] == $s - 1) { $gaps[-1][2] = $s }
		else { push @gaps, [ $o, $s, $s ] }
	}
	return map { "$_->[0] $_->[1] to $_->[2]" } @gaps;
}

# One test: these details of unreadable faults, and these gaps, and no other fault.
sub finds
{
	my ($name, $details, $gaps, %arg) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $faults = faults_of($node, %arg);
	my @found = map { $_->[3] eq 'unreadable' ? join '|', @$_[ 0, 1, 6 ] : $_->[6] =~ /^events? (\d+)(?: to (\d+))? (?:is|are) missing$/ ? "$_->[0] $1 to " . ($2 // $1) : "@$_" } @$faults;
	my @gaps = grep { !/\|/ } @found;
	my @unreadable = grep { /\|/ } @found;
	my $ok = @unreadable == @$details && !grep { $unreadable[$_] !~ $details->[$_] } 0 .. $#$details;
	ok($ok, "$name: what cannot be read is named") or diag(join "\n", @unreadable);
	is_deeply(\@gaps, $gaps, "$name: " . @$gaps . ' gaps and no other fault');
	return;
}

# The table -----------------------------------------------------------------------------------------------------------

my ($middle) = $block{ org(5) . ' 20' };
my ($end)    = $block{ org(3) . ' 40' };
my ($whole)  = $block{ org(21) . ' 100' };
my @blocks = sort { $a <=> $b } keys %{ { map { $_ => 1 } $middle, $end, $whole } };
is(scalar @blocks, 3, 'three blocks');
start_with(table => \@blocks);
is_refused($node, 'postgres', 'SELECT count(payload) FROM spine.events', 'XX001', 'the server refuses to read the table');
my @details = map { qr/^-\|-\|block $_ of table spine\.events_default cannot be read: invalid page in block $_ of relation / } sort @blocks;
my @gaps = lost_in(@blocks);
cmp_ok(scalar @gaps, '>=', 3, 'what lay there is of ' . @gaps . ' stretches');
ok((grep { /^@{[ org(3) ]} \d+ to 40$/ } @gaps), 'one is a chain\'s end');
finds('one process', \@details, \@gaps, settings => $alone);
finds('several processes', \@details, \@gaps, settings => $together);
finds('damaged pages as zeros', \@details, \@gaps, settings => "$alone SET zero_damaged_pages = on;");
finds('several processes, damaged pages as zeros', \@details, \@gaps, settings => "$together SET zero_damaged_pages = on;");
is($node->safe_psql('postgres', "SET zero_damaged_pages = on; SET client_min_messages = error; DO 'BEGIN PERFORM spine.verify_chain(); END'; SHOW zero_damaged_pages"), 'on', 'the setting is what it was');
finds($_, \@details, \@gaps, settings => "SET default_transaction_isolation = '$_';") foreach 'repeatable read', 'serializable';
finds('one organization', \@details, [ grep { /^@{[ org(3) ]} / } @gaps ], org => org(3), thorough => 1);
finds('one without a loss', \@details, [], org => org(31), thorough => 1);
my ($from) = map { /^@{[ org(3) ]} (\d+) to 40$/ ? $1 : () } @gaps;
finds('a range', \@details, [ org(3) . " $from to 39" ], org => org(3), from => $from + 1, to => 39, thorough => 1);
# By the index, each event that lies there is named.
my @of_three = sort { $a <=> $b } map { /^@{[ org(3) ]} (\d+)$/ && grep({ $_ == $block{"@{[ org(3) ]} $1"} } @blocks) ? $1 : () } keys %block;
my $named = sub { map { my $s = $_; qr/^@{[ org(3) ]}\|$s\|the row at \($block{"@{[ org(3) ]} $s"},\d+\) of table spine\.events_default cannot be read: invalid page in block / } @_ };
finds('one organization by its index', [ $named->(@of_three) ], [ grep { /^@{[ org(3) ]} / } @gaps ], org => org(3));
finds('one without a loss by its index', [], [], org => org(31));
finds('a range by its index', [ $named->($from .. 39) ], [ org(3) . " $from to 39" ], org => org(3), from => $from + 1, to => 39);
my %lost = map { (split)[0] => 1 } @gaps;
foreach my $settings ($alone, $together)
{
	my @summaries = @{ summaries_of($node, settings => $settings) };
	my %intact = map { my @s = split /\|/; ($s[0] => $s[1]) } @summaries;
	is(join(' ', grep { $intact{$_} ne ($lost{$_} || $_ eq '-' ? 'false' : 'true') } sort keys %intact), '', 'intact is what lost no event');
	is(scalar keys %intact, 33, 'each chain, and what is nobody\'s, have a row');
	my @nobody = split /\|/, (grep { /^-/ } @summaries)[0];
	is($nobody[8], 'unreadable', 'what is nobody\'s is unreadable');
}
my ($state, $out) = run_sql($node, 'postgres', 'SELECT count(*), count(*) FILTER (WHERE intact) FROM spine.record_verification()');
is($state, '', 'record_verification says so, too');
is($out, join('|', 33, 32 - keys %lost), 'of each chain');
is($node->safe_psql('postgres', "SELECT intact FROM spine.verifications WHERE organization_id = '@{[ org(3) ]}'"), 'f', 'and notes it');
# Whose it was, nobody knows: it is told to those who see all.
($state, $out) = run_sql($node, 'postgres', "SELECT DISTINCT organization_id, fault FROM spine.find_chain_faults()", role => 'tenant');
is("$state$out", org(3) . '|event_missing', 'a tenant hears of his own loss alone');
($state, $out) = run_sql($node, 'postgres', "SELECT organization_id, intact, faults FROM spine.verify_chain()", role => 'another');
is("$state$out", org(31) . '|t|0', 'another of none');
alive($node, $pid, 'the server runs');
$node->stop;

# Many blocks on end, more than are read with care at once.
my $pages = length($clean{table}) / PAGE;
start_with(table => [ 0 .. $pages - 1 ]);
# Of the last entry of the first chain only its block could tell that it was rolled back.
my @all = map { s/^(@{[ org(1) ]} 1 to) 40$/$1 41/r } lost_in(0 .. $pages - 1);
finds('all blocks, one process', [ map { qr/block $_ of/ } sort { "block $a of" cmp "block $b of" } 0 .. $pages - 1 ], \@all, settings => $alone);
finds('all blocks, several processes', [ map { qr/block $_ of/ } sort { "block $a of" cmp "block $b of" } 0 .. $pages - 1 ], \@all, settings => $together);
alive($node, $pid, 'the server runs');
$node->stop;

# What lies out of line ------------------------------------------------------------------------------------------------

my $chunk = $chunk_block{35};
my @hit = sort grep { my ($n) = /(\d\d)$/; $n > 30 && $n <= 40 && $chunk_block{$n} == $chunk } map { org($_) } 31 .. 40;
start_with(toast => [$chunk]);
my $faults = faults_of($node, settings => $alone);
my %by = map { $_->[0] => $_ } @$faults;
ok(exists $by{ org(35) }, 'an event whose payload cannot be read');
is(join(' ', grep { $_->[1] ne '2' || $_->[3] ne 'unreadable' || $_->[6] !~ /^the row at \(\d+,\d+\) of table spine\.events_default cannot be read: invalid page in block $chunk of relation .* \(what lies out of line is in table pg_toast\.pg_toast_\d+\)$/ } @$faults), '',
	scalar(@$faults) . ' events are named, by row, table and block') or diag(map { "@$_\n" } @$faults);
is(join(' ', grep { !$by{$_} } @hit), '', 'each that lies there');
is_deeply(faults_of($node, settings => $together), $faults, 'with several processes the same');
is_deeply(faults_of($node, settings => "$alone SET zero_damaged_pages = on;"), $faults, 'with damaged pages as zeros the same');
is(scalar(grep { /\|true\|/ } @{ summaries_of($node) }), 32 - @$faults, 'all other chains are intact');
foreach my $checks ('verify_since_checkpoint() c (o, intact, s, r, a, n, events, l, h, f, q, fault)', 'take_checkpoint() c (o, s, r, h, events, intact, fault)')
{
	is($node->safe_psql('postgres', "SELECT string_agg(o::text, ' ' ORDER BY o) FILTER (WHERE NOT intact AND fault ~ '^unreadable' AND events = 1), count(*) FILTER (WHERE intact) FROM spine.$checks"),
		join(' ', sort keys %by) . '|' . (32 - @$faults), 'and so say checkpoints');
}
is_refused($node, 'postgres', "SELECT spine.read_events('@{[ org(35) ]}')", 'XX001', 'its reader has the server\'s error');
is_allowed($node, 'postgres', "SELECT spine.read_events('@{[ org(5) ]}')", 'another reads on');
alive($node, $pid, 'the server runs');
$node->stop;

start_with('toast index' => [ 1 ]);
$faults = faults_of($node, settings => $alone);
is(join(' ', map { "$_->[0] $_->[1] $_->[3]" } @$faults), join(' ', map { org($_) . ' 2 unreadable' } 31 .. 40), 'without their index, all that lie out of line');
is_deeply(faults_of($node, settings => $together), $faults, 'with several processes the same');
$node->stop;

# The index -----------------------------------------------------------------------------------------------------------

my $index_pages = length($clean{index}) / PAGE;
start_with(index => [ 1 .. $index_pages - 1 ]);
finds('an index', [], []);
finds('an index, by which one organization is read', [ qr/^@{[ org(5) ]}\|-?\d+\|the index of table spine\.events_default cannot be read from here on: / ], [], org => org(5));
is($node->safe_psql('postgres', "SELECT intact FROM spine.verify_chain('@{[ org(5) ]}')"), 'f', 'which is then not intact');
finds('an index, one organization in the table', [], [], org => org(5), thorough => 1);
is_refused($node, 'postgres', "SELECT spine.read_events('@{[ org(5) ]}')", 'XX001', 'its readers have the server\'s error');
is_refused($node, 'postgres', "SELECT spine.emit_event('a.b.c', entity_id => '@{[ org(1) ]}', actor_id => '@{[ org(1) ]}', organization_id => '@{[ org(1) ]}')", 'XX001', 'so have emitters');
$node->stop;
start_with(index => [ 1 .. $index_pages - 1 ], table => [$middle]);
my @inner = grep { / to (\d+)$/ && $1 < 40 } lost_in($middle);
finds('a block and the index', [ qr/^-\|-\|an index of table spine\.events_default cannot be read, so that chains may have lost their last events unseen: /, qr/^-\|-\|block $middle of table/ ], \@inner);
alive($node, $pid, 'the server runs');
$node->stop;

start_with();
is(scalar @{ faults_of($node) }, 0, 'no fault without the flips');
is($node->safe_psql('postgres', "SELECT count(*) FROM spine.find_chain_faults('@{[ org(1) ]}')"), 0, 'nor of what was rolled back');
$node->stop;
done_testing;
