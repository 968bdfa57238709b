// Partitions of spine.events that are no members of the extension: pg_dump writes their definition, attaches them and then
// says again what attaching has made. What comes so is let through where it leaves every guard as it is.
#pragma once

#include "guard/guarded.h"

namespace spine {

// What is wrong with the partitions: a row for each that has a fault, of its name and its faults.
//
//   $1 the schema spine, $2 the extension, $3 spine.events, $8 a table that is to be attached: oid; 0 for all that are
//
// A macro, for other queries are made of it.
#define PARTITION_FAULTS \
  "SELECT l.oid::regclass::text AS partition, f.faults" \
  "  FROM (SELECT inhrelid AS oid, inhdetachpending AS leaves FROM pg_inherits WHERE inhparent = $3 AND $8 = 0" \
  "        UNION ALL SELECT $8, false WHERE $8 <> 0) l" \
  "  JOIN pg_class r ON r.oid = $3 LEFT JOIN pg_class c ON c.oid = l.oid LEFT JOIN pg_am m ON m.oid = c.relam" \
  " CROSS JOIN LATERAL (SELECT concat_ws(', '," \
  "   CASE WHEN c.relkind <> 'r' OR m.amname IS DISTINCT FROM 'heap' THEN 'no heap table' END," \
  "   CASE WHEN c.relpersistence <> 'p' THEN 'not logged' END," \
  "   CASE WHEN c.relnamespace <> $1 THEN 'in another schema' END," \
  "   CASE WHEN l.leaves THEN 'being detached' END," \
  "   CASE WHEN c.relowner <> r.relowner THEN 'owned by ' || pg_get_userbyid(c.relowner) END," \
  "   CASE WHEN NOT c.relrowsecurity THEN 'row security disabled' WHEN c.relforcerowsecurity THEN 'row security forced' END," \
  "   CASE WHEN EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner)" \
  "          OR EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attacl IS NOT NULL) THEN 'rights on it' END," \
  "   (SELECT 'policy ' || string_agg(polname, ', ' ORDER BY polname) FROM pg_policy WHERE polrelid = c.oid)," \
  "   (SELECT 'rule ' || string_agg(rulename, ', ' ORDER BY rulename) FROM pg_rewrite WHERE ev_class = c.oid)," \
  "   CASE WHEN EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid)" \
  "          OR (SELECT count(*) FROM pg_inherits WHERE inhrelid = c.oid) <> CASE $8 WHEN 0 THEN 1 ELSE 0 END" \
  "        THEN 'children or other parents' END," \
  /* What one of both has and the other has not. */ \
  "   (SELECT 'column ' || string_agg(DISTINCT d.name, ', ') FROM ((" COLUMNS_OF("r") " EXCEPT" COLUMNS_OF("c") ")" \
  "      UNION ALL (" COLUMNS_OF("c") " EXCEPT" COLUMNS_OF("r") ")) d)," \
  "   (SELECT 'constraint ' || string_agg(DISTINCT d.name, ', ') FROM ((" CHECKS_OF("r") " EXCEPT" CHECKS_OF("c") ")" \
  "      UNION ALL (" CHECKS_OF("c") " EXCEPT" CHECKS_OF("r") ")) d)," \
  "   CASE WHEN c.relchecks <> r.relchecks THEN c.relchecks || ' checks' END," \
  "   (SELECT 'constraint ' || string_agg(conname, ', ' ORDER BY conname) FROM pg_constraint WHERE conrelid = c.oid" \
  "       AND contype NOT IN ('c', 'n') AND (contype <> 'p' OR condeferrable OR pg_get_constraintdef(oid) <>" \
  "         (SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = r.oid AND contype = 'p')))," \
  /* Of the table's own triggers, those for rows; and the one for statements, which nobody passes on. */ \
  "   CASE WHEN NOT c.relhastriggers THEN 'no triggers' END," \
  "   (SELECT 'trigger ' || string_agg(w.tgname || ' missing or changed', ', ' ORDER BY w.tgname) FROM pg_trigger w" \
  "     WHERE w.tgrelid = r.oid AND NOT w.tgisinternal AND w.tgtype & 1 = 1 AND $8 = 0 AND NOT EXISTS (SELECT FROM pg_trigger t" \
  "       WHERE t.tgrelid = c.oid AND t.tgparentid = w.oid AND t.tgname = w.tgname AND t.tgtype = w.tgtype AND t.tgfoid = w.tgfoid" \
  "         AND t.tgenabled = w.tgenabled AND t.tgqual IS NULL AND t.tgnargs = 0 AND t.tgattr::text = ''))," \
  "   CASE WHEN NOT EXISTS (SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_depend d" \
  "          ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_extension'::regclass" \
  "         AND d.refobjid = $2 AND d.deptype = 'e'" \
  "        WHERE t.tgrelid = c.oid AND t.tgname = 'refuse_change' AND t.tgtype = 58 AND t.tgenabled = 'A' AND t.tgqual IS NULL" \
  "          AND t.tgnargs = 0 AND t.tgattr::text = '' AND p.proname = 'refuse_change' AND p.pronamespace = $1)" \
  "        THEN 'trigger refuse_change missing or changed' END," \
  "   (SELECT 'trigger ' || string_agg(t.tgname, ', ' ORDER BY t.tgname) FROM pg_trigger t" \
  "     WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgname <> 'refuse_change'" \
  "       AND NOT EXISTS (SELECT FROM pg_trigger w WHERE w.oid = t.tgparentid AND w.tgrelid = r.oid))," \
  /* Each index of the table has its part here, and nothing else is unique. */ \
  "   (SELECT 'index of ' || string_agg(w.indexrelid::regclass::text, ', ') || ' missing or invalid' FROM pg_index w" \
  "     WHERE w.indrelid = r.oid AND w.indisvalid AND $8 = 0 AND NOT EXISTS (SELECT FROM pg_inherits h JOIN pg_index i ON i.indexrelid = h.inhrelid" \
  "       WHERE h.inhparent = w.indexrelid AND i.indrelid = c.oid AND i.indisvalid AND i.indisready AND i.indislive" \
  "         AND i.indisunique = w.indisunique))," \
  "   (SELECT 'index ' || string_agg(i.indexrelid::regclass::text, ', ') FROM pg_index i" \
  "     WHERE i.indrelid = c.oid AND (i.indisunique OR i.indisexclusion) AND NOT i.indisprimary)," \
  /* Until it is attached, nobody has judged whose functions are in them. */ \
  "   (SELECT 'index ' || string_agg(i.indexrelid::regclass::text, ', ') FROM pg_index i" \
  "     WHERE i.indrelid = $8 AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL))) AS faults) f" \
  " WHERE f.faults <> ''"

#define COLUMNS_OF(table) \
  " SELECT a.attname::text AS name, a.attnum, a.atttypid, a.atttypmod, a.attcollation, a.attnotnull, a.attidentity, a.attgenerated," \
  "         a.attisdropped, pg_get_expr(d.adbin, d.adrelid) AS given" \
  "    FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum" \
  "   WHERE a.attrelid = " table ".oid AND a.attnum > 0"
#define CHECKS_OF(table) \
  " SELECT k.conname::text AS name, pg_get_constraintdef(k.oid) AS definition, k.convalidated FROM pg_constraint k" \
  "   WHERE k.conrelid = " table ".oid AND k.contype = 'c'"

// Gives a table that is to become a partition its guards, and takes from it what others may do. False: it is none that may
// be attached: another's, not empty, or of another shape; then nothing is done, or what a later refusal undoes.
bool prepare_partition(const Guarded &guarded, Oid table);

// The partition of which a statement makes again what is there, equal in all that counts: its primary key, an index, the
// trigger refuse_change. Null: it does not.
const RangeVar *repeats(const Guarded &guarded, Node *statement);

// Such a statement comes to do nothing. It is called before it runs, with the tree that will run.
void spare_repetition(const Guarded &guarded, Node *statement);

// Whether a statement gives a table that was detached, as pg_dump brings it back after its rows, the primary key of spine.events
// or one of the triggers that keep it immutable, and nothing more. It is an AlterTableStmt or a CreateTrigStmt.
bool equips_detached(const Guarded &guarded, Oid table, Node *statement);

}  // namespace spine
