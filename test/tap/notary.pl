# spine-notary signs what extends what it signed before, and nothing else: what it says where the database was altered,
# rolled back, cloned, promoted or exchanged, where its own state was lost, and where it is killed at any moment.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use MIME::Base64 qw(encode_base64);
use Notary;
use Spine;
use Test::More;

my $node = spine_node('notary');

# A database of its own with three chains of ten, twenty and thirty events, signed three times: 5 and 10, 20, 30.
my $databases = 0;
sub signed_database
{
	my ($name) = @_;
	my $db = 'db' . ++$databases;
	my @orgs = map { org(10 * $databases + $_) } 1 .. 3;
	$node->safe_psql('postgres', "CREATE DATABASE $db");
	spine_database($node, $db);
	my $notary = new_notary($node, $db);
	emit_in($node, $db, 5, @orgs);
	notary_is($notary, 'init', DONE, "$name: init");
	emit_in($node, $db, 5, @orgs);
	notary_is($notary, 'once', DONE, "$name: the second checkpoint");
	emit_in($node, $db, 10, @orgs[ 1, 2 ]);
	notary_is($notary, 'once', DONE, "$name: the third checkpoint");
	return ($db, $notary, @orgs);
}

# What was signed last stays what it was, and its note is the newest.
sub nothing_was_signed
{
	my ($notary, $number, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(-e "$notary->{state}/$number.checkpoint" && !-e "$notary->{state}/@{[ $number + 1 ]}.checkpoint", "$name: nothing was signed");
}

subtest 'keys' => sub {
	my $folder = PostgreSQL::Test::Utils::tempdir();
	my ($code, $key) = run_notary('keygen', '--name', 'spine.example/keys', '--key', "$folder/key");
	is($code, DONE, 'keygen');
	like($key->{public_key}, qr{^spine\.example/keys\+[0-9a-f]{8}\+A[Q-Za-f]}, 'tells the public key');
	is((stat "$folder/key")[2] & oct(777), oct(600), 'the file is its owner\'s');
	($code) = run_notary('keygen', '--name', 'spine.example/keys', '--key', "$folder/key");
	is($code, USAGE, 'a key is not overwritten');
	($code, $key) = run_notary('keygen', '--name', 'w.example', '--key', "$folder/witness", '--witness-key');
	like($key->{public_key}, qr{^w\.example\+[0-9a-f]{8}\+B[A-P]}, 'a key for cosignatures');
	my %notary = (folder => $folder, state => "$folder/state", origin => 'spine.example/keys', database => $node->connstr('postgres'), options => []);
	notary_is({ %notary, key => "$folder/witness", origin => 'w.example' }, 'init', USAGE, 'which signs no checkpoints');
	notary_is({ %notary, key => "$folder/key", origin => 'other.example' }, 'init', USAGE, 'a key is of one origin');
	chmod 0640, "$folder/key";
	my @messages = notary_is({ %notary, key => "$folder/key" }, 'init', USAGE, 'a key that others can read is refused');
	like($messages[0]{text}, qr/by others than its owner/, 'and that is said');
	ok(!-e "$folder/state/state", 'no state was made');
	($code) = run_notary('once');
	is($code, USAGE, 'options are missing');
	($code) = run_notary('destroy');
	is($code, USAGE, 'there is no such command');
};

subtest 'from one checkpoint to the next' => sub {
	my ($db, $notary, @orgs) = signed_database('growth');
	my @messages = notary_is($notary, 'once', DONE, 'nothing new');
	is(message_of('unchanged', @messages)->{number}, 3, 'is said');
	nothing_was_signed($notary, 3, 'nothing new');
	my $new = org(777);
	emit_in($node, $db, 1, $orgs[0], $new);
	@messages = notary_is($notary, 'once', DONE, 'a chain that grew and a new one');
	is_deeply([ @{ message_of('signed', @messages) }{qw(number changed)} ], [ 4, 2 ], 'are signed');
	my $note = note_of($notary, 4);
	like($note, qr{^\Q$notary->{origin}\E\n4\n[0-9A-Za-z+/=]{44}\n\n\x{e2}\x{80}\x{94} \Q$notary->{origin}\E [0-9A-Za-z+/=]+\n$}, 'the note is a signed checkpoint');
	is($node->safe_psql($db, "SELECT note FROM spine.checkpoint_notes WHERE number = 4 AND origin = '$notary->{origin}'"), $note, 'the database has it');
	is($node->safe_psql($db, 'SELECT count(*) FROM spine.checkpoint_notes'), 4, 'and the others');
	# Several directory checkpoints at once: another notary takes them.
	my $second = new_notary($node, $db, 'second.example');
	notary_is($second, 'init', DONE, 'a second notary, with a key and state of its own');
	foreach (1 .. 3) { emit_in($node, $db, 3, @orgs, $new); notary_is($second, 'once', DONE, 'goes on') }
	@messages = notary_is($notary, 'once', DONE, 'the first one comes later');
	is(message_of('signed', @messages)->{number}, 7, 'and signs the newest');
	is(substr(note_of($notary, 7), length $notary->{origin}, 40), substr(note_of($second, 7), length $second->{origin}, 40), 'both say the same');
	notary_is($notary, 'once', DONE, 'thorough', '--thorough');
	# Both in one program's judgement.
	my $trust = "$notary->{folder}/policy";
	append_to_file($trust, "log $notary->{public_key}\nlog $second->{public_key}\nquorum none\n");
	command_ok([ program('spine-verify'), '--policy', $trust, $notary->{state} ], 'spine-verify takes the folder of checkpoints');
};

# Attack, SQL, message, the sizes that are said: signed, there, agreed; and the checkpoint that the chain agrees with. O is the organization
# whose ten, twenty and again twenty events were signed.
my @attacks = (
	[ 'tail removed', q(DELETE FROM spine.events WHERE organization_id = 'O' AND sequence > 15), 'chain_shrunken', 20, 15, 10, 2 ],
	[ 'tail removed to nearly nothing', q(DELETE FROM spine.events WHERE organization_id = 'O' AND sequence > 1), 'chain_shrunken', 20, 1, undef, undef ],
	[ 'chain removed', q(DELETE FROM spine.events WHERE organization_id = 'O'), 'chain_removed', 20, 0, undef, undef ],
	[ 'chain rewritten with fresh hashes', q(UPDATE spine.events SET payload = '{"n": 0}' WHERE organization_id = 'O' AND sequence = 8;) . rewrite('O'),
		'chain_rewritten', 20, 20, 5, 1 ],
	[ 'whole chain rewritten, and it went on', q(UPDATE spine.events SET payload = '{"n": 0}' WHERE organization_id = 'O' AND sequence = 1;) . rewrite('O')
		. q(; ALTER TABLE spine.events ENABLE ALWAYS TRIGGER zz_chain_event; SELECT spine.emit_event('a.b.c', entity_id => 'O', actor_id => 'O', organization_id => 'O')),
		'chain_rewritten', 20, 21, undef, undef ],
	[ 'tail cut off and grown again', q(DELETE FROM spine.events WHERE organization_id = 'O' AND sequence > 12; ALTER TABLE spine.events ENABLE ALWAYS TRIGGER zz_chain_event;
		SELECT spine.emit_event('a.b.c', entity_id => 'O', actor_id => 'O', organization_id => 'O') FROM generate_series(1, 20)),
		'chain_rewritten', 20, 32, 10, 2 ]);
foreach my $attack (@attacks)
{
	my ($name, $sql, $message, $signed, $there, $agreed, $number) = @$attack;
	subtest $name => sub {
		my ($db, $notary, @orgs) = signed_database($name);
		$sql =~ s/'O'/'$orgs[1]'/g;
		tamper($node, $db, $sql);
		emit_in($node, $db, 1, $orgs[0]);
		my @messages = notary_is($notary, 'once', REWRITTEN, 'is refused');
		nothing_was_signed($notary, 3, $name);
		my $told = message_of($message, @messages);
		is_deeply([ @$told{qw(organization_id signed_size size agreed_size agreed_number)} ], [ $orgs[1], $signed, $there, $agreed, $number ], 'which chain, and since when')
		  or diag(join "\n", map { "$_->{message}: $_->{text}" } @messages);
		is(scalar(grep { $_->{message} =~ /^chain_(?:shrunken|removed|rewritten)/ } @messages), 1, 'and no other');
		my $refused = message_of('refused', @messages);
		is_deeply([ @$refused{qw(looks_like chains_disagreeing events_missing)} ], [ 'a rewrite', 1, $signed > $there ? $signed - $there : 0 ], 'a rewrite');
		notary_is($notary, 'once', REWRITTEN, 'again');
	};
}

subtest 'a chain at fault behind what was signed' => sub {
	my ($db, $notary, @orgs) = signed_database('fault');
	emit_in($node, $db, 3, @orgs);
	tamper($node, $db, "UPDATE spine.events SET payload = '{}' WHERE organization_id = '$orgs[0]' AND sequence = 12");
	my @messages = notary_is($notary, 'once', CHAIN_FAULT, 'is told');
	is(message_of('chain_fault', @messages)->{organization_id}, $orgs[0], 'which chain');
	is(message_of('signed', @messages)->{changed}, 2, 'the others are signed');
};

subtest 'records of checkpoints altered' => sub {
	# Rows of a chain that has no such events: the directory says so, and nothing proves it.
	my ($db, $notary, @orgs) = signed_database('false checkpoint');
	tamper($node, $db, tamper_with_records("INSERT INTO spine.checkpoints SELECT organization_id, 1000, sha256('x'), head_hash, compact_range, 4, taken_at
	  FROM spine.checkpoints WHERE organization_id = '$orgs[0]' AND size = 10"));
	emit_in($node, $db, 1, $orgs[1]);
	my @messages = notary_is($notary, 'once', REWRITTEN, 'a false checkpoint of a chain');
	nothing_was_signed($notary, 3, 'a false checkpoint');

	# The newest records removed, and the events that they were of: the server never stopped.
	($db, $notary, @orgs) = signed_database('records removed');
	tamper($node, $db, "DELETE FROM spine.events WHERE organization_id IN ('$orgs[1]', '$orgs[2]') AND sequence > 10;"
		. tamper_with_records("DELETE FROM spine.checkpoints WHERE directory_number = 3; DELETE FROM spine.directory_checkpoints WHERE number = 3;
		  DELETE FROM spine.checkpoint_notes WHERE number = 3"));
	@messages = notary_is($notary, 'once', REWRITTEN, 'records and events removed');
	my $refused = message_of('refused', @messages);
	is_deeply([ @$refused{qw(looks_like signed_number agreed_number chains_disagreeing events_missing)} ], [ 'a rewrite', 3, 2, 2, 20 ], 'is told');
	is($node->safe_psql($db, 'SELECT max(number) FROM spine.directory_checkpoints'), 2, 'and nothing was written into that database');
	# It goes on from there.
	emit_in($node, $db, 1, $orgs[1]);
	$node->safe_psql($db, 'SELECT FROM spine.take_checkpoint()');
	notary_is($notary, 'once', REWRITTEN, 'and after it took a checkpoint of its own');

	# A false entry between two that are right.
	($db, $notary, @orgs) = signed_database('false entry');
	emit_in($node, $db, 1, $orgs[1]);
	$node->safe_psql($db, 'SELECT FROM spine.take_checkpoint()');
	emit_in($node, $db, 1, $orgs[1]);
	$node->safe_psql($db, 'SELECT FROM spine.take_checkpoint()');
	tamper($node, $db, tamper_with_records("UPDATE spine.directory_checkpoints SET entry = regexp_replace(entry, E'\\n4\\n4\\n', E'\\n4\\n3\\n') WHERE number = 4"));
	@messages = notary_is($notary, 'once', REWRITTEN, 'a false entry among several');
	is(message_of('entry_refused', @messages)->{number}, 4, 'is named');
	nothing_was_signed($notary, $_, 'a false entry') foreach 3;
};

subtest 'notes of others' => sub {
	my ($db, $notary, @orgs) = signed_database('forged note');
	emit_in($node, $db, 1, @orgs);
	$node->safe_psql($db, 'SELECT FROM spine.take_checkpoint()');
	# Somebody with the right to store notes: another key under our name, over what is there.
	my $forger = new_notary($node, $db, $notary->{origin});
	notary_is($forger, 'init', NOTARY_LOST, 'init refuses an origin that has notes');
	my $note = $node->safe_psql($db, "SELECT format(E'%s\\n4\\n%s\\n\\n', '$notary->{origin}', encode(root, 'base64')) FROM spine.directory_checkpoints WHERE number = 4");
	$note .= "\x{e2}\x{80}\x{94} $notary->{origin} " . encode_base64('x' x 68, '') . "\n";
	$node->safe_psql($db, "SELECT spine.store_note(\$n\$$note\$n\$)", connstr => $notary->{database});
	my @messages = notary_is($notary, 'once', DONE, 'a note that is not ours is not believed');
	ok(message_of('note_not_ours', @messages)->{text}, 'and told');
	is(message_of('signed', @messages)->{number}, 4, 'the checkpoint is signed');
	(my $other = $note) =~ s/\n4\n/\n3\n/;
	is_refused($node, $db, "SELECT spine.store_note(\$n\$$other\$n\$)", 'SP103', 'a note over what never was');
};

subtest 'the notary lost its state' => sub {
	my ($db, $notary, @orgs) = signed_database('lost state');
	my $old = copy_state($notary);
	emit_in($node, $db, 1, @orgs);
	notary_is($notary, 'once', DONE, 'one more');
	emit_in($node, $db, 1, @orgs);
	my @messages = notary_is($old, 'once', NOTARY_LOST, 'an old copy of the state signs nothing');
	is_deeply([ @{ message_of('notary_lost', @messages) }{qw(number signed_number)} ], [ 3, 4 ], 'and says what is missing');
	nothing_was_signed($old, 3, 'an old copy');
	is($node->safe_psql($db, 'SELECT max(number) FROM spine.directory_checkpoints'), 4, 'and takes nothing');

	# A directory that is gone: not begun by accident.
	my $new = { %$notary, state => "$notary->{folder}/new" };
	notary_is($new, 'once', USAGE, 'without a state nothing is signed');
	mkdir $new->{state};
	notary_is($new, 'once', USAGE, 'nor in an empty directory');
	notary_is($new, 'init', NOTARY_LOST, 'init asks for the note');
	notary_is($new, 'init', NOTARY_LOST, 'an older note is not enough', '--adopt', "$notary->{state}/3.checkpoint");
	my $note = note_of($notary, 4);
	append_to_file("$notary->{folder}/forged", $note =~ s/\n4\n/\n5\n/r);
	notary_is($new, 'init', USAGE, 'nor one that the key did not sign', '--adopt', "$notary->{folder}/forged");
	notary_is($new, 'init', DONE, 'the newest is', '--adopt', "$notary->{state}/4.checkpoint");
	notary_is($new, 'init', USAGE, 'a state is not begun twice', '--adopt', "$notary->{state}/4.checkpoint");
	@messages = notary_is($new, 'once', DONE, 'and it goes on');
	is(message_of('signed', @messages)->{number}, 5, 'with the next');
	is($node->safe_psql($db, "SELECT count(*) - count(DISTINCT number) FROM spine.checkpoint_notes"), 0, 'nothing was signed twice');
	# A database that is not what was signed is not adopted.
	tamper($node, $db, tamper_with_records("UPDATE spine.checkpoints SET root = sha256('x') WHERE organization_id = '$orgs[0]' AND size = 10"));
	notary_is({ %$notary, state => "$notary->{folder}/third" }, 'init', REWRITTEN, 'records that were altered are not adopted', '--adopt', "$new->{state}/5.checkpoint");
	my ($other) = signed_database('not the one');
	notary_is({ %$notary, state => "$notary->{folder}/fourth", database => $node->connstr($other) . ' user=notary' }, 'init', RESTORED,
		'nor a database without that log', '--adopt', "$new->{state}/5.checkpoint");

	# A state and its note that do not belong together, and damage.
	my $damaged = copy_state($new);
	put_file("$damaged->{state}/state", slurp_file("$damaged->{state}/state") =~ s/\n12\n/\n13\n/r);
	notary_is($damaged, 'once', USAGE, 'a damaged state is not used');
	$damaged = copy_state($new);
	system_or_bail('cp', "$old->{state}/state", "$damaged->{state}/state");
	notary_is($damaged, 'once', NOTARY_LOST, 'an old state beside newer notes');
};

subtest 'another database' => sub {
	my ($db, $notary, @orgs) = signed_database('other');
	my ($other) = signed_database('the other one');
	my @messages = notary_is({ %$notary, database => $node->connstr($other) . ' user=notary' }, 'once', OTHER_DATABASE, 'another database of the cluster');
	is(message_of('refused', @messages)->{looks_like}, 'another database', 'is told');
	$node->safe_psql('postgres', 'CREATE DATABASE empty');
	spine_database($node, 'empty');
	$node->safe_psql('empty', "SELECT spine.grant_notary('notary')");
	notary_is({ %$notary, database => $node->connstr('empty') . ' user=notary' }, 'once', OTHER_DATABASE, 'one without any checkpoint');
	is($node->safe_psql('empty', 'SELECT count(*) FROM spine.directory_checkpoints'), 0, 'nothing was written into it');
};

subtest 'rights and reach' => sub {
	my ($db, $notary, @orgs) = signed_database('rights');
	$node->safe_psql('postgres', 'CREATE ROLE stranger LOGIN');
	notary_is({ %$notary, database => $node->connstr($db) . ' user=stranger' }, 'once', UNAVAILABLE, 'a role that is no notary');
	is_refused($node, $db, 'SELECT count(*) FROM spine.events', '42501', 'a notary reads no event', role => 'notary');
	notary_is({ %$notary, database => 'host=/nowhere' }, 'once', UNAVAILABLE, 'no server');
	open my $lock, '+<', "$notary->{state}/lock" or die $!;
	flock $lock, 2 or die $!;
	notary_is($notary, 'once', USAGE, 'a state in use');
	close $lock;
	notary_is($notary, 'once', DONE, 'and then free');
};

$node->stop;
done_testing;
