// spine.capture_change, the trigger function that turns the rows of a statement into events.
#include "capture/capture.h"

#include <algorithm>

#include "capture/business_row.h"
#include "server/errors.h"
#include "server/json.h"
#include "server/settings.h"
#include "store/emit.h"
#include "store/entity_uuid.h"

extern "C" {
#include <access/htup_details.h>
#include <access/table.h>
#include <catalog/pg_type.h>
#include <commands/trigger.h>
#include <executor/executor.h>
#include <miscadmin.h>
#include <nodes/makefuncs.h>
#include <utils/datetime.h>
#include <utils/fmgroids.h>
#include <utils/guc.h>
#include <utils/json.h>
#include <utils/jsonb.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/numeric.h>
#include <utils/tuplestore.h>
}

namespace spine {

namespace {

// Memory is bounded by these, however many rows a statement changes.
constexpr int most_events = 500;
constexpr size_t most_bytes = 4 * 1024 * 1024;

struct CapturedColumn {
  AttrNumber attnum;
  const char *name;
  Oid type;  // what a domain is of
  int16 length;
  bool by_value;
  bool masked;
  FmgrInfo *to_jsonb;  // null: of a type that is written here
};

// to_jsonb for those types, without its look-ups. Gives the same.
bool is_written_here(Oid type) {
  switch (type) {
    case BOOLOID:
    case INT2OID:
    case INT4OID:
    case INT8OID:
    case NUMERICOID:
    case TEXTOID:
    case VARCHAROID:
    case BPCHAROID:
    case UUIDOID:
    case DATEOID:
    case TIMESTAMPOID:
    case TIMESTAMPTZOID:
    case JSONBOID:
      return true;
    default:
      return false;
  }
}

JsonbValue json_number(Numeric number) {
  JsonbValue value;
  value.type = jbvNumeric;
  value.val.numeric = number;
  return value;
}

JsonbValue json_stored(Datum datum) {
  Jsonb *stored = DatumGetJsonbP(datum);
  JsonbValue value;
  if (JB_ROOT_IS_SCALAR(stored)) {
    (void)JsonbExtractScalar(&stored->root, &value);
    return value;
  }
  value.type = jbvBinary;
  value.val.binary.data = &stored->root;
  value.val.binary.len = static_cast<int>(VARSIZE(stored) - VARHDRSZ);
  return value;
}

JsonbValue json_of(const CapturedColumn &column, Datum datum, bool null) {
  JsonbValue value;
  // Whether there is a value is hidden, too.
  if (column.masked) return json_text("***");
  if (null) {
    value.type = jbvNull;
    return value;
  }
  if (column.to_jsonb != nullptr) return json_stored(FunctionCall1(column.to_jsonb, datum));
  switch (column.type) {
    case BOOLOID:
      value.type = jbvBool;
      value.val.boolean = DatumGetBool(datum);
      return value;
    case INT2OID:
      return json_number(int64_to_numeric(DatumGetInt16(datum)));
    case INT4OID:
      return json_number(int64_to_numeric(DatumGetInt32(datum)));
    case INT8OID:
      return json_number(int64_to_numeric(DatumGetInt64(datum)));
    case NUMERICOID: {
      Numeric number = DatumGetNumeric(datum);
      if (numeric_is_nan(number) || numeric_is_inf(number))
        return json_text(DatumGetCString(DirectFunctionCall1(numeric_out, datum)));
      return json_number(number);
    }
    case UUIDOID: {
      const char *text = uuid_text(uuid_of(datum));
      return json_text(text);
    }
    case DATEOID:
    case TIMESTAMPOID:
    case TIMESTAMPTZOID: {
      int utc = 0;
      char *text = static_cast<char *>(palloc(MAXDATELEN + 1));
      JsonEncodeDateTime(text, datum, column.type, column.type == TIMESTAMPTZOID ? &utc : nullptr);
      return json_text(text);
    }
    case JSONBOID:
      return json_stored(datum);
    default:
      return json_text(text_view(PG_DETOAST_DATUM_PACKED(datum)));
  }
}

bool same_value(const CapturedColumn &column, Datum before, bool before_null, Datum after, bool after_null) {
  return spine::same_value(column.length, column.by_value, before, before_null, after, after_null);
}

// One statement's changes of one table on their way to events.
class Capture {
 public:
  void open(const TriggerData *data);
  void run(Tuplestorestate *before, Tuplestorestate *after);
  const char *name() const { return name_; }

 private:
  void read_definition(const Trigger *trigger);
  void read_columns(const Trigger *trigger);
  void add_row(TupleTableSlot *before, TupleTableSlot *after);
  void add_event(Datum event_type, TupleTableSlot *before, TupleTableSlot *after, const bool *is_changed);
  Uuid entity_of(TupleTableSlot *row);
  bool organization_of(TupleTableSlot *row, Uuid *organization);
  bool is_same_entity(TupleTableSlot *before, TupleTableSlot *after);
  void flush();

  Relation relation_;
  const char *name_;
  Datum domain_, entity_type_, severity_;
  Datum created_, updated_, deleted_;  // the names of the events
  CapturedColumn entity_id_, organization_;
  bool has_organization_column_;
  KeyText key_text_;  // of an entity id that is no uuid
  CapturedColumn *columns_;
  int count_;
  bool *is_changed_;    // of the row at hand, by column
  JsonbValue *values_;
  bool needs_pinned_settings_;
  PinnedSettings pinned_;
  MemoryContext memory_;
  EventValues *events_;
  int waiting_;
  size_t bytes_;
};

CapturedColumn column_of(Relation relation, AttrNumber attnum) {
  Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), attnum - 1);
  CapturedColumn column{};
  column.attnum = attnum;
  column.name = NameStr(attribute->attname);
  column.type = getBaseType(attribute->atttypid);
  column.length = attribute->attlen;
  column.by_value = attribute->attbyval;
  return column;
}

void Capture::read_definition(const Trigger *trigger) {
  char **arguments = trigger->tgargs;
  if (trigger->tgnargs < capture_arguments)
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("trigger \"%s\" of table %s holds no definition", trigger->tgname, name_),
                    errhint("spine.capture_changes makes these triggers.")));
  const char *domain = arguments[capture_domain], *entity_type = arguments[capture_entity_type];
  domain_ = text_datum(domain);
  entity_type_ = text_datum(entity_type);
  created_ = text_datum(psprintf("%s.%s.created", domain, entity_type));
  updated_ = text_datum(psprintf("%s.%s.updated", domain, entity_type));
  deleted_ = text_datum(psprintf("%s.%s.deleted", domain, entity_type));
  entity_id_ = column_of(relation_, entity_column(relation_, arguments[capture_entity_id]));
  has_organization_column_ = arguments[capture_organization][0] != '\0';
  if (has_organization_column_)
    organization_ = column_of(relation_, organization_column(relation_, arguments[capture_organization]));
  Relation events = table_open(events_relid(), AccessShareLock);
  severity_ = ObjectIdGetDatum(enum_value(event_table(events)->enum_type[2], arguments[capture_severity]));
  table_close(events, AccessShareLock);
}

// Those that are shown, in the order of jsonb's keys: so they need no sorting in each row, and what is said of a row does not
// depend on the order in which a partition has them.
void Capture::read_columns(const Trigger *trigger) {
  TupleDesc shape = RelationGetDescr(relation_);
  bool *excluded = static_cast<bool *>(palloc0(sizeof(bool) * static_cast<Size>(shape->natts)));
  bool *masked = static_cast<bool *>(palloc0(sizeof(bool) * static_cast<Size>(shape->natts)));
  for (int a = capture_arguments; a < trigger->tgnargs; a++) {
    std::string_view argument = trigger->tgargs[a];
    bool *marks = argument.substr(0, exclude_prefix.size()) == exclude_prefix ? excluded
                  : argument.substr(0, mask_prefix.size()) == mask_prefix     ? masked
                                                                              : nullptr;
    if (marks == nullptr) continue;
    const char *column = trigger->tgargs[a] + (marks == excluded ? exclude_prefix : mask_prefix).size();
    marks[captured_column(relation_, column) - 1] = true;
  }
  columns_ = static_cast<CapturedColumn *>(palloc(sizeof(CapturedColumn) * static_cast<Size>(shape->natts)));
  count_ = 0;
  for (int i = 0; i < shape->natts; i++) {
    Form_pg_attribute attribute = TupleDescAttr(shape, i);
    // A virtual generated column ('v', from 18 on) has no value here.
    if (attribute->attisdropped || attribute->attgenerated == 'v' || excluded[i]) continue;
    CapturedColumn column = column_of(relation_, static_cast<AttrNumber>(i + 1));
    column.masked = masked[i];
    if (!column.masked && !is_written_here(column.type)) {
      column.to_jsonb = static_cast<FmgrInfo *>(palloc(sizeof(FmgrInfo)));
      fmgr_info(F_TO_JSONB, column.to_jsonb);
      Const *of_type = makeNullConst(attribute->atttypid, -1, InvalidOid);
      fmgr_info_set_expr(reinterpret_cast<Node *>(makeFuncExpr(F_TO_JSONB, JSONBOID, list_make1(of_type), InvalidOid,
                                                                InvalidOid, COERCE_EXPLICIT_CALL)),
                         column.to_jsonb);
      needs_pinned_settings_ = true;
    }
    columns_[count_++] = column;
  }
  is_changed_ = static_cast<bool *>(palloc(sizeof(bool) * static_cast<Size>(shape->natts)));
  values_ = static_cast<JsonbValue *>(palloc(sizeof(JsonbValue) * static_cast<Size>(shape->natts)));
  std::sort(columns_, columns_ + count_,
            [](const CapturedColumn &a, const CapturedColumn &b) {
              size_t size = strlen(a.name), other = strlen(b.name);
              return size != other ? size < other : memcmp(a.name, b.name, size) < 0;
            });
}

void Capture::open(const TriggerData *data) {
  relation_ = data->tg_relation;
  const Trigger *trigger = data->tg_trigger;
  needs_pinned_settings_ = false;
  Oid relid = RelationGetRelid(relation_);
  bool quotes_all = quote_all_identifiers;
  if (quotes_all) pinned_.begin();
  // None where a detached partition's triggers are no longer complete, or somebody attached one by hand.
  List *roots = is_inherited(*trigger) ? captured_roots(relid) : NIL;
  name_ = table_name(roots == NIL ? relid : linitial_oid(roots));
  if (quotes_all) pinned_.end();
  read_definition(trigger);
  read_columns(trigger);
  if (entity_id_.type != UUIDOID) {
    key_text_.find(entity_id_.type, CurrentMemoryContext);
    needs_pinned_settings_ |= key_text_.needs_pinned_settings();
  }
}

// The slot holds its row until the next is fetched.
bool fetch(Tuplestorestate *rows, TupleTableSlot *slot) {
  if (rows == nullptr || !tuplestore_gettupleslot(rows, true, false, slot)) return false;
  slot_getallattrs(slot);
  return true;
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
  int capacity = static_cast<int>(Min(2 * rows, most_events + 1));
  events_ = static_cast<EventValues *>(palloc(sizeof(EventValues) * static_cast<Size>(capacity)));
  waiting_ = 0;
  bytes_ = 0;
  memory_ = AllocSetContextCreate(CurrentMemoryContext, "captured changes", ALLOCSET_DEFAULT_SIZES);
  TupleTableSlot *old_row = begin_reading(before, RelationGetDescr(relation_));
  TupleTableSlot *new_row = begin_reading(after, RelationGetDescr(relation_));
  if (needs_pinned_settings_) pinned_.begin();
  for (int64 i = 0; i < rows; i++) {
    CHECK_FOR_INTERRUPTS();
    // Outside the memory that goes with the batch, for the slots free their rows themselves.
    (void)fetch(before, old_row);
    (void)fetch(after, new_row);
    MemoryContext outer = MemoryContextSwitchTo(memory_);
    add_row(old_row, new_row);
    MemoryContextSwitchTo(outer);
    if (waiting_ < most_events && bytes_ < most_bytes) continue;
    flush();
  }
  flush();
  if (needs_pinned_settings_) pinned_.end();
  if (old_row != nullptr) ExecDropSingleTupleTableSlot(old_row);
  if (new_row != nullptr) ExecDropSingleTupleTableSlot(new_row);
  MemoryContextDelete(memory_);
}

// Emits under the settings of the session, which others' triggers and constraints may go by.
void Capture::flush() {
  if (waiting_ == 0) return;
  if (needs_pinned_settings_) pinned_.end();
  MemoryContext outer = MemoryContextSwitchTo(memory_);
  int position = 0;
  emit(events_, waiting_, &position);
  MemoryContextSwitchTo(outer);
  MemoryContextReset(memory_);
  waiting_ = 0;
  bytes_ = 0;
  if (needs_pinned_settings_) pinned_.begin();
}

void Capture::add_row(TupleTableSlot *before, TupleTableSlot *after) {
  if (before == nullptr) return add_event(created_, before, after, nullptr);
  if (after == nullptr) return add_event(deleted_, before, after, nullptr);
  bool any = false;
  for (int i = 0; i < count_; i++) {
    int a = columns_[i].attnum - 1;
    is_changed_[i] = !same_value(columns_[i], before->tts_values[a], before->tts_isnull[a], after->tts_values[a], after->tts_isnull[a]);
    any |= is_changed_[i];
  }
  // One tenant's data never comes into another's chain, nor an entity's into another's history.
  if (!is_same_entity(before, after)) {
    add_event(deleted_, before, nullptr, nullptr);
    add_event(created_, nullptr, after, nullptr);
  } else if (any) {
    add_event(updated_, before, after, is_changed_);
  }
}

Uuid Capture::entity_of(TupleTableSlot *row) {
  int a = entity_id_.attnum - 1;
  if (row->tts_isnull[a])
    ereport(ERROR, (errcode(ERRCODE_SPINE_NO_ENTITY), errmsg("a row of table %s has no entity: column \"%s\" is null", name_, entity_id_.name),
                    errhint("Capture names entities by that column: declare it NOT NULL, or capture the table by another.")));
  if (entity_id_.type == UUIDOID) return uuid_of(row->tts_values[a]);
  return entity_uuid(text_view(DatumGetTextPP(domain_)), text_view(DatumGetTextPP(entity_type_)), text_view(DatumGetTextPP(key_text_.of(row->tts_values[a]))));
}

// False: the setting says it, or nothing does.
bool Capture::organization_of(TupleTableSlot *row, Uuid *organization) {
  if (!has_organization_column_ || row->tts_isnull[organization_.attnum - 1]) {
    *organization = settings.organization_id;
    return false;
  }
  *organization = uuid_of(row->tts_values[organization_.attnum - 1]);
  return true;
}

bool Capture::is_same_entity(TupleTableSlot *before, TupleTableSlot *after) {
  int a = entity_id_.attnum - 1;
  if (!same_value(entity_id_, before->tts_values[a], before->tts_isnull[a], after->tts_values[a], after->tts_isnull[a]) &&
      entity_of(before) != entity_of(after))
    return false;
  Uuid from, to;
  bool was_said = organization_of(before, &from), is_said = organization_of(after, &to);
  return from == to && (was_said == is_said || settings.has_organization_id);
}

// A row is as to_jsonb gives it, without what is left out.
void push_row(JsonbParseState **state, std::string_view name, const CapturedColumn *columns, const JsonbValue *values, int count) {
  push_key(state, name);
  pushJsonbValue(state, WJB_BEGIN_OBJECT, nullptr);
  for (int i = 0; i < count; i++) push_member(state, columns[i].name, values[i]);
  pushJsonbValue(state, WJB_END_OBJECT, nullptr);
}

void Capture::add_event(Datum event_type, TupleTableSlot *before, TupleTableSlot *after, const bool *is_changed) {
  JsonbParseState *state = nullptr;
  pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
  push_member(&state, "table", json_text(name_));
  for (TupleTableSlot *row : {before, after}) {
    if (row == nullptr) continue;
    for (int i = 0; i < count_; i++) {
      // What did not change is converted once for both rows.
      if (row == after && is_changed != nullptr && !is_changed[i]) continue;
      int a = columns_[i].attnum - 1;
      values_[i] = json_of(columns_[i], row->tts_values[a], row->tts_isnull[a]);
    }
    push_row(&state, row == before ? "before" : "after", columns_, values_, count_);
  }
  if (is_changed != nullptr) {
    push_key(&state, "changed");
    pushJsonbValue(&state, WJB_BEGIN_ARRAY, nullptr);
    for (int i = 0; i < count_; i++)
      if (is_changed[i]) push(&state, WJB_ELEM, json_text(columns_[i].name));
    pushJsonbValue(&state, WJB_END_ARRAY, nullptr);
  }
  Jsonb *payload = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr));
  bytes_ += VARSIZE(payload);

  TupleTableSlot *row = after != nullptr ? after : before;
  EventValues *event = &events_[waiting_];
  event->clear();
  event->is_captured = true;
  event->set(Column::event_type, event_type);
  event->set(Column::entity_id, uuid_datum(entity_of(row)));
  Uuid organization;
  if (organization_of(row, &organization)) event->set(Column::organization_id, uuid_datum(organization));
  event->set(Column::severity, severity_);
  event->set(Column::payload, JsonbPGetDatum(payload));
  waiting_++;
}

void name_table(void *capture) {
  const char *name = static_cast<Capture *>(capture)->name();
  if (name != nullptr) errcontext("capture of changes of table %s", name);
}

}  // namespace

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
