# The pages say what is so: what a page shows is run, and what the reference lists is what the extension has.
#
# A page (README.md, docs/*.md, examples/*/README.md) has a database "payroll" of its own. Its fenced blocks run in order in one
# psql session, by the first word behind the fence:
#
#   sql       psql's input. A ```text block right behind it is what it prints, errors among it; without one it raises no error
#   signature is a function's, as the install script has it (docs/reference.md)
#   sh        a script for sh, where PGHOST, PGPORT and PGDATABASE name the server; ```text as for sql
#   python js go java  quoted: each line stands in the files of that language's example, whose tests run it
#   mermaid   a picture
#
# "norun: why" behind the word keeps a block from being run. A comment <!-- runs: is SQL that runs and that readers do not see.
# `SELECT …` within a line runs and raises no error. Prose has short lines, and its links lead somewhere.
#
# What differs from run to run is made equal on both sides: see `told`.
use strict;
use warnings;

use lib 'test/tap';
use Spine;

use Encode ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use constant COLUMNS => 120;

# What an output says, without what is another each time: UUIDs of version 7, hashes (also the first digits of one, before an
# ellipsis), points of time, spans of time, transaction ids, the widths of columns, and the number of rows where there are some.
sub told
{
	my ($text) = @_;
	$text =~ s/\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b/(uuid)/g;
	$text =~ s/\b(?:\\x)?[0-9a-f]{64}\b|\\x[0-9a-f]{64}\b|\b[0-9a-f]{8,}…/(hash)/g;
	$text =~ s/\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:[+-]\d\d(?::\d\d)?|Z)?/(time)/g;
	$text =~ s/\b\d{4}-\d\d-\d\d\b/(day)/g;
	$text =~ s/\b\d\d:\d\d:\d\d(?:\.\d+)?\b/(span)/g;
	$text =~ s/("transaction_?id": ?)"\d+"/$1"(xid)"/g;
	$text =~ s/--+/-/g;
	return join "\n", grep { $_ ne q() && !/^\([1-9]\d* rows?\)$/ } map { s/[ \t]+/ /gr =~ s/^ | $//gr } split /\n/, $text;
}

# The blocks of a page, in order: { kind, more (behind the kind), line, text, and of its output prints (a text) and at (a line) }.
sub blocks_of
{
	my ($page) = @_;
	my (@blocks, $open, $close);
	my ($line, $adjacent) = (0, 0);
	foreach (split /\n/, slurp_file($page))
	{
		$line++;
		if ($open)
		{
			if ($_ !~ $close) { $open->{text} .= "$_\n"; next }
			my $output = $open->{kind} eq 'text' && $open->{more} eq '' && $adjacent && $blocks[-1]{kind} =~ /^(sql|sh)$/;
			if ($output) { @{ $blocks[-1] }{qw(prints at)} = @$open{qw(text line)} }
			else { push @blocks, $open }
			($open, $adjacent) = (undef, !$output);
		}
		elsif (/^```(\w+) *(.*)$/)
		{
			($open, $close) = ({ kind => $1, more => $2, line => $line, text => '' }, qr/^```$/);
		}
		elsif (/^<!-- runs:$/)
		{
			($open, $close) = ({ kind => 'hidden', more => '', line => $line, text => '' }, qr/^-->$/);
		}
		elsif (/^\s*```/) { die "$page:$line: a block without a kind, or in a list" }
		elsif ($_ ne '')
		{
			$adjacent = 0;
			push @blocks, map { { kind => 'inline', more => '', line => $line, text => "$_;\n" } } /`(SELECT [^`]*?);?`/g;
		}
	}
	die "$page: a block has no end" if $open;
	return @blocks;
}

my @pages = ('README.md', sort glob('docs/*.md'), sort glob 'examples/*/README.md');
cmp_ok(scalar @pages, '>', 8, 'pages are found');

sub anchors_of
{
	my ($page) = @_;
	my $text = slurp_file($page) =~ s/^```.*?^```$//smgr;
	my @anchors = map { lc =~ s/[^\w\- ]//gr =~ s/ /-/gr } $text =~ /^#+ +(.+)$/mg;
	return map { $_ => 1 } @anchors;
}

# What can be seen of a page without a server.
sub reads_well
{
	my ($page) = @_;
	my ($folder) = $page =~ m{^(.*/)} ? $1 : '';
	my $prose = slurp_file($page) =~ s/^\s*```.*?^\s*```$//smgr =~ s/<!--.*?-->//sgr;
	my @links = $prose =~ /\]\(([^)\s]+)\)/g;
	my @dead;
	foreach my $link (grep { !/^https?:/ } @links)
	{
		my ($file, $anchor) = split /#/, $link;
		my $to = $file eq '' ? $page : $folder . $file;
		1 while $to =~ s{[^/]+/\.\./}{};
		if (!-e $to) { push @dead, $link }
		elsif (defined $anchor) { my %there = anchors_of($to); push @dead, $link unless $there{$anchor} }
	}
	is("@dead", '', "$page: links lead somewhere");
	my @long = grep { !/^\|/ && length(Encode::decode('UTF-8', $_)) >= COLUMNS } split /\n/, $prose;
	is(join("\n", @long), '', "$page: lines are short");
	return;
}

# The lines that a quoted block may have.
sub quoted_from
{
	my ($kind) = @_;
	my %files = (python => 'python/*.py', js => 'node/*.mjs', go => 'go/*.go', java => 'java/*.java');
	my @files = glob "examples/$files{$kind}";
	return map { my $line = $_; $line =~ s/^\s+|\s+$//g; $line => 1 } map { split /\n/, slurp_file($_) } @files;
}

# Pages show the superuser's name.
$ENV{PGUSER} = 'postgres';
my $node = PostgreSQL::Test::Cluster->new('docs');
$node->init(extra => [ '-E', 'UTF8', '--locale=C.UTF-8', '-U', 'postgres' ]);
$node->append_conf('postgresql.conf', "autovacuum = off\nfsync = on\ntimezone = 'UTC'\nwal_level = logical\nmax_prepared_transactions = 2");
$node->start;

my $install = join '', map { slurp_file($_) } glob 'people_os_spine--*.sql';
my %signature;
while ($install =~ /^CREATE FUNCTION (spine\.\w+\(.*?)\n? +LANGUAGE/smg)
{
	my $signature = $1 =~ s/^ *--.*$//mgr =~ s/\s+/ /gr =~ s/\( /(/gr =~ s/ \)/)/gr =~ s/"//gr;
	$signature =~ s/ $//;
	$signature{$signature} = 1;
}

my (%checked, %ran);
foreach my $page (@pages)
{
	reads_well($page);
	my @blocks = blocks_of($page);
	my (@run, @failed);
	foreach my $b (@blocks)
	{
		my ($kind, $at) = ($b->{kind}, "$page:$b->{line}");
		if ($b->{more} =~ /^norun: \S/) { next }
		elsif ($b->{more} ne '') { push @failed, "$at: what is '$b->{more}'?" }
		elsif ($kind =~ /^(sql|sh|hidden|inline)$/) { push @run, $b }
		elsif ($kind =~ /^(python|js|go|java)$/)
		{
			my %there = quoted_from($kind);
			push @failed, "$at: not quoted: $_" foreach grep { $_ ne '' && !$there{$_} } map { s/^\s+|\s+$//gr } split /\n/, $b->{text};
		}
		elsif ($kind eq 'signature')
		{
			my $given = $b->{text} =~ s/\s+/ /gr =~ s/\( /(/gr =~ s/ \)/)/gr =~ s/"//gr =~ s/ $//r;
			push @failed, "$at: no such function: $given" unless $signature{$given};
			$checked{$given} = 1;
		}
		elsif ($kind ne 'mermaid') { push @failed, "$at: a block of kind $kind, and not what a block prints" }
	}

	$node->safe_psql('postgres', 'CREATE DATABASE payroll');
	my $has = grep { $_->{text} =~ /CREATE EXTENSION people_os_spine;/ } grep { $_->{kind} ne 'sh' } @run[0 .. ($#run < 1 ? $#run : 1)];
	$node->safe_psql('payroll', 'CREATE EXTENSION people_os_spine') unless $has;
	$node->safe_psql('payroll', q{ALTER DATABASE payroll SET people_os_spine.environment = 'prod'}) unless $has;

	my $folder = PostgreSQL::Test::Utils::tempdir();
	my $input  = '';
	foreach my $i (0 .. $#run)
	{
		my $text = $run[$i]{text};
		if ($run[$i]{kind} eq 'sh')
		{
			put_file("$folder/$i.sh", $text);
			$text = "\\! cd $folder && sh $i.sh 2>&1 || echo ERROR: sh fails\n";
		}
		$input .= "\\echo (begin $i)\n$text\\echo (end $i)\n";
	}
	put_file("$folder/page", $input);
	local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, PGDATABASE => 'payroll', PGCLIENTENCODING => 'UTF8');
	my $out = `psql -X -q <"$folder/page" 2>&1`;

	foreach my $i (0 .. $#run)
	{
		my ($b, $at) = ($run[$i], "$page:$run[$i]{line}");
		my ($printed) = $out =~ /^\(begin $i\)\n(.*?)^\(end $i\)$/ms;
		if (!defined $printed) { push @failed, "$at: has no end: $out"; last }
		if (defined $b->{prints})
		{
			next if told($printed) eq told($b->{prints});
			push @failed, "$at prints\n$printed";
			$b->{printed} = $printed;
		}
		elsif ($printed =~ /^(ERROR|FATAL|PANIC|psql:|invalid command)/m) { push @failed, "$at fails:\n$printed" }
	}
	is(join("\n", @failed), '', "$page: its blocks do what they say");
	$ran{$page} = grep { $_->{kind} =~ /^(sql|sh)$/ } @run;

	write_anew($page, grep { defined $_->{printed} } @run) if $ENV{PAGES};
	if ($page eq 'docs/reference.md') { is_the_reference() }
	$node->safe_psql('postgres', 'DROP DATABASE payroll WITH (FORCE)');
	my @roles = split /\n/, $node->safe_psql('postgres', q{SELECT quote_ident(rolname) FROM pg_roles WHERE rolname !~ '^pg_' AND oid <> 10});
	$node->safe_psql('postgres', join ';', map { "DROP ROLE $_" } @roles) if @roles;
}

# For script/docs: the page with what these blocks print now, in the folder that PAGES names.
sub write_anew
{
	my ($page, @blocks) = @_;
	return unless @blocks;
	my @lines = split /\n/, slurp_file($page);
	foreach my $b (reverse @blocks)
	{
		my @printed = grep { $_ ne '' && !/^\([1-9]\d* rows?\)$/ } map { s/\s+$//r } split /\n/, $b->{printed};
		splice @lines, $b->{at}, scalar(split /\n/, $b->{prints}), @printed;
	}
	my $to = "$ENV{PAGES}/$page";
	system_or_bail('mkdir', '-p', $to =~ s{/[^/]*$}{}r);
	put_file($to, join('', map { "$_\n" } @lines));
	return;
}

# What a list tells that is not there, or twice, and what is there that it does not tell.
sub differences
{
	my ($told, $there) = @_;
	my (%told, %there);
	$told{$_}++ foreach @$told;
	$there{$_} = 1 foreach @$there;
	return join "\n", (map { "+ $_" } grep { !$there{$_} || $told{$_} > 1 } sort keys %told), map { "- $_" } grep { !$told{$_} } sort keys %there;
}

# Every function, table, view, sequence, type and setting stands in the reference, once: as a heading ### spine.name, or at the
# beginning of a row of a table. Nothing else does. Columns of a table or view stand in the table under its heading.
sub is_the_reference
{
	my $text = slurp_file('docs/reference.md') =~ s/^```.*?^```$//smgr;
	my @told = $text =~ /^### `?((?:spine|people_os_spine)\.\w+)`?$/mg;
	push @told, $text =~ /^\| `((?:spine|people_os_spine)\.\w+)` \|/mg;
	my $are = $node->safe_psql('payroll', <<'SQL');
LOAD 'people_os_spine';
SELECT 'spine.' || coalesce(proname, relname, CASE WHEN typtype = 'e' THEN typname END)
  FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
  LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
  LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid AND relkind IN ('r', 'p', 'v', 'S', 'm') AND NOT relispartition
  LEFT JOIN pg_type t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid
 WHERE d.deptype = 'e' AND extname = 'people_os_spine'
   AND coalesce(proname, relname, CASE WHEN typtype = 'e' THEN typname END) IS NOT NULL
UNION ALL SELECT name FROM pg_settings WHERE name LIKE 'people\_os\_spine.%'
SQL
	is(differences(\@told, [ split /\n/, $are ]), '', 'the reference lists what there is, each once');
	is(join("\n", grep { !$checked{$_} } grep { !/RETURNS (trigger|event_trigger|internal)$/ } sort keys %signature), '',
		'and the signature of each function that people call');

	my @columns;
	while ($text =~ /^### `?(spine\.\w+)`?\n(.*?)(?=^##|\z)/msg)
	{
		my ($relation, $about) = ($1, $2);
		next unless $about =~ /^\| column \|.*\n\|[-| ]+\n((?:\|.*\n)+)/m;
		push @columns, map { "$relation.$_" } map { /^\| ([^|]+) \|/ ? $1 =~ /`(\w+)`/g : () } split /\n/, $1;
	}
	my $there = $node->safe_psql('payroll', <<'SQL');
SELECT format('spine.%s.%s', relname, attname)
  FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
  JOIN pg_attribute ON attrelid = c.oid
 WHERE relkind IN ('r', 'p', 'v') AND NOT relispartition AND attnum > 0 AND NOT attisdropped
SQL
	is(differences(\@columns, [ split /\n/, $there ]), '', 'and all columns of tables and views');
	return;
}

cmp_ok($ran{'README.md'}, '>', 5, 'blocks of the README ran');
cmp_ok($ran{'docs/reference.md'} // 0, '>', 30, 'and of the reference');

# What would be a difference is one.
my $said = " event | hash\n-------+-----------\n     1 | 0a1b2c3d…\n(1 row)\n";
is(told($said), told(" event |   hash\n------+-----\n  1 | ffffffff0…\n(1 row)\n"), 'hashes and widths make no difference');
isnt(told($said), told($said =~ s/ 1 \|/ 2 |/r), 'a value does');
isnt(told("2026-01-19 09:30:00+00\n"), told("\n"), 'and whether there is a time');
isnt(told("ERROR:  a\n"), told("ERROR:  b\n"), 'and an error');

done_testing;
