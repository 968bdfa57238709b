// spine.create_partitions.
#include "partitions/partition_work.h"
#include "server/errors.h"
#include "store/own_statement.h"

extern "C" {
#include <funcapi.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

constexpr int most_ahead = 1000;

struct Made {
  Span span;
  Oid leaf;
};

// The pieces of the running interval and of those ahead that no partition holds. A list of Span.
List *missing_spans(const PartitionWork &work, const Cut &cut, int ahead) {
  Span last = cut.around(GetCurrentTimestamp());
  TimestampTz moment = last.starts;
  for (int i = 0; i < ahead; i++) last = cut.around(last.ends);
  List *spans = partition_spans(work.root);
  List *missing = NIL;
  while (moment < last.ends) {
    Span *piece = static_cast<Span *>(palloc(sizeof(Span)));
    if (free_piece(cut, spans, moment, false, piece)) missing = lappend(missing, piece);
    moment = piece->ends;
  }
  return missing;
}

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_create_partitions);
PGDLLEXPORT Datum spine_create_partitions(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
  ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  Cut cut;
  cut.begin(PG_GETARG_INTERVAL_P(0));
  int ahead = PG_GETARG_INT32(1);
  if (ahead < 0 || ahead > most_ahead)
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_INTERVAL), errmsg("%d partitions ahead cannot be made", ahead),
                    errhint("Give a number from 0, for the running interval alone, to %d.", most_ahead)));
  PartitionWork work;
  work.begin("spine.create_partitions()");
  // What has events in the default partition is left to it.
  List *made = NIL;
  ListCell *cell;
  foreach (cell, missing_spans(work, cut, ahead)) {
    const Span *span = static_cast<const Span *>(lfirst(cell));
    if (others_have(work, *span)) continue;
    Made *one = static_cast<Made *>(palloc(sizeof(Made)));
    *one = {*span, make_leaf(work, *span, false)};
    made = lappend(made, one);
  }
  if (made != NIL) {
    if (OidIsValid(work.others)) summarize_others(work);
    lock_briefly(work, OidIsValid(work.others) ? list_make1_oid(work.others) : NIL);
  }
  foreach (cell, made) {
    Made *one = static_cast<Made *>(lfirst(cell));
    if (!others_have(work, one->span)) {
      attach_leaf(work, one->leaf, one->span, Bounds::empty);
      continue;
    }
    run_own_statement(psprintf("DROP TABLE %s", qualified(one->leaf)));
    one->leaf = InvalidOid;
  }
  // Once they are there: an event of now may lie in the first of them.
  foreach (cell, made) {
    const Made *one = static_cast<const Made *>(lfirst(cell));
    if (!OidIsValid(one->leaf)) continue;
    emit_partition_event("platform.partition.created", one->leaf, one->span);
    Datum value = ObjectIdGetDatum(one->leaf);
    bool null = false;
    tuplestore_putvalues(result->setResult, result->setDesc, &value, &null);
  }
  work.end();
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
