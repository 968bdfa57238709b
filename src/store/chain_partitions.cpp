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
#include <utils/inval.h>
#include <utils/lsyscache.h>
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

// Where the latest partition begins that the table names, so that a chain's end need not be looked for in later ones. Who
// names a later one than others have committed tells every session at his commit, before his chains' locks go; whoever gets
// such a lock hears of it. Rows go only where their partition is locked, so nobody relies on one that is about to go.
struct Latest {
  bool valid;
  TimestampTz of_all;        // DT_NOBEGIN: none
  TimestampTz of_committed;  // of other transactions' rows; DT_NOBEGIN also where it was not looked for to the end
};
Latest latest;
Oid latest_table;
uint64 latest_changes;
uint64 announced;  // the generation in which this transaction told the others

void read_latest() {
  constexpr int most_own_rows = 64;
  latest = {false, DT_NOBEGIN, DT_NOBEGIN};
  latest_table = spine_table("chain_partitions");
  Relation relation = open_kept_table(latest_table, {UUIDOID, TIMESTAMPTZOID});
  if (relation == nullptr) return;
  Oid by_start = get_relname_relid("chain_partitions_starts_idx", RelationGetNamespace(relation));
  if (OidIsValid(by_start)) {
    Relation index = index_open(by_start, AccessShareLock);
    TupleTableSlot *slot = table_slot_create(relation, nullptr);
    IndexScanDesc scan = compat_index_beginscan(relation, index, SnapshotSelf, 0);
    index_rescan(scan, nullptr, 0, nullptr, 0);
    for (int i = 0; i < most_own_rows && index_getnext_slot(scan, BackwardScanDirection, slot); i++) {
      bool null;
      TimestampTz starts = DatumGetTimestampTz(slot_getattr(slot, 2, &null));
      if (i == 0) latest.of_all = starts;
      Datum writer = slot_getsysattr(slot, MinTransactionIdAttributeNumber, &null);
      if (TransactionIdIsCurrentTransactionId(DatumGetTransactionId(writer))) continue;
      latest.of_committed = starts;
      break;
    }
    index_endscan(scan);
    ExecDropSingleTupleTableSlot(slot);
    index_close(index, AccessShareLock);
    latest.valid = true;
  }
  table_close(relation, AccessShareLock);
}

bool find_latest() {
  AcceptInvalidationMessages();
  for (int i = 0; i < 4 && !latest.valid; i++) {
    uint64 before = latest_changes;
    read_latest();
    latest.valid = latest.valid && latest_changes == before;
  }
  return latest.valid;
}

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
    if (announced != generation && (!find_latest() || latest.of_committed < starts)) announce_partitions();
    latest.of_all = Max(latest.of_all, starts);
  }
  *known = {generation, table, organization, starts};
}

bool may_lie_later(TimestampTz starts) { return !find_latest() || latest.of_all > starts; }

void announce_partitions() {
  CacheInvalidateRelcacheByRelid(spine_table("chain_partitions"));
  announced = generation;
}

void forget_noted_partitions() {
  // What it says of this transaction's own rows holds no longer.
  if (announced == generation) latest.valid = false;
  generation++;
}

void forget_latest_partition(Oid relid) {
  if (OidIsValid(relid) && relid != latest_table) return;
  latest.valid = false;
  latest_changes++;
}

}  // namespace spine
