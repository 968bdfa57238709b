#include "capture/watches.h"

#include "capture/capture.h"
#include "capture/definition.h"
#include "server/errors.h"
#include "server/sql.h"
#include "store/owners_rights.h"

extern "C" {
#include <catalog/pg_type.h>
#include <utils/array.h>
}

namespace spine {

// A table is found by its name, so that one that took the name is seen not to be captured. A capture needs its four triggers on
// the table and on all that inherits from it; the rule its two on the table, of which partitions have that of rows as a clone.
const char *const broken_watches = R"sql(
WITH RECURSIVE watched AS (
  SELECT w.kind, w.table_name, to_regclass(w.table_name) AS relid, w.kind || ' of ' || w.table_name AS guard,
         (SELECT string_agg(convert_to(a, 'UTF8') || '\x00'::bytea, ''::bytea ORDER BY n) FROM unnest(w.arguments) WITH ORDINALITY u (a, n)) AS arguments,
         CASE w.kind WHEN 'capture' THEN 'spine.capture_changes' ELSE 'spine.require_events' END AS function,
         CASE w.kind WHEN 'capture' THEN 'spine.stop_capture' ELSE 'spine.stop_requiring_events' END AS stop
    FROM spine.watches w
), members AS (
  SELECT kind, table_name, relid AS member, true AS is_root FROM watched WHERE relid IS NOT NULL
  UNION
  SELECT m.kind, m.table_name, i.inhrelid, false FROM members m JOIN pg_inherits i ON i.inhparent = m.member JOIN pg_class c ON c.oid = i.inhrelid
   WHERE m.kind = 'capture' OR c.relispartition
), wanted (kind, function, name, type) AS (
  VALUES ('capture', 'capture_change', 'INSERT', 4), ('capture', 'capture_change', 'UPDATE', 16), ('capture', 'capture_change', 'DELETE', 8),
         ('capture', 'capture_change', 'TRUNCATE', 34), ('rule', 'require_event', 'INSERT, UPDATE, DELETE', 29), ('rule', 'require_event', 'TRUNCATE', 34)
), faults AS (
  SELECT m.kind, m.table_name, CASE WHEN m.is_root THEN '' ELSE m.member::regclass || ': ' END
         || CASE WHEN t.oid IS NULL THEN 'no trigger for ' || w.name WHEN t.tgenabled NOT IN ('O', 'A') THEN 'trigger ' || t.tgname || ' is disabled'
                 WHEN t.tgqual IS NOT NULL OR t.tgattr::text <> '' THEN 'trigger ' || t.tgname || ' has a condition'
                 ELSE 'trigger ' || t.tgname || ' has another definition' END AS fault
    FROM members m JOIN watched v USING (kind, table_name) JOIN wanted w USING (kind)
    LEFT JOIN pg_trigger t ON t.tgrelid = m.member AND t.tgtype = w.type
         AND t.tgfoid = (SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'spine' AND p.proname = w.function AND p.pronargs = 0)
   WHERE (m.is_root OR m.kind = 'capture' OR w.type <> 34)
     AND (t.oid IS NULL OR t.tgenabled NOT IN ('O', 'A') OR t.tgqual IS NOT NULL OR t.tgattr::text <> ''
      OR CASE WHEN m.kind = 'rule' AND w.type = 34 THEN false
              WHEN m.is_root OR m.kind = 'rule' THEN t.tgargs <> v.arguments
              -- What a child hides besides stands between.
              ELSE substr(t.tgargs, 1, length(v.arguments)) <> v.arguments OR right(encode(t.tgargs, 'hex'), 20) <> encode('inherited\000'::bytea, 'hex') END)
)
SELECT v.guard, 'in force on that table' AS expected,
       CASE WHEN v.relid IS NULL THEN 'no such table' ELSE (SELECT string_agg(DISTINCT f.fault, ', ') FROM faults f WHERE (f.kind, f.table_name) = (v.kind, v.table_name)) END AS found,
       CASE WHEN v.relid IS NULL THEN 'Renamed: ' || v.function || ' with the new name. In any case: SELECT spine.forget_watch(' || quote_literal(v.kind) || ', ' || quote_literal(v.table_name) || ').'
            ELSE 'Ask who ended it; then ' || v.function || ' anew, or ' || v.stop || '.' END AS remedy
  FROM watched v
 WHERE v.relid IS NULL OR EXISTS (SELECT FROM faults f WHERE (f.kind, f.table_name) = (v.kind, v.table_name))
 ORDER BY v.kind, v.table_name
)sql";

void remember_watch(const char *kind, Oid relid, const List *arguments, bool from_empty, bool was_there) {
  int count = list_length(arguments);
  Datum *texts = static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<Size>(Max(count, 1))));
  for (int i = 0; i < count; i++) texts[i] = CStringGetTextDatum(static_cast<char *>(list_nth(arguments, i)));
  ArrayType *array = construct_array(texts, count, TEXTOID, -1, false, TYPALIGN_INT);
  OwnersRights rights;
  rights.begin();
  run_sql("INSERT INTO spine.watches AS w (kind, table_name, arguments, from_empty) VALUES ($1, $2, $3, $4)"
          " ON CONFLICT (kind, table_name) DO UPDATE SET arguments = excluded.arguments, from_empty = excluded.from_empty OR (w.from_empty AND $5)",
          {{TEXTOID, CStringGetTextDatum(kind)},
           {TEXTOID, CStringGetTextDatum(table_name(relid))},
           {TEXTARRAYOID, PointerGetDatum(array)},
           {BOOLOID, BoolGetDatum(from_empty)},
           {BOOLOID, BoolGetDatum(was_there)}});
  rights.end();
}

bool was_captured_from_empty(const char *table) {
  SPI_connect();
  OwnersRights rights;
  rights.begin();
  bool from_empty = run_sql("SELECT FROM spine.watches WHERE kind = 'capture' AND table_name = $1 AND from_empty", {{TEXTOID, CStringGetTextDatum(table)}}) > 0;
  rights.end();
  SPI_finish();
  return from_empty;
}

void note_uncaptured_rows(const char *table) {
  OwnersRights rights;
  rights.begin();
  run_sql("UPDATE spine.watches SET from_empty = false WHERE kind = 'capture' AND table_name = $1", {{TEXTOID, CStringGetTextDatum(table)}});
  rights.end();
}

bool forget_watch(const char *kind, const char *table) {
  OwnersRights rights;
  rights.begin();
  (void)run_sql("DELETE FROM spine.watches WHERE kind = $1 AND table_name = $2",
                {{TEXTOID, CStringGetTextDatum(kind)}, {TEXTOID, CStringGetTextDatum(table)}});
  uint64 rows = SPI_processed;
  rights.end();
  return rows > 0;
}

extern "C" {

PG_FUNCTION_INFO_V1(spine_forget_watch);
PGDLLEXPORT Datum spine_forget_watch(PG_FUNCTION_ARGS) {
  const char *kind = text_to_cstring(PG_GETARG_TEXT_PP(0)), *table = text_to_cstring(PG_GETARG_TEXT_PP(1));
  SPI_connect();
  bool was_known = forget_watch(kind, table);
  SPI_finish();
  if (!was_known)
    cannot_capture(psprintf("no %s of table %s is remembered", clipped(kind), clipped(table)),
                   "Pass what SELECT kind, table_name FROM spine.watches says.");
  PG_RETURN_VOID();
}

}  // extern "C"

}  // namespace spine
