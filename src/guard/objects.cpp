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
#include <utils/acl.h>
#include <utils/fmgroids.h>
#include <utils/lsyscache.h>
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
    uses &= entry->refobjid == table || guarded.owns(entry->refclassid, entry->refobjid);
  }
  systable_endscan(scan);
  table_close(depend, AccessShareLock);
  return uses;
}

void judge_created(const Guarded &guarded, Oid classid, Oid object) {
  if (!guarded.has(classid, object)) return;
  if (classid == RelationRelationId) {
    if (object == current_statement.cleared) return;  // a column
    if (guarded.is_added_index(object) && uses_nobodys(guarded, object)) return;
  }
  refuse_object(classid, object);
}

// parent: of what inherits.
void judge_altered(const Guarded &guarded, Oid classid, Oid object, Oid parent) {
  if (classid == InheritsRelationId) {
    if (guarded.has_table(object) || guarded.has_table(parent)) refuse_object(RelationRelationId, object);
    return;
  }
  Oid cleared = current_statement.cleared;
  if (OidIsValid(cleared) && (object == cleared || table_below(classid, object) == cleared)) return;
  if (guarded.has(classid, object)) refuse_object(classid, object);
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
    if (object == guarded.events && guarded.owns(classid, object)) refuse_change("TRUNCATE", get_rel_name(object));
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
