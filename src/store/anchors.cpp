#include "store/anchors.h"

#include <cstring>

#include "core/uuid.h"
#include "server/cached_table.h"
#include "server/compat.h"
#include "server/errors.h"
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

}  // namespace

void AnchorReader::begin() {
  relation_ = open_kept_table(spine_table("anchors"), {UUIDOID, INT8OID, TIMESTAMPTZOID, BYTEAOID});
  if (relation_ == nullptr) return;
  Oid key = RelationGetPrimaryKeyIndex(relation_);
  if (!OidIsValid(key) || RelationGetNumberOfBlocks(relation_) == 0) {
    table_close(relation_, AccessShareLock);
    relation_ = nullptr;
    return;
  }
  index_ = index_open(key, AccessShareLock);
  slot_ = table_slot_create(relation_, nullptr);
  scan_ = compat_index_beginscan(relation_, index_, SnapshotSelf, 2);
}

bool AnchorReader::find(const Uuid &organization, int64 sequence, bool from, Anchor *anchor) {
  if (relation_ == nullptr) return false;
  memcpy(key_organization_.data, organization.data(), UUID_LEN);
  ScanKeyData keys[2];
  ScanKeyInit(&keys[0], anchor_organization, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(&key_organization_));
  if (from)
    ScanKeyInit(&keys[1], anchor_sequence, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(sequence));
  else
    ScanKeyInit(&keys[1], anchor_sequence, BTLessStrategyNumber, F_INT8LT, Int64GetDatum(sequence));
  index_rescan(scan_, keys, lengthof(keys), nullptr, 0);
  if (!index_getnext_slot(scan_, from ? ForwardScanDirection : BackwardScanDirection, slot_)) return false;
  slot_getsomeattrs(slot_, anchor_hash);
  bool is_damaged = false;
  for (int i = 0; i < anchor_hash; i++) is_damaged |= slot_->tts_isnull[i];
  const void *hash = is_damaged ? nullptr : DatumGetPointer(slot_->tts_values[anchor_hash - 1]);
  if (is_damaged || VARATT_IS_EXTENDED(hash) != VARATT_IS_SHORT(hash) || VARSIZE_ANY_EXHDR(hash) != sizeof(Hash))
    ereport(ERROR, (errcode(ERRCODE_SPINE_DAMAGED_TABLE), errmsg("the anchor of organization %s is damaged", uuid_text(organization)),
                    errhint("Restore its row in spine.anchors from a backup.")));
  anchor->sequence = DatumGetInt64(slot_->tts_values[anchor_sequence - 1]);
  anchor->timestamp = unix_time(DatumGetTimestampTz(slot_->tts_values[anchor_timestamp - 1]));
  memcpy(anchor->hash.data(), VARDATA_ANY(hash), sizeof(Hash));
  return true;
}

bool AnchorReader::find_organization(const Uuid &from, Uuid *organization) {
  if (relation_ == nullptr) return false;
  memcpy(key_organization_.data, from.data(), UUID_LEN);
  ScanKeyData keys[2];
  ScanKeyInit(&keys[0], anchor_organization, BTGreaterEqualStrategyNumber, F_UUID_GE, UUIDPGetDatum(&key_organization_));
  ScanKeyInit(&keys[1], anchor_sequence, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(PG_INT64_MIN));
  index_rescan(scan_, keys, lengthof(keys), nullptr, 0);
  if (!index_getnext_slot(scan_, ForwardScanDirection, slot_)) return false;
  bool null;
  *organization = uuid_of(slot_getattr(slot_, anchor_organization, &null));
  return true;
}

void AnchorReader::end() {
  if (relation_ == nullptr) return;
  index_endscan(scan_);
  ExecDropSingleTupleTableSlot(slot_);
  index_close(index_, AccessShareLock);
  table_close(relation_, AccessShareLock);
}

}  // namespace spine
