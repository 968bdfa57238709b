// spine.entity_history, and spine.entity_as_of, which knows the events that captured tables emit.
#include "access/access.h"
#include "server/errors.h"
#include "store/event_scan.h"
#include "store/event_table.h"

extern "C" {
#include <catalog/pg_type.h>
#include <funcapi.h>
#include <miscadmin.h>
#include <utils/fmgroids.h>
#include <utils/hsearch.h>
#include <utils/jsonb.h>
#include <utils/timestamp.h>
#include <utils/tuplesort.h>
#include <utils/typcache.h>
}

namespace spine {

namespace {

// The events of one entity that the caller may read, by sequence; those of several organizations are mixed.
class EntityScan {
 public:
  // needed: the columns (bits) without which an event is of no use.
  void begin(std::string_view entity_type, Datum entity_id, ScanDirection direction, uint32 needed) {
    Oid relid = events_relid();
    readable_ = require_reading(relid);
    entity_type_ = entity_type;
    entity_id_ = uuid_of(entity_id);
    direction_ = direction;
    needed_ = needed | bit(Column::sequence) | bit(Column::entity_id) | bit(Column::entity_type);
    scan_.begin(list_make1_oid(relid), AccessShareLock, EventOrder::entity, 1, Sees::fresh, needed_);
    ScanKeyData key;
    ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, entity_id);
    scan_.find(&key);
  }

  // Raises SP045: an event that does not say whose it is, or whether it is of the entity, may be of the history.
  bool next() {
    while (scan_.next(direction_)) {
      const Event &found = event();
      bool says_whose = found.has(Column::organization_id);
      if (says_whose && !readable_.has(found.organization_id)) continue;
      if (scan_.why() != nullptr) report_damaged(found, scan_.why());
      if (!says_whose) report_damaged(Event(), "its organization_id is null");
      require_columns(found, needed_);
      if (found.entity_id != entity_id_) report_damaged(found, "its row has another entity_id than its index");
      if (found.entity_type == entity_type_) return true;
    }
    return false;
  }
  const Event &event() const { return scan_.event(); }
  TupleTableSlot *whole() { return scan_.whole(); }
  TupleDesc shape() const { return scan_.shape(); }
  AttrNumber attnum(Column column) const { return scan_.attnum(column); }
  void end() { scan_.end(); }

 private:
  Organizations readable_;
  std::string_view entity_type_;
  Uuid entity_id_;
  ScanDirection direction_;
  uint32 needed_;
  EventScan scan_;
};

// The row as it was after the event, null for a row that was deleted. False: no capture made the event.
bool captured_row(EntityScan *scan, Jsonb **row) {
  std::string_view action = scan->event().action;
  bool deleted = action == "deleted";
  if (!deleted && action != "created" && action != "updated") return false;
  (void)scan->whole();
  require_columns(scan->event(), bit(Column::payload));
  Bytes stored = scan->event().payload;
  Jsonb *payload = static_cast<Jsonb *>(palloc(VARHDRSZ + stored.size));
  SET_VARSIZE(payload, VARHDRSZ + stored.size);
  memcpy(VARDATA(payload), stored.data, stored.size);
  JsonbValue table, image;
  const char *name = deleted ? "before" : "after";
  bool captured = JB_ROOT_IS_OBJECT(payload) && getKeyJsonValueFromContainer(&payload->root, "table", 5, &table) != nullptr &&
                  table.type == jbvString &&
                  getKeyJsonValueFromContainer(&payload->root, name, static_cast<int>(strlen(name)), &image) != nullptr &&
                  image.type == jbvBinary;
  *row = captured && !deleted ? JsonbValueToJsonb(&image) : nullptr;
  pfree(payload);
  return captured;
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_entity_history);
PGDLLEXPORT Datum spine_entity_history(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  EntityScan scan;
  scan.begin(text_view(PG_GETARG_TEXT_PP(0)), PG_GETARG_DATUM(1), ForwardScanDirection, 0);
  AttrNumber by[] = {scan.attnum(Column::organization_id), scan.attnum(Column::sequence)};
  Oid less[] = {lookup_type_cache(UUIDOID, TYPECACHE_LT_OPR)->lt_opr, lookup_type_cache(INT8OID, TYPECACHE_LT_OPR)->lt_opr};
  Oid collations[] = {InvalidOid, InvalidOid};
  bool nulls_first[] = {false, false};
  Tuplesortstate *sort =
      tuplesort_begin_heap(scan.shape(), lengthof(by), by, less, collations, nulls_first, work_mem, nullptr, TUPLESORT_NONE);
  while (scan.next()) tuplesort_puttupleslot(sort, scan.whole());
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
  scan.begin(text_view(PG_GETARG_TEXT_PP(0)), PG_GETARG_DATUM(1), BackwardScanDirection,
             bit(Column::timestamp) | bit(Column::action) | bit(Column::transaction_id));
  while (scan.next()) {
    Uuid organization = scan.event().organization_id;
    TimestampTz at = scan.event().timestamp - unix_time(0);
    Jsonb *row;
    if (at > moment || hash_search(seen, &organization, HASH_FIND, nullptr) != nullptr || !captured_row(&scan, &row)) continue;
    (void)hash_search(seen, &organization, HASH_ENTER, nullptr);
    uint64 in = scan.event().transaction_id;
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
