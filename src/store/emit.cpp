// spine.emit_event and spine.emit_events.
#include "store/emit.h"

#include "core/uuid.h"
#include "server/errors.h"
#include "server/settings.h"
#include "store/event_arguments.h"
#include "store/pending.h"
#include "store/writer.h"

extern "C" {
#include <access/table.h>
#include <access/xact.h>
#include <access/xlog.h>
#include <funcapi.h>
#include <miscadmin.h>
#include <storage/lmgr.h>
#include <utils/jsonb.h>
#include <utils/memutils.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

// The arguments of spine.emit_event, in their order.
constexpr Column arguments[] = {Column::event_type,      Column::entity_type, Column::entity_id, Column::action,
                                Column::actor_id,        Column::payload,     Column::organization_id,
                                Column::actor_type,      Column::severity,    Column::environment, Column::personal,
                                Column::occurred_at,     Column::correlation_id, Column::causation_id};

[[noreturn]] void bad_batch(const char *message, const char *hint) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_BATCH), errmsg("%s", message), errhint("%s", hint)));
}

Uuid parse_uuid_or_error(std::string_view key, std::string_view text) {
  Uuid uuid;
  if (!parse_uuid(text, &uuid))
    ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
                    errmsg("\"%s\" of key \"%s\" is no uuid", clipped(text), clipped(key)),
                    errhint("Write it as 00000000-0000-4000-8000-000000000001.")));
  return uuid;
}

void set_from_json(const EventTable *table, std::string_view key, const JsonbValue &value, EventValues *values) {
  Column column{};
  bool known = false;
  for (Column argument : arguments) {
    if (key != column_names[static_cast<int>(argument)]) continue;
    column = argument;
    known = true;
  }
  if (!known)
    bad_batch(psprintf("unknown key \"%s\"", clipped(key)),
              "The keys are the names of spine.emit_event's arguments: event_type, entity_type, entity_id, action, "
              "actor_id, payload, organization_id, actor_type, severity, environment, personal, occurred_at, correlation_id, "
              "causation_id.");
  if (value.type == jbvNull) return;
  if (column == Column::payload || column == Column::personal) {
    if (value.type != jbvBinary) report(Status::not_an_object, column_names[static_cast<int>(column)]);
    values->set(column, PointerGetDatum(JsonbValueToJsonb(const_cast<JsonbValue *>(&value))));
    return;
  }
  if (value.type != jbvString)
    bad_batch(psprintf("the value of key \"%s\" is no string", clipped(key)),
              "Every value but payload and personal is a JSON string, or null where it is left out.");
  std::string_view text(value.val.string.val, static_cast<size_t>(value.val.string.len));
  switch (column) {
    case Column::entity_id:
    case Column::actor_id:
    case Column::organization_id:
    case Column::correlation_id:
    case Column::causation_id:
      values->set(column, uuid_datum(parse_uuid_or_error(key, text)));
      break;
    case Column::occurred_at:
      values->set(column, DirectFunctionCall3(timestamptz_in, CStringGetDatum(pnstrdup(text.data(), text.size())),
                                              ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
      break;
    case Column::actor_type:
      values->set(column, ObjectIdGetDatum(enum_value(table->enum_type[0], text)));
      break;
    case Column::environment:
      values->set(column, ObjectIdGetDatum(enum_value(table->enum_type[1], text)));
      break;
    case Column::severity:
      values->set(column, ObjectIdGetDatum(enum_value(table->enum_type[2], text)));
      break;
    default:
      values->set(column, text_datum(text));
      break;
  }
}

void read_element(const EventTable *table, const JsonbValue &element, EventValues *values) {
  values->clear();
  if (element.type != jbvBinary || !JsonContainerIsObject(element.val.binary.data))
    bad_batch("an element is no object", "Each element is an object keyed by spine.emit_event's argument names.");
  JsonbIterator *iterator = JsonbIteratorInit(element.val.binary.data);
  JsonbValue key, value;
  (void)JsonbIteratorNext(&iterator, &key, true);
  while (JsonbIteratorNext(&iterator, &key, true) == WJB_KEY) {
    (void)JsonbIteratorNext(&iterator, &value, true);
    set_from_json(table, {key.val.string.val, static_cast<size_t>(key.val.string.len)}, value, values);
  }
}

struct Batch {
  int count;
  int position;
};

// Past the last element it is the batch as a whole, whose triggers run.
void name_element(void *argument) {
  const Batch *batch = static_cast<const Batch *>(argument);
  if (batch->position < batch->count)
    errcontext("element %d of the array given to spine.emit_events", batch->position);
}

}  // namespace

void require_writable(const char *function) {
  if (RecoveryInProgress())
    ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION), errmsg("cannot execute %s on a standby", function),
                    errhint("Connect to the primary server.")));
  if (XactReadOnly)
    ereport(ERROR,
            (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION), errmsg("cannot execute %s in a read-only transaction", function),
             errhint("Begin the transaction with READ WRITE.")));
}

void emit(EventValues *events, int count, int *position) {
  if (settings.chain_at == chain_at_commit)
    emit_at_commit(events, count, position);
  else
    chain_now(events, count, position);
}

void emit_at_commit(EventValues *events, int count, int *position, Place place) {
  if (past_chaining()) {
    chain_now(events, count, position);
    return;
  }
  Relation relation = table_open(events_relid(), AccessShareLock);
  for (*position = 0; *position < count; ++*position) {
    CHECK_FOR_INTERRUPTS();
    check_event(event_table(relation), &events[*position], nullptr);
    stamp_event(&events[*position]);
    add_pending(events[*position], place);
  }
  table_close(relation, AccessShareLock);
}

extern "C" {

PG_FUNCTION_INFO_V1(spine_emit_event);
PGDLLEXPORT Datum spine_emit_event(PG_FUNCTION_ARGS) {
  require_writable("spine.emit_event()");
  EventValues values;
  values.clear();
  for (int i = 0; i < static_cast<int>(lengthof(arguments)); i++)
    if (!PG_ARGISNULL(i)) values.set(arguments[i], PG_GETARG_DATUM(i));
  int position = 0;
  emit(&values, 1, &position);
  return values.get(Column::id);
}

PG_FUNCTION_INFO_V1(spine_emit_events);
PGDLLEXPORT Datum spine_emit_events(PG_FUNCTION_ARGS) {
  require_writable("spine.emit_events()");
  InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  if (PG_ARGISNULL(0)) bad_batch("the array of events is null", "Pass a JSON array of objects; it may be empty.");
  Jsonb *array = PG_GETARG_JSONB_P(0);
  if (!JB_ROOT_IS_ARRAY(array) || JB_ROOT_IS_SCALAR(array))
    bad_batch("the events are no JSON array", "Pass a JSON array of objects; it may be empty.");
  int count = static_cast<int>(JB_ROOT_COUNT(array));
  if (count == 0) return static_cast<Datum>(0);

  Batch batch{count, 0};
  int &position = batch.position;
  ErrorContextCallback context;
  context.callback = name_element;
  context.arg = &batch;
  context.previous = error_context_stack;
  error_context_stack = &context;

  // All are read before the first is stored: which chains they need decides how these are locked.
  Relation relation = table_open(events_relid(), AccessShareLock);
  EventValues *events = static_cast<EventValues *>(MemoryContextAllocHuge(CurrentMemoryContext, sizeof(EventValues) * static_cast<Size>(count)));
  JsonbIterator *iterator = JsonbIteratorInit(&array->root);
  JsonbValue element;
  (void)JsonbIteratorNext(&iterator, &element, true);
  const EventTable *table = event_table(relation);
  for (; position < count; position++) {
    (void)JsonbIteratorNext(&iterator, &element, true);
    read_element(table, element, &events[position]);
  }
  table_close(relation, AccessShareLock);
  emit(events, count, &position);
  error_context_stack = context.previous;
  for (int i = 0; i < count; i++) {
    bool null = false;
    Datum id = events[i].get(Column::id);
    tuplestore_putvalues(result->setResult, result->setDesc, &id, &null);
  }
  return static_cast<Datum>(0);
}

PG_FUNCTION_INFO_V1(spine_chain_pending);
PGDLLEXPORT Datum spine_chain_pending(FunctionCallInfo) { PG_RETURN_INT64(chain_all_pending()); }

}  // extern "C"

}  // namespace spine
