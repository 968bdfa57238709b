# Change data capture: what consumers of the WAL (Debezium and its kin) see of spine.events through wal2json and pgoutput,
# as a role that may replicate and owns nothing. docs/standards.md says how.
use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Spine;

my $node = spine_node('decoding', allows_streaming => 'logical', conf => "max_prepared_transactions = 4\n");
my ($one, $other) = map { org($_) } 1, 2;
my @columns = split /\n/, $node->safe_psql('postgres', "SELECT attname FROM pg_attribute WHERE attrelid = 'spine.events'::regclass AND attnum > 0 ORDER BY attnum");
# Arguments of emit_event: a name is the event's action.
sub event
{
	my ($action, $org, $payload) = @_;
	return "event_type => 'a.b.$action', entity_id => '$org', actor_id => '$org', organization_id => '$org', payload => " . ($payload // "'{}'");
}
sub emit { return 'SELECT spine.emit_event(' . event(@_) . ');' }

# The role, its slots and the publication
# Newer releases let no plugin in that the administrator did not name.
if ($node->safe_psql('postgres', "SELECT count(*) FROM pg_settings WHERE name = 'output_plugin_libraries'"))
{
	$node->append_conf('postgresql.conf', "output_plugin_libraries = 'pgoutput, wal2json'");
	$node->reload;
}
$node->safe_psql('postgres', 'CREATE ROLE debezium LOGIN REPLICATION; GRANT CREATE ON DATABASE postgres TO debezium; CREATE ROLE plain LOGIN');
$node->safe_psql('postgres', emit('before', $one));
is_refused($node, 'postgres', 'CREATE PUBLICATION p FOR TABLE spine.events', '42501', 'who does not own the table does not publish it', role => 'debezium');
is_refused($node, 'postgres', "SELECT pg_create_logical_replication_slot('s', 'pgoutput')", '42501', 'who may not replicate makes no slot', role => 'plain');
$node->safe_psql('postgres', "CREATE PUBLICATION spine_events FOR TABLE spine.events WITH (publish_via_partition_root = true); CREATE PUBLICATION spine_b FOR TABLE spine.events WHERE (organization_id = '$other') WITH (publish = 'insert', publish_via_partition_root = true)");

# What is there already is read from the table, as anybody reads it.
my $count = q(SELECT count(*) FROM spine.events WHERE entity_type <> 'rights');
is_refused($node, 'postgres', $count, '42501', 'the right to replicate is none to read', role => 'debezium');
$node->safe_psql('postgres', 'GRANT USAGE ON SCHEMA spine TO debezium; GRANT SELECT ON spine.events TO debezium; GRANT EXECUTE ON FUNCTION spine.may_read TO debezium');
is(is_allowed($node, 'postgres', $count, 'with SELECT alone it reads', role => 'debezium'), 0, 'but no event');
$node->safe_psql('postgres', "SELECT spine.grant_reader('debezium')");
is(is_allowed($node, 'postgres', $count, 'after grant_reader too', role => 'debezium'), 1, 'and all of them');
# Behind the event that the grant is, so that those which are decoded are the ones below.
is_allowed($node, 'postgres', "SELECT pg_create_logical_replication_slot('json', 'wal2json'), pg_create_logical_replication_slot('binary', 'pgoutput'), pg_create_logical_replication_slot('filtered', 'pgoutput')",
	'a role that may replicate makes slots', role => 'debezium');

# Transactions of every kind, which commit in the order of @expected.
my $first = $node->background_psql('postgres', on_error_die => 1);
$first->query('BEGIN;' . emit('begun_first', $one));
$node->safe_psql('postgres', 'BEGIN;' . emit('committed_first', $other) . 'COMMIT');
$first->query('COMMIT');
$first->quit;
$node->safe_psql('postgres', 'BEGIN;' . emit('rolled_back', $one) . 'ROLLBACK;' . emit('after_it', $one));
$node->safe_psql('postgres', 'BEGIN;' . emit('kept', $one) . 'SAVEPOINT s;' . emit('undone', $one) . 'ROLLBACK TO s;' . emit('kept_too', $one) . 'COMMIT');
is(sqlstate($node, 'postgres', 'BEGIN;' . emit('failed', $one) . "SELECT spine.emit_event('no name')"), 'SP001', 'a transaction that fails');
$node->safe_psql('postgres', 'SET people_os_spine.chain_at = commit; BEGIN;' . emit('late', $other) . emit('later', $other) . 'COMMIT; BEGIN;' . emit('never', $one) . 'ROLLBACK');
$node->safe_psql('postgres', 'SET people_os_spine.early_lock_release = on;' . emit('early', $one));
$node->safe_psql('postgres', "BEGIN;" . emit('prepared', $one) . "PREPARE TRANSACTION 'kept'; BEGIN;" . emit('prepared_in_vain', $other) . "PREPARE TRANSACTION 'vain'; ROLLBACK PREPARED 'vain';" . emit('meanwhile', $other) . "COMMIT PREPARED 'kept'");
$node->safe_psql('postgres', "INSERT INTO spine.events (event_type, entity_id, actor_id, organization_id) VALUES ('a.b.inserted', '$one', '$one', '$one')");
$node->safe_psql('postgres', "SELECT spine.emit_events(jsonb_build_array(jsonb_build_object('event_type', 'a.b.one', 'entity_id', '$one', 'actor_id', '$one', 'organization_id', '$one'),
	jsonb_build_object('event_type', 'a.b.two', 'entity_id', '$one', 'actor_id', '$one', 'organization_id', '$one', 'actor_type', 'pipeline', 'severity', 'critical')))");
$node->safe_psql('postgres', emit('wide', $one, "(SELECT jsonb_object_agg(i, md5(i::text)) FROM generate_series(1, 2000) i)")
	. emit('exact', $one, q('{"n": [12345678901234567890, 0.1000000000000000055, 1.50], "é😀": "\\\\ \" \u0001 line\n", "": [null, true, {}]}')));
my @expected = qw(committed_first begun_first after_it kept kept_too late later early meanwhile prepared inserted one two wide exact);
is($node->safe_psql('postgres', "$count AND action <> 'before'"), scalar @expected, 'that many events are stored');
my $end = $node->lsn('flush');

# [action => [the columns as the server shows them]], bytea in hex
my %stored;
foreach my $action (@expected)
{
	my $row = $node->safe_psql('postgres', "SET TimeZone = 'UTC'; SELECT json_build_array(" . join(', ', map { qq("$_"::text) } @columns) . ") FROM spine.events WHERE action = '$action'");
	$stored{$action} = decode_json($row);
}
my ($action_at) = grep { $columns[$_] eq 'action' } 0 .. $#columns;

# Rows that were decoded are the stored ones, in commit order, and no others.
sub are_stored
{
	my ($rows, $name, @actions) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is_deeply([ map { $_->[$action_at] } @$rows ], \@actions, "$name: in commit order, and none that was rolled back");
	is_deeply($rows, [ map { $stored{$_} } @actions ], "$name: every column as it is stored");
	return;
}

# wal2json through the replication protocol
{
	local $ENV{PGUSER}    = 'debezium';
	local $ENV{PGOPTIONS} = '-c TimeZone=UTC';
	my $lines = $node->pg_recvlogical_upto('postgres', 'json', $end, 60,
		'format-version' => 2, 'add-tables' => 'spine.events_default', 'include-transaction' => 'false', 'include-pk' => 'true');
	# Its numbers are kept as text.
	my $json = JSON::PP->new->utf8->allow_bignum;
	my (@rows, %kinds);
	foreach my $change (map { $json->decode($_) } grep { /\S/ } split /\n/, $lines)
	{
		$kinds{"$change->{action} $change->{schema}.$change->{table} " . join ',', map { $_->{name} } @{ $change->{pk} }}++;
		my %value = map { $_->{name} => defined $_->{value} ? "$_->{value}" : undef } @{ $change->{columns} };
		$_ = "\\x$_" foreach grep { defined } @value{qw(previous_hash event_hash payload_salt personal_salt)};    # wal2json leaves that away
		push @rows, [ @value{@columns} ];
	}
	is_deeply(\%kinds, { 'I spine.events_default organization_id,timestamp,sequence' => scalar @expected }, 'wal2json: inserts into the partition of spine.events, by the primary key');
	are_stored(\@rows, 'wal2json', @expected);
}

# pgoutput, its messages taken apart
sub pgoutput
{
	my ($slot, $publication) = @_;
	my $out = is_allowed($node, 'postgres', "SET TimeZone = 'UTC'; SELECT encode(data, 'hex') FROM pg_logical_slot_get_binary_changes('$slot', '$end', NULL, 'proto_version', '1', 'publication_names', '$publication')",
		"pgoutput of $publication", role => 'debezium');
	my (@rows, %relation, %type, @transactions);
	foreach my $message (map { pack 'H*', $_ } split /\n/, $out)
	{
		my ($kind, $rest) = unpack 'a a*', $message;
		if ($kind eq 'B') { push @transactions, 0 }
		elsif ($kind eq 'C') { }
		elsif ($kind eq 'Y')
		{
			my ($oid, $schema, $name) = unpack 'N Z* Z*', $rest;
			$type{$oid} = "$schema.$name";
		}
		elsif ($kind eq 'R')
		{
			my ($oid, $schema, $name, $identity, $count, $list) = unpack 'N Z* Z* a n a*', $rest;
			my @fields = unpack '(C Z* N N)*', $list;
			my @parts;
			push @parts, [ splice @fields, 0, 4 ] while @fields;
			$relation{$oid} = { name => "$schema.$name", identity => $identity, columns => [ map { $_->[1] } @parts ], key => [ map { $_->[1] } grep { $_->[0] & 1 } @parts ] };
		}
		elsif ($kind eq 'I')
		{
			my ($oid, $new, $count, $tuple) = unpack 'N a n a*', $rest;
			die "an Insert of $new" if $new ne 'N' || !$relation{$oid};
			my @row;
			while (length $tuple)
			{
				(my $form, $tuple) = unpack 'a a*', $tuple;
				die 'a value that is neither text nor null' if $form !~ /[tn]/;
				(my $text, $tuple) = $form eq 't' ? unpack('N/a a*', $tuple) : (undef, $tuple);
				utf8::decode($text) if defined $text;
				push @row, $text;
			}
			die 'columns are missing' if @row != $count;
			push @rows, \@row;
			$transactions[-1]++;
		}
		else { die "a message '$kind'" }
	}
	return (\@rows, [ values %relation ], [ sort values %type ], \@transactions);
}
my ($rows, $relations, $types, $transactions) = pgoutput('binary', 'spine_events');
# The server also describes the partition.
is_deeply([ grep { $_->{name} eq 'spine.events' } @$relations ], [ { name => 'spine.events', identity => 'd', columns => \@columns, key => [ 'organization_id', 'timestamp', 'sequence' ] } ], 'pgoutput: the table, its columns, and the primary key as its replica identity');
is_deeply($types, [ 'spine.actor_type', 'spine.environment', 'spine.severity' ], 'pgoutput: the enums by name');
are_stored($rows, 'pgoutput', @expected);
is_deeply([ grep { $_ } @$transactions ], [ 1, 1, 1, 2, 2, 1, 1, 1, 1, 2, 1, 1 ], 'pgoutput: what was committed together comes together');
($rows) = pgoutput('filtered', 'spine_b');
are_stored($rows, 'pgoutput with a row filter', qw(committed_first late later meanwhile));

# The stream is not narrowed by row security, the setting, or who asks.
$node->safe_psql('postgres', "SELECT spine.revoke_all('debezium')");
$node->safe_psql('postgres', emit('last', $other));
like($node->safe_psql('postgres', "SET people_os_spine.organization_id = '$one'; SELECT data FROM pg_logical_slot_peek_changes('json', NULL, NULL, 'format-version', '2')", connstr => $node->connstr('postgres') . ' user=debezium'),
	qr/"a\.b\.last"/, 'a role that may replicate sees the events of all organizations, whatever it may read');
# Nothing that it could do to the table it may.
is_refused($node, 'postgres', 'ALTER TABLE spine.events REPLICA IDENTITY FULL', '42501', 'it does not set the replica identity', role => 'debezium');
is_allowed($node, 'postgres', "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots", 'it drops its slots', role => 'debezium');

done_testing();
