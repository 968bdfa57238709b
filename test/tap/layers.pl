# The house: which folder of src/ may include which. No server is started.
#
#   core            itself, and no header of PostgreSQL's
#   server          core
#   store           core, server
#   a capability    core, server, store; of another capability the header of its folder's name, without a circle
#   src/*.cpp       all of them: there the parts are put together
use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

my %below = (core => [], server => ['core'], store => [ 'core', 'server' ]);
my @capabilities = grep { !$below{$_} } map { m{^src/(\w+)/?$} && -d $_ ? $1 : () } sort glob 'src/*';
cmp_ok(scalar @capabilities, '>=', 5, 'capabilities are found');

# What is wrong with a file of a folder that includes these headers.
sub faults_of
{
	my ($folder, $text) = @_;
	my @faults;
	my %mine = map { $_ => 1 } $folder, @{ $below{$folder} // [ 'core', 'server', 'store' ] };
	while ($text =~ /^\s*#\s*include\s*([<"])([^>"]+)[>"]/mg)
	{
		my ($kind, $header) = ($1, $2);
		if ($kind eq '<')
		{
			push @faults, "<$header>" if $folder eq 'core' && $header =~ m{/|^postgres|^fmgr|^funcapi|^miscadmin|^pgstat} && $header !~ m{^(openssl|sys)/};
			next;
		}
		my ($of) = $header =~ m{^(\w+)/\w+\.h$} or push @faults, qq("$header");
		next if !defined $of || $mine{$of};
		push @faults, qq("$header") unless !$below{$folder} && $folder ne 'core' && $header eq "$of/$of.h";
	}
	return @faults;
}

my (%uses, @faults, $files);
foreach my $file (sort glob 'src/*/*.cpp src/*/*.h')
{
	my ($folder) = $file =~ m{^src/(\w+)/};
	my $text = slurp_file($file);
	$files++;
	push @faults, map { "$file includes $_" } faults_of($folder, $text);
	$uses{$folder}{$1} = 1 while !$below{$folder} && $text =~ m{^#include "(\w+)/}mg;
}
cmp_ok($files, '>', 50, 'files are read');
is(join("\n", @faults), '', 'each folder includes what it may');

# A circle of capabilities: take away those that use none that is left, as long as there are any.
my %left = map { $_ => 1 } @capabilities;
while (my @free = grep { my $c = $_; !grep { $_ ne $c && $left{$_} } keys %{ $uses{$c} // {} } } keys %left)
{
	delete @left{@free};
}
is(join(' ', sort keys %left), '', 'no circle of capabilities');

# One place registers callbacks and sets hooks.
my @registering = grep { slurp_file($_) =~ /\b(Register(Sub)?XactCallback|RegisterResourceReleaseCallback|CacheRegister\w+Callback)\(|\b\w+_hook\s*=[^=]/ } glob 'src/*/*.cpp src/*/*.h';
is("@registering", '', 'only src/people_os_spine.cpp registers callbacks and sets hooks');

# The rules see what breaks them.
is(scalar faults_of('core', "#include <access/xact.h>\n"), 1, 'a header of the server in core is seen');
is(scalar faults_of('server', qq(#include "store/chain.h"\n)), 1, 'the store in server is seen');
is(scalar faults_of('store', qq(#include "access/access.h"\n)), 1, 'a capability in the store is seen');
is(scalar faults_of('verify', qq(#include "capture/key_text.h"\n)), 1, 'the inside of another capability is seen');
is(scalar faults_of('verify', qq(#include "access/access.h"\n#include "store/chain.h"\n#include "verify/verify.h"\n)), 0, 'what is allowed passes');

done_testing;
