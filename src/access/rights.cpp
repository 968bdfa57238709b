// spine.expected_rights: the table of rights, for SQL.
#include "access/rights.h"

extern "C" {
#include <funcapi.h>
}

namespace spine {

namespace {

struct KindOfRight {
  const char *kind;
  const char *privilege;
};

// By ObjectKind.
constexpr KindOfRight kinds[] = {
    {"schema", "USAGE"}, {"type", "USAGE"}, {"table", "SELECT"}, {"sequence", "USAGE"}, {"function", "EXECUTE"}};

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_expected_rights);
PGDLLEXPORT Datum spine_expected_rights(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  for (const ExpectedRight &right : expected_rights) {
    const KindOfRight &kind = kinds[static_cast<int>(right.kind)];
    Datum values[] = {CStringGetTextDatum(kind.kind),
                      CStringGetTextDatum(right.name),
                      CStringGetTextDatum(kind.privilege),
                      BoolGetDatum((right.receivers & emitter) != 0),
                      BoolGetDatum((right.receivers & reader) != 0),
                      BoolGetDatum((right.receivers & auditor) != 0),
                      BoolGetDatum((right.receivers & eraser) != 0),
                      BoolGetDatum((right.receivers & hold_keeper) != 0),
                      BoolGetDatum((right.receivers & notary) != 0),
                      BoolGetDatum((right.receivers & watcher) != 0)};
    bool nulls[lengthof(values)] = {};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
