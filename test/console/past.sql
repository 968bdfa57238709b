-- Fills the database with a past: so many events (:events) of so many organizations (:organizations), spread over so many
-- days (:days) until now, in chains that are intact. They are stored as a restore stores them, by a superuser.
CREATE SCHEMA past;
CREATE FUNCTION past.make(events bigint, organizations int, days int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  kinds constant text[] := '{payroll.run.approved,payroll.payout.issued,payroll.payout.issued,payroll.payout.changed,
    hcm.employee.updated,hcm.employee.updated,hcm.leave.requested,hcm.leave.approved,finance.invoice.received,
    finance.invoice.paid,access.role.granted,access.session.opened,access.session.opened,access.session.opened}';
  each constant bigint := greatest(events / organizations, 1);
  event spine.events;
  kind text;
  random int;
BEGIN
  FOR organization IN 1 .. organizations LOOP
    event.event_hash := decode(repeat('00', 32), 'hex');
    event.organization_id := format('%s-0000-4000-8000-%s', lpad(to_hex(organization), 8, 'a'), lpad(organization::text, 12, '0'))::uuid;
    event.environment := 'prod';
    event.transaction_id := '700';
    event.recorded_by := 'payroll';
    FOR number IN 1 .. each LOOP
      -- The same past each time.
      random := abs(hashint8(organization * 1000003::bigint + number));
      kind := btrim(kinds[1 + random % 14], E' \n');
      event.sequence := number;
      event.previous_hash := event.event_hash;
      event."timestamp" := now() - make_interval(secs => days * 86400.0 * (each - number + 1) / (each + 1));
      event.id := encode(set_byte(set_byte(decode(lpad(to_hex((extract(epoch FROM event."timestamp") * 1000)::bigint), 12, '0')
        || md5(organization::text || ' ' || number)::varchar(20), 'hex'), 6, 112 + random % 16), 8, 128 + random % 64), 'hex')::uuid;
      event.event_type := kind;
      event.domain := split_part(kind, '.', 1);
      event.entity_type := split_part(kind, '.', 2);
      event.action := split_part(kind, '.', 3);
      event.entity_id := spine.entity_uuid(event.domain, event.entity_type, organization || ' ' || random % (each / 20 + 1));
      event.actor_id := format('00000000-0000-4000-8000-0000000000%s', lpad(to_hex(random / 16 % 40), 2, '0'))::uuid;
      event.actor_type := CASE WHEN random % 11 < 8 THEN 'human' WHEN random % 11 < 10 THEN 'system' ELSE 'pipeline' END;
      event.severity := CASE WHEN random % 9973 = 0 THEN 'critical' WHEN random % 211 = 0 THEN 'high' WHEN random % 17 = 0 THEN 'medium' ELSE 'low' END;
      event.payload := jsonb_build_object('amount', random % 900000 / 100.0, 'note', 'no. ' || number, 'checked', random % 3 = 0);
      event.payload_salt := decode(md5(number || ' salt'), 'hex');
      event.event_hash := spine.event_digest(event);
      INSERT INTO spine.events SELECT event.*;
    END LOOP;
  END LOOP;
END
$$;
SELECT past.make(:events, :organizations, :days);
DROP SCHEMA past CASCADE;
