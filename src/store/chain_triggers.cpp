// spine.chain_event and spine.refuse_change, the trigger functions.
#include "store/chain_triggers.h"

#include "server/compat.h"
#include "server/errors.h"
#include "store/chain.h"
#include "store/chain_partitions.h"
#include "store/durability.h"
#include "store/erased_parts.h"
#include "store/event_arguments.h"
#include "store/head.h"
#include "store/pending.h"
#include "store/restored_chains.h"

extern "C" {
#include <access/htup_details.h>
#include <access/table.h>
#include <access/xact.h>
#include <catalog/pg_trigger.h>
#include <commands/trigger.h>
#include <miscadmin.h>
#include <replication/logicalworker.h>
#include <storage/bufmgr.h>
#include <utils/memutils.h>
}

namespace spine {

namespace {

TriggerData *trigger_data(FunctionCallInfo fcinfo, const char *function) {
  if (!CALLED_AS_TRIGGER(fcinfo))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED), errmsg("%s is a trigger function", function),
                    errhint("CREATE TRIGGER attaches it to a table.")));
  return reinterpret_cast<TriggerData *>(fcinfo->context);
}

// What runs after the hash was computed could change the row or swallow it.
void refuse_later_triggers(const TriggerData *data) {
  const TriggerDesc *triggers = data->tg_relation->trigdesc;
  bool passed = false;
  for (int i = 0; i < triggers->numtriggers; i++) {
    const Trigger &trigger = triggers->triggers[i];
    if (trigger.tgoid == data->tg_trigger->tgoid) {
      passed = true;
    } else if (passed && trigger.tgenabled != TRIGGER_DISABLED && TRIGGER_FOR_ROW(trigger.tgtype) &&
               TRIGGER_FOR_BEFORE(trigger.tgtype) && TRIGGER_FOR_INSERT(trigger.tgtype)) {
      ereport(ERROR,
              (errcode(ERRCODE_SPINE_BAD_TRIGGER),
               errmsg("trigger \"%s\" would run after the event is hashed", trigger.tgname),
               errhint("Triggers run in the order of their names: give it one that sorts before \"%s\".",
                       data->tg_trigger->tgname)));
    }
  }
}

// The restored rows of one subtransaction that do not reproduce their hashes.
struct AlteredRows {
  AlteredRows *outer;
  SubTransactionId of;
  int64 count;
  Uuid id;  // of the first
  Uuid organization;
  int64 sequence;
};
AlteredRows *altered_rows;  // of the innermost one that has any; in memory of the transaction

void note_altered_row(const Event &event) {
  SubTransactionId now = GetCurrentSubTransactionId();
  if (altered_rows == nullptr || altered_rows->of != now) {
    AlteredRows *first = static_cast<AlteredRows *>(MemoryContextAlloc(TopTransactionContext, sizeof(AlteredRows)));
    *first = {altered_rows, now, 0, event.id, event.organization_id, static_cast<int64>(event.sequence)};
    altered_rows = first;
  }
  altered_rows->count++;
}

// A complete row is a backup that comes back. It is stored as it is, so that one damaged row never makes a
// backup unrestorable; what is wrong with it, verification says, and so does a warning at the commit.
void restore(Relation relation, const EventValues &values) {
  if (!superuser() && !compat_owns_table(RelationGetRelid(relation), GetUserId())) refuse_given_columns(values);
  Event event;
  event_of_values(values, &event);
  PartHashes parts;
  Hash hash;
  Status status = hasher().hash_parts(event, &parts);
  if (status == Status::ok) status = hasher().digest(event, parts, &hash);
  if (status == Status::out_of_memory || status == Status::crypto_failed) report(status, "event");
  bool same = status == Status::ok && event.event_hash.size == hash.size() &&
              memcmp(event.event_hash.data, hash.data(), hash.size()) == 0;
  if (!same) note_altered_row(event);
}

// The timestamp that the column's default gave, by which the row was led to its partition: no caller's is as new.
bool is_default_timestamp(TimestampTz moment) {
  return moment > GetCurrentStatementStartTimestamp() && moment <= GetCurrentTimestamp();
}

// Says that the partition which the row is stored in has events of its chain.
void note_partition_of(Relation root, const EventValues &values) {
  if (event_table(root)->is_events && event_table(root)->is_cut_by_time)
    note_partition(uuid_of(values.get(Column::organization_id)),
                   partition_at(root, DatumGetTimestampTz(values.get(Column::timestamp))).starts);
}

void chain_row(Relation relation, Relation root, EventValues *values) {
  Routed routed{root, RelationGetRelid(relation), 0};
  if (values->has(Column::timestamp) && is_default_timestamp(DatumGetTimestampTz(values->get(Column::timestamp)))) {
    routed.moment = DatumGetTimestampTz(values->get(Column::timestamp));
    values->null[static_cast<int>(Column::timestamp)] = true;
  }
  check_event(event_table(relation), values, nullptr);
  stamp_event(values);
  bool is_cut = event_table(root)->is_cut_by_time;
  Oid before = chain_event(event_table(relation), values, is_cut ? &routed : nullptr);
  if (before != RelationGetRelid(relation)) note_partition_of(root, *values);
  remember_head(event_table(relation), *values, nullptr);
}

// The one change of a stored event: an erasure, of this session's own or one that logical replication brings, where what was
// erased here already stays so. Neither runs triggers for statements, so that no UPDATE of anybody's comes this far.
bool is_erasing(const TriggerData *data) {
  if (!TRIGGER_FIRED_BY_UPDATE(data->tg_event) || !TRIGGER_FIRED_FOR_ROW(data->tg_event) || !TRIGGER_FIRED_BEFORE(data->tg_event)) return false;
  bool is_applied = IsLogicalWorker();
  if (!is_applied && !is_being_erased(data->tg_relation, data->tg_trigtuple)) return false;
  return is_erasure(data->tg_relation, data->tg_trigtuple, data->tg_newtuple, is_applied);
}

}  // namespace

void refuse_change(const char *change, const char *table) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_IMMUTABLE),
                  errmsg("events are immutable: %s of table \"%s\" is refused", change, table),
                  errhint("Emit a further event that says what changed.")));
}

void warn_of_altered_rows() {
  if (altered_rows == nullptr) return;
  const AlteredRows *first = altered_rows;
  int64 count = 0;
  for (const AlteredRows *rows = altered_rows; rows != nullptr; rows = rows->outer) {
    count += rows->count;
    first = rows;
  }
  ereport(WARNING,
          (errcode(ERRCODE_SPINE_RESTORED_ROW_ALTERED),
           errmsg_plural(INT64_FORMAT " restored event does not reproduce its hash: event %s, sequence " INT64_FORMAT
                                      " of organization %s",
                         INT64_FORMAT " restored events do not reproduce their hashes; the first is event %s, sequence "
                                      INT64_FORMAT " of organization %s",
                         static_cast<unsigned long>(count), count, uuid_text(first->id), first->sequence,
                         uuid_text(first->organization)),
           errhint("They are stored as they are, and spine.find_chain_faults() reports them. Where it is all of them, or all of "
                   "some months, their text was read under another DateStyle or TimeZone than it was written under: restore "
                   "again, from pg_dump or from COPY … WITH (FORMAT binary). Where it is a few, they were altered before they "
                   "were backed up, or since.")));
  altered_rows = nullptr;
}

void forget_altered_rows() { altered_rows = nullptr; }

void roll_back_altered_rows(SubTransactionId mine) {
  if (altered_rows != nullptr && altered_rows->of == mine) altered_rows = altered_rows->outer;
}

void keep_altered_rows(SubTransactionId mine, SubTransactionId parent) {
  if (altered_rows == nullptr || altered_rows->of != mine) return;
  AlteredRows *outer = altered_rows->outer;
  if (outer != nullptr && outer->of == parent) {
    outer->count += altered_rows->count;
    altered_rows = outer;
  } else {
    altered_rows->of = parent;
  }
}

extern "C" {

PG_FUNCTION_INFO_V1(spine_chain_event);
PGDLLEXPORT Datum spine_chain_event(PG_FUNCTION_ARGS) {
  TriggerData *data = trigger_data(fcinfo, "spine.chain_event()");
  if (!TRIGGER_FIRED_BEFORE(data->tg_event) || !TRIGGER_FIRED_FOR_ROW(data->tg_event) ||
      !TRIGGER_FIRED_BY_INSERT(data->tg_event))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("trigger \"%s\" does not run where events are chained", data->tg_trigger->tgname),
                    errhint("Attach spine.chain_event() BEFORE INSERT … FOR EACH ROW.")));
  Relation relation = data->tg_relation;
  refuse_later_triggers(data);
  const EventTable *table = event_table(relation);
  TupleDesc shape = RelationGetDescr(relation);
  Datum *all = static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<Size>(shape->natts)));
  bool *nulls = static_cast<bool *>(palloc(sizeof(bool) * static_cast<Size>(shape->natts)));
  heap_deform_tuple(data->tg_trigtuple, shape, all, nulls);
  EventValues values;
  bool complete = true;
  for (int c = 0; c < column_count; c++) {
    int i = table->attnum[c] - 1;
    values.value[c] = all[i];
    values.null[c] = nulls[i];
  }
  constexpr uint32_t always = given_columns & ~(bit(Column::payload_salt) | bit(Column::payload_hash) | bit(Column::personal_salt) | bit(Column::personal_hash));
  // Each part is there with its salt, or gone with its hash; the personal one may never have been.
  auto is_whole = [&](Column part, Column salt, Column hash) { return values.has(part) ? values.has(salt) : values.has(hash); };
  for (int c = 0; c < column_count; c++)
    if (always & (uint32_t{1} << c)) complete &= !values.null[c];
  complete &= is_whole(Column::payload, Column::payload_salt, Column::payload_hash);
  if (values.has(Column::personal) || values.has(Column::personal_salt))
    complete &= is_whole(Column::personal, Column::personal_salt, Column::personal_hash);
  Relation root = table_open(table->root, AccessShareLock);
  if (complete) {
    restore(relation, values);
    note_chained_event();
    forget_head(RelationGetRelid(root), uuid_of(values.get(Column::organization_id)));
    note_partition_of(root, values);
    if (event_table(root)->is_events) note_restored_event(uuid_of(values.get(Column::organization_id)), DatumGetInt64(values.get(Column::sequence)));
    table_close(root, NoLock);
    return PointerGetDatum(data->tg_trigtuple);
  }
  resolve_organization(&values);
  chain_pending_of(uuid_of(values.get(Column::organization_id)));  // what was emitted before comes before
  chain_row(relation, root, &values);
  table_close(root, NoLock);
  table = event_table(relation);
  for (int c = 0; c < column_count; c++) {
    int i = table->attnum[c] - 1;
    all[i] = values.value[c];
    nulls[i] = values.null[c];
  }
  return PointerGetDatum(heap_form_tuple(shape, all, nulls));
}

PG_FUNCTION_INFO_V1(spine_refuse_change);
PGDLLEXPORT Datum spine_refuse_change(PG_FUNCTION_ARGS) {
  TriggerData *data = trigger_data(fcinfo, "spine.refuse_change()");
  if (is_erasing(data)) return PointerGetDatum(data->tg_newtuple);
  // pg_restore with jobs truncates a partition that it has made, before it fills it. It is locked, so nothing is lost.
  if (TRIGGER_FIRED_BY_TRUNCATE(data->tg_event) && data->tg_relation->rd_rel->relispartition &&
      RelationGetNumberOfBlocks(data->tg_relation) == 0)
    return PointerGetDatum(nullptr);
  const char *change = TRIGGER_FIRED_BY_UPDATE(data->tg_event)     ? "UPDATE"
                       : TRIGGER_FIRED_BY_DELETE(data->tg_event)   ? "DELETE"
                       : TRIGGER_FIRED_BY_TRUNCATE(data->tg_event) ? "TRUNCATE"
                                                                   : "this change";
  refuse_change(change, RelationGetRelationName(data->tg_relation));
}

}  // extern "C"

}  // namespace spine
