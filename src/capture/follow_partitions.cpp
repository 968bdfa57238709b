// spine.follow_partitions: what DDL on captured tables and on what inherits from them asks for.
#include "capture/capture_tables.h"
#include "capture/watches.h"
#include "server/errors.h"
#include "server/event_trigger.h"
#include "server/sql.h"
#include "store/owners_rights.h"

extern "C" {
#include <access/genam.h>
#include <access/relation.h>
#include <access/table.h>
#include <catalog/pg_depend.h>
#include <catalog/pg_inherits.h>
#include <catalog/pg_proc.h>
#include <commands/event_trigger.h>
#include <miscadmin.h>
#include <utils/fmgroids.h>
#include <utils/lsyscache.h>
}

namespace spine {

namespace {

// What the command made or altered.
constexpr const char *touched_tables =
    "SELECT DISTINCT objid FROM pg_catalog.pg_event_trigger_ddl_commands() WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass";

// The table, or the composite type and the tables of that type.
constexpr const char *altered_tables =
    "SELECT t.oid FROM pg_catalog.pg_event_trigger_ddl_commands() c"
    "  JOIN pg_catalog.pg_class r ON r.oid = c.objid AND c.classid = 'pg_catalog.pg_class'::pg_catalog.regclass"
    "  JOIN pg_catalog.pg_class t ON t.oid = r.oid OR t.reloftype = r.reltype AND t.reloftype <> 0";

// Whether any table is captured: asked at each CREATE TABLE, where planning a query would cost a good part of that.
bool captures_anything(Oid function) {
  Relation relation = table_open(DependRelationId, AccessShareLock);
  ScanKeyData keys[2];
  ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(ProcedureRelationId));
  ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(function));
  SysScanDesc scan = systable_beginscan(relation, DependReferenceIndexId, true, nullptr, lengthof(keys), keys);
  bool found = false;
  while (HeapTuple row = systable_getnext(scan))
    if ((found = reinterpret_cast<Form_pg_depend>(GETSTRUCT(row))->classid == TriggerRelationId)) break;
  systable_endscan(scan);
  table_close(relation, AccessShareLock);
  return found;
}

// Adds to a definition of a table what another one hides; what the table has no column for, to a list of its own.
List *hide_too(Relation relation, List *arguments, const List *others, List **without_column) {
  for (int a = capture_arguments; a < list_length(others); a++) {
    char *other = static_cast<char *>(list_nth(others, a));
    auto [shown, column] = column_argument(other);
    if (column == nullptr) continue;
    if (get_attnum(RelationGetRelid(relation), column) <= 0) {
      *without_column = lappend(*without_column, other);
      continue;
    }
    bool is_hidden = false;
    for (int mine = capture_arguments; mine < list_length(arguments); mine++) {
      ListCell *cell = list_nth_cell(arguments, mine);
      ColumnArgument known = column_argument(static_cast<char *>(lfirst(cell)));
      if (known.column == nullptr || strcmp(known.column, column) != 0) continue;
      is_hidden = true;
      if (shown > known.shown) lfirst(cell) = other;
    }
    if (!is_hidden) arguments = lappend(arguments, other);
  }
  return arguments;
}

bool are_equal(const List *a, const List *b) {
  if (list_length(a) != list_length(b)) return false;
  for (int i = 0; i < list_length(a); i++)
    if (strcmp(static_cast<char *>(list_nth(a, i)), static_cast<char *>(list_nth(b, i))) != 0) return false;
  return true;
}

// Has a table that came to inherit from a captured one captured with it. One that was captured itself brings what its
// definition hides: what is written through the other would else show it.
void follow(Oid relid) {
  List *parents = parents_of(relid);
  List *roots = parents == NIL ? NIL : captured_roots(relid);
  if (roots == NIL) return;
  Oid root = linitial_oid(roots);
  if (root == relid)
    cannot_capture(psprintf("table %s is captured, and %s, which it is to inherit from, is not", table_name(relid),
                            table_name(linitial_oid(parents))),
                   "What is written through the other would be missed: capture that first, or spine.stop_capture this one.");
  require_one_root(relid, get_rel_relkind(relid), roots);
  Relation top = relation_open(root, AccessShareLock);
  Relation child = relation_open(relid, AccessShareLock);
  const Trigger *own = capture_trigger(child);
  List *of_root = arguments_of(*capture_trigger(top)), *of_child = own == nullptr ? NIL : arguments_of(*own), *extra = NIL;
  List *stricter = hide_too(top, list_copy(of_root), of_child, &extra);
  bool was_inherited = own != nullptr && is_inherited(*own);
  relation_close(child, NoLock);
  if (!are_equal(stricter, of_root)) {
    require_shown_entity(top, stricter);
    capture_tree(root, stricter);
  }
  relation_close(top, NoLock);
  List *wanted = list_concat(list_copy(stricter), extra);
  if (!was_inherited || extra != NIL || !are_equal(of_child, wanted)) create_triggers(relid, as_inherited(wanted));
  if (!was_inherited && may_have_rows(relid)) note_uncaptured_rows(table_name(root));
  (void)forget_watch("capture", table_name(relid));
}

// Whether the statement has a table inherit from another. Nothing else is followed: a restore brings the triggers of each
// table itself.
bool changes_inheritance(const Node *statement) {
  ListCell *cell;
  switch (nodeTag(statement)) {
    case T_CreateStmt:
    case T_CreateForeignTableStmt:  // begins with one
      return reinterpret_cast<const CreateStmt *>(statement)->inhRelations != NIL;
    case T_CreateSchemaStmt:
      foreach (cell, reinterpret_cast<const CreateSchemaStmt *>(statement)->schemaElts)
        if (changes_inheritance(static_cast<const Node *>(lfirst(cell)))) return true;
      return false;
    case T_AlterTableStmt:
      foreach (cell, reinterpret_cast<const AlterTableStmt *>(statement)->cmds) {
        AlterTableType type = static_cast<const AlterTableCmd *>(lfirst(cell))->subtype;
        if (type == AT_AddInherit || type == AT_AttachPartition) return true;
      }
      return false;
    default:
      return false;
  }
}

void follow_all(SPITupleTable *touched) {
  for (uint64 i = 0; i < touched->numvals; i++) {
    bool null;
    ListCell *member;
    // Not by SQL, which in REPEATABLE READ would not see what others have attached to it meanwhile.
    foreach (member, find_all_inheritors(DatumGetObjectId(SPI_getbinval(touched->vals[i], touched->tupdesc, 1, &null)), AccessShareLock, nullptr)) {
      // Whoever may make a partition of a captured table need not be who has it captured.
      OwnersRights rights;
      rights.begin();
      follow(lfirst_oid(member));
      rights.end();
    }
  }
}

// The column that the statement renames or gives another type; null: neither.
const char *altered_column(const Node *statement, bool *is_renamed) {
  *is_renamed = IsA(statement, RenameStmt);
  if (*is_renamed) {
    const RenameStmt *rename = reinterpret_cast<const RenameStmt *>(statement);
    return rename->renameType == OBJECT_COLUMN || rename->renameType == OBJECT_ATTRIBUTE ? rename->subname : nullptr;
  }
  if (!IsA(statement, AlterTableStmt)) return nullptr;
  ListCell *cell;
  foreach (cell, reinterpret_cast<const AlterTableStmt *>(statement)->cmds) {
    const AlterTableCmd *command = static_cast<const AlterTableCmd *>(lfirst(cell));
    if (command->subtype == AT_AlterColumnType) return command->name;
  }
  return nullptr;
}

// The column that an argument names, if it names one.
const char *named_column(const Trigger &trigger, int argument) {
  const char *text = trigger.tgargs[argument];
  if (argument == capture_entity_id || argument == capture_organization) return text;
  return argument >= capture_arguments ? column_argument(text).column : nullptr;
}

[[noreturn]] void refuse_altered_column(Oid relid, const char *column, bool is_renamed) {
  if (is_renamed)
    cannot_capture(psprintf("column \"%s\" of table %s is not renamed: the capture of its changes names it", column, table_name(relid)),
                   "In one transaction, spine.stop_capture, rename it, and call spine.capture_changes with the new name.");
  cannot_capture(psprintf("column \"%s\" of table %s keeps its type: it says whose events the captured ones are", column, table_name(relid)),
                 "In one transaction, spine.stop_capture, alter it, and call spine.capture_changes: from then on the rows may be other "
                 "entities.");
}

// A column that is masked would be shown under its new name once another took the old one; as for the entity and the
// organization, events would come into others' histories, or the rows would be other entities without an event.
void judge_column(Oid relid, const char *column, bool is_renamed, Oid function) {
  Relation relation = relation_open(relid, AccessShareLock);
  const TriggerDesc *triggers = relation->trigdesc;
  for (int i = 0; triggers != nullptr && i < triggers->numtriggers; i++) {
    const Trigger &trigger = triggers->triggers[i];
    if (trigger.tgfoid != function) continue;
    for (int a = 0; a < (is_renamed ? trigger.tgnargs : Min(trigger.tgnargs, capture_severity)); a++) {
      const char *name = named_column(trigger, a);
      if (name != nullptr && strcmp(name, column) == 0) refuse_altered_column(relid, column, is_renamed);
    }
  }
  relation_close(relation, NoLock);
}

void judge_columns(const Node *statement, Oid function) {
  bool is_renamed;
  const char *column = altered_column(statement, &is_renamed);
  if (column == nullptr) return;
  run_sql(altered_tables);
  for (uint64 i = 0; i < SPI_tuptable->numvals; i++) {
    bool null;
    Oid relid = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &null));
    if (is_renamed) {
      judge_column(relid, column, true, function);
      continue;
    }
    // A statement may alter several.
    ListCell *cell;
    foreach (cell, reinterpret_cast<const AlterTableStmt *>(statement)->cmds) {
      const AlterTableCmd *command = static_cast<const AlterTableCmd *>(lfirst(cell));
      if (command->subtype == AT_AlterColumnType) judge_column(relid, command->name, false, function);
    }
  }
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_follow_partitions);
PGDLLEXPORT Datum spine_follow_partitions(PG_FUNCTION_ARGS) {
  const Node *statement = event_trigger_data(fcinfo, "spine.follow_partitions()")->parsetree;
  bool is_renamed;
  bool alters = altered_column(statement, &is_renamed) != nullptr, inherits = changes_inheritance(statement);
  if (IsBinaryUpgrade || !(alters || inherits)) PG_RETURN_NULL();
  Oid function = capture_function();
  if (!OidIsValid(function) || !captures_anything(function)) PG_RETURN_NULL();
  SPI_connect();
  if (alters) judge_columns(statement, function);
  if (inherits) {
    run_sql(touched_tables);
    follow_all(SPI_tuptable);
  }
  SPI_finish();
  PG_RETURN_NULL();
}

}  // extern "C"

}  // namespace spine
