// spine.entity_history, and spine.entity_as_of, which knows the events that captured tables emit.
#include "access/access.h"
#include "server/errors.h"
#include "store/event_scan.h"
#include "store/event_table.h"

extern "C" {
#include <access/table.h>
#include <catalog/pg_type.h>
#include <funcapi.h>
#include <miscadmin.h>
#include <utils/fmgroids.h>
#include <utils/hsearch.h>
#include <utils/jsonb.h>
#include <utils/timestamp.h>
#include <utils/tuplesort.h>
#include <utils/typcache.h>
#include <utils/xid8.h>
}

namespace spine {

namespace {

// The events of one entity that the caller may read, by sequence; those of several organizations are mixed.
class EntityScan {
 public:
  void begin(std::string_view entity_type, Datum entity_id, ScanDirection direction) {
    Oid relid = events_relid();
    readable_ = require_reading(relid);
    relation_ = table_open(relid, AccessShareLock);
    Oid index = event_table(relation_)->entity_index;
    if (!OidIsValid(index)) report_no_entity_index(relation_);
    entity_type_ = entity_type;
    ScanKeyData key;
    ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, entity_id);
    direction_ = direction;
    scan_.begin(relation_, index, 1);
    scan_.find(&key);
  }

  TupleTableSlot *next() {
    while (TupleTableSlot *slot = scan_.next(direction_))
      if (is(slot, Column::entity_type, entity_type_) && readable_.has(uuid_of(value(slot, Column::organization_id)))) return slot;
    return nullptr;
  }

  void end() {
    scan_.end();
    table_close(relation_, AccessShareLock);
  }

  AttrNumber attnum(Column column) const { return event_table(relation_)->attnum[static_cast<int>(column)]; }
  Datum value(TupleTableSlot *slot, Column column) const {
    bool null;
    return slot_getattr(slot, attnum(column), &null);
  }
  bool is(TupleTableSlot *slot, Column column, std::string_view text) const {
    return text_view(PG_DETOAST_DATUM_PACKED(value(slot, column))) == text;
  }
  TupleDesc shape() const { return RelationGetDescr(relation_); }

 private:
  Organizations readable_;
  Relation relation_;
  std::string_view entity_type_;
  EventScan scan_;
  ScanDirection direction_;
};

// The row as it was after the event, null for a row that was deleted. False: no capture made the event.
bool captured_row(const EntityScan &scan, TupleTableSlot *slot, Jsonb **row) {
  bool deleted = scan.is(slot, Column::action, "deleted");
  if (!deleted && !scan.is(slot, Column::action, "created") && !scan.is(slot, Column::action, "updated")) return false;
  Datum stored = scan.value(slot, Column::payload);
  Jsonb *payload = DatumGetJsonbP(stored);
  JsonbValue table, image;
  const char *name = deleted ? "before" : "after";
  bool captured = getKeyJsonValueFromContainer(&payload->root, "table", 5, &table) != nullptr && table.type == jbvString &&
                  getKeyJsonValueFromContainer(&payload->root, name, static_cast<int>(strlen(name)), &image) != nullptr &&
                  image.type == jbvBinary;
  *row = captured && !deleted ? JsonbValueToJsonb(&image) : nullptr;
  if (payload != static_cast<void *>(DatumGetPointer(stored))) pfree(payload);
  return captured;
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_entity_history);
PGDLLEXPORT Datum spine_entity_history(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  EntityScan scan;
  scan.begin(text_view(PG_GETARG_TEXT_PP(0)), PG_GETARG_DATUM(1), ForwardScanDirection);
  AttrNumber by[] = {scan.attnum(Column::organization_id), scan.attnum(Column::sequence)};
  Oid less[] = {lookup_type_cache(UUIDOID, TYPECACHE_LT_OPR)->lt_opr, lookup_type_cache(INT8OID, TYPECACHE_LT_OPR)->lt_opr};
  Oid collations[] = {InvalidOid, InvalidOid};
  bool nulls_first[] = {false, false};
  Tuplesortstate *sort =
      tuplesort_begin_heap(scan.shape(), lengthof(by), by, less, collations, nulls_first, work_mem, nullptr, TUPLESORT_NONE);
  while (TupleTableSlot *slot = scan.next()) tuplesort_puttupleslot(sort, slot);
  tuplesort_performsort(sort);
  TupleTableSlot *sorted = MakeSingleTupleTableSlot(scan.shape(), &TTSOpsMinimalTuple);
  while (tuplesort_gettupleslot(sort, true, false, sorted, nullptr)) {
    CHECK_FOR_INTERRUPTS();
    tuplestore_puttupleslot(result->setResult, sorted);
  }
  ExecDropSingleTupleTableSlot(sorted);
  tuplesort_end(sort);
  scan.end();
  return static_cast<Datum>(0);
}

PG_FUNCTION_INFO_V1(spine_entity_as_of);
PGDLLEXPORT Datum spine_entity_as_of(PG_FUNCTION_ARGS) {
  TimestampTz moment = PG_GETARG_TIMESTAMPTZ(2);
  // In each chain the newest that is not younger counts, and among these the newest again: but where a transaction moved
  // the row from one organization to another, it is there.
  HASHCTL control{};
  control.keysize = control.entrysize = sizeof(Uuid);
  control.hcxt = CurrentMemoryContext;
  HTAB *seen = hash_create("organizations of an entity", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
  Jsonb *newest = nullptr;
  TimestampTz changed = 0;
  uint64 changed_in = 0;
  bool found = false;
  EntityScan scan;
  scan.begin(text_view(PG_GETARG_TEXT_PP(0)), PG_GETARG_DATUM(1), BackwardScanDirection);
  while (TupleTableSlot *slot = scan.next()) {
    Uuid organization = uuid_of(scan.value(slot, Column::organization_id));
    TimestampTz at = DatumGetTimestampTz(scan.value(slot, Column::timestamp));
    Jsonb *row;
    if (at > moment || hash_search(seen, &organization, HASH_FIND, nullptr) != nullptr || !captured_row(scan, slot, &row)) continue;
    (void)hash_search(seen, &organization, HASH_ENTER, nullptr);
    uint64 in = U64FromFullTransactionId(DatumGetFullTransactionId(scan.value(slot, Column::transaction_id)));
    bool moved = found && (in == changed_in || at == changed) && (row == nullptr) != (newest == nullptr);
    if (found && (moved ? row == nullptr : at <= changed)) continue;
    found = true;
    changed = at;
    changed_in = in;
    newest = row;
  }
  scan.end();
  if (newest == nullptr) PG_RETURN_NULL();
  return JsonbPGetDatum(newest);
}

}  // extern "C"

}  // namespace spine
