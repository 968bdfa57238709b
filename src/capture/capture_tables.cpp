// spine.capture_changes, spine.stop_capture and spine.follow_partitions: which tables are captured. Their triggers are made
// by SQL, so that event triggers see it.
#include "capture/capture.h"
#include "core/event_name.h"
#include "server/compat.h"
#include "server/errors.h"
#include "server/sql.h"
#include "store/event_table.h"
#include "store/owners_rights.h"

extern "C" {
#include <access/genam.h>
#include <access/htup_details.h>
#include <access/relation.h>
#include <access/sysattr.h>
#include <access/table.h>
#include <catalog/namespace.h>
#include <catalog/partition.h>
#include <catalog/pg_depend.h>
#include <catalog/pg_inherits.h>
#include <catalog/pg_proc.h>
#include <catalog/pg_trigger.h>
#include <catalog/pg_type.h>
#include <commands/event_trigger.h>
#include <commands/extension.h>
#include <commands/trigger.h>
#include <executor/executor.h>
#include <lib/stringinfo.h>
#include <miscadmin.h>
#include <nodes/plannodes.h>
#include <parser/parsetree.h>
#include <utils/array.h>
#include <utils/fmgroids.h>
#include <utils/lsyscache.h>
#include <utils/rel.h>
#include <utils/syscache.h>
}

namespace spine {

namespace {

constexpr const char *trigger_names[] = {"spine_capture_insert", "spine_capture_update", "spine_capture_delete", "spine_capture_truncate"};

// Each takes the table and the arguments, as literals.
constexpr const char *create_triggers[] = {
    "CREATE OR REPLACE TRIGGER spine_capture_insert AFTER INSERT ON %s REFERENCING NEW TABLE AS spine_after"
    " FOR EACH STATEMENT EXECUTE FUNCTION spine.capture_change(%s)",
    "CREATE OR REPLACE TRIGGER spine_capture_update AFTER UPDATE ON %s REFERENCING OLD TABLE AS spine_before NEW TABLE AS spine_after"
    " FOR EACH STATEMENT EXECUTE FUNCTION spine.capture_change(%s)",
    "CREATE OR REPLACE TRIGGER spine_capture_delete AFTER DELETE ON %s REFERENCING OLD TABLE AS spine_before"
    " FOR EACH STATEMENT EXECUTE FUNCTION spine.capture_change(%s)",
    "CREATE OR REPLACE TRIGGER spine_capture_truncate BEFORE TRUNCATE ON %s"
    " FOR EACH STATEMENT EXECUTE FUNCTION spine.capture_change(%s)"};

// What the command made or altered.
constexpr const char *touched_tables =
    "SELECT DISTINCT objid FROM pg_catalog.pg_event_trigger_ddl_commands() WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass";

// The table, or the composite type and the tables of that type.
constexpr const char *renamed_tables =
    "SELECT t.oid FROM pg_catalog.pg_event_trigger_ddl_commands() c"
    "  JOIN pg_catalog.pg_class r ON r.oid = c.objid AND c.classid = 'pg_catalog.pg_class'::pg_catalog.regclass"
    "  JOIN pg_catalog.pg_class t ON t.oid = r.oid OR t.reloftype = r.reltype AND t.reloftype <> 0";

[[noreturn]] void cannot_capture(const char *message, const char *hint) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_CANNOT_CAPTURE), errmsg("%s", message), errhint("%s", hint)));
}

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

// Whether it is the trigger that makes its table a captured one, a row of pg_trigger or as the relation cache has it. Its
// name is the owner's to give, which function it runs is not.
template <typename SomeTrigger>
bool is_definition(const SomeTrigger &trigger, Oid function) {
  return trigger.tgfoid == function && trigger.tgnargs >= capture_arguments && !TRIGGER_FOR_ROW(trigger.tgtype) &&
         TRIGGER_FOR_AFTER(trigger.tgtype) && TRIGGER_FOR_INSERT(trigger.tgtype);
}

// Without a lock on the table: whoever writes to a partition has none on the root, and asks for none that could deadlock.
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

void append_argument(StringInfo arguments, const char *argument) {
  appendStringInfo(arguments, "%s%s", arguments->len == 0 ? "" : ", ", quote_literal_cstr(argument));
}

// The arguments of a captured table's triggers as those of what inherits from it; null where the table is not captured.
const char *inherited_arguments(Relation relation) {
  Oid function = capture_function();
  const TriggerDesc *triggers = relation->trigdesc;
  for (int i = 0; triggers != nullptr && i < triggers->numtriggers; i++) {
    const Trigger &trigger = triggers->triggers[i];
    if (!is_definition(trigger, function)) continue;
    StringInfoData arguments;
    initStringInfo(&arguments);
    int own = trigger.tgnargs - (is_inherited(trigger) ? 1 : 0);
    for (int a = 0; a < own; a++) append_argument(&arguments, trigger.tgargs[a]);
    append_argument(&arguments, inherited_mark.data());
    return arguments.data;
  }
  return nullptr;
}

bool is_own_name(const char *trigger) {
  for (const char *name : trigger_names)
    if (strcmp(trigger, name) == 0) return true;
  return false;
}

// Drops the triggers of a capture, or those only that were renamed. Whether there were any.
bool drop(Oid relid, bool only_renamed) {
  Relation relation = relation_open(relid, ShareRowExclusiveLock);
  Oid function = capture_function();
  List *names = NIL;
  const TriggerDesc *triggers = relation->trigdesc;
  for (int i = 0; triggers != nullptr && i < triggers->numtriggers; i++) {
    const Trigger &trigger = triggers->triggers[i];
    if (trigger.tgfoid == function && !(only_renamed && is_own_name(trigger.tgname))) names = lappend(names, pstrdup(trigger.tgname));
  }
  relation_close(relation, NoLock);
  ListCell *name;
  foreach (name, names)
    run_sql(psprintf("DROP TRIGGER %s ON %s", quote_identifier(static_cast<char *>(lfirst(name))), table_name(relid)));
  return names != NIL;
}

void create(Oid relid, const char *arguments) {
  // Else the events would come twice.
  (void)drop(relid, true);
  const char *name = table_name(relid);
  for (const char *statement : create_triggers) run_sql(psprintf(statement, name, arguments));
  // The name was another table's if somebody renamed its schema meanwhile.
  if (!is_captured(relid)) cannot_capture(psprintf("table %s was renamed meanwhile", name), "Retry.");
}

// The table that is to be captured or no longer, locked as CREATE TRIGGER locks it.
Relation open_own_table(FunctionCallInfo fcinfo) {
  if (PG_ARGISNULL(0)) cannot_capture("table is null", "Pass the name of a table, such as 'hcm.employee'.");
  Oid relid = PG_GETARG_OID(0);
  // Before it is locked, which is its owner's to do.
  if (!compat_owns_table(relid, GetUserId()))
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("must be owner of table %s", table_name(relid)),
                    errhint("Have its owner, or a superuser, call it.")));
  Relation relation = try_relation_open(relid, ShareRowExclusiveLock);
  if (relation == nullptr)
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("there is no relation with number %u", relid),
                    errhint("It was dropped meanwhile.")));
  return relation;
}

void require_capturable(Relation relation) {
  Oid relid = RelationGetRelid(relation);
  const char *name = table_name(relid);
  char kind = relation->rd_rel->relkind;
  if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
    cannot_capture(psprintf("%s is no table whose changes can be captured", name), "Capture ordinary and partitioned tables.");
  if (relation->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT)
    cannot_capture(psprintf("table %s is temporary or unlogged", name),
                   "Its rows can vanish without a change that could be captured: ALTER TABLE … SET LOGGED.");
  Oid extension = getExtensionOfObject(RelationRelationId, relid);
  if (OidIsValid(extension) && extension == get_extension_oid("people_os_spine", true))
    cannot_capture(psprintf("table %s is the spine's own", name), "Its changes are not captured; capture business tables.");
  List *parents = parents_of(relid);
  if (parents != NIL)
    cannot_capture(psprintf("table %s inherits from %s", name, table_name(linitial_oid(parents))),
                   psprintf("Capture that one, and this one is with it: what is written through %s would be missed here.",
                            table_name(linitial_oid(parents))));
}

const char *name_part_argument(FunctionCallInfo fcinfo, int argument, const char *what) {
  const char *part = PG_ARGISNULL(argument) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(argument));
  if (!is_name_part(part))
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_EVENT_NAME), errmsg("\"%s\" is no %s", clipped(part), what),
                    errhint("It begins with a lower-case letter and has at most 63 lower-case letters, digits and "
                            "underscores.")));
  return part;
}

// Appends the columns that an array names, each behind the prefix.
void append_columns(StringInfo arguments, FunctionCallInfo fcinfo, int argument, Relation relation, const char *entity_id,
                    std::string_view prefix) {
  if (PG_ARGISNULL(argument)) return;
  Datum *columns;
  bool *nulls;
  int count;
  deconstruct_array(PG_GETARG_ARRAYTYPE_P(argument), NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &columns, &nulls, &count);
  for (int i = 0; i < count; i++) {
    const char *column = nulls[i] ? "" : NameStr(*DatumGetName(columns[i]));
    captured_column(relation, column);
    if (strcmp(column, entity_id) == 0)
      cannot_capture(psprintf("column \"%s\" is the entity's id", column), "It is in each event: neither exclude nor mask it.");
    append_argument(arguments, psprintf("%s%s", prefix.data(), column));
  }
}

// The trigger arguments that spine.capture_changes' own ask for.
const char *requested_arguments(FunctionCallInfo fcinfo, Relation relation) {
  StringInfoData arguments;
  initStringInfo(&arguments);
  append_argument(&arguments, name_part_argument(fcinfo, 1, "domain"));
  append_argument(&arguments, name_part_argument(fcinfo, 2, "entity type"));
  const char *entity_id = PG_ARGISNULL(3) ? "" : NameStr(*PG_GETARG_NAME(3));
  entity_column(relation, entity_id);
  append_argument(&arguments, entity_id);
  const char *organization = PG_ARGISNULL(4) ? "" : NameStr(*PG_GETARG_NAME(4));
  if (!PG_ARGISNULL(4)) organization_column(relation, organization);
  append_argument(&arguments, organization);
  append_argument(&arguments, PG_ARGISNULL(7) ? "low" : enum_label(PG_GETARG_OID(7)));
  append_columns(&arguments, fcinfo, 5, relation, entity_id, exclude_prefix);
  append_columns(&arguments, fcinfo, 6, relation, entity_id, mask_prefix);
  return arguments.data;
}

// The types of its events, those that are not registered, so that people_os_spine.require_registered_types lets them pass.
// Whoever has a table captured need not be who may register.
void register_types(const char *domain, const char *entity_type, const char *table) {
  OwnersRights rights;
  rights.begin();
  run_sql("INSERT INTO spine.event_types (name, description)"
          " SELECT pg_catalog.concat_ws('.', $1, $2, action), pg_catalog.format('A row of %s was %s', $3, action)"
          "   FROM pg_catalog.unnest('{created,updated,deleted}'::pg_catalog.text[]) action"
          "  WHERE NOT EXISTS (SELECT FROM spine.event_types t WHERE t.name = pg_catalog.concat_ws('.', $1, $2, action))"
          // Another session may register it meanwhile.
          " ON CONFLICT (name) DO NOTHING",
          {{TEXTOID, CStringGetTextDatum(domain)}, {TEXTOID, CStringGetTextDatum(entity_type)}, {TEXTOID, CStringGetTextDatum(table)}});
  rights.end();
}

// A table is captured with what it inherits from, or not at all.
void require_one_root(Oid relid, char kind, List *roots) {
  const char *name = table_name(relid);
  if (list_length(roots) > 1)
    cannot_capture(psprintf("table %s inherits from two captured tables, %s and %s", name, table_name(linitial_oid(roots)),
                            table_name(lsecond_oid(roots))),
                   "spine.stop_capture one of them.");
  if (kind == RELKIND_FOREIGN_TABLE)
    cannot_capture(psprintf("foreign table %s inherits from captured table %s", name, table_name(linitial_oid(roots))),
                   "Changes of a foreign table cannot be captured: detach it, or spine.stop_capture the other.");
  if (get_rel_persistence(relid) != RELPERSISTENCE_PERMANENT)
    cannot_capture(psprintf("table %s, which is temporary or unlogged, inherits from captured table %s", name, table_name(linitial_oid(roots))),
                   "Its rows can vanish without a change that could be captured: ALTER TABLE … SET LOGGED, detach it, or "
                   "spine.stop_capture the other.");
}

// Has a table that came to inherit from a captured one captured with it.
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
  Relation parent = relation_open(root, AccessShareLock);
  Relation child = relation_open(relid, AccessShareLock);
  const char *wanted = inherited_arguments(parent);
  const char *found = inherited_arguments(child);
  relation_close(child, NoLock);
  relation_close(parent, NoLock);
  if (found == nullptr || strcmp(found, wanted) != 0) create(relid, wanted);
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

bool renames_column(const Node *statement) {
  if (!IsA(statement, RenameStmt)) return false;
  ObjectType type = reinterpret_cast<const RenameStmt *>(statement)->renameType;
  return type == OBJECT_COLUMN || type == OBJECT_ATTRIBUTE;
}

// The column that an argument names, if it names one.
const char *named_column(const Trigger &trigger, int argument) {
  const char *text = trigger.tgargs[argument];
  if (argument == capture_entity_id || argument == capture_organization) return text;
  if (argument >= capture_arguments)
    for (std::string_view prefix : {exclude_prefix, mask_prefix})
      if (strncmp(text, prefix.data(), prefix.size()) == 0) return text + prefix.size();
  return nullptr;
}

// A column that is masked would be shown under its new name once another took the old one; as for the entity and the
// organization, events would come into others' histories.
void refuse_renamed_column(Oid relid, const char *column, Oid function) {
  Relation relation = relation_open(relid, AccessShareLock);
  const TriggerDesc *triggers = relation->trigdesc;
  for (int i = 0; triggers != nullptr && i < triggers->numtriggers; i++) {
    const Trigger &trigger = triggers->triggers[i];
    if (trigger.tgfoid != function) continue;
    for (int a = 0; a < trigger.tgnargs; a++) {
      const char *name = named_column(trigger, a);
      if (name != nullptr && strcmp(name, column) == 0)
        cannot_capture(psprintf("column \"%s\" of table %s is not renamed: the capture of its changes names it", column, table_name(relid)),
                       "In one transaction, spine.stop_capture, rename it, and call spine.capture_changes with the new name.");
    }
  }
  relation_close(relation, NoLock);
}


// Whether an UPDATE of these columns can move a row between partitions of the table, at any level.
bool moves_rows(Oid root, Oid updated_table, List *columns) {
  if (get_rel_relkind(root) != RELKIND_PARTITIONED_TABLE) return false;
  ListCell *member, *column;
  foreach (member, find_all_inheritors(root, AccessShareLock, nullptr)) {
    Relation relation = relation_open(lfirst_oid(member), NoLock);
    // Which may set a column of the key.
    bool moves = relation->trigdesc != nullptr && relation->trigdesc->trig_update_before_row;
    Bitmapset *updated = nullptr;
    foreach (column, columns) {
      AttrNumber attnum = get_attnum(RelationGetRelid(relation), get_attname(updated_table, static_cast<AttrNumber>(lfirst_int(column)), false));
      updated = bms_add_member(updated, attnum - FirstLowInvalidHeapAttributeNumber);
    }
    moves |= relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE && has_partition_attrs(relation, updated, nullptr);
    relation_close(relation, NoLock);
    if (moves) return true;
  }
  return false;
}

// A MERGE moves a row to another partition by a DELETE and an INSERT, of which the server tells statement triggers only
// where the MERGE has branches of both kinds.
void refuse_unseen_moves(const PlannedStmt *statement, const Plan *plan) {
  if (plan == nullptr || !IsA(plan, ModifyTable)) return;
  const ModifyTable *modify = reinterpret_cast<const ModifyTable *>(plan);
  if (modify->operation != CMD_MERGE || modify->rootRelation == 0) return;
  Oid root = rt_fetch(modify->rootRelation, statement->rtable)->relid;
  if (!is_captured(root)) return;
  Oid updated_table = rt_fetch(static_cast<Index>(linitial_int(modify->resultRelations)), statement->rtable)->relid;
  bool inserts = false, deletes = false, moves = false;
  ListCell *cell;
  foreach (cell, static_cast<List *>(linitial(modify->mergeActionLists))) {
    const MergeAction *action = static_cast<MergeAction *>(lfirst(cell));
    inserts |= action->commandType == CMD_INSERT;
    deletes |= action->commandType == CMD_DELETE;
    if (action->commandType == CMD_UPDATE) moves |= moves_rows(root, updated_table, action->updateColnos);
  }
  if (moves && !(inserts && deletes))
    cannot_capture(psprintf("this MERGE could move rows of table %s between partitions without an event", table_name(root)),
                   "Change columns of the partition key, which a BEFORE UPDATE trigger could do too, by UPDATE; or give the MERGE a branch "
                   "that INSERTs and one that DELETEs.");
}

}  // namespace

void refuse_unseen_moves(const PlannedStmt *statement) {
  if (statement->commandType != CMD_MERGE && !statement->hasModifyingCTE) return;
  refuse_unseen_moves(statement, statement->planTree);
  ListCell *plan;
  foreach (plan, statement->subplans) refuse_unseen_moves(statement, static_cast<Plan *>(lfirst(plan)));
}

List *captured_roots(Oid relid) {
  List *roots = NIL;
  ListCell *parent;
  foreach (parent, parents_of(relid)) roots = list_concat_unique_oid(roots, captured_roots(lfirst_oid(parent)));
  if (roots == NIL && is_captured(relid)) roots = list_make1_oid(relid);
  return roots;
}

Oid capture_function() {
  oidvector *no_arguments = buildoidvector(nullptr, 0);
  return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum("capture_change"), PointerGetDatum(no_arguments),
                         ObjectIdGetDatum(get_namespace_oid("spine", true)));
}

const char *table_name(Oid relid) {
  const char *name = get_rel_name(relid);
  // It may be gone, by another session's DROP.
  if (name == nullptr) return psprintf("%u", relid);
  return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), name);
}

AttrNumber captured_column(Relation relation, const char *name) {
  AttrNumber column = get_attnum(RelationGetRelid(relation), name);
  if (column <= 0)
    cannot_capture(psprintf("table %s has no column \"%s\"", table_name(RelationGetRelid(relation)), name),
                   "Call spine.capture_changes with the columns as they are now.");
  return column;
}

AttrNumber entity_column(Relation relation, const char *name) {
  AttrNumber column = captured_column(relation, name);
  // 'v', from 18 on.
  if (TupleDescAttr(RelationGetDescr(relation), column - 1)->attgenerated == 'v')
    cannot_capture(psprintf("column \"%s\" of table %s is generated and not stored", name, table_name(RelationGetRelid(relation))),
                   "A trigger sees no value of it: name a stored column.");
  return column;
}

AttrNumber organization_column(Relation relation, const char *name) {
  AttrNumber column = entity_column(relation, name);
  Oid type = TupleDescAttr(RelationGetDescr(relation), column - 1)->atttypid;
  if (getBaseType(type) != UUIDOID)
    cannot_capture(psprintf("column \"%s\" of table %s is no uuid", name, table_name(RelationGetRelid(relation))),
                   "Organizations are uuids: name a column of that type, or none.");
  return column;
}

extern "C" {

PG_FUNCTION_INFO_V1(spine_capture_changes);
PGDLLEXPORT Datum spine_capture_changes(PG_FUNCTION_ARGS) {
  Relation relation = open_own_table(fcinfo);
  Oid relid = RelationGetRelid(relation);
  require_capturable(relation);
  const char *arguments = requested_arguments(fcinfo, relation);
  SPI_connect();
  register_types(text_to_cstring(PG_GETARG_TEXT_PP(1)), text_to_cstring(PG_GETARG_TEXT_PP(2)), table_name(relid));
  create(relid, arguments);
  const char *inherited = psprintf("%s, %s", arguments, quote_literal_cstr(inherited_mark.data()));
  ListCell *cell;
  foreach (cell, find_all_inheritors(relid, ShareRowExclusiveLock, nullptr)) {
    Oid child = lfirst_oid(cell);
    if (child == relid) continue;
    require_one_root(child, get_rel_relkind(child), captured_roots(child));
    create(child, inherited);
  }
  SPI_finish();
  relation_close(relation, NoLock);
  PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(spine_stop_capture);
PGDLLEXPORT Datum spine_stop_capture(PG_FUNCTION_ARGS) {
  Relation relation = open_own_table(fcinfo);
  Oid relid = RelationGetRelid(relation);
  List *roots = captured_roots(relid);
  if (roots != NIL && linitial_oid(roots) != relid)
    cannot_capture(psprintf("table %s is captured with %s", table_name(relid), table_name(linitial_oid(roots))),
                   "Call spine.stop_capture for that one.");
  SPI_connect();
  bool was_captured = false;
  ListCell *cell;
  foreach (cell, find_all_inheritors(relid, ShareRowExclusiveLock, nullptr)) was_captured |= drop(lfirst_oid(cell), false);
  SPI_finish();
  if (!was_captured)
    cannot_capture(psprintf("table %s is not captured", table_name(relid)), "There is nothing to stop.");
  relation_close(relation, NoLock);
  PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(spine_follow_partitions);
PGDLLEXPORT Datum spine_follow_partitions(PG_FUNCTION_ARGS) {
  if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("spine.follow_partitions() is an event trigger function"),
                    errhint("CREATE EXTENSION attaches it; there is nothing to call.")));
  const Node *statement = reinterpret_cast<EventTriggerData *>(fcinfo->context)->parsetree;
  bool renames = renames_column(statement);
  if (IsBinaryUpgrade || !(renames || changes_inheritance(statement))) PG_RETURN_NULL();
  Oid function = capture_function();
  if (!OidIsValid(function) || !captures_anything(function)) PG_RETURN_NULL();
  SPI_connect();
  if (renames) {
    run_sql(renamed_tables);
    const char *column = reinterpret_cast<const RenameStmt *>(statement)->subname;
    for (uint64 i = 0; i < SPI_tuptable->numvals; i++) {
      bool null;
      refuse_renamed_column(DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &null)), column, function);
    }
  } else {
    run_sql(touched_tables);
    follow_all(SPI_tuptable);
  }
  SPI_finish();
  PG_RETURN_NULL();
}

}  // extern "C"

}  // namespace spine
