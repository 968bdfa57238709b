# Tenants: roles that were given some organizations emit for them and read them, by every way there is, and learn nothing
# of others: not by a count, a plan, a statistic, an error or a notice.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Spine;

my $node  = spine_node('tenants', allows_streaming => 1, conf => "max_worker_processes = 8\nsession_preload_libraries = ''\n");
my @orgs  = map { org($_) } 1 .. 9;
my $alien = org(99);    # without an event
my @chains = ('00000000-0000-0000-0000-000000000000', @orgs);    # the platform's, where grants are events, and theirs
my %events;
# Each has one event that speaks of a person, and others.
$node->safe_psql('postgres', "SELECT spine.emit_event('hcm.person.named', entity_id => o, organization_id => o, actor_id => o, personal => '{\"name\": \"Ada\"}') FROM unnest(ARRAY[" . join(',', map { "'$_'" } @orgs) . ']::uuid[]) o');
foreach my $n (1 .. 9)
{
	$events{ $orgs[ $n - 1 ] } = 3 * $n + 1;
	emit_chain($node, 3 * $n, $orgs[ $n - 1 ]);
}

# The roles: what each was given, and what it is a member of. 'all' is every organization.
my %roles = (
	app_a    => { emit => [ @orgs[ 0, 1 ] ] },
	app_b    => { emit => [ $orgs[2] ], insert => 1 },
	app_any  => { emit => 'all' },
	app_old  => { plain => 1, insert => 1 },                                                 # may execute and insert, and was given nothing
	reader_a => { read => [ @orgs[ 0, 2 ] ] },
	reader_b => { read => [ @orgs[ 2, 3, 4 ] ], emit => [ $orgs[3] ] },
	readers  => { read => 'all' },
	auditor  => { audit => 'all' },
	person   => { read => [ @orgs[ 0, 4, 8 ] ], personal => 1 },
	persons  => { audit => 'all', personal => 1 },
	selects  => { select => 1 },                                                             # may select, and was given nothing
	nobody   => {},
	bypass   => { read => [ $orgs[0] ], attribute => 'BYPASSRLS' },
	keeper   => { read => [ $orgs[0] ], emit => [ $orgs[0] ], owner => 1 },
	member   => { in => [ 'app_a', 'reader_a' ] },
	several  => { in => [ 'member', 'reader_b', 'app_b' ] },
	wider    => { in => [ 'reader_a', 'auditor' ] },
	mixed    => { in => [ 'reader_b', 'person' ] },
	housed   => { in => ['keeper'] },
	apart    => { in => [ 'readers', 'app_any' ], attribute => 'NOINHERIT' },
	behind   => { in => ['apart'], read => [ $orgs[8] ] },
	bound    => { in => ['app_old'], emit => [ $orgs[5] ] },
	chief    => { super => 1, attribute => 'SUPERUSER' });
my @names = sort keys %roles;

my $setup = '';
my $list  = sub { $_[0] eq 'all' ? 'NULL' : 'ARRAY[' . join(',', map { "'$_'" } @{ $_[0] }) . ']::uuid[]' };
$setup .= "CREATE ROLE $_ LOGIN " . ($roles{$_}{attribute} // '') . ";\n" foreach @names;
foreach my $name (@names)
{
	my $r = $roles{$name};
	my $personal = $r->{personal} ? ', personal => true' : '';
	$setup .= "SELECT spine.grant_emitter('$name', " . $list->($r->{emit}) . ");\n" if $r->{emit};
	$setup .= "SELECT spine.grant_reader('$name', " . $list->($r->{read}) . $personal . ");\n"  if $r->{read};
	$setup .= "SELECT spine.grant_auditor('$name'$personal);\n"                             if $r->{audit};
	$setup .= "GRANT $_ TO $name;\n" foreach @{ $r->{in} // [] };
	$setup .= "GRANT USAGE ON SCHEMA spine TO $name;\n"         if $r->{insert} || $r->{plain} || $r->{select};
	$setup .= "GRANT INSERT ON spine.events TO $name;\n"        if $r->{insert};
	$setup .= "GRANT SELECT ON spine.events TO $name; GRANT EXECUTE ON FUNCTION spine.read_events, spine.verify_chain, spine.find_chain_faults, spine.may_read, spine.shown_event TO $name;\n" if $r->{select};
	$setup .= "GRANT EXECUTE ON FUNCTION spine.emit_event, spine.emit_events TO $name;\n" if $r->{plain};
	$setup .= GUARDS_OFF . "ALTER TABLE spine.events OWNER TO $name;\n" . GUARDS_ON if $r->{owner};
}
# Each probe leaves no trace: what it did is rolled back with the exception that carries its answer out.
$setup .= <<'SQL';
CREATE TABLE probe (id int PRIMARY KEY, login text, acting text, definer text, setting text, command text);
CREATE TABLE answer (id int, answer text);
GRANT SELECT ON probe TO PUBLIC;
GRANT INSERT ON answer TO PUBLIC;
CREATE FUNCTION run_probe(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE answer text;
BEGIN
  EXECUTE command INTO answer;
  RAISE EXCEPTION USING ERRCODE = 'PROBE', MESSAGE = coalesce(answer, '-');
EXCEPTION WHEN SQLSTATE 'PROBE' THEN
  RETURN SQLERRM;
WHEN OTHERS THEN
  RETURN SQLSTATE;
END
$$;
CREATE FUNCTION loaded() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT spine.canonical_json('{}') $$;
CREATE FUNCTION run_probes() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  p probe;
  found text;
BEGIN
  PERFORM loaded();
  FOR p IN SELECT * FROM probe WHERE login = session_user ORDER BY id LOOP
    PERFORM set_config('role', p.acting, false), set_config('people_os_spine.organization_id', p.setting, false);
    IF p.definer = '' THEN found := run_probe(p.command);
    ELSE EXECUTE format('SELECT probe_as_%s($1)', p.definer) INTO found USING p.command;
    END IF;
    PERFORM set_config('role', 'none', false);
    INSERT INTO answer VALUES (p.id, found);
  END LOOP;
END
$$;
SQL
foreach my $name (@names)
{
	$setup .= "CREATE FUNCTION probe_as_$name(command text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS \$\$ BEGIN RETURN public.run_probe(command); END \$\$;\n";
	$setup .= "ALTER FUNCTION probe_as_$name(text) OWNER TO $name;\n";
}
# Faults in two organizations, and a row that cannot say whose it is.
$setup .= GUARDS_OFF . <<SQL . TRIGGERS_ON . GUARDS_ON;
ALTER TABLE spine.events DISABLE TRIGGER ALL;
UPDATE spine.events SET payload = '{"salary": 1}' WHERE organization_id = '$orgs[2]' AND sequence = 2;
DELETE FROM spine.events WHERE organization_id = '$orgs[6]' AND sequence IN (4, 5);
ALTER TABLE spine.events DROP CONSTRAINT events_pkey, ALTER organization_id DROP NOT NULL;
CREATE UNIQUE INDEX ON spine.events_default (organization_id, sequence);
UPDATE spine.events SET organization_id = NULL WHERE organization_id = '$orgs[8]' AND sequence = 28;
SQL
$node->safe_psql('postgres', $setup);
$events{ $chains[0] } = $node->safe_psql('postgres', "SELECT count(*) FROM spine.events WHERE organization_id = '$chains[0]'");
$events{ $orgs[6] } -= 2;
$events{ $orgs[8] } -= 1;

# What the superuser is told, an organization a line; the model says which of the lines others get.
my %summary = map { my ($o) = /^([^|]*)/; ($o => $_) } split /\n/, $node->safe_psql('postgres', summary_sql('NULL', "E'\\n'"));
my %faults;
push @{ $faults{ (split /\|/)[0] } }, $_ foreach split /\n/, $node->safe_psql('postgres', fault_sql('NULL', "E'\\n'"));
is(join(' ', map { $_ eq '-' ? $_ : substr $_, -2 } sort keys %faults), '- 03 07', 'two organizations have faults, and a row of nobody');

# In the tables, also of one organization: so a row that is nobody's is heard of, and workers read.
sub summary_sql
{
	my ($o, $separator) = @_;
	return "SELECT string_agg(concat_ws('|', coalesce(organization_id::text, '-'), coalesce(intact::text, '-'), events, faults, first_fault), $separator) FROM spine.verify_chain($o, thorough => true)";
}

sub fault_sql
{
	my ($o, $separator) = @_;
	return "SELECT string_agg(concat_ws('|', coalesce(organization_id::text, '-'), sequence, fault), $separator) FROM spine.find_chain_faults($o, thorough => true)";
}

# The model
sub privileges_of
{
	my ($name, $seen) = @_;
	$seen //= {};
	$seen->{$name} = 1;
	return keys %$seen if ($roles{$name}{attribute} // '') eq 'NOINHERIT';
	foreach my $in (@{ $roles{$name}{in} // [] }) { privileges_of($in, $seen) unless $seen->{$in} }
	return keys %$seen;
}

sub member_of
{
	my ($name) = @_;
	return @names if $roles{$name}{super};
	my %seen = ($name => 1);
	my @todo = ($name);
	while (my $n = shift @todo) { foreach my $in (@{ $roles{$n}{in} // [] }) { push @todo, $in unless $seen{$in}++ } }
	return sort keys %seen;
}

sub given { my ($what, @as) = @_; return map { $roles{$_}{$what} // () } @as }

sub covers
{
	my ($o, @lists) = @_;
	return scalar grep { $_ eq 'all' || grep({ $_ eq $o } @$_) } @lists;
}

sub model
{
	my ($name, $setting, $way, $o, $other) = @_;
	my @as     = privileges_of($name);
	my $exempt = $roles{$name}{super} || given('owner', @as);
	my $free   = $exempt || ($roles{$name}{attribute} // '') eq 'BYPASSRLS';
	my $may    = sub { $roles{$name}{super} || grep { $_ } map { given($_, @as) } @_ };
	if ($way =~ /^emit|^insert/)
	{
		return '42501' unless $may->($way eq 'insert' ? ('insert', 'owner') : ('emit', 'plain'));
		my @emit = given('emit', @as);
		my @for = $way eq 'emit_events' ? ($o, $other) : $way eq 'emit by setting' ? ($setting || return 'SP005') : ($o);
		return (grep { !$exempt && !covers($_, @emit) } @for) ? '42501' : 'ok';
	}
	return '42501' unless $may->('read', 'audit', 'select');
	my $audits  = given('audit', @as);
	my @lists   = (given('read', @as), given('audit', @as));
	my $narrows = $setting ne '' && !$audits;
	my $reads   = sub { ($_[1] // $free) || (covers($_[0], @lists) && !($narrows && $setting ne $_[0])) };
	my $all     = $free || (!$narrows && grep { $_ eq 'all' } @lists);
	my @visible = grep { $reads->($_) } @chains;
	my $none    = "$o|-|0|0";
	my $rows    = 0;
	$rows += $events{$_} foreach @visible;
	return ($reads->($o, $exempt) ? 'true' : 'false') if $way eq 'may_read';
	return ($reads->($o) ? $events{$o} // 0 : 0)      if $way eq 'select' || $way eq 'read_events';
	my @with    = map { $roles{$_}{personal} ? ($roles{$_}{read} // (), $roles{$_}{audit} // ()) : () } @as;
	my $persons = sub { scalar grep { $_ ne $chains[0] && ($free || covers($_, @with)) } @_ };
	return $persons->(@visible)                       if $way eq 'personal';
	return $persons->($reads->($o) && $o ne $alien ? $o : ()) if $way eq 'personal of';
	return $rows + ($free ? 1 : 0)                    if $way eq 'count';
	return join(',', @visible) || '-'                 if $way eq 'list';
	return join(' ', map({ $summary{$_} } @visible), $all ? $summary{'-'} : ()) || '-' if $way eq 'verify all';
	return join(' ', $reads->($o) && $summary{$o} ? $summary{$o} : $none, $all ? $summary{'-'} : ()) if $way eq 'verify';
	return join(' ', map({ @{ $faults{$_} // [] } } @visible), $all ? @{ $faults{'-'} } : ()) || '-' if $way eq 'faults all';
	return join(' ', $reads->($o) ? @{ $faults{$o} // [] } : (), $all ? @{ $faults{'-'} } : ()) || '-' if $way eq 'faults';
	die $way;
}

sub command_of
{
	my ($way, $o, $other) = @_;
	my $event = "'a.b.c', entity_id => '$alien', actor_id => '$alien'";
	my %json = map { $_ => qq({"event_type": "a.b.c", "entity_id": "$alien", "actor_id": "$alien", "organization_id": "$_"}) } $o, $other;
	my %command = (
		'select'          => "SELECT count(*) FROM spine.events WHERE organization_id = '$o'",
		'count'           => 'SELECT count(*) FROM spine.events',
		'list'            => "SELECT string_agg(DISTINCT organization_id::text, ',' ORDER BY organization_id::text) FROM spine.events",
		'read_events'     => "SELECT count(*) FROM spine.read_events('$o')",
		'personal'        => 'SELECT count(personal) FROM spine.events',
		'personal of'     => "SELECT count(personal) FROM spine.read_events('$o')",
		'may_read'        => "SELECT spine.may_read('$o')",
		'verify'          => summary_sql("'$o'", "' '"),
		'verify all'      => summary_sql('NULL', "' '"),
		'faults'          => fault_sql("'$o'", "' '"),
		'faults all'      => fault_sql('NULL', "' '"),
		'emit_event'      => "SELECT 'ok' FROM spine.emit_event($event, organization_id => '$o')",
		'emit by setting' => "SELECT 'ok' FROM spine.emit_event($event)",
		'emit_events'     => "SELECT DISTINCT 'ok' FROM spine.emit_events('[$json{$o}, $json{$other}]')",
		'insert'          => "WITH i AS (INSERT INTO spine.events (event_type, entity_id, actor_id, organization_id) VALUES ('a.b.c', '$alien', '$alien', '$o')) SELECT 'ok'");
	return $command{$way} // die $way;
}

my @ways = ('select', 'count', 'list', 'read_events', 'personal', 'personal of', 'may_read', 'verify', 'verify all', 'faults', 'faults all',
	'emit_event', 'emit by setting', 'emit_events', 'insert');
my $seed = $ENV{SEED} // time;
srand $seed;
note("SEED=$seed");
my $pick = sub { $_[ int rand @_ ] };
my (@probes, $copy);
foreach my $id (1 .. 10_000)
{
	my $login   = $pick->(@names);
	my $acting  = $pick->(member_of($login));
	my $definer = rand() < 0.2 ? $pick->(@names) : '';
	my $setting = rand() < 0.4 ? $pick->(@orgs, $alien) : '';
	my ($way, $o, $other) = ($pick->(@ways), $pick->(@orgs, $alien), $pick->(@orgs, $alien));
	my $expected = model($definer || $acting, $setting, $way, $o, $other);
	push @probes, [ $id, $login, $acting, $definer, $setting, "$way $o $other", $expected ];
	$copy .= join("\t", $id, $login, $acting, $definer, $setting, command_of($way, $o, $other)) . "\n";
}
$node->safe_psql('postgres', "COPY probe FROM STDIN;\n$copy\\.\n");
run_sql($node, 'postgres', 'SELECT run_probes()', role => $_) foreach @names;
my %answer = map { split /\t/, $_, 2 } split /\n/, $node->safe_psql('postgres', "SELECT id, answer FROM answer", extra_params => [ '-F', "\t" ]);
my (@wrong, %kinds);
foreach my $p (@probes)
{
	my $is = $answer{ $p->[0] } // 'no answer';
	$is = { t => 'true', f => 'false' }->{$is} // $is;
	push @wrong, join(' ', @$p[ 1 .. 5 ], "\n  got $is\n  not $p->[6]") if $is ne $p->[6];
	$kinds{$is}++;
}
is(scalar @wrong, 0, '10,000 probes, and none differs from the model') or diag(join "\n", grep { defined } @wrong[ 0 .. 9 ]);
cmp_ok(scalar(keys %kinds), '>', 40, 'with many different answers');
cmp_ok($kinds{$_} // 0, '>', 100, "some of them $_") foreach qw(ok 42501 0);
$node->safe_psql('postgres', "DROP TABLE probe, answer; DROP FUNCTION run_probes(), loaded(), run_probe(text); DROP FUNCTION " . join(', ', map { "probe_as_$_(text)" } @names));

# Leaky functions in WHERE see nothing of others, however cheap they claim to be.
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION public.leak(uuid, text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'leaked %', $1; RETURN true; END $$;
CREATE FUNCTION public.leak_equal(uuid, uuid) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'leaked %', $1; RETURN true; END $$;
CREATE OPERATOR public.=== (FUNCTION = public.leak_equal, LEFTARG = uuid, RIGHTARG = uuid);
CREATE VIEW public.readable AS SELECT * FROM spine.events;
ALTER VIEW public.readable OWNER TO reader_a;
GRANT SELECT ON public.readable TO PUBLIC;
ANALYZE spine.events;
SQL
foreach my $query ('SELECT count(*) FROM spine.events WHERE leak(organization_id, payload::text)',
	"SELECT count(*) FROM spine.events WHERE organization_id === '$orgs[1]'",
	'SELECT count(*) FROM spine.events e JOIN pg_class c ON leak(e.organization_id, c.relname::text) AND c.oid = 1259',
	'SELECT count(*) FROM (SELECT DISTINCT organization_id, leak(organization_id, action) FROM spine.events) e')
{
	my ($state, $out, $err) = run_sql($node, 'postgres', $query, role => 'reader_a');
	my %seen = map { $_ => 1 } $err =~ /leaked (\S+)/g;
	is($state . join(' ', sort keys %seen), join(' ', @orgs[ 0, 2 ]), "only its own leaks: $query");
}
is($node->safe_psql('postgres', "SELECT count(*) > 0 FROM pg_stats WHERE schemaname = 'spine' AND tablename = 'events'"), 't', 'there are statistics');
my $as = sub { my ($role, $sql) = @_; my ($state, $out) = run_sql($node, 'postgres', $sql, role => $role); return $state || $out };
is($as->('reader_a', "SELECT count(*) FROM pg_stats WHERE schemaname = 'spine' AND tablename = 'events'"), '0', 'which a reader does not see');

# EXPLAIN, in sessions that have not loaded the library before.
my $of_other = "SELECT sequence FROM spine.events WHERE organization_id = '$orgs[8]'";
my %explains = (
	'plain'             => "EXPLAIN $of_other",
	'analyze'           => "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) $of_other",
	'analyze twice'     => "EXPLAIN SELECT 1; EXPLAIN ANALYZE SELECT 1; EXPLAIN ANALYZE $of_other",
	'after a query'     => "SELECT count(*) FROM spine.events; EXPLAIN ANALYZE $of_other",
	'a prepared one'    => "PREPARE q AS $of_other; EXPLAIN ANALYZE EXECUTE q",
	'a cursor'          => "EXPLAIN ANALYZE DECLARE c CURSOR FOR $of_other",
	'a subquery'        => "EXPLAIN ANALYZE SELECT (SELECT count(*) FROM spine.events WHERE organization_id = '$orgs[8]')",
	'a join'            => "EXPLAIN ANALYZE SELECT count(*) FROM pg_class LEFT JOIN spine.events ON sequence = reltuples",
	'a CTE'             => "EXPLAIN ANALYZE WITH e AS MATERIALIZED ($of_other) SELECT count(*) FROM e",
	'in PL/pgSQL'       => "DO \$\$ DECLARE line text; BEGIN EXECUTE 'EXPLAIN ANALYZE SELECT FROM spine.events' INTO line; RAISE '%', line; END \$\$",
	'in a loop'         => "DO \$\$ DECLARE line text; BEGIN FOR line IN EXECUTE 'EXPLAIN ANALYZE SELECT FROM spine.events' LOOP RAISE '%', line; END LOOP; END \$\$",
	'a table'           => "EXPLAIN ANALYZE CREATE TEMP TABLE t AS $of_other",
	'a view of its own' => 'EXPLAIN ANALYZE SELECT * FROM readable',
	'a printed plan'    => "SET client_min_messages = log; SET debug_print_plan = on; $of_other");
foreach my $what (sort keys %explains)
{
	my ($state, $out, $err) = run_sql($node, 'postgres', $explains{$what}, role => 'reader_a');
	is($state, '42501', "no plan: $what");
	unlike("$out$err", qr/Scan|Rows Removed|plan_rows/, "and nothing of it: $what");
}
is($as->('reader_b', 'EXPLAIN ANALYZE SELECT * FROM readable'), '42501', 'nor of the view to another');
is($as->('reader_a', "EXPLAIN ANALYZE $of_other; EXPLAIN (COSTS OFF) SELECT 1"), '42501', 'a refusal');
is($as->('reader_a', 'EXPLAIN (COSTS OFF) SELECT 1'), 'Result', 'other plans are shown');
is($as->('reader_a', "EXPLAIN ANALYZE SELECT count(*) FROM pg_class") =~ /Aggregate/, 1, 'and analyzed');
like($as->($_, "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) $of_other"), qr/Scan/, "$_ is shown a plan") foreach qw(auditor readers bypass keeper chief);
like($as->('auditor', "SET people_os_spine.organization_id = '$orgs[0]'; EXPLAIN $of_other"), qr/Scan/, 'an auditor with the setting too');
is($as->('readers', "SET people_os_spine.organization_id = '$orgs[0]'; EXPLAIN $of_other"), '42501', 'a reader of all with the setting not');

# auto_explain instruments every query, and tells the log; and who asks to be told what is logged, as docs/security.md says.
$node->safe_psql('postgres', "ALTER ROLE reader_a SET $_") foreach q(session_preload_libraries = 'auto_explain'), 'auto_explain.log_min_duration = 0',
  'auto_explain.log_analyze = on', 'auto_explain.log_nested_statements = on';
my $from = -s $node->logfile;
is($as->('reader_a', 'SELECT count(*) FROM spine.events; SELECT count(*) FROM spine.events'), $events{ $orgs[0] } + $events{ $orgs[2] } . "\n" . ($events{ $orgs[0] } + $events{ $orgs[2] }), 'queries work under auto_explain');
like(slurp_file($node->logfile, $from), qr/Rows Removed by Filter/, 'which says in the log what there was');
is($as->('reader_a', 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off; SELECT count(*) FROM spine.events'), $events{ $orgs[0] } + $events{ $orgs[2] },
	'with parallel workers too');
is($as->('reader_a', $explains{$_}), '42501', "no plan under auto_explain: $_") foreach 'plain', 'analyze', 'in PL/pgSQL';
$node->safe_psql('postgres', "ALTER ROLE reader_a RESET ALL");
my $loads = "LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_analyze = on; SET auto_explain.log_nested_statements = on; SET ROLE reader_a; ";
is($as->('chief', "SELECT spine.may_read('$alien');\n$loads\nSELECT count(*) FROM spine.events"), "t\n" . ($events{ $orgs[0] } + $events{ $orgs[2] }), 'also where it was loaded later');

# With workers, in queries and in verifications.
my $workers = 'SET min_parallel_table_scan_size = 0; SET max_parallel_maintenance_workers = 2; SET client_min_messages = debug1; ';
foreach my $role (qw(reader_a reader_b readers auditor several selects wider))
{
	foreach my $what (summary_sql('NULL', "' '"), summary_sql("'$orgs[2]'", "' '"), summary_sql("'$orgs[8]'", "' '"), fault_sql('NULL', "' '"), fault_sql("'$orgs[6]'", "' '"))
	{
		my (undef, $alone) = run_sql($node, 'postgres', "SET max_parallel_maintenance_workers = 0; $what", role => $role);
		my (undef, $out, $err) = run_sql($node, 'postgres', "$workers $what", role => $role);
		is($out, $alone, "$role, with workers: $what");
		like($err, qr/verifying with [12] parallel worker/, 'and they were there') if $role eq 'reader_a';
	}
	my $query = 'SELECT count(*) FROM spine.events';
	is($as->($role, "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; $query"), $as->($role, "SET max_parallel_workers_per_gather = 0; $query"), "$role, with workers: $query");
}
like($as->('auditor', 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET enable_indexonlyscan = off; EXPLAIN ANALYZE SELECT count(*) FROM spine.events WHERE spine.may_read(organization_id)'),
	qr/Workers Launched: [1-9]/, 'queries are run with workers');

# What changes is known at the next statement, in sessions that were there before, in the middle of a transaction too.
sub session { return $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', $_[0], '-v', 'VERBOSITY=sqlstate' ]) }
sub ask
{
	my ($session, $sql) = @_;
	begin_query($session, $sql);
	my ($out, $err) = finish_query($session);
	return $err =~ /ERROR:  (\w+)/ ? $1 : $out;
}
my $emit = sub { "SELECT 'ok' FROM spine.emit_event('a.b.c', entity_id => '$alien', actor_id => '$alien', organization_id => '$_[0]')" };
my $see  = "SELECT count(*) FROM spine.events WHERE organization_id = '$orgs[0]'";
my $admin = sub { $node->safe_psql('postgres', $_[0]) };
foreach my $begin ('', 'BEGIN', 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'BEGIN ISOLATION LEVEL SERIALIZABLE')
{
	my $when = $begin || 'no transaction';
	$admin->("SELECT spine.grant_emitter('app_a', ARRAY['$orgs[0]']::uuid[]), spine.grant_reader('app_a', ARRAY['$orgs[0]']::uuid[])");
	my $open = session('app_a');
	ask($open, "PREPARE see AS $see");
	ask($open, $begin) if $begin;
	my $save = sub { my ($sql) = @_; return ask($open, $sql) unless $begin; ask($open, 'SAVEPOINT s'); my $a = ask($open, $sql); ask($open, 'ROLLBACK TO s') unless $a =~ /^\d{1,3}$/; return $a };
	is($save->($emit->($orgs[0])), 'ok', "$when: it may emit");
	cmp_ok($save->($see), '>=', $events{ $orgs[0] }, "$when: and read");
	cmp_ok($save->('EXECUTE see'), '>=', $events{ $orgs[0] }, "$when: by a prepared statement too");
	$admin->("BEGIN; SELECT spine.grant_emitter('app_a', ARRAY['$orgs[1]']::uuid[]), spine.grant_reader('app_a', ARRAY['$orgs[1]']::uuid[]); ROLLBACK");
	is($save->($emit->($orgs[1])), '42501', "$when: a grant that was rolled back is none");
	is($save->($emit->($orgs[0])), 'ok', "$when: and takes nothing");
	$admin->("SELECT spine.grant_emitter('app_a', ARRAY['$orgs[1]']::uuid[]), spine.grant_reader('app_a', ARRAY['$orgs[1]']::uuid[])");
	is($save->($emit->($orgs[0])), '42501', "$when: what was taken is gone at the next statement");
	is($save->($emit->($orgs[1])), 'ok', "$when: what was given is there");
	is($save->('EXECUTE see'), '0', "$when: what is read follows, by a prepared statement");
	is($save->($see), '0', "$when: and by another");
	$admin->("TRUNCATE spine.role_bindings") if $begin eq '';
	is($save->($emit->($_)), '42501', "$when: without a binding nothing is emitted") foreach $begin eq '' ? @orgs[ 0, 1 ] : ();
	ask($open, 'ROLLBACK') if $begin;
	$open->quit;
	$admin->($setup =~ s/^(?!SELECT spine\.grant).*\n//mgr) if $begin eq '';
}
# Where it already has the locks that it needs.
$admin->("SELECT spine.grant_emitter('app_a', ARRAY['$orgs[0]']::uuid[]), spine.grant_reader('app_a', ARRAY['$orgs[0]']::uuid[])");
my $open = session('app_a');
ask($open, $_) foreach 'BEGIN', "PREPARE see AS $see", 'EXECUTE see', 'PREPARE emit AS ' . $emit->($orgs[0]), 'EXECUTE emit';
is(ask($open, 'EXECUTE emit'), 'ok', 'a transaction with its locks emits');
cmp_ok(ask($open, 'EXECUTE see'), '>', 0, 'and reads');
$admin->("DELETE FROM spine.role_bindings WHERE role = 'app_a'::regrole AND capability = 'read'");
is(ask($open, 'EXECUTE see'), '0', 'what it reads follows');
$admin->("UPDATE spine.role_bindings SET organization_id = '$orgs[1]' WHERE role = 'app_a'::regrole AND capability = 'emit'");
is(ask($open, 'EXECUTE emit'), '42501', 'and for whom it emits');
ask($open, 'ROLLBACK');
$open->quit;
$open = session('bound');
is(ask($open, $emit->($orgs[1])), '42501', 'a role that may emit for one organization');
$admin->('GRANT app_a TO bound');
is(ask($open, $emit->($orgs[1])), 'ok', 'may for what its roles were given');
$admin->('REVOKE app_a FROM bound');
is(ask($open, $emit->($orgs[1])), '42501', 'until it is no member');
$open->quit;
$open = session('member');
is(ask($open, $emit->($orgs[1])), 'ok', 'a member may');
$admin->("SELECT spine.revoke_all('app_a'), spine.revoke_all('reader_a')");
is(ask($open, $emit->($orgs[1])), '42501', 'revoke_all takes the right to emit');
is(ask($open, $see), '42501', 'and to read');
$open->quit;
is($admin->("SELECT count(*) FROM spine.role_bindings WHERE role IN ('app_a'::regrole, 'reader_a'::regrole)"), '0', 'and its bindings');
is($admin->(<<'SQL'), '', 'and leaves no right in any catalog');
SELECT classid::regclass, objid FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid IN ('app_a'::regrole, 'reader_a'::regrole)
   AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND NOT (classid = 'pg_class'::regclass AND objid = 'public.readable'::regclass)
SQL

# Who may not emit for an organization does not wait for those who do.
$admin->("SELECT spine.grant_emitter('app_a', ARRAY['$orgs[0]']::uuid[])");
my $busy = session('chief');
ask($busy, 'BEGIN');
is(ask($busy, $emit->($orgs[7])), 'ok', 'a chain is extended');
foreach my $way ('emit_event', 'emit_events', 'insert')
{
	foreach my $at ('insert', 'commit')
	{
		is(sqlstate($node, 'postgres', "SET lock_timeout = '200ms'; SET people_os_spine.chain_at = $at; " . command_of($way, $orgs[7], $orgs[0]), role => $way eq 'insert' ? 'bound' : 'app_a'),
			'42501', "which one who may not is told at once: $way, chain_at $at");
	}
}
ask($busy, 'ROLLBACK');
$busy->quit;

# One's own transaction sees what it changed, and no longer what it rolled back.
$admin->("SELECT spine.grant_reader('reader_a', ARRAY['$orgs[0]', '$orgs[2]']::uuid[])");
my $own = session('chief');
my $as_app = sub { my ($o) = @_; ask($own, 'SAVEPOINT a'); ask($own, 'SET LOCAL ROLE app_a'); my $a = ask($own, $emit->($o)); ask($own, 'ROLLBACK TO a'); return $a };
ask($own, 'BEGIN');
is($as_app->($orgs[1]), '42501', 'before');
ask($own, 'SAVEPOINT s');
ask($own, "SELECT spine.grant_emitter('app_a', ARRAY['$orgs[1]']::uuid[])");
is($as_app->($orgs[1]), 'ok', 'one\'s own grant counts at once');
ask($own, 'SAVEPOINT t');
ask($own, "INSERT INTO spine.role_bindings VALUES ('app_a', 'emit', '$orgs[4]')");
is($as_app->($orgs[4]), 'ok', 'also one by hand');
ask($own, 'ROLLBACK TO t');
is($as_app->($orgs[4]), '42501', 'until it is rolled back');
is($as_app->($orgs[1]), 'ok', 'with what was before');
ask($own, 'ROLLBACK TO s');
is($as_app->($orgs[1]), '42501', 'until that is, too');
ask($own, 'ROLLBACK');
$own->quit;
$own = session('app_a');
ask($own, 'BEGIN ISOLATION LEVEL SERIALIZABLE');
is(ask($own, $emit->($orgs[0])), 'ok', 'in a serializable transaction, which reads the bindings');
is(ask($own, "SELECT count(*) FROM pg_locks WHERE mode = 'SIReadLock' AND relation = 'spine.role_bindings'::regclass"), '0', 'no predicate lock is on the bindings');
ask($own, 'ROLLBACK');
$own->quit;

# Dumps hold grants and bindings. A dump by an owner who is no superuser has every event.
my $dir     = PostgreSQL::Test::Utils::tempdir();
my @connect = ('-h', $node->host, '-p', $node->port);
my $rights  = <<'SQL';
SELECT string_agg(line, E'\n' ORDER BY line COLLATE "C") FROM (
  SELECT concat_ws('|', role, capability, organization_id) FROM spine.role_bindings
  UNION ALL SELECT p.oid::regprocedure || ' ' || a.grantee::regrole || a.privilege_type FROM pg_proc p, aclexplode(proacl) a WHERE pronamespace = 'spine'::regnamespace
  UNION ALL SELECT c.oid::regclass || ' ' || a.grantee::regrole || a.privilege_type FROM pg_class c, aclexplode(relacl) a WHERE relnamespace = 'spine'::regnamespace AND a.grantee <> c.relowner
  UNION ALL SELECT t.oid::regtype || ' ' || a.grantee::regrole || a.privilege_type FROM pg_type t, aclexplode(typacl) a WHERE typnamespace = 'spine'::regnamespace
  UNION ALL SELECT n.nspname || ' ' || a.grantee::regrole || a.privilege_type FROM pg_namespace n, aclexplode(nspacl) a WHERE nspname = 'spine'
  UNION ALL SELECT concat_ws('|', polname, polcmd, pg_get_expr(polqual, polrelid)) FROM pg_policy WHERE polrelid = 'spine.events'::regclass) l (line)
SQL
# In a database of its own, for here an event has no organization.
spine_database($node, 'sound') if $node->safe_psql('postgres', 'CREATE DATABASE sound TEMPLATE template0') eq '';
$node->safe_psql('sound', <<SQL);
SELECT spine.grant_reader('reader_a', ARRAY['$orgs[0]', '$orgs[2]']::uuid[]), spine.grant_auditor('auditor'), spine.grant_emitter('app_a', ARRAY['$orgs[0]']::uuid[]), spine.grant_emitter('app_any');
SELECT count(spine.emit_event('a.b.c', entity_id => '$alien', actor_id => '$alien', organization_id => o)) FROM unnest(ARRAY['$orgs[0]', '$orgs[1]', '$orgs[2]']::uuid[]) o;
SQL
my $before = $node->safe_psql('sound', $rights);
foreach my $how ([ 'plain', '-Fp' ], [ 'custom', '-Fc' ])
{
	my ($name, $format) = @$how;
	$node->command_ok([ 'pg_dump', @connect, $format, '-f', "$dir/$name", 'sound' ], "$name: dumped");
	unlike(slurp_file("$dir/$name"), qr/CREATE POLICY/, "$name: without the extension's own policies") if $name eq 'plain';
	$node->safe_psql('postgres', "CREATE DATABASE $name TEMPLATE template0");
	$node->command_ok($name eq 'plain' ? [ 'psql', '-Xq', @connect, '-v', 'ON_ERROR_STOP=1', '-d', $name, '-f', "$dir/$name" ]
		: [ 'pg_restore', @connect, '--exit-on-error', '-j2', '-d', $name, "$dir/$name" ], "$name: restored");
	is($node->safe_psql($name, $rights), $before, "$name: the same rights and bindings");
	my ($state, $out) = run_sql($node, $name, "SELECT count(*), count(DISTINCT organization_id) FROM spine.events; SELECT count(*) FROM spine.verify_chain() WHERE intact", role => 'reader_a');
	is("$state $out", " 2|2\n2", "$name: which have their effect");
	$node->safe_psql($name, "ALTER DATABASE $name SET people_os_spine.environment = 'test'");
	is(join(' ', map { sqlstate($node, $name, $emit->($orgs[$_]), role => 'app_a') } 0, 1), ' 42501', "$name: on emitting too");
}
my $tables = $node->safe_psql('sound', q(SELECT string_agg(format('ALTER TABLE %s OWNER TO keeper;', oid::regclass), '') FROM pg_class WHERE relnamespace = 'spine'::regnamespace AND relkind IN ('r', 'S')));
$node->safe_psql('sound', GUARDS_OFF . $tables . GUARDS_ON . 'GRANT USAGE ON SCHEMA spine TO keeper');
$node->command_ok([ 'pg_dump', @connect, '-U', 'keeper', '-f', "$dir/keeper.sql", 'sound' ], 'an owner dumps');
is(scalar(my @rows = slurp_file("$dir/keeper.sql") =~ /\ta\.b\.c\t/g), 3, 'every event');
is(scalar(@rows = slurp_file("$dir/keeper.sql") =~ /^(?:reader_a|auditor|app_a|app_any)\t/mg), 5, 'and every binding');

# A database where the table of bindings is missing: nobody gets further than a clear error.
$node->safe_psql('plain', 'ALTER EVENT TRIGGER people_os_spine_guard DISABLE');
$node->safe_psql('plain', 'ALTER EXTENSION people_os_spine DROP TABLE spine.role_bindings');
$node->safe_psql('plain', 'DROP TABLE spine.role_bindings');
is(sqlstate($node, 'plain', $_, role => 'reader_a'), '42P01', "without the table: $_") foreach 'SELECT * FROM spine.events', 'SELECT * FROM spine.verify_chain()', "SELECT * FROM spine.read_events('$orgs[0]')";
is(sqlstate($node, 'plain', $emit->($orgs[0]), role => 'app_any'), '42P01', 'without the table: no event');
is(sqlstate($node, 'plain', $emit->($orgs[0])), '', 'but for a superuser');
is(sqlstate($node, 'plain', 'SELECT * FROM spine.verify_chain()'), '', 'a superuser goes on');

# A standby applies the same, and hears of changes.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
my $there = $standby->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'reader_a', '-v', 'VERBOSITY=sqlstate' ]);
my $seen = "SELECT string_agg(DISTINCT right(organization_id::text, 2), ',' ORDER BY right(organization_id::text, 2)) FROM spine";
is(ask($there, "$seen.events"), '01,03', 'a standby: the same part of the table');
is(ask($there, "$seen.verify_chain()"), '01,03', 'a standby: of a verification');
is(ask($there, "SELECT count(*) FROM spine.read_events('$orgs[1]')"), '0', 'a standby: of read_events');
is(ask($there, "EXPLAIN $of_other"), '42501', 'a standby: and no plan');
$node->safe_psql('postgres', "SELECT spine.grant_reader('reader_a', ARRAY['$orgs[1]']::uuid[])");
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is(ask($there, "$seen.events"), '02', 'a standby: a change is known at the next statement');
is(ask($there, "$seen.verify_chain()"), '02', 'a standby: to verifications too');
$there->quit;
$standby->stop;
unlike(slurp_file($node->logfile), qr/(?:reference|refcount) leak|was not closed|still referenced|TRAP|terminated by signal/, 'no resource is left');
$node->stop;
done_testing;
