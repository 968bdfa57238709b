#include "consume/subscription_positions.h"

#include "server/compat.h"
#include "server/errors.h"
#include "server/key_scan.h"

extern "C" {
#include <access/table.h>
#include <access/tableam.h>
#include <catalog/namespace.h>
#include <utils/fmgroids.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/snapmgr.h>
}

namespace spine {

void Visited::restrict_to(const Organizations &readable, const Elements &wanted) {
  all = readable.all && wanted.count < 0;
  count = 0;
  sorted = nullptr;
  if (all) return;
  int most = wanted.count < 0 ? readable.count : wanted.count;
  sorted = static_cast<Uuid *>(MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Uuid) * static_cast<Size>(Max(most, 1))));
  for (int i = 0; i < most; i++) {
    Uuid one = wanted.count < 0 ? readable.sorted[i] : uuid_of(wanted.value[i]);
    if (readable.has(one)) sorted[count++] = one;
  }
  std::sort(sorted, sorted + count);
  count = static_cast<int>(std::unique(sorted, sorted + count) - sorted);
}

Datum Visited::array() const {
  Growing list{UUIDOID};
  for (int i = 0; i < count; i++) list.add(uuid_datum(sorted[i]));
  return list.array();
}

SqlArgument array_of(const Organizations &organizations) {
  Visited visited;
  visited.restrict_to(organizations, Elements());
  return {UUIDARRAYOID, visited.all ? static_cast<Datum>(0) : visited.array(), visited.all};
}

void PositionScan::begin(const char *subscription) {
  memory_ = CurrentMemoryContext;
  Oid schema = get_namespace_oid("spine", false);
  relation_ = table_open(get_relname_relid("subscription_positions", schema), AccessShareLock);
  index_ = index_open(get_relname_relid("subscription_positions_pkey", schema), AccessShareLock);
  snapshot_ = RegisterSnapshot(GetTransactionSnapshot());
  slot_ = table_slot_create(relation_, nullptr);
  scan_ = compat_index_beginscan(relation_, index_, snapshot_, 2);
  subscription_ = CStringGetTextDatum(subscription);
}

bool PositionScan::find(const Uuid &organization, int64 *sequence) {
  pg_uuid_t one;
  memcpy(one.data, organization.data(), UUID_LEN);
  ScanKeyData keys[2];
  ScanKeyEntryInitialize(&keys[0], 0, 1, BTEqualStrategyNumber, TEXTOID, index_->rd_indcollation[0], F_TEXTEQ, subscription_);
  ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(&one));
  index_rescan(scan_, keys, lengthof(keys), nullptr, 0);
  if (!next_of_index(memory_, scan_, ForwardScanDirection, slot_)) return false;
  slot_getsomeattrs(slot_, 3);
  if (slot_->tts_isnull[1] || slot_->tts_isnull[2])
    ereport(ERROR, (errcode(ERRCODE_SPINE_DAMAGED_TABLE), errmsg("a row of spine.subscription_positions has no organization_id or no sequence"),
                    errhint("Have a superuser delete it: without a position, a subscription begins at the chain's first event.")));
  *sequence = DatumGetInt64(slot_->tts_values[2]);
  return true;
}

void PositionScan::end() {
  index_endscan(scan_);
  ExecDropSingleTupleTableSlot(slot_);
  UnregisterSnapshot(snapshot_);
  index_close(index_, AccessShareLock);
  table_close(relation_, AccessShareLock);
}

}  // namespace spine
