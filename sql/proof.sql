-- Trees, checkpoints and evidence: against the RFC's own algorithms, written here in SQL; errors; rights. What is altered: proof.pl.
\set o '00000000-0000-4000-8000-0000000f3001'
\set p '00000000-0000-4000-8000-0000000f3002'
\set ada '00000000-0000-4000-8000-0000000fe301'
SET people_os_spine.organization_id = :'o';
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
-- RFC 6962, section 2.1. Leaves are given as their hashes.
CREATE SCHEMA rfc;
CREATE FUNCTION rfc.half(n int) RETURNS int LANGUAGE sql AS 'SELECT (2 ^ (ceil(log(2::numeric, n)) - 1))::int';
CREATE FUNCTION rfc.root(leaves bytea[]) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
  n int := cardinality(leaves);
BEGIN
  IF n = 1 THEN RETURN leaves[1]; END IF;
  RETURN sha256('\x01'::bytea || rfc.root(leaves[1:rfc.half(n)]) || rfc.root(leaves[rfc.half(n) + 1:n]));
END $$;
CREATE FUNCTION rfc.path(m int, leaves bytea[]) RETURNS bytea[] LANGUAGE plpgsql AS $$
DECLARE
  n int := cardinality(leaves);
  k int;
BEGIN
  IF n = 1 THEN RETURN '{}'; END IF;
  k := rfc.half(n);
  IF m < k THEN RETURN rfc.path(m, leaves[1:k]) || rfc.root(leaves[k + 1:n]); END IF;
  RETURN rfc.path(m - k, leaves[k + 1:n]) || rfc.root(leaves[1:k]);
END $$;
CREATE FUNCTION rfc.subproof(m int, leaves bytea[], is_known boolean) RETURNS bytea[] LANGUAGE plpgsql AS $$
DECLARE
  n int := cardinality(leaves);
  k int;
BEGIN
  IF m = n THEN RETURN CASE WHEN is_known THEN '{}' ELSE ARRAY[rfc.root(leaves)] END; END IF;
  k := rfc.half(n);
  IF m <= k THEN RETURN rfc.subproof(m, leaves[1:k], is_known) || rfc.root(leaves[k + 1:n]); END IF;
  RETURN rfc.subproof(m - k, leaves[k + 1:n], false) || rfc.root(leaves[1:k]);
END $$;
CREATE FUNCTION rfc.leaves(organization uuid, size int) RETURNS bytea[] LANGUAGE sql AS $$
  SELECT array_agg(sha256('\x00'::bytea || event_hash) ORDER BY sequence) FROM spine.events WHERE organization_id = organization AND sequence <= size
$$;
-- Which of these differ: roots, inclusion and consistency proofs.
CREATE FUNCTION rfc.differences(organization uuid, sizes int[]) RETURNS TABLE (what text, size int, of_leaf_or_old_size int) LANGUAGE sql AS $$
  SELECT 'root', s, NULL FROM unnest(sizes) s
   WHERE (SELECT root FROM spine.tree_head(organization, s)) IS DISTINCT FROM rfc.root(rfc.leaves(organization, s))
  UNION ALL
  SELECT 'path', s, q FROM unnest(sizes) s, unnest(sizes) q, spine.prove_inclusion(organization, q, s) i
   WHERE q <= s AND (i.proof, i.leaf_index, i.root) IS DISTINCT FROM (rfc.path(q - 1, rfc.leaves(organization, s)), q - 1, rfc.root(rfc.leaves(organization, s)))
  UNION ALL
  SELECT 'proof', s, q FROM unnest(sizes) s, unnest(sizes) q, spine.prove_consistency(organization, q, s) c
   WHERE q <= s AND (c.proof, c.old_root, c.new_root)
         IS DISTINCT FROM (rfc.subproof(q, rfc.leaves(organization, s), true), rfc.root(rfc.leaves(organization, q)), rfc.root(rfc.leaves(organization, s)))
$$;

-- Without a checkpoint, with one in the middle, with some at all events.
SELECT size, encode(root, 'hex') AS root, head_hash FROM spine.tree_head(:'o');
SELECT count(spine.emit_event('hcm.employee.created', entity_id => :'ada', payload => jsonb_build_object('n', n), personal => '{"name": "Ada"}')) FROM generate_series(1, 300) n;
SELECT * FROM rfc.differences(:'o', '{1,2,3,4,5,7,8,255,256,257,299,300}');
SELECT organization_id, size, verified, intact, fault, root = (SELECT root FROM spine.tree_head(:'o', 300)) AS is_the_root FROM spine.take_checkpoint(:'o');
SELECT * FROM spine.take_checkpoint(:'o');
SELECT count(spine.emit_event('hcm.employee.created', entity_id => :'ada', payload => jsonb_build_object('n', n))) FROM generate_series(301, 640) n;
SELECT * FROM rfc.differences(:'o', '{1,3,256,299,300,301,511,512,513,640}');
SELECT size, verified, intact FROM spine.take_checkpoint(:'o');
SELECT * FROM rfc.differences(:'o', '{1,2,77,256,257,300,301,511,512,600,640}');
SELECT level, index FROM spine.tree_nodes WHERE organization_id = :'o' ORDER BY level, index;
SELECT size, octet_length(compact_range) AS range_bytes FROM spine.checkpoints WHERE organization_id = :'o' ORDER BY size;
SELECT head_hash = (SELECT event_hash FROM spine.events WHERE organization_id = :'o' AND sequence = 300) AS is_its_event FROM spine.tree_head(:'o', 300);
-- By its id; all there are is the default.
SELECT i.leaf_index, i.size, i.event_hash = e.event_hash AS is_its_hash FROM spine.events e, spine.prove_inclusion(event_id => e.id) i WHERE organization_id = :'o' AND sequence = 5;

-- What there is not.
SELECT * FROM spine.tree_head(:'o', 641);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM spine.tree_head(:'o', 0);
SELECT * FROM spine.prove_inclusion(:'o', 301, 300);
SELECT * FROM spine.prove_inclusion(:'o', 0);
SELECT * FROM spine.prove_inclusion(:'o');
SELECT * FROM spine.prove_inclusion(:'o', 1, event_id => :'o');
SELECT * FROM spine.prove_inclusion(event_id => :'o');
SELECT * FROM spine.prove_consistency(:'o', 300, 200);
SELECT * FROM spine.prove_consistency(:'o', 0, 200);
SELECT * FROM spine.prove_inclusion(:'p', 1);
SELECT * FROM spine.prove_directory_consistency(1, 1000000);
SELECT count(*) FROM spine.prove_consistency(NULL, 1, 1);
SELECT count(*) FROM spine.tree_head(NULL);
BEGIN READ ONLY;
SELECT * FROM spine.take_checkpoint(:'o');
ROLLBACK;

-- Verifying what is new.
SELECT count(spine.emit_event('hcm.employee.created', entity_id => :'ada')) FROM generate_series(1, 3);
SELECT organization_id, intact, checkpoint_size, directory_number IS NULL AS covered_by_none_yet, events, last_sequence, faults, first_fault FROM spine.verify_since_checkpoint(:'o');
SELECT spine.emit_event('hcm.employee.created', entity_id => :'ada', organization_id => :'p') \g /dev/null
SELECT intact, checkpoint_size, checkpoint_root, events, last_sequence FROM spine.verify_since_checkpoint(:'p');
SELECT count(*) FROM spine.verify_since_checkpoint() v WHERE organization_id IN (:'o', :'p') AND intact;
SELECT intact, checkpoint_size, events, head_hash FROM spine.verify_since_checkpoint('00000000-0000-4000-8000-0000000f3fff');

-- Erased events keep their leaves.
CREATE TEMP TABLE before AS SELECT root FROM spine.tree_head(:'o', 640);
SELECT events FROM spine.erase_events(:'o', (SELECT array_agg(id) FROM spine.events WHERE organization_id = :'o' AND sequence IN (2, 3)), 'request 1');
SELECT t.root = b.root AS same_root FROM spine.tree_head(:'o', 640) t, before b;
SELECT * FROM rfc.differences(:'o', '{2,3,640,643}');
SELECT size, verified, intact FROM spine.take_checkpoint(:'o');

-- The directory: nothing is taken again where nothing is new. All that other tests left is in it, too.
SELECT size FROM spine.take_checkpoint() WHERE organization_id = :'p';
SELECT max(number) AS number FROM spine.directory_checkpoints \gset
SELECT count(*) FROM spine.take_checkpoint() WHERE intact;
SELECT max(number) = :number AS same FROM spine.directory_checkpoints;
SELECT spine.emit_event('hcm.employee.created', entity_id => :'ada', organization_id => :'p') \g /dev/null
SELECT organization_id, size FROM spine.take_checkpoint() WHERE intact;
SELECT max(number) - :number AS more FROM spine.directory_checkpoints;
SELECT organization_id, size FROM spine.checkpointed_chains(:number);
SELECT count(*) = (SELECT count(DISTINCT organization_id) FROM spine.checkpoints) AS all_of_them FROM spine.checkpointed_chains();
CREATE TEMP VIEW newest AS SELECT * FROM spine.directory_checkpoints ORDER BY number DESC LIMIT 1;
SELECT string_agg(organization_id || E'\n' || size || E'\n' || encode(root, 'base64') || E'\n' || encode(head_hash, 'base64') || E'\n', '|' ORDER BY organization_id) AS leaves
  FROM spine.checkpointed_chains() \gset
SELECT chains_root = rfc.root((SELECT array_agg(sha256('\x00'::bytea || convert_to(leaf, 'UTF8')) ORDER BY n) FROM regexp_split_to_table(:'leaves', '\|') WITH ORDINALITY l (leaf, n))) AS is_the_chains_root,
       chains = (SELECT count(*) FROM spine.checkpointed_chains()) AS are_the_chains,
       entry = format(E'people_os_spine directory v1\n%s\n%s\n%s\n%s\n', number, chains, encode(chains_root, 'base64'),
                      to_char(taken_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) || split_part(entry, E'\n', 6) || E'\n' AS is_its_text,
       split_part(entry, E'\n', 6) LIKE (SELECT system_identifier || ' 1 ________-____-4___-____-____________' FROM pg_control_system()) AS says_which_database,
       root = rfc.root((SELECT array_agg(sha256('\x00'::bytea || convert_to(entry, 'UTF8')) ORDER BY number) FROM spine.directory_checkpoints)) AS is_the_logs_root
  FROM newest;
SELECT count(*) FROM generate_series(1, 9) n, LATERAL (SELECT count(spine.emit_event('hcm.employee.created', entity_id => :'ada', organization_id => :'p')) FROM generate_series(1, n)) e,
  LATERAL (SELECT count(*) FROM spine.take_checkpoint() WHERE e.count > 0) t;
SELECT count(*) AS differences
  FROM spine.directory_checkpoints o, spine.directory_checkpoints n, spine.prove_directory_consistency(o.number, n.number) c,
       LATERAL (SELECT array_agg(sha256('\x00'::bytea || convert_to(entry, 'UTF8')) ORDER BY number) AS leaves FROM spine.directory_checkpoints WHERE number <= n.number) l
 WHERE o.number <= n.number AND (c.old_root, c.new_root, c.proof) IS DISTINCT FROM (o.root, n.root, rfc.subproof(o.number::int, l.leaves, true));
SELECT count(DISTINCT split_part(entry, E'\n', 6)) AS databases FROM spine.directory_checkpoints;

-- Of many chains at once, in the order in which they are named.
SELECT g.organization_id = o.id AS in_order, (g.old_root, g.new_root, g.proof) = (c.old_root, c.new_root, c.proof) AS is_the_same
  FROM spine.prove_growth(ARRAY[:'p', :'o', :'p']::uuid[], '{2,300,3}', '{9,640,3}') WITH ORDINALITY g (organization_id, old_root, new_root, proof, n)
  JOIN unnest(ARRAY[:'p', :'o', :'p']::uuid[], '{2,300,3}'::bigint[], '{9,640,3}'::bigint[]) WITH ORDINALITY o (id, old_size, new_size, n) USING (n),
       spine.prove_consistency(o.id, o.old_size, o.new_size) c ORDER BY n;
SELECT count(*) FROM spine.prove_growth('{}', '{}', '{}');
SELECT count(*) FROM spine.prove_growth(NULL, '{1}', '{1}');
SELECT count(*) FROM spine.prove_growth(ARRAY[:'o', :'p']::uuid[], '{1}', '{1,2}');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM spine.prove_growth(ARRAY[:'o', :'p']::uuid[], '{1,NULL}', '{1,2}');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM spine.prove_growth(ARRAY[:'o', :'p']::uuid[], '{1,2}', '{1,1}');
SELECT count(*) FROM spine.prove_growth(ARRAY[:'o', :'p']::uuid[], '{1,2}', '{1,100000}');

-- Notes. The spine does not judge who signed.
CREATE FUNCTION note(body text) RETURNS text LANGUAGE sql AS $$
  SELECT body || E'\n— spine.example/log ' || replace(encode('\x01020304'::bytea || sha256('a') || sha256('b'), 'base64'), E'\n', '') || E'\n'
$$;
SELECT * FROM spine.export_evidence(:'o', reason => 'too early');
\echo :LAST_ERROR_SQLSTATE
SELECT spine.store_note(note(format(E'spine.example/log\n%s\n%s\n', number, encode(root, 'base64')))) = number AS stored FROM newest;
SELECT spine.store_note(note(format(E'spine.example/log\n%s\n%s\n', number, encode(root, 'base64')))) = number AS stored_again FROM newest;
SELECT number = (SELECT number FROM newest) AS of_the_newest, origin, note_hash = sha256(convert_to(note, 'UTF8')) AS is_its_hash FROM spine.checkpoint_notes;
SELECT spine.store_note(note(format(E'spine.example/log\n%s\n%s\n', 1000000, encode(root, 'base64')))) FROM newest;
\echo :LAST_ERROR_SQLSTATE
SELECT spine.store_note(note(format(E'spine.example/log\n%s\n%s\n', 1, encode(root, 'base64')))) FROM newest;
SELECT spine.store_note(note(E'spine.example/log\nmany\n'));
SELECT spine.store_note('text');
SELECT spine.store_note(NULL) IS NULL AS nothing_for_null;

-- Evidence. Its lines are read here as JSON; other programs read them in other tests.
CREATE TEMP TABLE lines (n bigint GENERATED ALWAYS AS IDENTITY, line text);
INSERT INTO lines (line) SELECT * FROM spine.export_evidence(:'o', reason => 'audit "7"', from_sequence => 2, to_sequence => 4);
SELECT n, CASE WHEN line::jsonb ? 'event' THEN (line::jsonb #>> '{event,sequence}') || ' ' || (line::jsonb #>> '{event,event_type}')
               ELSE (SELECT string_agg(k, ',') FROM jsonb_object_keys(line::jsonb) k) END AS says,
       line = spine.canonical_json(line::jsonb) AS is_canonical, line::jsonb ? 'proof' AS has_proof FROM lines ORDER BY n;
SELECT (line::jsonb -> 'evidence') - 'created' AS header FROM lines WHERE n = 1;
SELECT line::jsonb ->> 'checkpoint' = (SELECT note FROM spine.checkpoint_notes) AS is_the_note FROM lines WHERE n = 2;
SELECT line::jsonb #> '{stretch,first}' AS first, line::jsonb #> '{stretch,last}' AS last, jsonb_array_length(line::jsonb #> '{stretch,before}') AS before,
       jsonb_array_length(line::jsonb #> '{stretch,after}') AS after FROM lines WHERE line::jsonb ? 'stretch';
-- before, the events and after make the root of the chain's line; the erasure that touches them has a proof of its own.
SELECT jsonb_agg(k ORDER BY k) AS shows FROM lines, jsonb_object_keys(line::jsonb -> 'event') k WHERE line::jsonb #>> '{event,sequence}' = '4';
SELECT i.proof = (SELECT array_agg(decode(h, 'hex') ORDER BY o) FROM jsonb_array_elements_text(line::jsonb -> 'proof') WITH ORDINALITY p (h, o)) AS is_its_proof
  FROM lines, spine.prove_inclusion(:'o', (line::jsonb #>> '{event,sequence}')::bigint, (SELECT (line::jsonb #>> '{chain,size}')::bigint FROM lines WHERE n = 4)) i
 WHERE line::jsonb ? 'proof';
-- An event's line, cut as docs/evidence.md says, is what is hashed.
SELECT bool_and(spine.canonical_json(j - '{event_hash,payload,payload_salt,personal,personal_salt}'::text[]) = spine.canonical_event(e)) AS is_the_document,
       bool_and(spine.canonical_json(j -> 'payload') = spine.canonical_json(payload) AND j ->> 'payload_salt' = encode(payload_salt, 'hex')) AS shows_the_payload,
       bool_and((j -> 'personal') IS NOT DISTINCT FROM personal) AS shows_the_personal_part
  FROM spine.events e, LATERAL (SELECT spine.event_line(e, personal => true)::jsonb AS j) l WHERE organization_id = :'o' AND sequence < 10;
SELECT spine.event_line(e, false)::jsonb ?| '{payload,payload_salt,personal,personal_salt}' AS shows, spine.event_line(e) = spine.event_line(e, true, false) AS without_persons
  FROM spine.events e WHERE organization_id = :'o' AND sequence = 1;
SELECT spine.event_line(e, true, NULL) FROM spine.events e WHERE organization_id = :'o' AND sequence = 1;

-- Which events: by id, entity, name; each with its proof. What is withheld, and what an erasure says, all the same.
CREATE FUNCTION exported(VARIADIC arguments text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  found text;
BEGIN
  EXECUTE format('SELECT count(*) FILTER (WHERE j ? ''event'') || '' events, '' || count(*) FILTER (WHERE j ? ''proof'') || '' proofs, '' || count(*) FILTER (WHERE j -> ''event'' ? ''payload'')'
    ' || '' payloads, '' || count(*) FILTER (WHERE j -> ''event'' ? ''personal'') || '' personal, end '' || max(j #>> ''{end,events}'')'
    ' FROM (SELECT l::jsonb AS j FROM spine.export_evidence(%s) l) x', array_to_string(arguments, ', ')) INTO found;
  RETURN found;
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT exported(quote_literal(:'o'), 'reason => ''x''', 'from_sequence => 600', 'to_sequence => 640');
SELECT exported(quote_literal(:'o'), 'reason => ''x''', 'entity_id => ''00000000-0000-4000-8000-0000000fe301''', 'from_sequence => 2', 'to_sequence => 5');
SELECT exported(quote_literal(:'o'), 'reason => ''x''', 'domain => ''hcm''', 'entity_type => ''employee''', 'from_sequence => 1', 'to_sequence => 5', 'payload => false', 'personal => true');
SELECT exported(quote_literal(:'o'), 'reason => ''x''', 'domain => ''crm''');
SELECT exported(quote_literal(:'o'), 'reason => ''x''', format('ids => ARRAY(SELECT id FROM spine.events WHERE organization_id = %L AND sequence IN (7, 3, 400))', :'o'));
SELECT exported(quote_literal(:'o'), 'reason => ''x''', 'ids => ''{}''');
SELECT exported(quote_literal(:'o'), 'reason => ''x''', format('ids => ''{%s}''', :'ada'));
SELECT exported(quote_literal(:'o'), 'reason => ''x''', 'ids => ''{NULL}''');
SELECT exported(quote_literal(:'o'), 'reason => ''x''', 'to_sequence => 100000');
SELECT exported(quote_literal(:'o'), 'reason => ''x''', 'from_sequence => 0');
SELECT exported(quote_literal(:'o'), 'reason => ''x''', 'origin => ''another''');
SELECT exported(quote_literal(:'o'), 'reason => ''''');
SELECT exported(quote_literal(:'o'));
SELECT exported('NULL', 'reason => ''x''');
SELECT exported(quote_literal(:'o'), 'reason => ''x''', 'payload => NULL');
SELECT exported('''00000000-0000-4000-8000-0000000f3fff''', 'reason => ''x''');
SELECT spine.emit_event('hcm.employee.created', entity_id => :'ada') AS late \gset
SELECT exported(quote_literal(:'o'), 'reason => ''x''', format('ids => ''{%s}''', :'late')) ~ '^SP104 the newest signed checkpoint covers \d+ events' AS not_signed_yet;
-- Each is an event, but those that failed.
SELECT count(*), count(DISTINCT entity_id) AS entities, min(severity) AS severity FROM spine.events WHERE event_type = 'platform.evidence.exported' AND organization_id = :'o';
SELECT payload - 'checkpoint' AS payload, (payload -> 'checkpoint') - '{number,root,size}'::text[] AS checkpoint, payload #>> '{checkpoint,root}' = encode(root, 'hex') AS root
  FROM spine.events e JOIN spine.directory_checkpoints d ON d.number = (payload #>> '{checkpoint,number}')::bigint
 WHERE event_type = 'platform.evidence.exported' AND e.organization_id = :'o' ORDER BY sequence LIMIT 3;
SELECT spine.emit_event('platform.evidence.exported', entity_id => :'ada');
\set VERBOSITY sqlstate
SELECT spine.erase_events(:'o', (SELECT array_agg(id) FROM spine.events WHERE event_type = 'platform.evidence.exported' AND organization_id = :'o'), 'x', '{payload,personal}');
\set VERBOSITY default

-- Rights: a notary sees hashes of all, and no event; readers what is theirs.
CREATE ROLE proof_notary;
CREATE ROLE proof_reader;
CREATE ROLE proof_nobody;
SELECT spine.grant_notary('proof_notary'), spine.grant_reader('proof_reader', ARRAY[:'p']::uuid[]);
CREATE FUNCTION answer(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  found text;
BEGIN
  EXECUTE call INTO found;
  RETURN found;
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
CREATE TABLE calls (n int GENERATED ALWAYS AS IDENTITY, call text);
INSERT INTO calls (call) VALUES
  ('SELECT count(*) FROM spine.events'),
  ('SELECT count(DISTINCT organization_id) > 1 FROM spine.checkpoints'),
  ('SELECT count(*) > 0 FROM spine.directory_checkpoints'),
  ('SELECT count(*) FROM spine.checkpoint_notes'),
  ('SELECT count(*) FROM spine.tree_nodes'),
  ('SELECT count(*) FROM spine.take_checkpoint(''00000000-0000-4000-8000-0000000f3002'')'),
  ('SELECT count(*) > 1 FROM spine.checkpointed_chains()'),
  ('SELECT spine.store_note(note) > 0 FROM spine.checkpoint_notes'),
  ('SELECT size > 0 FROM spine.tree_head(''00000000-0000-4000-8000-0000000f3001'')'),
  ('SELECT size > 0 FROM spine.tree_head(''00000000-0000-4000-8000-0000000f3002'')'),
  ('SELECT size > 0 FROM spine.tree_head(''00000000-0000-4000-8000-0000000f3001'', 5)'),
  ('SELECT cardinality(proof) FROM spine.prove_consistency(''00000000-0000-4000-8000-0000000f3001'', 3, 640)'),
  ('SELECT cardinality(proof) FROM spine.prove_growth(''{00000000-0000-4000-8000-0000000f3001}'', ''{3}'', ''{640}'')'),
  ('SELECT cardinality(proof) > 0 FROM spine.prove_inclusion(''00000000-0000-4000-8000-0000000f3001'', 3, 640)'),
  ('SELECT cardinality(proof) FROM spine.prove_inclusion(''00000000-0000-4000-8000-0000000f3002'', 1, 2)'),
  ('SELECT cardinality(proof) FROM spine.prove_directory_consistency(1, 2)'),
  ('SELECT count(*) FROM spine.verify_since_checkpoint()'),
  ('SELECT count(*) FROM spine.verify_since_checkpoint(''00000000-0000-4000-8000-0000000f3001'')'),
  ('SELECT count(*) FROM spine.export_evidence(''00000000-0000-4000-8000-0000000f3001'', reason => ''x'', to_sequence => 1)'),
  ('SELECT count(*) FROM spine.export_evidence(''00000000-0000-4000-8000-0000000f3002'', reason => ''x'', to_sequence => 1)'),
  ('SELECT count(*) FROM spine.export_evidence(''00000000-0000-4000-8000-0000000f3002'', reason => ''x'', to_sequence => 1, personal => true)'),
  ('INSERT INTO spine.checkpoints VALUES (''00000000-0000-4000-8000-0000000f3002'', 1, sha256(''''), sha256(''''), '''', 1, now())');
GRANT SELECT ON calls TO PUBLIC;
SET ROLE proof_notary;
RESET people_os_spine.organization_id;
SELECT n, answer(call) FROM calls ORDER BY n;
SET ROLE proof_reader;
SELECT n, answer(call) FROM calls ORDER BY n;
SELECT DISTINCT organization_id FROM spine.checkpoints;
SET ROLE proof_nobody;
SELECT DISTINCT left(answer(call), 5) FROM calls;
RESET ROLE;
-- Given and taken by functions, as events.
SELECT spine.revoke_notary('proof_notary');
SET ROLE proof_notary;
SELECT answer('SELECT count(*) FROM spine.take_checkpoint()'), answer('SELECT count(*) FROM spine.checkpointed_chains()');
RESET ROLE;
SELECT event_type, payload - 'by' AS payload FROM spine.events WHERE payload ->> 'role' = 'proof_notary' AND domain = 'platform' ORDER BY sequence;
SELECT spine.grant_notary(NULL);
SELECT spine.revoke_notary(NULL);
-- With the function and without the binding a role is no notary.
GRANT USAGE ON SCHEMA spine TO proof_nobody;
GRANT EXECUTE ON FUNCTION spine.take_checkpoint, spine.store_note, spine.checkpointed_chains TO proof_nobody;
SET ROLE proof_nobody;
SELECT answer('SELECT count(*) FROM spine.take_checkpoint()'), answer('SELECT spine.store_note(''x'')'), answer('SELECT count(*) FROM spine.checkpointed_chains()');
RESET ROLE;
SELECT spine.revoke_all('proof_nobody'), spine.revoke_all('proof_notary'), spine.revoke_all('proof_reader');

-- Rows stay, whoever tries, also where none matches.
SELECT t AS of_table, answer(format('UPDATE spine.%I SET %I = %2$I', t, c)) AS updated, answer(format('DELETE FROM spine.%I WHERE false', t)) AS deleted,
       answer(format('TRUNCATE spine.%I', t)) AS truncated
  FROM (VALUES ('checkpoints', 'root'), ('tree_nodes', 'hash'), ('directory_checkpoints', 'entry'), ('checkpoint_notes', 'note')) k (t, c);
SET session_replication_role = replica;
SELECT answer('DELETE FROM spine.checkpoints');
RESET session_replication_role;
SELECT spine.keep_record();
DROP TABLE calls;
DROP FUNCTION answer, exported, note;
DROP VIEW newest;
DROP SCHEMA rfc CASCADE;
DROP ROLE proof_notary, proof_reader, proof_nobody;
