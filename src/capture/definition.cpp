#include "capture/definition.h"

#include "server/compat.h"
#include "server/errors.h"

extern "C" {
#include <access/genam.h>
#include <access/htup_details.h>
#include <access/sysattr.h>
#include <access/table.h>
#include <catalog/namespace.h>
#include <catalog/pg_inherits.h>
#include <catalog/pg_proc.h>
#include <catalog/pg_type.h>
#include <optimizer/optimizer.h>
#include <rewrite/rewriteHandler.h>
#include <utils/fmgroids.h>
#include <utils/lsyscache.h>
#include <utils/syscache.h>
}

namespace spine {

namespace {

// The strictest of what is done with the columns that a generated one is made from.
Shown shown_of_sources(Relation relation, int column, const Shown *shown) {
  Bitmapset *sources = nullptr;
  pull_varattnos(build_column_default(relation, column + 1), 1, &sources);
  Shown strictest = Shown::plain;
  for (int member = -1; (member = bms_next_member(sources, member)) >= 0;) {
    int source = member + FirstLowInvalidHeapAttributeNumber - 1;
    if (source >= 0 && shown[source] > strictest) strictest = shown[source];
  }
  return strictest;
}

}  // namespace

void cannot_capture(const char *message, const char *hint) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_CANNOT_CAPTURE), errmsg("%s", message), errhint("%s", hint)));
}

ColumnArgument column_argument(const char *argument) {
  for (auto [prefix, shown] : {std::make_pair(exclude_prefix, Shown::excluded), std::make_pair(mask_prefix, Shown::masked),
                               std::make_pair(personal_prefix, Shown::personal)})
    if (strncmp(argument, prefix.data(), prefix.size()) == 0) return {shown, argument + prefix.size()};
  return {Shown::plain, nullptr};
}

Shown *shown_columns(Relation relation, const Trigger &trigger) {
  TupleDesc shape = RelationGetDescr(relation);
  Shown *shown = static_cast<Shown *>(palloc0(sizeof(Shown) * static_cast<Size>(shape->natts)));
  bool hides = false;
  for (int a = capture_arguments; a < trigger.tgnargs; a++) {
    ColumnArgument said = column_argument(trigger.tgargs[a]);
    if (said.column == nullptr) continue;
    Shown &column = shown[captured_column(relation, said.column) - 1];
    column = Max(column, said.shown);
    hides = true;
  }
  if (!hides || shape->constr == nullptr || !shape->constr->has_generated_stored) return shown;
  for (int i = 0; i < shape->natts; i++) {
    Form_pg_attribute attribute = TupleDescAttr(shape, i);
    if (attribute->attisdropped || attribute->attgenerated != ATTRIBUTE_GENERATED_STORED) continue;
    Shown of_sources = shown_of_sources(relation, i, shown);
    shown[i] = Max(shown[i], of_sources);
  }
  return shown;
}

Oid capture_function() {
  oidvector *no_arguments = buildoidvector(nullptr, 0);
  return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum("capture_change"), PointerGetDatum(no_arguments),
                         ObjectIdGetDatum(get_namespace_oid("spine", true)));
}

const Trigger *capture_trigger(Relation relation) {
  Oid function = capture_function();
  const TriggerDesc *triggers = relation->trigdesc;
  for (int i = 0; triggers != nullptr && i < triggers->numtriggers; i++)
    if (is_definition(triggers->triggers[i], function)) return &triggers->triggers[i];
  return nullptr;
}

bool is_captured(Oid relid) {
  Oid function = capture_function();
  Relation relation = table_open(TriggerRelationId, AccessShareLock);
  ScanKeyData key;
  ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
  SysScanDesc scan = systable_beginscan(relation, TriggerRelidNameIndexId, true, nullptr, 1, &key);
  bool found = false;
  while (HeapTuple row = systable_getnext(scan))
    if ((found = is_definition(*reinterpret_cast<Form_pg_trigger>(GETSTRUCT(row)), function))) break;
  systable_endscan(scan);
  table_close(relation, AccessShareLock);
  return found;
}

List *parents_of(Oid relid) {
  Relation relation = table_open(InheritsRelationId, AccessShareLock);
  ScanKeyData key;
  ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
  SysScanDesc scan = systable_beginscan(relation, InheritsRelidSeqnoIndexId, true, nullptr, 1, &key);
  List *parents = NIL;
  while (HeapTuple row = systable_getnext(scan))
    parents = lappend_oid(parents, reinterpret_cast<Form_pg_inherits>(GETSTRUCT(row))->inhparent);
  systable_endscan(scan);
  table_close(relation, AccessShareLock);
  return parents;
}

List *captured_roots(Oid relid) {
  List *roots = NIL;
  ListCell *parent;
  foreach (parent, parents_of(relid)) roots = list_concat_unique_oid(roots, captured_roots(lfirst_oid(parent)));
  if (roots == NIL && is_captured(relid)) roots = list_make1_oid(relid);
  return roots;
}

const char *table_name(Oid relid) {
  const char *name = get_rel_name(relid);
  // It may be gone, by another session's DROP.
  if (name == nullptr) return psprintf("%u", relid);
  return quote_qualified_identifier(get_namespace_name_or_temp(get_rel_namespace(relid)), name);
}

AttrNumber stored_column(Relation relation, const char *name) {
  AttrNumber column = get_attnum(RelationGetRelid(relation), name);
  // 'v', from 18 on: a trigger sees no value of it.
  if (column <= 0 || TupleDescAttr(RelationGetDescr(relation), column - 1)->attgenerated == 'v') return 0;
  return column;
}

Oid base_type(Relation relation, AttrNumber column) {
  return getBaseType(TupleDescAttr(RelationGetDescr(relation), column - 1)->atttypid);
}

AttrNumber captured_column(Relation relation, const char *name) {
  AttrNumber column = get_attnum(RelationGetRelid(relation), name);
  if (column <= 0)
    cannot_capture(psprintf("table %s has no column \"%s\"", table_name(RelationGetRelid(relation)), name),
                   "Call spine.capture_changes with the columns as they are now.");
  return column;
}

AttrNumber entity_column(Relation relation, const char *name) {
  (void)captured_column(relation, name);
  AttrNumber column = stored_column(relation, name);
  if (column == 0)
    cannot_capture(psprintf("column \"%s\" of table %s is generated and not stored", name, table_name(RelationGetRelid(relation))),
                   "A trigger sees no value of it: name a stored column.");
  return column;
}

AttrNumber organization_column(Relation relation, const char *name) {
  AttrNumber column = entity_column(relation, name);
  if (base_type(relation, column) != UUIDOID)
    cannot_capture(psprintf("column \"%s\" of table %s is no uuid", name, table_name(RelationGetRelid(relation))),
                   "Organizations are uuids: name a column of that type, or none.");
  return column;
}

}  // namespace spine
