# Erasures where the events are copied to: a physical standby, a logical subscriber, prepared transactions, a dump, and a
# backup that is older than they are.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Spine;

my $primary = spine_node('primary', allows_streaming => 'logical', conf => "max_prepared_transactions = 4\n");
my ($one, $two) = map { org($_) } 1, 2;
my $ada = org(77);

sub emit
{
	my ($node, $organization, $count) = @_;
	$node->safe_psql('postgres', "SELECT spine.emit_event('hcm.employee.updated', entity_id => '$ada', actor_id => '$one', organization_id => '$organization', personal => jsonb_build_object('name', 'Ada ' || n, 'large', (SELECT string_agg(md5((n * i)::text), '') FROM generate_series(1, CASE WHEN n = 2 THEN 3000 ELSE 1 END) i))) FROM generate_series(1, $count) n");
}
my $erase = sub { "SELECT events, parts_gone FROM spine.erase_entity('$_[0]', 'hcm', 'employee', '$ada', 'art. 17')" };
my $personal = "SELECT count(personal), count(personal_hash) FROM spine.events WHERE entity_id = '$ada' AND organization_id = ";
sub chains { $_[0]->safe_psql('postgres', "SELECT right(organization_id::text, 4), intact, events, encode(head_hash, 'hex') FROM spine.verify_chain() WHERE organization_id IN ('$one', '$two')") }

emit($primary, $one, 5);
emit($primary, $two, 5);
$primary->backup('before');
my $dump = $primary->basedir . '/before.sql';
$primary->command_ok([ 'pg_dump', '-f', $dump, $primary->connstr('postgres') ], 'a dump from before the erasures');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'before', has_streaming => 1);
$standby->start;
my $subscriber = spine_node('subscriber');
$primary->safe_psql('postgres', 'CREATE PUBLICATION events FOR TABLE spine.events');
my $connection = $primary->connstr('postgres');
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION copy CONNECTION \$\$$connection\$\$ PUBLICATION events");
$subscriber->wait_for_subscription_sync($primary, 'copy') if $subscriber->can('wait_for_subscription_sync');
$subscriber->poll_query_until('postgres', "SELECT count(*) >= 10 FROM spine.events WHERE entity_id = '$ada'");
is($subscriber->safe_psql('postgres', "$personal '$one'"), '5|0', 'the subscriber has what speaks of persons');

# One that commits, one that is prepared and survives a crash.
is($primary->safe_psql('postgres', $erase->($one)), '5|5', 'an erasure');
$primary->safe_psql('postgres', "BEGIN; " . $erase->($two) . "; PREPARE TRANSACTION 'erasure'");
is($primary->safe_psql('postgres', "$personal '$two'"), '5|0', 'prepared, it has not happened');
$primary->stop('immediate');
$primary->start;
$primary->safe_psql('postgres', "COMMIT PREPARED 'erasure'");
is($primary->safe_psql('postgres', "$personal '$two'"), '0|5', 'once committed, it has');
like(chains($primary), qr/\|t\|6\|.*\n.*\|t\|6\|/, 'the chains are intact');

$primary->wait_for_catchup($standby);
is(chains($standby), chains($primary), 'the standby verifies the same');
is($standby->safe_psql('postgres', "$personal '$one'"), '0|5', 'and has lost the same');
is_refused($standby, 'postgres', $erase->($one), '25006', 'erasing on a standby');
is_refused($standby, 'postgres', "SELECT spine.place_hold('$one', 'x')", '25006', 'holding on a standby');

$primary->wait_for_catchup('copy');
is($subscriber->safe_psql('postgres', "$personal '$one'"), '0|5', 'the subscriber follows');
is($subscriber->safe_psql('postgres', "$personal '$two'"), '0|5', 'also what was prepared');
is(chains($subscriber), chains($primary), 'its chains are the same');
is($subscriber->safe_psql('postgres', "SELECT count(*) FROM spine.find_chain_faults()"), '0', 'and have no fault');
is_refused($subscriber, 'postgres', "UPDATE spine.events SET personal = NULL, personal_salt = NULL, personal_hash = sha256(''::bytea)", 'SP013', 'an UPDATE by hand there');

# What no erasure is, does not get through replication either.
$primary->safe_psql('postgres', GUARDS_OFF . "ALTER TABLE spine.events DISABLE TRIGGER ALL; UPDATE spine.events SET severity = 'critical' WHERE organization_id = '$one' AND sequence = 3; " . TRIGGERS_ON . GUARDS_ON);
ok(wait_for_text($subscriber, qr/events are immutable: UPDATE of table "events" is refused/), 'an altered event is refused by the subscriber');
is($subscriber->safe_psql('postgres', "SELECT severity FROM spine.events WHERE organization_id = '$one' AND sequence = 3"), 'low', 'and its own stays');
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION copy DISABLE; ALTER SUBSCRIPTION copy SET (slot_name = NONE); DROP SUBSCRIPTION copy');
$subscriber->stop;
$primary->safe_psql('postgres', GUARDS_OFF . "ALTER TABLE spine.events DISABLE TRIGGER ALL; UPDATE spine.events SET severity = 'low' WHERE organization_id = '$one' AND sequence = 3; " . TRIGGERS_ON . GUARDS_ON);

# A dump holds hashes in place of what is gone, and holds; it comes back as it was.
$primary->safe_psql('postgres', "SELECT spine.place_hold('$one', 'case 7', domain => 'crm')");
my $chains = chains($primary);
my $after = $primary->basedir . '/after.sql';
$primary->command_ok([ 'pg_dump', '-f', $after, $primary->connstr('postgres') ], 'a dump from after the erasures');
unlike(slurp_file($after), qr/Ada/, 'the dump does not name her');
$primary->safe_psql('postgres', 'CREATE DATABASE restored');
$primary->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $after, $primary->connstr('restored') ], 'it is restored');
is($primary->safe_psql('restored', "SELECT right(organization_id::text, 4), intact, events, encode(head_hash, 'hex') FROM spine.verify_chain() WHERE organization_id IN ('$one', '$two')"), $chains, 'with the same chains');
is($primary->safe_psql('restored', "SELECT reason FROM spine.legal_holds WHERE released_at IS NULL"), 'case 7', 'and the hold');

# A backup from before the erasures: what was kept of them is applied again.
my $kept = $primary->safe_psql('postgres', "SELECT jsonb_agg(to_jsonb(e)) FROM spine.events e WHERE event_type = 'platform.personal.erased'");
unlike($kept, qr/Ada/, 'what is kept of erasures names nobody');
$primary->safe_psql('postgres', 'CREATE DATABASE old');
$primary->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $primary->connstr('old') ], 'an older dump is restored');
$primary->safe_psql('postgres', "ALTER DATABASE old SET people_os_spine.environment = 'test'");
is($primary->safe_psql('old', "$personal '$one'"), '5|0', 'and has her name again');
is($primary->safe_psql('old', "SELECT right(of_organization::text, 1), events, parts_gone FROM spine.repeat_erasures(\$\$$kept\$\$) ORDER BY 1"), "1|5|5\n2|5|5", 'the erasures are repeated');
is($primary->safe_psql('old', "$personal '$one'"), '0|5', 'her name is gone');
is($primary->safe_psql('old', "SELECT count(*) FROM spine.repeat_erasures(\$\$$kept\$\$)"), '0', 'again, there is nothing to do');
is($primary->safe_psql('old', "SELECT count(*) FROM spine.verify_chain() WHERE NOT intact"), '0', 'and the chains are intact');

# By parallel workers, whatever part of the table each reads.
$primary->safe_psql('postgres', "SELECT spine.emit_event('hcm.employee.updated', entity_id => gen_random_uuid(), actor_id => '$one', organization_id => '$two', personal => '{\"name\": \"Bob\"}') FROM generate_series(1, 3000)");
$primary->safe_psql('postgres', "SELECT spine.erase_events('$two', ids, 'many') FROM (SELECT array_agg(id) AS ids FROM spine.events WHERE organization_id = '$two' AND sequence % 3 = 0 AND domain = 'hcm') i");
my $parallel = "SET min_parallel_table_scan_size = 0; SET max_parallel_maintenance_workers = 2;";
is($primary->safe_psql('postgres', "$parallel SELECT intact, faults FROM spine.verify_chain('$two')"), 't|0', 'workers find what was said of what is gone');
$primary->safe_psql('postgres', GUARDS_OFF . "ALTER TABLE spine.events DISABLE TRIGGER ALL; UPDATE spine.events SET personal = NULL, personal_salt = NULL, personal_hash = sha256(personal_salt || convert_to(spine.canonical_json(personal), 'UTF8')) WHERE organization_id = '$two' AND sequence IN (1000, 2000); " . TRIGGERS_ON . GUARDS_ON);
is($primary->safe_psql('postgres', "$parallel SELECT string_agg(sequence || ' ' || fault, ', ' ORDER BY sequence) FROM spine.find_chain_faults()"), '1000 part_missing, 2000 part_missing', 'and what is gone without a word');
agrees_with_model($primary, rows_of($primary), 'the model finds the same');
agrees_with_model($primary, rows_of($primary), 'also in a range', from => 900, to => 1500);
is($primary->safe_psql('postgres', "SELECT string_agg(sequence || ' ' || fault, ', ' ORDER BY sequence) FROM spine.find_chain_faults('$two', 900, 1500)"), '1000 part_missing', 'so does a range');
$standby->stop;
$primary->stop;
done_testing;

# Whether a node's log says it before long.
sub wait_for_text
{
	my ($node, $pattern) = @_;
	foreach (1 .. 300)
	{
		return 1 if slurp_file($node->logfile) =~ $pattern;
		select(undef, undef, undef, 0.1);
	}
	return 0;
}
