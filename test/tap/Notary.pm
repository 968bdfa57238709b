# What the tests of spine-notary share.
package Notary;

use strict;
use warnings;

use Exporter 'import';
use JSON::PP qw(decode_json);
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(program run_notary new_notary notary_is message_of emit_in rewrite tamper_with_records note_of copy_state start_notary notary_command
  DONE CHAIN_FAULT USAGE UNAVAILABLE REWRITTEN RESTORED CLONED FAILOVER_LOST OTHER_DATABASE NOTARY_LOST NO_QUORUM);

use constant {
	DONE => 0, CHAIN_FAULT => 1, USAGE => 2, UNAVAILABLE => 3, REWRITTEN => 4, RESTORED => 5, CLONED => 6, FAILOVER_LOST => 7,
	OTHER_DATABASE => 8, NOTARY_LOST => 9, NO_QUORUM => 10 };

# The path of a program of tools/, which script/test builds.
sub program
{
	my ($name) = @_;
	my $path = ($ENV{SPINE_TOOLS} // '') . "/$name";
	BAIL_OUT("$path is missing: SPINE_TOOLS names the folder of the programs") unless -x $path;
	return $path;
}

# Runs spine-notary; answers its exit code and the messages.
sub run_notary
{
	my (@arguments) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ program('spine-notary'), @arguments, '--json' ], '>', \$out, '2>', \$err);
	my $code = $? & 127 ? 'signal ' . ($? & 127) : $? >> 8;
	diag($err) if $err ne '';
	return ($code, map { decode_json($_) } split /\n/, $out);
}

# A notary of a database with a key and a state of its own, as a role that is a notary and nothing else.
sub new_notary
{
	my ($node, $db, $origin) = @_;
	my $folder = PostgreSQL::Test::Utils::tempdir();
	$origin //= "spine.example/$db";
	$node->safe_psql('postgres', "DO \$\$ BEGIN CREATE ROLE notary LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END \$\$");
	$node->safe_psql($db, "SELECT spine.grant_notary('notary')");
	my ($code, $key) = run_notary('keygen', '--name', $origin, '--key', "$folder/key");
	die 'no key was made' unless $code eq '0';
	return { folder => $folder, state => "$folder/state", key => "$folder/key", origin => $origin, public_key => $key->{public_key},
		database => $node->connstr($db) . ' user=notary', options => [] };
}

# Runs a command of a notary: init, once …
sub notary_command
{
	my ($notary, $command, @more) = @_;
	return run_notary($command, '--database', $notary->{database}, '--origin', $notary->{origin}, '--state', $notary->{state},
		$notary->{agent} ? @{ $notary->{agent} } : ('--key', $notary->{key}), @{ $notary->{options} }, @more);
}

# One test: the command ends with that code. Answers the messages.
sub notary_is
{
	my ($notary, $command, $code, $name, @more) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($got, @messages) = notary_command($notary, $command, @more);
	is($got, $code, $name) or diag(join "\n", map { "$_->{message}: $_->{text}" } @messages);
	return @messages;
}

# The first message of that name, or an empty one.
sub message_of
{
	my ($name, @messages) = @_;
	my ($found) = grep { $_->{message} eq $name } @messages;
	return $found // {};
}

# Emits so many events of each of these organizations.
sub emit_in
{
	my ($node, $db, $count, @orgs) = @_;
	my $list = join ',', map { "'$_'" } @orgs;
	$node->safe_psql($db, "SELECT count(spine.emit_event('hcm.employee.created', entity_id => o, actor_id => o, organization_id => o,
	  payload => jsonb_build_object('n', n))) FROM generate_series(1, $count) n, unnest(ARRAY[$list]::uuid[]) o");
	return;
}

# SQL that gives an organization's events new links and hashes, as they are now.
sub rewrite
{
	my ($org) = @_;
	return <<"SQL";
DO \$r\$
DECLARE
  e spine.events;
  link bytea := decode(repeat('00', 32), 'hex');
BEGIN
  FOR e IN SELECT * FROM spine.events WHERE organization_id = '$org' ORDER BY sequence LOOP
    e.previous_hash := link;
    link := spine.event_digest(e);
    UPDATE spine.events SET previous_hash = e.previous_hash, event_hash = link
     WHERE organization_id = e.organization_id AND sequence = e.sequence;
  END LOOP;
END
\$r\$
SQL
}

# SQL that runs SQL while the spine's records of checkpoints can be changed.
sub tamper_with_records
{
	my ($sql) = @_;
	my @tables = qw(checkpoints tree_nodes directory_checkpoints checkpoint_notes);
	return join '', (map { "ALTER TABLE spine.$_ DISABLE TRIGGER ALL;\n" } @tables), "$sql;\n",
	  map { "ALTER TABLE spine.$_ ENABLE ALWAYS TRIGGER keep_record, ENABLE ALWAYS TRIGGER keep_record_row;\n" } @tables;
}

# The note of a checkpoint that a notary keeps.
sub note_of
{
	my ($notary, $number) = @_;
	return slurp_file("$notary->{state}/$number.checkpoint");
}

# Starts a command that goes on; waits for its first message of that name. Answers { handle, message, out }.
sub start_notary
{
	my ($wanted, @arguments) = @_;
	my $out    = '';
	my $handle = IPC::Run::start([ program('spine-notary'), @arguments, '--json' ], '>', \$out, IPC::Run::timer($PostgreSQL::Test::Utils::timeout_default));
	my $first;
	until ($first)
	{
		$handle->pump;
		($first) = grep { $_->{message} eq $wanted } map { decode_json($_) } $out =~ /^(\{.*\})$/mg;
	}
	return { handle => $handle, message => $first, out => \$out };
}

# A notary with a copy of the state as it is now.
sub copy_state
{
	my ($notary) = @_;
	my $folder = PostgreSQL::Test::Utils::tempdir();
	system_or_bail('cp', '-r', $notary->{state}, "$folder/state");
	return { %$notary, state => "$folder/state" };
}

1;
