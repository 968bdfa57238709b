// spine.read_events.
#include "access/access.h"
#include "server/errors.h"
#include "store/event_scan.h"

extern "C" {
#include <funcapi.h>
}

namespace spine {

extern "C" {

PG_FUNCTION_INFO_V1(spine_read_events);
PGDLLEXPORT Datum spine_read_events(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  Uuid organization = uuid_of(PG_GETARG_DATUM(0));
  int64 most = PG_GETARG_INT64(2);
  if (most < 0)
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_RANGE), errmsg("max_events is " INT64_FORMAT, most),
                    errhint("Pass how many events to return at most, 0 or more.")));
  Oid events = events_relid();
  if (!require_reading(events).has(organization)) return static_cast<Datum>(0);
  bool with_persons = personal_organizations(events).has(organization);
  ChainScan scan;
  scan.begin();
  scan.seek(organization, PG_GETARG_INT64(1), organization);
  for (int64 returned = 0; returned < most && scan.next(); returned++)
    tuplestore_puttupleslot(result->setResult, with_persons ? scan.whole() : scan.without_personal());
  scan.end();
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
