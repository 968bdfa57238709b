# examples/adopting/import_history.sql: history comes in whole, in its order and once, whatever is cut short and whoever comes at the same time.
# docs/adopting.md has the recipes, which docs.pl runs.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Test::More;

use constant ENTRIES => 20000;

my $node = spine_node('adopting', conf => "restart_after_crash = on\n");
my $sql  = slurp_file('examples/adopting/import_history.sql');
# As a role that may do what the page says, and no more.
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE importer LOGIN;
GRANT CREATE ON SCHEMA public TO importer;
SELECT spine.grant_emitter('importer'), spine.grant_reader('importer', personal => true);
SQL
my $as_importer = $node->connstr('postgres') . ' user=importer';
$node->safe_psql('postgres', $sql, connstr => $as_importer);
$node->safe_psql('postgres', <<"SQL", connstr => $as_importer);
CREATE TABLE old_trail (id bigint PRIMARY KEY, tenant int, at timestamptz, who text, what jsonb);
INSERT INTO old_trail SELECT 3 * n, n % 3, '2020-01-01 00:00+00'::timestamptz + n * interval '1 minute', CASE WHEN n % 5 > 0 THEN 'user ' || n % 7 END,
    jsonb_build_object('n', n, 'amount', (n || '.10')::numeric, 'text', repeat('ä', n % 50)) FROM generate_series(1, @{[ ENTRIES ]}) n;
CREATE VIEW old_history AS SELECT ('00000000-0000-4000-8000-' || lpad(tenant::text, 12, '0'))::uuid AS organization_id, id AS number, at AS occurred_at,
    'history.thing.changed' AS event_type, history_entity('hcm', 'thing', (id % 100)::text) AS entity_id,
    spine.entity_uuid('platform', 'user', who) AS actor_id, to_jsonb(t) AS entry FROM old_trail t;
SQL
my $call = "CALL import_history('old', 'old_history', '@{[ org(99) ]}', step => 500)";
# Starts psql with that, and does not wait for it.
sub begin
{
	my (@commands) = @_;
	return IPC::Run::start([ 'psql', '-X', '-d', $as_importer, map { ('-c', $_) } @commands ], '>', \my $out, '2>&1');
}
sub imported { return $node->safe_psql('postgres', q(SELECT count(*) FROM spine.events WHERE domain = 'history')) }

# Killed in the middle, twice: each time all steps that were committed are there, and no other.
foreach my $n (1, 2)
{
	my $before  = imported();
	my $session = begin("SET application_name = 'importer'", $call);
	$node->poll_query_until('postgres', "SELECT count(*) > $before + 1000 FROM spine.events WHERE domain = 'history'") or die;
	my $pid = $node->safe_psql('postgres', q(SELECT pid FROM pg_stat_activity WHERE application_name = 'importer'));
	if ($n == 1) { $node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)") }
	else { kill 'KILL', $pid }
	$session->finish;
	$node->poll_query_until('postgres', 'SELECT true') or die;
	my $there = imported();
	ok($there > $before + 1000 && $there < ENTRIES, "cut short ($n): some are there ($there)");
	is($there % 500, 0, 'in whole steps');
}
is($node->safe_psql('postgres', 'SELECT count(*), bool_or(is_whole) FROM history_checks'), '3|f', 'which is not taken for the whole');

# What is written meanwhile is left out. Two go on at the same time.
$node->safe_psql('postgres', q(INSERT INTO old_trail VALUES (1000000, 1, now(), NULL, '{}')));
my @sessions = map { begin($call) } 1, 2;
$_->finish foreach @sessions;
is(imported(), ENTRIES, 'all are there, once');
is($node->safe_psql('postgres', q(SELECT count(*), bool_and(is_whole), sum(announced::int), sum(imported) FROM history_checks)), '3|t|' . ENTRIES . '|' . ENTRIES,
	'as many as were announced, with their digests');
is($node->safe_psql('postgres', q(SELECT count(*) FROM spine.events WHERE event_type = 'platform.history.imported')), 3, 'announced once an organization');
is($node->safe_psql('postgres', <<'SQL'), '0|0|0', 'each in its place, with its time, and its actor or the importer');
SELECT count(*) FILTER (WHERE number <= before), count(*) FILTER (WHERE occurred_at <> at), count(*) FILTER (WHERE actor_id <>
    coalesce(spine.entity_uuid('platform', 'user', who), '00000000-0000-4000-8000-000000000099') OR actor_type <> CASE WHEN who IS NULL THEN 'pipeline' ELSE 'human' END::spine.actor_type)
  FROM (SELECT e.*, (payload ->> 'number')::bigint AS number, lag((payload ->> 'number')::bigint) OVER (PARTITION BY organization_id ORDER BY sequence) AS before
          FROM spine.events e WHERE domain = 'history') e JOIN old_trail o ON o.id = number
SQL
is($node->safe_psql('postgres', q(SELECT bool_and(intact), sum(events) FROM spine.verify_chain() WHERE organization_id <> '00000000-0000-0000-0000-000000000000')), 't|' . (ENTRIES + 3), 'the chains are intact');
$node->safe_psql('postgres', $call, connstr => $as_importer);
is($node->safe_psql('postgres', 'SELECT bool_and(is_whole) FROM history_checks', connstr => $as_importer), 't', 'who imported checks it');
is($node->safe_psql('postgres', q(SELECT DISTINCT recorded_by FROM spine.events WHERE domain = 'history')), 'importer', 'and is known');
is(imported(), ENTRIES, 'a further call imports nothing');

# The digest is the old trail's, by whoever computes it, in whatever session.
my $digest = q(SELECT count(*) FROM (SELECT organization_id, encode(sha256(string_agg(history_digest(entry), '' ORDER BY number)), 'hex') AS digest
	FROM old_history WHERE number < 1000000 GROUP BY 1) o JOIN spine.events e USING (organization_id) WHERE e.payload ->> 'digest' = o.digest);
is($node->safe_psql('postgres', "SET TimeZone = 'UTC'; $digest"), 3, 'the digest is that of the old trail');
$node->safe_psql('postgres', 'UPDATE old_trail SET who = NULL WHERE id = 303');
is($node->safe_psql('postgres', "SET TimeZone = 'UTC'; $digest"), 2, 'and no more, where it is changed');
$node->safe_psql('postgres', 'CREATE TABLE short AS SELECT * FROM old_trail WHERE id < 30');
$node->safe_psql('postgres', "CREATE VIEW short_history AS SELECT @{[ org(7) ]}::uuid AS organization_id, id AS number, at AS occurred_at, 'history.thing.changed' AS event_type,
	'@{[ org(1) ]}'::uuid AS entity_id, NULL::uuid AS actor_id, to_jsonb(s) AS entry FROM short s" =~ s/SELECT (\S+)::uuid/SELECT '$1'::uuid/r);
$node->safe_psql('postgres', "SET TimeZone = 'Asia/Kolkata'; CALL import_history('short', 'short_history', '@{[ org(99) ]}', step => 4)");
is($node->safe_psql('postgres', q(SET TimeZone = 'America/New_York'; SELECT is_whole FROM history_checks WHERE source = 'short')), 't', 'the session\'s time zone makes no difference');
is($node->safe_psql('postgres', q(SET TimeZone = 'UTC'; SELECT count(*) FROM spine.events WHERE payload ->> 'digest' = (SELECT encode(sha256(string_agg(history_digest(entry), '' ORDER BY number)), 'hex') FROM short_history))), 1,
	'nor did it for the digest');

# What it refuses, before anything is stored.
my $chains = $node->safe_psql('postgres', 'SELECT count(*) FROM spine.events');
$node->safe_psql('postgres', q(CREATE VIEW none AS SELECT * FROM short_history WHERE false;
	CREATE VIEW nobodys AS SELECT NULL::uuid AS organization_id, number, occurred_at, event_type, entity_id, actor_id, entry FROM short_history;
	CREATE VIEW twice AS SELECT * FROM short_history UNION ALL SELECT * FROM short_history;
	CREATE VIEW unnamed AS SELECT organization_id, number, occurred_at, 'Thing changed' AS event_type, entity_id, actor_id, entry FROM short_history));
foreach ([ 'none', qr/has no entries/ ], [ 'nobodys', qr/without an organization/ ], [ 'twice', qr/of one number/ ])
{
	my ($view, $why) = @$_;
	my (undef, undef, $err) = $node->psql('postgres', "SET people_os_spine.organization_id = '@{[ org(8) ]}'; CALL import_history('$view', '$view', '@{[ org(99) ]}')");
	like($err, $why, "$view: is refused");
	like($err, qr/HINT/, "$view: with a hint");
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM spine.events'), $chains, 'and nothing is stored');
my (undef, undef, $err) = $node->psql('postgres', "CALL import_history('unnamed', 'unnamed', '@{[ org(99) ]}')");
like($err, qr/"Thing changed".*element 0/s, 'an entry that can be no event is named');

# What the names become.
is($node->safe_psql('postgres', q(SELECT string_agg(history_name(n), ' ' ORDER BY i) FROM unnest('{LineItem,Admin::User,"Übung 7",employee,2fa,_x,HTTPRequest}'::text[]) WITH ORDINALITY u(n, i))),
	'line_item admin_user x_bung_7 employee x2fa x_x httprequest', 'names');
is($node->safe_psql('postgres', q(SELECT bool_and(history_entity('hcm', 'a', k) = e) FROM (VALUES ('00000000-0000-4000-8000-0000000000E1', '00000000-0000-4000-8000-0000000000e1'::uuid), ('7', spine.entity_uuid('hcm', 'a', '7')))v(k, e))),
	't', 'and keys');
$node->stop;
done_testing();
