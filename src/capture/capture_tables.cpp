// spine.capture_changes and spine.stop_capture: which tables are captured.
#include "capture/capture_tables.h"

#include "capture/watches.h"
#include "core/event_name.h"
#include "server/compat.h"
#include "server/errors.h"
#include "server/sql.h"
#include "store/event_table.h"
#include "store/owners_rights.h"

extern "C" {
#include <access/relation.h>
#include <catalog/dependency.h>
#include <catalog/pg_inherits.h>
#include <catalog/pg_type.h>
#include <commands/extension.h>
#include <miscadmin.h>
#include <storage/bufmgr.h>
#include <utils/array.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
}

namespace spine {

namespace {

constexpr const char *trigger_names[] = {"spine_capture_insert", "spine_capture_update", "spine_capture_delete", "spine_capture_truncate"};

// Each takes the table and the arguments, as literals.
constexpr const char *trigger_statements[] = {
    "CREATE OR REPLACE TRIGGER spine_capture_insert AFTER INSERT ON %s REFERENCING NEW TABLE AS spine_after"
    " FOR EACH STATEMENT EXECUTE FUNCTION spine.capture_change(%s)",
    "CREATE OR REPLACE TRIGGER spine_capture_update AFTER UPDATE ON %s REFERENCING OLD TABLE AS spine_before NEW TABLE AS spine_after"
    " FOR EACH STATEMENT EXECUTE FUNCTION spine.capture_change(%s)",
    "CREATE OR REPLACE TRIGGER spine_capture_delete AFTER DELETE ON %s REFERENCING OLD TABLE AS spine_before"
    " FOR EACH STATEMENT EXECUTE FUNCTION spine.capture_change(%s)",
    "CREATE OR REPLACE TRIGGER spine_capture_truncate BEFORE TRUNCATE ON %s"
    " FOR EACH STATEMENT EXECUTE FUNCTION spine.capture_change(%s)"};

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
List *append_columns(List *arguments, FunctionCallInfo fcinfo, int argument, Relation relation, std::string_view prefix) {
  if (PG_ARGISNULL(argument)) return arguments;
  Datum *columns;
  bool *nulls;
  int count;
  deconstruct_array(PG_GETARG_ARRAYTYPE_P(argument), NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &columns, &nulls, &count);
  for (int i = 0; i < count; i++) {
    const char *column = nulls[i] ? "" : NameStr(*DatumGetName(columns[i]));
    captured_column(relation, column);
    arguments = lappend(arguments, psprintf("%s%s", prefix.data(), column));
  }
  return arguments;
}

// The trigger arguments that spine.capture_changes' own ask for.
List *requested_arguments(FunctionCallInfo fcinfo, Relation relation) {
  List *arguments = NIL;
  auto append = [&arguments](const char *argument) { arguments = lappend(arguments, pstrdup(argument)); };
  append(name_part_argument(fcinfo, 1, "domain"));
  append(name_part_argument(fcinfo, 2, "entity type"));
  const char *entity_id = PG_ARGISNULL(3) ? "" : NameStr(*PG_GETARG_NAME(3));
  entity_column(relation, entity_id);
  append(entity_id);
  const char *organization = PG_ARGISNULL(4) ? "" : NameStr(*PG_GETARG_NAME(4));
  if (!PG_ARGISNULL(4)) organization_column(relation, organization);
  append(organization);
  append(PG_ARGISNULL(7) ? "low" : enum_label(PG_GETARG_OID(7)));
  arguments = append_columns(arguments, fcinfo, 5, relation, exclude_prefix);
  arguments = append_columns(arguments, fcinfo, 6, relation, mask_prefix);
  arguments = append_columns(arguments, fcinfo, 8, relation, personal_prefix);
  require_shown_entity(relation, arguments);
  return arguments;
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

const char *literals(const List *arguments) {
  StringInfoData text;
  initStringInfo(&text);
  ListCell *cell;
  foreach (cell, arguments)
    appendStringInfo(&text, "%s%s", text.len == 0 ? "" : ", ", quote_literal_cstr(static_cast<char *>(lfirst(cell))));
  return text.data;
}

}  // namespace

List *arguments_of(const Trigger &trigger) {
  List *arguments = NIL;
  int own = trigger.tgnargs - (is_inherited(trigger) ? 1 : 0);
  for (int a = 0; a < own; a++) arguments = lappend(arguments, pstrdup(trigger.tgargs[a]));
  return arguments;
}

List *as_inherited(const List *arguments) {
  return lappend(list_copy(arguments), const_cast<char *>(inherited_mark.data()));
}

void create_triggers(Oid relid, const List *arguments) {
  // Else the events would come twice.
  (void)drop(relid, true);
  const char *name = table_name(relid);
  const char *text = literals(arguments);
  for (const char *statement : trigger_statements) run_sql(psprintf(statement, name, text));
  // The name was another table's if somebody renamed its schema meanwhile.
  if (!is_captured(relid)) cannot_capture(psprintf("table %s was renamed meanwhile", name), "Retry.");
}

bool may_have_rows(Oid relid) {
  Relation relation = relation_open(relid, NoLock);
  bool has_blocks = RELKIND_HAS_STORAGE(relation->rd_rel->relkind) && RelationGetNumberOfBlocks(relation) > 0;
  relation_close(relation, NoLock);
  return has_blocks;
}

void capture_tree(Oid root, const List *arguments) {
  bool was_there = is_captured(root);
  create_triggers(root, arguments);
  bool is_empty = !may_have_rows(root);
  ListCell *cell;
  foreach (cell, find_all_inheritors(root, ShareRowExclusiveLock, nullptr)) {
    Oid child = lfirst_oid(cell);
    if (child == root) continue;
    require_one_root(child, get_rel_relkind(child), captured_roots(child));
    create_triggers(child, as_inherited(arguments));
    is_empty = is_empty && !may_have_rows(child);
  }
  remember_watch("capture", root, arguments, is_empty, was_there);
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

void require_shown_entity(Relation relation, const List *arguments) {
  Trigger trigger{};
  trigger.tgnargs = static_cast<int16>(list_length(arguments));
  trigger.tgargs = static_cast<char **>(palloc(sizeof(char *) * static_cast<Size>(trigger.tgnargs)));
  for (int a = 0; a < trigger.tgnargs; a++) trigger.tgargs[a] = static_cast<char *>(list_nth(arguments, a));
  const char *entity_id = trigger.tgargs[capture_entity_id];
  if (shown_columns(relation, trigger)[entity_column(relation, entity_id) - 1] != Shown::plain)
    cannot_capture(psprintf("column \"%s\" is the entity's id", entity_id),
                   "It is in each event: neither exclude nor mask it, nor make it personal, nor what it is made from.");
}

extern "C" {

PG_FUNCTION_INFO_V1(spine_capture_changes);
PGDLLEXPORT Datum spine_capture_changes(PG_FUNCTION_ARGS) {
  Relation relation = open_own_table(fcinfo);
  Oid relid = RelationGetRelid(relation);
  require_capturable(relation);
  List *arguments = requested_arguments(fcinfo, relation);
  SPI_connect();
  register_types(text_to_cstring(PG_GETARG_TEXT_PP(1)), text_to_cstring(PG_GETARG_TEXT_PP(2)), table_name(relid));
  capture_tree(relid, arguments);
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
  bool was_captured = forget_watch("capture", table_name(relid));
  ListCell *cell;
  foreach (cell, find_all_inheritors(relid, ShareRowExclusiveLock, nullptr)) was_captured |= drop(lfirst_oid(cell), false);
  SPI_finish();
  if (!was_captured)
    cannot_capture(psprintf("table %s is not captured", table_name(relid)), "There is nothing to stop.");
  relation_close(relation, NoLock);
  PG_RETURN_VOID();
}

}  // extern "C"

}  // namespace spine
