// Locks that a transaction holds to its end, or to the rollback of the savepoint after which it took them, and that no
// SQL lock function reaches.
#pragma once

#include "server/pg.h"

extern "C" {
#include <miscadmin.h>
#include <storage/lock.h>
#include <utils/resowner.h>
}

namespace spine {

// What pg_advisory_lock and its kin cannot produce: they set the tag's fourth field to 1 or 2.
enum class LockClass : uint16 {
  chain = 0x5350,
  subscription = 0x5351,
  emitters = 0x5352,
  privacy = 0x5353,
  checkpoints = 0x5354,
  restores = 0x5355,
  watch = 0x5356
};

inline LOCKTAG lock_tag(uint64 key, LockClass lock_class) {
  LOCKTAG tag;
  SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, static_cast<uint32>(key >> 32), static_cast<uint32>(key), static_cast<uint16>(lock_class));
  return tag;
}

// A cursor's fetch runs under the cursor's own resource owner, whose locks go when a later fetch fails, though what
// was done before stays. So they are taken for the (sub)transaction itself.
template <class Take>
void for_transaction(Take take) {
  ResourceOwner before = CurrentResourceOwner;
  CurrentResourceOwner = CurTransactionResourceOwner;
  take();
  CurrentResourceOwner = before;
}

}  // namespace spine
