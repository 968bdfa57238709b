# What the TAP tests share: a cluster with the extension in it, and a second opinion on every chain.
#
# The model below is written from the contract and shares no code with the extension: it reads the rows,
# builds each document, hashes it with Perl's SHA-256 and applies the link rule. Only a payload's canonical
# form is taken from spine.canonical_json, which the vectors cover.
package Spine;

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use Exporter 'import';
use File::Path qw(make_path);
use JSON::PP qw(decode_json);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT = qw(spine_node clock_node set_clock spine_database org emit_chain run_sql sqlstate is_refused is_allowed
  rows_of model_faults faults_of summaries_of summaries_from agrees_with_model digest_of alive
  begin_query finish_query tamper readers read_everything put_file copy_of_server build_preload postmaster_of children_of kill_server ZERO_HASH GUARDS_OFF GUARDS_ON TRIGGERS_ON UNGUARD);

use constant ZERO_HASH => '0' x 64;
# A superuser who alters catalogs: the guard does not know the extension again. The triggers stay.
use constant GUARDS_OFF => q{SET people_os_spine.environment = 'test'; SET people_os_spine.unguard = 'a test takes the guard off';
	UPDATE pg_extension SET extname = 'hidden' WHERE extname = 'people_os_spine'; RESET people_os_spine.unguard; RESET people_os_spine.environment;
	-- What was recorded of that, where the library was loaded, goes too.
	DO $$ BEGIN
	  IF EXISTS (SELECT FROM spine.events WHERE payload ->> 'reason' = 'a test takes the guard off') THEN
	    ALTER TABLE spine.events DISABLE TRIGGER ALL;
	    DELETE FROM spine.events WHERE payload ->> 'reason' = 'a test takes the guard off';
	    ALTER TABLE spine.events ENABLE ALWAYS TRIGGER refuse_change, ENABLE ALWAYS TRIGGER refuse_row_change, ENABLE ALWAYS TRIGGER zz_chain_event;
	  END IF;
	END $$;};
use constant GUARDS_ON => q{DO $$ BEGIN
	  IF EXISTS (SELECT FROM pg_extension WHERE extname = 'hidden') THEN UPDATE pg_extension SET extname = 'people_os_spine' WHERE extname = 'hidden'; END IF;
	END $$;
	};
use constant TRIGGERS_ON => 'ALTER TABLE spine.events ENABLE ALWAYS TRIGGER zz_chain_event, ENABLE ALWAYS TRIGGER refuse_change, ENABLE ALWAYS TRIGGER refuse_row_change; ALTER TABLE spine.events_default ENABLE ALWAYS TRIGGER refuse_change;' . "\n";
# An administrator's way.
use constant UNGUARD => q{SET people_os_spine.environment = 'test'; SET people_os_spine.unguard = 'a test';};

# A started cluster whose database postgres has the extension.
sub spine_node
{
	my ($name, %init) = @_;
	my $conf = delete $init{conf} // '';
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(extra => [ '-E', 'UTF8', '--locale=C.UTF-8' ], %init);
	$node->append_conf('postgresql.conf', "autovacuum = off\n$conf");
	$node->start;
	spine_database($node, 'postgres');
	return $node;
}

my $clock;

# The same, with a clock that set_clock sets, from the start so many seconds off.
sub clock_node
{
	my ($name, $seconds, %init) = @_;
	$clock = PostgreSQL::Test::Utils::tempdir() . '/clock';
	set_clock($seconds);
	local $ENV{LD_PRELOAD} = build_preload('test/fault/clock.c');
	local $ENV{SPINE_CLOCK} = $clock;
	return spine_node($name, %init);
}

# Seconds by which the clock is off from now on.
sub set_clock
{
	my ($seconds) = @_;
	put_file("$clock.new", int $seconds);
	rename "$clock.new", $clock or die $!;
	return;
}

# Puts the extension into a database, and says which environment that is.
sub spine_database
{
	my ($node, $db) = @_;
	$node->safe_psql($db,
		"CREATE EXTENSION people_os_spine; ALTER DATABASE $db SET people_os_spine.environment = 'test'");
	return;
}

# The uuid of the tests' organization number $n.
sub org
{
	my ($n) = @_;
	return sprintf '00000000-0000-4000-8000-%012d', $n;
}

# Emits events 1 .. $count of each of these organizations, interleaved.
sub emit_chain
{
	my ($node, $count, @orgs) = @_;
	my $list = join ',', map { "'$_'" } @orgs;
	$node->safe_psql('postgres', <<SQL);
SELECT count(spine.emit_event('hcm.employee.created', entity_id => '00000000-0000-4000-8000-0000000000e1',
         actor_id => '00000000-0000-4000-8000-0000000000a1', organization_id => o, payload => jsonb_build_object('n', n)))
  FROM generate_series(1, $count) n, unnest(ARRAY[$list]::uuid[]) o
SQL
	return;
}

# Runs SQL with no guard and no trigger of spine.events in its way; they are there again afterwards.
sub tamper
{
	my ($node, $db, $sql) = @_;
	$node->safe_psql($db, GUARDS_OFF . "ALTER TABLE spine.events DISABLE TRIGGER ALL; $sql; " . TRIGGERS_ON . GUARDS_ON);
	return;
}

# The functions and views that read stored events, each as a statement about organization $1 and entity $2 that looks at
# each byte that it gets; those that change nothing, so that they can be called again.
sub readers
{
	return (
		read_events         => 'SELECT count(md5(e::text)) FROM spine.read_events($1) e',
		replay              => q(SELECT spine.replay('public.handle(spine.events)', $1)),
		entity_history      => q(SELECT count(md5(e::text)) FROM spine.entity_history('employee', $2) e),
		entity_as_of        => q(SELECT spine.entity_as_of('employee', $2, 'infinity')),
		to_cloudevent       => 'SELECT count(md5(spine.to_cloudevent(e)::text)) FROM spine.read_events($1) e',
		canonical_event     => 'SELECT count(spine.canonical_event(e)) FROM spine.read_events($1) e',
		event_digest        => 'SELECT count(spine.event_digest(e)) FROM spine.read_events($1) e',
		next_batch          => q(SELECT count(md5(e::text)) FROM spine.next_batch('of ' || $1) e),
		next_batch_filtered => q(SELECT count(md5(e::text)) FROM spine.next_batch('filtered ' || $1) e),
		read_subscriptions  => 'SELECT count(*) FROM spine.read_subscriptions()',
		read_chain_heads    => 'SELECT count(md5(h::text)) FROM spine.read_chain_heads() h',
		verify_chain        => 'SELECT count(md5(v::text)) FROM spine.verify_chain($1) v',
		find_chain_faults   => 'SELECT count(md5(f::text)) FROM spine.find_chain_faults($1) f',
		record_verification => 'SELECT count(md5(v::text)) FROM spine.record_verification($1) v',
		chain_status        => 'SELECT count(md5(s::text)) FROM spine.chain_status s WHERE organization_id = $1',
		from_now            => q(SELECT spine.create_subscription('now ' || $1, ARRAY[$1], from_now => true)),
		emit_event          => q(SELECT spine.emit_event('hcm.employee.updated', entity_id => $2, actor_id => $2, organization_id => $1)),
		required            => 'INSERT INTO public.required (id, organization) VALUES ($2, $1)');
}

# A function public.read_everything(organizations, entities) that calls each reader for each organization and its entity,
# undoes what it did, and returns reader, organization and the SQLSTATE, '' where
# all went well; but those without, which it leaves out.
sub read_everything
{
	my ($node, @without) = @_;
	my %readers = readers();
	delete @readers{@without};
	my $calls = join ",\n", map { my $sql = $readers{$_}; "('$_', \$x\$$sql\$x\$)" } sort keys %readers;
	$node->safe_psql('postgres', <<"SQL");
CREATE FUNCTION public.handle(e spine.events) RETURNS void LANGUAGE plpgsql AS \$f\$ BEGIN PERFORM md5(e::text), spine.event_digest(e); END \$f\$;
CREATE TABLE public.required (id uuid, organization uuid);
SELECT spine.require_events('public.required', 'id', 'organization');
CREATE FUNCTION public.read_everything(organizations uuid[], entities uuid[]) RETURNS TABLE (reader text, organization uuid, state text) LANGUAGE plpgsql AS \$f\$
DECLARE statement text;
BEGIN
  FOR organization, reader, statement IN SELECT o, name, sql FROM unnest(organizations) o, (VALUES $calls) r(name, sql) LOOP
    state := '';
    BEGIN
      PERFORM spine.create_subscription('of ' || organization, ARRAY[organization]);
      PERFORM spine.create_subscription('filtered ' || organization, ARRAY[organization], domains => '{hcm}', event_types => '{hcm.employee.created}',
                entity_types => '{employee}', actors => ARRAY[entities[array_position(organizations, organization)]], minimum_severity => 'low');
      EXECUTE statement USING organization, entities[array_position(organizations, organization)];
      SET CONSTRAINTS ALL IMMEDIATE;
      RAISE SQLSTATE 'UNDOX';
    EXCEPTION WHEN OTHERS THEN
      state := nullif(SQLSTATE, 'UNDOX');
      IF state NOT LIKE 'SP%' THEN RAISE NOTICE '%: %: %', reader, organization, SQLERRM; END IF;
    END;
    state := coalesce(state, '');
    RETURN NEXT;
  END LOOP;
END \$f\$;
SQL
	return;
}

sub put_file
{
	my ($path, $bytes) = @_;
	open my $f, '>:raw', $path or die "$path: $!";
	print $f $bytes;
	close $f or die "$path: $!";
	return;
}

# The installation once more, for tests that change it: folders by the names that pg_config has for them. Programs are
# copies, for the server looks for its files from where its own lies; all else are links, in folders that can be written.
sub copy_of_server
{
	my $own  = PostgreSQL::Test::Utils::tempdir();
	my %path = map { my $folder = `pg_config --$_`; chomp $folder; $_ => $folder } qw(bindir sharedir pkglibdir);
	my $common = $path{bindir};
	$common =~ s{/[^/]*$}{} while grep { index("$_/", "$common/") != 0 } values %path;
	my %copy = map { $_ => $own . substr $path{$_}, length $common } keys %path;
	make_path($copy{bindir}, "$copy{sharedir}/extension", $copy{pkglibdir});
	system_or_bail('cp', glob("$path{bindir}/*"), $copy{bindir});
	foreach my $folder ('pkglibdir', 'sharedir')
	{
		foreach my $file (grep { !m{/extension$} } glob("$path{$folder}/*"), glob("$path{$folder}/extension/*"))
		{
			symlink $file, $copy{$folder} . substr $file, length $path{$folder} or die "linking $file: $!";
		}
	}
	return %copy;
}

# Compiles a library that is to be preloaded into a server; its path.
sub build_preload
{
	my ($source) = @_;
	my $library = PostgreSQL::Test::Utils::tempdir() . '/preload.so';
	system_or_bail('cc', '-O2', '-Wall', '-shared', '-fPIC', '-o', $library, $source, '-ldl');
	return $library;
}

# The process of a node that runs.
sub postmaster_of
{
	my ($node) = @_;
	my ($pid) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
	return $pid;
}

# [process, its parent, its state] of all.
sub processes
{
	my @found;
	foreach my $file (glob '/proc/[0-9]*/stat')
	{
		open my $in, '<', $file or next;
		my $line = <$in> // next;
		push @found, [ $1, $3, $2 ] if $line =~ /^(\d+) \(.*\) (\S) (\d+)/;
	}
	return @found;
}

sub children_of
{
	my ($parent) = @_;
	return map { $_->[0] } grep { $_->[1] == $parent } processes();
}

# Kills a server with all of its processes at once, or the postmaster (default: the node's) alone, whose children then end
# by themselves. A zombie is as dead as the others, though its lock files would still count.
sub kill_server
{
	my ($node, %arg) = @_;
	my $postmaster = $arg{postmaster} // postmaster_of($node);
	kill 'STOP', $postmaster;    # so that it starts nobody whom we do not see
	my @children = children_of($postmaster);
	kill 'KILL', $postmaster, $arg{spare_children} ? () : @children;
	waitpid $postmaster, 0;      # where it is ours
	my %ours  = map { $_ => 1 } $postmaster, @children;
	my $until = time + 120;
	while (grep { $ours{ $_->[0] } && $_->[2] ne 'Z' } processes())
	{
		die 'a process does not end' if time > $until;
		usleep(5_000);
	}
	unlink $node->data_dir . '/postmaster.pid', $node->host . '/.s.PGSQL.' . $node->port . '.lock';
	$node->{_pid} = undef;
	return;
}

# Runs SQL as a role (default: the superuser); answers SQLSTATE ('' where all went well), output and messages.
sub run_sql
{
	my ($node, $db, $sql, %opt) = @_;
	my $connstr = $node->connstr($db);
	$connstr .= " user=$opt{role}" if defined $opt{role};
	my ($rc, $out, $err) = $node->psql($db, $sql, connstr => $connstr,
		extra_params => [ '-v', 'VERBOSITY=verbose', @{ $opt{params} // [] } ]);
	my ($state) = $err =~ /(?:ERROR|FATAL):  ([0-9A-Z]{5}):/;
	$state //= $rc == 0 ? '' : "psql $rc";
	return ($state, $out, $err);
}

sub sqlstate
{
	my ($state) = run_sql(@_);
	return $state;
}

sub is_refused
{
	my ($node, $db, $sql, $expected, $name, %opt) = @_;
	my ($state, undef, $err) = run_sql($node, $db, $sql, %opt);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $ok = is($state, $expected, "$name: $expected");
	diag("$sql\n$err") unless $ok;
	if ($ok && $opt{hint}) { like($err, qr/^HINT:  .*$opt{hint}/m, "$name: the hint") }
	return $ok;
}

sub is_allowed
{
	my ($node, $db, $sql, $name, %opt) = @_;
	my ($state, $out, $err) = run_sql($node, $db, $sql, %opt);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($state, '', $name) or diag("$sql\n$err");
	return $out;
}

my @columns = qw(id event_type domain entity_type entity_id action actor_id actor_type organization_id environment
  timestamp severity payload sequence transaction_id recorded_by previous_hash event_hash payload_salt payload_hash
  personal personal_salt personal_hash occurred_at correlation_id causation_id);

# SHA-256 of the document of a row as rows_of gives it, in hex.
sub digest_of
{
	my %row = %{ $_[0] };
	foreach my $part (qw(payload personal))
	{
		my ($content, $salt) = delete @row{ $part, "${part}_salt" };
		$row{"${part}_hash"} = sha256_hex(pack('H*', $salt // '') . $content) if defined $content;
	}
	delete @row{ 'event_hash', 'ctid' };
	my @members = map { $_ eq 'sequence' ? qq("$_":$row{$_}) : qq("$_":"$row{$_}") } grep { defined $row{$_} } sort keys %row;
	return sha256_hex('{' . join(',', @members) . '}');
}

# The rows of spine.events, columns as text in the form that is hashed; NULL is undef.
sub rows_of
{
	my ($node, $where, $db) = @_;
	$where //= 'true';
	my $out = '';
	my $err = '';
	my $rc = $node->psql($db // 'postgres', <<SQL, stdout => \$out, stderr => \$err, extra_params => [ '-F', "\x1f", '-P', 'null=\\N' ]);
SELECT id, event_type, domain, entity_type, entity_id, action, actor_id, actor_type, organization_id, environment,
       to_char("timestamp" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), severity, spine.canonical_json(payload),
       sequence, transaction_id, recorded_by, encode(previous_hash, 'hex'), encode(event_hash, 'hex'), encode(payload_salt, 'hex'),
       encode(payload_hash, 'hex'), spine.canonical_json(personal), encode(personal_salt, 'hex'), encode(personal_hash, 'hex'),
       to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), correlation_id, causation_id, ctid
  FROM spine.events WHERE $where
SQL
	die "reading the events: $err" unless $rc == 0;
	my @rows;
	foreach my $line (split /\n/, $out)
	{
		my %row;
		@row{ @columns, 'ctid' } = map { $_ eq '\\N' ? undef : $_ } split /\x1f/, $line, -1;
		push @rows, \%row;
	}
	return \@rows;
}

my %kind_order = (
	content_altered  => 0, link_broken    => 1, event_missing => 2,
	event_duplicated => 3, order_violated => 4, malformed     => 5, unreadable => 6,
	part_missing     => 7);

# Sends a query through a background psql and does not wait for its end, which finish_query does. A query that ends at
# once may bring its end along with the beginning: what came behind the beginning is kept.
my %begun;

sub begin_query
{
	my ($session, $query) = @_;
	my $out = $session->query_until(qr/^begun$/m, "\\echo begun\n$query;\n\\echo ended\n");
	$begun{$session} = $out =~ s/.*^begun\n//smr;
	return;
}

# What the query put out, and what it said on stderr.
sub finish_query
{
	my ($session) = @_;
	my $out = delete $begun{$session};
	$out .= $session->query_until(qr/^ended$/m, '') unless $out =~ /^ended$/m;
	$session->query('');    # brings what was written to stderr
	my $err = $session->{stderr};
	$session->{stderr} = '';
	$out =~ s/^ended$//m;
	$out =~ s/^\s+|\s+$//g;
	return ($out, $err);
}

# What must be reported of these rows: [organization, sequence, event_id, fault, expected, found], '-' for NULL.
# What the events platform.personal.erased of these rows say was erased before them.
sub erased_parts_of
{
	my ($rows) = @_;
	my %said;
	foreach my $r (@$rows)
	{
		next if ($r->{event_type} // '') ne 'platform.personal.erased' || grep { !defined $r->{$_} } qw(organization_id sequence payload);
		my $erased = decode_json($r->{payload})->{erased};
		foreach my $part (qw(payload personal))
		{
			$said{"$r->{organization_id} $_->{sequence} $_->{id} $part"} = 1
			  foreach grep { $_->{sequence} < $r->{sequence} } @{ $erased->{$part} // [] };
		}
	}
	return \%said;
}

sub model_faults
{
	my ($rows, %arg) = @_;
	my $from = $arg{from} // 1;
	my $to   = $arg{to}   // 9223372036854775807;
	my (@faults, %chain, %beyond);
	my $said = erased_parts_of($rows);
	foreach my $r (@$rows)
	{
		my ($o, $s) = @$r{qw(organization_id sequence)};
		next if defined $arg{org} && defined $o && $o ne $arg{org};
		if (!defined $o || !defined $s)
		{
			push @faults, [ '-', '-', $r->{id} // '-', 'malformed', '-', '-' ];
			next;
		}
		if ($s > $to) { $beyond{$o} = 1; next }
		next if $from > 1 && $s < $from - 1;
		if ($from == 1 || $s >= $from)
		{
			my $digest = digest_of($r);
			push @faults, [ $o, $s, $r->{id} // '-', 'content_altered', $digest, $r->{event_hash} // '-' ]
			  if ($r->{event_hash} // '') ne $digest;
			my $joined = join '.', map { $_ // '' } @$r{qw(domain entity_type action)};
			push @faults, [ $o, $s, $r->{id} // '-', 'malformed', '-', '-' ] if $joined ne ($r->{event_type} // '');
			foreach my $part (defined $r->{id} ? qw(payload personal) : ())
			{
				next if defined $r->{$part} || !defined $r->{"${part}_hash"} || $said->{"$o $s $r->{id} $part"};
				push @faults, [ $o, $s, $r->{id}, 'part_missing', '-', '-' ];
			}
		}
		next if grep { !defined $r->{$_} } qw(id timestamp previous_hash event_hash);
		push @{ $chain{$o} }, $r;
	}
	foreach my $o (keys %{ { %chain, %beyond } })
	{
		my $start = $from > 1 ? $from - 1 : 1;
		my $next  = $start;
		my (@before, @group);
		my $at = undef;
		foreach my $r (sort { $a->{sequence} <=> $b->{sequence} || $a->{id} cmp $b->{id} } @{ $chain{$o} // [] })
		{
			my ($s, $id) = @$r{qw(sequence id)};
			if ($s < 1) { push @faults, [ $o, $s, $id, 'malformed', '-', '-' ]; next }
			if (defined $at && $s == $at)
			{
				push @faults, [ $o, $s, $id, 'event_duplicated', '-', '-' ] if $s >= $from;
			}
			else
			{
				if ($s > $next)
				{
					push @faults, [ $o, $next, '-', 'event_missing', $r->{previous_hash}, '-' ];
					@before = ();
				}
				else { @before = @group }
				@group = ();
				$at    = $s;
			}
			push @group, $r;
			$next = $s + 1;
			next if $s < $from;
			if ($s == 1)
			{
				push @faults, [ $o, $s, $id, 'link_broken', ZERO_HASH, $r->{previous_hash} ]
				  if $r->{previous_hash} ne ZERO_HASH;
				next;
			}
			next unless @before;
			push @faults, [ $o, $s, $id, 'link_broken', $before[0]{event_hash}, $r->{previous_hash} ]
			  unless grep { $_->{event_hash} eq $r->{previous_hash} } @before;
			my ($earliest) = sort map { $_->{timestamp} } @before;
			push @faults, [ $o, $s, $id, 'order_violated', '-', '-' ] if $r->{timestamp} lt $earliest;
		}
		push @faults, [ $o, $next, '-', 'event_missing', '-', '-' ] if $beyond{$o} && $next <= $to;
	}
	# The rows that cannot say whose they are come last.
	my $place = sub { $_[0][0] eq '-' ? 'g' : $_[0][0] };
	return [
		sort {
			     $place->($a) cmp $place->($b)
			  || ($a->[1] eq '-' ? 0 : $a->[1] <=> $b->[1])
			  || $kind_order{ $a->[3] } <=> $kind_order{ $b->[3] }
			  || $a->[2] cmp $b->[2]
		} @faults ];
}

sub arguments
{
	my (%arg) = @_;
	return join ', ', map { defined $_ ? "'$_'" : 'NULL' } @arg{qw(org from to thorough)};
}

# find_chain_faults as lists of [organization, sequence, event_id, fault, expected, found, detail], in its order.
sub faults_of
{
	my ($node, %arg) = @_;
	my $settings = $arg{settings} // '';
	my $out = $node->safe_psql($arg{db} // 'postgres', $settings . <<"SQL");
SELECT coalesce(organization_id::text, '-'), coalesce(sequence::text, '-'), coalesce(event_id::text, '-'), fault,
       coalesce(encode(expected, 'hex'), '-'), coalesce(encode(found, 'hex'), '-'), detail
  FROM spine.find_chain_faults(@{[ arguments(%arg) ]})
SQL
	return [ map { [ split /\|/, $_, -1 ] } split /\n/, $out ];
}

sub summaries_of
{
	my ($node, %arg) = @_;
	my $settings = $arg{settings} // '';
	my $out = $node->safe_psql($arg{db} // 'postgres', $settings . <<"SQL");
SELECT coalesce(organization_id::text, '-'), coalesce(intact::text, '-'), events, coalesce(first_sequence::text, '-'),
       coalesce(last_sequence::text, '-'), coalesce(encode(head_hash, 'hex'), '-'), faults,
       coalesce(first_fault_sequence::text, '-'), coalesce(first_fault, '-')
  FROM spine.verify_chain(@{[ arguments(%arg) ]})
SQL
	return [ split /\n/, $out ];
}

# What verify_chain must say of intact, faults and the first one, given a list of faults, by organization.
sub summaries_from
{
	my ($faults) = @_;
	my %summary;
	foreach my $f (@$faults)
	{
		my $s = $summary{ $f->[0] } //= { faults => 0, sequence => $f->[1], fault => $f->[3] };
		$s->{faults}++;
	}
	return \%summary;
}

# One test: find_chain_faults says what the model says, in all columns but the detail, and verify_chain agrees.
sub agrees_with_model
{
	my ($node, $rows, $name, %arg) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $want  = model_faults($rows, %arg);
	my $got   = faults_of($node, %arg);
	my @lines = map { join '|', @$_[ 0 .. 5 ] } @$got;
	my @wrong;
	my @expected = map { join '|', @$_ } @$want;
	if (join("\n", @lines) ne join("\n", @expected))
	{
		my (%got, %want);
		$got{$_}++  foreach @lines;
		$want{$_}++ foreach @expected;
		push @wrong, map { "not reported: $_" } grep { $want{$_} > ($got{$_} // 0) } sort keys %want;
		push @wrong, map { "reported: $_" } grep { $got{$_} > ($want{$_} // 0) } sort keys %got;
		push @wrong, 'the order differs' unless @wrong;
	}
	push @wrong, 'a fault without a detail' if grep { $_->[6] eq '' } @$got;
	my $by_org = summaries_from($want);
	my %seen;
	foreach my $line (@{ summaries_of($node, %arg) })
	{
		my ($o, $intact, undef, undef, undef, undef, $count, $sequence, $fault) = split /\|/, $line, -1;
		my $s = $by_org->{$o};
		$seen{$o} = 1;
		my $ok = $s
		  ? $intact eq 'false' && $count == $s->{faults} && $sequence eq $s->{sequence} && $fault eq $s->{fault}
		  : $intact ne 'false' && $count == 0 && $sequence eq '-' && $fault eq '-';
		push @wrong, "verify_chain says $line" unless $ok;
	}
	foreach my $o (keys %$by_org) { push @wrong, "verify_chain leaves out $o" unless $seen{$o} }
	ok(!@wrong, $name) or diag(join "\n", @wrong);
	return $got;
}

# The server that ran before still runs, and none of its processes crashed.
sub alive
{
	my ($node, $pid, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $log = slurp_file($node->logfile);
	my $now = postmaster_of($node);
	my $sound = $log !~ /terminated by signal|PANIC:|server process .* exited with exit code/;
	return ok($now == $pid && $sound && $node->safe_psql('postgres', 'SELECT 1') eq '1', $name);
}

1;
