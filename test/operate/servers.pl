# Many servers (docs/scale.md): tenants in cells, with business functions that PL/Proxy runs where the tenant is; a tenant that moves
# to another cell; an archive that keeps what its source retired. script/operate runs this.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Test::More;

my $actor = '00000000-0000-4000-8000-0000000000a1';
# One organization's events: which are intact, from where to where, and the head.
sub chain { my ($node, $org) = @_; return $node->safe_psql('postgres', "SELECT intact, first_sequence, last_sequence, encode(head_hash, 'hex') FROM spine.verify_chain('$org')") }

subtest 'cells' => sub {
	my @cells = map { spine_node("cell$_") } 0, 1;
	foreach my $cell (@cells)
	{
		$cell->safe_psql('postgres', <<'SQL');
CREATE TABLE employee (id uuid PRIMARY KEY, organization uuid NOT NULL, name text NOT NULL);
CREATE FUNCTION hire(organization uuid, actor uuid, employee uuid, name text) RETURNS uuid LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO employee VALUES ($3, $1, $4);
  RETURN spine.emit_event('hcm.employee.created', entity_id => $3, actor_id => $2, organization_id => $1);
END $$;
CREATE ROLE router LOGIN;
GRANT INSERT, SELECT ON employee TO router;
SELECT spine.grant_emitter('router');
SQL
	}
	my $router = PostgreSQL::Test::Cluster->new('router');
	$router->init;
	$router->start;
	$router->safe_psql('postgres', <<"SQL");
CREATE EXTENSION plproxy;
CREATE SERVER cells FOREIGN DATA WRAPPER plproxy OPTIONS (@{[ join ', ', map { "p$_ 'host=@{[$cells[$_]->host]} port=@{[$cells[$_]->port]} dbname=postgres'" } 0, 1 ]});
CREATE USER MAPPING FOR PUBLIC SERVER cells OPTIONS (user 'router');
CREATE TABLE tenant (organization uuid PRIMARY KEY, cell integer, CHECK (cell IN (0, 1)));
CREATE FUNCTION cell_of(organization uuid) RETURNS integer LANGUAGE plpgsql STABLE AS \$\$
DECLARE
  found_cell integer := (SELECT cell FROM tenant t WHERE t.organization = \$1);
BEGIN
  IF found_cell IS NULL THEN RAISE EXCEPTION 'organization % has no cell, or moves', \$1; END IF;
  RETURN found_cell;
END \$\$;
CREATE FUNCTION hire(organization uuid, actor uuid, employee uuid, name text) RETURNS uuid LANGUAGE plproxy AS
  \$\$ CLUSTER 'cells'; RUN ON cell_of(organization); \$\$;
INSERT INTO tenant VALUES ('@{[org(1)]}', 0), ('@{[org(2)]}', 1);
SQL
	my $hire = sub { my ($n, $name) = @_; "SELECT hire('@{[org($n)]}', '$actor', gen_random_uuid(), $name)" };
	my $counts = sub { my ($cell) = @_; $cells[$cell]->safe_psql('postgres', q(SELECT (SELECT count(*) FROM employee), (SELECT count(*) FROM spine.events WHERE event_type = 'hcm.employee.created'))) };
	$router->safe_psql('postgres', $hire->(1, q('Ada'))) foreach 1 .. 3;
	$router->safe_psql('postgres', $hire->(2, q('Grace'))) foreach 1 .. 2;
	is($counts->(0) . ' ' . $counts->(1), '3|3 2|2', 'the function ran where the tenant is: a row and an event');
	is($cells[0]->safe_psql('postgres', q(SELECT DISTINCT recorded_by FROM spine.events WHERE event_type = 'hcm.employee.created')), 'router',
		'every event was recorded by the router\'s role');
	my ($status, undef, $err) = $router->psql('postgres', $hire->(1, 'NULL'));
	isnt($status, 0, 'an error of the cell is the caller\'s');
	is($counts->(0), '3|3', 'and leaves neither row nor event');
	$router->safe_psql('postgres', 'BEGIN; ' . $hire->(1, q('Edsger')) . '; ROLLBACK');
	is($counts->(0), '4|4', 'but what the router rolls back is committed in the cell: row and event together');
	isnt(($router->psql('postgres', $hire->(3, q('Nobody'))))[0], 0, 'a tenant without a cell is an error');

	# A tenant moves: it is taken out of the routing, its events are copied as they are, and it is put in again.
	my $before = chain($cells[0], org(1));
	like($before, qr/^t\|1\|4\|/, 'the chain in the first cell');
	$router->safe_psql('postgres', "UPDATE tenant SET cell = NULL WHERE organization = '@{[org(1)]}'");
	isnt(($router->psql('postgres', $hire->(1, q('Too early'))))[0], 0, 'while it moves, nothing is done for it');
	my $file = PostgreSQL::Test::Utils::tempdir() . '/events';
	$cells[0]->safe_psql('postgres', "COPY (SELECT * FROM spine.events WHERE organization_id = '@{[org(1)]}') TO '$file' (FORMAT binary)");
	$cells[1]->safe_psql('postgres', "COPY spine.events FROM '$file' (FORMAT binary)");
	is(chain($cells[1], org(1)), $before, 'in the second cell it is the same');
	$router->safe_psql('postgres', "UPDATE tenant SET cell = 1 WHERE organization = '@{[org(1)]}'");
	$router->safe_psql('postgres', $hire->(1, q('Barbara')));
	like(chain($cells[1], org(1)), qr/^t\|1\|5\|/, 'and goes on there');
	is(chain($cells[0], org(1)), $before, 'in the first cell it stays as it was');
	$_->stop foreach $router, @cells;
};

subtest 'an archive' => sub {
	my $clock = PostgreSQL::Test::Utils::tempdir() . '/clock';
	my $set_days = sub { put_file("$clock.new", $_[0] * 86400); rename "$clock.new", $clock or die $! };
	$set_days->(-28);
	my $source;
	{
		local $ENV{LD_PRELOAD} = build_preload('test/fault/clock.c');
		local $ENV{SPINE_CLOCK} = $clock;
		$source = spine_node('source', allows_streaming => 'logical', conf => "wal_sender_timeout = 0\n");
	}
	my $archive = spine_node('archive', conf => "wal_receiver_timeout = 0\n");
	$source->safe_psql('postgres', q(SELECT count(*) FROM spine.create_partitions('7 days', 5)));
	my $emit = sub { my ($n) = @_; $source->safe_psql('postgres', "SELECT spine.emit_event('hcm.employee.created', entity_id => '@{[org($n)]}', actor_id => '$actor', organization_id => '@{[org($n)]}',
		personal => '{\"name\": \"Ada\"}')") };
	$emit->($_) foreach 1, 1, 2;
	$source->safe_psql('postgres', q(CREATE PUBLICATION archive FOR TABLE spine.events WITH (publish = 'insert, update', publish_via_partition_root = true)));
	$archive->safe_psql('postgres', q(CREATE SUBSCRIPTION archive CONNECTION ') . $source->connstr . q( dbname=postgres' PUBLICATION archive));
	$archive->wait_for_subscription_sync($source, 'archive');
	$set_days->(-14);
	$emit->($_) foreach 1, 2;
	$source->safe_psql('postgres', "SELECT FROM spine.erase_events('@{[org(2)]}', (SELECT array_agg(id) FROM spine.events WHERE organization_id = '@{[org(2)]}' AND sequence = 1), 'request 7')");
	$set_days->(0);
	$emit->(1);
	is($source->safe_psql('postgres', q(SELECT count(*) > 0 FROM spine.retire_events(now() - interval '20 days', 'the archive keeps them'))), 't', 'the source retires what is old');
	$emit->(1);
	$source->wait_for_catchup('archive');
	like(chain($source, org(1)), qr/^t\|3\|5\|/, 'there the chain begins behind the anchor');
	like(chain($archive, org(1)), qr/^t\|1\|5\|/, 'in the archive it has all its events');
	is((split /\|/, chain($archive, org(1)))[3], (split /\|/, chain($source, org(1)))[3], 'and the same head');
	is($archive->safe_psql('postgres', "SELECT personal IS NULL, personal_hash IS NOT NULL FROM spine.events WHERE organization_id = '@{[org(2)]}' AND sequence = 1"), 't|t',
		'what was erased is erased in the archive');
	like(chain($archive, org(2)), qr/^t\|1\|3\|/, 'and its chain is intact');
	# What is erased after the event was retired, the source cannot find; the archive can.
	my $old = $archive->safe_psql('postgres', "SELECT id FROM spine.events WHERE organization_id = '@{[org(1)]}' AND sequence = 1");
	is(sqlstate($source, 'postgres', "SELECT FROM spine.erase_events('@{[org(1)]}', ARRAY['$old']::uuid[], 'request 8')"), 'SP071', 'an erasure in the source does not find what was retired');
	$_->stop foreach $archive, $source;
};
done_testing;
