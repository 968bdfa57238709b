// Statements, by what they name: judged before they run, so that what an administrator lets through is recorded before
// it is done. objects.cpp judges what they did, and what no statement here names.
#include "guard/guard.h"
#include "access/access.h"
#include "guard/guarded.h"
#include "guard/partitions.h"
#include "guard/refusal.h"

#include "server/compat.h"
#include "server/errors.h"
#include "server/event_trigger.h"
#include "store/own_statement.h"

extern "C" {
#include <access/relation.h>
#include <access/xact.h>
#include <access/xlog.h>
#include <catalog/namespace.h>
#include <catalog/objectaddress.h>
#include <catalog/pg_class.h>
#include <catalog/pg_extension.h>
#include <catalog/pg_namespace.h>
#include <catalog/pg_proc.h>
#include <catalog/pg_type.h>
#include <commands/defrem.h>
#include <commands/event_trigger.h>
#include <commands/tablecmds.h>
#include <miscadmin.h>
#include <nodes/makefuncs.h>
#include <parser/parse_type.h>
#include <tcop/utility.h>
#include <utils/acl.h>
#include <utils/lsyscache.h>
#include <utils/syscache.h>
}

namespace spine {

namespace {

template <typename T>
T *node_of(Node *tree) {
  return reinterpret_cast<T *>(tree);
}

Node *named(const char *name) { return reinterpret_cast<Node *>(makeString(pstrdup(name))); }

// What a statement names ------------------------------------------------------------------------------------------

void judge_relation(const Guarded &guarded, const RangeVar *name) {
  Oid relid = relation_named(name);
  if (guarded.has_table(relid)) refuse_object(RelationRelationId, relid);
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

void judge_named(const Guarded &guarded, ObjectType type, Node *name) {
  if (name == nullptr) return;
  // Statements name types in two ways.
  if (type == OBJECT_TYPE && IsA(name, List))
    name = reinterpret_cast<Node *>(makeTypeNameFromNameList(castNode(List, name)));
  // The spine has none, and what a domain is named by differs.
  if (type == OBJECT_DOMAIN || type == OBJECT_DOMCONSTRAINT) return;
  Relation relation = nullptr;
  ObjectAddress address = get_object_address(type, name, &relation, AccessShareLock, true);
  if (relation != nullptr) relation_close(relation, NoLock);
  if (OidIsValid(address.objectId) && guarded.has(address.classId, address.objectId))
    refuse_object(address.classId, address.objectId);
}

void judge_named(const Guarded &guarded, ObjectType type, const RangeVar *relation, Node *object) {
  if (names_relation(type) && relation != nullptr)
    judge_relation(guarded, relation);
  else
    judge_named(guarded, type, object);
}

void judge_type(const Guarded &guarded, const TypeName *name) {
  Oid type = LookupTypeNameOid(nullptr, name, true);
  if (OidIsValid(type) && guarded.has(TypeRelationId, type)) refuse_object(TypeRelationId, type);
}

// A further thing in the spine's schema could catch what is meant for the spine's own, now or in a later version. Whoever
// may make nothing there hears that from the server.
bool makes_in_spine(const Guarded &guarded, Oid schema) {
  return schema == guarded.schema && compat_may_create_in(schema, GetUserId());
}

void judge_new(const Guarded &guarded, const char *kind, List *name) {
  if (makes_in_spine(guarded, schema_of_new(name))) refuse(psprintf("%s spine.%s", kind, strVal(llast(name))));
}

void judge_new_relation(const Guarded &guarded, const RangeVar *name) {
  if (name->relpersistence != RELPERSISTENCE_TEMP && !is_elsewhere(name) &&
      makes_in_spine(guarded, schema_of_new(name->schemaname)))
    refuse(psprintf("relation spine.%s", name->relname));
}

// Tables ----------------------------------------------------------------------------------------------------------

// How rows are laid out and cleaned up.
bool is_storage_option(const char *name) {
  static const char *const prefixes[] = {"autovacuum_", "vacuum_", "log_autovacuum_"};
  for (const char *prefix : prefixes)
    if (strncmp(name, prefix, strlen(prefix)) == 0) return true;
  static const char *const names[] = {"fillfactor",  "toast_tuple_target", "parallel_workers", "deduplicate_items",
                                      "fastupdate",  "pages_per_range",    "autosummarize",    "buffering",
                                      "gin_pending_list_limit"};
  for (const char *storage : names)
    if (strcmp(name, storage) == 0) return true;
  return false;
}

bool are_storage_options(Node *definition) {
  ListCell *option;
  foreach (option, reinterpret_cast<List *>(definition))
    if (!is_storage_option(castNode(DefElem, lfirst(option))->defname)) return false;
  return true;
}

// A plain table under a partition's name, as pg_dump makes it before it attaches it (objects.cpp compares the columns).
bool may_become_partition(const Guarded &guarded, const CreateStmt *statement) {
  const RangeVar *name = statement->relation;
  return IsA(statement, CreateStmt) && name->schemaname != nullptr && is_partition_name(name->relname) && !is_elsewhere(name) &&
         get_namespace_oid(name->schemaname, true) == guarded.schema && name->relpersistence == RELPERSISTENCE_PERMANENT &&
         statement->inhRelations == NIL && statement->partspec == nullptr && statement->partbound == nullptr &&
         statement->ofTypename == nullptr && are_storage_options(reinterpret_cast<Node *>(statement->options));
}

// Who inherits from events shows rows as events that were never chained; through a parent, events could be updated.
void judge_new_table(const Guarded &guarded, const CreateStmt *statement) {
  if (may_become_partition(guarded, statement)) {
    current_statement.makes_partition = true;
    return;
  }
  judge_new_relation(guarded, statement->relation);
  ListCell *parent;
  foreach (parent, statement->inhRelations)
    if (IsA(lfirst(parent), RangeVar)) judge_relation(guarded, castNode(RangeVar, lfirst(parent)));
}

// What of ALTER TABLE lets each row read and be checked as before, by whom and when it was.
bool is_harmless(const AlterTableCmd *command, bool is_view) {
  switch (command->subtype) {
    case AT_SetRelOptions:
    case AT_ResetRelOptions:
      return !is_view && are_storage_options(command->def);
    case AT_ReplicaIdentity: {
      // Without one, or with another, a publication of the table refuses its updates.
      char identity = castNode(ReplicaIdentityStmt, command->def)->identity_type;
      return identity == REPLICA_IDENTITY_DEFAULT || identity == REPLICA_IDENTITY_FULL;
    }
    case AT_SetStatistics:
    case AT_SetOptions:
    case AT_ResetOptions:
    case AT_SetStorage:
    case AT_SetCompression:
    case AT_SetTableSpace:
    case AT_ClusterOn:
    case AT_DropCluster:
    case AT_ValidateConstraint:
      return true;
    default:
      return false;
  }
}

bool detaches_concurrently(const AlterTableStmt *statement) {
  ListCell *cell;
  foreach (cell, statement->cmds) {
    const AlterTableCmd *command = castNode(AlterTableCmd, lfirst(cell));
    if (command->subtype == AT_DetachPartition && castNode(PartitionCmd, command->def)->concurrent) return true;
  }
  return false;
}

// What brings a partition back, or makes one: it is attached with all its guards, and those are not loosened by what a dump
// says of them again.
bool restores(const Guarded &guarded, Oid relid, AlterTableStmt *statement, const AlterTableCmd *command) {
  if (command->subtype == AT_AttachPartition) {
    Oid part = relation_named(castNode(PartitionCmd, command->def)->name);
    if (get_rel_relkind(relid) == RELKIND_PARTITIONED_INDEX)
      return OidIsValid(part) && (parent_of(part) == relid || (guarded.is_added_index(relid) && guarded.is_added_index(part)));
    if (relid != guarded.events || !prepare_partition(guarded, part)) return false;
    current_statement.attached = part;
    return true;
  }
  if (relid == guarded.events || !guarded.holds_events(relid)) return false;
  switch (command->subtype) {
    case AT_EnableRowSecurity:
      return true;
    case AT_EnableAlwaysTrig:
      return strcmp(command->name, "refuse_change") == 0 || strcmp(command->name, "refuse_row_change") == 0 ||
             strcmp(command->name, "zz_chain_event") == 0;
    default:
      return repeats(guarded, reinterpret_cast<Node *>(statement)) != nullptr;
  }
}

void judge_alter_table(const Guarded &guarded, AlterTableStmt *statement) {
  // As the server itself looks it up, with the lock that it takes, so that the name cannot be another's by then. Only
  // where it has something to say first, it is left to say it.
  Oid relid = detaches_concurrently(statement)
                  ? relation_named(statement->relation)
                  : AlterTableLookupRelation(statement, AlterTableGetLockLevel(statement->cmds));
  if (guarded.is_unattached(relid) || equips_detached(guarded, relid, reinterpret_cast<Node *>(statement)))
    current_statement.unattached = relid;
  bool is_ours = guarded.has_table(relid) && !OidIsValid(current_statement.unattached);
  bool is_view = is_ours && get_rel_relkind(relid) == RELKIND_VIEW;
  ListCell *cell;
  foreach (cell, statement->cmds) {
    AlterTableCmd *command = castNode(AlterTableCmd, lfirst(cell));
    if (is_ours && restores(guarded, relid, statement, command)) continue;
    if (is_ours && !is_harmless(command, is_view)) refuse_object(RelationRelationId, relid);
    if (command->subtype == AT_AddInherit) judge_relation(guarded, castNode(RangeVar, command->def));
    if (command->subtype == AT_AttachPartition) judge_relation(guarded, castNode(PartitionCmd, command->def)->name);
  }
  if (is_ours) current_statement.cleared = relid;
}

// One that is plain: unique, it would refuse events; with somebody's function in it, it would show them (objects.cpp).
void judge_index(const Guarded &guarded, const IndexStmt *statement) {
  Oid relid = relation_named(statement->relation);
  if (guarded.is_unattached(relid)) {
    current_statement.unattached = relid;
    return;
  }
  if (statement->unique || statement->isconstraint || statement->excludeOpNames != NIL)
    judge_relation(guarded, statement->relation);
}

void judge_trigger(const Guarded &guarded, CreateTrigStmt *statement) {
  Oid relid = relation_named(statement->relation);
  if (guarded.is_unattached(relid) || equips_detached(guarded, relid, reinterpret_cast<Node *>(statement)))
    current_statement.unattached = relid;
  else if (repeats(guarded, reinterpret_cast<Node *>(statement)) == nullptr)
    judge_relation(guarded, statement->relation);
}

// An expression's function is called with rows of the table when it is analyzed.
void judge_statistics(const Guarded &guarded, const CreateStatsStmt *statement) {
  if (statement->defnames != NIL) judge_new(guarded, "statistics", statement->defnames);
  ListCell *cell;
  foreach (cell, statement->exprs) {
    if (castNode(StatsElem, lfirst(cell))->expr == nullptr) continue;
    ListCell *relation;
    foreach (relation, statement->relations)
      if (IsA(lfirst(relation), RangeVar)) judge_relation(guarded, castNode(RangeVar, lfirst(relation)));
    return;
  }
}

void judge_copy(const CopyStmt *statement) {
  Oid relid = statement->is_from ? relation_named(statement->relation) : InvalidOid;
  if (OidIsValid(relid) && defines_objects(relid)) refuse_object(RelationRelationId, relid);
}

// Rights ----------------------------------------------------------------------------------------------------------

bool has_public(List *grantees) {
  ListCell *cell;
  foreach (cell, grantees)
    if (castNode(RoleSpec, lfirst(cell))->roletype == ROLESPEC_PUBLIC) return true;
  return false;
}

// allowed: words.
bool are_among(List *privileges, const char *allowed) {
  ListCell *cell;
  foreach (cell, privileges) {
    const char *name = castNode(AccessPriv, lfirst(cell))->priv_name;
    if (name == nullptr || strstr(allowed, name) == nullptr) return false;
  }
  return privileges != NIL;
}

bool may_be_granted(const Guarded &guarded, Oid relid, List *privileges) {
  const char *relation = get_rel_name(relid);
  if (relation == nullptr || !guarded.owns(RelationRelationId, relid)) return false;
  for (const ExpectedRight &right : expected_rights)
    if (right.kind == ObjectKind::table && strcmp(relation, right.name) == 0) return are_among(privileges, grantable_privileges(right));
  return false;
}

void judge_grant_in_schema(const Guarded &guarded, const GrantStmt *statement) {
  bool of_functions = statement->objtype == OBJECT_FUNCTION || statement->objtype == OBJECT_PROCEDURE ||
                      statement->objtype == OBJECT_ROUTINE;
  if (of_functions && !has_public(statement->grantees)) return;
  ListCell *cell;
  foreach (cell, statement->objects)
    if (get_namespace_oid(strVal(lfirst(cell)), true) == guarded.schema)
      refuse_object(NamespaceRelationId, guarded.schema);
}

void judge_grant_of_setting(const GrantStmt *statement) {
  ListCell *cell;
  foreach (cell, statement->objects)
    if (pg_strncasecmp(strVal(lfirst(cell)), "people_os_spine.", strlen("people_os_spine.")) == 0)
      refuse(psprintf("setting %s", strVal(lfirst(cell))));
}

// What takes a right away shows nothing. What gives one gives what spine.grant_… give, and INSERT: so a dump restores them.
void judge_grant(const Guarded &guarded, const GrantStmt *statement) {
  if (!statement->is_grant) return;
  if (statement->targtype == ACL_TARGET_ALL_IN_SCHEMA) return judge_grant_in_schema(guarded, statement);
  if (statement->targtype != ACL_TARGET_OBJECT) return;
  if (statement->objtype == OBJECT_PARAMETER_ACL) return judge_grant_of_setting(statement);
  bool to_public = has_public(statement->grantees);
  ListCell *cell;
  foreach (cell, statement->objects) {
    Node *name = static_cast<Node *>(lfirst(cell));
    switch (statement->objtype) {
      case OBJECT_TABLE:
      case OBJECT_SEQUENCE: {
        Oid relid = relation_named(castNode(RangeVar, name));
        if (guarded.has_table(relid) && (to_public || !may_be_granted(guarded, relid, statement->privileges)))
          refuse_object(RelationRelationId, relid);
        break;
      }
      case OBJECT_SCHEMA:
        if (to_public || !are_among(statement->privileges, "usage")) judge_named(guarded, OBJECT_SCHEMA, name);
        break;
      case OBJECT_FUNCTION:
      case OBJECT_PROCEDURE:
      case OBJECT_ROUTINE:
      case OBJECT_TYPE:
        if (to_public) judge_named(guarded, statement->objtype, name);
        break;
      default:
        break;
    }
  }
}

void judge_default_privileges(const Guarded &guarded, const AlterDefaultPrivilegesStmt *statement) {
  ListCell *option;
  foreach (option, statement->options) {
    const DefElem *element = castNode(DefElem, lfirst(option));
    if (strcmp(element->defname, "schemas") != 0 || !statement->action->is_grant) continue;
    ListCell *cell;
    foreach (cell, castNode(List, element->arg))
      if (get_namespace_oid(strVal(lfirst(cell)), true) == guarded.schema)
        refuse_object(NamespaceRelationId, guarded.schema);
  }
}

void judge_reassign(const Guarded &guarded, const ReassignOwnedStmt *statement) {
  HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(guarded.events));
  if (!HeapTupleIsValid(tuple)) return;
  Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
  ReleaseSysCache(tuple);
  ListCell *role;
  foreach (role, statement->roles)
    if (get_rolespec_oid(castNode(RoleSpec, lfirst(role)), true) == owner)
      refuse_object(RelationRelationId, guarded.events);
}

// By the kind of statement ----------------------------------------------------------------------------------------

// These rewrite what is there as it is, or say something of it that nothing runs by.
bool is_harmless_statement(NodeTag kind) {
  switch (kind) {
    case T_AlterExtensionStmt:  // UPDATE: each statement of its script is judged by itself
    case T_VacuumStmt:
    case T_ClusterStmt:
    case T_ReindexStmt:
    case T_RefreshMatViewStmt:
    case T_CommentStmt:
    case T_AlterTableMoveAllStmt:
      return true;
    default:
      return false;
  }
}

// Makes something. False: it does not.
bool judge_creation(const Guarded &guarded, Node *tree) {
  switch (nodeTag(tree)) {
    case T_CreateStmt:
      judge_new_table(guarded, node_of<CreateStmt>(tree));
      return true;
    case T_CreateForeignTableStmt:
      judge_new_table(guarded, &node_of<CreateForeignTableStmt>(tree)->base);
      return true;
    case T_CreateTableAsStmt:
      judge_new_relation(guarded, node_of<CreateTableAsStmt>(tree)->into->rel);
      return true;
    case T_CreateSeqStmt:
      judge_new_relation(guarded, node_of<CreateSeqStmt>(tree)->sequence);
      return true;
    case T_ViewStmt:
      judge_relation(guarded, node_of<ViewStmt>(tree)->view);
      judge_new_relation(guarded, node_of<ViewStmt>(tree)->view);
      return true;
    case T_CompositeTypeStmt:
      judge_new_relation(guarded, node_of<CompositeTypeStmt>(tree)->typevar);
      return true;
    case T_CreateEnumStmt:
      judge_new(guarded, "type", node_of<CreateEnumStmt>(tree)->typeName);
      return true;
    case T_CreateRangeStmt:
      judge_new(guarded, "type", node_of<CreateRangeStmt>(tree)->typeName);
      return true;
    case T_CreateDomainStmt:
      judge_new(guarded, "domain", node_of<CreateDomainStmt>(tree)->domainname);
      return true;
    case T_CreateFunctionStmt:
      judge_new(guarded, "function", node_of<CreateFunctionStmt>(tree)->funcname);
      return true;
    case T_DefineStmt:
      judge_new(guarded, node_of<DefineStmt>(tree)->kind == OBJECT_AGGREGATE ? "function" : "object",
                node_of<DefineStmt>(tree)->defnames);
      return true;
    case T_CreateConversionStmt:
      judge_new(guarded, "conversion", node_of<CreateConversionStmt>(tree)->conversion_name);
      return true;
    case T_CreateOpClassStmt:
      judge_new(guarded, "operator class", node_of<CreateOpClassStmt>(tree)->opclassname);
      return true;
    case T_CreateOpFamilyStmt:
      judge_new(guarded, "operator family", node_of<CreateOpFamilyStmt>(tree)->opfamilyname);
      return true;
    case T_ImportForeignSchemaStmt:
      if (get_namespace_oid(node_of<ImportForeignSchemaStmt>(tree)->local_schema, true) == guarded.schema)
        refuse_object(NamespaceRelationId, guarded.schema);
      return true;
    case T_CreateStatsStmt:
      judge_statistics(guarded, node_of<CreateStatsStmt>(tree));
      return true;
    case T_IndexStmt:
      judge_index(guarded, node_of<IndexStmt>(tree));
      return true;
    case T_CreateCastStmt:
      judge_type(guarded, node_of<CreateCastStmt>(tree)->sourcetype);
      judge_type(guarded, node_of<CreateCastStmt>(tree)->targettype);
      return true;
    case T_CreateTransformStmt:
      judge_type(guarded, node_of<CreateTransformStmt>(tree)->type_name);
      return true;
    case T_CreateTrigStmt:
      judge_trigger(guarded, node_of<CreateTrigStmt>(tree));
      return true;
    case T_RuleStmt:
      judge_relation(guarded, node_of<RuleStmt>(tree)->relation);
      return true;
    case T_CreatePolicyStmt:
      judge_relation(guarded, node_of<CreatePolicyStmt>(tree)->table);
      return true;
    default:
      return false;
  }
}

// Alters something that is there by name. False: it does not.
bool judge_alteration(const Guarded &guarded, Node *tree) {
  switch (nodeTag(tree)) {
    case T_AlterTableStmt:
      judge_alter_table(guarded, node_of<AlterTableStmt>(tree));
      return true;
    case T_AlterSeqStmt:
      judge_relation(guarded, node_of<AlterSeqStmt>(tree)->sequence);
      return true;
    case T_AlterPolicyStmt:
      judge_relation(guarded, node_of<AlterPolicyStmt>(tree)->table);
      return true;
    case T_AlterFunctionStmt:
      judge_named(guarded, node_of<AlterFunctionStmt>(tree)->objtype,
                  reinterpret_cast<Node *>(node_of<AlterFunctionStmt>(tree)->func));
      return true;
    case T_AlterEnumStmt:
      judge_named(guarded, OBJECT_TYPE, reinterpret_cast<Node *>(node_of<AlterEnumStmt>(tree)->typeName));
      return true;
    case T_AlterTypeStmt:
      judge_named(guarded, OBJECT_TYPE, reinterpret_cast<Node *>(node_of<AlterTypeStmt>(tree)->typeName));
      return true;
    case T_AlterEventTrigStmt:
      judge_named(guarded, OBJECT_EVENT_TRIGGER, named(node_of<AlterEventTrigStmt>(tree)->trigname));
      return true;
    case T_RenameStmt: {
      const RenameStmt *rename = node_of<RenameStmt>(tree);
      if (rename->renameType == OBJECT_SCHEMA)
        judge_named(guarded, OBJECT_SCHEMA, named(rename->subname));
      else
        judge_named(guarded, rename->renameType, rename->relation, rename->object);
      return true;
    }
    case T_AlterObjectSchemaStmt: {
      const AlterObjectSchemaStmt *move = node_of<AlterObjectSchemaStmt>(tree);
      judge_named(guarded, move->objectType, move->relation, move->object);
      if (get_namespace_oid(move->newschema, true) == guarded.schema)
        refuse_object(NamespaceRelationId, guarded.schema);
      return true;
    }
    case T_AlterObjectDependsStmt: {
      const AlterObjectDependsStmt *depends = node_of<AlterObjectDependsStmt>(tree);
      judge_named(guarded, depends->objectType, depends->relation, depends->object);
      return true;
    }
    case T_AlterOwnerStmt:
      judge_named(guarded, node_of<AlterOwnerStmt>(tree)->objectType, node_of<AlterOwnerStmt>(tree)->object);
      return true;
    case T_AlterExtensionContentsStmt: {
      const AlterExtensionContentsStmt *contents = node_of<AlterExtensionContentsStmt>(tree);
      judge_named(guarded, OBJECT_EXTENSION, named(contents->extname));
      judge_named(guarded, contents->objtype, contents->object);
      return true;
    }
    case T_SecLabelStmt:
      judge_named(guarded, node_of<SecLabelStmt>(tree)->objtype, node_of<SecLabelStmt>(tree)->object);
      return true;
    default:
      return false;
  }
}

void judge_rights(const Guarded &guarded, Node *tree) {
  switch (nodeTag(tree)) {
    case T_GrantStmt:
      judge_grant(guarded, node_of<GrantStmt>(tree));
      break;
    case T_AlterDefaultPrivilegesStmt:
      judge_default_privileges(guarded, node_of<AlterDefaultPrivilegesStmt>(tree));
      break;
    case T_ReassignOwnedStmt:
      judge_reassign(guarded, node_of<ReassignOwnedStmt>(tree));
      break;
    case T_CopyStmt:
      judge_copy(node_of<CopyStmt>(tree));
      break;
    default:
      break;
  }
}

}  // namespace

void judge_statement(Node *tree) {
  if (current_statement.is_own) return;
  if (is_harmless_statement(nodeTag(tree))) {
    current_statement.is_harmless = true;
    return;
  }
  // What it refuses anyway, the server refuses in its own words.
  if (XactReadOnly || RecoveryInProgress()) return;
  Guarded guarded;
  // Transaction control has no snapshot to look by, and plain queries alter nothing.
  if (GetCommandLogLevel(tree) == LOGSTMT_ALL || !guarded.find()) return;
  if (judge_creation(guarded, tree) || judge_alteration(guarded, tree)) return;
  judge_rights(guarded, tree);
}

GuardedStatement begin_statement(const PlannedStmt *planned, const char *text, bool is_part) {
  GuardedStatement outer = current_statement;
  current_statement = {};
  current_statement.was_judged = true;
  current_statement.is_own = take_own_statement(text) || (is_part && outer.is_own);
  current_statement.is_recorded = current_statement.is_own;
  current_statement.tag = CreateCommandTag(planned->utilityStmt);
  current_statement.text = text + Max(planned->stmt_location, 0);
  current_statement.length = planned->stmt_len;
  return outer;
}

void end_statement(const GuardedStatement &outer) { current_statement = outer; }

extern "C" {

PG_FUNCTION_INFO_V1(spine_guard_ddl);
PGDLLEXPORT Datum spine_guard_ddl(PG_FUNCTION_ARGS) {
  const EventTriggerData *data = event_trigger_data(fcinfo, "spine.guard_ddl()");
  // Where the library was loaded for this call, its hook came too late for this statement.
  if (!current_statement.was_judged) {
    current_statement = {};
    current_statement.was_judged = true;
    current_statement.tag = data->tag;
    judge_statement(data->parsetree);
  }
  Guarded guarded;
  if (guarded.find()) spare_repetition(guarded, data->parsetree);
  PG_RETURN_NULL();
}

}  // extern "C"

}  // namespace spine
