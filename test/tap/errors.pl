# The errors in the source, the table of docs/reference.md and the tests agree: each SQLSTATE of the spine's own is in all three,
# and each error has an SQLSTATE and a hint. No server is started.
use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

sub in_order
{
	my %once = map { $_ => 1 } @_;
	return [ sort keys %once ];
}

# src/server/errors.h, and what the scripts raise.
my (%code, %name);
my $header = slurp_file('src/server/errors.h');
while ($header =~ /^#define (ERRCODE_SPINE_\w+) MAKE_SQLSTATE\('(.)', '(.)', '(.)', '(.)', '(.)'\)$/mg)
{
	my $code = "$2$3$4$5$6";
	ok(!$name{$code}, "$code is one error's") or diag("$1 and $name{$code}");
	$name{$code} = $1;
	$code{$1} = $code;
}
is(scalar(() = $header =~ /^#define/mg), scalar keys %code, 'errors.h is read whole');
my @scripts = map { slurp_file($_) =~ /ERRCODE = '(\w{5})'/g } 'people_os_spine--1.0.sql', 'script/people_os_spine_schedule.sql';

my ($table) = slurp_file('docs/reference.md') =~ /^## Errors\n(.*?)(?:^## |\z)/ms;
my @told = map { /^\| ([^|]+) \|/ ? $1 =~ /\bSP\w{3}\b/g : () } split /\n/, $table;
is_deeply(in_order(@told), in_order(keys %name, @scripts), 'the reference lists the errors that there are');
is(scalar @told, scalar @{ in_order(@told) }, 'each once');

# Statements that raise an error, as one line each.
my $source = '';
my %raises;
foreach my $file (sort glob 'src/*/*.cpp src/*/*.h')
{
	my $text = slurp_file($file);
	$source .= $text unless $file eq 'src/server/errors.h';
	while ($text =~ /\be(?:report|log)\((?:ERROR|FATAL|PANIC)\b.*?;\n/sg)
	{
		my $line = 1 + (substr($text, 0, $-[0]) =~ tr/\n//);
		$raises{"$file:$line"} = $& =~ s/\s+/ /gr;
	}
}
cmp_ok(scalar keys %raises, '>', 40, 'errors are found in the source');
is(join("\n", grep { $raises{$_} !~ /errcode\(/ } sort keys %raises), '', 'each has an SQLSTATE');
is(join("\n", grep { $raises{$_} !~ /errhint\("/ } sort keys %raises), '', 'each has a hint');
is(join("\n", grep { $source !~ /errcode\($_\)/ } sort keys %code), '', 'each SQLSTATE of errors.h is raised');

# A test that expects an SQLSTATE says so.
my $tests = join '', map { slurp_file($_) } grep { !/errors\.pl$/ } glob 'expected/*.out test/isolation/expected/*.out test/tap/*.pl';
is(join(' ', grep { $tests !~ /\b$_\b/ } @{ in_order(@told) }), '', 'a test expects each SQLSTATE of the reference');

done_testing;
