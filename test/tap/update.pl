# ALTER EXTENSION … UPDATE: from every version whose install script is shipped, the newest is what a fresh install of it is,
# to the last comment; events that are stored stay, under the guard. The comparison is proved on made-up older versions, in
# a copy of the installation that is this test's own.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Restored;
use Spine;
use Test::More;

my %copy = copy_of_server();
my $scripts = "$copy{sharedir}/extension/people_os_spine";
my ($newest) = slurp_file("$scripts.control") =~ /^default_version = '(.*)'/m;
my @shipped = map { /--([^-]+)\.sql$/ ? $1 : () } glob("$scripts--*.sql");
ok(scalar(grep { $_ eq $newest } @shipped), "an install script of $newest, the newest, is shipped");

# What an older version may have had otherwise: how it comes to have it, and what the update must then do.
my %differences = (
	'a function'     => [ 'DROP FUNCTION spine.chain_pending()', "CREATE FUNCTION spine.chain_pending() RETURNS bigint LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'spine_chain_pending';
		REVOKE ALL ON FUNCTION spine.chain_pending() FROM PUBLIC; COMMENT ON FUNCTION spine.chain_pending() IS '%function spine.chain_pending()%'" ],
	'what a function runs' => [ "CREATE OR REPLACE FUNCTION spine.event_digest(event spine.events) RETURNS bytea LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'spine_canonical_event'",
		"CREATE OR REPLACE FUNCTION spine.event_digest(event spine.events) RETURNS bytea LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'spine_event_digest'" ],
	'volatility'     => [ 'ALTER FUNCTION spine.canonical_json(jsonb) STABLE', 'ALTER FUNCTION spine.canonical_json(jsonb) IMMUTABLE' ],
	'a function\'s setting' => [ 'ALTER FUNCTION spine.revoke_all(regrole) RESET search_path', 'ALTER FUNCTION spine.revoke_all(regrole) SET search_path = pg_catalog, pg_temp' ],
	'a function\'s default' => [ "CREATE OR REPLACE FUNCTION spine.read_events(organization_id uuid, after_sequence bigint DEFAULT 0, max_events bigint DEFAULT 10) RETURNS SETOF spine.events
		LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE ROWS 1000 AS 'MODULE_PATHNAME', 'spine_read_events'", "CREATE OR REPLACE FUNCTION spine.read_events(organization_id uuid, after_sequence bigint DEFAULT 0,
		max_events bigint DEFAULT 1000) RETURNS SETOF spine.events LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE ROWS 1000 AS 'MODULE_PATHNAME', 'spine_read_events'" ],
	'a function\'s rights' => [ 'GRANT EXECUTE ON FUNCTION spine.emit_events(jsonb) TO PUBLIC', 'REVOKE EXECUTE ON FUNCTION spine.emit_events(jsonb) FROM PUBLIC' ],
	'an owner'       => [ 'ALTER FUNCTION spine.refuse_change() OWNER TO other', 'ALTER FUNCTION spine.refuse_change() OWNER TO CURRENT_USER' ],
	'a comment'      => [ 'COMMENT ON COLUMN spine.events.severity IS NULL', "COMMENT ON COLUMN spine.events.severity IS '%table column spine.events.severity%'" ],
	'the comment of a constraint' => [ "COMMENT ON CONSTRAINT events_pkey ON spine.events IS 'x'", "COMMENT ON CONSTRAINT events_pkey ON spine.events IS '%table constraint events_pkey on spine.events%'" ],
	'a further column' => [ 'ALTER TABLE spine.role_bindings ADD COLUMN x int', 'ALTER TABLE spine.role_bindings DROP COLUMN x' ],
	'a nullable column' => [ 'ALTER TABLE spine.events ALTER action DROP NOT NULL', 'ALTER TABLE spine.events ALTER action SET NOT NULL' ],
	'a column\'s storage' => [ 'ALTER TABLE spine.events ALTER payload SET STORAGE EXTERNAL', 'ALTER TABLE spine.events ALTER payload SET STORAGE EXTENDED' ],
	'a constraint'   => [ 'ALTER TABLE spine.events DROP CONSTRAINT events_sequence_check', "ALTER TABLE spine.events ADD CONSTRAINT events_sequence_check CHECK (sequence >= 1);
		COMMENT ON CONSTRAINT events_sequence_check ON spine.events IS '%table constraint events_sequence_check on spine.events%'" ],
	'a constraint that is not valid' => [ "ALTER TABLE spine.role_bindings DROP CONSTRAINT role_bindings_capability_check; ALTER TABLE spine.role_bindings ADD CONSTRAINT role_bindings_capability_check
		CHECK (capability IN ('emit', 'read', 'audit', 'erase', 'hold')) NOT VALID; COMMENT ON CONSTRAINT role_bindings_capability_check ON spine.role_bindings IS '%table constraint role_bindings_capability_check on spine.role_bindings%'",
		'ALTER TABLE spine.role_bindings VALIDATE CONSTRAINT role_bindings_capability_check' ],
	'an index'       => [ 'DROP INDEX spine.events_timestamp_idx', "CREATE INDEX events_timestamp_idx ON spine.events USING brin (\"timestamp\"); COMMENT ON INDEX spine.events_timestamp_idx IS '%index spine.events_timestamp_idx%'" ],
	'a trigger\'s state' => [ 'ALTER TABLE spine.events ENABLE TRIGGER zz_chain_event', 'ALTER TABLE spine.events ENABLE ALWAYS TRIGGER zz_chain_event' ],
	'a policy'       => [ 'ALTER POLICY read_given ON spine.events USING (true)', 'ALTER POLICY read_given ON spine.events USING (spine.may_read(organization_id))' ],
	'row security'   => [ 'ALTER TABLE spine.events FORCE ROW LEVEL SECURITY', 'ALTER TABLE spine.events NO FORCE ROW LEVEL SECURITY' ],
	'a table\'s rights' => [ 'GRANT SELECT ON spine.role_bindings TO PUBLIC', 'REVOKE SELECT ON spine.role_bindings FROM PUBLIC' ],
	'the schema\'s rights' => [ 'GRANT USAGE ON SCHEMA spine TO PUBLIC', 'REVOKE USAGE ON SCHEMA spine FROM PUBLIC' ],
	'a label'        => [ q(ALTER TYPE spine.environment RENAME VALUE 'stage' TO 'staging'), q(ALTER TYPE spine.environment RENAME VALUE 'staging' TO 'stage') ],
	'a view'         => [ 'DROP VIEW spine.verify_progress; CREATE VIEW spine.verify_progress AS SELECT pid FROM spine.read_verify_progress()', undef ],
	'a sequence'     => [ 'ALTER SEQUENCE spine.subscription_batch INCREMENT 2', 'ALTER SEQUENCE spine.subscription_batch INCREMENT 1' ],
	'what is dumped' => [ q(SELECT pg_catalog.pg_extension_config_dump('spine.verifications', 'WHERE false')), q(SELECT pg_catalog.pg_extension_config_dump('spine.verifications', '')) ],
	'an event trigger\'s state' => [ 'ALTER EVENT TRIGGER people_os_spine_guard ENABLE', 'ALTER EVENT TRIGGER people_os_spine_guard ENABLE ALWAYS' ],
	'nothing'        => [ 'SELECT 1', 'SELECT 1' ]);
my $node = PostgreSQL::Test::Cluster->new('update', install_path => $copy{bindir} =~ s{/bin$}{}r);
$node->init(extra => [ '-E', 'UTF8', '--locale=C.UTF-8' ]);
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE other SUPERUSER');
is($node->safe_psql('postgres', "SELECT setting FROM pg_config WHERE name = 'SHAREDIR'"), $copy{sharedir}, 'the server reads the copy');

# All that the extension consists of, a line a property. Some minor versions of the server note for a column when it was
# made, in pg_attver.
my $properties = <<'SQL';
WITH member AS (
  SELECT classid, objid FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
     AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'people_os_spine')
), relation AS (
  SELECT c.* FROM member JOIN pg_class c ON classid = 'pg_class'::regclass AND objid = c.oid
), object AS (  -- everything that can have a comment
  SELECT classid, objid, 0 AS part FROM member
  UNION ALL SELECT 'pg_class'::regclass, oid, attnum FROM relation JOIN pg_attribute ON attrelid = oid WHERE attnum > 0 AND NOT attisdropped
  UNION ALL SELECT 'pg_class'::regclass, indexrelid, 0 FROM relation JOIN pg_index ON indrelid = oid
  UNION ALL SELECT 'pg_constraint'::regclass, k.oid, 0 FROM relation r JOIN pg_constraint k ON conrelid = r.oid WHERE contype <> 'n'
  UNION ALL SELECT 'pg_trigger'::regclass, t.oid, 0 FROM relation r JOIN pg_trigger t ON tgrelid = r.oid
  UNION ALL SELECT 'pg_policy'::regclass, p.oid, 0 FROM relation r JOIN pg_policy p ON polrelid = r.oid
  UNION ALL SELECT 'pg_rewrite'::regclass, w.oid, 0 FROM relation r JOIN pg_rewrite w ON ev_class = r.oid
), property (classid, objid, part, name, value) AS (
  SELECT classid, objid, part, 'is there', true::text FROM object
  UNION ALL SELECT classid, objid, part, 'comment', CASE WHEN part = 0 THEN obj_description(objid, relname) ELSE col_description(objid, part) END FROM object JOIN pg_class ON oid = classid
  UNION ALL SELECT 'pg_proc'::regclass, f.oid, 0, p.* FROM member JOIN pg_proc f ON classid = 'pg_proc'::regclass AND objid = f.oid,
    LATERAL (VALUES ('definition', pg_get_functiondef(f.oid)), ('owner', proowner::regrole::text), ('rights', coalesce(proacl, acldefault('f', proowner))::text)) p
  UNION ALL SELECT 'pg_class'::regclass, r.oid, 0, p.* FROM relation r LEFT JOIN pg_am a ON a.oid = relam,
    LATERAL (VALUES ('kind', relkind::text), ('persistence', relpersistence::text), ('access method', amname::text), ('options', reloptions::text), ('owner', relowner::regrole::text),
            ('rights', coalesce(relacl, acldefault('r', relowner))::text), ('row security', relrowsecurity || ' ' || relforcerowsecurity), ('replica identity', relreplident::text),
            ('parents', (SELECT string_agg(inhparent::regclass::text, ' ') FROM pg_inherits WHERE inhrelid = r.oid))) p
  UNION ALL SELECT 'pg_class'::regclass, r.oid, attnum, p.* FROM relation r JOIN pg_attribute ON attrelid = r.oid AND attnum > 0 AND NOT attisdropped LEFT JOIN pg_attrdef ON adrelid = r.oid AND adnum = attnum,
    LATERAL (VALUES ('place', (SELECT count(*) FROM pg_attribute b WHERE b.attrelid = r.oid AND b.attnum BETWEEN 1 AND pg_attribute.attnum AND NOT b.attisdropped)::text), ('type', format_type(atttypid, atttypmod)),
            ('not null', attnotnull::text), ('default', pg_get_expr(adbin, adrelid)), ('collation', attcollation::regcollation::text), ('storage', concat(attstorage, attcompression)),
            ('generated', concat(attgenerated, attidentity)), ('rights', attacl::text), ('options', (SELECT string_agg(o, ' ') FROM unnest(attoptions) o WHERE o NOT LIKE 'pg_attver=%')), ('missing value', attmissingval::text)) p
  UNION ALL SELECT 'pg_class'::regclass, seqrelid, 0, p.* FROM relation r JOIN pg_sequence ON seqrelid = r.oid,
    LATERAL (VALUES ('sequence', concat_ws(' ', seqtypid::regtype, seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle))) p
  UNION ALL SELECT 'pg_class'::regclass, indexrelid, 0, p.* FROM relation r JOIN pg_index ON indrelid = r.oid JOIN pg_class i ON i.oid = indexrelid,
    LATERAL (VALUES ('definition', pg_get_indexdef(indexrelid)), ('state', concat_ws(' ', indisvalid, indisready, indislive, indimmediate, indisreplident, indisclustered)), ('options', i.reloptions::text)) p
  UNION ALL SELECT 'pg_constraint'::regclass, k.oid, 0, p.* FROM relation r JOIN pg_constraint k ON conrelid = r.oid, LATERAL (VALUES ('definition', pg_get_constraintdef(k.oid)), ('validated', convalidated::text)) p
  UNION ALL SELECT 'pg_trigger'::regclass, t.oid, 0, p.* FROM relation r JOIN pg_trigger t ON tgrelid = r.oid, LATERAL (VALUES ('definition', pg_get_triggerdef(t.oid)), ('enabled', tgenabled::text)) p
  UNION ALL SELECT 'pg_policy'::regclass, y.oid, 0, p.* FROM relation r JOIN pg_policy y ON polrelid = r.oid,
    LATERAL (VALUES ('definition', concat_ws(' ', polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid), 'check', pg_get_expr(polwithcheck, polrelid)))) p
  UNION ALL SELECT 'pg_rewrite'::regclass, w.oid, 0, p.* FROM relation r JOIN pg_rewrite w ON ev_class = r.oid, LATERAL (VALUES ('definition', pg_get_ruledef(w.oid)), ('enabled', ev_enabled::text)) p
  UNION ALL SELECT 'pg_type'::regclass, t.oid, 0, p.* FROM member JOIN pg_type t ON classid = 'pg_type'::regclass AND objid = t.oid,
    LATERAL (VALUES ('kind', typtype::text), ('labels', (SELECT string_agg(enumlabel, ' ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid)), ('owner', typowner::regrole::text),
            ('rights', coalesce(typacl, acldefault('T', typowner))::text)) p
  UNION ALL SELECT 'pg_event_trigger'::regclass, e.oid, 0, p.* FROM member JOIN pg_event_trigger e ON classid = 'pg_event_trigger'::regclass AND objid = e.oid,
    LATERAL (VALUES ('definition', concat_ws(' ', evtevent, evtfoid::regprocedure, evttags)), ('enabled', evtenabled::text), ('owner', evtowner::regrole::text)) p
  UNION ALL SELECT 'pg_namespace'::regclass, n.oid, 0, p.* FROM pg_namespace n,
    LATERAL (VALUES ('comment', obj_description(n.oid, 'pg_namespace')), ('owner', nspowner::regrole::text), ('rights', coalesce(nspacl, acldefault('n', nspowner))::text),
            ('default rights', (SELECT string_agg(defaclacl::text, ' ') FROM pg_default_acl WHERE defaclnamespace = n.oid)),
            ('everything in it', (SELECT string_agg(pg_describe_object(classid, objid, 0), ', ' ORDER BY pg_describe_object(classid, objid, 0) COLLATE "C") FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND refobjid = n.oid))) p
   WHERE nspname = 'spine'
  UNION ALL SELECT 'pg_extension'::regclass, x.oid, 0, p.* FROM pg_extension x,
    LATERAL (VALUES ('version', extversion), ('schema', extnamespace::regnamespace::text), ('owner', extowner::regrole::text), ('relocatable', extrelocatable::text),
            ('dumped', (SELECT string_agg(t::regclass || ' ' || c, ', ' ORDER BY t::regclass::text) FROM unnest(extconfig, extcondition) u (t, c)))) p
   WHERE extname = 'people_os_spine'
  UNION ALL SELECT i.classoid, i.objoid, i.objsubid, 'rights that no dump holds', array_to_string(ARRAY(SELECT unnest(initprivs)::text ORDER BY 1), ' ') FROM member JOIN pg_init_privs i ON i.classoid = classid AND i.objoid = objid
)
SELECT (pg_identify_object(classid, objid, part)).type || ' ' || (pg_identify_object(classid, objid, part)).identity || E'\t' || name || E'\t' || replace(coalesce(value, '-'), E'\n', ' ')
  FROM property ORDER BY 1
SQL
# What the list above would be silent about.
my $unknown = <<'SQL';
SELECT pg_describe_object(classid, objid, 0) FROM pg_depend LEFT JOIN pg_class c ON classid = 'pg_class'::regclass AND objid = c.oid
 WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'people_os_spine')
   AND NOT (classid IN ('pg_proc'::regclass, 'pg_type'::regclass, 'pg_event_trigger'::regclass, 'pg_namespace'::regclass) OR coalesce(c.relkind IN ('r', 'p', 'v', 'S'), false))
SQL

# Lines of the extension after these statements, which are undone again.
sub lines_after
{
	my ($statements) = @_;
	my (undef, $out, $err) = run_sql($node, 'postgres', "BEGIN; SET LOCAL client_min_messages = error; $statements; $properties; $unknown; ROLLBACK", params => [ '-v', 'ON_ERROR_STOP=1' ]);
	is($err, '', "$statements: done") if $err ne '';
	return [ split /\n/, $out ];
}

sub differing
{
	my ($left, $right) = @_;
	my (%left, %right);
	@left{@$left}   = ();
	@right{@$right} = ();
	return [ (map { "- $_" } grep { !exists $right{$_} } @$left), (map { "+ $_" } grep { !exists $left{$_} } @$right) ];
}

my $fresh = lines_after('CREATE EXTENSION people_os_spine');
cmp_ok(scalar @$fresh, '>', 500, 'a fresh install has many properties');
is(scalar(grep { !/\t/ } @$fresh), 0, 'and no kind of object that is not compared') or diag(join "\n", grep { !/\t/ } @$fresh);
foreach my $version (@shipped)
{
	my $updated = lines_after("CREATE EXTENSION people_os_spine VERSION '$version'; ALTER EXTENSION people_os_spine UPDATE");
	is_deeply(differing($fresh, $updated), [], "$version, updated, is a fresh install of $newest");
}

# The comparison finds each difference alone, and none where the update does it all.
my %comment = map { /^(.*)\tcomment\t(.*)$/ ? ($1 => $2) : () } @$fresh;
my $text = slurp_file("$scripts--$newest.sql");
sub with_comments { my ($sql) = @_; $sql =~ s{%([^%]*)%}{($comment{$1} // die "no comment of $1") =~ s/'/''/gr}ge; return $sql }
sub write_script { my ($name, $sql) = @_; open my $file, '>', "$scripts--$name.sql" or die $!; print $file $sql; close $file; return }
my ($complete_old, $complete_update) = ('', '');
my $k = 0;
foreach my $what (sort keys %differences)
{
	my ($undo, $redo) = map { defined ? with_comments($_) : undef } @{ $differences{$what} };
	$k++;
	write_script("0.$k", "$text\n$undo;\n");
	write_script("0.$k--$newest", "SELECT 1;\n");
	my $found = differing($fresh, lines_after("CREATE EXTENSION people_os_spine VERSION '0.$k'; ALTER EXTENSION people_os_spine UPDATE"));
	if ($what eq 'nothing') { is_deeply($found, [], 'no difference: none is found') }
	else { cmp_ok(scalar @$found, '>', 0, "$what: a difference is found") or next }
	next unless defined $redo;
	$complete_old    .= "$undo;\n";
	$complete_update .= "$redo;\n";
}
write_script('0.0', "$text\n$complete_old");
write_script("0.0--$newest", $complete_update);
is_deeply(differing($fresh, lines_after("CREATE EXTENSION people_os_spine VERSION '0.0'; ALTER EXTENSION people_os_spine UPDATE")), [], 'an update that does it all: no difference');

# Events stored by an older version stay as they are, and sessions go on; without people_os_spine.unguard, with the library
# preloaded and not. Events are emitted as that version emits them.
my @orgs = map { org($_) } 1 .. 3;
write_script('0.0', "$text\nDROP FUNCTION spine.chain_pending(); ALTER TABLE spine.events DROP CONSTRAINT events_sequence_check; DROP INDEX spine.events_timestamp_idx;\n");
write_script("0.0--$newest", with_comments(join ";\n", map { $differences{$_}[1] } 'a function', 'a constraint', 'an index') . ";\n");
foreach my $version ((grep { $_ ne $newest } @shipped), '0.0')
{
	foreach my $library ('people_os_spine', '')
	{
		my $db = 'stored';
		my $name = "$version, " . ($library ? 'preloaded' : 'not preloaded');
		$node->append_conf('postgresql.conf', "shared_preload_libraries = '$library'");
		$node->restart;
		$node->safe_psql('postgres', "DROP DATABASE IF EXISTS $db");
		$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE template0");
		$node->safe_psql('postgres', "ALTER DATABASE $db SET people_os_spine.environment = 'test'");
		$node->safe_psql($db, "CREATE EXTENSION people_os_spine VERSION '$version'");
		my $call = join ', ', map { "spine.emit_event('a.b.c', entity_id => '$_', actor_id => '$_', organization_id => '$_')" } @orgs;
		my $session = $node->background_psql($db, on_error_stop => 1);
		$session->query_safe("SELECT num_nulls($call)") foreach 1 .. 5;
		my %before = %{ state_of($node, $db) };
		my $events = $node->safe_psql($db, 'SELECT count(*) FROM spine.events');
		is_allowed($node, $db, 'ALTER EXTENSION people_os_spine UPDATE', "$name: updated");
		my %after = %{ state_of($node, $db) };
		is_deeply([ @after{qw(verify_chain rows forms)} ], [ @before{qw(verify_chain rows forms)} ], "$name: the same chains and rows, and no event of an unguarded statement");
		is($after{guards}, '', "$name: every guard is there");
		$session->query_safe("SELECT num_nulls($call)");
		is($node->safe_psql($db, 'SELECT count(*) FROM spine.events'), $events + @orgs, "$name: a session that emitted before goes on");
		goes_on($node, $db, $name);
		$session->quit;
	}
}
$node->stop;
done_testing;
