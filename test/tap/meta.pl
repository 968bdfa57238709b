# META.json says what version 1.0.0 of the PGXN Meta Spec asks for, and what the project says elsewhere.
use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my %phases = map { $_ => 1 } qw(configure build test runtime develop);
my %relations = map { $_ => 1 } qw(requires recommends suggests conflicts);
my %licenses = map { $_ => 1 } qw(agpl_3 apache_1_1 apache_2_0 artistic_1 artistic_2 bsd freebsd gfdl_1_2 gfdl_1_3 gpl_1 gpl_2 gpl_3
  lgpl_2_1 lgpl_3_0 mit mozilla_1_0 mozilla_1_1 openssl perl_5 postgresql qpl_1_0 ssleay sun zlib open_source restricted unrestricted unknown);
my %optional = map { $_ => 1 } qw(description generated_by no_index prereqs release_status resources tags);

my $version = qr/(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-[0-9A-Za-z-]+)?/;
my $range = qr/(?:(?:[<>]=?|[!=]=)\s*)?(?:$version|0)/;

sub is_text { my ($value) = @_; return defined $value && !ref $value && $value =~ /\S/ }
sub is_term { my ($value) = @_; return is_text($value) && $value =~ m{^[^\s/\\[:cntrl:]]{2,}$} }
sub is_url  { my ($value) = @_; return is_text($value) && $value =~ m{^[a-z][a-z0-9+.-]*://\S+$} }
sub members { my ($value) = @_; return ref $value eq 'HASH' ? %$value : () }
sub list_of { my ($value) = @_; return ref $value eq 'ARRAY' ? @$value : $value }

# What is wrong with a META.json, a line each.
sub faults_of
{
	my ($meta) = @_;
	return 'it is no object' unless ref $meta eq 'HASH';
	my @faults;
	my $expect = sub { my $what = pop; my ($ok) = @_; push @faults, $what unless $ok };  # a match that fails is an empty list

	$expect->(is_term($meta->{name}), 'name is no term');
	$expect->(is_text($meta->{abstract}), 'abstract is no text');
	$expect->(($meta->{version} // '') =~ /^$version$/, 'version is no semantic version');
	$expect->(defined $meta->{maintainer} && !grep({ !is_text($_) } list_of($meta->{maintainer})), 'maintainer names nobody');
	$expect->(ref $meta->{license} eq 'HASH' ? !grep({ !is_url($_) } values %{ $meta->{license} }) && %{ $meta->{license} }
		: defined $meta->{license} && !grep({ !$licenses{$_} } list_of($meta->{license})), 'license is unknown');

	my %provides = members($meta->{provides});
	$expect->(%provides, 'it provides nothing');
	foreach my $name (sort keys %provides)
	{
		my %about = members($provides{$name});
		$expect->(is_term($name), "provides: $name is no term");
		$expect->(is_text($about{file}), "provides: $name has no file");
		$expect->(($about{version} // '') =~ /^$version$/, "provides: the version of $name is no semantic version");
		$expect->(is_text($about{$_}), "provides: the $_ of $name is no text") foreach grep { exists $about{$_} } qw(abstract docfile);
		$expect->(/^(?:file|version|abstract|docfile|x_\w+)$/i, "provides: what is $_ of $name?") foreach keys %about;
	}

	my %spec = members($meta->{'meta-spec'});
	$expect->(($spec{version} // '') eq '1.0.0', 'meta-spec is not of version 1.0.0');
	$expect->(!exists $spec{url} || is_url($spec{url}), 'the url of meta-spec is none');

	my %prereqs = members($meta->{prereqs});
	foreach my $phase (sort keys %prereqs)
	{
		$expect->($phases{$phase}, "prereqs: there is no phase $phase");
		my %of = members($prereqs{$phase});
		foreach my $relation (sort keys %of)
		{
			$expect->($relations{$relation}, "prereqs: there is no relation $relation");
			my %needed = members($of{$relation});
			$expect->($needed{$_} =~ /^$range(?:\s*,\s*$range)*$/, "prereqs: $needed{$_} of $_ is no range of versions") foreach sort keys %needed;
		}
	}
	$expect->(!grep({ !is_text($_) || length > 256 || m{[/\\[:cntrl:]]} } list_of($meta->{tags})), 'a tag is none') if exists $meta->{tags};
	$expect->(($meta->{release_status} // 'stable') =~ /^(?:stable|testing|unstable)$/, 'release_status is none');
	my %known = (%optional, map { $_ => 1 } qw(name abstract version maintainer license provides meta-spec));
	$expect->($known{$_} || /^x_\w+$/i, "what is $_?") foreach sort keys %$meta;
	return @faults;
}

my $json = JSON::PP->new->utf8;
my $text = slurp_file('META.json');
my $meta = $json->decode($text);
is(join("\n", faults_of($meta)), '', 'META.json is what the specification asks for');

# Each rule finds its fault.
my %wrong = (
	'without a name'           => sub { delete $_[0]{name} },
	'a name with a space'      => sub { $_[0]{name} = 'people os' },
	'without an abstract'      => sub { delete $_[0]{abstract} },
	'an empty abstract'        => sub { $_[0]{abstract} = '' },
	'a version of two numbers' => sub { $_[0]{version} = '1.0' },
	'a leading zero'           => sub { $_[0]{version} = '1.00.0' },
	'without a maintainer'     => sub { delete $_[0]{maintainer} },
	'an unknown license'       => sub { $_[0]{license} = 'ours' },
	'without a license'        => sub { delete $_[0]{license} },
	'a license that is no URL' => sub { $_[0]{license} = { ours => 'LICENSE' } },
	'without provides'         => sub { delete $_[0]{provides} },
	'provides without a file'  => sub { delete $_[0]{provides}{people_os_spine}{file} },
	'provides of no version'   => sub { $_[0]{provides}{people_os_spine}{version} = '1' },
	'without meta-spec'        => sub { delete $_[0]{'meta-spec'} },
	'another meta-spec'        => sub { $_[0]{'meta-spec'}{version} = '2.0.0' },
	'a phase that is none'     => sub { $_[0]{prereqs}{run} = {} },
	'a relation that is none'  => sub { $_[0]{prereqs}{runtime}{needs} = {} },
	'a range that is none'     => sub { $_[0]{prereqs}{runtime}{requires}{PostgreSQL} = '15 or so' },
	'a tag with a slash'       => sub { $_[0]{tags} = ['a/b'] },
	'a member of our own'      => sub { $_[0]{founders} = 1 });
foreach my $what (sort keys %wrong)
{
	my $copy = $json->decode($text);
	$wrong{$what}->($copy);
	is(scalar(my @faults = faults_of($copy)), 1, "$what: one fault");
}

# The version stands in several files.
my ($default) = slurp_file('people_os_spine.control') =~ /^default_version = '(.*)'/m;
my $provided = $meta->{provides}{people_os_spine};
like($meta->{version}, qr/^\Q$default\E\./, 'the distribution is a version of the extension');
is($provided->{version}, $meta->{version}, 'what it provides has the same');
is($provided->{file}, "people_os_spine--$default.sql", 'its file is the install script');
ok(-e $provided->{$_}, "$provided->{$_} is there") foreach qw(file docfile);
my ($package) = slurp_file('debian/changelog') =~ /^people-os-spine \((.*?)\)/;
is($package, $meta->{version}, "Debian's packages have it");
is($json->decode(slurp_file('console/package.json'))->{version}, $meta->{version}, 'and the console');

done_testing();
