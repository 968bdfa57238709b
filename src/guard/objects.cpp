// What the server creates, alters or drops, by whatever statement or cascade: whatever a statement named when it was
// judged may be another object by the time it acts, and no list of statements is complete. So all that happens to an
// object of the spine is refused here, but for what stands below as harmless.
#include "guard/guard.h"
#include "guard/guarded.h"
#include "guard/refusal.h"

#include "store/chain_triggers.h"

extern "C" {
#include <access/genam.h>
#include <access/htup_details.h>
#include <access/relation.h>
#include <access/table.h>
#include <catalog/catalog.h>
#include <catalog/dependency.h>
#include <catalog/pg_class.h>
#include <catalog/pg_constraint.h>
#include <catalog/pg_depend.h>
#include <catalog/pg_extension.h>
#include <catalog/pg_inherits.h>
#include <catalog/pg_proc.h>
#include <catalog/pg_trigger.h>
#include <miscadmin.h>
#include <storage/lmgr.h>
#include <utils/acl.h>
#include <utils/fmgroids.h>
#include <utils/lsyscache.h>
#include <utils/rel.h>
#include <utils/snapmgr.h>
}

namespace spine {

namespace {

// Whether an index uses nothing but its table, the spine's own and what the server brings along: somebody's function in
// it would be called with each event. The server's own things have no entry here.
bool uses_nobodys(const Guarded &guarded, Oid index) {
  Oid table = table_below(RelationRelationId, index);
  Relation depend = table_open(DependRelationId, AccessShareLock);
  ScanKeyData key[2];
  ScanKeyInit(&key[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(RelationRelationId));
  ScanKeyInit(&key[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(index));
  SysScanDesc scan = systable_beginscan(depend, DependDependerIndexId, true, SnapshotSelf, 2, key);
  bool uses = true;
  HeapTuple row;
  while (HeapTupleIsValid(row = systable_getnext(scan))) {
    Form_pg_depend entry = reinterpret_cast<Form_pg_depend>(GETSTRUCT(row));
    // The index of the table itself that a partition's is part of was judged when it was made.
    bool is_index = entry->refclassid == RelationRelationId && guarded.is_added_index(entry->refobjid);
    uses &= entry->refobjid == table || is_index || guarded.owns(entry->refclassid, entry->refobjid);
  }
  systable_endscan(scan);
  table_close(depend, AccessShareLock);
  return uses;
}

// The columns of a table that is being made are those of spine.events.
bool has_columns_of_events(const Guarded &guarded, Oid object) {
  Relation events = relation_open(guarded.events, AccessShareLock);
  TupleDesc shape = RelationGetDescr(events);
  Relation attributes = table_open(AttributeRelationId, AccessShareLock);
  ScanKeyData key[2];
  ScanKeyInit(&key[0], Anum_pg_attribute_attrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(object));
  ScanKeyInit(&key[1], Anum_pg_attribute_attnum, BTGreaterStrategyNumber, F_INT2GT, Int16GetDatum(0));
  SysScanDesc scan = systable_beginscan(attributes, AttributeRelidNumIndexId, true, SnapshotSelf, 2, key);
  int same = 0, count = 0;
  HeapTuple row;
  while (HeapTupleIsValid(row = systable_getnext(scan))) {
    Form_pg_attribute column = reinterpret_cast<Form_pg_attribute>(GETSTRUCT(row));
    if (count < shape->natts) {
      const FormData_pg_attribute *wanted = TupleDescAttr(shape, count);
      same += column->attnum == count + 1 && strcmp(NameStr(column->attname), NameStr(wanted->attname)) == 0 &&
              column->atttypid == wanted->atttypid && column->atttypmod == wanted->atttypmod &&
              column->attcollation == wanted->attcollation && column->attgenerated == '\0' && column->attidentity == '\0';
    }
    count++;
  }
  systable_endscan(scan);
  table_close(attributes, AccessShareLock);
  bool is_equal = count == shape->natts && same == count;
  relation_close(events, AccessShareLock);
  return is_equal;
}

// By a statement that makes or alters a table before it is a partition, or attaches it.
bool is_of_partition(const Guarded &guarded, Oid classid, Oid object) {
  const GuardedStatement &statement = current_statement;
  if (statement.makes_partition)
    return classid != RelationRelationId || has_columns_of_events(guarded, object);
  Oid table = table_below(classid, object);
  if (OidIsValid(statement.unattached)) return object == statement.unattached || table == statement.unattached;
  // A copy of a trigger of the table's own.
  return OidIsValid(statement.attached) && table == statement.attached && classid == TriggerRelationId &&
         OidIsValid(catalog_oid(classid, object, Anum_pg_trigger_tgparentid));
}

// With what it passes on to its partitions.
bool is_cleared(const Guarded &guarded, Oid table) {
  Oid cleared = current_statement.cleared;
  return OidIsValid(cleared) && (table == cleared || (cleared == guarded.events && guarded.holds_events(table)));
}

void judge_created(const Guarded &guarded, Oid classid, Oid object) {
  if (!guarded.has(classid, object) || is_of_partition(guarded, classid, object)) return;
  if (classid == RelationRelationId) {
    if (object == current_statement.cleared) return;  // a column
    if (guarded.is_added_index(object) && uses_nobodys(guarded, object)) return;
  }
  refuse_object(classid, object);
}

// parent: of what inherits.
void judge_altered(const Guarded &guarded, Oid classid, Oid object, Oid parent) {
  if (classid == InheritsRelationId) {
    if (object == current_statement.attached && parent == guarded.events) return;
    if (guarded.is_added_index(object) && guarded.is_added_index(parent)) return;
    if (guarded.has_table(object) || guarded.has_table(parent)) refuse_object(RelationRelationId, object);
    return;
  }
  if (is_cleared(guarded, object) || is_cleared(guarded, table_below(classid, object))) return;
  if (is_of_partition(guarded, classid, object)) return;
  if (guarded.has(classid, object)) refuse_object(classid, object);
}

// pg_restore with jobs truncates what it has made, before it fills it. The server takes the same lock, but only afterwards.
bool is_empty_partition(Oid table) {
  if (!get_rel_relispartition(table) || !is_empty_table(table)) return false;
  LockRelationOid(table, AccessExclusiveLock);
  return is_empty_table(table);
}

bool may_go(const Guarded &guarded, Oid classid, Oid object) {
  // A foreign key's, on the table that it points at, and what somebody added.
  if (classid == TriggerRelationId)
    return !guarded.owns(ProcedureRelationId, catalog_oid(classid, object, Anum_pg_trigger_tgfoid));
  return classid == RelationRelationId && guarded.is_added_index(object);
}

// Members go with their extension and no other way, so that is what the error names.
void judge_dropped(const Guarded &guarded, Oid classid, Oid object) {
  if (!guarded.has(classid, object) || may_go(guarded, classid, object)) return;
  if (object == guarded.schema || guarded.owns(classid, object))
    refuse_object(ExtensionRelationId, guarded.extension);
  else
    refuse_object(classid, object);
}

}  // namespace

void judge_object(ObjectAccessType access, Oid classid, Oid object, void *argument) {
  Guarded guarded;
  if (access == OAT_TRUNCATE) {
    // Whoever has no right to it hears that, a moment later.
    if (pg_class_aclcheck(object, GetUserId(), ACL_TRUNCATE) != ACLCHECK_OK || !guarded.find()) return;
    if (guarded.owns(classid, guarded.events) && guarded.holds_events(object) && !is_empty_partition(object)) refuse_change("TRUNCATE", get_rel_name(object));
    if (IsCatalogRelationOid(object)) refuse_object(classid, object);
    return;
  }
  if (argument == nullptr || current_statement.is_recorded || current_statement.is_harmless) return;
  switch (access) {
    case OAT_DROP:
      // The server's own, as at the end of REINDEX CONCURRENTLY.
      if ((static_cast<ObjectAccessDrop *>(argument)->dropflags & PERFORM_DELETION_INTERNAL) != 0) return;
      if (guarded.find()) judge_dropped(guarded, classid, object);
      return;
    case OAT_POST_CREATE:
      if (!static_cast<ObjectAccessPostCreate *>(argument)->is_internal && guarded.find())
        judge_created(guarded, classid, object);
      return;
    case OAT_POST_ALTER:
      if (!static_cast<ObjectAccessPostAlter *>(argument)->is_internal && guarded.find())
        judge_altered(guarded, classid, object, static_cast<ObjectAccessPostAlter *>(argument)->auxiliary_id);
      return;
    default:
      return;
  }
}

}  // namespace spine
