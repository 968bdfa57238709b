-- The canonical form and the hash.
\pset format unaligned
\pset tuples_only on

-- RFC 8785: order of members by UTF-16 code units, escapes, white space.
SELECT spine.canonical_json('{ "€": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh",
  "1": "One", "😀": "Emoji: Grinning Face", "\u0080": "Control", "ö": "Latin Small Letter O With Diaeresis" }');
SELECT spine.canonical_json('{"b": [ {}, [], {"y": null, "x": [true, false]} ], "a": "", "aa": 1, "": 0, "B": -0}');
SELECT spine.canonical_json('"\u0001\b\t\n\u000b\f\r\u001f\"\\/\u007f€😀\u2028"');
SELECT spine.canonical_json('{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
  "string": "\u20ac$\u000F\u000aA''\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}');
SELECT spine.canonical_json('null'), spine.canonical_json('true'), spine.canonical_json('"x"'), spine.canonical_json('[]');

-- Numbers: ECMAScript's format from the exact digits.
SELECT n, spine.canonical_json(n::jsonb) FROM unnest(ARRAY['0', '-0', '0.0', '-0.00', '1', '1.0', '1.00', '1e0', '10e-1', '-1.50', '1e20', '1e21',
  '123456789012345678901', '1234567890123456789012', '1e-6', '1e-7', '0.0000012', '0.00000012', '5e-324',
  '1.7976931348623157e308', '-1.7976931348623157e308', '9007199254740993', '12345678901234567890', '0.1000000000000000055',
  '100', '120000.5', '0.1', '1e23', '1e131071', '10000', '9999', '100000000', '0.0001', '0.00012345678', '1e-16000']) n;
-- 1.0, 1.00 and 1e0 are one number; so are these, however jsonb keeps their scale.
SELECT count(DISTINCT spine.canonical_json(n::jsonb)) FROM unnest(ARRAY['1.0', '1.00', '1e0', '10e-1', '0.1e1']) n;
-- All digits of a number with 131,072 of them.
SELECT length(spine.canonical_json(repeat('7', 131072)::jsonb)), md5(spine.canonical_json(repeat('7', 131072)::jsonb));

-- Against the server's own decimal output: the same value for 20,000 random numbers.
SELECT setseed(0.5);
SELECT count(*) AS differ FROM (
  SELECT trunc((random() - 0.5)::numeric * 10::numeric ^ (random() * 30)::int, (random() * 20)::int) * 10::numeric ^ (random() * 60 - 30)::int AS n
    FROM generate_series(1, 20000)) r
 WHERE (spine.canonical_json(to_jsonb(n)))::numeric <> n OR (spine.canonical_json(to_jsonb(n))) ~ '(^|-)0[0-9]|\.[0-9]*0(e|$)|^-0$|E';

-- More members than one stride of offsets, in an object and an array.
SELECT spine.canonical_json(jsonb_object_agg('k' || i, i)) = '{' || string_agg('"k' || i || '":' || i, ',' ORDER BY ('k' || i) COLLATE "C") || '}'
  FROM generate_series(1, 1000) i;
SELECT spine.canonical_json(jsonb_agg(i)) = '[' || string_agg(i::text, ',' ORDER BY i) || ']' FROM generate_series(1, 1000) i;
-- Deep, and without recursion.
SELECT length(spine.canonical_json((repeat('[', 5000) || repeat(']', 5000))::jsonb));
SELECT spine.canonical_json(NULL) IS NULL;

-- The worked event of docs/hash.md.
CREATE TEMP TABLE worked AS SELECT (
  '019bd5a0-1234-7abc-8def-0123456789ab', 'hcm.employee.created', 'hcm', 'employee', '00000000-0000-4000-8000-0000000000e1',
  'created', '00000000-0000-4000-8000-0000000000a1', 'human', '00000000-0000-4000-8000-000000000001', 'prod',
  '2026-01-19 09:30:00+00', 'low', '{"name": "Ada", "salary": 120000.50, "department": "d-7"}', 1, '771', 'payroll',
  decode(repeat('00', 32), 'hex'), decode('8ba6cfb11b77aadd42fdbe0355774209951c657d7a19c7fbcb6fa7fcc866ea72', 'hex'),
  '\x000102030405060708090a0b0c0d0e0f'::bytea, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::spine.events AS e;
SELECT spine.canonical_event(e) FROM worked;
SELECT encode(spine.event_digest(e), 'hex'), spine.event_digest(e) = (e).event_hash FROM worked;
-- Every label, beside every other.
SELECT count(*) AS combinations, count(*) FILTER (WHERE (d ->> 'actor_type') = a::text AND (d ->> 'environment') = n::text AND (d ->> 'severity') = s::text) AS as_labelled
  FROM unnest(enum_range(NULL::spine.actor_type)) a, unnest(enum_range(NULL::spine.environment)) n, unnest(enum_range(NULL::spine.severity)) s,
       LATERAL (SELECT spine.canonical_event(ROW(NULL, NULL, NULL, NULL, NULL, NULL, NULL, a, NULL, n, NULL, s, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::spine.events)::jsonb AS d) t;
-- A column that is NULL has no member.
SELECT spine.canonical_event(ROW(NULL, 'a.b.c', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'high', NULL, 7, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::spine.events);
-- The years that the form can write, and infinities that it cannot, are shown all the same.
SELECT spine.canonical_event(ROW(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, t, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::spine.events)
  FROM unnest(ARRAY['0001-01-01 00:00:00+00', '1969-12-31 23:59:59.999999+00', '2024-02-29 12:00:00.000001+00', '9999-12-31 23:59:59.999999+00', '10000-01-01 00:00:00+00']::timestamptz[]) t;

-- Nothing in the session changes the bytes.
SELECT spine.event_digest(e) AS digest FROM worked \gset
SET TimeZone = 'Asia/Kathmandu';
SET DateStyle = 'German, DMY';
SET IntervalStyle = 'iso_8601';
SET extra_float_digits = -15;
SET bytea_output = 'escape';
SET lc_numeric = 'C';
SET search_path = pg_temp, public;
SET client_encoding = 'LATIN1';
SET standard_conforming_strings = off;
SELECT encode(spine.event_digest(e), 'hex') = substr(:'digest', 3) FROM worked;
