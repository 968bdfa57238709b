// Three hooks of the server: the executor's for DML on stored events, the utility hook for statements that alter, and
// the object access hook for what goes, by whatever statement or cascade. They work in each session that has loaded
// the library. Where it is not preloaded, the event trigger people_os_spine_guard loads it before any DDL runs.
#include "guard/guard.h"

#include "store/chain_triggers.h"
#include "store/platform_event.h"

#include "core/uuid.h"
#include "server/errors.h"
#include "server/json.h"
#include "server/settings.h"
#include "store/pending.h"

extern "C" {
#include <access/genam.h>
#include <access/htup_details.h>
#include <access/relation.h>
#include <access/table.h>
#include <access/xact.h>
#include <catalog/dependency.h>
#include <catalog/namespace.h>
#include <catalog/objectaccess.h>
#include <catalog/objectaddress.h>
#include <catalog/pg_constraint.h>
#include <catalog/pg_event_trigger.h>
#include <catalog/pg_extension.h>
#include <catalog/pg_inherits.h>
#include <catalog/pg_namespace.h>
#include <catalog/pg_policy.h>
#include <catalog/pg_proc.h>
#include <catalog/pg_trigger.h>
#include <catalog/pg_type.h>
#include <commands/event_trigger.h>
#include <commands/extension.h>
#include <commands/tablecmds.h>
#include <executor/executor.h>
#include <mb/pg_wchar.h>
#include <miscadmin.h>
#include <nodes/makefuncs.h>
#include <nodes/plannodes.h>
#include <parser/parsetree.h>
#include <tcop/cmdtag.h>
#include <tcop/utility.h>
#include <utils/acl.h>
#include <utils/fmgroids.h>
#include <utils/lsyscache.h>
#include <utils/snapmgr.h>
#include <utils/syscache.h>
}

namespace spine {

namespace {


// What is guarded in this database.
struct Guarded {
  Oid extension;
  Oid schema;
  Oid events;

  // False: there is no spine here, or its own script is running, or pg_upgrade carries it over.
  bool find() {
    if (IsBinaryUpgrade || !IsTransactionState()) return false;
    schema = get_namespace_oid("spine", true);
    if (!OidIsValid(schema)) return false;
    extension = get_extension_oid("people_os_spine", true);
    if (!OidIsValid(extension) || (creating_extension && CurrentExtensionObject == extension)) return false;
    events = get_relname_relid("events", schema);
    return true;
  }
  bool owns(Oid classid, Oid object) const { return getExtensionOfObject(classid, object) == extension; }
  bool owns_table(Oid relid) const { return OidIsValid(relid) && owns(RelationRelationId, relid); }
};

// Stored events --------------------------------------------------------------------------------------------------

// Of a plan's top or one of its CTEs: what it would do to rows that are there; null for nothing.
const char *change_of(const ModifyTable *plan) {
  if (plan->operation == CMD_UPDATE || plan->onConflictAction == ONCONFLICT_UPDATE) return "UPDATE";
  if (plan->operation == CMD_DELETE) return "DELETE";
  ListCell *of_relation;
  foreach (of_relation, plan->mergeActionLists) {
    ListCell *action;
    foreach (action, static_cast<List *>(lfirst(of_relation))) {
      CmdType command = static_cast<MergeAction *>(lfirst(action))->commandType;
      if (command == CMD_UPDATE) return "UPDATE";
      if (command == CMD_DELETE) return "DELETE";
    }
  }
  return nullptr;
}

void refuse_change_of_events(const PlannedStmt *statement, const Plan *plan) {
  if (plan == nullptr || !IsA(plan, ModifyTable)) return;
  const ModifyTable *modify = reinterpret_cast<const ModifyTable *>(plan);
  const char *change = change_of(modify);
  if (change == nullptr) return;
  Oid schema = get_namespace_oid("spine", true);
  if (!OidIsValid(schema)) return;
  ListCell *index;
  foreach (index, modify->resultRelations) {
    Oid relid = rt_fetch(static_cast<Index>(lfirst_int(index)), statement->rtable)->relid;
    Guarded guarded;
    if (get_rel_namespace(relid) == schema && guarded.find() && relid == guarded.events && guarded.owns_table(relid))
      refuse_change(change, get_rel_name(relid));
  }
}

// DDL --------------------------------------------------------------------------------------------------------------

GuardedStatement current;

const char *statement_text() {
  const char *text = current.text != nullptr ? current.text : debug_query_string;
  if (text == nullptr) return "";
  int length = current.text != nullptr && current.length > 0 ? current.length : static_cast<int>(strlen(text));
  return pnstrdup(text, static_cast<Size>(pg_mbcliplen(text, length, 500)));
}

// Emits platform.spine.unguarded, chained at once: the table may be gone at the commit.
void record(const char *command, const char *object) {
  JsonbParseState *state = nullptr;
  pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
  const char *members[][2] = {
      {"command", command}, {"object", object}, {"reason", settings.unguard}, {"statement", statement_text()}};
  for (const auto &member : members) push_member(&state, member[0], json_text(member[1]));
  Jsonb *payload = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr));
  emit_platform_event("platform.spine.unguarded", "people_os_spine", "critical", JsonbPGetDatum(payload), ChainedWhen::at_once);
}

// Refuses what the current statement would do to an object of the spine, or lets it through and records it.
void refuse(const char *object) {
  if (current.is_recorded) return;
  const char *command = GetCommandTagName(current.tag);
  if (settings.unguard[0] == '\0')
    ereport(ERROR,
            (errcode(ERRCODE_SPINE_GUARDED), errmsg("the spine is guarded: %s is refused for %s", command, object),
             errhint("It could change or expose stored events, or replace what the spine runs. An administrator who "
                     "means it says why in people_os_spine.unguard, in this session; that is recorded as an event.")));
  // First, so that nothing that the recording does is judged.
  current.is_recorded = true;
  record(command, object);
}

void refuse_object(Oid classid, Oid object) {
  ObjectAddress address;
  ObjectAddressSet(address, classid, object);
  refuse(getObjectDescription(&address, false));
}

Oid relid_of(RangeVar *name) { return name == nullptr ? InvalidOid : RangeVarGetRelid(name, NoLock, true); }

void judge_table(const Guarded &guarded, RangeVar *name) {
  Oid relid = relid_of(name);
  if (guarded.owns_table(relid)) refuse_object(RelationRelationId, relid);
}

// Who inherits from events shows rows as events that were never chained; through a parent, events could be updated.
void judge_parents(const Guarded &guarded, List *parents) {
  ListCell *parent;
  foreach (parent, parents) {
    Node *name = static_cast<Node *>(lfirst(parent));
    if (IsA(name, RangeVar)) judge_table(guarded, reinterpret_cast<RangeVar *>(name));
  }
}

// Storage parameters, statistics and the like: no row reads or checks otherwise after them.
bool is_harmless(AlterTableType type) {
  switch (type) {
    case AT_SetStatistics:
    case AT_SetOptions:
    case AT_ResetOptions:
    case AT_SetRelOptions:
    case AT_ResetRelOptions:
    case AT_SetStorage:
    case AT_SetCompression:
    case AT_SetTableSpace:
    case AT_ClusterOn:
    case AT_DropCluster:
    case AT_ReplicaIdentity:
    case AT_ValidateConstraint:
      return true;
    default:
      return false;
  }
}

void judge_alter_table(const Guarded &guarded, AlterTableStmt *statement) {
  // As the server itself looks it up, with the lock that it takes, so that the name cannot be another's by then.
  Oid relid = AlterTableLookupRelation(statement, AlterTableGetLockLevel(statement->cmds));
  bool is_ours = guarded.owns_table(relid);
  ListCell *cell;
  foreach (cell, statement->cmds) {
    AlterTableCmd *command = static_cast<AlterTableCmd *>(lfirst(cell));
    if (is_ours && !is_harmless(command->subtype)) refuse_object(RelationRelationId, relid);
    if (is_ours) current.cleared = relid;
    if (command->subtype == AT_AddInherit) judge_table(guarded, castNode(RangeVar, command->def));
    if (command->subtype == AT_AttachPartition) judge_table(guarded, castNode(PartitionCmd, command->def)->name);
  }
}

void judge_object(const Guarded &guarded, ObjectType type, Node *name) {
  // Statements name types in two ways.
  if (type == OBJECT_TYPE && IsA(name, List))
    name = reinterpret_cast<Node *>(makeTypeNameFromNameList(castNode(List, name)));
  if (type == OBJECT_DOMAIN || type == OBJECT_DOMCONSTRAINT) return;
  Relation relation = nullptr;
  ObjectAddress address = get_object_address(type, name, &relation, AccessShareLock, true);
  if (relation != nullptr) relation_close(relation, NoLock);
  if (!OidIsValid(address.objectId)) return;
  if ((address.classId == NamespaceRelationId && address.objectId == guarded.schema) ||
      guarded.owns(address.classId, address.objectId))
    refuse_object(address.classId, address.objectId);
}

// Functions in the spine's schema: a further one of a known name could catch calls.
void judge_function(const Guarded &guarded, List *name) {
  char *bare;
  if (QualifiedNameGetCreationNamespace(name, &bare) == guarded.schema)
    refuse(psprintf("function spine.%s", bare));
}

void judge_reassign(const Guarded &guarded, const ReassignOwnedStmt *statement) {
  HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(guarded.events));
  if (!HeapTupleIsValid(tuple)) return;
  Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
  ReleaseSysCache(tuple);
  ListCell *role;
  foreach (role, statement->roles)
    if (get_rolespec_oid(static_cast<RoleSpec *>(lfirst(role)), false) == owner)
      refuse_object(RelationRelationId, guarded.events);
}

bool names_relation(ObjectType type) {
  switch (type) {
    case OBJECT_TABLE:
    case OBJECT_VIEW:
    case OBJECT_COLUMN:
    case OBJECT_ATTRIBUTE:
    case OBJECT_TABCONSTRAINT:
    case OBJECT_TRIGGER:
    case OBJECT_RULE:
    case OBJECT_POLICY:
    case OBJECT_INDEX:
    case OBJECT_SEQUENCE:
    case OBJECT_MATVIEW:
    case OBJECT_FOREIGN_TABLE:
      return true;
    default:
      return false;
  }
}

// Raises SP024 for a statement that the guard refuses.
void judge(Node *tree) {
  Guarded guarded;
  switch (nodeTag(tree)) {
    case T_AlterTableStmt:
      if (guarded.find()) judge_alter_table(guarded, castNode(AlterTableStmt, tree));
      break;
    case T_CreateStmt:
      if (castNode(CreateStmt, tree)->inhRelations != NIL && guarded.find())
        judge_parents(guarded, castNode(CreateStmt, tree)->inhRelations);
      break;
    case T_CreateForeignTableStmt:
      if (castNode(CreateForeignTableStmt, tree)->base.inhRelations != NIL && guarded.find())
        judge_parents(guarded, castNode(CreateForeignTableStmt, tree)->base.inhRelations);
      break;
    case T_CreateTrigStmt:
      if (guarded.find()) judge_table(guarded, castNode(CreateTrigStmt, tree)->relation);
      break;
    case T_RuleStmt:
      if (guarded.find()) judge_table(guarded, castNode(RuleStmt, tree)->relation);
      break;
    case T_CreatePolicyStmt:
      if (guarded.find()) judge_table(guarded, castNode(CreatePolicyStmt, tree)->table);
      break;
    case T_AlterPolicyStmt:
      if (guarded.find()) judge_table(guarded, castNode(AlterPolicyStmt, tree)->table);
      break;
    case T_ViewStmt:
      if (guarded.find()) judge_table(guarded, castNode(ViewStmt, tree)->view);
      break;
    case T_CreateFunctionStmt:
      if (guarded.find()) judge_function(guarded, castNode(CreateFunctionStmt, tree)->funcname);
      break;
    case T_DefineStmt:
      if (castNode(DefineStmt, tree)->kind == OBJECT_AGGREGATE && guarded.find())
        judge_function(guarded, castNode(DefineStmt, tree)->defnames);
      break;
    case T_AlterFunctionStmt:
      if (guarded.find())
        judge_object(guarded, castNode(AlterFunctionStmt, tree)->objtype,
                     reinterpret_cast<Node *>(castNode(AlterFunctionStmt, tree)->func));
      break;
    case T_AlterEnumStmt:
      if (guarded.find())
        judge_object(guarded, OBJECT_TYPE, reinterpret_cast<Node *>(castNode(AlterEnumStmt, tree)->typeName));
      break;
    case T_RenameStmt: {
      RenameStmt *rename = castNode(RenameStmt, tree);
      if (!guarded.find()) break;
      if (names_relation(rename->renameType))
        judge_table(guarded, rename->relation);
      else if (rename->renameType == OBJECT_SCHEMA)
        judge_object(guarded, OBJECT_SCHEMA, reinterpret_cast<Node *>(makeString(rename->subname)));
      else if (rename->object != nullptr)
        judge_object(guarded, rename->renameType, rename->object);
      break;
    }
    case T_AlterObjectSchemaStmt: {
      AlterObjectSchemaStmt *move = castNode(AlterObjectSchemaStmt, tree);
      if (!guarded.find()) break;
      if (names_relation(move->objectType))
        judge_table(guarded, move->relation);
      else
        judge_object(guarded, move->objectType, move->object);
      break;
    }
    case T_AlterObjectDependsStmt: {
      AlterObjectDependsStmt *depends = castNode(AlterObjectDependsStmt, tree);
      if (!guarded.find()) break;
      if (depends->relation != nullptr)
        judge_table(guarded, depends->relation);
      else
        judge_object(guarded, depends->objectType, depends->object);
      break;
    }
    case T_AlterOwnerStmt:
      if (guarded.find())
        judge_object(guarded, castNode(AlterOwnerStmt, tree)->objectType, castNode(AlterOwnerStmt, tree)->object);
      break;
    case T_ReassignOwnedStmt:
      if (guarded.find()) judge_reassign(guarded, castNode(ReassignOwnedStmt, tree));
      break;
    case T_AlterExtensionContentsStmt:
      if (strcmp(castNode(AlterExtensionContentsStmt, tree)->extname, "people_os_spine") == 0 && guarded.find())
        refuse_object(ExtensionRelationId, guarded.extension);
      break;
    case T_AlterEventTrigStmt:
      if (guarded.find())
        judge_object(guarded, OBJECT_EVENT_TRIGGER,
                     reinterpret_cast<Node *>(makeString(castNode(AlterEventTrigStmt, tree)->trigname)));
      break;
    default:
      break;
  }
}

// What goes ---------------------------------------------------------------------------------------------------------

// A copy of a row of a catalog, or null.
HeapTuple catalog_row(Oid catalog, Oid index, AttrNumber oid_column, Oid object, Snapshot snapshot = nullptr) {
  Relation relation = table_open(catalog, AccessShareLock);
  ScanKeyData key;
  ScanKeyInit(&key, oid_column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(object));
  SysScanDesc scan = systable_beginscan(relation, index, true, snapshot, 1, &key);
  HeapTuple row = systable_getnext(scan);
  if (HeapTupleIsValid(row)) row = heap_copytuple(row);
  systable_endscan(scan);
  table_close(relation, AccessShareLock);
  return row;
}

// Refuses to let an object of the spine go. Its members go with their extension and no other way, so that is what
// the error names.
void judge_drop(const Guarded &guarded, Oid classid, Oid object) {
  if (classid == TriggerRelationId) {
    HeapTuple row = catalog_row(classid, TriggerOidIndexId, Anum_pg_trigger_oid, object);
    if (!HeapTupleIsValid(row)) return;
    Form_pg_trigger trigger = reinterpret_cast<Form_pg_trigger>(GETSTRUCT(row));
    // Somebody else's may go, and those that a foreign key has on the table it points at.
    if (guarded.owns_table(trigger->tgrelid) && guarded.owns(ProcedureRelationId, trigger->tgfoid))
      refuse_object(classid, object);
  } else if (classid == ConstraintRelationId) {
    HeapTuple row = catalog_row(classid, ConstraintOidIndexId, Anum_pg_constraint_oid, object);
    if (HeapTupleIsValid(row) && guarded.owns_table(reinterpret_cast<Form_pg_constraint>(GETSTRUCT(row))->conrelid))
      refuse_object(classid, object);
  } else if (classid == PolicyRelationId) {
    HeapTuple row = catalog_row(classid, PolicyOidIndexId, Anum_pg_policy_oid, object);
    if (HeapTupleIsValid(row) && guarded.owns_table(reinterpret_cast<Form_pg_policy>(GETSTRUCT(row))->polrelid))
      refuse_object(classid, object);
  } else if ((classid == ExtensionRelationId && object == guarded.extension) ||
             (classid == NamespaceRelationId && object == guarded.schema) || guarded.owns(classid, object)) {
    refuse_object(ExtensionRelationId, guarded.extension);
  }
}

// Whatever a statement named when it was judged may be another object by the time it acts: what it did is judged again.
// parent: of what inherits.
void judge_altered(const Guarded &guarded, Oid classid, Oid object, Oid parent) {
  if (classid == RelationRelationId) {
    if (object != current.cleared && guarded.owns_table(object)) refuse_object(classid, object);
  } else if (classid == InheritsRelationId) {
    if (guarded.owns_table(object) || guarded.owns_table(parent)) refuse_object(RelationRelationId, object);
  } else if (classid == TriggerRelationId) {
    HeapTuple row = catalog_row(classid, TriggerOidIndexId, Anum_pg_trigger_oid, object, SnapshotSelf);
    if (HeapTupleIsValid(row) && guarded.owns_table(reinterpret_cast<Form_pg_trigger>(GETSTRUCT(row))->tgrelid))
      refuse_object(RelationRelationId, reinterpret_cast<Form_pg_trigger>(GETSTRUCT(row))->tgrelid);
  } else if (classid == ProcedureRelationId || classid == TypeRelationId) {
    if (guarded.owns(classid, object)) refuse_object(classid, object);
  }
}

}  // namespace

void refuse_change_of_events(const PlannedStmt *statement) {
  if (statement->commandType == CMD_SELECT && !statement->hasModifyingCTE) return;
  refuse_change_of_events(statement, statement->planTree);
  ListCell *plan;
  foreach (plan, statement->subplans) refuse_change_of_events(statement, static_cast<Plan *>(lfirst(plan)));
}

GuardedStatement begin_statement(const PlannedStmt *planned, const char *text) {
  GuardedStatement outer = current;
  current = {true, CreateCommandTag(planned->utilityStmt), text + Max(planned->stmt_location, 0), planned->stmt_len, false,
             InvalidOid};
  return outer;
}

void judge_statement(Node *statement) { judge(statement); }

void end_statement(const GuardedStatement &outer) { current = outer; }

void judge_object(ObjectAccessType access, Oid classid, Oid object, void *argument) {
  Guarded guarded;
  if (access == OAT_TRUNCATE) {
    // Whoever has no right to it hears that, a moment later.
    if (guarded.find() && object == guarded.events && guarded.owns_table(object) &&
        pg_class_aclcheck(object, GetUserId(), ACL_TRUNCATE) == ACLCHECK_OK)
      refuse_change("TRUNCATE", get_rel_name(object));
  } else if (access == OAT_DROP) {
    // The server's own, as at the end of REINDEX CONCURRENTLY.
    if ((static_cast<ObjectAccessDrop *>(argument)->dropflags & PERFORM_DELETION_INTERNAL) != 0) return;
    if (!current.is_recorded && guarded.find()) judge_drop(guarded, classid, object);
  } else if (access == OAT_POST_CREATE && argument != nullptr) {
    if (!static_cast<ObjectAccessPostCreate *>(argument)->is_internal && !current.is_recorded && guarded.find())
      judge_altered(guarded, classid, object, InvalidOid);
  } else if (access == OAT_POST_ALTER && argument != nullptr) {
    const ObjectAccessPostAlter *altered = static_cast<ObjectAccessPostAlter *>(argument);
    if (!altered->is_internal && !current.is_recorded && guarded.find())
      judge_altered(guarded, classid, object, altered->auxiliary_id);
  }
}

extern "C" {

PG_FUNCTION_INFO_V1(spine_guard_ddl);
PGDLLEXPORT Datum spine_guard_ddl(PG_FUNCTION_ARGS) {
  if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("spine.guard_ddl() is an event trigger function"),
                    errhint("CREATE EXTENSION attaches it; there is nothing to call.")));
  EventTriggerData *data = reinterpret_cast<EventTriggerData *>(fcinfo->context);
  // Where the library was loaded for this call, its hook came too late for this statement.
  if (!current.was_judged) {
    current = {true, data->tag, nullptr, 0, false, InvalidOid};
    judge(data->parsetree);
  }
  PG_RETURN_NULL();
}

}  // extern "C"

}  // namespace spine
