#include "store/erased_parts.h"

#include "core/uuid.h"
#include "server/compat.h"
#include "server/errors.h"
#include "server/growing_array.h"

extern "C" {
#include <access/htup_details.h>
#include <access/table.h>
#include <access/tableam.h>
#include <access/xact.h>
#include <commands/trigger.h>
#include <miscadmin.h>
#include <nodes/makefuncs.h>
#include <utils/datum.h>
#include <utils/memutils.h>
#include <utils/numeric.h>
#include <utils/snapmgr.h>
}

namespace spine {

namespace {

// The row that is being erased: the innermost, for what a trigger of somebody's calls may erase another.
struct ErasedRow {
  bool any;
  Oid relid;
  ItemPointerData place;
};
ErasedRow erased_row;

struct Judged {
  Event event;
  Hash digest;
};

// Raises SP045.
Judged judge(Relation relation, HeapTuple row) {
  Judged judged;
  const char *why = nullptr;
  if (!event_of_tuple(relation, event_table(relation), row->t_data, row->t_len, all_columns | whole_row, &judged.event, &why))
    report_damaged(judged.event, why);
  PartHashes parts = part_hashes(judged.event);
  Status status = hasher().digest(judged.event, parts, &judged.digest);
  if (status != Status::ok) report(status, "an event");
  return judged;
}

bool same_bytes(Bytes a, Bytes b) { return a.size == b.size && memcmp(a.data, b.data, a.size) == 0; }

// What others added to the table; what is generated follows from the rest.
bool same_added_columns(Relation relation, HeapTuple before, HeapTuple after) {
  TupleDesc shape = RelationGetDescr(relation);
  const EventTable *table = event_table(relation);
  for (int i = 0; i < shape->natts; i++) {
    Form_pg_attribute attribute = TupleDescAttr(shape, i);
    if (table->attributes[i].column >= 0 || attribute->attisdropped || attribute->attgenerated != '\0') continue;
    bool was_null, is_null;
    Datum old_value = heap_getattr(before, i + 1, shape, &was_null);
    Datum new_value = heap_getattr(after, i + 1, shape, &is_null);
    if (was_null != is_null || (!is_null && !datum_image_eq(old_value, new_value, attribute->attbyval, attribute->attlen))) return false;
  }
  return true;
}

[[noreturn]] void not_erased(const Event &event, const char *why) {
  ereport(ERROR, (errcode(ERRCODE_SPINE_NOT_ERASED),
                  errmsg("event " INT64_FORMAT " of organization %s was not erased: %s", static_cast<int64>(event.sequence),
                         uuid_text(event.organization_id), why),
                  errhint("Drop the trigger that somebody added to the table, and call again.")));
}

}  // namespace

unsigned parts_there(const Event &event) {
  unsigned there = no_part;
  for (const PartColumns &part : part_columns)
    if (event.has(part.column)) there |= part.part;
  return there;
}

unsigned parts_gone(const Event &event) {
  unsigned gone = no_part;
  for (const PartColumns &part : part_columns)
    if (!event.has(part.column) && event.has(part.hash)) gone |= part.part;
  return gone;
}

// The digest is over everything but the parts and their salts, and over the hash of either.
bool is_erasure(Relation relation, HeapTuple before, HeapTuple after, bool or_same) {
  Judged was = judge(relation, before);
  Judged is = judge(relation, after);
  unsigned there_before = parts_there(was.event), there_after = parts_there(is.event);
  if (was.digest != is.digest || !same_bytes(was.event.event_hash, is.event.event_hash) || (there_after & ~there_before) != 0) return false;
  if (there_after == there_before && !or_same) return false;
  for (const PartColumns &part : part_columns)
    if (!is.event.has(part.column) && is.event.has(part.salt)) return false;
  return same_added_columns(relation, before, after);
}

bool is_being_erased(Relation relation, HeapTuple before) {
  return erased_row.any && erased_row.relid == RelationGetRelid(relation) && ItemPointerEquals(&erased_row.place, &before->t_self);
}

void PartEraser::begin() {
  each_ = AllocSetContextCreate(CurrentMemoryContext, "event that is erased", ALLOCSET_DEFAULT_SIZES);
  relation_ = nullptr;
}

void PartEraser::open(Oid relid) {
  relation_ = table_open(relid, RowExclusiveLock);
  estate_ = CreateExecutorState();
  estate_->es_output_cid = GetCurrentCommandId(true);
  estate_->es_snapshot = GetActiveSnapshot();
  result_ = makeNode(ResultRelInfo);
  InitResultRelInfo(result_, relation_, 0, nullptr, 0);
  ExecOpenIndices(result_, false);
  compat_init_row_recheck(&recheck_, estate_);
  old_ = table_slot_create(relation_, &estate_->es_tupleTable);
  new_ = ExecInitExtraTupleSlot(estate_, RelationGetDescr(relation_), &TTSOpsVirtual);
  if (result_->ri_TrigDesc != nullptr) AfterTriggerBeginQuery();
}

void PartEraser::close() {
  if (result_->ri_TrigDesc != nullptr) {
    AfterTriggerEndQuery(estate_);
    ExecCloseResultRelations(estate_);
  }
  EvalPlanQualEnd(&recheck_);
  ExecCloseIndices(result_);
  ExecResetTupleTable(estate_->es_tupleTable, false);
  FreeExecutorState(estate_);
  table_close(relation_, NoLock);
  relation_ = nullptr;
}

unsigned PartEraser::erase(Oid relid, ItemPointer row, unsigned parts) {
  if (relation_ != nullptr && RelationGetRelid(relation_) != relid) close();
  if (relation_ == nullptr) open(relid);
  MemoryContextReset(each_);
  MemoryContext before = MemoryContextSwitchTo(each_);
  ResetPerTupleExprContext(estate_);

  TM_FailureData failure;
  TM_Result locked = table_tuple_lock(relation_, row, estate_->es_snapshot, old_, estate_->es_output_cid, LockTupleNoKeyExclusive, LockWaitBlock,
                                      TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);
  if (locked != TM_Ok)
    ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE), errmsg("an event went away while it was erased"),
                    errhint("Somebody alters stored events: verify the chains.")));
  bool must_free;
  Judged was = judge(relation_, ExecFetchSlotHeapTuple(old_, false, &must_free));
  unsigned wanted = parts & parts_there(was.event);
  if (wanted != no_part) {
    slot_getallattrs(old_);
    ExecClearTuple(new_);
    size_t columns = static_cast<size_t>(RelationGetDescr(relation_)->natts);
    memcpy(new_->tts_values, old_->tts_values, sizeof(Datum) * columns);
    memcpy(new_->tts_isnull, old_->tts_isnull, sizeof(bool) * columns);
    PartHashes hashes = part_hashes(was.event);
    const EventTable *table = event_table(relation_);
    for (const PartColumns &part : part_columns) {
      if (!(wanted & part.part)) continue;
      auto at = [&](Column column) { return table->attnum[static_cast<int>(column)] - 1; };
      new_->tts_isnull[at(part.column)] = new_->tts_isnull[at(part.salt)] = true;
      new_->tts_values[at(part.hash)] = bytea_datum(part.part == payload_part ? hashes.payload : hashes.personal);
      new_->tts_isnull[at(part.hash)] = false;
    }
    ExecStoreVirtualTuple(new_);
    ItemPointerSetInvalid(&new_->tts_tid);

    ErasedRow outer = erased_row;
    PG_TRY();
    {
      erased_row = {true, relid, old_->tts_tid};
      ExecSimpleRelationUpdate(result_, estate_, &recheck_, old_, new_);
    }
    PG_FINALLY();
    {
      erased_row = outer;
    }
    PG_END_TRY();

    if (!ItemPointerIsValid(&new_->tts_tid)) not_erased(was.event, "a trigger suppressed it");
    if (!table_tuple_fetch_row_version(relation_, &new_->tts_tid, SnapshotSelf, old_)) not_erased(was.event, "its row is not there");
    Judged is = judge(relation_, ExecFetchSlotHeapTuple(old_, false, &must_free));
    if (is.digest != was.digest || (parts_there(is.event) & wanted) != 0 || (wanted & ~parts_gone(is.event)) != 0)
      not_erased(was.event, "a trigger made another row of it");
  }
  ExecClearTuple(old_);
  MemoryContextSwitchTo(before);
  return wanted;
}

void PartEraser::end() {
  if (relation_ != nullptr) close();
  MemoryContextDelete(each_);
}

ErasedPart *read_erased_parts(Bytes stored, int64 *count) {
  *count = 0;
  int64 room = 0;
  ErasedPart *found = nullptr;
  Jsonb *payload = static_cast<Jsonb *>(palloc(VARHDRSZ + stored.size));
  SET_VARSIZE(payload, VARHDRSZ + stored.size);
  memcpy(VARDATA(payload), stored.data, stored.size);
  JsonbValue erased, of_part, id, sequence;
  auto member = [](JsonbContainer *container, std::string_view name, JsonbValue *value) {
    return JsonContainerIsObject(container) &&
           getKeyJsonValueFromContainer(container, name.data(), static_cast<int>(name.size()), value) != nullptr;
  };
  if (!member(&payload->root, "erased", &erased) || erased.type != jbvBinary) return found;
  for (const PartColumns &part : part_columns) {
    if (!member(erased.val.binary.data, part_name(part), &of_part) || of_part.type != jbvBinary ||
        !JsonContainerIsArray(of_part.val.binary.data))
      continue;
    JsonbIterator *iterator = JsonbIteratorInit(of_part.val.binary.data);
    JsonbValue element;
    (void)JsonbIteratorNext(&iterator, &element, true);
    while (JsonbIteratorNext(&iterator, &element, true) == WJB_ELEM) {
      CHECK_FOR_INTERRUPTS();
      Uuid uuid;
      if (element.type != jbvBinary || !member(element.val.binary.data, "id", &id) || id.type != jbvString ||
          !parse_uuid({id.val.string.val, static_cast<size_t>(id.val.string.len)}, &uuid) ||
          !member(element.val.binary.data, "sequence", &sequence) || sequence.type != jbvNumeric)
        continue;
      // No event has a sequence that is no bigint.
      const char *digits = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(sequence.val.numeric)));
      char *end;
      errno = 0;
      int64 number = strtoi64(digits, &end, 10);
      if (errno != 0 || *end != '\0') continue;
      make_room(CurrentMemoryContext, &found, *count, &room);
      found[(*count)++] = {part.part, uuid, number};
    }
  }
  return found;
}

}  // namespace spine
