# A stored row that cannot say what it must: each column NULL, whatever its constraint said, in the middle of a chain and at
# its end, and each reader of stored events. It answers, or raises an error that says which event is damaged.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Spine;

my @columns = qw(id event_type domain entity_type entity_id action actor_id actor_type organization_id environment timestamp severity payload
  sequence transaction_id recorded_by previous_hash event_hash payload_salt);
my $node = spine_node('damaged_columns');
my $pid = postmaster_of($node);
read_everything($node);

# Each column has two organizations, and each of them an entity: event 2 of 3 lacks it, or event 3.
sub entity { my ($n) = @_; return sprintf '00000000-0000-4000-9000-%012d', $n }
my $count = 2 * @columns;
$node->safe_psql('postgres', qq{
  SELECT count(spine.emit_event('hcm.employee.created', entity_id => e, actor_id => e, organization_id => o,
           payload => jsonb_build_object('table', 'public.employee', 'after', jsonb_build_object('n', n))))
    FROM (SELECT format('00000000-0000-4000-8000-%s', lpad(o::text, 12, '0'))::uuid, format('00000000-0000-4000-9000-%s', lpad(o::text, 12, '0'))::uuid
            FROM generate_series(1, $count) o) AS x(o, e), generate_series(1, 3) n});
$node->safe_psql('postgres', UNGUARD . 'CREATE UNIQUE INDEX ON spine.events_default (organization_id, sequence); ALTER TABLE spine.events DROP CONSTRAINT events_pkey CASCADE, DROP CONSTRAINT events_payload_check');
my %damaged;
my $damage = '';
foreach my $i (0 .. $#columns)
{
	foreach my $at (2, 3)
	{
		my $n = 2 * $i + $at - 1;
		$damaged{ org($n) } = "$columns[$i] of event $at";
		$damage .= qq{UPDATE spine.events SET "$columns[$i]" = NULL WHERE organization_id = '@{[ org($n) ]}' AND sequence = $at;\n};
	}
}
tamper($node, 'postgres', join('', map { qq(ALTER TABLE spine.events ALTER "$_" DROP NOT NULL;\n) } @columns) . $damage);

my @organizations = map { org($_) } 1 .. $count;
my $organizations = join ',', @organizations;
my $entities = join ',', map { entity($_) } 1 .. $count;
my (%state, %seen);
foreach my $mode ('', "SET default_transaction_isolation = 'repeatable read';", "SET default_transaction_isolation = 'serializable';")
{
	my ($failed, $out, $err) = run_sql($node, 'postgres', "$mode SELECT * FROM public.read_everything('{$organizations}', '{$entities}')");
	is($failed, '', "every reader answers: $mode") or diag($err);
	alive($node, $pid, 'the server runs');
	foreach my $line (split /\n/, $out)
	{
		my ($reader, $organization, $state) = split /\|/, $line, -1;
		$state{$reader}{ $damaged{$organization} } = $state if $mode eq '';
		$seen{"$reader $state"}++;
	}
}
my %readers = readers();
is(join(' ', grep { keys %{ $state{$_} // {} } != $count } sort keys %readers), '', 'each reader was asked for each column');
# What a reader does not need may be NULL; where it cannot do without, it says so.
is(join(' ', grep { !/ (|SP045|SP017)$/ } sort keys %seen), '', 'no other error');
my %cannot = (
	entity_history => [qw(entity_type organization_id sequence)],
	entity_as_of   => [qw(entity_type organization_id sequence timestamp action transaction_id payload)],
	replay         => [qw(id event_type)],
	emit_event     => [qw(timestamp event_hash)]);    # of the chain's end
foreach my $reader (sort keys %cannot)
{
	my @states = map { my $c = $_; [ $c, map { $state{$reader}{"$c of event $_"} } 2, 3 ] } @{ $cannot{$reader} };
	is(join(' ', map { $_->[0] } grep { $_->[2] !~ /^SP0(45|17)$/ } @states), '', "$reader: each column that it needs");
}
foreach my $reader (qw(read_events next_batch verify_chain find_chain_faults record_verification to_cloudevent event_digest read_chain_heads chain_status))
{
	is(join(' ', grep { $state{$reader}{$_} ne '' } sort keys %{ $state{$reader} }), '', "$reader: needs none of them");
}
my @views = qw(audit_log activity_feed events_by_day events_by_domain events_by_type events_by_severity events_by_actor uncounted_events);
foreach my $view (@views, 'refresh_dashboards')
{
	my $sql = $view eq 'refresh_dashboards' ? 'SELECT spine.refresh_dashboards()' : "SELECT count(md5(v::text)) FROM spine.$view v";
	like(sqlstate($node, 'postgres', "BEGIN; $sql; ROLLBACK"), qr/^(|SP045|23502)$/, $view);
}
# The subscriptions' own rows.
my $o = org(1000);
$node->safe_psql('postgres', "SELECT spine.emit_event('hcm.employee.created', entity_id => '$o', actor_id => '$o', organization_id => '$o'); SELECT spine.create_subscription('own', '{$o}')");
my %columns = (
	subscriptions          => [qw(owner redeliver_after created_at)],
	subscription_positions => [qw(organization_id sequence)],
	subscription_batches   => [qw(organizations first_sequences last_sequences events taken_by taken_at delivery)]);
foreach my $table (sort keys %columns)
{
	foreach my $column (@{ $columns{$table} })
	{
		my ($key) = $table eq 'subscriptions' ? 'name' : 'subscription';
		my $drop = $column eq 'organization_id' ? "DROP CONSTRAINT ${table}_pkey, ALTER $column DROP NOT NULL" : "ALTER $column DROP NOT NULL";
		foreach my $call ("spine.next_batch('own')", 'spine.read_subscriptions()', "spine.acknowledge('own', (SELECT min(batch) FROM spine.subscription_batches))")
		{
			next if $column eq 'organization_id' && $call !~ /acknowledge/;    # without its index nobody reads it
			my $state = sqlstate($node, 'postgres', UNGUARD . "BEGIN; SELECT count(*) FROM spine.next_batch('own'); UPDATE spine.subscription_batches SET taken_at = taken_at - interval '1 day'; ALTER TABLE spine.$table $drop; UPDATE spine.$table SET $column = NULL WHERE $key = 'own'; SELECT count(*) FROM $call; ROLLBACK");
			like($state, qr/^(|SP046|SP030)$/, "$call: $table.$column");
			is($state, 'SP046', "$call: $table.$column says so")
			  if ($call =~ /next_batch/ && $column =~ /owner|_sequences/) || ($call =~ /read/ && $column =~ /^(redeliver_after|sequence)$/);
		}
	}
}
alive($node, $pid, 'the server still runs');
note join "\n", map { "$_: $seen{$_}" } sort keys %seen;
done_testing;
