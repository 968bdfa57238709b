// spine.read_chain_heads.
#include "access/access.h"
#include "core/uuid.h"
#include "store/event_scan.h"

extern "C" {
#include <funcapi.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

void put_head(ReturnSetInfo *result, const Event &event) {
  bool has_hash = event.has(Column::event_hash), has_timestamp = event.has(Column::timestamp);
  Datum values[] = {uuid_datum(event.organization_id), Int64GetDatum(event.sequence), has_hash ? bytea_datum(event.event_hash) : static_cast<Datum>(0),
                    has_timestamp ? TimestampTzGetDatum(event.timestamp - unix_time(0)) : static_cast<Datum>(0)};
  bool nulls[] = {false, false, !has_hash, !has_timestamp};
  tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  pfree(DatumGetPointer(values[0]));
  if (has_hash) pfree(DatumGetPointer(values[2]));
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_read_chain_heads);
PGDLLEXPORT Datum spine_read_chain_heads(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  Organizations readable = require_reading(events_relid());
  ChainScan scan;
  scan.begin(bit(Column::event_hash) | bit(Column::timestamp));
  if (readable.all) {
    // From the end of one chain to the end of the one before, whatever lies between.
    Uuid last = last_uuid;
    for (;;) {
      scan.seek(nil_uuid, PG_INT64_MIN, last);
      if (!scan.last()) break;
      put_head(result, scan.event());
      if (scan.event().organization_id == nil_uuid) break;
      last = uuid_before(scan.event().organization_id);
    }
  }
  for (int i = 0; i < readable.count; i++) {
    scan.seek(readable.sorted[i], PG_INT64_MIN, readable.sorted[i]);
    if (scan.last()) put_head(result, scan.event());
  }
  scan.end();
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
