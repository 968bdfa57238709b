# Bits flipped in the table's file while the server is down, page checksums off. Each flip has an organization of
# its own, so that hundreds of them share one restart. The server must stay up, and verification must name the
# event, or say that it is missing at its sequence where the row can no longer tell whose it is.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Digest::MD5 qw(md5_hex);
use Spine;

use constant PAGE => 8192;

# Ids that no flip turns into one another.
sub tenant { return join '-', unpack 'A8 A4 A4 A4 A12', md5_hex("organization $_[0]") }
my $tenant = q(md5('organization ' || o)::uuid);

# Length (-1: varlena) and alignment of each column, in the order in which they are stored.
my @layout = (
	[ 'id', 16, 1 ], [ 'event_type', -1, 4 ], [ 'domain', -1, 4 ], [ 'entity_type', -1, 4 ], [ 'entity_id', 16, 1 ],
	[ 'action', -1, 4 ], [ 'actor_id', 16, 1 ], [ 'actor_type', 4, 4 ], [ 'organization_id', 16, 1 ],
	[ 'environment', 4, 4 ], [ 'timestamp', 8, 8 ], [ 'severity', 4, 4 ], [ 'payload', -1, 4 ], [ 'sequence', 8, 8 ],
	[ 'transaction_id', 8, 8 ], [ 'recorded_by', -1, 4 ], [ 'previous_hash', -1, 4 ], [ 'event_hash', -1, 4 ],
	[ 'payload_salt', -1, 4 ]);  # behind it there are nulls

# The rows of a table's file, each: page, number, lp (position of its line pointer), at (of the tuple), length,
# and column => { at, header, size } with positions in the file.
sub rows_in
{
	my ($file) = @_;
	my @found;
	for (my $page = 0; $page * PAGE < length $file; $page++)
	{
		my $base = $page * PAGE;
		my $lower = unpack 'v', substr $file, $base + 12, 2;
		for (my $lp = 24; $lp < $lower; $lp += 4)
		{
			my $item = unpack 'V', substr $file, $base + $lp, 4;
			next unless (($item >> 15) & 3) == 1;
			my %row = (page => $page, number => ($lp - 24) / 4 + 1, lp => $base + $lp, at => $base + ($item & 0x7fff), length => $item >> 17);
			my $start = $row{at} + ord substr $file, $row{at} + 22, 1;
			my $at = $start;
			$row{padding} = [];
			foreach my $c (@layout)
			{
				my ($name, $size, $align) = @$c;
				my $header = 0;
				my $before = $at;
				my $aligned = $start + int(($at - $start + $align - 1) / $align) * $align;
				$at = $aligned unless $size == -1 && substr($file, $at, 1) ne "\0";
				push @{ $row{padding} }, $before if $at > $before;
				if ($size == -1)
				{
					my $first = ord substr $file, $at, 1;
					if ($first == 1) { ($size, $header) = (18, 2) }
					elsif ($first & 1) { ($size, $header) = ($first >> 1, 1) }
					else { ($size, $header) = ((unpack 'V', substr $file, $at, 4) >> 2, 4) }
				}
				$row{$name} = { at => $at + $header, header => $header, size => $size - $header };
				$at += $size;
			}
			die "the row at ($page,$row{number}) was not understood" unless $at == $row{at} + $row{length};
			my $u = unpack 'H*', substr $file, $row{organization_id}{at}, 16;
			$row{org} = join '-', unpack 'A8 A4 A4 A4 A12', $u;
			$row{seq} = unpack 'q<', substr $file, $row{sequence}{at}, 8;
			push @found, \%row;
		}
	}
	return \@found;
}

sub flip { my ($file, $at, $bit) = @_; substr($$file, $at, 1) ^= chr(1 << $bit); return }
# The cases, each: name, what must be reported, how the third row of its organization ($_[1]; $_[2]: all five) is
# changed in the file ($_[0]). What must be reported:
#   content   content_altered at 3
#   missing   event_missing at 3
#   either    one of the two at 3
#   nothing   no fault: what is hashed is untouched
#   perhaps   nothing if the payload is equal still, else content_altered at 3
#   anything  nothing, or one of the two at 3
my @cases;
foreach my $c (map { $_->[0] } @layout)
{
	my %placed = (organization_id => 1, sequence => 1);
	foreach my $where (0 .. 3)
	{
		# Payloads have tests of their own: not each of their bytes matters.
		next if $c eq 'payload';
		push @cases, [ "$c, bit " . (1 + 2 * $where), $placed{$c} ? 'missing' : 'content', sub {
			my ($file, $row) = @_;
			flip($file, $row->{$c}{at} + int($where * ($row->{$c}{size} - 1) / 3), 1 + 2 * $where) } ];
	}
}
foreach my $c (map { $_->[0] } grep { $_->[1] == -1 } @layout)
{
	foreach my $bit (0 .. 7)
	{
		# A payload with a byte too many behind its end reads the same.
		push @cases, [ "length of $c, bit $bit", $c eq 'payload' ? 'anything' : 'either', sub { flip($_[0], $_[1]{$c}{at} - $_[1]{$c}{header}, $bit) } ];
	}
}
foreach my $byte (0 .. 47)
{
	foreach my $bit ($byte < 12 ? (0 .. 7) : ($byte % 8, ($byte + 3) % 8))
	{
		push @cases, [ "payload, byte $byte, bit $bit", 'perhaps', sub { flip($_[0], $_[1]{payload}{at} + $byte, $bit) } ];
	}
}
push @cases, [ "t_hoff, bit $_", 'either', do { my $b = $_; sub { flip($_[0], $_[1]{at} + 22, $b) } } ] foreach 0 .. 7;
# The last columns are null: a row that says it has two fewer says the same.
push @cases, [ "infomask2, bit $_", $_ < 11 && $_ != 1 ? 'either' : 'nothing', do { my $b = $_; sub { flip($_[0], $_[1]{at} + 18 + int($b / 8), $b % 8) } } ]
  foreach 0 .. 15;
# A page that is all visible is read without a look at who wrote its rows.
push @cases, [ "infomask, bit $_", $_ == 0 ? 'either' : 'nothing', do { my $b = $_; sub { flip($_[0], $_[1]{at} + 20 + int($b / 8), $b % 8) } } ]
  foreach 0 .. 15;
push @cases, [ "t_xmin, t_xmax, t_cid and t_ctid, byte $_", 'nothing', do { my $b = $_; sub { flip($_[0], $_[1]{at} + $b, 6) } } ] foreach 0 .. 17;
push @cases, [ "line pointer, bit $_", $_ < 15 ? 'either' : $_ < 17 ? 'missing' : 'anything',
	do { my $b = $_; sub { flip($_[0], $_[1]{lp} + int($b / 8), $b % 8) } } ] foreach 0 .. 31;
push @cases,
  [ 'the first gap between columns', 'anything', sub { flip($_[0], $_[1]{padding}[0], 2) } ],
  [ 'the last gap between columns', 'anything', sub { flip($_[0], $_[1]{padding}[-1], 0) } ],
  [ 'row removed', 'missing', sub { substr(${ $_[0] }, $_[1]{lp}, 4) = "\0" x 4 } ],
  [ 'row marked dead', 'missing', sub { substr(${ $_[0] }, $_[1]{lp}, 4) = pack 'V', 3 << 15 } ],
  [ 'row redirected', 'missing', sub { substr(${ $_[0] }, $_[1]{lp}, 4) = pack 'V', 1 | 2 << 15 } ],
  [ 'row of length 0', 'missing', sub { substr(${ $_[0] }, $_[1]{lp}, 4) &= pack 'V', 0x1ffff } ],
  [ 'row behind the end of its page', 'missing', sub { substr(${ $_[0] }, $_[1]{lp}, 4) |= pack 'V', 0x7ff8 } ],
  [ 'row zeroed', 'missing', sub { substr(${ $_[0] }, $_[1]{at}, $_[1]{length}) = "\0" x $_[1]{length} } ],
  [ 'row filled with ones', 'missing', sub { substr(${ $_[0] }, $_[1]{at}, $_[1]{length}) = "\xff" x $_[1]{length} } ],
  [ 'columns zeroed', 'missing', sub { substr(${ $_[0] }, $_[1]{at} + 24, $_[1]{length} - 24) = "\0" x ($_[1]{length} - 24) } ],
  [ 'second half of the row zeroed', 'either', sub { my $h = int $_[1]{length} / 2; substr(${ $_[0] }, $_[1]{at} + $h, $_[1]{length} - $h) = "\0" x ($_[1]{length} - $h) } ];
my @whole = (
	# name, the faults as "sequence fault", how the five rows are changed
	[ 'two rows trade places', [], sub {
		my ($file, undef, @r) = @_;
		my @b = map { substr $$file, $_->{at}, $_->{length} } @r[ 1, 2 ];
		substr($$file, $r[1]{at}, $r[1]{length}) = $b[1];
		substr($$file, $r[2]{at}, $r[2]{length}) = $b[0] } ],
	[ 'two rows trade payloads', [ '2 content_altered', '3 content_altered' ], sub {
		my ($file, undef, @r) = @_;
		my @p = map { [ $r[$_]{payload}{at}, $r[$_]{payload}{size} ] } 1, 2;
		my @b = map { substr $$file, $_->[0], $_->[1] } @p;
		substr($$file, $p[0][0], $p[0][1]) = $b[1];
		substr($$file, $p[1][0], $p[1][1]) = $b[0] } ],
	[ 'a row in the place of another', [ '2 event_duplicated', '3 event_missing' ], sub {
		my ($file, undef, @r) = @_;
		substr($$file, $r[2]{at}, $r[2]{length}) = substr $$file, $r[1]{at}, $r[1]{length} } ],
	[ 'the first row removed', ['1 event_missing'], sub { substr(${ $_[0] }, $_[2]{lp}, 4) = "\0" x 4 } ],
	[ 'two rows removed', [ '2 event_missing', '4 event_missing' ], sub { substr(${ $_[0] }, $_->{lp}, 4) = "\0" x 4 foreach @_[ 3, 5 ] } ],
	# What is gone with nothing behind it a checkpoint held elsewhere must tell.
	[ 'the tail removed (outside)', [], sub { substr(${ $_[0] }, $_->{lp}, 4) = "\0" x 4 foreach @_[ 5, 6 ] } ],
	[ 'the whole chain removed (outside)', [], sub { substr(${ $_[0] }, $_->{lp}, 4) = "\0" x 4 foreach @_[ 2 .. 6 ] } ]);

my $node = spine_node('tamper_heap');
is($node->safe_psql('postgres', 'SHOW data_checksums'), 'off', 'no checksum of the server tells of the flips');
my $count = @cases + @whole;
my @orgs  = map { tenant($_) } 1 .. $count;
my $emit  = sub {
	my ($n, $first, $many, $payload) = @_;
	return <<"SQL";
SELECT count(spine.emit_event('hcm.employee.created', entity_id => '00000000-0000-4000-8000-0000000000e1',
         actor_id => '00000000-0000-4000-8000-0000000000a1', payload => $payload,
         organization_id => $tenant))
  FROM generate_series(1, $n) n, generate_series($first, $first + $many - 1) o
SQL
};
my $plain = q(jsonb_build_object('n', n, 'name', 'Ada', 'list', '[1, true, null, "x", 2.50]'::jsonb));
$node->safe_psql('postgres', $emit->(5, 1, $count, $plain));
$node->safe_psql('postgres', 'VACUUM (FREEZE) spine.events; CHECKPOINT');
my $path = $node->data_dir . '/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath('spine.events_default')");
is(scalar @{ faults_of($node) }, 0, 'no fault before');
$node->stop;
my $clean = slurp_file($path);
my %place;
foreach my $row (@{ rows_in($clean) }) { $place{ $row->{org} }[ $row->{seq} - 1 ] = $row }
is(scalar(grep { @{ $place{$_} // [] } == 5 } @orgs), $count, 'every row was found in the file');

sub restart
{
	my ($to, $bytes) = @_;
	put_file($to, $bytes);
	$node->start;
	my $pid = postmaster_of($node);
	return $pid;
}

# What a case must report against what it does; '' where they agree.
sub compare
{
	my ($must, $faults, $equal) = @_;
	# What cannot be read may be altered.
	$faults = [ map { my @f = @$_; $f[3] =~ s/^unreadable$/content_altered/; \@f } @$faults ];
	my (%at3, @other);
	foreach my $f (@$faults)
	{
		if ($f->[1] eq '3') { $at3{ $f->[3] } = 1 }
		elsif ($f->[1] eq '4' && $f->[3] =~ /^(link_broken|order_violated)$/) { }
		# A row whose place is damaged may come up far away in its own organization.
		elsif ($must =~ /missing|either|anything/ && ($f->[1] < 1 || $f->[1] > 5)) { }
		elsif ($must =~ /missing|either|anything/ && $f->[3] =~ /^(event_duplicated|content_altered|malformed|order_violated|link_broken)$/
			&& grep { $_->[1] eq $f->[1] && $_->[3] eq 'event_duplicated' } @$faults) { }
		else { push @other, "$f->[1] $f->[3]" }
	}
	return "it reports @other" if @other;
	my $got = join ' and ', sort keys %at3;
	return '' if $must eq 'nothing' && !@$faults;
	return '' if $must eq 'content' && $at3{content_altered} && !$at3{event_missing};
	return '' if $must eq 'missing' && $at3{event_missing};
	return '' if $must eq 'either' && ($at3{event_missing} || $at3{content_altered});
	return '' if $must eq 'perhaps' && ($at3{content_altered} ? !$at3{event_missing} : !@$faults && $equal);
	return '' if $must eq 'anything' && (!@$faults && $equal || $at3{event_missing} || $at3{content_altered});
	return "$must expected, found: '$got'" . (!$equal ? ' although the payload changed' : '');
}

# [organization, first, last] of each stretch of its five events that is lost.
sub gaps
{
	my ($o, $lost) = @_;
	my @found;
	foreach my $s (grep { $lost->($place{$o}[ $_ - 1 ]) } 1 .. 5)
	{
		if (@found && $found[-1][2] == $s - 1) { $found[-1][2] = $s }
		else { push @found, [ $o, $s, $s ] }
	}
	return @found;
}

sub by_org
{
	my %by;
	push @{ $by{ $_->[0] } }, $_ foreach @{ $_[0] };
	return \%by;
}

my $file = $clean;
foreach my $i (0 .. $#cases) { $cases[$i][2]->(\$file, $place{ $orgs[$i] }[2]) }
foreach my $i (0 .. $#whole)
{
	my $rows = $place{ $orgs[ @cases + $i ] };
	$whole[$i][2]->(\$file, $rows->[2], @$rows);
}
my $pid = restart($path, $file);
my $all = faults_of($node);
alive($node, $pid, 'the server survives the verification of ' . @cases . ' flips');
my $by = by_org($all);
my $equals = "payload = jsonb_build_object('n', 3, 'name', 'Ada', 'list', '[1, true, null, \"x\", 2.50]'::jsonb)";
foreach my $i (0 .. $#cases)
{
	my ($name, $must) = @{ $cases[$i] };
	my $found = $by->{ $orgs[$i] } // [];
	my $equal = 1;
	# The server reads a damaged payload only where the spine said that it is not.
	$equal = $node->safe_psql('postgres', "SELECT $equals FROM spine.events WHERE organization_id = '$orgs[$i]' AND sequence = 3") eq 't'
	  if $must =~ /perhaps|anything/ && !@$found;
	my $wrong = compare($must, $found, $equal);
	ok($wrong eq '', $name) or diag($wrong, "\n", map { join('|', @$_[ 1, 2, 3, 6 ]) . "\n" } @$found);
}
foreach my $i (0 .. $#whole)
{
	my $found = $by->{ $orgs[ @cases + $i ] } // [];
	is_deeply([ map { "$_->[1] $_->[3]" } @$found ], $whole[$i][1], $whole[$i][0]);
}
# Rows that cannot say whose they are: each at the place of a row that was damaged.
my %damaged = map { my $r = $place{ $orgs[$_] }[2]; ("($r->{page},$r->{number})" => $cases[$_][1]) } 0 .. $#cases;
my @strange = grep { !(($damaged{ ($_->[6] =~ /(\(\d+,\d+\))/)[0] // '' } // '') =~ /missing|either|anything/) } @{ $by->{'-'} // [] };
is(scalar @strange, 0, scalar(@{ $by->{'-'} // [] }) . ' rows without a place are reported with block and line')
  or diag(map { "$_->[6]\n" } @strange);
my %known = map { $_ => 1 } @orgs, '-';
my @foreign = grep { !$known{$_} } keys %$by;
my $movable = grep { $_->[1] =~ /missing|either|anything/ } @cases;
ok(@foreign <= $movable, scalar(@foreign) . ' organizations that rows with a damaged place claim');
my @alone = split /\n/, $node->safe_psql('postgres', <<"SQL");
SELECT coalesce(f.organization_id::text, '-') , coalesce(f.sequence::text, '-'), coalesce(f.event_id::text, '-'), f.fault
  FROM generate_series(1, $count) o, LATERAL spine.find_chain_faults($tenant, thorough => true) WITH ORDINALITY f
 WHERE f.organization_id IS NOT NULL ORDER BY f.organization_id, f.ordinality
SQL
is_deeply(\@alone, [ map { join '|', @$_[ 0 .. 3 ] } grep { $known{ $_->[0] } && $_->[0] ne '-' } @$all ],
	'organization by organization the same faults');
# By its index, too, each chain that is at fault is found; and such as lost their end to a row that no longer says whose it is.
my %by_index = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', "SELECT $tenant FROM generate_series(1, $count) o, LATERAL spine.verify_chain($tenant) v WHERE v.faults > 0");
my %in_table = map { (split /\|/)[0] => 1 } @alone;
cmp_ok(scalar(keys %by_index), '>=', scalar(keys %in_table), scalar(keys %in_table) . ' chains are at fault, by the index ' . keys %by_index);
my @missed = grep { !$by_index{$_} } sort keys %in_table;
is(join(' ', @missed), '', 'by the index each of them is') or diag(map { my $o = $_; map { "@$_\n" } grep { $_->[0] eq $o } @$all } @missed);
my $counted = by_org($all);
my @disagree = grep { my @s = split /\|/; $s[6] != @{ $counted->{ $s[0] } // [] } } @{ summaries_of($node) };
is("@disagree", '', 'verify_chain counts the same');
is_deeply(by_org(faults_of($node, settings => "SET default_transaction_isolation = 'repeatable read';")), $by,
	'the same under REPEATABLE READ');
alive($node, $pid, 'the server still runs');
# What stores events would change the table's file under the index.
read_everything($node, 'emit_event');
my ($failed, $read, $said) = run_sql($node, 'postgres',
	"SELECT state || ' ' || reader, count(*) FROM public.read_everything('{@{[ join ',', @orgs ]}}', array_fill('00000000-0000-4000-8000-0000000000e1'::uuid, '{$count}')) GROUP BY 1 ORDER BY 1");
is($failed, '', 'whoever reads damaged rows gets them or an error') or diag($said);
note $read;
# Of bits that say nothing here: the server does not write what lies outside of all times (22008), nor copies each header (42704),
# nor knows the fate of each transaction (58P01).
is(join("\n", grep { !/^( |SP045 |22008 |42704 |58P01 )/ } split /\n/, $read), '', 'which says that they are damaged') or diag($said);
alive($node, $pid, 'the server survives all readers');
$node->stop;

# Under SERIALIZABLE the server looks at each row's transactions before the spine sees the row, and where a row's
# header or line pointer is damaged it may raise an error of its own; all else is the same.
$file = $clean;
foreach my $i (0 .. $#cases)
{
	$cases[$i][2]->(\$file, $place{ $orgs[$i] }[2]) unless $cases[$i][0] =~ /^(infomask|t_|line pointer|row )/;
}
$pid = restart($path, $file);
$all = faults_of($node);
ok(@$all > 200, scalar(@$all) . ' faults without the damaged headers');
is_deeply(faults_of($node, settings => "SET default_transaction_isolation = 'serializable';"), $all, 'the same under SERIALIZABLE');
alive($node, $pid, 'the server still runs');
$node->stop;

# Pages that are not marked all visible: now the rows' transactions count too.
my @headers;
foreach my $bit (0 .. 15)
{
	push @headers, [ "infomask, bit $bit", sub { flip($_[0], $_[1]{at} + 20 + int($bit / 8), $bit % 8) } ];
	push @headers, [ "infomask2, bit $bit", sub { flip($_[0], $_[1]{at} + 18 + int($bit / 8), $bit % 8) } ];
}
push @headers, [ "t_xmax, byte $_, xmax committed", do { my $b = $_; sub {
	my ($f, $r) = @_;
	substr($$f, $r->{at} + 4, 4) = pack 'V', 3 + $b;
	substr($$f, $r->{at} + 20, 2) = pack 'v', (unpack('v', substr $$f, $r->{at} + 20, 2) & ~0x0800) | 0x0400 } }, 'missing' ] foreach 0 .. 3;
push @headers, [ 'xmin aborted', sub { substr(${ $_[0] }, $_[1]{at} + 20, 2) = pack 'v', unpack('v', substr ${ $_[0] }, $_[1]{at} + 20, 2) & ~0x0100 }, 'missing' ];
push @headers, [ 'xmin to come', sub {
	my ($f, $r) = @_;
	substr($$f, $r->{at}, 4) = pack 'V', 1_000_000;
	substr($$f, $r->{at} + 20, 2) = pack 'v', unpack('v', substr $$f, $r->{at} + 20, 2) & ~0x0300 }, 'missing' ];
$file = $clean;
for (my $p = 0; $p < length $file; $p += PAGE) { substr($file, $p + 10, 1) &= chr(0xff & ~4) }
foreach my $i (0 .. $#headers) { $headers[$i][1]->(\$file, $place{ $orgs[$i] }[2]) }
$pid = restart($path, $file);
$by = by_org(faults_of($node));
foreach my $i (0 .. $#headers)
{
	my $found = $by->{ $orgs[$i] } // [];
	my $wrong = compare($headers[$i][2] // 'anything', $found, 1);
	ok($wrong eq '', "page not all visible: $headers[$i][0]") or diag($wrong, map { "\n" . join '|', @$_[ 1, 3, 6 ] } @$found);
}
my %touched = map { $orgs[$_] => 1 } 0 .. $#headers;
is(scalar(grep { $known{$_} && $_ ne '-' && !$touched{$_} } keys %$by), 0, 'and no other organization has a fault');
alive($node, $pid, 'the server still runs');
$node->stop;

# What the server itself refuses to read is named, and all else is judged: what lay there is missing from its chains, also at
# their ends, of which the index tells.
my @refused = (
	[ 'xmin of a transaction long forgotten', qr/^the row at \(\d+,\d+\) of table spine.events_default cannot be read: could not access status of transaction/,
	sub { $_[0] == $place{ $orgs[0] }[2] }, sub {
		my ($f) = @_;
		my $r = $place{ $orgs[0] }[2];
		substr($$f, $r->{page} * PAGE + 10, 1) &= chr(0xff & ~4);
		substr($$f, $r->{at}, 4) = pack 'V', 0x90000000;
		substr($$f, $r->{at} + 20, 2) = pack 'v', unpack('v', substr $$f, $r->{at} + 20, 2) & ~0x0300 } ],
	[ 'page header, pd_lower', qr/^block 3 of table spine.events_default cannot be read: invalid page in block 3 /, sub { $_[0]{page} == 3 }, sub { flip($_[0], 3 * PAGE + 13, 7) } ],
	[ 'page header, pd_flags', qr/^block 3 of table spine.events_default cannot be read: invalid page in block 3 /, sub { $_[0]{page} == 3 }, sub { flip($_[0], 3 * PAGE + 11, 3) } ]);
foreach my $e (@refused)
{
	my ($name, $detail, $lost, $change) = @$e;
	$file = $clean;
	$change->(\$file);
	my @want = map { "$_->[0] $_->[1] to $_->[2]" } map { gaps($_, $lost) } sort @orgs;
	$pid = restart($path, $file);
	my $found = faults_of($node);
	my @unreadable = grep { $_->[3] eq 'unreadable' } @$found;
	is(scalar @unreadable, 1, "$name: one fault says so");
	is(join('|', @{ $unreadable[0] }[ 0 .. 2, 4, 5 ]), '-|-|-|-|-', "$name: of nobody's chain");
	like($unreadable[0][6], $detail, "$name: which names it");
	is_deeply([ map { $_->[6] =~ /^events? (\d+)(?: to (\d+))? (?:is|are) missing$/ ? "$_->[0] $1 to " . ($2 // $1) : "@$_" } grep { $_->[3] ne 'unreadable' } @$found ],
		\@want, "$name: " . @want . ' gaps, and no other fault');
	alive($node, $pid, "$name: it goes on");
	$node->stop;
}

# A whole page of zeros is a page without rows, and a file cut short one without pages.
my $pages = length($clean) / PAGE;
foreach my $cut ([ 'a page zeroed', sub { my ($f) = @_; substr($f, 5 * PAGE, PAGE) = "\0" x PAGE; $f }, sub { $_[0] == 5 } ],
	[ 'the file cut', sub { substr $_[0], 0, ($pages - 1) * PAGE }, sub { $_[0] == $pages - 1 } ])
{
	my ($name, $change, $lost) = @$cut;
	$pid = restart($path, $change->($clean));
	my @want;
	foreach my $o (sort @orgs)
	{
		my @kept = grep { !$lost->($place{$o}[ $_ - 1 ]{page}) } 1 .. 5;
		my $next = 1;
		foreach my $s (@kept) { push @want, "$o $next" if $s > $next; $next = $s + 1 }
	}
	is_deeply([ map { $_->[3] eq 'event_missing' ? "$_->[0] $_->[1]" : "@$_" } @{ faults_of($node) } ], \@want,
		"$name: what lay there is missing, if something follows it");
	alive($node, $pid, "$name: the server runs");
	$node->stop;
}

# Heads: what cannot be read is not chained to
$file = $clean;
my @heads = ([ 'length of event_hash', sub { flip($_[0], $_[1]{event_hash}{at} - 1, 3) } ], [ 't_hoff', sub { flip($_[0], $_[1]{at} + 22, 3) } ],
	[ 'organization_id', sub { flip($_[0], $_[1]{organization_id}{at}, 3) } ], [ 'sequence', sub { flip($_[0], $_[1]{sequence}{at} + 7, 7) } ]);
foreach my $i (0 .. $#heads) { $heads[$i][1]->(\$file, $place{ $orgs[$i] }[4]) }
$pid = restart($path, $file);
foreach my $i (0 .. $#heads)
{
	is_refused($node, 'postgres', "SELECT spine.emit_event('a.b.c', entity_id => '$orgs[0]', actor_id => '$orgs[0]', organization_id => '$orgs[$i]')",
		'SP017', "the head's $heads[$i][0] damaged: nothing is chained to it", hint => 'find_chain_faults');
}
is_allowed($node, 'postgres', "SELECT spine.emit_event('a.b.c', entity_id => '$orgs[0]', actor_id => '$orgs[0]', organization_id => '$orgs[9]')",
	'other organizations go on');
alive($node, $pid, 'the server still runs');
$node->stop;

# Values out of line and compressed: their pointers, headers and bytes
$pid = restart($path, $clean);
my @far;
foreach my $byte (0 .. 17)
{
	push @far, [ "toast pointer, byte $byte, bit $_", 'far', do { my $b = $_; sub { flip($_[0], $_[1]{payload}{at} - 2 + $byte, $b) } } ] foreach 0 .. 7;
}
push @far, [ "compressed, header byte " . int($_ / 8) . ', bit ' . $_ % 8, 'near', do { my $b = $_; sub { flip($_[0], $_[1]{payload}{at} - 4 + int($b / 8), $b % 8) } } ]
  foreach 0 .. 63;
push @far, [ "compressed, byte $_", 'near', do { my $b = $_; sub { flip($_[0], $_[1]{payload}{at} + $b, $b % 8) } } ] foreach 8 .. 40;
my $first = 5000;
my $bulk  = q(jsonb_build_object('bulk', (SELECT string_agg(md5(i::text || o), '') FROM generate_series(1, 100) i)));
my $near  = q(jsonb_build_object('bulk', repeat('abc ' || n, 2000)));
my $far   = grep { $_->[1] eq 'far' } @far;
my $chunks = 40;
$node->safe_psql('postgres', $emit->(5, $first, $far, $bulk) . ';' . $emit->(5, $first + $far, @far - $far, $near) . ';'
	  . $emit->(3, $first + @far, $chunks, $bulk));
$node->safe_psql('postgres', 'VACUUM (FREEZE) spine.events; CHECKPOINT');
is(scalar @{ faults_of($node) }, 0, 'no fault before');
my $toast_name = $node->safe_psql('postgres', "SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 'spine.events_default'::regclass");
my $toast_path = $node->data_dir . '/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath('$toast_name')");
$node->stop;
my $with_toast = slurp_file($path);
%place = ();
foreach my $row (@{ rows_in($with_toast) }) { $place{ $row->{org} }[ $row->{seq} - 1 ] = $row }
$file = $with_toast;
foreach my $i (0 .. $#far) { $far[$i][2]->(\$file, $place{ tenant($first + $i) }[2]) }
# The chunks of the last organizations lie at the end of the toast table, on pages from a certain one on.
my $toast_clean = slurp_file($toast_path);
my $toast_file  = $toast_clean;
my %owner;
foreach my $i (0 .. $chunks - 1)
{
	my $p = $place{ tenant($first + @far + $i) }[1]{payload};
	$owner{ unpack 'V', substr $with_toast, $p->{at} + 8, 4 } = tenant($first + @far + $i);
}
my %struck;
for (my $base = 0; $base < length $toast_file; $base += PAGE)
{
	my $lower = unpack 'v', substr $toast_clean, $base + 12, 2;
	for (my $lp = 24; $lp < $lower; $lp += 4)
	{
		my $item = unpack 'V', substr $toast_clean, $base + $lp, 4;
		next unless (($item >> 15) & 3) == 1;
		my $at = $base + ($item & 0x7fff);
		my ($id, $number, $header) = unpack 'V V V', substr $toast_clean, $at + 24, 12;
		my $o = $owner{$id};
		next if !defined $o || $struck{$o};
		my $k = keys %struck;
		# In turn: chunk_id, chunk_seq, the length's header, the data and the line pointer. The tuple header is left
		# alone: the server's own reader of chunks trusts that no column is null, and a test must not crash it.
		if ($k < 28) { flip(\$toast_file, $at + 24 + int($k * 3 / 7), $k % 8) }
		elsif ($k < 38) { flip(\$toast_file, $at + 36 + 100 * ($k - 28), $k % 8) }
		elsif ($k == 38) { substr($toast_file, $base + $lp, 4) = "\0" x 4 }
		else { substr($toast_file, $at + 36, 400) = "\0" x 400 }
		$struck{$o} = $k < 10 ? 'chunk_id' : 'chunk';
	}
}
is(scalar keys %struck, $chunks, 'a chunk of each of the last organizations was struck');
put_file($toast_path, $toast_file);
$pid = restart($path, $file);
$all = faults_of($node);
alive($node, $pid, 'the server survives ' . @far . ' flips in pointers and compressed values and ' . $chunks . ' in chunks');
$by = by_org($all);
foreach my $i (0 .. $#far)
{
	my $found = $by->{ tenant($first + $i) } // [];
	# The first two bytes say what kind of value it is, and four more how long a compressed one is.
	my $kind = $far[$i][0] =~ /byte [01],|header byte [0-3],/ ? 'either' : 'content';
	my $wrong = compare($kind, $found, 1);
	if ($wrong ne '' && !@$found)
	{
		# A bit that says nothing: then the server must read the same value.
		my $want = $far[$i][1] eq 'far' ? q((SELECT string_agg(md5(i::text || o), '') FROM generate_series(1, 100) i)) : q(repeat('abc ' || 3, 2000));
		my (undef, $same) = run_sql($node, 'postgres', 'SELECT payload->>$$bulk$$ = ' . $want . ' FROM spine.events, (SELECT ' . ($first + $i)
			  . ') AS t(o) WHERE sequence = 3 AND organization_id = \'' . tenant($first + $i) . "'");
		$wrong = '' if $same eq 't';
	}
	ok($wrong eq '', $far[$i][0]) or diag($wrong, map { "\n" . join '|', @$_[ 1, 3, 6 ] } @$found);
}
my @silent;
foreach my $o (sort keys %struck)
{
	my @f = map { "$_->[1] $_->[3]" } @{ $by->{$o} // [] };
	# Chunks are found through the server's index, which still knows chunk_id: the value is the same.
	push @silent, "$struck{$o} of $o: @f" unless "@f" =~ ($struck{$o} eq 'chunk_id' ? qr/^$/ : qr/^[123] (content_altered|unreadable)$/);
}
is(scalar(@silent), 0, 'each damaged chunk is one fault at its event, and nothing else') or diag(map { "$_\n" } @silent);
is(scalar(grep { $known{$_} && $_ ne '-' } keys %$by), 0, 'organizations without such values have no fault')
  or diag(join "\n", grep { $known{$_} } keys %$by);
alive($node, $pid, 'the server still runs');
$node->stop;
done_testing;
