# Bits flipped in the out-of-line values of payloads while the server is down, page checksums off: in the chunks' data, their
# lengths and numbers, the headers of their rows, their line pointers. The server must stay up, and verification must name
# the event, or the value must be what it was; and each reader gets the event, or an error that says that it is damaged.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Spine;

use constant PAGE => 8192;

my $seed = $ENV{SPINE_SEED} // 20260119;
srand($seed);
note "seed $seed";
my $rounds = 3;
my $values = 400;    # a round's; each has an organization of its own, and one flip

my $node = spine_node('toast', conf => "restart_after_crash = off\n");
my ($lz4) = $node->config_data('--configure') =~ /--with-(lz4)/;
my @methods = ('external', 'pglz', $lz4 // ());
# The text of value n, by how it is stored: whole, or compressed. Some fill a chunk to its end, some need four of them.
my %text = (
	external => q(repeat(md5(n::text), 60 + n % 190)),
	pglz => q((SELECT string_agg(md5((n * 1000 + i)::text) || repeat('abc', n % 7), '') FROM generate_series(1, 100 + n % 150) i)),
	lz4 => q((SELECT string_agg(md5((n * 2000 + i)::text) || repeat('xyz', n % 7), '') FROM generate_series(1, 100 + n % 150) i)));
foreach my $i (0 .. $#methods)
{
	my $m = $methods[$i];
	my ($from, $to) = (1 + int($values * $i / @methods), int($values * ($i + 1) / @methods));
	my $set = $m eq 'external' ? 'SET STORAGE EXTERNAL' : "SET STORAGE EXTENDED, ALTER payload SET COMPRESSION $m";
	$node->safe_psql('postgres', qq{
	  SET people_os_spine.unguard = 'a test';
	  ALTER TABLE spine.events ALTER payload $set;
	  SELECT count(spine.emit_event('hcm.employee.created', entity_id => o, actor_id => o, organization_id => o,
	           payload => CASE s WHEN 2 THEN jsonb_build_object('text', $text{$m}) ELSE '{}' END))
	    FROM (SELECT n, ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid FROM generate_series($from, $to) n) AS v(n, o), generate_series(1, 3) s;
	});
}
$node->safe_psql('postgres', 'VACUUM (FREEZE) spine.events; CHECKPOINT');
my ($toast, $index) = split /\|/, $node->safe_psql('postgres', "SELECT pg_relation_filepath(reltoastrelid), pg_relation_filepath(indexrelid) FROM pg_class c, pg_index WHERE c.oid = 'spine.events_default'::regclass AND indrelid = reltoastrelid");
my %original = map { split /\|/ } split /\n/, $node->safe_psql('postgres', 'SELECT organization_id, md5(payload::text) FROM spine.events WHERE sequence = 2');
is(scalar keys %original, $values, 'so many values');
is(scalar @{ faults_of($node) }, 0, 'no fault before');
read_everything($node, qw(emit_event from_now read_subscriptions read_chain_heads chain_status verify_chain find_chain_faults record_verification required));
# Values are numbered as they are stored: which organization has which.
my $ids = $node->safe_psql('postgres', 'SELECT chunk_id FROM ' . $node->safe_psql('postgres', "SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 'spine.events_default'::regclass") . ' GROUP BY 1 ORDER BY 1');
my @ids = split /\n/, $ids;
is(scalar @ids, $values, 'each out of line');
my %owner = map { $ids[$_] => org($_ + 1) } 0 .. $#ids;
$node->stop;

my $path = $node->data_dir . "/$toast";
my $clean = slurp_file($path);
# Chunks that seem dead the server marks as such in their index, so that goes with them.
my $index_path = $node->data_dir . "/$index";
my $clean_index = slurp_file($index_path);
my %chunks;    # by organization: [ the line pointer's place, the row's, its length ]
for (my $base = 0; $base < length $clean; $base += PAGE)
{
	my $lower = unpack 'v', substr $clean, $base + 12, 2;
	for (my $lp = $base + 24; $lp < $base + $lower; $lp += 4)
	{
		my $item = unpack 'V', substr $clean, $lp, 4;
		next unless (($item >> 15) & 3) == 1;
		my $at = $base + ($item & 0x7fff);
		push @{ $chunks{ $owner{ unpack 'V', substr $clean, $at + 24, 4 } } }, [ $lp, $at, $item >> 17 ];
	}
}

my $alone = 'SET max_parallel_maintenance_workers = 0;';
my $together = 'SET min_parallel_table_scan_size = 0; SET max_parallel_maintenance_workers = 2;';
my %seen;
foreach my $round (1 .. $rounds)
{
	my $file = $clean;
	my %flip;
	foreach my $o (sort keys %chunks)
	{
		my ($lp, $at, $length) = @{ $chunks{$o}[ int rand @{ $chunks{$o} } ] };
		# Half of the flips in what is not data: there are few bytes of it.
		my ($what, $where) =
		    rand() < 0.5 ? ('data', $at + 36 + int rand($length - 36))
		  : rand() < 0.6 ? ('header', $at + 18 + int rand 5)
		  : rand() < 0.5 ? ('other header', $at + int rand 24)
		  : rand() < 0.8 ? ('number or length', $at + 28 + int rand 8)
		  : ('line pointer', $lp + int rand 4);
		my $bit = int rand 8;
		substr($file, $where, 1) ^= chr(1 << $bit);
		$flip{$o} = [ $what, "$what, byte " . ($where - $at) . ", bit $bit" ];
	}
	put_file($path, $file);
	put_file($index_path, $clean_index);
	$node->start;
	my $pid = postmaster_of($node);
	my (undef, $got, $said) = run_sql($node, 'postgres', "$alone SELECT organization_id, sequence, fault, detail FROM spine.find_chain_faults()");
	my (%found, @wrong);
	foreach my $fault (split /\n/, $got)
	{
		my ($o, $sequence, $kind, $detail) = split /\|/, $fault;
		push @wrong, "$fault: $flip{$o}[1]" unless $sequence == 2 && $kind =~ /^(content_altered|unreadable)$/ && !$found{$o};
		$found{$o} = $detail;
	}
	ok($got ne '' && !@wrong, "round $round: " . keys(%found) . ' of ' . keys(%flip) . ' are named, each once') or diag($said, join "\n", @wrong);
	$seen{ $flip{$_}[0] }++ foreach keys %found;
	alive($node, $pid, "round $round: the server runs") or last;
	(undef, my $again) = run_sql($node, 'postgres', "SET client_min_messages = debug1; $together SELECT organization_id, sequence, fault, detail FROM spine.find_chain_faults()");
	is($again, $got, "round $round: with workers the same");
	my $all = join ',', map { org($_) } 1 .. $values;
	my ($failed, $read, $error) = run_sql($node, 'postgres', "SELECT state, count(*) FROM public.read_everything('{$all}', '{$all}') GROUP BY 1 ORDER BY 1");
	is($failed, '', "round $round: every reader answers") or diag($error);
	# XX000, XX001: what can be neither decompressed nor found.
	is(join("\n", grep { !/^(|SP045|XX00[01])\|/ } split /\n/, $read), '', "round $round: no other error");
	note $read;
	alive($node, $pid, "round $round: the server runs on") or last;
	# What nobody misses is what it was. To read the others could crash the server.
	my $list = join ',', map { "'$_'" } grep { !exists $found{$_} } keys %flip;
	my %now = map { split /\|/ } split /\n/, $node->safe_psql('postgres', "SELECT organization_id, md5(payload::text) FROM spine.events WHERE sequence = 2 AND organization_id IN ($list)");
	my @silent = grep { ($now{$_} // '') ne $original{$_} } keys %now;
	is(scalar @silent, 0, "round $round: the other " . keys(%now) . ' are what they were') or diag(map { "$_: $flip{$_}[1]\n" } @silent);
	is(scalar(grep { $flip{$_}[0] eq 'data' && !exists $found{$_} && /00(0\d\d|1[012]\d)$/ } keys %flip), 0, "round $round: no bit of uncompressed data flips unseen");
	is($node->safe_psql('postgres', "SELECT count(spine.emit_event('a.b.c', entity_id => o, actor_id => o, organization_id => o)) FROM (VALUES ('@{[ org(5000 + $round) ]}'::uuid)) v(o)"), 1, "round $round: the next event");
	$node->stop;
}
cmp_ok($seen{$_} // 0, '>', 5, "$_: detected " . ($seen{$_} // 0) . ' times') foreach 'data', 'header', 'number or length', 'line pointer';

put_file($path, $clean);
put_file($index_path, $clean_index);
$node->start;
is(scalar @{ faults_of($node) }, 0, 'no fault without the flips');
$node->stop;
done_testing;
