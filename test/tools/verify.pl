# spine-verify, the program: what it prints, its exit codes, and that no bundle, however hostile, crashes it, makes it take
# memory without bound, or makes it say "proved". The programs lie in the folder that SPINE_TOOLS names. Needs no server.
use strict;
use warnings;

use File::Basename ();
use File::Temp ();
use JSON::PP ();
use Test::More;

my $tools = $ENV{SPINE_TOOLS} or die "SPINE_TOOLS is not set\n";
my $work = File::Temp->newdir('spine_verify.XXXXXX', TMPDIR => 1);

sub put_file
{
	my ($name, $text) = @_;
	open my $out, '>:raw', "$work/$name" or die "$name: $!";
	print $out $text;
	close $out or die "$name: $!";
	return "$work/$name";
}

sub slurp
{
	my ($path) = @_;
	open my $in, '<:raw', $path or die "$path: $!";
	local $/ = undef;
	return scalar <$in>;
}

# What a program prints, and its exit code; a signal is one above 128. In memory of at most 256 MB.
sub run
{
	my (@command) = @_;
	my $pid = open my $out, '-|';
	die "fork: $!" unless defined $pid;
	if (!$pid)
	{
		open STDERR, '>&', \*STDOUT or die;
		my $limit = $ENV{SPINE_UNLIMITED} ? '' : 'ulimit -v 262144; ';
		exec 'sh', '-c', $limit . 'exec "$@"', 'sh', @command or die;
	}
	binmode $out;
	local $/ = undef;
	my $text = <$out> // '';
	close $out;
	return ($text, $? & 127 ? 128 + ($? & 127) : $? >> 8);
}

sub make
{
	my (@options) = @_;
	my ($text, $code) = run("$tools/spine_make_evidence", @options);
	die "spine_make_evidence: $text" if $code;
	return $text;
}

sub verify { return run("$tools/spine-verify", @_) }

# The results of --json: lines by their kind.
sub verify_json
{
	my (@arguments) = @_;
	my ($text, $code) = verify('--json', @arguments);
	my %of = (failure => [], event => [], chain => [], result => [], log => []);
	foreach my $line (split /\n/, $text)
	{
		my $json = eval { JSON::PP->new->utf8->decode($line) };
		return { broken => $line } unless $json;
		my ($kind) = keys %$json;
		push @{ $of{$kind} }, $json->{$kind};
	}
	return { %of, code => $code };
}

my $policy = "$work/policy";
my @usual  = qw(--events 7 --chains 3 --erase 3 --stretch 2-4 --single 7 --entries 6 --entry 5 --witnesses 2);
my $bundle = make(@usual, '--policy', $policy);
my $good   = put_file('good', $bundle);
my @lines  = split /\n/, $bundle;

# A changed bundle must fail: exit code 1, or 2 where it is none any more; never "proved".
my $number = 0;
sub fails
{
	my ($what, $text, $reason) = @_;
	my ($said, $code) = verify('--policy', $policy, put_file('changed', $text));
	my $fine = ($code == 1 || $code == 2) && $said !~ /\bPROVED\b/ && $said =~ /FAILED|UNREADABLE/ && (!defined $reason || $said =~ /: $reason: /);
	ok($fine, $what) or diag("exit code $code\n$said");
	return $said;
}
sub lines_as { return join '', map { "$_\n" } @_ }

# A good one --------------------------------------------------------------------------------------------------------

{
	my ($said, $code) = verify('--policy', $policy, $good);
	is($code, 0, 'a good bundle: exit code 0');
	like($said, qr/^\Q$good\E: PROVED: 4 events: 4 proved, 0 unproved, 0 refuted/m, 'it says so');
	like($said, qr/signed by: spine\.example\/directory, witness\.example\/w1, witness\.example\/w2$/m, 'and who signed');
	like($said, qr/personal parts: 0 shown, 1 erased, 0 withheld/, 'and what was erased');
	unlike($said, qr/FAILED|hcm\.employee/, 'and no more');
	my ($from_pipe, $piped) = run('sh', '-c', 'exec "$0" --policy "$1" - <"$2"', "$tools/spine-verify", $policy, $good);
	is($piped, 0, 'it reads the standard input');
	($said, $code) = verify('--events', '--policy', $policy, $good);
	is(join(' ', $said =~ /^(\w+) \S+ (\d+) .*personal=erased$/mg), 'proved 3', '--events tells which part was erased');
	is(scalar(() = $said =~ /^proved /mg), 4, 'and of each event that it is proved');
	my $json = verify_json('--events', '--policy', $policy, $good);
	is(join(' ', map { "$_->{sequence} $_->{verdict} $_->{payload} $_->{personal}" } @{ $json->{event} }),
		'2 proved shown none 3 proved shown erased 4 proved shown none 7 proved shown none', '--json: the events');
	is("$json->{result}[0]{outcome} $json->{result}[0]{proved} $json->{result}[0]{log_size} $json->{result}[0]{directory_number}", 'proved 4 6 5', 'and the result');
	is($json->{chain}[0]{personal}{erased}, 1, 'and the chain');
	is(scalar @{ verify_json('--policy', $policy, $good)->{event} }, 0, 'without --events no events');
}

# Wrong usage, and what cannot be read --------------------------------------------------------------------------

foreach my $case (
	[ 'no argument' ],
	[ 'an unknown option', '--policies', $policy, $good ],
	[ 'no evidence', '--policy', $policy ],
	[ 'no policy file', '--policy', "$work/none", $good ],
	[ 'a policy that is none', '--policy', $good, $good ],
	[ 'no such file', '--policy', $policy, "$work/none" ],
	[ 'an empty file', '--policy', $policy, put_file('empty', '') ],
	[ 'a folder without checkpoints', '--policy', $policy, "$work" ],
	[ 'what is no evidence', '--policy', $policy, put_file('text', "hello\n") ],
	[ 'a bundle of another format', '--policy', $policy, put_file('format', $bundle =~ s/"format":1/"format":2/r) ])
{
	my ($what, @arguments) = @$case;
	my ($said, $code) = verify(@arguments);
	ok($code == 2 && $said ne '', "$what: exit code 2") or diag("$code\n$said");
}
is((verify('--help'))[1], 0, '--help');
like((verify('--version'))[0], qr/^spine-verify \d/, '--version');
is((verify('--policy', $policy, $good, "$work/none"))[1], 2, 'of several the worst counts');
is((verify('--policy', $policy, $good, "$work/none", put_file('cut', $bundle =~ s/\{"end.*//sr)))[1], 1, 'and a failed check is the worst');
{
	my ($said, $code) = run('sh', '-c', 'exec "$0" --events --policy "$1" "$2" >/dev/full', "$tools/spine-verify", $policy, $good);
	is($code, 2, 'what cannot be printed is no success');
	($said, $code) = verify('--policy', put_file('without_end', slurp($policy) =~ s/\n\z//r), $good);
	like($said, qr/without_end, line \d+: the last line does not end with a line feed/, 'a policy that was cut off');
}

# Changed ----------------------------------------------------------------------------------------------------------

# Every member of every line gets another value of its kind.
{
	my $other = { hash => sub { my $h = shift; substr($h, 5, 1) = substr($h, 5, 1) eq '0' ? '1' : '0'; $h } };
	my @members;
	foreach my $n (0 .. $#lines)
	{
		my $line = $lines[$n];
		while ($line =~ /"(\w+)":("(?:[^"\\]|\\.)*"|-?\d[\d.]*|\[|\{)/g)
		{
			my ($name, $value, $at) = ($1, $2, $-[2]);
			my $new =
			    $value =~ /^\d+$/          ? $value + 1
			  : $value =~ /^[\d.]+$/       ? "1$value"
			  : $value eq '[' || $value eq '{' ? '"x",'
			  : $value =~ /^"[0-9a-f]{64}"/ ? '"' . $other->{hash}->(substr $value, 1)
			  : $value =~ /^"([0-9a-f]{8}-.*)/ ? '"' . ($1 =~ s/^(.)/$1 eq '0' ? '1' : '0'/er)
			  : $value eq '""'             ? '"x"'
			  :                              '"x' . substr($value, 1);
			$new = $value eq '[' ? '["' . '0' x 64 . '",' : '{"!":0,' if $value eq '[' || $value eq '{';
			my $changed = $line;
			substr($changed, $at, length $value) = $new;
			push @members, [ $n, $name, $changed =~ s/,([\]}])/$1/r ];
		}
	}
	cmp_ok(scalar @members, '>', 90, 'members are found');
	my @taken;
	foreach my $member (@members)
	{
		my ($n, $name, $line) = @$member;
		my @changed = @lines;
		$changed[$n] = $line;
		my ($said, $code) = verify('--policy', $policy, put_file('changed', lines_as(@changed)));
		push @taken, "$n.$name" if $code == 0;
		push @taken, "$n.$name: $code" if $code != 0 && $code != 1 && $code != 2;
	}
	# Nothing vouches for what the header claims, but for the organization.
	is(join(' ', @taken), '0.evidence 0.created 0.reason 0.selection', 'a change of any member is seen, but of claims of the header');
}
# And every hash of every list.
foreach my $n (0 .. $#lines)
{
	my $line = $lines[$n];
	while ($line =~ /(?<=[\[,]")[0-9a-f]{64}(?="[,\]])/g)
	{
		my @changed = @lines;
		substr($changed[$n], $-[0], 1) = substr($line, $-[0], 1) eq '0' ? '1' : '0';
		fails("a hash of line $n at $-[0]", lines_as(@changed));
	}
}
foreach my $n (0 .. $#lines)
{
	my @rest = @lines;
	splice @rest, $n, 1;
	fails("line $n is missing", lines_as(@rest));
	fails("line $n stands there twice", lines_as(@lines[0 .. $n], @lines[$n .. $#lines]));
	next if $n == $#lines;
	my @swapped = @lines;
	@swapped[$n, $n + 1] = @swapped[$n + 1, $n];
	fails("lines $n and " . ($n + 1) . ' are swapped', lines_as(@swapped));
}
foreach my $size (map { $_ * 97 } 1 .. length($bundle) / 97) { fails("cut off at $size", substr $bundle, 0, $size) }
fails('cut off before the end line', lines_as(@lines[0 .. $#lines - 1]), 'truncated');
fails('without the last line feed', substr($bundle, 0, -1), 'truncated');
fails('with carriage returns', $bundle =~ s/\n/\r\n/gr);
fails('with a byte order mark', "\xef\xbb\xbf$bundle");
fails('with an empty line at the end', "$bundle\n", 'line_unexpected');
fails('twice', $bundle . $bundle, 'line_unexpected');

{
	my $said = fails('one event is altered', $bundle =~ s/"human"/"robot"/r, 'content_altered');
	like($said, qr/FAILED line 6, organization \S+, sequence 2: content_altered/, 'it is named');
	like($said, qr/4 events: 3 proved, 0 unproved, 1 refuted/, 'and the others are proved');
	my $json = verify_json('--events', '--policy', $policy, "$work/changed");
	is("$json->{code} $json->{failure}[0]{reason} $json->{failure}[0]{sequence} $json->{result}[0]{outcome}", '1 content_altered 2 failed', 'in JSON, too');
	is(join(' ', map { $_->{verdict} } @{ $json->{event} }), 'refuted proved proved proved', 'event by event');
}

# Others' keys -----------------------------------------------------------------------------------------------------

fails("the same names, another's keys", make(@usual, '--seed', 9), 'checkpoint_untrusted');
fails('of another log', make(@usual, '--origin', 'spine.example/other'), 'checkpoint_untrusted');
fails('without witnesses', make(@usual, '--witnesses', 0), 'quorum_missing');
{
	my $note = JSON::PP->new->utf8->decode($lines[1])->{checkpoint};
	my $noisy = sub {
		my ($count) = @_;
		my $text = $note . join '', map { "\x{2014} other$_ AQIDBHNpZw==\n" } 1 .. $count;
		return lines_as($lines[0], JSON::PP->new->utf8->canonical->encode({ checkpoint => $text }), @lines[2 .. $#lines]);
	};
	is((verify('--policy', $policy, put_file('changed', $noisy->(97))))[1], 0, 'a note with 100 signatures, of which the known ones are good');
	fails('a note with 101 signatures', $noisy->(98), 'checkpoint_untrusted');
	my $foreign = slurp($policy) . "witness p w+0badcafe+BndpdG5lc3M=\n";
	like((verify('--policy', put_file('foreign', $foreign), $good))[0], qr/PROVED/, 'a policy with a key of a type that is not known');
}

# Hostile ----------------------------------------------------------------------------------------------------------

fails('a line of 50 MB', '{"evidence":{"created":"' . 'x' x 50_000_000);
fails('a line of 50 MB in a bundle', lines_as(@lines[0 .. 4]) . '{"event":{"action":"' . 'x' x 50_000_000 . "\"}}\n", 'line_too_long');
fails('50 MB of line feeds', "\n" x 50_000_000);
fails('50 MB of zeros', "\0" x 50_000_000);
fails('JSON a million levels deep', lines_as($lines[0]) . '{"checkpoint":' . '[' x 1_000_000 . "\n", 'line_malformed');
fails('objects a million levels deep', '{"evidence":' . '{"a":' x 1_000_000 . "\n");
fails('a million members', lines_as($lines[0]) . '{' . join(',', map { sprintf '"%07d":0', $_ } 1 .. 1_000_000) . "}\n", 'line_malformed');
fails('a proof of a million hashes', lines_as(@lines[0, 1], $lines[2] =~ s/"proof":\[/'"proof":[' . ('"' . '0' x 64 . '",') x 200_000/er, @lines[3 .. $#lines]));
fails('a note of 10 MB', lines_as($lines[0], $lines[1] =~ s/\\n6\\n/'\n6\n' . 'x' x 10_000_000 . '\n'/er, @lines[2 .. $#lines]), 'checkpoint_untrusted');
foreach my $n (2 .. $#lines)
{
	(my $huge = $lines[$n]) =~ s/"(index|size|first|last|sequence|events)":\d+/"$1":9223372036854775807/g;
	fails("numbers of 2^63 - 1 in line $n", lines_as(@lines[0 .. $n - 1], $huge, @lines[$n + 1 .. $#lines])) if $huge ne $lines[$n];
	(my $larger = $lines[$n]) =~ s/"(index|size|first|last|sequence|events)":\d+/"$1":18446744073709551616/g;
	fails("and of 2^64 in line $n", lines_as(@lines[0 .. $n - 1], $larger, @lines[$n + 1 .. $#lines])) if $larger ne $lines[$n];
}
fails('a stretch that has no end', lines_as(@lines[0 .. 3], $lines[4] =~ s/"last":4/"last":7/r =~ s/"after":\[.*?\]/"after":[]/r, @lines[5 .. 7]), 'truncated');

# What stands in events never reaches the terminal as a command to it.
{
	my $nasty = "\e]0;owned\a \x9b31m \x{202e} \x{7f} \x{200b}";
	utf8::encode($nasty);
	my $c1 = "\x{9b}31m\x{202e}\x{7f}\x{200b}\x{2028}";
	utf8::encode($c1);
	my $export = make('--events', 3, '--plain');
	foreach my $member (qw(event_type recorded_by))
	{
		put_file('changed', $export =~ s/"$member":"/"$member":"$c1\\u001b[31m/gr);
		foreach my $mode ([], ['--json'], ['--events'], [ '--events', '--json' ])
		{
			my ($said, $code) = verify(@$mode, "$work/changed");
			is($code, 1, "control characters in $member, @$mode");
			unlike($said, qr/[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8b-\x8f\xa8-\xae]/, 'none is printed');
		}
	}
	put_file('changed', lines_as($lines[0], $lines[1] =~ s/spine\.example\/directory\\n6/$c1\\n6/r));
	my ($said) = verify('--policy', $policy, "$work/changed");
	unlike($said, qr/[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80/, 'nor of the checkpoint');
	put_file("name\e[31m", "x\n");
	($said) = verify('--json', "$work/name\e[31m");
	unlike($said, qr/\e/, 'nor of a file name');
}

# Chains, exports, checkpoints --------------------------------------------------------------------------------------

{
	my $export = put_file('export', make(qw(--events 4 --chains 2 --bundled 2 --plain)));
	my ($said, $code) = verify($export);
	is($code, 3, 'a plain export: exit code 3');
	like($said, qr/nothing in it is proved/, 'it says that nothing is proved');
	unlike($said, qr/: PROVED/, 'and no other thing');
	is(verify_json($export)->{result}[0]{outcome}, 'not_all_proved', 'in JSON, too');
	foreach my $change ([ 'an altered event', 's/"human"/"robot"/', 'content_altered' ], [ 'an altered part', 's/"d-2"/"d-3"/', 'part_altered' ])
	{
		my ($what, $how, $reason) = @$change;
		my $text = slurp($export);
		eval "\$text =~ $how; 1" or die;
		fails("$what of a plain export", $text, $reason);
	}
	is((verify('--policy', $policy, put_file('changed', make(@usual, '--withhold', '--hide-payload'))))[1], 0, 'withheld parts leave events proved');
	is((verify('--policy', $policy, put_file('changed', lines_as(@lines[0 .. 3], '{"end":{"events":0}}'))))[1], 3, 'a bundle without events proves nothing');
	my $two = verify_json('--events', '--policy', $policy, put_file('changed', make(qw(--events 5 --chains 5 --bundled 2 --single 1 --stretch 3-5 --witnesses 2))));
	is(join(' ', map { substr($_->{organization_id}, -1) . $_->{sequence} } @{ $two->{event} }), '11 13 14 15 21 23 24 25', 'the events of two chains');
}
{
	mkdir "$work/log" or die;
	make(@usual, '--checkpoints', "$work/log");
	my ($said, $code) = verify('--policy', $policy, "$work/log");
	is($code, 0, 'a folder of checkpoints');
	like($said, qr/PROVED: 6 checkpoints, 6 good/, 'all of them');
	like($said, qr/no proof here/, 'and what is not proved');
	is((verify("$work/log"))[1], 2, 'without a policy it cannot be judged');
	put_file('log/10.checkpoint', slurp("$work/log/5.checkpoint"));
	($said, $code) = verify('--policy', $policy, "$work/log");
	is($code, 1, 'a log that got shorter');
	like($said, qr/^FAILED 10\.checkpoint: size_shrank: /m, 'is named');
	make(@usual, '--erase', 5, '--checkpoints', "$work/log");    # another history; 10 is of the first
	put_file('log/5.checkpoint', slurp("$work/log/10.checkpoint"));
	put_file('log/6.checkpoint', slurp("$work/log/10.checkpoint"));
	($said, $code) = verify('--policy', $policy, "$work/log");
	is($code, 0, 'checkpoints of one size with one root');
	make(@usual, '--erase', 5, '--checkpoints', "$work/log");
	put_file('log/6.checkpoint', slurp("$work/log/5.checkpoint"));
	my $json = verify_json('--policy', $policy, "$work/log");
	is($json->{failure}[0]{reason} // '', 'root_differs', 'and with two');
	is($json->{result}[0]{outcome}, 'failed', 'that is a failure');
	put_file('log/10.checkpoint', 'x');
	like((verify('--policy', $policy, "$work/log"))[0], qr/10\.checkpoint: checkpoint_untrusted/, 'a note that is none');
}

# A long chain, in memory that does not depend on its length ---------------------------------------------------------

SKIP:
{
	skip 'this build takes more memory', 2 if $ENV{SPINE_UNLIMITED};
	my $small = sub {
		my (@options) = @_;
		my ($said, $code) = run('sh', '-c', 'exec "$0" "$@" | (ulimit -v 20480; exec "$SPINE_TOOLS/spine-verify" --policy "$POLICY" -)', "$tools/spine_make_evidence", @options);
		return "$code " . ($said =~ /(PROVED: \d+) events/ ? $1 : $said);
	};
	local $ENV{POLICY} = $policy;
	is($small->(qw(--events 50000 --stretch 1-50000 --witnesses 2)), '0 PROVED: 50000', '50,000 events in 20 MB');
	is($small->(qw(--events 50000 --stretch 1-50000 --withhold --witnesses 2)), '0 PROVED: 50000', 'so it does with parts withheld');
}

# The page's examples are lines of the vectors -----------------------------------------------------------------------

{
	my $root = File::Basename::dirname(__FILE__) . '/../..';
	my $vectors = "$root/test/vectors/evidence";
	my $page = slurp("$root/docs/evidence.md");
	my @vector = split /\n/, slurp("$vectors/bundle.ndjson");
	my $shown = 0;
	while ($page =~ /^```json norun: line (\d+) of bundle\.ndjson\n(.*)\n```$/mg)
	{
		is($2, $vector[ $1 - 1 ], "docs/evidence.md shows line $1 of the bundle");
		$shown++;
	}
	cmp_ok($shown, '>=', 7, 'there are examples');
	my $shown_policy = slurp("$vectors/policy.txt");
	like($page, qr/^```text norun: policy\.txt\n\Q$shown_policy\E```$/m, 'and the policy');
	my ($listed) = $page =~ /^## Reasons\n(.*)/ms;
	my %there = map { $_ => 1 } $listed =~ /^\| `(\w+)` \|/mg;
	my ($names) = slurp("$root/src/core/evidence.h") =~ /evidence_fault_names\[\] = \{(.*?)\};/s;
	is(join(' ', sort keys %there), join(' ', sort grep { $_ ne 'failed' } $names =~ /"(\w+)"/g), 'and the reasons that the program has');
	is(slurp("$vectors/bundle.ndjson"), $bundle, 'the vectors are what the maker makes');
}

done_testing;
