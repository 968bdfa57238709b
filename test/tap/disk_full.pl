# No room on the disk: where the table, its indexes or its out-of-line values grow, in the WAL, where sorts and results
# spill, and everywhere at once. Each time there is a clear error, what was acknowledged is there, nothing else is, the
# chains are right, and once there is room the next event is emitted.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Test::More;
use Time::HiRes qw(usleep);

my $folder = PostgreSQL::Test::Utils::tempdir();
my $full = "$folder/full";
my $shim = build_preload('test/fault/disk_full.c');

# Puts the server on a disk that has room until fill() says otherwise.
sub start_on_it
{
	my ($node) = @_;
	local $ENV{LD_PRELOAD} = $shim;
	local $ENV{SPINE_FULL} = $full;
	$node->start;
	return;
}
sub fill
{
	append_to_file("$full.new", join("\n", @_) . "\n");
	rename "$full.new", $full or die $!;
	return;
}
sub free_space { unlink $full; return }

my $node = PostgreSQL::Test::Cluster->new('disk');
$node->init(extra => [ '-E', 'UTF8', '--locale=C.UTF-8', '--wal-segsize=1' ]);
$node->append_conf('postgresql.conf', "autovacuum = off\nlog_statement = none\nfsync = on\nrestart_after_crash = on\nmin_wal_size = 2MB\nmax_wal_size = 1GB\n");
start_on_it($node);
spine_database($node, 'postgres');
$node->safe_psql('postgres', q{
  ALTER DATABASE postgres SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
  -- Payloads that lie in the row, or out of line.
  CREATE FUNCTION payload(size int) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('text', string_agg(md5(random()::text), '')) FROM generate_series(1, size / 32)
  $$;
});
my $postmaster = postmaster_of($node);

my %acknowledged;
my $uuid = qr/[0-9a-f]{8}-[0-9a-f-]{27}/;
my %ways = (
	'emit_event' => sub { "SELECT spine.emit_event('hcm.employee.created', entity_id => gen_random_uuid(), organization_id => '$_[0]', payload => payload($_[1]))" },
	'emit_events' => sub { "SELECT spine.emit_events((SELECT jsonb_agg(jsonb_build_object('event_type', 'hcm.employee.created', 'entity_id', gen_random_uuid(), 'organization_id', '$_[0]', 'payload', payload($_[1]))) FROM generate_series(1, 20)))" },
	'INSERT' => sub { "INSERT INTO spine.events (event_type, entity_id, organization_id, payload) SELECT 'hcm.employee.created', gen_random_uuid(), '$_[0]', payload($_[1]) FROM generate_series(1, 5) RETURNING id" });
my @settings = map { my $at = $_; map { "people_os_spine.chain_at = $at; SET people_os_spine.early_lock_release = $_" } 'off', 'on' } 'insert', 'commit';

# What was acknowledged is there and nothing else, and all chains are right.
sub all_is_right
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my %there = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', 'SELECT id FROM spine.events');
	is(scalar(grep { !$there{$_} } keys %acknowledged), 0, "$name: all " . keys(%acknowledged) . ' acknowledged events are there');
	is($node->safe_psql('postgres', 'SELECT bool_and(intact AND events = last_sequence), sum(faults) FROM spine.verify_chain()'), 't|0', "$name: the chains are intact and without a gap");
	return scalar(grep { !$acknowledged{$_} } keys %there);
}

# The table and what belongs to it --------------------------------------------------------------------------------
# Emits until there is an error, in one session, which then goes on.
my $organization = 0;
sub fills
{
	my ($what, $relation, $way, $settings, $size) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $name = "$what, $way, $settings";
	$name =~ s/; SET|people_os_spine\.//g;
	my $org = org(++$organization);
	my $emit = $ways{$way}->($org, $size);
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query_safe("\\set VERBOSITY verbose\nSET $settings");
	my $emits = sub {
		my $out = $session->query($emit);
		my $err = $session->{stderr};
		$session->{stderr} = '';
		$acknowledged{$_} = 1 foreach $err eq '' ? $out =~ /($uuid)/g : ();
		return $err;
	};
	is($emits->(), '', "$name: there is room");
	fill('*/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath('$relation')") . '*');
	my $err = '';
	for (1 .. 1000) { last if ($err = $emits->()) ne '' }
	like($err, qr/ERROR:  53100: could not extend file .*No space left on device/s, "$name: the error");
	like($emits->(), qr/^$|ERROR:  53100:/, "$name: the session is there");
	free_space();
	is($emits->(), '', "$name: it goes on when there is room");
	$session->quit;
	return;
}
my $toast = $node->safe_psql('postgres', "SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 'spine.events_default'::regclass");
my $toast_index = $node->safe_psql('postgres', "SELECT indexrelid::regclass FROM pg_index WHERE indrelid = '$toast'::regclass");
foreach my $settings (@settings)
{
	fills('the table', 'spine.events_default', $_, $settings, 1500) foreach sort keys %ways;
	fills('out of line', $toast, 'emit_event', $settings, 20000);
	fills('the index out of line', $toast_index, 'emit_events', $settings, 10000);
	fills("the index $_", "spine.$_", 'emit_events', $settings, 32)
	  foreach 'events_default_pkey', 'events_default_id_idx', 'events_default_entity_id_sequence_idx';
}
is(all_is_right('growing'), 0, 'and nothing else is');
alive($node, $postmaster, 'the server went on');

# What spills ----------------------------------------------------------------------------------------------------------
# Each event its own organization and a damaged payload: as many segments, summaries and faults.
my $ids = $node->safe_psql('postgres', <<'SQL');
SELECT spine.emit_events((SELECT jsonb_agg(jsonb_build_object('event_type', 'hcm.employee.created', 'entity_id', n, 'organization_id', n))
  FROM (SELECT spine.entity_uuid('a', 'spilled', i::text) FROM generate_series(1, 5000) i) AS t(n)))
SQL
$acknowledged{$_} = 1 foreach split /\n/, $ids;
my $spill = "SET work_mem = '64kB'; SET maintenance_work_mem = '1MB'; SET min_parallel_table_scan_size = 0;";
my $verify = 'SELECT count(*), bool_and(intact) FROM spine.verify_chain()';
my $longest = $node->safe_psql('postgres', 'SELECT organization_id FROM spine.events GROUP BY 1 ORDER BY count(*) DESC LIMIT 1');
my $emit_many = q{SELECT count(*) FROM spine.emit_events((SELECT jsonb_agg(jsonb_build_object('event_type', 'hcm.employee.spilled', 'entity_id', gen_random_uuid(), 'organization_id', '} . org(999) . q{')) FROM generate_series(1, 3000)))};
my @spilling = (
	[ 'verify_chain alone', "SET max_parallel_maintenance_workers = 0; $verify" ],
	[ 'verify_chain with workers', "SET max_parallel_maintenance_workers = 2; $verify" ],
	[ 'find_chain_faults', 'SELECT count(*) FROM spine.find_chain_faults()' ],
	[ 'read_events', "SELECT count(*) FROM spine.read_events('$longest', 0)" ],
	map { [ "emit_events, $_", "SET $_; $emit_many" ] } map { s/people_os_spine\.early_lock_release.*/work_mem = '64kB'/r } @settings[ 0, 2 ]);
foreach my $case (@spilling)
{
	my ($name, $sql) = @$case;
	fill('*/pgsql_tmp/*', '*/pg_stat_tmp/*');
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->query_safe("\\set VERBOSITY verbose\n$spill");
	$session->query($sql);
	like($session->{stderr}, qr/ERROR:  53100: could not write to file .*No space left on device/s, "$name: the error");
	$session->{stderr} = '';
	free_space();
	# Emitted for good it would not be in the books.
	$session->query_safe("BEGIN; $sql; ROLLBACK");
	$session->quit;
	is(join(' ', glob $node->data_dir . '/base/pgsql_tmp/*'), '', "$name: it works when there is room, and no file is left");
}
is(all_is_right('spilling'), 0, 'and nothing else is');
alive($node, $postmaster, 'the server went on');
unlike(slurp_file($node->logfile), qr/leak|still referenced/, 'no resource is left');

# The WAL, and everything at once ------------------------------------------------------------------------------------------
# Clients emit, one call a transaction, until they hear of an error; then again, in a new connection if they must, for as
# long as there is no room.
my $clients = 4;
my %error;
sub under_load
{
	my ($name, @patterns) = @_;
	my @runs;
	foreach my $client (1 .. $clients)
	{
		my $way = (sort keys %ways)[ $client % 3 ];
		unlink "$folder/out.$client", "$folder/err.$client";
		append_to_file("$folder/script.$client", "SET $settings[ $client % @settings ];\n\\set VERBOSITY verbose\n" . ($ways{$way}->(org(2000 + $client % 2), 1000) . ";\n") x 3000) unless -e "$folder/script.$client";
		push @runs, IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', "$folder/script.$client" ],
			'>', "$folder/out.$client", '2>', "$folder/err.$client");
	}
	usleep(300_000);
	fill(@patterns);
	$_->finish for @runs;
	foreach my $client (1 .. $clients)
	{
		$acknowledged{$_} = 1 foreach slurp_file("$folder/out.$client") =~ /^($uuid)$/mg;
		my $err = slurp_file("$folder/err.$client");
		my ($state) = $err =~ /(?:ERROR|FATAL|PANIC):  ([0-9A-Z]{5}):/;
		$state //= 'connection lost' if $err =~ /connection/;
		push @{ $error{$name} }, $state // "none: $err";
	}
	free_space();
	return;
}
foreach my $round (1 .. 2)
{
	foreach my $case ([ 'the WAL', '*/pg_wal/*' ], [ 'the whole disk', $node->data_dir . '/*' ])
	{
		my ($what, $pattern) = @$case;
		my $name = "$what, $round";
		under_load($name, $pattern);
		# 57P02: another process crashed, as one does that cannot write the WAL. 57P03: the server is about to start.
		my @odd = grep { !/^(53100|57P02|57P03|connection lost)$/ } @{ $error{$name} };
		is("@odd", '', "$name: each client hears of it: @{ $error{$name} }");
		# Without room the server may have given up starting, too.
		for (1 .. 100)
		{
			last if !-e $node->data_dir . '/postmaster.pid' || $node->psql('postgres', 'SELECT 1') == 0;
			usleep(100_000);
		}
		if (!-e $node->data_dir . '/postmaster.pid')
		{
			$node->{_pid} = undef;
			start_on_it($node);
		}
		ok($node->poll_query_until('postgres', 'SELECT true'), "$name: it runs again");
		is($node->psql('postgres', $ways{emit_event}->(org(2000 + $_), 32), stdout => \my $id), 0, "$name: the next event is emitted") foreach 0, 1;
		# A transaction that was committed when its client lost the connection is there without having been acknowledged.
		my $more = all_is_right($name);
		cmp_ok($more, '<=', 50 * $clients * 4, "$name: at most what was under way is there besides");
		$acknowledged{$_} = 1 foreach split /\n/, $node->safe_psql('postgres', 'SELECT id FROM spine.events');
	}
}
agrees_with_model($node, rows_of($node, "organization_id = '@{[ org($_) ]}'"), "organization $_, says a second opinion", org => org($_)) for 1, 2000, 2001;

$node->stop;
done_testing();
