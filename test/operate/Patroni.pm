# Nodes that Patroni keeps, with etcd, on free ports of this machine; all of it ends with the test.
package Patroni;

use strict;
use warnings;

use Exporter 'import';
use JSON::PP qw(decode_json);
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Time::HiRes qw(sleep);

our @EXPORT = qw(start_cluster start_patroni kill_patroni kill_machine wait_until leader_of members_of patronictl patroni_log TTL);

# Seconds after which a primary of which nothing is heard has lost its lock; the least that Patroni takes.
use constant TTL => 20;

my $folder = PostgreSQL::Test::Utils::tempdir();
my ($etcd, $etcd_port, @nodes);

sub spawn
{
	my ($log, @command) = @_;
	my $pid = fork // die "fork: $!";
	return $pid if $pid;
	open STDIN, '<', '/dev/null';
	open STDOUT, '>>', $log;
	open STDERR, '>&', \*STDOUT;
	exec @command or POSIX::_exit(127);
}

# Waits until the code says something true, and returns that; dies after so many seconds.
sub wait_until
{
	my ($what, $seconds, $code) = @_;
	my $until = time + $seconds;
	while (1)
	{
		my $answer = $code->();
		return $answer if $answer;
		die "$what: not within $seconds seconds" if time > $until;
		sleep 0.1;
	}
}

# etcd and so many nodes in synchronous mode, the first of which is the primary.
sub start_cluster
{
	my ($count, %parameters) = @_;
	$etcd_port = PostgreSQL::Test::Cluster::get_free_port();
	my $peer = PostgreSQL::Test::Cluster::get_free_port();
	$etcd = spawn("$folder/etcd.log", 'etcd', '--name', 'one', '--data-dir', "$folder/etcd",
		'--listen-client-urls', "http://127.0.0.1:$etcd_port", '--advertise-client-urls', "http://127.0.0.1:$etcd_port",
		'--listen-peer-urls', "http://127.0.0.1:$peer", '--initial-advertise-peer-urls', "http://127.0.0.1:$peer", '--initial-cluster', "one=http://127.0.0.1:$peer");
	wait_until('etcd', 60, sub { -e "$folder/etcd.log" && slurp_file("$folder/etcd.log") =~ /ready to serve client requests/ });
	foreach my $number (1 .. $count)
	{
		my $node = PostgreSQL::Test::Cluster->new("node$number");
		$node->{patroni_port} = PostgreSQL::Test::Cluster::get_free_port();
		push @nodes, $node;
		configure($node, %parameters);
		start_patroni($node);
		wait_until("node $number", 120, sub { grep { $_->{name} eq $node->name && $_->{state} =~ m{^(?:running|streaming)$} } members_of() });
	}
	return @nodes;
}

sub configure
{
	my ($node, %parameters) = @_;
	my ($user, $name, $port, $host) = (scalar getpwuid($<), $node->name, $node->port, $node->host);
	my ($data, $base, $bin) = ($node->data_dir, $node->basedir, $node->config_data('--bindir'));
	my $settings = join '', map { "        $_: '$parameters{$_}'\n" } sort keys %parameters;
	# Between the nodes by TCP with a password, which is this test's own.
	put_file("$base/patroni.yml", <<"YAML");
scope: spine
name: $name
restapi:
  listen: 127.0.0.1:$node->{patroni_port}
  connect_address: 127.0.0.1:$node->{patroni_port}
etcd3:
  host: 127.0.0.1:$etcd_port
bootstrap:
  dcs:
    ttl: @{[TTL]}
    loop_wait: 5
    retry_timeout: 5
    synchronous_mode: true
    postgresql:
      use_pg_rewind: true
      parameters:
$settings
  initdb:
  - encoding: UTF8
  - locale: C.UTF-8
  - data-checksums
postgresql:
  listen: 127.0.0.1:$port
  connect_address: 127.0.0.1:$port
  use_unix_socket: true
  data_dir: $data
  bin_dir: $bin
  pgpass: $base/pgpass
  authentication:
    superuser: { username: $user, password: secret$$ }
    replication: { username: replicator, password: secret$$ }
  parameters:
    unix_socket_directories: $host
  pg_hba:
  - local all all trust
  - host all all 127.0.0.1/32 scram-sha-256
  - host replication replicator 127.0.0.1/32 scram-sha-256
YAML
	return;
}

sub patroni_log { my ($node) = @_; return $node->basedir . '/patroni.log' }

sub start_patroni
{
	my ($node) = @_;
	$node->{patroni} = spawn(patroni_log($node), 'patroni', $node->basedir . '/patroni.yml');
	return;
}

# Patroni alone; the server goes on.
sub kill_patroni
{
	my ($node) = @_;
	kill 'KILL', $node->{patroni};
	waitpid $node->{patroni}, 0;
	delete $node->{patroni};
	return;
}

# As if the machine went.
sub kill_machine
{
	my ($node) = @_;
	my $patroni = $node->{patroni};
	kill 'STOP', $patroni;
	kill_server($node);
	kill_patroni($node);
	return;
}

sub patronictl
{
	my (@command) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'patronictl', '-c', $nodes[0]->basedir . '/patroni.yml', @command ], '>', \$out, '2>', \$err);
	return ($? >> 8, $out, $err);
}

sub members_of
{
	my ($code, $out) = patronictl('list', '-f', 'json');
	return $code || $out !~ /\S/ ? () : map { { name => $_->{Member}, role => $_->{Role}, state => $_->{State}, timeline => $_->{TL} } } @{ decode_json($out) };
}

# The node that is the primary and answers; undef: none.
sub leader_of
{
	my ($leader) = grep { $_->{role} eq 'Leader' && $_->{state} eq 'running' } members_of();
	return unless $leader;
	my ($node) = grep { $_->name eq $leader->{name} } @nodes;
	return $node;
}

END
{
	my $status = $?;
	if ($status || !PostgreSQL::Test::Utils::all_tests_passing())
	{
		print map { my $log = slurp_file(patroni_log($_)); $_->name . ":\n" . substr($log, -3000) . "\n" } grep { -e patroni_log($_) } @nodes;
	}
	foreach my $node (grep { $_->{patroni} } @nodes) { kill 'TERM', $node->{patroni} }
	my $until = time + 60;
	foreach my $node (grep { $_->{patroni} } @nodes)
	{
		sleep 0.1 until waitpid($node->{patroni}, POSIX::WNOHANG()) != 0 || time > $until;
	}
	foreach my $node (grep { -e $_->data_dir . '/postmaster.pid' } @nodes) { kill_server($node) }
	if ($etcd) { kill 'KILL', $etcd; waitpid $etcd, 0 }
	$? = $status;
}

1;
