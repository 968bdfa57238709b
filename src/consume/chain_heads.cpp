// spine.read_chain_heads.
#include "access/access.h"
#include "core/uuid.h"
#include "server/errors.h"
#include "store/anchors.h"
#include "store/event_scan.h"

extern "C" {
#include <funcapi.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

struct HeadReader {
  ReturnSetInfo *result;
  ChainScan scan;
  AnchorReader anchors;
  int64 left;  // that the caller wants yet

  void put(const Uuid &organization, int64 sequence, Bytes hash, bool has_timestamp, int64 timestamp) {
    Datum values[] = {uuid_datum(organization), Int64GetDatum(sequence), hash.data != nullptr ? bytea_datum(hash) : static_cast<Datum>(0),
                      has_timestamp ? TimestampTzGetDatum(timestamp - unix_time(0)) : static_cast<Datum>(0)};
    bool nulls[] = {false, false, hash.data == nullptr, !has_timestamp};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    pfree(DatumGetPointer(values[0]));
    if (hash.data != nullptr) pfree(DatumGetPointer(values[2]));
    left--;
  }

  // Where the scan is.
  void put_event() {
    const Event &event = scan.event();
    bool has_timestamp = event.has(Column::timestamp);
    put(event.organization_id, event.sequence, event.has(Column::event_hash) ? event.event_hash : Bytes{}, has_timestamp, has_timestamp ? event.timestamp : 0);
  }

  bool find_event(const Uuid &organization) {
    scan.seek(organization, PG_INT64_MIN, organization);
    return scan.last();
  }

  // All of a chain's events may be retired.
  void put_anchor(const Uuid &organization) {
    Anchor anchor;
    if (anchors.find(organization, PG_INT64_MAX, &anchor))
      put(organization, anchor.sequence, {anchor.hash.data(), anchor.hash.size()}, true, anchor.timestamp);
  }

  void put_chain(const Uuid &organization) {
    if (find_event(organization))
      put_event();
    else
      put_anchor(organization);
  }

  // From the end of one chain to the end of the one before, whatever lies between: one lookup a chain.
  void put_all(const Uuid &first) {
    Uuid last = last_uuid;
    for (;;) {
      scan.seek(first, PG_INT64_MIN, last);
      if (!scan.last()) break;
      put_event();
      if (scan.event().organization_id == first) break;
      last = uuid_before(scan.event().organization_id);
    }
    Uuid anchored = first;
    while (anchors.find_organization(anchored, &anchored)) {
      if (!find_event(anchored)) put_anchor(anchored);
      if (anchored == last_uuid) break;
      anchored = uuid_after(anchored);
    }
  }

  // In order.
  void put_page(Uuid first) {
    while (left > 0) {
      Uuid organization, anchored;
      scan.seek(first, PG_INT64_MIN, last_uuid);
      bool found = scan.next();
      if (found) organization = scan.event().organization_id;
      if (anchors.find_organization(first, &anchored) && (!found || anchored < organization)) {
        organization = anchored;
        found = true;
      }
      if (!found) break;
      put_chain(organization);
      if (organization == last_uuid) break;
      first = uuid_after(organization);
    }
  }
};

}  // namespace

extern "C" {

PG_FUNCTION_INFO_V1(spine_read_chain_heads);
PGDLLEXPORT Datum spine_read_chain_heads(PG_FUNCTION_ARGS) {
  InitMaterializedSRF(fcinfo, 0);
  bool is_page = !PG_ARGISNULL(1);
  int64 most = is_page ? PG_GETARG_INT64(1) : PG_INT64_MAX;
  if (most < 0)
    ereport(ERROR, (errcode(ERRCODE_SPINE_BAD_RANGE), errmsg("max_chains is " INT64_FORMAT, most),
                    errhint("Pass how many chains to return at most, 0 or more.")));
  Organizations readable = require_reading(events_relid());
  Uuid after = PG_ARGISNULL(0) ? nil_uuid : uuid_of(PG_GETARG_DATUM(0));
  if (after == last_uuid && !PG_ARGISNULL(0)) return static_cast<Datum>(0);
  Uuid first = PG_ARGISNULL(0) ? nil_uuid : uuid_after(after);
  HeadReader heads;
  heads.result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  heads.left = most;
  heads.scan.begin(bit(Column::event_hash) | bit(Column::timestamp));
  heads.anchors.begin();
  if (readable.all && is_page)
    heads.put_page(first);
  else if (readable.all)
    heads.put_all(first);
  for (int i = 0; i < readable.count && heads.left > 0; i++)
    if (readable.sorted[i] >= first) heads.put_chain(readable.sorted[i]);
  heads.anchors.end();
  heads.scan.end();
  return static_cast<Datum>(0);
}

}  // extern "C"

}  // namespace spine
