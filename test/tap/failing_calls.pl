# Each call of the extension that can fail does, once: what takes memory, of the server or of the core, what may raise an
# error in the server, what OpenSSL does. Each time there is a clear error, the session goes on, the next event is emitted
# and the chains are right.
#
# test/fault/failing_calls.cpp is compiled into a copy of the extension and lets the n-th call fail, for n = 1, 2, 3 … until
# an operation meets no failure any more.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Test::More;

# A copy of the server with a copy of the extension ---------------------------------------------------------------------
my %server = copy_of_server();
my $copy   = PostgreSQL::Test::Utils::tempdir();
my $pg_config = $ENV{PG_CONFIG} // "/usr/lib/postgresql/@{[ `postgres --version` =~ /(\d+)/ ]}/bin/pg_config";
system_or_bail('cp', '-a', '.', "$copy/source");
system_or_bail('cp', 'test/fault/failing_calls.cpp', "$copy/source/src/");
my $code = slurp_file('test/fault/failing_calls.cpp');
my @wrapped = ($code =~ /^WRAP\((\w+)\)/mg, $code =~ /^\S.*\b__wrap_(\w+)\(/mg);
my $flags = join ' ', map { "-Wl,--wrap=$_" } @wrapped;
is(system("make -s -C '$copy/source' with_llvm=no PG_CONFIG='$pg_config' PG_LDFLAGS='$flags' >'$copy/log' 2>&1"), 0, 'the extension is built')
  or BAIL_OUT(slurp_file("$copy/log"));
unlink "$server{pkglibdir}/people_os_spine.so";
system_or_bail('cp', "$copy/source/people_os_spine.so", $server{pkglibdir});
$ENV{PATH} = "$server{bindir}:$ENV{PATH}";

my $node = spine_node('failing', conf => "log_statement = none\nlog_min_messages = fatal\nlog_min_error_statement = panic\nmax_prepared_transactions = 4\n");
my $emit = sub { "spine.emit_event('hcm.employee.created', entity_id => gen_random_uuid(), organization_id => '" . org($_[0] // 1) . "', payload => '{\"name\": \"Ada\", \"list\": [1, 2.5, {\"a\": null}]}')" };
my $batch = "SELECT count(*) FROM spine.emit_events('[{\"event_type\": \"a.b.c\", \"organization_id\": \"@{[ org(1) ]}\", \"entity_id\": \"@{[ org(9) ]}\", \"payload\": {\"a\": 1}, \"severity\": \"high\"}, {\"event_type\": \"a.b.d\", \"organization_id\": \"@{[ org(2) ]}\", \"entity_id\": \"@{[ org(9) ]}\"}]')";
my $insert = "INSERT INTO spine.events (event_type, entity_id, organization_id) VALUES ('a.b.c', gen_random_uuid(), '@{[ org(1) ]}')";
# A canonical form beyond what the core keeps from call to call.
my $large = "SELECT spine.emit_event('a.b.c', entity_id => '@{[ org(9) ]}', organization_id => '@{[ org(1) ]}', payload => (SELECT jsonb_build_object('deep', repeat('[', 100) || repeat(']', 100), 'list', jsonb_agg(jsonb_build_object('n', n, 'text', repeat(E'\\t\\u20ac', 20)))) FROM generate_series(1, 1000) n))";
$node->safe_psql('postgres', "ALTER DATABASE postgres SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1'");
$node->safe_psql('postgres', q{
  CREATE ROLE app LOGIN;
  CREATE ROLE other LOGIN;
  CREATE TABLE business (id int);
  CREATE FUNCTION emit_later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM } . $emit->(3) . q{; RETURN NULL; END $$;
  CREATE CONSTRAINT TRIGGER emit_later AFTER INSERT ON business DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION emit_later();
  SELECT } . $emit->(1) . q{;
  CREATE TABLE spare AS SELECT * FROM spine.events;
  UPDATE spare SET id = gen_random_uuid(), organization_id = '} . org(8) . q{';
  SELECT spine.grant_emitter('other', ARRAY['} . org(1) . q{']::uuid[]), spine.grant_reader('other', ARRAY['} . org(1) . q{']::uuid[]);
});

# Where all is right, and little is there.
$node->safe_psql('postgres', 'CREATE DATABASE small');
spine_database($node, 'small');
$node->safe_psql('small', q{
  SELECT count(spine.emit_event('a.b.c', entity_id => o, actor_id => o, organization_id => o)) FROM generate_series(1, 4) n, unnest(ARRAY['} . org(1) . "', '" . org(2) . q{']::uuid[]) o;
  SELECT spine.grant_reader('other', ARRAY['} . org(1) . q{']::uuid[]);
});

# Where nothing is right: altered, missing, duplicated, damaged out of line.
$node->safe_psql('postgres', 'CREATE DATABASE damaged');
spine_database($node, 'damaged');
$node->safe_psql('damaged', GUARDS_OFF . q{
  ALTER TABLE spine.events ALTER payload SET STORAGE EXTERNAL;
  SELECT count(spine.emit_event('a.b.c', entity_id => o, actor_id => o, organization_id => o,
           payload => jsonb_build_object('n', n, 'text', CASE WHEN n = 3 THEN repeat('x', 9000) ELSE 'y' END)))
    FROM generate_series(1, 8) n, unnest(ARRAY['} . org(1) . "', '" . org(2) . q{']::uuid[]) o;
  ALTER TABLE spine.events DISABLE TRIGGER ALL;
  ALTER TABLE spine.events DROP CONSTRAINT events_pkey;
  UPDATE spine.events SET payload = '{}' WHERE sequence = 2;
  DELETE FROM spine.events WHERE sequence = 5;
  INSERT INTO spine.events SELECT * FROM spine.events WHERE sequence = 7 AND organization_id = '} . org(1) . q{';
  CHECKPOINT;
});
my $toast = $node->safe_psql('damaged', "SELECT pg_relation_filepath(reltoastrelid) FROM pg_class WHERE oid = 'spine.events_default'::regclass");
$node->stop;
# The header of a page, which the server itself refuses.
open my $file, '+<:raw', $node->data_dir . "/$toast" or die $!;
print $file "\xff" x 24;
close $file or die $!;
$node->start;

# The operations ------------------------------------------------------------------------------------------------------
my $serial = 0;
my $folder = PostgreSQL::Test::Utils::tempdir();
my %hit;

# state: of the operation without a failure. Each n in a fresh session where cold says so. settings: once a session.
sub survives
{
	my ($name, $sql, %opt) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $state = $opt{state} // '00000';
	my $settings = $opt{settings} // '';
	my $after = $opt{after} // '';
	my $db = $opt{db} // 'postgres';
	my $at_once = $opt{cold} ? 25 : 100;
	(my $combined = $sql) =~ s/;\s*/\\; /g;
	my (@wrong, $done);
	my $count = 0;
	$serial++;
	for (my $first = 1; !$done && $first < 3000; $first += $at_once)
	{
		my $script = "\\set VERBOSITY sqlstate\n\\o /dev/null\n$settings";
		my $warm = $opt{cold} ? '' : "$combined;\nROLLBACK;\n$after\n";
		$script .= $warm;
		for my $n ($first .. $first + $at_once - 1)
		{
			$script .= "\\c\n\\o /dev/null\n$settings" if $opt{cold};
			$script .= <<"SQL";
SET failing.call = '$serial/$n'\\; $combined;
\\warn n $n :SQLSTATE
ROLLBACK;
SET failing.call = '';
SET failing.call = '';
$after
SELECT @{[ $emit->(1) ]};
\\warn next :SQLSTATE
SQL
			$script =~ s/SELECT spine.emit_event\([^;]*;\n\\warn next :SQLSTATE\n\z/SELECT 1;\n\\warn next :SQLSTATE\n/ if $db ne 'postgres';
		}
		my $from = -s $node->logfile;
		my $user = $opt{role} ? " user=$opt{role}" : '';
		IPC::Run::run([ 'psql', '-XAtq', '-d', $node->connstr($db) . $user, '-f', '-' ], '<', \$script, '>', \my $out, '2>', \my $err);
		my %fired;    # by n: a worker counts for itself
		my $log = slurp_file($node->logfile, $from);
		push @{ $fired{$1} }, $2 while $log =~ /^failing call $serial\/(\d+): (\w+)/mg;
		my %seen = $err =~ /^n (\d+) (\w+)$/mg;
		my @next = $err =~ /^next (\w+)$/mg;
		push @wrong, "the session ended: " . substr($err, -300) if @next < $at_once;
		push @wrong, "$first …: the next event: $_" foreach grep { $_ ne '00000' } @next;
		for my $n (sort { $a <=> $b } keys %seen)
		{
			my @calls = @{ $fired{$n} // [] };
			my @wanted = map { /^EVP_(?!MD_CTX_new)/ ? '38000' : $_ eq 'pg_strong_random' ? 'XX000' : '53200' } @calls;
			@wanted = ($state) unless @calls;
			push @wrong, "$n: $seen{$n} instead of @wanted, @calls failed" unless grep { $_ eq $seen{$n} } @wanted;
			$hit{$_}++ foreach @calls;
			$count += @calls;
			$done = 1 unless @calls;
		}
		last if @next < $at_once;
	}
	ok($done && !@wrong, "$name: $count calls failed") or diag(join "\n", @wrong[ 0 .. ($#wrong < 9 ? $#wrong : 9) ]);
	return;
}
my $alone = "SET max_parallel_maintenance_workers = 0;\n";
my $together = "SET min_parallel_table_scan_size = 0; SET max_parallel_maintenance_workers = 1;\n";
my $at_commit = "SET people_os_spine.chain_at = commit;\n";
my $early = "SET people_os_spine.early_lock_release = on; SET people_os_spine.require_durable_commit = on; SET synchronous_commit = off;\n";

survives('emit_event, in a fresh session', "SELECT @{[ $emit->() ]}", cold => 1);
survives('emit_event', "SELECT @{[ $emit->() ]}");
survives('emit_event, chained at the commit, in a fresh session', "SELECT @{[ $emit->() ]}", settings => $at_commit, cold => 1);
survives('emit_event, chained at the commit', "BEGIN; SELECT @{[ $emit->() ]}; COMMIT", settings => $at_commit);
survives('emit_event, chained at the commit, locks released early', "BEGIN; SELECT @{[ $emit->() ]}; COMMIT", settings => $at_commit . $early);
survives('emit_event, locks released early', "BEGIN; SELECT @{[ $emit->() ]}; COMMIT", settings => $early);
survives('emit_event, a large payload', $large, cold => 1);
foreach my $settings ('', $at_commit)
{
	my $when = $settings ? 'at the commit' : 'at once';
	survives("emit_events, $when", $batch, settings => $settings);
	survives("a direct INSERT, $when", "BEGIN; SELECT @{[ $emit->() ]}; $insert; COMMIT", settings => $settings);
	survives("savepoints, $when", "BEGIN; SELECT @{[ $emit->(2) ]}; SAVEPOINT a; SELECT @{[ $emit->() ]}; SELECT spine.chain_pending(); ROLLBACK TO a; SELECT @{[ $emit->() ]}; SAVEPOINT b; SELECT @{[ $emit->() ]}; RELEASE b; COMMIT", settings => $settings);
	survives("a deferred trigger that emits, $when", "BEGIN; SELECT @{[ $emit->() ]}; INSERT INTO business VALUES (1); COMMIT", settings => $settings);
	survives("PREPARE TRANSACTION, $when", "BEGIN; SELECT @{[ $emit->() ]}; PREPARE TRANSACTION 'one'", settings => $settings, after => "ROLLBACK PREPARED 'one';");
	survives("a role of one organization, $when", "SELECT @{[ $emit->() ]}", settings => $settings, cold => 1, role => 'other');
}
survives('a complete row', 'BEGIN; INSERT INTO spine.events SELECT * FROM spare; ROLLBACK', cold => 1);
survives('verify_chain, alone', 'SELECT * FROM spine.verify_chain()', settings => $alone, db => 'small');
survives('verify_chain, with a worker', 'SELECT * FROM spine.verify_chain()', settings => $together, db => 'small');
survives('find_chain_faults, alone', 'SELECT * FROM spine.find_chain_faults()', settings => $alone, db => 'damaged');
survives('find_chain_faults, with a worker', 'SELECT * FROM spine.find_chain_faults()', settings => $together, db => 'damaged');
survives('read_events', "SELECT * FROM spine.read_events('@{[ org(2) ]}', 0, 3)", cold => 1);
survives('a reader of one organization', 'SELECT count(*) FROM spine.events; SELECT count(*) FROM spine.verify_chain()', role => 'other', db => 'small', cold => 1);
survives('EXPLAIN, refused', 'EXPLAIN SELECT count(*) FROM spine.events', role => 'other', state => '42501');
survives('canonical_event and the like', q{SELECT spine.canonical_event(e), spine.event_digest(e), spine.canonical_json(payload), spine.to_cloudevent(e), spine.entity_uuid('a', 'b', 'c') FROM spine.events e LIMIT 1}, cold => 1);
survives('grants', q{BEGIN; SELECT spine.grant_emitter('app'); SELECT spine.grant_reader('app', ARRAY['} . org(1) . q{']::uuid[]); SELECT spine.grant_auditor('app'); SELECT spine.revoke_all('app'); ROLLBACK});
survives('verify_guards', 'SELECT * FROM spine.verify_guards()', cold => 1);
survives('a refused change', 'UPDATE spine.events SET payload = payload', state => 'SP013');
survives('refused DDL', 'ALTER TABLE spine.events ADD COLUMN more text', state => 'SP024', cold => 1);
survives('a refused DROP', 'DROP SCHEMA spine CASCADE', state => 'SP024');
survives('unguarded DDL', q{BEGIN; SET LOCAL people_os_spine.unguard = 'a test'; ALTER TABLE spine.events ADD COLUMN more text; ROLLBACK});
survives('verify_progress', 'SELECT * FROM spine.verify_progress');

is($node->safe_psql('postgres', 'SELECT bool_and(intact AND events = last_sequence), sum(faults) FROM spine.verify_chain()'), 't|0', 'the chains are intact and without a gap');
agrees_with_model($node, rows_of($node), 'says a second opinion');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_locks WHERE locktype = $$advisory$$'), 0, 'no chain is locked');
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC:|leak|still referenced|server process .* exited with exit code/, 'the server went on');
note 'never called: ' . join ' ', grep { !$hit{$_} } @wrapped;
note "$_ calls failed in all" foreach eval join '+', values %hit;
$node->stop;
done_testing();
