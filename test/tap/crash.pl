# Nothing that was acknowledged is lost, nothing that was rolled back is there, and every chain is right, whatever dies
# and whenever: one server process, the postmaster, all of them at once, or the power.
#
# A cycle: start the server, which recovers from the cycle before; compare what is there with what the clients of that
# cycle wrote down outside the server; let clients emit in every mode, erase what they emitted, make partitions and wipe;
# strike. script/torture is the long form, by TORTURE_SEED, TORTURE_MINUTES and TORTURE_CYCLES. A seed gives the same transactions and the same blows again; when
# exactly a blow falls is the machine's affair.
use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use Digest::SHA qw(sha256);
use File::Basename qw(dirname);
use File::Path qw(make_path remove_tree);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Test::More;
use Time::HiRes qw(sleep time);

my $seed    = $ENV{TORTURE_SEED}    // 20260119;
my $minutes = $ENV{TORTURE_MINUTES} // 0;
my $cycles  = $ENV{TORTURE_CYCLES}  // 16;
my $renewal = 40;    # cycles that one cluster lives for, so that reading all of it stays quick
my $writers = 6;
my @orgs    = map { org($_) } 1 .. 4;
my $platform = '00000000-0000-0000-0000-000000000000';    # whose chain tells of partitions

my $node = spine_node('crash', extra => [ '-E', 'UTF8', '--locale=C.UTF-8', '--wal-segsize=1' ], conf => <<CONF);
log_statement = none
fsync = on
full_page_writes = on
restart_after_crash = on
autovacuum = on
max_connections = 30
max_prepared_transactions = 20
min_wal_size = 2MB
max_wal_size = 8MB
CONF
$node->safe_psql('postgres', q{
  ALTER DATABASE postgres SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
  CREATE TABLE business (tag text);
  -- Fewer files to sync and to copy.
  UPDATE pg_database SET datistemplate = false;
  DROP DATABASE template0;
  DROP DATABASE template1;
});
$node->stop;
my $data     = $node->data_dir;
my $work     = PostgreSQL::Test::Utils::tempdir;
my $disk     = "$work/disk";
my $pristine = "$work/pristine";
my $shim     = build_preload('test/fault/power_cut.c');
system_or_bail('cp', '-a', $data, $pristine);

# Chance, by the seed alone ---------------------------------------------------------------------------------------------
my ($cycle, $draws) = (0, 0);

# 0 .. $n - 1
sub below
{
	my ($n) = @_;
	return unpack('N', sha256("$seed $cycle " . $draws++)) % $n;
}

sub one_of { return $_[ below(scalar @_) ] }

# Power -----------------------------------------------------------------------------------------------------------------
# What lies below the data directory becomes what is on the disk $to.
sub sync_all
{
	my ($to) = @_;
	remove_tree($to);
	mkdir $to or die $!;
	local @ENV{qw(LD_PRELOAD DISK_OF DISK)} = ($shim, $data, $to);
	system_or_bail('find', $data, '(', '-type', 'f', '-o', '-type', 'd', ')', '-exec', 'sync', '{}', '+');
	return;
}

# The keys of the names on a disk.
sub names_on
{
	my ($from) = @_;
	my (%key, %only, $dir);    # only: the one name of a file that was synced last under it
	foreach my $line (split /\n/, slurp_file("$from/names"))
	{
		my ($what, $one, $two) = split / /, $line, 3;
		if ($what eq 'F')
		{
			# The WAL is synced again and again.
			next if ($only{$one} // '') eq $two && $key{$two} eq $one;
			delete @key{ grep { $key{$_} eq $one } keys %key };
			$key{$two} = $one;
			$only{$one} = $two;
		}
		elsif ($what eq 'D')
		{
			%only = ();
			$dir = $one eq '.' ? '' : "$one/";
			delete @key{ grep { m{^\Q$dir\E[^/]+$} } keys %key };
		}
		else { $key{"$dir$two"} = $one }
	}
	return \%key;
}

# The data directory as a power cut leaves it. partly: of each file that was written and not synced, some pages made it.
sub cut_power
{
	my ($partly) = @_;
	my $key = names_on($disk);
	if ($partly)
	{
		sync_all("$work/written");
		foreach my $k (map { $key->{$_} } sort keys %$key) { mix("$disk/$k", "$work/written/$k") if -e "$work/written/$k" }
	}
	my @files = split /\n/, `find '$data' -type f`;
	unlink(@files) == @files or die $!;
	delete $key->{'postmaster.pid'};    # of a process that is no more, or whose parent has not buried it
	foreach my $name (keys %$key)
	{
		my $from = "$disk/$key->{$name}";
		# A name that was synced and bytes that were not.
		put_file($from, '') unless -e $from;
		make_path(dirname("$data/$name"));
		rename $from, "$data/$name" or die "$name: $!";
		chmod 0600, "$data/$name" or die $!;
	}
	return;
}

sub mix
{
	my ($synced, $written) = @_;
	my $then = -e $synced ? slurp_file($synced) : '';
	my $now  = slurp_file($written);
	return if $then eq $now;
	# Its length may have been synced alone.
	my $size = below(2) ? length $now : length $then;
	$then .= "\0" x ($size - length $then) if $size > length $then;
	substr($then, $size) = '';
	for (my $at = 0; $at < $size && $at < length $now; $at += 4096)
	{
		my $page = substr $now, $at, $size - $at < 4096 ? $size - $at : 4096;
		substr($then, $at, length $page) = $page if below(2);
	}
	put_file($synced, $then);
	return;
}

# Blows -----------------------------------------------------------------------------------------------------------------
# The blows, each on a postmaster. They leave the server down.
my %blows = (
	process => sub {
		my @all = children_of($_[0]);
		kill 'KILL', $all[ below(scalar @all) ];
		$node->poll_query_until('postgres', 'SELECT true') or die 'the server does not come back';
		$node->stop('immediate');
	},
	postmaster => sub { kill_server($node, postmaster => $_[0], spare_children => 1) },
	everything => sub { kill_server($node, postmaster => $_[0]) },
	power => sub { kill_server($node, postmaster => $_[0]); cut_power(0) },
	'power, partly synced' => sub { kill_server($node, postmaster => $_[0]); cut_power(1) });
my @blows = (('process') x 3, ('postmaster') x 3, ('everything') x 3, ('power') x 6, ('power, partly synced') x 5);

# What clients do -------------------------------------------------------------------------------------------------------
# One transaction of a client: its SQL. What it must leave if it commits, events in order as [organization, number], it
# adds to what is expected. Two may not deadlock: at insert, all locks are one organization's or those of
# one batch; at commit they are taken in one order.
sub draw_transaction
{
	my ($tag, $expected) = @_;
	my $at_commit = below(2);
	my $durable   = one_of('on', 'on', 'required', 'off');
	my $end       = one_of(('COMMIT') x 6, 'ROLLBACK', 'PREPARE', 'PREPARE', 'UNDO PREPARED');
	my $is_batch  = !below(5);
	my $own       = one_of(@orgs);
	my ($number, @kept) = (0);
	my $event = sub {
		my ($org) = @_;
		push @kept, [ $org, ++$number ];
		return ($org, $number, qq({"t": "$tag", "i": $number, "fill": "@{[ 'x' x one_of(0, 0, 50, 3000) ]}"}));
	};
	my $emit = sub {
		my ($org, undef, $payload) = $event->($at_commit ? one_of(@orgs) : $own);
		return qq(SELECT spine.emit_event('torture.client.emitted', entity_id => '$own', organization_id => '$org', payload => '$payload') IS NULL;);
	};
	my $batch = sub {
		my @list = map { my ($org, undef, $payload) = $event->(one_of(@orgs)); qq({"event_type": "torture.client.batched", "entity_id": "$own", "organization_id": "$org", "payload": $payload}) } 0 .. below(8);
		return "SELECT count(*) FROM spine.emit_events('[" . join(', ', @list) . "]');";
	};
	my $insert = sub {
		my @list = map { my (undef, undef, $payload) = $event->($own); "('torture.client.inserted', '$own', '$own', '$payload')" } 0 .. below(3);
		return 'INSERT INTO spine.events (event_type, entity_id, organization_id, payload) VALUES ' . join(', ', @list) . ';';
	};
	my @sql = (
		'BEGIN ISOLATION LEVEL ' . one_of('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE') . ';',
		'SET LOCAL people_os_spine.chain_at = ' . ($at_commit ? 'commit;' : 'insert;'),
		'SET LOCAL people_os_spine.early_lock_release = ' . one_of('on;', 'off;'));
	push @sql, 'SET LOCAL synchronous_commit = off;' if $durable ne 'on';
	push @sql, 'SET LOCAL people_os_spine.require_durable_commit = on;' if $durable eq 'required';
	push @sql, "INSERT INTO business VALUES ('$tag');";

	foreach my $step (1 .. ($is_batch ? 1 : 1 + below(4)))
	{
		if ($is_batch) { push @sql, $batch->(); next }
		push @sql, $emit->();
		next if below(3);
		my @before = @kept;
		push @sql, 'SAVEPOINT a;', $emit->();
		push @sql, 'SAVEPOINT b;', $emit->(), one_of('RELEASE b;', '') if below(2);
		if (below(2)) { push @sql, 'ROLLBACK TO a;'; @kept = @before }
		else { push @sql, 'RELEASE a;' }
	}
	# Chained at once, this may lock what a batch or other organizations at commit have locked in another order.
	push @sql, $insert->() if !$is_batch && !$at_commit && !below(3);
	push @sql, one_of('SELECT spine.chain_pending();', '') if $at_commit && $is_batch;

	my %end = (
		COMMIT          => [ 'COMMIT;',   "\\echo done $tag" ],
		ROLLBACK        => [ 'ROLLBACK;', "\\echo undone $tag" ],
		PREPARE         => [ "PREPARE TRANSACTION '$tag';", "\\echo prepared $tag", 'SELECT pg_sleep(0.005);', "COMMIT PREPARED '$tag';", "\\echo done $tag" ],
		'UNDO PREPARED' => [ "PREPARE TRANSACTION '$tag';", "\\echo prepared $tag", 'SELECT pg_sleep(0.005);', "ROLLBACK PREPARED '$tag';", "\\echo undone $tag" ]);
	$expected->{$tag} = { kept => \@kept, promised => ($durable ne 'off' || $end =~ /PREPARE/) ? 1 : 0, commits => $end =~ /^(COMMIT|PREPARE)$/ ? 1 : 0 };
	return join "\n", (grep { $_ ne '' } @sql), @{ $end{$end} }, '';
}

# Two transactions of a client that erases: one emits an event with a personal part, the next erases that part. Its event
# platform.personal.erased has the tag as its reason. What stands of the part, compare() reads.
my %tag_of_mark;

sub draw_erasure
{
	my ($tag, $expected) = @_;
	my $org     = one_of(@orgs);
	my $durable = one_of('on', 'on', 'off');
	my $both    = below(2);
	my $hint    = $durable eq 'off' ? "SET LOCAL synchronous_commit = off;\n" : '';
	my $parts   = $both ? '{payload,personal}' : '{personal}';
	my ($emitted, $erased) = ("$tag.emits", "$tag.erases");
	# By this an event whose payload is erased is found again.
	my $mark = md5_hex($emitted) =~ s/^(.{8})(.{4})(.{4})(.{4})/$1-$2-$3-$4-/r;
	$tag_of_mark{$mark} = $emitted;
	$expected->{$emitted} = { kept => [ [ $org, '' ] ], promised => $durable ne 'off' ? 1 : 0, commits => 1 };
	$expected->{$erased}  = { kept => [ [ $org, '' ] ], promised => $durable ne 'off' ? 1 : 0, commits => 1, erases => [ $emitted, $both ] };
	my $fill = 'x' x one_of(0, 3000);
	return <<SQL;
BEGIN;
${hint}INSERT INTO business VALUES ('$emitted');
SELECT spine.emit_event('torture.client.emitted', entity_id => '$org', organization_id => '$org', correlation_id => '$mark', payload => '{"fill": "$fill"}', personal => '{"secret": "$emitted", "fill": "$fill"}') AS id \\gset
COMMIT;
\\echo done $emitted
BEGIN;
${hint}INSERT INTO business VALUES ('$erased');
SELECT events <> 1 FROM spine.erase_events('$org', ARRAY[:'id']::uuid[], '$erased', '$parts') WHERE events <> 1;
COMMIT;
\\echo done $erased
SQL
}

# A keeper's round: partitions are made, what was erased is wiped. SP086: others used the table for too long, so it is done again.
sub draw_round
{
	my ($ahead) = @_;
	return <<SQL;
DO \$\$ BEGIN PERFORM spine.create_partitions('1 hour', $ahead); EXCEPTION WHEN SQLSTATE 'SP086' THEN NULL; END \$\$;
SELECT FROM spine.wipe_erased() LIMIT 0;
SQL
}

# What a reader was shown is as durable as a commit.
my $read = join "\n", (map {
	"SELECT 'read ' || organization_id || ' ' || sequence || ' ' || encode(event_hash, 'hex') FROM spine.read_events('$_', (SELECT greatest(max(sequence) - 3, 0) FROM spine.events WHERE organization_id = '$_'), 5);"
} @orgs), "SELECT 'read ' || organization_id || ' ' || last_sequence || ' ' || encode(head_hash, 'hex') FROM spine.verify_chain() WHERE events > 0;", '';

my @clients;

sub start_client
{
	my ($name, $sql) = @_;
	my $file = "$work/$name";
	put_file("$file.sql", $sql);
	push @clients, { file => $file, run => IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', "$file.sql" ],
		'<', \undef, '>', "$file.out", '2>', "$file.err") };
	return;
}

# Comparing -------------------------------------------------------------------------------------------------------------
my %head;       # of the organizations, when they were compared last: [sequence, hash]
my %hash_of;    # of all events that were compared, by organization and sequence
my %said;       # what the clients wrote down since: done, undone, prepared, read
my $told_before;    # events that tell of a partition, when they were counted last
my %resolved;   # how a transaction ended that was found prepared
my %count = (map { $_ => 0 } 'acknowledged', 'acknowledged though not promised', 'of these lost', 'committed and not acknowledged', 'found prepared', 'read', 'events', 'erased', 'partitions');

sub hear_clients
{
	my @wrong;
	foreach my $client (@clients)
	{
		$client->{run}->finish;
		foreach my $line (split /\n/, slurp_file("$client->{file}.out"))
		{
			if ($line =~ /^(done|undone|prepared) (\S+)$/) { $said{$1}{$2} = 1 }
			elsif ($line =~ /^read (\S+) (\d+) (\S+)$/) { push @wrong, "$1 $2 was read as two events" if ($said{read}{"$1 $2"} //= $3) ne $3 }
		}
		# The blow is the one thing that may go wrong.
		push @wrong, grep { /ERROR:|WARNING:/ && !/terminating connection/ } split /\n/, slurp_file("$client->{file}.err");
	}
	@clients = ();
	return @wrong;
}

sub compare
{
	my ($plan) = @_;
	my $expected = $plan->{expected};
	my @wrong    = @{ $plan->{heard} };

	# What is prepared is there, and ends one way or the other.
	foreach my $tag (split /\n/, $node->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts ORDER BY gid'))
	{
		push @wrong, "$tag is prepared, though it was acknowledged that it had ended" if $said{done}{$tag} || $said{undone}{$tag};
		$resolved{$tag} = one_of('COMMIT', 'ROLLBACK');
		$node->safe_psql('postgres', "$resolved{$tag} PREPARED '$tag'");
		$count{'found prepared'}++;
	}

	my $heads = join ', ', map { "('$_'::uuid, " . ($head{$_} ? $head{$_}[0] : 0) . ')' } $platform, @orgs;
	my (%rows, %there, %business, %verified, %parts);
	my $out = $node->safe_psql('postgres', <<SQL);
SELECT 'v', organization_id, intact, faults, events, last_sequence, encode(head_hash, 'hex') FROM spine.verify_chain();
SELECT 'e', organization_id, sequence, coalesce(payload->>'t', payload->>'reason', correlation_id::text), payload->>'i',
       encode(previous_hash, 'hex'), encode(event_hash, 'hex'), payload IS NULL, personal->>'secret'
  FROM spine.events JOIN (VALUES $heads) h (organization_id, head) USING (organization_id) WHERE sequence >= head ORDER BY organization_id, sequence;
SELECT 'b', tag FROM business;
SQL
	foreach my $line (split /\n/, $out)
	{
		my ($what, @fields) = split /\|/, $line, -1;
		if ($what eq 'v') { $verified{ $fields[0] } = [ @fields[ 1 .. 5 ] ] }
		elsif ($what eq 'b') { $business{ $fields[0] }++ }
		else
		{
			$fields[2] = $tag_of_mark{ $fields[2] } // $fields[2];
			push @{ $rows{ $fields[0] } }, [ @fields[ 1 .. 5 ] ];
			$parts{ $fields[2] } = { payload => $fields[6] eq 'f', personal => $fields[7] };
		}
	}
	push @wrong, map { "$_: verify_chain says @{ $verified{$_} }" } grep { $verified{$_}[0] ne 't' } sort keys %verified;
	# Of each partition one event tells, and of each such event there is a partition.
	my ($made, $told) = split /\|/, $node->safe_psql('postgres', <<SQL);
SELECT (SELECT count(*) FROM pg_inherits WHERE inhparent = 'spine.events'::regclass), (SELECT count(*) FROM spine.events WHERE event_type = 'platform.partition.created')
SQL
	$count{partitions} += $told - ($told_before // 0);
	push @wrong, "there are $made partitions and $told events that tell of one" unless $made == $told + 1;
	$told_before = $told;
	foreach my $org ($platform, @orgs)
	{
		my @rows = @{ $rows{$org} // [] };
		my ($sequence, $hash) = @{ $head{$org} // [ 0, ZERO_HASH ] };
		if ($sequence > 0)
		{
			my $first = shift @rows;
			push @wrong, "$org: the head that was there, $sequence, is not" unless $first && $first->[0] == $sequence && $first->[4] eq $hash;
		}
		foreach my $row (@rows)
		{
			push @wrong, "$org $row->[0]: not the next after $sequence" unless $row->[0] == $sequence + 1 && $row->[3] eq $hash;
			($sequence, $hash) = @$row[ 0, 4 ];
			$hash_of{"$org $sequence"} = $hash;
			push @{ $there{ $row->[1] }{$org} }, [ $row->[2], $sequence ] unless $org eq $platform;
			$count{events}++;
		}
		my ($intact, $faults, $events, $last, $head_hash) = @{ $verified{$org} // [ '', 0, 0, 0, ZERO_HASH ] };
		push @wrong, "$org: verify_chain says $intact, $faults faults, $events events to $last" unless ($intact eq 't' || $events == 0) && $faults == 0 && $events == $last && $last == $sequence && $head_hash eq $hash;
		$head{$org} = [ $sequence, $hash ] if $sequence > 0;
	}

	push @wrong, map { "$_ is there and nobody emitted it" } grep { !$expected->{$_} } sort keys %there;
	foreach my $tag (sort keys %$expected)
	{
		my %kept;
		push @{ $kept{ $_->[0] } }, $_->[1] foreach @{ $expected->{$tag}{kept} };
		my $found = $there{$tag};
		my $is    = $found || $business{$tag} ? 1 : 0;
		if ($is)
		{
			push @wrong, "$tag: its other work is there " . ($business{$tag} // 0) . ' times' unless ($business{$tag} // 0) == 1;
			foreach my $org (@orgs)
			{
				my @got = @{ $found->{$org} // [] };
				push @wrong, "$tag: of $org there is @{[ map { $_->[0] } @got ]}, not @{ $kept{$org} // [] }" unless join(' ', map { $_->[0] } @got) eq join ' ', @{ $kept{$org} // [] };
				push @wrong, "$tag: another is in its midst in $org" unless !@got || $got[-1][1] - $got[0][1] == $#got;
			}
		}
		my $must = $said{done}{$tag} ? 1 : $said{undone}{$tag} ? 0 : $resolved{$tag} ? $resolved{$tag} eq 'COMMIT' : undef;
		# Prepared for sure and no longer so, it ended as it was about to.
		$must //= $expected->{$tag}{commits} if $said{prepared}{$tag};
		if ($said{done}{$tag} && !$expected->{$tag}{promised})
		{
			$count{'acknowledged though not promised'}++;
			$count{'of these lost'}++ unless $is;
			undef $must;
		}
		elsif ($said{done}{$tag}) { $count{acknowledged}++ }
		elsif (!defined $must && $is) { $count{'committed and not acknowledged'}++ }
		push @wrong, "$tag was acknowledged and is " . ($is ? 'there' : 'lost') if defined $must && ($must xor $is);
		next unless $expected->{$tag}{erases};
		my ($of, $both) = @{ $expected->{$tag}{erases} };
		my $stands = $parts{$of} or next;
		$count{erased} += $is;
		push @wrong, "$of: its personal part is " . ($is ? 'there' : 'gone') if ($stands->{personal} eq $of) == $is || ($is && $stands->{personal} ne '');
		push @wrong, "$of: its payload is " . ($stands->{payload} ? 'there' : 'gone') if $stands->{payload} == ($is && $both);
	}
	foreach my $which (sort keys %{ $said{read} })
	{
		$count{read}++;
		push @wrong, "$which was read, and is not there" unless ($hash_of{$which} // '') eq $said{read}{$which};
	}
	%said = %resolved = ();
	return @wrong;
}

# Cycles ----------------------------------------------------------------------------------------------------------------
# Starts it and kills all of it before it has recovered, or soon after.
sub die_in_recovery
{
	my ($blow, $with_power) = @_;
	sync_all($disk) if $with_power;
	my $pid = fork // die $!;
	if ($pid == 0)
	{
		@ENV{qw(LD_PRELOAD DISK_OF DISK)} = ($shim, $data, $disk) if $with_power;
		open STDOUT, '>>', $node->logfile or die $!;
		open STDERR, '>&', \*STDOUT      or die $!;
		exec 'postgres', '-D', $data or die $!;
	}
	sleep 0.001 * below(200);
	$blow->($pid);
	return;
}

# What a cycle does, drawn before anything happens that chance does not decide.
sub draw_plan
{
	($cycle, $draws) = ($cycle + 1, 0);
	my %plan = (cycle => $cycle, expected => {}, blow => one_of(@blows), moment => 50 + below(900), again => !below(4), checkpoints => below(2));
	$plan{with_power} = $plan{blow} =~ /^power/;
	$plan{again}      = 0 if $plan{blow} eq 'process';
	$plan{story}      = "$plan{blow} after $plan{moment} ms" . ($plan{again} ? ', and again while it recovers' : '');
	foreach my $n (1 .. $writers)
	{
		$plan{clients}{"writer$n"} = join '', map { draw_transaction("$cycle.$n.$_", $plan{expected}) } 1 .. 150;
	}
	$plan{clients}{reader} = $read x 200;
	$plan{clients}{eraser} = join '', map { draw_erasure("$cycle.e.$_", $plan{expected}) } 1 .. 150;
	# Each cycle has partitions of its own to make.
	$plan{clients}{keeper} = join '', map { draw_round(($cycle - 1) % $renewal * 2 + $_) } 1 .. 2;
	$plan{clients}{checkpointer} = join '', map { sprintf "SELECT pg_sleep(%.3f); CHECKPOINT;\n", 0.001 * below(400) } 1 .. 5 if $plan{checkpoints};
	return \%plan;
}

# Emits and strikes; the server is down then.
sub run_cycle
{
	my ($plan) = @_;
	start_client($_, $plan->{clients}{$_}) foreach sort keys %{ $plan->{clients} };
	sleep 0.001 * $plan->{moment};
	$blows{ $plan->{blow} }->(postmaster_of($node));
	$plan->{heard} = [ hear_clients() ];
	die_in_recovery($blows{ $plan->{blow} }, $plan->{with_power}) if $plan->{again};
	return;
}

sub start_server
{
	my ($with_power) = @_;
	sync_all($disk) if $with_power;
	local @ENV{qw(LD_PRELOAD DISK_OF DISK)} = ($shim, $data, $disk) if $with_power;
	$node->start;
	return;
}

sub begin_anew
{
	remove_tree($data);
	system_or_bail('cp', '-a', $pristine, $data);
	(%head, %hash_of) = ();
	undef $told_before;
	return;
}

my $deadline = time + 60 * $minutes;
my (%struck, $before);
while (1)
{
	my $is_over = $cycle >= $cycles || ($minutes && time > $deadline);
	my $is_old  = $before && $cycle % $renewal == 0;
	my $plan    = $is_over ? undef : draw_plan();
	start_server($plan && !$is_old && $plan->{with_power});
	if ($before)
	{
		my @wrong = compare($before);
		ok(!@wrong, "cycle $before->{cycle}: $before->{story}") or diag(join "\n", @wrong[ 0 .. ($#wrong < 20 ? $#wrong : 20) ]);
		last if @wrong;
	}
	last if $is_over;
	if ($is_old)
	{
		$node->stop;
		begin_anew();
		start_server($plan->{with_power});
	}
	run_cycle($plan);
	$before = $plan;
	$struck{ $plan->{blow} }++;
	$struck{'again while it recovers'}++ if $plan->{again};
}
$node->stop;
note sprintf '%7d %s', $struck{$_}, $_ foreach sort keys %struck;
note sprintf '%7d %s', $count{$_}, $_ foreach sort keys %count;
note "seed $seed, $cycle cycles";

# Or the test would prove nothing: there was something to lose, and a cut takes what was not synced.
cmp_ok($count{$_}, '>', 0, "$count{$_} $_") foreach 'acknowledged', 'acknowledged though not promised', 'found prepared', 'read', 'erased', 'partitions';
begin_anew();
$node->append_conf('postgresql.conf', 'fsync = off');
my $plan = draw_plan();
@$plan{qw(blow moment again with_power)} = ('power', 800, 0, 1);
start_server(1);
run_cycle($plan);
$node->start;
like(join("\n", compare($plan)), qr/was acknowledged and is lost/, 'with fsync = off, what was acknowledged is lost');
$node->stop;
done_testing;
