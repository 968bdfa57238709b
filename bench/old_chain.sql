-- Each transaction emits one event, for the next of the organizations from number :first on.
SELECT spine.emit_event('hcm.employee.updated',
  entity_id => '00000000-0000-4000-8000-0000000000e1',
  payload => '{"name": "Ada Lovelace", "department": "d-7", "salary": 120000.5, "manager": "m-1815", "since": "2026-01-19", "active": true}',
  organization_id => ('00000000-0000-4000-8000-' || lpad((:first + nextval('next_chain'))::text, 12, '0'))::uuid);
