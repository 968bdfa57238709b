# For script/coverage: sums up what gcov says of the builds in a folder that script/test left.
#
# An error path is a line that raises: ereport(ERROR, elog(ERROR, a re-throw, or a call of a function that never returns.
# It is reached where a call in that line was made and did not return, which tells it from the condition before it; gcov
# does not tell of a call that is all there is of a line.
use strict;
use warnings;

use constant GOAL => 95;    # percent of lines

my ($work) = @ARGV;
my $source = "$work/source";
chdir $source or die "$source: $!\n";

my $raises = join '|', 'ereport\(ERROR', 'elog\(ERROR', 'ReThrowError\(',
  map { "(?<!\\w)$_\\(" } split /\n/, `grep -ohE '\\[\\[noreturn\\]\\] void \\w+' src/*/* | sed 's/.* //' | sort -u`;

my (%count, %text, %site, %calls, %raised);
chomp(my @notes = `find '$source/src' '$work/cmake' -name '*.gcno' ! -path '*/CompilerId*'`);
foreach my $note (@notes)
{
	open my $gcov, '-|', 'gcov', '--stdout', '--branch-probabilities', '--branch-counts', $note or die "gcov: $!\n";
	my ($file, $line);
	while (<$gcov>)
	{
		if (/^\s*-:\s*0:Source:/) { $file = /:Source:(?:\Q$source\E\/)?(src\/.*)$/ ? $1 : undef; }
		next unless defined $file;
		if (my ($times, $number, $code) = /^\s*(\S+?)\*?:\s*([1-9]\d*):(.*)$/)
		{
			$line = $number;
			$text{$file}[$line] = $code;
			next if $times eq '-';
			$count{$file}{$line} += $times =~ /^\d+$/ ? $times : 0;
			$site{"$file:$line"} = 1 if $code =~ s/"(?:\\.|[^"\\])*"//gr =~ /^\s.*(?:$raises)/;
		}
		elsif (my ($outcome) = /^call\s+\d+ (.*)$/)
		{
			$calls{"$file:$line"} = 1;
			$raised{"$file:$line"} = 1 if $outcome eq 'returned 0';
		}
	}
	close $gcov or die "gcov $note failed\n";
}

my ($lines, $covered) = (0, 0);
my $row = "%-32s %7s %7s %7s\n";
printf $row, qw(file lines covered %);
foreach my $file (sort keys %count)
{
	my $of  = keys %{ $count{$file} };
	my $got = grep { $_ > 0 } values %{ $count{$file} };
	printf $row, $file, $of, $got, sprintf '%.1f', 100 * $got / $of;
	$lines   += $of;
	$covered += $got;
}
die "nothing was built for coverage\n" unless $lines;
my $percent = 100 * $covered / $lines;
printf $row, 'all', $lines, $covered, sprintf '%.1f', $percent;

print "\nlines that no test runs\n";
foreach my $file (sort keys %count)
{
	my $before = 0;
	foreach my $line (sort { $a <=> $b } grep { $count{$file}{$_} == 0 } keys %{ $count{$file} })
	{
		# What has no code of its own, as a blank line, ends no range.
		my $goes_on = $before && !grep { exists $count{$file}{$_} } $before + 1 .. $line - 1;
		print "$file\n" unless $before;
		print "     …\n" if $before && !$goes_on;
		printf "%6d %s\n", $line, $text{$file}[$line];
		$before = $line;
	}
}

my @sites   = sort { my ($f, $l) = split /:/, $a; my ($g, $m) = split /:/, $b; $f cmp $g || $l <=> $m } keys %site;
my @missing = grep { my ($file, $line) = split /:/; !$raised{$_} && ($calls{$_} || !$count{$file}{$line}) } @sites;
print "\nerrors that no test raises\n";
foreach my $at (@missing)
{
	my ($file, $line) = split /:/, $at;
	print "$at: ", $text{$file}[$line] =~ s/^\s+//r, "\n";
}

printf "\ncoverage: %.1f %% of %d lines, %d of %d error paths\n", $percent, $lines, @sites - @missing, scalar @sites;
exit($percent < GOAL ? 1 : 0);
