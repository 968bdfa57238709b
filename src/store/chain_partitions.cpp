#include "store/chain_partitions.h"

#include <cstring>

#include "server/cached_table.h"
#include "server/compat.h"
#include "server/sql.h"
#include "store/chain_lock.h"
#include "store/owners_rights.h"

extern "C" {
#include <access/skey.h>
#include <access/xact.h>
#include <catalog/pg_type.h>
#include <utils/fmgroids.h>
#include <utils/rel.h>
#include <utils/uuid.h>
}

namespace spine {

namespace {

constexpr const char *statement = "INSERT INTO spine.chain_partitions VALUES ($1, $2) ON CONFLICT DO NOTHING";

// What this transaction said, or found said, each in the slot that the chain's number names.
struct Noted {
  uint64 generation;
  Oid table;  // another one after DROP and CREATE EXTENSION in one transaction
  Uuid organization;
  TimestampTz starts;
};
Noted noted[1024];
uint64 generation = 1;

bool is_said(const Uuid &organization, TimestampTz starts) {
  ChainPartitionScan scan;
  if (!scan.begin(organization)) return true;
  TimestampTz found;
  bool is_there = false;
  while (!is_there && scan.next(&found)) is_there = found == starts;
  scan.end();
  return is_there;
}

}  // namespace

bool ChainPartitionScan::begin(const Uuid &organization) {
  relation_ = open_kept_table(spine_table("chain_partitions"), {UUIDOID, TIMESTAMPTZOID});
  if (relation_ == nullptr) return false;
  Oid key = RelationGetPrimaryKeyIndex(relation_);
  if (!OidIsValid(key)) {
    table_close(relation_, AccessShareLock);
    return false;
  }
  index_ = index_open(key, AccessShareLock);
  slot_ = table_slot_create(relation_, nullptr);
  scan_ = compat_index_beginscan(relation_, index_, SnapshotSelf, 1);
  memcpy(key_organization_.data, organization.data(), UUID_LEN);
  ScanKeyData keys[1];
  ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(&key_organization_));
  index_rescan(scan_, keys, 1, nullptr, 0);
  return true;
}

bool ChainPartitionScan::next(TimestampTz *starts) {
  if (!index_getnext_slot(scan_, BackwardScanDirection, slot_)) return false;
  bool null;
  *starts = DatumGetTimestampTz(slot_getattr(slot_, 2, &null));
  return true;
}

void ChainPartitionScan::end() {
  index_endscan(scan_);
  ExecDropSingleTupleTableSlot(slot_);
  index_close(index_, AccessShareLock);
  table_close(relation_, AccessShareLock);
}

void note_partition(const Uuid &organization, TimestampTz starts) {
  Oid table = spine_table("chain_partitions");
  Noted *known = &noted[chain_key(table, organization) % lengthof(noted)];
  if (known->generation == generation && known->table == table && known->organization == organization && known->starts == starts) return;
  if (!is_said(organization, starts)) {
    static SPIPlanPtr plan;
    OwnersRights rights;
    rights.begin_as_owner_of(table);
    // What was emitted before a transaction became read-only is stored all the same.
    bool is_read_only = XactReadOnly;
    XactReadOnly = false;
    SPI_connect();
    if (plan == nullptr) {
      Oid types[] = {UUIDOID, TIMESTAMPTZOID};
      plan = SPI_prepare(statement, lengthof(types), types);
      SPI_keepplan(plan);
    }
    Datum values[] = {uuid_datum(organization), TimestampTzGetDatum(starts)};
    (void)SPI_execute_plan(plan, values, nullptr, false, 0);
    SPI_finish();
    XactReadOnly = is_read_only;
    rights.end();
  }
  *known = {generation, table, organization, starts};
}

void forget_noted_partitions() { generation++; }

}  // namespace spine
