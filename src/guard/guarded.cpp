#include "guard/guarded.h"

#include "store/event_table.h"

extern "C" {
#include <access/genam.h>
#include <access/htup_details.h>
#include <access/relation.h>
#include <access/table.h>
#include <access/xact.h>
#include <catalog/dependency.h>
#include <catalog/namespace.h>
#include <catalog/objectaddress.h>
#include <catalog/pg_attrdef.h>
#include <catalog/pg_cast.h>
#include <catalog/pg_class.h>
#include <catalog/pg_constraint.h>
#include <catalog/pg_default_acl.h>
#include <catalog/pg_extension.h>
#include <catalog/pg_index.h>
#include <catalog/pg_inherits.h>
#include <catalog/pg_namespace.h>
#include <catalog/pg_policy.h>
#include <catalog/pg_rewrite.h>
#include <catalog/pg_transform.h>
#include <catalog/pg_trigger.h>
#include <catalog/pg_type.h>
#include <commands/dbcommands.h>
#include <commands/extension.h>
#include <miscadmin.h>
#include <storage/bufmgr.h>
#include <utils/fmgroids.h>
#include <utils/lsyscache.h>
#include <utils/rel.h>
#include <utils/snapmgr.h>
}

namespace spine {

bool Guarded::find() {
  if (IsBinaryUpgrade || !IsTransactionState()) return false;
  schema = get_namespace_oid("spine", true);
  if (!OidIsValid(schema)) return false;
  extension = get_extension_oid("people_os_spine", true);
  if (!OidIsValid(extension) || (creating_extension && CurrentExtensionObject == extension)) return false;
  events = get_relname_relid("events", schema);
  return true;
}

bool Guarded::owns(Oid classid, Oid object) const { return getExtensionOfObject(classid, object) == extension; }

bool Guarded::has_table(Oid relid) const { return OidIsValid(relid) && has(RelationRelationId, relid); }

bool Guarded::has(Oid classid, Oid object) const {
  if (classid == ExtensionRelationId) return object == extension;
  if (classid == NamespaceRelationId) return object == schema;
  if (owns(classid, object)) return true;
  if (classid == CastRelationId)
    return has(TypeRelationId, catalog_oid(classid, object, Anum_pg_cast_castsource)) ||
           has(TypeRelationId, catalog_oid(classid, object, Anum_pg_cast_casttarget));
  if (classid == TransformRelationId)
    return has(TypeRelationId, catalog_oid(classid, object, Anum_pg_transform_trftype));
  if (classid == DefaultAclRelationId) return catalog_oid(classid, object, Anum_pg_default_acl_defaclnamespace) == schema;
  Oid table = table_below(classid, object);
  if (OidIsValid(table)) return has(RelationRelationId, table);
  if (!is_objectclass_supported(classid)) return false;
  AttrNumber column = get_object_attnum_namespace(classid);
  return column != InvalidAttrNumber && catalog_oid(classid, object, column) == schema;
}

bool Guarded::holds_events(Oid relid) const {
  if (relid == events) return OidIsValid(events);
  if (get_rel_relispartition(relid)) return partition_root(relid) == events;
  const char *name = get_rel_namespace(relid) == schema ? get_rel_name(relid) : nullptr;
  return name != nullptr && is_partition_name(name) && get_rel_relkind(relid) == RELKIND_RELATION;
}

bool Guarded::is_unattached(Oid relid) const {
  if (!OidIsValid(relid) || get_rel_namespace(relid) != schema || get_rel_relispartition(relid)) return false;
  if (!holds_events(relid) || owns(RelationRelationId, relid)) return false;
  return is_empty_table(relid);
}

bool is_empty_table(Oid relid) {
  Relation table = try_relation_open(relid, AccessShareLock);
  if (table == nullptr) return false;
  bool is_empty = table->rd_rel->relkind == RELKIND_RELATION && RelationGetNumberOfBlocks(table) == 0;
  relation_close(table, NoLock);
  return is_empty;
}

Oid parent_of(Oid relid) {
  Relation inherits = table_open(InheritsRelationId, AccessShareLock);
  ScanKeyData key;
  ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
  SysScanDesc scan = systable_beginscan(inherits, InheritsRelidSeqnoIndexId, true, SnapshotSelf, 1, &key);
  HeapTuple row = systable_getnext(scan);
  Oid parent = HeapTupleIsValid(row) ? reinterpret_cast<Form_pg_inherits>(GETSTRUCT(row))->inhparent : InvalidOid;
  systable_endscan(scan);
  table_close(inherits, AccessShareLock);
  return parent;
}

bool is_partition_name(const char *name) {
  constexpr size_t prefix = sizeof("events_") - 1, day = 8, minute = 5;
  if (strncmp(name, "events_", prefix) != 0) return false;
  name += prefix;
  if (strspn(name, "0123456789") != day) return false;
  name += day;
  return *name == '\0' || (*name == '_' && strspn(name + 1, "0123456789") == minute - 1 && name[minute] == '\0');
}

bool Guarded::is_added_index(Oid relid) const {
  if (!has_table(table_below(RelationRelationId, relid))) return false;
  if (catalog_oid(IndexRelationId, relid, Anum_pg_index_indisunique) != 0) return false;
  // A partition's is what the table's own is.
  Oid parent = parent_of(relid);
  if (OidIsValid(parent)) return is_added_index(parent);
  const char *name = get_rel_name(relid);
  for (const char *made : plain_indexes_made)
    if (name != nullptr && strcmp(name, made) == 0) return false;
  return true;
}

Oid table_below(Oid classid, Oid object) {
  switch (classid) {
    case TriggerRelationId:
      return catalog_oid(classid, object, Anum_pg_trigger_tgrelid);
    case ConstraintRelationId:
      return catalog_oid(classid, object, Anum_pg_constraint_conrelid);
    case PolicyRelationId:
      return catalog_oid(classid, object, Anum_pg_policy_polrelid);
    case RewriteRelationId:
      return catalog_oid(classid, object, Anum_pg_rewrite_ev_class);
    case AttrDefaultRelationId:
      return catalog_oid(classid, object, Anum_pg_attrdef_adrelid);
    case RelationRelationId:
      return catalog_oid(IndexRelationId, object, Anum_pg_index_indrelid);
    default:
      return InvalidOid;
  }
}

Oid catalog_oid(Oid classid, Oid object, AttrNumber column) {
  AttrNumber key_column;
  Oid index;
  if (classid == IndexRelationId) {
    key_column = Anum_pg_index_indexrelid;
    index = IndexRelidIndexId;
  } else if (classid == AttrDefaultRelationId) {
    key_column = Anum_pg_attrdef_oid;
    index = AttrDefaultOidIndexId;
  } else {
    key_column = get_object_attnum_oid(classid);
    index = get_object_oid_index(classid);
  }
  Relation catalog = table_open(classid, AccessShareLock);
  ScanKeyData key;
  ScanKeyInit(&key, key_column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(object));
  SysScanDesc scan = systable_beginscan(catalog, index, true, SnapshotSelf, 1, &key);
  Oid value = InvalidOid;
  HeapTuple row = systable_getnext(scan);
  if (HeapTupleIsValid(row)) {
    bool null;
    Datum datum = heap_getattr(row, column, RelationGetDescr(catalog), &null);
    if (!null) value = DatumGetObjectId(datum);
  }
  systable_endscan(scan);
  table_close(catalog, AccessShareLock);
  return value;
}

bool is_elsewhere(const RangeVar *name) {
  return name->catalogname != nullptr && strcmp(name->catalogname, get_database_name(MyDatabaseId)) != 0;
}

Oid relation_named(const RangeVar *name) {
  if (name == nullptr || is_elsewhere(name)) return InvalidOid;
  if (name->schemaname == nullptr) return RelnameGetRelid(name->relname);
  if (name->relpersistence == RELPERSISTENCE_TEMP) return InvalidOid;
  Oid schema = get_namespace_oid(name->schemaname, true);
  return OidIsValid(schema) ? get_relname_relid(name->relname, schema) : InvalidOid;
}

Oid schema_of_new(const char *schema_name) {
  if (schema_name != nullptr) return get_namespace_oid(schema_name, true);
  // The first of search_path, behind pg_catalog where that is not in it.
  Oid path[2];
  int count = fetch_search_path_array(path, lengthof(path));
  for (int i = 0; i < Min(count, static_cast<int>(lengthof(path))); i++)
    if (path[i] != PG_CATALOG_NAMESPACE) return path[i];
  return InvalidOid;
}

Oid schema_of_new(List *qualified_name) {
  return schema_of_new(list_length(qualified_name) > 1 ? strVal(list_nth(qualified_name, list_length(qualified_name) - 2))
                                                       : nullptr);
}

}  // namespace spine
