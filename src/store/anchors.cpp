#include "store/anchors.h"

#include <cstring>

#include "server/cached_table.h"
#include "store/event_table.h"

extern "C" {
#include <access/skey.h>
#include <access/tableam.h>
#include <catalog/pg_type.h>
#include <storage/bufmgr.h>
#include <utils/fmgroids.h>
#include <utils/rel.h>
#include <utils/timestamp.h>
}

namespace spine {

namespace {

enum AnchorColumn { anchor_organization = 1, anchor_sequence, anchor_timestamp, anchor_hash };
constexpr std::initializer_list<Oid> anchor_types = {UUIDOID, INT8OID, TIMESTAMPTZOID, BYTEAOID};

}  // namespace

void AnchorReader::begin() {
  Relation relation = open_kept_table(spine_table("anchors"), anchor_types);
  any_ = relation != nullptr && RelationGetNumberOfBlocks(relation) > 0;
  if (relation != nullptr) table_close(relation, AccessShareLock);
  if (any_) scan_.begin("anchors", anchor_types, nullptr, 2);
}

bool AnchorReader::find(const Uuid &organization, int64 sequence, bool from, Anchor *anchor) {
  if (!any_) return false;
  memcpy(key_organization_.data, organization.data(), UUID_LEN);
  ScanKeyData keys[2];
  ScanKeyInit(&keys[0], anchor_organization, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(&key_organization_));
  if (from)
    ScanKeyInit(&keys[1], anchor_sequence, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(sequence));
  else
    ScanKeyInit(&keys[1], anchor_sequence, BTLessStrategyNumber, F_INT8LT, Int64GetDatum(sequence));
  scan_.find(keys, from ? ForwardScanDirection : BackwardScanDirection);
  if (!scan_.next()) return false;
  anchor->sequence = DatumGetInt64(scan_.value(anchor_sequence));
  anchor->timestamp = unix_time(DatumGetTimestampTz(scan_.value(anchor_timestamp)));
  anchor->hash = scan_.hash(anchor_hash);
  return true;
}

bool AnchorReader::find_organization(const Uuid &from, Uuid *organization) {
  if (!any_) return false;
  memcpy(key_organization_.data, from.data(), UUID_LEN);
  ScanKeyData keys[2];
  ScanKeyInit(&keys[0], anchor_organization, BTGreaterEqualStrategyNumber, F_UUID_GE, UUIDPGetDatum(&key_organization_));
  ScanKeyInit(&keys[1], anchor_sequence, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(PG_INT64_MIN));
  scan_.find(keys, ForwardScanDirection);
  if (!scan_.next()) return false;
  *organization = uuid_of(scan_.value(anchor_organization));
  return true;
}

void AnchorReader::end() {
  if (any_) scan_.end();
}

}  // namespace spine
