\set n random(1, 10000)
UPDATE person SET salary = salary + 1, updated_at = now() WHERE id = ('00000000-0000-4000-8000-' || lpad((:n)::text, 12, '0'))::uuid;
