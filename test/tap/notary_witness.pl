# Who else stands behind a checkpoint: a key behind an ssh-agent, witnesses that cosign, a second notary, a timestamp authority. And that
# evidence which a notary's key signed is proved by spine-verify.
use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use HTTP::Tiny;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Notary;
use Spine;
use Test::More;
use Time::HiRes ();

my $node = spine_node('witness');
my @orgs = map { org($_) } 1 .. 3;
my $folder = PostgreSQL::Test::Utils::tempdir();
emit_in($node, 'postgres', 5, @orgs);

# A witness of these logs, started on a state of its own.
sub new_witness
{
	my ($name, @logs) = @_;
	my (undef, $key) = run_notary('keygen', '--name', $name, '--key', "$folder/$name.key", '--witness-key');
	return { name => $name, public_key => $key->{public_key}, logs => [ map { ('--log', $_) } @logs ] };
}

sub start_witness
{
	my ($witness, @more) = @_;
	my $started = start_notary('listening', 'witness', '--listen', $witness->{listen} // '127.0.0.1:0', '--state', "$folder/$witness->{name}", '--key',
		"$folder/$witness->{name}.key", @{ $witness->{logs} }, @more);
	$witness->{handle} = $started->{handle};
	$witness->{listen} = $started->{message}{address};
	$witness->{url}    = "http://$started->{message}{address}";
	return;
}

sub stop_witness
{
	my ($witness) = @_;
	$witness->{handle}->signal('TERM');
	$witness->{handle}->finish;
	return $witness->{handle}->result(0);
}

# How many signature lines a note has of each name.
sub signers_of
{
	my ($note) = @_;
	return join ' ', sort $note =~ /^\x{e2}\x{80}\x{94} (\S+) /mg;
}

subtest 'an ssh-agent' => sub {
	system_or_bail('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', "$folder/ssh");
	system_or_bail('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', "$folder/other");
	my $socket = "$folder/agent";
	my $agent  = IPC::Run::start([ 'ssh-agent', '-D', '-a', $socket ], '>', '/dev/null');
	for (1 .. 1000) { last if -S $socket; Time::HiRes::usleep(10_000) }
	local $ENV{SSH_AUTH_SOCK} = $socket;
	system_or_bail('ssh-add', '-q', "$folder/other");
	my ($code, $key) = run_notary('vkey', '--name', 'agent.example', '--ssh', "$folder/ssh.pub");
	is($code, DONE, 'the public key of an ssh key');
	my $notary = new_notary($node, 'postgres', 'agent.example');
	$notary->{agent} = [ '--agent', $socket, '--public-key', $key->{public_key} ];
	my @messages = notary_is($notary, 'init', UNAVAILABLE, 'an agent that has another key');
	like($messages[-1]{text}, qr/does not hold the key/, 'and says so');
	system_or_bail('ssh-add', '-q', "$folder/ssh");
	# The state was made before the key was asked; the note was not, and nobody else has it.
	notary_is($notary, 'once', DONE, 'with the key it signs');
	emit_in($node, 'postgres', 1, @orgs);
	@messages = notary_is($notary, 'once', DONE, 'and again');
	ok(message_of('signed', @messages)->{number}, 'which is told');
	append_to_file("$folder/agent.policy", "log $key->{public_key}\nquorum none\n");
	command_ok([ program('spine-verify'), '--policy', "$folder/agent.policy", $notary->{state} ], 'spine-verify knows the signature');
	# A key that the agent will not use.
	system_or_bail('ssh-add', '-q', '-d', "$folder/ssh");
	emit_in($node, 'postgres', 1, @orgs);
	notary_is($notary, 'once', UNAVAILABLE, 'the key is gone');
	$agent->signal('TERM');
	$agent->finish;
	notary_is($notary, 'once', UNAVAILABLE, 'the agent is gone');
	like(join(' ', map { $_->{text} } (notary_command($notary, 'once'))[ 1 .. 1 ]), qr/agent/, 'and that is said');
};

subtest 'witnesses' => sub {
	my $notary = new_notary($node, 'postgres', 'log.example');
	my @witnesses = map { new_witness("w$_.example", $notary->{public_key}) } 1 .. 3;
	my ($code) = run_notary('witness', '--listen', '127.0.0.1:0', '--state', "$folder/w1.example", '--key', "$folder/w1.example.key", @{ $witnesses[0]{logs} });
	is($code, USAGE, 'a witness without a state does not start by itself');
	start_witness($_, '--begin') foreach @witnesses[ 0, 1 ];
	my $policy = "$folder/policy";
	append_to_file($policy, "log $notary->{public_key}\n" . join('', map { "witness $_->{name} $_->{public_key}\n" } @witnesses)
		  . "group two 2 w1.example w2.example w3.example\nquorum two\n");
	$notary->{options} = [ '--policy', $policy, map { ('--witness', $_->{url}) } @witnesses[ 0, 1 ] ];
	my @messages = notary_is($notary, 'init', DONE, 'the first checkpoint');
	is(scalar(grep { $_->{message} eq 'cosigned' } @messages), 2, 'is cosigned twice');
	emit_in($node, 'postgres', 1, @orgs);
	notary_is($notary, 'once', DONE, 'the next');
	my $number = $node->safe_psql('postgres', 'SELECT max(number) FROM spine.directory_checkpoints');
	my $note   = note_of($notary, $number);
	is(signers_of($note), 'log.example w1.example w2.example', 'a note of three signers');
	is($node->safe_psql('postgres', "SELECT note FROM spine.checkpoint_notes WHERE number = $number AND origin = 'log.example'"), $note, 'the database has it with all of them');
	command_ok([ program('spine-verify'), '--policy', $policy, $notary->{state} ], 'spine-verify finds the quorum');

	my $http  = HTTP::Tiny->new;
	my $shown = $http->get("$witnesses[0]{url}/" . sha256_hex('log.example') . '/checkpoint');
	is($shown->{status}, 200, 'a witness shows what it cosigned');
	is(signers_of($shown->{content}), 'log.example w1.example', 'signed by the log and itself');
	is($http->get("$witnesses[0]{url}/" . ('0' x 64) . '/checkpoint')->{status}, 404, 'of no other log');
	my $add    = "$witnesses[0]{url}/add-checkpoint";
	my $ask    = sub { my ($body) = @_; return $http->post($add, { content => $body }) };
	my $answer = $ask->("old 0\n\n$note");
	is_deeply([ @$answer{qw(status content)}, $answer->{headers}{'content-type'} ], [ 409, "$number\n", 'text/x.tlog.size' ], '409 with the size');
	is($ask->("old $number\n\n" . $note =~ s/^log\.example/other.example/r)->{status}, 404, '404 for another log');
	is($ask->("old $number\n\n" . $note =~ s/^\d+$/@{[ $number + 1 ]}/mr)->{status}, 403, '403 for a signature that is not the log\'s');
	is($ask->("old @{[ $number + 1 ]}\n\n$note")->{status}, 400, '400 for an old size above the new one');
	is($ask->("old $number\n" . ('A' x 43) . "=\n\n$note")->{status}, 422, '422 for a proof that is none');
	is($ask->('x')->{status}, 400, '400 for no request');
	like($ask->('x' x (2 << 20))->{status}, qr/^(?:413|599)$/, 'one too large is not read to its end');
	is($http->get($add)->{status}, 405, '405 for another method');
	is($ask->("old $number\n\n$note")->{status}, 200, 'and the same checkpoint again');

	# One witness is away: no quorum, and the database does not get the note before there is one.
	ok(!stop_witness($witnesses[1]), 'a witness ends when it is told to');
	emit_in($node, 'postgres', 1, @orgs);
	@messages = notary_is($notary, 'once', NO_QUORUM, 'too few witnesses');
	is($node->safe_psql('postgres', "SELECT count(*) FROM spine.checkpoint_notes WHERE number > $number AND origin = 'log.example'"), 0, 'the note waits');
	start_witness($witnesses[1]);
	notary_is($notary, 'once', DONE, 'the witness is back');
	is($node->safe_psql('postgres', "SELECT count(*) FROM spine.checkpoint_notes WHERE number > $number AND origin = 'log.example'"), 1, 'the note is there');
	is(signers_of(note_of($notary, $number + 1)), 'log.example w1.example w2.example', 'each signer once');

	# A witness that comes later gets a proof from where it is.
	start_witness($witnesses[2], '--begin');
	push @{ $notary->{options} }, '--witness', $witnesses[2]{url};
	foreach (1 .. 2) { emit_in($node, 'postgres', 1, @orgs); notary_is($notary, 'once', DONE, 'with three witnesses') }
	is(signers_of(note_of($notary, $number + 3)), 'log.example w1.example w2.example w3.example', 'all of them');

	# An old state whose newest notes the database lost too: the witnesses know better.
	my $old = copy_state($notary);
	emit_in($node, 'postgres', 1, @orgs);
	notary_is($notary, 'once', DONE, 'one more');
	tamper($node, 'postgres', tamper_with_records("DELETE FROM spine.checkpoint_notes WHERE number > $number + 3"));
	@messages = notary_is($old, 'once', NOTARY_LOST, 'a witness has seen more than the state');
	is(message_of('notary_lost', @messages)->{signed_number}, $number + 4, 'how much');

	# Keys that the policy does not know count for nothing.
	my $stranger = new_witness('stranger.example', $notary->{public_key});
	start_witness($stranger, '--begin');
	$notary->{options} = [ '--policy', $policy, '--witness', $stranger->{url} ];
	emit_in($node, 'postgres', 1, @orgs);
	@messages = notary_is($notary, 'once', NO_QUORUM, 'a witness that the policy does not have');
	ok(message_of('witness_unknown', @messages)->{text}, 'is told');
	is(signers_of(note_of($notary, $number + 5)), 'log.example', 'and not in the note');
	$notary->{options} = [ '--policy', $policy, '--witness', 'http://127.0.0.1:1' ];
	@messages = notary_is($notary, 'once', NO_QUORUM, 'no witness at all');
	ok(message_of('witness_failed', @messages)->{text}, 'is told');
	($code) = notary_command({ %$notary, options => [ '--witness', $stranger->{url} ] }, 'once');
	is($code, USAGE, 'a witness without a policy');
	stop_witness($_) foreach @witnesses, $stranger;

	# By a unix socket.
	$stranger->{listen} = "$folder/socket";
	start_witness($stranger);
	ok(-S "$folder/socket", 'a unix socket');
	stop_witness($stranger);
	ok(!-e "$folder/socket", 'which goes with it');
};

subtest 'evidence' => sub {
	my $notary = new_notary($node, 'postgres', 'evidence.example');
	notary_is($notary, 'init', DONE, 'a checkpoint');
	$node->safe_psql('postgres', "CREATE ROLE reader LOGIN; SELECT spine.grant_reader('reader', ARRAY['$orgs[0]']::uuid[])");
	my @export = ('export', '--database', $node->connstr('postgres') . ' user=reader', '--organization', $orgs[0], '--reason', 'a test', '--origin', 'evidence.example');
	my ($code, @messages) = run_notary(@export, '--output', "$folder/bundle");
	is($code, DONE, 'export') or diag($messages[-1]{text});
	is((stat "$folder/bundle")[2] & oct(777), oct(600), 'the file is its owner\'s');
	append_to_file("$folder/evidence.policy", "log $notary->{public_key}\nquorum none\n");
	command_ok([ program('spine-verify'), '--policy', "$folder/evidence.policy", "$folder/bundle" ], 'spine-verify: proved');
	command_exit_is([ program('spine-verify'), '--policy', "$folder/policy", "$folder/bundle" ], 1, 'not by another log\'s key');
	put_file("$folder/tampered", slurp_file("$folder/bundle") =~ s/"n":3/"n":4/r);
	command_exit_is([ program('spine-verify'), '--policy', "$folder/evidence.policy", "$folder/tampered" ], 1, 'not after a change');
	($code) = run_notary(@export, '--output', "$folder/bundle");
	is($code, DONE, 'a bundle is replaced as a whole');
	($code) = run_notary(@export[ 0 .. 2 ], '--organization', $orgs[1], '--reason', 'a test', '--output', "$folder/none");
	is($code, UNAVAILABLE, 'of another organization');
	ok(!-e "$folder/none" && !-e "$folder/none.new", 'there is no file');
};

# RFC 3161 with a P-256 key: openssl makes no timestamps with Ed25519.
subtest 'timestamps of a local authority' => sub {
	my $notary = new_notary($node, 'postgres', 'timed.example');
	my ($number) = map { message_of('signed', $_)->{number} // () } notary_is($notary, 'init', DONE, 'a checkpoint');
	my $note = "$notary->{state}/$number.checkpoint";
	append_to_file("$folder/tsa.conf", <<'CONF');
[ tsa ]
default_tsa = own
[ own ]
serial = tsa.serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ordering = yes
ess_cert_id_alg = sha256
[ req ]
distinguished_name = name
[ name ]
[ ca ]
basicConstraints = critical, CA:TRUE
[ stamp ]
extendedKeyUsage = critical, timeStamping
CONF
	my $run = sub { return run_log([ 'sh', '-ec', 'cd "$1"; shift; exec openssl "$@"', 'sh', $folder, @_ ]) };
	ok($run->(qw(req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority -config tsa.conf -extensions ca)), 'an authority');
	ok($run->(qw(req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout tsa.key -out tsa.csr -subj /CN=stamps -config tsa.conf)), 'its key for stamps');
	ok($run->(qw(x509 -req -in tsa.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out tsa.pem -days 2 -extfile tsa.conf -extensions stamp)), 'and certificate');
	ok($run->('ts', '-query', '-data', $note, qw(-sha256 -cert -out query)), 'a query over the note');
	ok($run->(qw(ts -reply -config tsa.conf -queryfile query -signer tsa.pem -inkey tsa.key -out reply)), 'is answered');
	ok($run->('ts', '-verify', '-data', $note, qw(-in reply -CAfile ca.pem)), 'the timestamp is of the note');
	put_file("$folder/other.checkpoint", slurp_file($note) =~ s/timed/times/gr);
	ok(!$run->('ts', '-verify', '-data', "$folder/other.checkpoint", qw(-in reply -CAfile ca.pem)), 'and of no other');
};

$node->stop;
done_testing;
