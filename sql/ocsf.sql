-- spine.to_ocsf, against the attributes that OCSF requires of each class (ocsf-schema: events/iam/entity_management.json,
-- events/findings/*.json, objects/metadata.json, product.json, finding_info.json, analytic.json, compliance.json, fingerprint.json).
SET timezone = 'Asia/Tokyo';
SET people_os_spine.actor_id = '00000000-0000-4000-8000-0000000000a1';
\set o '00000000-0000-4000-8000-0000000c5f01'
\set e '00000000-0000-4000-8000-0000000c5fe1'
CREATE TABLE required (class integer, path text[], type text);
INSERT INTO required SELECT class, path::text[], type FROM unnest('{2003,2004,3004}'::int[]) class,
  (VALUES ('{activity_id}', 'number'), ('{category_uid}', 'number'), ('{class_uid}', 'number'), ('{type_uid}', 'number'), ('{severity_id}', 'number'), ('{time}', 'number'),
          ('{metadata,version}', 'string'), ('{metadata,product,name}', 'string'), ('{metadata,product,vendor_name}', 'string'), ('{raw_data_hash,algorithm_id}', 'number'), ('{raw_data_hash,value}', 'string')) v (path, type);
INSERT INTO required SELECT class, path::text[], type FROM unnest('{2003,2004}'::int[]) class, (VALUES ('{finding_info,uid}', 'string'), ('{finding_info,title}', 'string'), ('{finding_info,analytic,type_id}', 'number')) v (path, type);
INSERT INTO required VALUES (2003, '{compliance,standards}', 'array'), (2003, '{compliance,control}', 'string'), (3004, '{entity,uid}', 'string'), (3004, '{entity,type}', 'string');
CREATE FUNCTION lacks(event jsonb) RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(fault, ', ' ORDER BY fault) FROM (
    SELECT path::text || ' is no ' || type AS fault FROM required WHERE class = (event ->> 'class_uid')::int AND jsonb_typeof(event #> path) IS DISTINCT FROM type
    UNION ALL SELECT 'category' WHERE (event ->> 'class_uid')::int / 1000 <> (event ->> 'category_uid')::int
    UNION ALL SELECT 'type' WHERE (event ->> 'class_uid')::int * 100 + (event ->> 'activity_id')::int <> (event ->> 'type_uid')::bigint
    UNION ALL SELECT 'raw_data' WHERE encode(sha256(convert_to(event ->> 'raw_data', 'UTF8')), 'hex') <> event #>> '{raw_data_hash,value}'
    UNION ALL SELECT 'other attributes: ' || k FROM jsonb_object_keys(event) k WHERE k <> ALL ('{activity_id,activity_name,actor,category_name,category_uid,class_name,class_uid,comment,compliance,entity,finding_info,message,metadata,raw_data,raw_data_hash,severity,severity_id,status,status_id,time,type_uid,unmapped}')) f $$;
SELECT lacks('{"class_uid": 2004, "category_uid": 2, "activity_id": 1, "type_uid": 200401}') AS the_check_sees;
SELECT spine.set_rule('ocsf_rule', '{"title": "A test of the export", "level": "high", "detection": {"s": {"event_type": "ocs.thing.exported"}, "condition": "s"}}',
  '[{"name": "one", "finds": 1, "events": [{"event_type": "ocs.thing.exported"}]}, {"name": "none", "finds": 0, "events": []}]', 'a test', control => '{SOX 404,PCI DSS 10}'),
  spine.set_rule('ocsf_free', '{"title": "A test without a control", "detection": {"s": {"event_type": "ocs.thing.deleted"}, "condition": "s"}}',
  '[{"name": "one", "finds": 1, "events": [{"event_type": "ocs.thing.deleted"}]}, {"name": "none", "finds": 0, "events": []}]', 'a test');
SELECT count(*) FROM spine.run_watch() \g /dev/null
SET people_os_spine.organization_id = :'o';
SELECT spine.emit_event('ocs.thing.' || action, entity_id => :'e', payload => '{"n": 1, "none": null}', personal => '{"name": "Ada"}', severity => severity::spine.severity, occurred_at => '2026-01-02 03:04:05+00')
  FROM (VALUES ('created', 'low'), ('exported', 'medium'), ('updated', 'high'), ('deleted', 'critical'), ('praised', 'low')) v (action, severity) \g /dev/null
SELECT findings FROM spine.run_watch();
SELECT spine.close_finding(id, v, 'because') FROM spine.findings, unnest('{confirmed,dismissed,closed}'::text[]) v WHERE organization_id = :'o' AND rule LIKE 'ocsf%' ORDER BY rule, v \g /dev/null
SELECT e.event_type, j ->> 'class_uid' AS class, j ->> 'type_uid' AS type, j ->> 'activity_name' AS activity, j ->> 'severity_id' AS severity, j ->> 'status' AS status, coalesce(lacks(j), 'nothing') AS lacks
  FROM spine.events e, spine.to_ocsf(e) j WHERE organization_id = :'o' ORDER BY sequence;
SELECT e.event_type, j ->> 'class_uid' AS class, j -> 'compliance' AS compliance, coalesce(lacks(j), 'nothing') AS lacks
  FROM spine.events e, spine.to_ocsf(e, true) j WHERE organization_id = :'o' AND (entity_type = 'finding' OR sequence = 1) ORDER BY sequence;
SELECT jsonb_pretty(j #- '{metadata,uid}' #- '{metadata,logged_time}' #- '{time}' #- '{raw_data}' #- '{raw_data_hash}' #- '{unmapped,payload_salt}') FROM spine.events e, spine.to_ocsf(e) j WHERE organization_id = :'o' AND sequence = 1;
SELECT (j ->> 'time')::bigint = floor(extract(epoch FROM e."timestamp") * 1000) AS time, j #> '{finding_info,related_events}' AS related, j #>> '{finding_info,related_events_count}' AS count,
       (j #>> '{finding_info,last_seen_time}')::bigint <= (j ->> 'time')::bigint AS seen_before, j ->> 'message' AS message, j #>> '{finding_info,uid}' = e.entity_id::text AS uid
  FROM spine.events e, spine.to_ocsf(e) j WHERE organization_id = :'o' AND event_type = 'platform.finding.raised' AND payload ->> 'rule' = 'ocsf_rule';
-- As a CloudEvent.
SELECT c ->> 'type' AS type, c #>> '{data,rule}' AS rule, c ->> 'subject' = 'finding/' || e.entity_id AS subject
  FROM spine.events e, spine.to_cloudevent(e) c WHERE organization_id = :'o' AND event_type LIKE 'platform.finding.%' AND payload ->> 'rule' = 'ocsf_rule' ORDER BY sequence;
-- Nothing of persons, whatever the role sees; and of an erased payload that it is gone.
SELECT bool_or(spine.to_ocsf(e)::text LIKE '%Ada%') AS tells FROM spine.events e WHERE organization_id = :'o';
SELECT spine.erase_entity(:'o', 'ocs', 'thing', :'e', 'asked for', '{payload,personal}') \g /dev/null
SELECT j #> '{unmapped,payload}' AS payload, coalesce(lacks(j), 'nothing') AS lacks FROM spine.events e, spine.to_ocsf(e) j WHERE organization_id = :'o' AND sequence = 1;
SELECT spine.to_ocsf(NULL);
SELECT spine.enable_rule('ocsf_rule', false, 'the test ended'), spine.enable_rule('ocsf_free', false, 'the test ended');
DROP TABLE required CASCADE;
DROP FUNCTION lacks;
-- Other tests list the subscriptions that there are.
SELECT spine.drop_subscription('platform.watch');
