# spine.wipe_erased: after it no byte of what was erased is in the data directory, but for WAL: of the server, of a standby, and
# of a server that crashed right after it. Beside running emitters, with page checksums. Who keeps old versions is named.
use strict;
use warnings;

use File::Find;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use Spine;

my $seed = $ENV{SPINE_SEED} // 20260119;
srand($seed);
note "seed $seed";

my $node = spine_node('wiped', allows_streaming => 1, extra => [ '-k', '-E', 'UTF8', '--locale=C.UTF-8' ],
	conf => "max_prepared_transactions = 4\nwal_keep_size = 1GB\nshared_buffers = 4MB\n");
my ($of_erased, $of_emitters) = (org(1), org(2));

# Every value that is going to be erased has these letters at both of its ends, and nothing else has. Where a value is
# compressed, a byte may stand between two of them.
use constant SIGN => 'wIpEdAwAy';
my $sign = join '.?', split //, SIGN;

# Where they stand, outside of WAL; and how many bytes of salts.
sub places
{
	my ($data, @salts) = @_;
	my $salts = @salts ? join '|', map { quotemeta pack 'H*', $_ } @salts : '(?!)';
	my @found;
	find({ no_chdir => 1, wanted => sub {
		return if !-f $_ || m{/pg_wal/};
		my $bytes = slurp_file($_);
		push @found, substr $_, 1 + length $data while $bytes =~ /$sign/sg;
		push @found, substr($_, 1 + length $data) . ' (salt)' while $bytes =~ /(?:$salts)/sg;
	} }, $data);
	return @found;
}

sub none_is_left
{
	my ($data, $name, @salts) = @_;
	my @found = places($data, @salts);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my %count;
	$count{$_}++ foreach @found;
	return is(scalar @found, 0, $name) || diag(map { "$count{$_} in $_\n" } sort keys %count);
}

# Erases both parts.
sub erase
{
	my ($where, %arg) = @_;
	my $end = $arg{end} // 'COMMIT';
	$node->safe_psql('postgres', <<"SQL");
BEGIN;
SELECT (SELECT count(*) FROM spine.erase_events(organization_id, array_agg(id), 'a test', '{payload,personal}'))
  FROM spine.events WHERE payload IS NOT NULL AND domain <> 'platform' AND ($where) GROUP BY organization_id;
$end;
SQL
	return;
}

# The rows of a call, by relation, and what it said.
sub wipe
{
	my ($of) = @_;
	my ($state, $out, $said) = run_sql($node, 'postgres', 'SELECT relation, blocks_read, versions_removed, bytes_wiped, versions_left, done FROM spine.wipe_erased(' . ($of // '') . ')');
	is($state, '', 'wipe_erased') or diag($said);
	my %row = map { my ($relation, @values) = split /\|/, $_, -1; $relation => \@values } split /\n/, $out;
	return (\%row, $said);
}

sub is_done { my ($rows) = @_; return !grep { $_->[4] ne 't' } values %$rows }

# Calls until nothing is left: what is newer than the oldest transaction of a moment goes with a later call.
sub wipe_all
{
	my ($name) = @_;
	my ($rows, $said);
	foreach my $call (1 .. 200)
	{
		($rows, $said) = wipe();
		last if is_done($rows);
		usleep(50_000);
	}
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok(is_done($rows), "$name: nothing is left") or diag($said);
	return $rows;
}

sub is_intact
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(scalar @{ faults_of($node) }, 0, "$name: verify_chain finds no fault");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM verify_heapam('spine.events_default', check_toast => true)}), 0, "$name: nor amcheck in the pages");
	$node->safe_psql('postgres', q{SELECT bt_index_check(indexrelid, true) FROM pg_index JOIN pg_class ON oid = indexrelid WHERE indrelid = 'spine.events_default'::regclass AND relam = (SELECT oid FROM pg_am WHERE amname = 'btree')});
	return;
}

# Emits $count events with the sign in both parts: within the row, compressed, and outside of it, whole and compressed.
sub emit_signed
{
	my ($count) = @_;
	my $s = SIGN;
	$node->safe_psql('postgres', <<"SQL");
SELECT count(spine.emit_event('hcm.employee.created', entity_id => gen_random_uuid(), actor_id => '$of_erased', organization_id => '$of_erased',
         payload => jsonb_build_object('a', '$s' || n, 'b', filling, 'c', '$s'),
         personal => CASE WHEN n % 2 = 0 THEN jsonb_build_object('a', '$s', 'n', n, 'z', left(filling, n % 300)) END))
  FROM generate_series(1, $count) n, LATERAL (SELECT CASE n % 4
     WHEN 0 THEN repeat('x', n % 200)
     WHEN 1 THEN repeat('abcdefgh', 300 + n)
     WHEN 2 THEN (SELECT string_agg(md5((n * 1000 + i)::text), '') FROM generate_series(1, 80 + n % 60) i)
     ELSE (SELECT string_agg(md5((n * 1000 + i)::text) || repeat('y', 30), '') FROM generate_series(1, 200 + n) i) END) f(filling)
SQL
	return;
}

$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION amcheck;
CREATE TABLE public.stop ();
CREATE PROCEDURE public.emit_until_stopped(o uuid) LANGUAGE plpgsql AS $$
BEGIN
  LOOP
    PERFORM spine.emit_event('hcm.employee.updated', entity_id => o, actor_id => o, organization_id => o, payload => jsonb_build_object('of', 'an emitter', 'text', repeat('e', 40)));
    COMMIT;
    EXIT WHEN EXISTS (SELECT FROM public.stop);
  END LOOP;
END $$;
SQL
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;

# 500 values between others, erased in ten batches in random order, while others emit. --------------------------------
my @emitters = map { $node->background_psql('postgres', on_error_stop => 1) } 1 .. 2;
begin_query($_, "CALL public.emit_until_stopped('$of_emitters')") foreach @emitters;
emit_signed(100), emit_chain($node, 20, org(3)) foreach 1 .. 5;
my @salts = split /\n/, $node->safe_psql('postgres', "SELECT encode(s, 'hex') FROM spine.events, unnest(ARRAY[payload_salt, personal_salt]) s WHERE organization_id = '$of_erased' AND s IS NOT NULL");
is(scalar @salts, 750, 'that many salts');
$node->safe_psql('postgres', 'CHECKPOINT');
cmp_ok(scalar(my @before = places($node->data_dir, @salts)), '>', 1500, 'all of them are found before');
my @order = sort { rand() <=> 0.5 } 1 .. 500;
while (my @batch = splice @order, 0, 50)
{
	erase("organization_id = '$of_erased' AND sequence IN (" . join(',', @batch) . ')');
	if (@order == 250)
	{
		my ($rows) = wipe();
		cmp_ok($rows->{'spine.events_default'}[1], '>', 0, 'a call in between removes old versions');
		cmp_ok($rows->{'spine.events_default'}[2], '>', 0, 'and wipes bytes');
	}
	# So that old versions are also removed by readers, whom nobody tells to wipe.
	$node->safe_psql('postgres', 'SELECT count(*) FROM spine.events');
}
is($node->safe_psql('postgres', "SELECT count(*) FROM spine.events WHERE organization_id = '$of_erased' AND payload IS NULL AND personal IS NULL"), 500, 'erased');
wipe_all('beside emitters');
none_is_left($node->data_dir, 'none is in the data directory, with no checkpoint', @salts);
my $emitted = $node->safe_psql('postgres', "SELECT count(*) FROM spine.events WHERE organization_id = '$of_emitters'");
wipe_all('once more');
$node->poll_query_until('postgres', "SELECT count(*) > $emitted FROM spine.events WHERE organization_id = '$of_emitters'") or die;
pass('emitters went on');
$node->safe_psql('postgres', 'INSERT INTO public.stop DEFAULT VALUES');
foreach my $emitter (@emitters)
{
	my (undef, $said) = finish_query($emitter);
	is($said, '', 'an emitter met no error');
	$emitter->quit;
}
my $rows = wipe_all('with nobody there');
($rows) = wipe();
is(join(' ', map { "@$_[1 .. 3]" } @$rows{qw(spine.events_default pg_statistic)}), '0 0 0 0 0 0', 'a further call finds nothing');
is_intact('the server');
$node->safe_psql('postgres', 'CHECKPOINT');
none_is_left($node->data_dir, 'none after a checkpoint', @salts);
$node->wait_for_catchup($standby);
$standby->safe_psql('postgres', 'CHECKPOINT');
none_is_left($standby->data_dir, 'none on the standby', @salts);
is_refused($standby, 'postgres', 'SELECT * FROM spine.wipe_erased()', '25006', 'on a standby', hint => 'primary');

# A crash right after the call, once with the old versions removed by VACUUM before. --------------------------------
foreach my $vacuum (0, 1)
{
	emit_signed(60);
	$node->safe_psql('postgres', 'CHECKPOINT');
	erase("organization_id = '$of_erased' AND payload IS NOT NULL");
	$node->safe_psql('postgres', 'VACUUM (FREEZE) spine.events') if $vacuum;
	wipe_all($vacuum ? 'after VACUUM' : 'before a crash');
	kill_server($node);
	none_is_left($node->data_dir, 'none after a crash');
	$node->start;
	none_is_left($node->data_dir, 'nor after recovery');
	is_intact('after recovery');
}

# VACUUM alone does not do it, or this test would prove nothing.
emit_signed(60);
erase("organization_id = '$of_erased' AND payload IS NOT NULL");
$node->safe_psql('postgres', 'VACUUM (FREEZE) spine.events; CHECKPOINT');
cmp_ok(scalar(places($node->data_dir)), '>', 0, 'VACUUM leaves some');
wipe_all('of what VACUUM left');
none_is_left($node->data_dir, 'then none');

# Who keeps old versions. ---------------------------------------------------------------------------------------------
sub is_kept_by
{
	my ($who, $name) = @_;
	my ($kept, $said) = wipe();
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is("$kept->{'spine.events_default'}[4] " . ($kept->{'spine.events_default'}[3] > 0 ? 'some' : 'none'), 'f some', "$name: not done");
	like($said, qr/old versions are left in spine\.events_default: $who may still read them\nHINT: /, "$name: who");
	return;
}
my $reader = $node->background_psql('postgres', on_error_stop => 1);
my $pid = $reader->query('SELECT pg_backend_pid()');
emit_signed(8);
$reader->query("SET application_name = 'auditing'; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM spine.events");
erase("organization_id = '$of_erased' AND payload IS NOT NULL");
is_kept_by(qr/process $pid \(client backend, role [\w-]+, auditing\)/, 'an old snapshot');
is($reader->query("SELECT count(*) FROM spine.events WHERE payload::text LIKE '%" . SIGN . "%'"), 8, 'which still reads them');
$reader->query('COMMIT');
wipe_all('once that ended');
none_is_left($node->data_dir, 'none then');

emit_signed(8);
$node->safe_psql('postgres', "CREATE TABLE public.prepared (); BEGIN; INSERT INTO public.prepared DEFAULT VALUES; PREPARE TRANSACTION 'kept'");
erase("organization_id = '$of_erased' AND payload IS NOT NULL");
is_kept_by("prepared transaction 'kept'", 'a prepared transaction');
$node->safe_psql('postgres', "COMMIT PREPARED 'kept'");
wipe_all('once that was committed');

# A slot that a standby's feedback fills.
$node->safe_psql('postgres', "SELECT pg_create_physical_replication_slot('feedback')");
$standby->append_conf('postgresql.conf', "primary_slot_name = 'feedback'\nhot_standby_feedback = on\nwal_receiver_status_interval = 1\n");
$standby->restart;
emit_signed(8);
$node->wait_for_catchup($standby);
my $far = $standby->background_psql('postgres', on_error_stop => 1);
$far->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM spine.events');
$node->poll_query_until('postgres', "SELECT xmin IS NOT NULL FROM pg_replication_slots") or die;
$standby->stop('immediate');
$far->{run}->kill_kill;
erase("organization_id = '$of_erased' AND payload IS NOT NULL");
is_kept_by("replication slot 'feedback'", 'a replication slot');
$node->safe_psql('postgres', "SELECT pg_drop_replication_slot('feedback')");
wipe_all('once that was dropped');

# One that erases at this moment; and the caller's own transaction.
emit_signed(8);
my $s = "organization_id = '$of_erased' AND payload IS NOT NULL";
erase($s, end => "PREPARE TRANSACTION 'erasing'");
is_kept_by("prepared transaction 'erasing'", 'an erasure that is not committed');
$node->safe_psql('postgres', "COMMIT PREPARED 'erasing'");
wipe_all('once that is');
emit_signed(8);
erase($s, end => 'SELECT bool_and(done) FROM spine.wipe_erased(); COMMIT');
wipe_all('an erasure of the transaction that wiped');
none_is_left($node->data_dir, 'none');

# A cursor stands on a page: one that has room, so that no reader prunes it.
$node->safe_psql('postgres', "CREATE TABLE public.others (LIKE spine.events INCLUDING ALL); INSERT INTO public.others SELECT * FROM spine.events WHERE organization_id = '@{[org(3)]}' AND sequence < 5");
$node->safe_psql('postgres', q{UPDATE public.others SET payload = jsonb_build_object('a', '} . SIGN . q{') WHERE sequence = 1});
$node->safe_psql('postgres', q{UPDATE public.others SET payload = '{}' WHERE sequence = 1});
$reader->query('BEGIN; DECLARE c CURSOR FOR TABLE public.others; FETCH 1 FROM c');
my ($held, $said) = wipe(q{'public.others'});
is("@{ $held->{others} }[0, 1, 4]", '1 0 f', 'a page that a cursor stands on: not done');
like($said, qr/old versions are left in 1 blocks of public\.others, which others hold in memory/, 'and said');
$reader->query('COMMIT');
($held, $said) = wipe(q{'public.others'});
is("@{ $held->{others} }[0, 1, 3, 4] $said", '1 2 0 t ', 'once the cursor is closed: done');
none_is_left($node->data_dir, 'none then');
$reader->quit;

# Statistics. ---------------------------------------------------------------------------------------------------------
emit_signed(40);
$node->safe_psql('postgres', 'ANALYZE spine.events');
is($node->safe_psql('postgres', q{SELECT string_agg(DISTINCT attname, ' ') FROM pg_stats WHERE schemaname = 'spine' AND tablename ~ '^events' AND attname ~ 'payload$|personal$|salt$'}), '', 'ANALYZE keeps no value that can be erased');
$node->safe_psql('postgres', UNGUARD . <<"SQL");
ALTER TABLE spine.events ALTER payload SET STATISTICS 100, ALTER personal SET STATISTICS 100;
CREATE INDEX added ON spine.events_default ((payload ->> 'a'));
CREATE STATISTICS public.added ON (payload ->> 'a'), (personal ->> 'a') FROM spine.events;
ANALYZE spine.events;
ALTER TABLE spine.events ALTER payload SET STATISTICS 0, ALTER personal SET STATISTICS 0;
CHECKPOINT;
SQL
# A row of theirs may lie in their TOAST table.
my @kept_by = split /\n/, $node->safe_psql('postgres', q{SELECT pg_relation_filepath(one) || ' ' || relname FROM pg_class, unnest(ARRAY[oid, nullif(reltoastrelid, 0)]) one
	WHERE relname IN ('pg_statistic', 'pg_statistic_ext_data', 'added') AND pg_relation_filepath(one) IS NOT NULL});
my %file = map { split / / } @kept_by;
my %in = map { $file{$_} // '-' => 1 } places($node->data_dir);
ok($in{$_}, "$_ holds values") foreach qw(pg_statistic pg_statistic_ext_data added);
erase($s);
my ($with_index, $told) = wipe();
is($with_index->{'spine.added'}[4], '', 'of an index that somebody added it cannot be told');
like($told, qr/what is left in index added cannot be told: it holds what can be erased\nHINT: .*REINDEX INDEX CONCURRENTLY/, 'and said');
is($with_index->{pg_statistic}[4] . $with_index->{pg_statistic_ext_data}[4], 'ff', 'statistics: removed by this transaction');
like($told, qr/old versions are left in pg_catalog\.pg_statistic: this transaction may still read them/, 'which is said');
my $rest;
foreach my $call (1 .. 200)
{
	($rest) = wipe();
	last unless grep { $_->[4] eq 'f' } values %$rest;
	usleep(50_000);
}
is($rest->{pg_statistic}[4] . $rest->{pg_statistic_ext_data}[4], 'tt', 'statistics: then done');
$node->safe_psql('postgres', 'REINDEX INDEX CONCURRENTLY spine.added');
$node->safe_psql('postgres', 'CHECKPOINT');
none_is_left($node->data_dir, 'none in statistics, nor in the index that was made anew', @salts);
$node->safe_psql('postgres', UNGUARD . 'DROP STATISTICS public.added; DROP INDEX spine.added');

# A damaged page is named and not touched. ------------------------------------------------------------------------------
is_intact('at last');
my ($of_others) = wipe(q{'public.others'});
is(join(' ', sort grep { !/^pg_(?!toast)/ && !/^pg_toast_2619$|^pg_toast_3429$/ } map { s/^pg_toast\.//r } keys %$of_others) =~ s/pg_toast_\d+/toast/r, 'others toast', 'another table of events can be wiped');
my $path = $node->safe_psql('postgres', q{TRUNCATE public.others; INSERT INTO public.others SELECT * FROM spine.events WHERE payload IS NOT NULL LIMIT 200; SELECT pg_relation_filepath('public.others')});
$node->safe_psql('postgres', 'CHECKPOINT');
$node->stop;
system_or_bail('pg_checksums', '--disable', '-D', $node->data_dir);
my $clean = slurp_file($node->data_dir . "/$path");
my $line = unpack 'V', substr $clean, 24, 4;
my %damage = (
	'a row that lies outside'  => pack('V', ($line & ~0x7fff) | 8190),
	'a row in the header'      => pack('V', ($line & ~0x7fff) | 8),
	'a row in another'         => pack('V', ($line & ~0x7fff) | ((unpack 'V', substr $clean, 28, 4) & 0x7fff)),
	'a row of no length'       => pack('V', $line & 0x1ffff),
	'one too long'             => pack('V', $line | 0xfffe0000));
foreach my $name (sort keys %damage)
{
	my $bytes = $clean;
	substr($bytes, 24, 4) = $damage{$name};
	put_file($node->data_dir . "/$path", $bytes);
	$node->start;
	my $server = postmaster_of($node);
	is_refused($node, 'postgres', q{SELECT * FROM spine.wipe_erased('public.others')}, 'SP080', $name, hint => 'backup');
	alive($node, $server, "$name: the server runs");
	$node->stop;
	ok(slurp_file($node->data_dir . "/$path") eq $bytes, "$name: nothing was changed");
}
done_testing;
