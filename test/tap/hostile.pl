# Payloads that are made to hurt: each is refused or stored right, and the backend takes at most four times the largest
# payload for it, by what the kernel says of its memory. How long each took is told, not judged.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Spine;
use Test::More;

# Little shared memory, all of it touched by the first event: the kernel counts it to the process that touches it.
my $node = spine_node('hostile', conf => "shared_buffers = '1MB'\nwal_buffers = '64kB'\nlog_statement = none\npeople_os_spine.actor_id = '@{[ org(1) ]}'\npeople_os_spine.organization_id = '@{[ org(1) ]}'\n");
my $most = 4 * 1024;    # kB: four times the default of max_payload_size
$node->safe_psql('postgres', q{
  CREATE FUNCTION kilobytes(name text) RETURNS bigint LANGUAGE sql AS $$
    SELECT (regexp_match(pg_read_file('/proc/self/status'), name || ':\s+(\d+)'))[1]::bigint
  $$;
  -- Emits the payload. The kernel notes this process's largest size, from what it is when it is told to begin anew.
  CREATE FUNCTION measure(payload jsonb, OUT answer text, OUT kb bigint, OUT ms numeric) LANGUAGE plpgsql AS $$
  DECLARE
    before bigint;
    began timestamptz;
    stored uuid;
  BEGIN
    COPY (SELECT 5) TO '/proc/self/clear_refs';
    before := kilobytes('VmRSS');
    began := clock_timestamp();
    BEGIN
      stored := spine.emit_event('a.b.c', entity_id => '00000000-0000-4000-8000-0000000000e1', payload => measure.payload);
    EXCEPTION WHEN OTHERS THEN
      answer := SQLSTATE;
    END;
    ms := round(extract(epoch FROM clock_timestamp() - began) * 1000, 2);
    kb := kilobytes('VmHWM') - before;
    IF stored IS NOT NULL THEN
      SELECT CASE WHEN spine.event_digest(e) = event_hash AND e.payload = measure.payload THEN 'stored' ELSE 'altered' END
        INTO answer FROM spine.events e WHERE e.id = stored;
    END IF;
  END $$;
  CREATE TABLE large AS SELECT jsonb_build_object('text', repeat('x', 250000000)) AS payload;
  ALTER TABLE large ALTER payload SET STORAGE EXTERNAL;
  CREATE TABLE plain_large (LIKE large INCLUDING STORAGE);
  INSERT INTO plain_large TABLE large;
});

my $object = "(SELECT jsonb_object_agg(i, %s) FROM generate_series(1, %d) i)";
foreach my $case (
	[ 'an exponent of 130000', 'SP011', q('{"x": 1e130000}') ],
	[ 'an exponent of -16000', 'SP011', q('{"x": 1e-16000}') ],
	[ '131,072 digits', 'SP011', q(('{"x": ' || repeat('7', 131072) || '}')::jsonb) ],
	[ '16,383 decimals', 'stored', q(('{"x": 0.' || repeat('7', 16383) || '}')::jsonb) ],
	[ 'ten thousand numbers of 130,000 digits', 'SP011', sprintf($object, q(1e130000::numeric), 10000) ],
	[ 'three thousand numbers of 300 digits', 'SP009', sprintf($object, q(('1' || repeat('7', 300))::numeric), 4000) ],
	[ 'six thousand powers of ten', 'stored', sprintf($object, q(1e300::numeric), 6000) ],
	[ '129 objects in each other', 'SP010', q((repeat('{"a":', 129) || '1' || repeat('}', 129))::jsonb) ],
	[ '128 of them', 'stored', q((repeat('{"a":', 128) || '1' || repeat('}', 128))::jsonb) ],
	[ 'six thousand objects in each other', 'SP010', q((repeat('{"a":', 6000) || '1' || repeat('}', 6000))::jsonb) ],
	[ 'six thousand arrays in each other', 'SP010', q(('{"a":' || repeat('[', 6000) || repeat(']', 6000) || '}')::jsonb) ],
	[ 'a string of 250 MB', 'SP009', q(jsonb_build_object('x', repeat('x', 250000000))) ],
	[ 'a key of 250 MB', 'SP009', q(jsonb_build_object(repeat('k', 250000000), 1)) ],
	[ 'a compressed value of 250 MB', 'SP009', q((SELECT payload FROM large)) ],
	[ 'an out-of-line value of 250 MB', 'SP009', q((SELECT payload FROM plain_large)) ],
	[ 'a string that escapes make six times as large', 'SP009', q(jsonb_build_object('x', repeat(E'\\x01', 300000))) ],
	[ 'one that they make almost too large', 'stored', q(jsonb_build_object('x', repeat(E'\\x01', 170000))) ],
	[ 'the largest string', 'stored', q(jsonb_build_object('x', repeat('x', 1048576 - 8))) ],
	[ 'one byte more', 'SP009', q(jsonb_build_object('x', repeat('x', 1048576 - 7))) ],
	[ 'two million members', 'SP009', sprintf($object, 'i', 2000000) ],
	[ 'sixty thousand members', 'stored', sprintf($object, 'i', 60000) ],
	[ 'three million empty objects', 'SP009', q(jsonb_build_object('a', (SELECT jsonb_agg('{}'::jsonb) FROM generate_series(1, 3000000)))) ],
	[ 'an empty key', 'stored', q('{"": {"": ""}}') ],
	[ 'a key twice', 'stored', q('{"a": 1, "a": 2}') ],
	[ 'a pair of surrogates', 'stored', q('{"a": "\ud83d\ude00"}') ],
	[ 'an array', 'SP008', q('[1]') ],
	[ 'a string', 'SP008', q('"x"') ],
	[ 'NaN as text', 'stored', q('{"a": "NaN"}') ])
{
	my ($name, $expected, $payload) = @$case;
	# Once before, in the same session: what a session keeps, as the hasher's buffers, is not this payload's. And not a
	# plan of its own for each payload, with the payload in it.
	my $line = $node->safe_psql('postgres',
		"SET plan_cache_mode = force_generic_plan; SELECT count(measure(jsonb_build_object('x', repeat('x', 1000000)))); SELECT m.* FROM (SELECT ($payload)::jsonb AS p OFFSET 0) p, measure(p) m");
	my ($answer, $kb, $ms) = split /\|/, (split /\n/, $line)[-1];
	is($answer, $expected, "$name: $expected, in $ms ms");
	cmp_ok($kb, '<=', $most, "$name: $kb kB");
}
# What the server's own JSON parser refuses.
is(sqlstate($node, 'postgres', "SELECT measure('$_->[1]')"), $_->[2], $_->[0])
  foreach [ 'a null character', '{"a": "\u0000"}', '22P05' ], [ 'half a surrogate pair', '{"a": "\ud83d"}', '22P02' ], [ 'NaN as a number', '{"a": NaN}', '22P02' ];
is(sqlstate($node, 'postgres', "SELECT measure((repeat('{\"a\":', 40000) || '1' || repeat('}', 40000))::jsonb)"), '54001', 'depth 40,000');
# What is shown, by canonical_json of any value and by canonical_event of any row, is as long as a text can be, and no longer.
my $expanding = q(repeat(E'\\x01', 200000000));    # six times as long in JSON
is_refused($node, 'postgres', "SELECT length(spine.canonical_json(to_jsonb($expanding)))", '54000', 'JSON over 1 GB', hint => 'text value');
is_refused($node, 'postgres', "SELECT length(spine.canonical_event(jsonb_populate_record(NULL::spine.events, jsonb_build_object('event_type', $expanding))))",
	'54000', 'an event over 1 GB', hint => 'text value');
is($node->safe_psql('postgres', 'SELECT intact, faults FROM spine.verify_chain()'), 't|0', 'the chain is intact');
$node->stop;
done_testing;
