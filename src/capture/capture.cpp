// spine.capture_change, the trigger function that turns the rows of a statement into events.
#include "capture/capture.h"

#include "capture/captured_table.h"
#include "capture/definition.h"
#include "server/errors.h"
#include "server/settings.h"
#include "store/emit.h"

extern "C" {
#include <access/htup_details.h>
#include <access/table.h>
#include <catalog/pg_type.h>
#include <commands/trigger.h>
#include <executor/executor.h>
#include <miscadmin.h>
#include <utils/guc.h>
#include <utils/memutils.h>
#include <utils/tuplestore.h>
}

namespace spine {

namespace {

// Memory is bounded by these, however many rows a statement changes.
constexpr int most_events = 500;
constexpr size_t most_bytes = 4 * 1024 * 1024;

CapturedQuery current_query;

// One statement's changes of one table on their way to events.
class Capture {
 public:
  void open(const TriggerData *data);
  void run(Tuplestorestate *before, Tuplestorestate *after);
  const char *name() const { return table_.name; }

 private:
  void each_row(void (Capture::*use)(TupleTableSlot *, TupleTableSlot *), Tuplestorestate *before, Tuplestorestate *after);
  void add_left(TupleTableSlot *before, TupleTableSlot *after);
  void add_row(TupleTableSlot *before, TupleTableSlot *after);
  void add_event(Datum event_type, TupleTableSlot *before, TupleTableSlot *after, const bool *is_changed);
  bool organization_of(TupleTableSlot *row, Uuid *organization);
  bool is_same_entity(TupleTableSlot *before, TupleTableSlot *after);
  void flush();

  CapturedTable table_;
  Datum severity_;
  Datum created_, updated_, deleted_;  // the names of the events
  bool *is_changed_, *is_same_;  // of the row at hand, by column
  PinnedSettings pinned_;
  MemoryContext memory_;
  EventValues *events_;
  Place place_;
  int waiting_;
  size_t bytes_;
};

void Capture::open(const TriggerData *data) {
  table_.open(data->tg_relation, data->tg_trigger);
  created_ = text_datum(psprintf("%s.%s.created", table_.domain, table_.entity_type));
  updated_ = text_datum(psprintf("%s.%s.updated", table_.domain, table_.entity_type));
  deleted_ = text_datum(psprintf("%s.%s.deleted", table_.domain, table_.entity_type));
  is_changed_ = static_cast<bool *>(palloc(sizeof(bool) * static_cast<Size>(Max(table_.count, 1))));
  is_same_ = static_cast<bool *>(palloc(sizeof(bool) * static_cast<Size>(Max(table_.count, 1))));
  Relation events = table_open(events_relid(), AccessShareLock);
  severity_ = ObjectIdGetDatum(enum_value(event_table(events)->enum_type[2], data->tg_trigger->tgargs[capture_severity]));
  table_close(events, AccessShareLock);
}

// The slot holds its row until the next is fetched.
bool fetch(Tuplestorestate *rows, TupleTableSlot *slot) {
  return rows != nullptr && tuplestore_gettupleslot(rows, true, false, slot);
}

// A further reader of rows that others may read too.
TupleTableSlot *begin_reading(Tuplestorestate *rows, TupleDesc shape) {
  if (rows == nullptr) return nullptr;
  tuplestore_select_read_pointer(rows, tuplestore_alloc_read_pointer(rows, EXEC_FLAG_REWIND));
  tuplestore_rescan(rows);
  return MakeSingleTupleTableSlot(shape, &TTSOpsMinimalTuple);
}

void Capture::run(Tuplestorestate *before, Tuplestorestate *after) {
  int64 rows = tuplestore_tuple_count(before != nullptr ? before : after);
  int capacity = static_cast<int>(Min(rows, most_events + 1));
  events_ = static_cast<EventValues *>(palloc(sizeof(EventValues) * static_cast<Size>(capacity)));
  waiting_ = 0;
  bytes_ = 0;
  place_ = {current_query.moment, 0, !current_query.is_compound};
  memory_ = AllocSetContextCreate(CurrentMemoryContext, "captured changes", ALLOCSET_DEFAULT_SIZES);
  if (table_.needs_pinned_settings) pinned_.begin();
  // What one row leaves another may take: an entity that goes goes before all that come.
  if (before != nullptr && after != nullptr) {
    each_row(&Capture::add_left, before, after);
    flush();
  }
  if (current_query.is_compound && after != nullptr) place_.rank = 1;
  each_row(&Capture::add_row, before, after);
  flush();
  if (table_.needs_pinned_settings) pinned_.end();
  MemoryContextDelete(memory_);
}

void Capture::each_row(void (Capture::*use)(TupleTableSlot *, TupleTableSlot *), Tuplestorestate *before, Tuplestorestate *after) {
  int64 rows = tuplestore_tuple_count(before != nullptr ? before : after);
  TupleTableSlot *old_row = begin_reading(before, RelationGetDescr(table_.relation));
  TupleTableSlot *new_row = begin_reading(after, RelationGetDescr(table_.relation));
  for (int64 i = 0; i < rows; i++) {
    CHECK_FOR_INTERRUPTS();
    // Outside the memory that goes with the batch, for the slots free their rows themselves.
    (void)fetch(before, old_row);
    (void)fetch(after, new_row);
    MemoryContext outer = MemoryContextSwitchTo(memory_);
    (this->*use)(old_row, new_row);
    MemoryContextSwitchTo(outer);
    if (waiting_ == most_events || bytes_ >= most_bytes) flush();
  }
  if (old_row != nullptr) ExecDropSingleTupleTableSlot(old_row);
  if (new_row != nullptr) ExecDropSingleTupleTableSlot(new_row);
}

// Emits under the settings of the session, which others' triggers and constraints may go by.
void Capture::flush() {
  if (waiting_ == 0) return;
  if (table_.needs_pinned_settings) pinned_.end();
  MemoryContext outer = MemoryContextSwitchTo(memory_);
  int position = 0;
  emit_at_commit(events_, waiting_, &position, place_);
  MemoryContextSwitchTo(outer);
  MemoryContextReset(memory_);
  waiting_ = 0;
  bytes_ = 0;
  if (table_.needs_pinned_settings) pinned_.begin();
}

// One tenant's data never comes into another's chain, nor an entity's into another's history: the old one goes.
void Capture::add_left(TupleTableSlot *before, TupleTableSlot *after) {
  int columns = Max(table_.entity_id.attnum, table_.has_organization_column ? table_.organization.attnum : 0);
  slot_getsomeattrs(before, columns);
  slot_getsomeattrs(after, columns);
  if (is_same_entity(before, after)) return;
  slot_getallattrs(before);
  add_event(deleted_, before, nullptr, nullptr);
}

void Capture::add_row(TupleTableSlot *before, TupleTableSlot *after) {
  if (before != nullptr) slot_getallattrs(before);
  if (after != nullptr) slot_getallattrs(after);
  if (before == nullptr) return add_event(created_, before, after, nullptr);
  if (after == nullptr) return add_event(deleted_, before, after, nullptr);
  if (!is_same_entity(before, after)) return add_event(created_, nullptr, after, nullptr);
  bool any = false;
  for (int i = 0; i < table_.count; i++) {
    int a = table_.columns[i].attnum - 1;
    Datum was = before->tts_values[a], is = after->tts_values[a];
    bool was_null = before->tts_isnull[a], is_null = after->tts_isnull[a];
    is_same_[i] = is_same_value(table_.columns[i], was, was_null, is, is_null);
    is_changed_[i] = !is_same_[i] && is_changed(table_.columns[i], was, was_null, is, is_null);
    any |= is_changed_[i];
  }
  if (any) add_event(updated_, before, after, is_changed_);
}

// False: the setting says it, or nothing does.
bool Capture::organization_of(TupleTableSlot *row, Uuid *organization) {
  if (table_.organization_of(row, organization)) return true;
  *organization = settings.organization_id;
  return false;
}

bool Capture::is_same_entity(TupleTableSlot *before, TupleTableSlot *after) {
  int a = table_.entity_id.attnum - 1;
  if (!is_same_value(table_.entity_id, before->tts_values[a], before->tts_isnull[a], after->tts_values[a], after->tts_isnull[a]) &&
      table_.entity_of(before) != table_.entity_of(after))
    return false;
  Uuid from, to;
  bool was_said = organization_of(before, &from), is_said = organization_of(after, &to);
  return from == to && (was_said == is_said || settings.has_organization_id);
}

void Capture::add_event(Datum event_type, TupleTableSlot *before, TupleTableSlot *after, const bool *is_changed) {
  table_.payload.read(before, after, is_changed, is_same_);
  Jsonb *payload = table_.payload.build(Part::payload), *personal = table_.payload.build(Part::personal);
  bytes_ += VARSIZE(payload) + (personal == nullptr ? 0 : VARSIZE(personal));

  TupleTableSlot *row = after != nullptr ? after : before;
  EventValues *event = &events_[waiting_];
  event->clear();
  event->is_captured = true;
  event->set(Column::event_type, event_type);
  event->set(Column::entity_id, uuid_datum(table_.entity_of(row)));
  Uuid organization;
  if (organization_of(row, &organization)) event->set(Column::organization_id, uuid_datum(organization));
  event->set(Column::severity, severity_);
  event->set(Column::payload, JsonbPGetDatum(payload));
  if (personal != nullptr) event->set(Column::personal, JsonbPGetDatum(personal));
  waiting_++;
}

void name_table(void *capture) {
  const char *name = static_cast<Capture *>(capture)->name();
  if (name != nullptr) errcontext("capture of changes of table %s", name);
}

}  // namespace

CapturedQuery begin_triggers(const QueryDesc *query) {
  CapturedQuery outer = current_query;
  current_query = {};
  if (query != nullptr) current_query = {take_moment(), query->plannedstmt->hasModifyingCTE};
  return outer;
}

void end_triggers(const CapturedQuery &outer) { current_query = outer; }

extern "C" {

PG_FUNCTION_INFO_V1(spine_capture_change);
PGDLLEXPORT Datum spine_capture_change(PG_FUNCTION_ARGS) {
  if (!CALLED_AS_TRIGGER(fcinfo))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED), errmsg("spine.capture_change() is a trigger function"),
                    errhint("spine.capture_changes attaches it to a table.")));
  TriggerData *data = reinterpret_cast<TriggerData *>(fcinfo->context);
  TriggerEvent event = data->tg_event;
  if (TRIGGER_FIRED_BY_TRUNCATE(event))
    ereport(ERROR, (errcode(ERRCODE_SPINE_CAPTURED_TRUNCATE),
                    errmsg("TRUNCATE of table %s is refused: its changes are captured", table_name(RelationGetRelid(data->tg_relation))),
                    errhint("It would remove rows without an event: DELETE them, or spine.stop_capture first.")));
  Tuplestorestate *before = data->tg_oldtable, *after = data->tg_newtable;
  if (!TRIGGER_FIRED_FOR_STATEMENT(event) || !TRIGGER_FIRED_AFTER(event) ||
      (before != nullptr) != !TRIGGER_FIRED_BY_INSERT(event) || (after != nullptr) != !TRIGGER_FIRED_BY_DELETE(event))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("trigger \"%s\" does not run where changes are captured", data->tg_trigger->tgname),
                    errhint("spine.capture_changes makes these triggers.")));
  int64 rows = tuplestore_tuple_count(before != nullptr ? before : after);
  if (before != nullptr && after != nullptr && tuplestore_tuple_count(after) != rows)
    ereport(ERROR, (errcode(ERRCODE_SPINE_CANNOT_CAPTURE),
                    errmsg("an UPDATE of table %s moved rows to a partition that did not take them",
                           table_name(RelationGetRelid(data->tg_relation))),
                    errhint("A BEFORE INSERT trigger of the partition suppressed them, so what became of which row is not known.")));
  if (rows == 0) return PointerGetDatum(nullptr);
  // Temporary tables are written to in such transactions, too.
  require_writable("spine.capture_change()");
  Capture capture{};
  ErrorContextCallback context;
  context.callback = name_table;
  context.arg = &capture;
  context.previous = error_context_stack;
  error_context_stack = &context;
  capture.open(data);
  capture.run(before, after);
  error_context_stack = context.previous;
  return PointerGetDatum(nullptr);
}

}  // extern "C"

}  // namespace spine
