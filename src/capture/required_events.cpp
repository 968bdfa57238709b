// spine.require_events, spine.stop_requiring_events, and their trigger's spine.require_event.
#include "capture/required_events.h"

#include <algorithm>

#include "capture/definition.h"
#include "capture/key_text.h"
#include "capture/row_value.h"
#include "capture/watches.h"
#include "server/compat.h"
#include "server/errors.h"
#include "server/growing_array.h"
#include "server/settings.h"
#include "server/sql.h"
#include "store/head.h"
#include "store/entity_uuid.h"
#include "store/event_scan.h"

extern "C" {
#include <access/htup_details.h>
#include <access/relation.h>
#include <access/table.h>
#include <access/xact.h>
#include <catalog/namespace.h>
#include <catalog/pg_trigger.h>
#include <catalog/pg_type.h>
#include <commands/trigger.h>
#include <miscadmin.h>
#include <utils/fmgroids.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/snapmgr.h>
}

namespace spine {

namespace {

// What a table's rows are held to, as long as the transaction lasts.
struct Requirement {
  Oid table;  // the top of its partitions
  const char *name;
  const char *domain;  // of the event; empty: any
  const char *entity_type;
};

// A changed row.
struct Note {
  Uuid organization;
  Uuid entity;
  uint32 requirement : 31;
  uint32 has_organization : 1;  // 0: an event in any will do

  bool operator<(const Note &other) const {
    if (has_organization != other.has_organization) return has_organization < other.has_organization;
    if (organization != other.organization) return organization < other.organization;
    if (entity != other.entity) return entity < other.entity;
    return requirement < other.requirement;
  }
  bool operator==(const Note &other) const { return !(*this < other) && !(other < *this); }
};

// From which note on they are of this subtransaction or one within it.
struct Level {
  SubTransactionId subtransaction;
  size_t first;
};

MemoryContext memory;  // of the transaction, null without notes
List *requirements;
Note *notes;
size_t count, capacity;
Level *levels;  // those that have notes, outermost first
int level_count, level_capacity;
bool past_check;  // the commit under way has checked what was noted

void note(const Note &change) {
  SubTransactionId mine = GetCurrentSubTransactionId();
  if (level_count == 0 || levels[level_count - 1].subtransaction != mine) {
    make_room(memory, &levels, level_count, &level_capacity);
    levels[level_count++] = {mine, count};
  } else if (count > 0 && notes[count - 1] == change) {
    return;
  }
  make_room(memory, &notes, count, &capacity);
  notes[count++] = change;
  if (past_check) check_changes();
}

// The trigger ---------------------------------------------------------------------------------------------------

// The trigger's arguments, for the rows of one table that one statement changes.
struct Definition {
  AttrNumber entity_column;
  AttrNumber organization_column;  // 0: none
  bool entity_is_uuid;
  KeyText entity_text;             // of an id that is none
  RowColumn *columns;              // those whose change is one of the row
  int column_count;
  uint32 requirement;
};

[[noreturn]] void cannot_hold(const char *table, const char *why, const char *hint) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_CANNOT_CAPTURE), errmsg("table %s cannot be held to the rule: %s", table, why),
                  errhint("%s", hint)));
}

// Checks a definition against the table; what it looks up lives as long as the memory context. Raises SP026.
Definition define(MemoryContext kept, Relation relation, const char *entity_column, const char *organization_column, const char *entity_type) {
  const char *table = table_name(RelationGetRelid(relation));
  Definition definition{};
  for (bool is_entity : {true, false}) {
    const char *name = is_entity ? entity_column : organization_column;
    if (!is_entity && *name == '\0') continue;
    AttrNumber column = stored_column(relation, name);
    if (column == 0)
      cannot_hold(table, psprintf("it has no stored column \"%s\"", name),
                  "Pass the names of its columns to spine.require_events(); again, where one was renamed since.");
    (is_entity ? definition.entity_column : definition.organization_column) = column;
    bool is_uuid = base_type(relation, column) == UUIDOID;
    if (is_entity) definition.entity_is_uuid = is_uuid;
    if (is_uuid) continue;
    const char *why = psprintf("its column \"%s\" has type %s, not uuid", name, format_type_be(base_type(relation, column)));
    if (!is_entity) cannot_hold(table, why, "Leave organization_column out: the setting people_os_spine.organization_id then says it.");
    if (*entity_type == '\0')
      cannot_hold(table, why, "Pass domain and entity_type: the entity is spine.entity_uuid(domain, entity_type, the column's text).");
    definition.entity_text.find(base_type(relation, column), kept);
  }
  return definition;
}

// All but those that capture leaves out of its events, where a change of these alone makes none. The id and the organization
// are among them.
void find_columns(MemoryContext kept, Relation relation, Definition *definition) {
  TupleDesc shape = RelationGetDescr(relation);
  bool *left_out = static_cast<bool *>(palloc0(sizeof(bool) * static_cast<Size>(shape->natts)));
  Oid capture = capture_function();
  const TriggerDesc *triggers = relation->trigdesc;
  for (int t = 0; t < triggers->numtriggers; t++) {
    const Trigger &trigger = triggers->triggers[t];
    bool fires = trigger.tgenabled == TRIGGER_FIRES_ON_ORIGIN || trigger.tgenabled == TRIGGER_FIRES_ALWAYS;
    if (!fires || !TRIGGER_FOR_UPDATE(trigger.tgtype) || trigger.tgfoid != capture) continue;
    const Shown *shown = shown_columns(relation, trigger);
    for (int i = 0; i < shape->natts; i++) left_out[i] |= shown[i] == Shown::excluded;
  }
  definition->columns = static_cast<RowColumn *>(MemoryContextAlloc(kept, sizeof(RowColumn) * static_cast<Size>(shape->natts)));
  definition->column_count = 0;
  for (int i = 0; i < shape->natts; i++) {
    Form_pg_attribute attribute = TupleDescAttr(shape, i);
    AttrNumber attnum = static_cast<AttrNumber>(i + 1);
    bool is_key = attnum == definition->entity_column || attnum == definition->organization_column;
    if (attribute->attisdropped || attribute->attgenerated == 'v' || (left_out[i] && !is_key)) continue;
    definition->columns[definition->column_count++] = row_column(relation, attnum, kept);
  }
}

uint32 find_requirement(Relation relation, const Trigger *trigger) {
  Oid table = RelationGetRelid(relation);
  if (trigger->tgisclone) table = partition_root(table);
  const char *domain = trigger->tgargs[2], *entity_type = trigger->tgargs[3];
  ListCell *cell;
  foreach (cell, requirements) {
    const Requirement *known = static_cast<Requirement *>(lfirst(cell));
    if (known->table == table && strcmp(known->domain, domain) == 0 && strcmp(known->entity_type, entity_type) == 0)
      return static_cast<uint32>(foreach_current_index(cell));
  }
  if (memory == nullptr) memory = AllocSetContextCreate(TopTransactionContext, "changes that ask for events", ALLOCSET_DEFAULT_SIZES);
  MemoryContext before = MemoryContextSwitchTo(memory);
  Requirement *added = static_cast<Requirement *>(palloc(sizeof(Requirement)));
  *added = {table, table_name(table), pstrdup(domain), pstrdup(entity_type)};
  requirements = lappend(requirements, added);
  MemoryContextSwitchTo(before);
  return static_cast<uint32>(list_length(requirements)) - 1;
}

Definition *definition_of(const TriggerData *data, FmgrInfo *function) {
  if (function->fn_extra == nullptr) {
    char **arguments = data->tg_trigger->tgargs;
    Definition *definition = static_cast<Definition *>(MemoryContextAlloc(function->fn_mcxt, sizeof(Definition)));
    *definition = define(function->fn_mcxt, data->tg_relation, arguments[0], arguments[1], arguments[3]);
    find_columns(function->fn_mcxt, data->tg_relation, definition);
    definition->requirement = find_requirement(data->tg_relation, data->tg_trigger);
    function->fn_extra = definition;
  }
  return static_cast<Definition *>(function->fn_extra);
}

Note note_of(const TriggerData *data, Definition *definition, HeapTuple row) {
  TupleDesc shape = RelationGetDescr(data->tg_relation);
  Note change{};
  change.requirement = definition->requirement;
  bool null;
  Datum id = heap_getattr(row, definition->entity_column, shape, &null);
  if (null)
    ereport(ERROR, (errcode(ERRCODE_SPINE_CHANGE_WITHOUT_EVENT),
                    errmsg("a row of table %s has no \"%s\", so no event can be of it",
                           table_name(RelationGetRelid(data->tg_relation)), data->tg_trigger->tgargs[0]),
                    errhint("Give the row one; the column should be NOT NULL.")));
  if (definition->entity_is_uuid) {
    change.entity = uuid_of(id);
  } else {
    PinnedSettings pinned;
    bool must_pin = definition->entity_text.needs_pinned_settings();
    if (must_pin) pinned.begin();
    Datum text = definition->entity_text.of(id);
    if (must_pin) pinned.end();
    change.entity = entity_uuid(data->tg_trigger->tgargs[2], data->tg_trigger->tgargs[3], text_view(PG_DETOAST_DATUM_PACKED(text)));
  }
  Datum organization = 0;
  null = true;
  if (definition->organization_column != 0) organization = heap_getattr(row, definition->organization_column, shape, &null);
  if (!null)
    change.organization = uuid_of(organization);
  else if (settings.has_organization_id)
    change.organization = settings.organization_id;
  change.has_organization = !null || settings.has_organization_id;
  return change;
}

// Column by column, for a row is stored in more than one way: a column that was added, one that was dropped, a value out of
// line.
bool is_row_changed(const TriggerData *data, const Definition *definition) {
  TupleDesc shape = RelationGetDescr(data->tg_relation);
  Size natts = static_cast<Size>(shape->natts);
  Datum *before = static_cast<Datum *>(palloc(sizeof(Datum) * natts)), *after = static_cast<Datum *>(palloc(sizeof(Datum) * natts));
  bool *before_null = static_cast<bool *>(palloc(natts)), *after_null = static_cast<bool *>(palloc(natts));
  heap_deform_tuple(data->tg_trigtuple, shape, before, before_null);
  heap_deform_tuple(data->tg_newtuple, shape, after, after_null);
  PinnedSettings pinned;
  bool is_pinned = false, found = false;
  for (int c = 0; c < definition->column_count && !found; c++) {
    const RowColumn &column = definition->columns[c];
    int i = column.attnum - 1;
    if (is_same_value(column, before[i], before_null[i], after[i], after_null[i])) continue;
    if (needs_pinned_settings(column) && !is_pinned) {
      pinned.begin();
      is_pinned = true;
    }
    found = is_changed(column, before[i], before_null[i], after[i], after_null[i]);
  }
  if (is_pinned) pinned.end();
  return found;
}

// The check -----------------------------------------------------------------------------------------------------

[[noreturn]] void report_change(const Note &change) {
  const Requirement *asked = static_cast<Requirement *>(list_nth(requirements, static_cast<int>(change.requirement)));
  const char *of = *asked->domain == '\0' ? "" : psprintf(" of %s.%s", asked->domain, asked->entity_type);
  const char *in = change.has_organization ? psprintf(" in organization %s", uuid_text(change.organization)) : "";
  ereport(ERROR, (errcode(ERRCODE_SPINE_CHANGE_WITHOUT_EVENT),
                  errmsg("table %s was changed without an event for entity %s", asked->name, uuid_text(change.entity)),
                  errdetail("The transaction emitted no event%s with that entity_id%s.", of, in),
                  errhint("Emit one in the same transaction, with spine.emit_event().")));
}

// Whether it is an event of this very transaction and fits. Those of a savepoint that was rolled back are not there any more.
bool fits(const EventScan &scan, const Note &change) {
  const Requirement *asked = static_cast<Requirement *>(list_nth(requirements, static_cast<int>(change.requirement)));
  constexpr uint32 needed = bit(Column::organization_id) | bit(Column::domain) | bit(Column::entity_type);
  const Event &event = scan.event();
  if (scan.why() != nullptr || !scan.is_own() || (event.present & needed) != needed) return false;
  return (!change.has_organization || event.organization_id == change.organization) &&
         (*asked->domain == '\0' || (event.domain == asked->domain && event.entity_type == asked->entity_type));
}

// The newest event that fits, from one sequence of its chain to another.
bool find_event(EventScan *scan, const Note &change, int64 from, int64 to) {
  pg_uuid_t entity;
  memcpy(entity.data, change.entity.data(), UUID_LEN);
  ScanKeyData keys[3];
  ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(&entity));
  ScanKeyInit(&keys[1], 2, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(from));
  ScanKeyInit(&keys[2], 2, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(to));
  scan->find(keys);
  while (scan->next(BackwardScanDirection))
    if (fits(*scan, change)) return true;
  return false;
}

void check_notes(const EventTable *table) {
  EventScan scan;
  scan.begin(table->root, EventOrder::entity, 3, Sees::current,
             bit(Column::domain) | bit(Column::entity_type) | bit(Column::transaction_id));
  int64 last = PG_INT64_MAX;
  for (size_t i = 0; i < count; i++) {
    const Note &change = notes[i];
    if (i > 0 && change == notes[i - 1]) continue;
    // An entity that is in several organizations has events in all of their chains: where this one ends, its newest are.
    if (change.has_organization && (i == 0 || !notes[i - 1].has_organization || change.organization != notes[i - 1].organization))
      last = last_sequence(table, change.organization);
    // An index page is read item by item, so an entity's long history is left out as far as it can be: where a transaction
    // emits about one event a change, they are the last of the chain.
    int64 recent = change.has_organization ? last - Min(last, 2 * static_cast<int64>(count)) : PG_INT64_MIN;
    if (!find_event(&scan, change, recent, last) && !find_event(&scan, change, PG_INT64_MIN, last)) report_change(change);
  }
  scan.end();
}

// SQL -----------------------------------------------------------------------------------------------------------

// The tables of a partition tree that can be truncated, or the one table.
constexpr const char *tables_of =
    "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'p') AND (c.oid = $1 OR c.oid IN (SELECT relid FROM pg_partition_tree($1)))"
    " ORDER BY c.oid = $1 DESC, c.oid";

// What drops the triggers of a table, first that which holds the table itself: that of its rows, or what a partition that
// was detached kept, that of TRUNCATE.
constexpr const char *drops_of =
    "SELECT format('DROP TRIGGER %I ON %I.%I', t.tgname, n.nspname, c.relname), t.tgrelid = $1 AND (t.tgtype & 1 = 1"
    "         OR NOT EXISTS (SELECT FROM pg_trigger p WHERE p.tgrelid = $1 AND p.tgfoid = t.tgfoid AND p.tgparentid <> 0))"
    "  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE t.tgfoid = 'spine.require_event()'::regprocedure AND t.tgparentid = 0"
    "   AND (c.oid = $1 OR c.oid IN (SELECT relid FROM pg_partition_tree($1))) ORDER BY 2 DESC, t.oid";

Oid table_argument(FunctionCallInfo fcinfo) {
  if (PG_ARGISNULL(0))
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("table is null"),
                    errhint("Pass the name of a table, such as 'public.employee'.")));
  return PG_GETARG_OID(0);
}

// Empty where it is null.
const char *text_argument(FunctionCallInfo fcinfo, int i) {
  return PG_ARGISNULL(i) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(i));
}
const char *name_argument(FunctionCallInfo fcinfo, int i) { return PG_ARGISNULL(i) ? "" : NameStr(*PG_GETARG_NAME(i)); }

}  // namespace

void check_changes() {
  past_check = true;
  if (count == 0) return;
  std::sort(notes, notes + count);
  Relation relation = table_open(events_relid(), AccessShareLock);
  const EventTable *table = event_table(relation);
  check_notes(table);
  table_close(relation, AccessShareLock);
  count = 0;
  level_count = 0;
}

void forget_changes() {
  // The memory goes with the transaction.
  memory = nullptr;
  requirements = NIL;
  notes = nullptr;
  count = capacity = 0;
  levels = nullptr;
  level_count = level_capacity = 0;
  past_check = false;
}

void roll_back_changes(SubTransactionId mine) {
  if (level_count > 0 && levels[level_count - 1].subtransaction == mine) count = levels[--level_count].first;
}

void keep_changes(SubTransactionId mine, SubTransactionId parent) {
  if (level_count == 0 || levels[level_count - 1].subtransaction != mine) return;
  if (level_count > 1 && levels[level_count - 2].subtransaction == parent)
    level_count--;
  else
    levels[level_count - 1].subtransaction = parent;
}

extern "C" {

PG_FUNCTION_INFO_V1(spine_require_event);
PGDLLEXPORT Datum spine_require_event(PG_FUNCTION_ARGS) {
  const TriggerData *data = reinterpret_cast<TriggerData *>(fcinfo->context);
  bool is_row_change = CALLED_AS_TRIGGER(fcinfo) && TRIGGER_FIRED_AFTER(data->tg_event) && TRIGGER_FIRED_FOR_ROW(data->tg_event) &&
                       data->tg_trigger->tgnargs == 4;
  if (!is_row_change && !(CALLED_AS_TRIGGER(fcinfo) && TRIGGER_FIRED_BY_TRUNCATE(data->tg_event)))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("spine.require_event() is the trigger function of spine.require_events()"),
                    errhint("Call spine.require_events(), which attaches it to a table.")));
  if (!is_row_change)
    ereport(ERROR, (errcode(ERRCODE_SPINE_CHANGE_WITHOUT_EVENT),
                    errmsg("TRUNCATE of table %s would remove rows without an event for each",
                           table_name(RelationGetRelid(data->tg_relation))),
                    errhint("DELETE the rows and emit their events, or have the owner call spine.stop_requiring_events().")));

  Definition *definition = definition_of(data, fcinfo->flinfo);
  bool is_update = TRIGGER_FIRED_BY_UPDATE(data->tg_event);
  if (is_update && !is_row_changed(data, definition)) return PointerGetDatum(nullptr);
  note(note_of(data, definition, data->tg_trigtuple));
  if (is_update) note(note_of(data, definition, data->tg_newtuple));
  return PointerGetDatum(nullptr);
}

PG_FUNCTION_INFO_V1(spine_require_events);
PGDLLEXPORT Datum spine_require_events(PG_FUNCTION_ARGS) {
  Oid relid = table_argument(fcinfo);
  if (PG_ARGISNULL(1))
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("entity_id_column is null"),
                    errhint("Pass the name of the column that holds the entity's id.")));
  const char *entity_column = name_argument(fcinfo, 1);
  const char *organization_column = name_argument(fcinfo, 2);
  const char *domain = text_argument(fcinfo, 3);
  const char *entity_type = text_argument(fcinfo, 4);
  Relation relation = try_relation_open(relid, AccessShareLock);
  if (relation == nullptr)
    cannot_hold(psprintf("%u", relid), "it does not exist", "Pass the name of a table, such as 'public.employee'.");
  const char *table = table_name(relid);
  char kind = relation->rd_rel->relkind;
  if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
    cannot_hold(table, "it is no ordinary or partitioned table", "Hold the table that the rows are stored in to it.");
  if (relation->rd_rel->relnamespace == get_namespace_oid("spine", true))
    cannot_hold(table, "it belongs to the spine", "Pass a table of your own.");
  if ((*domain == '\0') != (*entity_type == '\0'))
    cannot_hold(table, psprintf("%s is given without %s", *domain == '\0' ? "entity_type" : "domain", *domain == '\0' ? "domain" : "entity_type"),
                "Pass both, or neither.");
  if (*domain != '\0')
    (void)entity_uuid(domain, entity_type, "");
  (void)define(CurrentMemoryContext, relation, entity_column, organization_column, entity_type);
  relation_close(relation, NoLock);

  SPI_connect();
  run_sql(tables_of, {{OIDOID, ObjectIdGetDatum(relid)}});
  SPITupleTable *tables = SPI_tuptable;
  run_sql(psprintf("CREATE OR REPLACE TRIGGER spine_require_events AFTER INSERT OR UPDATE OR DELETE ON %s"
                   " FOR EACH ROW EXECUTE FUNCTION spine.require_event(%s, %s, %s, %s)",
                   SPI_getvalue(tables->vals[0], tables->tupdesc, 1), quote_literal_cstr(entity_column),
                   quote_literal_cstr(organization_column), quote_literal_cstr(domain), quote_literal_cstr(entity_type)));
  // TRUNCATE fires no trigger of a row, nor, where it is of a partition, one of the table above.
  for (uint64 i = 0; i < tables->numvals; i++)
    run_sql(psprintf("CREATE OR REPLACE TRIGGER spine_require_events_truncate BEFORE TRUNCATE ON %s"
                     " FOR EACH STATEMENT EXECUTE FUNCTION spine.require_event()",
                     SPI_getvalue(tables->vals[i], tables->tupdesc, 1)));
  List *arguments = NIL;
  for (const char *argument : {entity_column, organization_column, domain, entity_type})
    arguments = lappend(arguments, const_cast<char *>(argument));
  remember_watch("rule", relid, arguments);
  SPI_finish();
  PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(spine_stop_requiring_events);
PGDLLEXPORT Datum spine_stop_requiring_events(PG_FUNCTION_ARGS) {
  Oid relid = table_argument(fcinfo);
  SPI_connect();
  bool was_remembered = forget_watch("rule", table_name(relid));
  run_sql(drops_of, {{OIDOID, ObjectIdGetDatum(relid)}});
  SPITupleTable *drops = SPI_tuptable;
  const char *holds_itself = drops->numvals == 0 ? nullptr : SPI_getvalue(drops->vals[0], drops->tupdesc, 2);
  if (!was_remembered && (holds_itself == nullptr || *holds_itself != 't'))
    ereport(ERROR, (errcode(ERRCODE_SPINE_CANNOT_CAPTURE),
                    errmsg("table %s is not held to the rule", table_name(relid)),
                    errhint("Pass the table that was given to spine.require_events(); its partitions go with it.")));
  for (uint64 i = 0; i < drops->numvals; i++) run_sql(SPI_getvalue(drops->vals[i], drops->tupdesc, 1));
  SPI_finish();
  PG_RETURN_VOID();
}

}  // extern "C"

}  // namespace spine
