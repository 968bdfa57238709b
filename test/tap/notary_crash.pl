# spine-notary and its witness mode, killed before each call that makes something last: whatever moment it is, the next run goes on, of no
# number two things are ever signed, and nothing leaves before it is kept.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Notary;
use Spine;
use Test::More;

my $node    = spine_node('crash');
my @orgs    = map { org($_) } 1 .. 3;
my $preload = build_preload('test/fault/kill_at.c');
my $folder  = PostgreSQL::Test::Utils::tempdir();
emit_in($node, 'postgres', 5, @orgs);

# A command that is killed before its call number $at, 0: that is not. Its exit code.
sub killed_at
{
	my ($at, $notary, $command) = @_;
	local $ENV{LD_PRELOAD} = $preload;
	local $ENV{CALLS}      = "$folder/calls";
	local $ENV{KILL_AT}    = $at;
	unlink "$folder/calls";
	my ($code) = notary_command($notary, $command);
	return $code;
}

# What is wrong with what a notary signed: the newest note must be the state's, each one over the database's own log, each with its
# history, and the database may have no other of it.
sub wrong_with
{
	my ($notary) = @_;
	my @wrong;
	my %root = map { split / / } split /\n/, $node->safe_psql('postgres', q(SELECT number || ' ' || encode(root, 'base64') FROM spine.directory_checkpoints));
	my $newest = 0;
	foreach my $file (glob "$notary->{state}/*.checkpoint")
	{
		my ($number) = $file =~ m{/(\d+)\.checkpoint$};
		my ($said, $of) = slurp_file($file) =~ /^\S+\n(\d+)\n(\S+)\n\n/;
		push @wrong, "$number is over $said" if $said != $number || $of ne $root{$number};
		push @wrong, "$number has no history" unless -e "$notary->{state}/$number.chains";
		$newest = $number if $number > $newest;
	}
	my ($state) = slurp_file("$notary->{state}/state") =~ /^people_os_spine directory v1\n(\d+)\n/m;
	push @wrong, "the state is of $state, the newest note of $newest" if $state != $newest;
	my ($stored, $double) = split /\|/, $node->safe_psql('postgres',
		"SELECT max(number), count(*) - count(DISTINCT number) FROM spine.checkpoint_notes WHERE origin = '$notary->{origin}'");
	push @wrong, "the database has notes up to $stored" if $stored != $newest;
	push @wrong, "$double were signed twice" if $double;
	return "@wrong";
}

my $notary = new_notary($node, 'postgres', 'crash.example');
notary_is($notary, 'init', DONE, 'init');
emit_in($node, 'postgres', 1, @orgs);
is(killed_at(0, $notary, 'once'), DONE, 'a round');
my ($number) = sort { $b <=> $a } map { m{/(\d+)\.checkpoint$} } glob "$notary->{state}/*.checkpoint";
my @calls = grep { $_ ne 'send anything' } split /\n/, slurp_file("$folder/calls");
my @kept  = map { ('fsync .new', "rename $_", 'fsync state') } "$number.chains", 'state', "$number.checkpoint";
is_deeply(\@calls, [ @kept, 'send a note' ], 'history, state and note are flushed, each file and its name, in this order; then the note leaves');

my ($at, $killed, @wrong) = (0, 0);
while ($at < 60)    # there are some twenty moments
{
	emit_in($node, 'postgres', 1, $orgs[ $at % 3 ]);
	my $code = killed_at(++$at, $notary, 'once');
	last if $code eq DONE;
	$killed++ if $code eq 'signal 9';
	my ($again) = notary_command($notary, 'once');
	my $wrong = wrong_with($notary);
	push @wrong, "killed at $at: exit $again $wrong" if $again ne DONE || $wrong ne '';
}
cmp_ok($killed, '>', 15, "killed at $killed moments");
is(join("\n", @wrong), '', 'each time the next round went on');

# The first round.
($at, $killed, @wrong) = (0, 0);
while ($at < 60)
{
	my $new = new_notary($node, 'postgres', 'begin' . ++$at . '.example');
	my $code = killed_at($at, $new, 'init');
	last if $code eq DONE;
	$killed++ if $code eq 'signal 9';
	my ($again) = notary_command($new, -e "$new->{state}/state" ? 'once' : 'init');
	my $wrong = wrong_with($new);
	push @wrong, "killed at $at: exit $again $wrong" if $again ne DONE || $wrong ne '';
}
cmp_ok($killed, '>', 15, "init killed at $killed moments");
is(join("\n", @wrong), '', 'each time init or once went on');

# A witness.
my (undef, $key) = run_notary('keygen', '--name', 'w.example', '--key', "$folder/w.key", '--witness-key');
put_file("$folder/policy", "log $notary->{public_key}\nwitness w $key->{public_key}\nquorum w\n");
my @witness = ('witness', '--state', "$folder/w", '--key', "$folder/w.key", '--log', $notary->{public_key}, '--listen');
my $started = start_notary('listening', @witness, '127.0.0.1:0', '--begin');
my $address = $started->{message}{address};
$notary->{options} = [ '--policy', "$folder/policy", '--witness', "http://$address" ];
emit_in($node, 'postgres', 1, @orgs);
notary_is($notary, 'once', DONE, 'a witness cosigns');
$started->{handle}->signal('TERM');
$started->{handle}->finish;
foreach my $moment (1 .. 3)
{
	{
		local $ENV{LD_PRELOAD} = $preload;
		local $ENV{KILL_AT}    = $moment;
		$started = start_notary('listening', @witness, $address);
	}
	emit_in($node, 'postgres', 1, @orgs);
	notary_is($notary, 'once', NO_QUORUM, "a witness killed at moment $moment answers nothing");
	$started->{handle}->signal('TERM');    # where it was not
	$started->{handle}->finish;
	is($started->{handle}->full_result(0) & 127, 9, 'it was killed');
	$started = start_notary('listening', @witness, $address);
	notary_is($notary, 'once', DONE, 'started again it cosigns the same');
	$started->{handle}->signal('TERM');
	$started->{handle}->finish;
}
is(wrong_with($notary) =~ s/\d+ were signed twice//r, '', 'and nothing is wrong with what was signed');

# It goes on by itself where the server restarts, and ends when it is told to.
my $runner = new_notary($node, 'postgres', 'run.example');
notary_is($runner, 'init', DONE, 'init');
emit_in($node, 'postgres', 1, @orgs);
my @arguments = ('--database', $runner->{database}, '--origin', $runner->{origin}, '--state', $runner->{state}, '--key', $runner->{key});
my $run = start_notary('signed', 'run', '--every', 1, @arguments);
notary_is($runner, 'once', USAGE, 'a state that a run works on is not used by another');
$node->stop;
$run->{handle}->pump until ${ $run->{out} } =~ /"unavailable"/;
$node->start;
emit_in($node, 'postgres', 1, @orgs);
my $before = () = ${ $run->{out} } =~ /"message":"signed"/g;
$run->{handle}->pump until (() = ${ $run->{out} } =~ /"message":"signed"/g) > $before;
pass('a run outlasts a restart of the server');
$run->{handle}->signal('TERM');
$run->{handle}->finish;
is($run->{handle}->result(0), DONE, 'and ends well');
is(wrong_with($runner), '', 'with all in order');
# What it must not sign ends it.
emit_in($node, 'postgres', 1, @orgs);
tamper($node, 'postgres', "DELETE FROM spine.events WHERE organization_id = '$orgs[0]'");
notary_is($runner, 'run', REWRITTEN, 'a run that finds a chain removed ends', '--every', 1);

$node->stop;
done_testing;
