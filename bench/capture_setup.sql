-- One business table thrice: as it is, captured, and audited by a row-level trigger in plpgsql, as audit triggers
-- commonly are.
CREATE TABLE person (
  id uuid PRIMARY KEY, organization_id uuid NOT NULL, name text NOT NULL, email text NOT NULL, salary numeric NOT NULL,
  active boolean NOT NULL, hired date NOT NULL, manager uuid, note text, updated_at timestamptz NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE person_captured (LIKE person INCLUDING ALL) WITH (fillfactor = 50);
CREATE TABLE person_audited (LIKE person INCLUDING ALL) WITH (fillfactor = 50);
CREATE FUNCTION fill(relation regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format($f$INSERT INTO %s SELECT ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, ('00000000-0000-4000-8000-' || lpad((i %% 1000)::text, 12, '0'))::uuid,
    'Person ' || i, 'person' || i || '@example.org', 50000 + i, true, '2020-01-01', NULL, 'A note of the usual length for a person', now() FROM generate_series(1, 10000) i$f$, relation);
END
$$;
SELECT fill('person'), fill('person_captured'), fill('person_audited');
VACUUM ANALYZE person, person_captured, person_audited;
SELECT spine.capture_changes('person_captured', 'hcm', 'person', 'id', 'organization_id');

CREATE TABLE audit (
  id bigserial PRIMARY KEY, happened_at timestamptz NOT NULL DEFAULT clock_timestamp(), transaction_id xid8 NOT NULL, session_user_name text NOT NULL,
  application_name text, client_address inet, relation regclass NOT NULL, operation text NOT NULL, before jsonb, after jsonb
);
CREATE INDEX ON audit (relation);
CREATE INDEX ON audit (happened_at);
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO audit (transaction_id, session_user_name, application_name, client_address, relation, operation, before, after)
  VALUES (pg_current_xact_id(), session_user, current_setting('application_name'), inet_client_addr(), TG_RELID, TG_OP,
          CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END, CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END);
  RETURN NULL;
END
$$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON person_audited FOR EACH ROW EXECUTE FUNCTION audit();
