#include "guard/partitions.h"

#include "server/compat.h"
#include "server/sql.h"
#include "store/partitions.h"

extern "C" {
#include <access/htup_details.h>
#include <catalog/namespace.h>
#include <catalog/pg_class.h>
#include <catalog/pg_constraint.h>
#include <catalog/pg_index.h>
#include <catalog/pg_proc.h>
#include <catalog/pg_trigger.h>
#include <catalog/pg_type.h>
#include <commands/defrem.h>
#include <commands/trigger.h>
#include <miscadmin.h>
#include <parser/parse_func.h>
#include <storage/lmgr.h>
#include <utils/acl.h>
#include <utils/array.h>
#include <utils/builtins.h>
#include <utils/guc.h>
#include <utils/lsyscache.h>
#include <utils/syscache.h>
}

namespace spine {

namespace {

constexpr int refuse_row_change_type = TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE;
constexpr int refuse_change_type = refuse_row_change_type | TRIGGER_TYPE_TRUNCATE;

Oid owner_of(Oid table) { return catalog_oid(RelationRelationId, table, Anum_pg_class_relowner); }

// As the caller, each of them judged as any statement is.
void equip(const Guarded &guarded, Oid table) {
  const char *name = quote_qualified_identifier("spine", get_rel_name(table));
  Oid owner = owner_of(guarded.events);
  if (owner_of(table) != owner)
    run_sql(psprintf("ALTER TABLE %s OWNER TO %s", name, quote_identifier(GetUserNameFromId(owner, false))));
  ListCell *grantee;
  foreach (grantee, grantees_of(table))
    run_sql(psprintf("REVOKE ALL ON %s FROM %s CASCADE", name, static_cast<const char *>(lfirst(grantee))));
  run_sql(psprintf("ALTER TABLE %s ENABLE ROW LEVEL SECURITY", name));
  if (!OidIsValid(get_trigger_oid(table, "refuse_change", true)))
    run_sql(psprintf("CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON %s"
                     " FOR EACH STATEMENT EXECUTE FUNCTION spine.refuse_change()", name));
  run_sql(psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER refuse_change", name));
}

bool is_fit(const Guarded &guarded, Oid table) {
  SqlArgument none{OIDOID, ObjectIdGetDatum(InvalidOid)};
  return run_sql("SELECT FROM (" PARTITION_FAULTS ") f",
                 {{OIDOID, ObjectIdGetDatum(guarded.schema)}, {OIDOID, ObjectIdGetDatum(guarded.extension)},
                  {OIDOID, ObjectIdGetDatum(guarded.events)}, none, none, none, none, {OIDOID, ObjectIdGetDatum(table)}}) == 0;
}

// A partition of spine.events by its qualified name; InvalidOid where it says none.
Oid partition_named(const Guarded &guarded, const RangeVar *name) {
  if (name == nullptr || name->schemaname == nullptr) return InvalidOid;
  Oid relid = relation_named(name);
  bool is_partition = OidIsValid(relid) && relid != guarded.events && get_rel_relispartition(relid) && guarded.holds_events(relid);
  return is_partition ? relid : InvalidOid;
}

bool is_column(Oid table, AttrNumber number, const char *name) {
  return number > 0 && name != nullptr && get_attnum(table, name) == number;
}

// Plain columns and nothing more.
bool is_same_index(Oid table, const IndexStmt *statement) {
  if (statement->idxname == nullptr || statement->concurrent || statement->primary || statement->isconstraint ||
      statement->whereClause != nullptr || statement->excludeOpNames != NIL || statement->indexIncludingParams != NIL)
    return false;
  Oid index = get_relname_relid(statement->idxname, get_rel_namespace(table));
  if (!OidIsValid(index) || table_below(RelationRelationId, index) != table) return false;
  HeapTuple row = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
  if (!HeapTupleIsValid(row)) return false;
  const FormData_pg_index *there = reinterpret_cast<Form_pg_index>(GETSTRUCT(row));
  bool is_same = there->indisvalid && there->indisunique == statement->unique && heap_attisnull(row, Anum_pg_index_indpred, nullptr) &&
                 there->indnatts == list_length(statement->indexParams) &&
                 catalog_oid(RelationRelationId, index, Anum_pg_class_relam) == get_index_am_oid(statement->accessMethod, true);
  for (int i = 0; is_same && i < there->indnatts; i++) {
    const IndexElem *column = static_cast<IndexElem *>(list_nth(statement->indexParams, i));
    is_same = is_column(table, there->indkey.values[i], column->name) && column->collation == NIL && column->opclass == NIL &&
              column->ordering == SORTBY_DEFAULT && column->nulls_ordering == SORTBY_NULLS_DEFAULT;
  }
  ReleaseSysCache(row);
  return is_same;
}

// The primary key, and nothing more, that a statement adds; null: it does not.
const Constraint *added_key(const AlterTableStmt *statement) {
  if (statement->objtype != OBJECT_TABLE || list_length(statement->cmds) != 1) return nullptr;
  const AlterTableCmd *command = castNode(AlterTableCmd, linitial(statement->cmds));
  if (command->subtype != AT_AddConstraint || !IsA(command->def, Constraint)) return nullptr;
  const Constraint *key = castNode(Constraint, command->def);
  bool is_plain = key->contype == CONSTR_PRIMARY && key->conname != nullptr && key->indexname == nullptr && key->including == NIL && !key->deferrable;
  return is_plain ? key : nullptr;
}

bool is_key_of_events(const Constraint *key) {
  constexpr const char *columns[] = {"organization_id", "sequence", "timestamp"};
  bool is_same = key != nullptr && list_length(key->keys) == static_cast<int>(lengthof(columns));
  for (int i = 0; is_same && i < static_cast<int>(lengthof(columns)); i++) is_same = strcmp(strVal(list_nth(key->keys, i)), columns[i]) == 0;
  return is_same;
}

bool is_same_key(Oid table, const AlterTableStmt *statement) {
  const Constraint *key = added_key(statement);
  if (key == nullptr) return false;
  Oid there = get_relation_constraint_oid(table, key->conname, true);
  HeapTuple row = OidIsValid(there) ? SearchSysCache1(CONSTROID, ObjectIdGetDatum(there)) : nullptr;
  if (!HeapTupleIsValid(row)) return false;
  bool null;
  Datum columns = SysCacheGetAttr(CONSTROID, row, Anum_pg_constraint_conkey, &null);
  bool is_same = !null && reinterpret_cast<Form_pg_constraint>(GETSTRUCT(row))->contype == CONSTRAINT_PRIMARY;
  if (is_same) {
    const ArrayType *numbers = DatumGetArrayTypeP(columns);
    is_same = ARR_NDIM(numbers) == 1 && ARR_DIMS(numbers)[0] == list_length(key->keys);
    for (int i = 0; is_same && i < list_length(key->keys); i++)
      is_same = is_column(table, reinterpret_cast<int16 *>(ARR_DATA_PTR(numbers))[i], strVal(list_nth(key->keys, i)));
  }
  ReleaseSysCache(row);
  return is_same;
}

// Whether a statement makes a trigger that calls spine.refuse_change, and nothing more, under that name.
bool makes_trigger(const CreateTrigStmt *statement, const char *name, bool row, int type) {
  const List *function = statement->funcname;
  return !statement->isconstraint && statement->row == row && statement->columns == NIL && statement->whenClause == nullptr &&
         statement->transitionRels == NIL && statement->args == NIL && statement->constrrel == nullptr &&
         strcmp(statement->trigname, name) == 0 && (statement->timing | statement->events) == type && list_length(function) == 2 &&
         strcmp(strVal(linitial(function)), "spine") == 0 && strcmp(strVal(lsecond(function)), "refuse_change") == 0;
}

bool is_same_trigger(const Guarded &guarded, Oid table, const CreateTrigStmt *statement) {
  if (!makes_trigger(statement, "refuse_change", false, refuse_change_type)) return false;
  Oid there = get_trigger_oid(table, "refuse_change", true);
  if (!OidIsValid(there)) return false;
  Oid called = catalog_oid(TriggerRelationId, there, Anum_pg_trigger_tgfoid);
  const char *name = get_func_name(called);
  return guarded.owns(ProcedureRelationId, called) && name != nullptr && strcmp(name, "refuse_change") == 0;
}

}  // namespace

bool prepare_partition(const Guarded &guarded, Oid table) {
  // Whoever may not attach it hears that from the server.
  if (!guarded.is_unattached(table) || !compat_owns_table(table, GetUserId()) || !compat_owns_table(guarded.events, GetUserId()))
    return false;
  LockRelationOid(table, AccessExclusiveLock);
  if (!guarded.is_unattached(table)) return false;
  int level = NewGUCNestLevel();
  (void)set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
  SPI_connect();
  equip(guarded, table);
  bool fits = is_fit(guarded, table);
  SPI_finish();
  AtEOXact_GUC(true, level);
  return fits;
}

const RangeVar *repeats(const Guarded &guarded, Node *statement) {
  const RangeVar *name = nullptr;
  bool is_same = false;
  if (IsA(statement, IndexStmt)) {
    name = castNode(IndexStmt, statement)->relation;
    Oid table = partition_named(guarded, name);
    is_same = OidIsValid(table) && is_same_index(table, castNode(IndexStmt, statement));
  } else if (IsA(statement, CreateTrigStmt)) {
    name = castNode(CreateTrigStmt, statement)->relation;
    Oid table = partition_named(guarded, name);
    is_same = OidIsValid(table) && is_same_trigger(guarded, table, castNode(CreateTrigStmt, statement));
  } else if (IsA(statement, AlterTableStmt)) {
    name = castNode(AlterTableStmt, statement)->relation;
    Oid table = partition_named(guarded, name);
    is_same = OidIsValid(table) && is_same_key(table, castNode(AlterTableStmt, statement));
  }
  return is_same ? name : nullptr;
}

bool equips_detached(const Guarded &guarded, Oid table, Node *statement) {
  if (!OidIsValid(table) || get_rel_relispartition(table) || !guarded.holds_events(table) || guarded.owns(RelationRelationId, table)) return false;
  if (IsA(statement, AlterTableStmt)) return is_key_of_events(added_key(castNode(AlterTableStmt, statement)));
  const CreateTrigStmt *trigger = castNode(CreateTrigStmt, statement);
  return !trigger->replace && guarded.owns(ProcedureRelationId, LookupFuncName(trigger->funcname, 0, nullptr, true)) &&
         (makes_trigger(trigger, "refuse_change", false, refuse_change_type) ||
          makes_trigger(trigger, "refuse_row_change", true, refuse_row_change_type));
}

void spare_repetition(const Guarded &guarded, Node *statement) {
  const RangeVar *partition = repeats(guarded, statement);
  if (partition == nullptr) return;
  // In its place an ALTER TABLE that says nothing: neither CREATE INDEX nor CREATE TRIGGER has a form that leaves what is
  // there as it is.
  static_assert(sizeof(AlterTableStmt) <= sizeof(IndexStmt) && sizeof(AlterTableStmt) <= sizeof(CreateTrigStmt));
  AlterTableStmt nothing{};
  nothing.type = T_AlterTableStmt;
  nothing.relation = const_cast<RangeVar *>(partition);
  nothing.objtype = OBJECT_TABLE;
  memcpy(statement, &nothing, sizeof nothing);
}

}  // namespace spine
